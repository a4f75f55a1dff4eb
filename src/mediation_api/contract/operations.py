"""What the contract says of each operation beside its shapes: its events, whose data it carries, links, and examples.

The events are those that the operation declares at its route (`http/routes.py`); a test plays every operation and
compares. The personal data follow from the fields' names, the links from the identifiers in an answer, and the examples
were answered by this service (`make generate` plays them again).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final, TypeAlias, get_args

from mediation_api.contract.personal_data import HOLDINGS, PersonalDataKind, personal_data_kind
from mediation_api.domain.access_anomalies import ANOMALY_RULES as UNUSUAL
from mediation_api.domain.errors import CONDITIONS
from mediation_api.domain.events import Audience, Event, ReportEvent, RosterEvent
from mediation_api.domain.screening import ELIGIBILITY_RULES
from mediation_api.domain.target import PauseReason
from mediation_api.domain.values import DropReason, ErasureRefusal, HoldReason, RemovalReason, VoidReason
from mediation_api.http.problem_catalogue import CATALOGUE
from mediation_api.http.problems import FIELD_CODES
from mediation_api.http.routes import Operation

Node: TypeAlias = dict[str, object]
Address: TypeAlias = tuple[str, str, str]
"""Method, path and name of an operation."""

JSON: Final = "application/json"

_MODEL: Final = re.compile(r"#/components/schemas/(\w+)\"")
_PARAMETER: Final = re.compile(r"{(\w+_id)}")
_NOUN: Final = re.compile(r"^[A-Z][a-z]+")

_ELSEWHERE: Final[tuple[type[Event], ...]] = (*get_args(ReportEvent), *get_args(RosterEvent))


def _kinds_for(*audiences: Audience) -> list[str]:
    """The kinds of events of a case and of its complaint, which are what a timeline is made of."""
    kinds = {event.kind for event in Event.__subclasses__() if event.audience in audiences}
    return sorted(kinds - {event.kind for event in _ELSEWHERE})


OPEN_LISTS: Final[Mapping[tuple[str, str], list[str]]] = MappingProxyType(
    {
        ("EventOut", "kind"): _kinds_for(*Audience),
        ("SharedEventOut", "kind"): _kinds_for(Audience.OWN, Audience.PARTICIPANTS),
        ("FindingOut", "code"): [rule.code for rule in ELIGIBILITY_RULES.rules],
        ("Problem", "code"): sorted(CATALOGUE),
        ("FieldError", "code"): sorted(FIELD_CODES),
        ("MissingCondition", "code"): sorted(CONDITIONS),
        # Closed where somebody gives them, open where somebody reads them: an office may come to have another.
        ("PauseOut", "reason"): list(PauseReason),
        ("PartyOut", "removal_reason"): list(RemovalReason),
        ("ConsentOut", "void_reason"): list(VoidReason),
        ("HoldOut", "reason"): list(HoldReason),
        ("ReportOut", "drop_reason"): list(DropReason),
        ("ErasureOut", "refusal"): list(ErasureRefusal),
        ("AccessAnomalyOut", "rule"): [rule.code for rule in UNUSUAL.rules],
    }
)
"""The fields of answers whose values may become more within a version, with those that there are."""


READ: Final = "read"
"""Stands among an operation's events where reading is written to the access log; that is no event of the case."""


def describe(contract: Node, operations: Mapping[str, Operation]) -> None:
    """Complete the contract in place."""
    models = {name: _node(model) for name, model in _child(_child(contract, "components"), "schemas").items()}
    _name_open_lists(models)
    addressed = _addressed((method, path, str(each["operationId"])) for method, path, each in _operations(contract))
    for method, path, operation in _operations(contract):
        name = str(operation["operationId"])
        declared = operations[name]
        operation["x-audit-event"] = [*(event.kind for event in declared.events), *([READ] if declared.opens else ())]
        kinds = _kinds(operation, models)
        operation["x-personal-data"] = sorted(kinds)
        operation["x-retention"] = sorted({HOLDINGS[kind].retention for kind in kinds})
        for status, answer in _successes(operation):
            links = _onward(path, addressed, name) | _links(answer, models, addressed, of=(method, path, name))
            if links:
                answer["links"] = links
            _exemplify(answer, _played().get(name, {}).get(status))
        if "requestBody" in operation:
            _exemplify(_child(operation, "requestBody"), _played().get(name, {}).get("request"))
    contract["x-personal-data-kinds"] = {kind: asdict(holding) for kind, holding in HOLDINGS.items()}


def _name_open_lists(models: Mapping[str, Node]) -> None:
    """Say what an open list holds, and that more may come: an enum would be closed (openapi/CHANGELOG.md)."""
    for (model, name), values in OPEN_LISTS.items():
        if model in models:  # those of an application that has such answers
            field = _child(_child(models[model], "properties"), name)
            closed, may_be_null = field.pop("$ref", None), field.pop("anyOf", None)
            if closed or may_be_null:
                field["type"] = ["string", "null"] if may_be_null else "string"
                field["examples"] = values[:1]
            field["description"] = "An open list: be ready for values that are not in it yet."
            field["x-extensible-enum"] = values


# ── whose data ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _kinds(operation: Node, models: Mapping[str, Node]) -> set[PersonalDataKind]:
    """The kinds of personal data in the body and in the successful answers of an operation."""
    bodies = [_child(operation, "requestBody")] if "requestBody" in operation else []
    named = _within([*bodies, *(answer for _, answer in _successes(operation))], models)
    fields = ((name, field) for name in named for field in _child(models[name], "properties"))
    return {kind for name, field in fields if (kind := personal_data_kind(name, field)) is not None}


def _within(part: object, models: Mapping[str, Node]) -> set[str]:
    """The names of the models that a part of the contract refers to, directly or through others."""
    found: set[str] = set()
    waiting = _MODEL.findall(json.dumps(part))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _MODEL.findall(json.dumps(models[name]))
    return found


# ── where an answer leads ──────────────────────────────────────────────────────────────────────────────────────────


def _addressed(operations: Iterable[Address]) -> dict[str, list[Address]]:
    """The operations whose path takes one identifier and nothing else, by the identifier's name."""
    found: dict[str, list[Address]] = {}
    for method, path, operation in operations:
        named = _PARAMETER.findall(path)
        if len(named) == 1:
            found.setdefault(named[0], []).append((method, path, operation))
    return found


def _links(answer: Node, models: Mapping[str, Node], addressed: Mapping[str, list[Address]], of: Address) -> Node:
    """The links of one answer: to what its identifiers name, and from what was made to all that can be done with it."""
    links: Node = {}
    place, shapes = _shapes(answer, models)
    shown = [_child(models[shape], "properties") for shape in shapes]
    for field in shown[0] if shown else ():
        if any(field not in fields for fields in shown):
            continue  # not every audience is shown it
        name = f"{_NOUN.findall(shapes[0])[0].lower()}_id" if field == "id" else field
        made = field == "id" and of[0] == "post" and name not in of[1]
        for target in addressed.get(name, ()):
            method, path, operation = target
            if target != of and (made or (method == "get" and path.endswith("}"))):
                links[operation] = {"operationId": operation, "parameters": {name: f"$response.body#/{place}{field}"}}
    return links


def _onward(path: str, addressed: Mapping[str, list[Address]], of: str) -> Node:
    """A link to what the path names."""
    return {
        operation: {"operationId": operation, "parameters": {name: f"$request.path.{name}"}}
        for name in _PARAMETER.findall(path)
        for method, target, operation in addressed.get(name, ())
        if operation != of and method == "get" and target.endswith("}")
    }


def _shapes(answer: Node, models: Mapping[str, Node]) -> tuple[str, list[str]]:
    """The models of an answer, or of a list's first item, one for each audience; and the place of their fields."""
    shapes = _direct(_media(answer))
    items = _child(models[shapes[0]], "properties").get("items") if shapes else None
    return ("", shapes) if items is None else ("items/0/", _direct(items))


def _direct(part: object) -> list[str]:
    return list(dict.fromkeys(_MODEL.findall(json.dumps(part))))


# ── examples ───────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def _played() -> dict[str, dict[str, dict[str, object]]]:
    """Requests and answers of each operation, by audience."""
    text = resources.files("mediation_api.contract").joinpath("examples.json").read_text(encoding="utf-8")
    played: dict[str, dict[str, dict[str, object]]] = json.loads(text)
    return played


def _exemplify(part: Node, played: Mapping[str, object] | None) -> None:
    if played:
        _media(part)["examples"] = {audience: {"value": value} for audience, value in played.items()}


# ── the parts of a contract ────────────────────────────────────────────────────────────────────────────────────────


def _operations(contract: Node) -> Iterator[tuple[str, str, Node]]:
    """Method, path and description of each operation."""
    for path, item in _child(contract, "paths").items():
        for method, operation in _node(item).items():
            yield method, path, _node(operation)


def _successes(operation: Node) -> Iterator[tuple[str, Node]]:
    for status, answer in _child(operation, "responses").items():
        if status.startswith("2"):
            yield status, _node(answer)


def _media(part: Node) -> Node:
    return _child(_child(part, "content"), JSON)


def _child(parent: Node, name: str) -> Node:
    return _node(parent.get(name, {}))


def _node(value: object) -> Node:
    if not isinstance(value, dict):
        raise TypeError("this part of the contract is not an object")
    return value
