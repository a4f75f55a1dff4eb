"""What Schemathesis is told about this service: who calls, what there is, and what else must hold.

A request that is made up from nothing is refused at the door: no such case, no such party, a session that ends before
it starts. So most requests get ids of what was seeded (seeds.py), in a state in which the operation can be done, and
fields that only make sense together. What is *meant* to be wrong with a request is never touched; everything else of it
is then right, so that a refusal is for that one reason.

Schemathesis imports this module into a process of its own (instance.py); FUZZ_PLAN names the file with the plan.
"""

import atexit
import json
import os
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any, Final, TypeAlias, TypedDict
from uuid import uuid4

import requests
import schemathesis
from schemathesis.core.parameters import ParameterLocation as Place
from schemathesis.generation.meta import TestPhase as Phase
from tests.openapi.refusals import reviewed, role_of

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Case: TypeAlias = schemathesis.Case[Any]


class Target(TypedDict):
    """Something that an operation can be done to."""

    path: dict[str, str]
    body: dict[str, Json]
    without: list[str]


class Somebody(TypedDict):
    """A caller, and the ids of what is theirs alone."""

    token: str | None
    ids: dict[str, str]


class Plan(TypedDict):
    """What seeds.Plan is as JSON."""

    tokens: dict[str, str]
    targets: dict[str, list[Target]]
    ids: dict[str, list[str]]
    used_up: list[str]
    peers: dict[str, Somebody]
    roles: dict[str, Somebody]


PLAN_FILE: Final = Path(os.environ["FUZZ_PLAN"])
PLAN: Final[Plan] = json.loads(PLAN_FILE.read_text(encoding="utf-8"))
AS_PEERS: Final = "FUZZ_PEERS" in os.environ
"""Complainants call, each for what is theirs; and every call is repeated as somebody to whom it is not."""
AS_ROLES: Final = "FUZZ_ROLES" in os.environ
"""Each operation is called by somebody of each role in turn."""

FED: Final = 0.85
"""The share of requests that get something that exists. The rest keep what was made up. Until an operation has been
done, all of them do: of the few that are meant to be right, none may happen to be among that share."""

NOTHING: Final = Target(path={}, body={}, without=[])

NOT_SAID: Final = {
    **dict.fromkeys(("complainant", "officer"), ("party_id", "channel", "signer")),
    "public": ("channel", "intake"),
    "integration": ("channel",),
}
"""What only staff say: for whom they speak, and how it reached them."""

PLACES: Final = {"in_person": "place", "video": "link"}
"""The field that a session of this mode needs."""

PLAUSIBLE: Final[dict[str, Json]] = {
    "language": "es",
    "interpreter_language": "ase",
    "incident_on": "2020-02-29",
    "pending_case_filed_on": "2020-02-29",
    "url": "https://intake.city.example/hooks",
}
"""What the schema cannot say: a language has to exist, and what happened is not in the future. The city lists the
categories of allegations, and the hosts and ports of webhooks."""

FOUND: Final = frozenset({200, 201, 409, 412})
"""The object was found, whatever became of the request."""

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_random: Final = random.Random(int(os.environ["FUZZ_SEED"]))  # noqa: S311 - which request gets which id
_answers: Final[defaultdict[str, Counter[int]]] = defaultdict(Counter)
_reached_in: Final[defaultdict[str, Counter[str]]] = defaultdict(Counter)
_fed: Final[dict[str, Target]] = {}
_spent: Final[dict[str, Target]] = {}
_compared: Final[set[str]] = set()
_turns: Final[defaultdict[tuple[str, bool], Iterator[str]]] = defaultdict(lambda: cycle(PLAN["roles"]))
_done_as: Final[defaultdict[str, Counter[str]]] = defaultdict(Counter)
"""How often each role did what it meant right; zero for one that was always refused."""
_meant_right: Final[set[str]] = set()
"""Requests that are right but for who calls: Schemathesis takes one without a token for wrong."""
_given: Final[set[object]] = set()
"""Identifiers that the service has answered: where a request has one, a link led there."""


def _name(case: Case) -> str:
    return str(case.operation.definition.raw["operationId"])


def _as_documented(case: Case) -> bool:
    """Whether a request is one for its operation: others try methods that the path does not take."""
    return bool(case.method.upper() == case.operation.method.upper())


def _is_right(case: Case) -> bool:
    """Whether all of a request is meant to be right."""
    return case.meta is not None and bool(case.meta.generation.mode.is_positive)


def _right(case: Case, place: Place) -> bool:
    """Whether this part of a request is meant to be right."""
    meta = case.meta
    return meta is not None and place in meta.components and not meta.is_negative_at(place)


@schemathesis.hook
def before_load_schema(_: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Let only what an open list holds today be answered, and only the statuses that `default` stands for."""
    for model in raw_schema["components"]["schemas"].values():
        if "x-extensible-enum" in model:
            model["enum"] = model["x-extensible-enum"]
    for item in raw_schema["paths"].values():
        for operation in item.values():
            others = operation["responses"].pop("default")
            shared = raw_schema["components"]["responses"][others["$ref"].rpartition("/")[2]]
            operation["responses"] |= {str(status): others for status in shared["x-problem-statuses"]}


@schemathesis.hook
def after_load_schema(_: schemathesis.HookContext, schema: schemathesis.BaseSchema) -> None:
    """Say how far links are followed, which a file cannot say in numbers of the environment."""
    stateful = schema.config.phases.stateful
    stateful.max_steps = int(os.environ["FUZZ_STEPS"])
    stateful.generation.max_examples = int(os.environ["FUZZ_SCENARIOS"])


@schemathesis.serializer("application/x-ndjson")
def as_lines(_: schemathesis.SerializationContext, value: Json) -> bytes:
    """Send text as it is, and anything else as one line."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "surrogatepass")


# ── who calls ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Signed:
    """The token of the role that reaches furthest with the operation, or of a peer."""

    def get(self, case: Case, _: schemathesis.AuthContext) -> str | None:
        """The token, or None for an operation that needs none."""
        return _owner(case)["token"] if AS_PEERS else PLAN["tokens"].get(_name(case))

    def set(self, case: Case, token: str | None, _: schemathesis.AuthContext) -> None:
        """Send it along."""
        if token is not None:
            case.headers["Authorization"] = f"Bearer {token}"


schemathesis.auth(refresh_interval=None)(Signed)  # kept, the first token would serve for every operation


OWNERS: Final = {"recordWithdrawal": "leaver", "getWithdrawal": "left", "getGuardianConsent": "minor"}
"""Who calls these in a run of peers: a withdrawal would end what the other operations work on."""


def _owner(case: Case) -> Somebody:
    """Who calls in a run of peers."""
    return PLAN["peers"][OWNERS.get(_name(case), "owner")]


def _role(case: Case) -> str:
    return role_of(case.headers.get("Authorization", ""))


def _own(case: Case) -> dict[str, str]:
    """The ids of what is the caller's alone."""
    return _owner(case)["ids"] if AS_PEERS else PLAN["roles"][_role(case)]["ids"] if AS_ROLES else {}


def _call_as_the_next(case: Case) -> None:
    """Let the role call whose turn it is with this operation: of right requests, and of wrong ones."""
    token = PLAN["roles"][next(_turns[_name(case), _is_right(case)])]["token"]
    case.headers.pop("Authorization", None)
    if token is not None:
        case.headers["Authorization"] = f"Bearer {token}"


def _is_signed(case: Case) -> bool:
    """Whether a request is sent as `Signed` left it: `ignored_auth` repeats some with another token, or with none."""
    token = PLAN["tokens"].get(_name(case))
    return bool(case.headers.get("Authorization") == (token and f"Bearer {token}"))


# ── what there is ──────────────────────────────────────────────────────────────────────────────────────────────────


@schemathesis.hook
def before_call(_: schemathesis.HookContext, case: Case, kwargs: dict[str, object]) -> None:
    """Make right what is not meant to be wrong."""
    del kwargs
    if case.meta is None or not _as_documented(case):
        return
    if _is_right(case):
        _meant_right.add(case.id)
    if AS_ROLES and _is_signed(case):
        _call_as_the_next(case)
    if _right(case, Place.HEADER):
        _feed_headers(case)
    if _right(case, Place.QUERY):
        for cursor in ("cursor", "after"):  # only the service makes one
            case.query.pop(cursor, None)
        if "language" in case.query:
            case.query["language"] = PLAUSIBLE["language"]
    if _random.random() < FED or not _reached_in[_name(case)][case.meta.phase.name.value]:
        _feed(case)


def _feed_headers(case: Case) -> None:
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid4())
    if "If-Match" in case.headers and _random.random() < FED:
        case.headers["If-Match"] = "*"


def _feed(case: Case) -> None:
    """Give a request something that exists."""
    target = _target(case)
    _fed[case.id] = target
    if _right(case, Place.PATH):
        own = {**target["path"], **_own(case)}
        assert case.meta is not None
        # Elsewhere, an id that was given is what a request before had been fed: operations share their parameters.
        linked = _given if case.meta.phase.name is Phase.STATEFUL else set()
        for name, made_up in case.path_parameters.items():
            if made_up not in linked:
                case.path_parameters[name] = own.get(name) or _random.choice(PLAN["ids"].get(name, [made_up]))
    if _right(case, Place.BODY) and case.media_type == "application/json":
        if not isinstance(case.body, dict):
            case.body = {}  # a body that may be left out
        _mend(case.body, NOTHING if _own(case) else target)
        # A new one: requests that `ignored_auth` repeats without a token have the same body.
        case.body = {name: value for name, value in case.body.items() if name not in NOT_SAID.get(_role(case), ())}


def _target(case: Case) -> Target:
    """What there is for this operation. The last one of what is used up is left to the phases after coverage."""
    name = _name(case)
    targets = PLAN["targets"].get(name, [])
    assert case.meta is not None
    spared = name in PLAN["used_up"] and case.meta.phase.name is Phase.COVERAGE
    left = targets[1:] if spared else targets
    return left[0] if left else _spent.get(name, NOTHING)


def _mend(body: dict[str, Json], target: Target) -> None:
    """Keep the rules between fields."""
    listed = body.get("parties", [])
    people = [person for person in listed if isinstance(person, dict)] if isinstance(listed, list) else []
    if people:
        people[0]["side"] = "complainant"
    intake = body.get("intake")
    for person in [*people, body, *([intake] if isinstance(intake, dict) else [])]:
        _mend_person(person)
        person.update({name: value for name, value in PLAUSIBLE.items() if person.get(name) is not None})
    for name, values in (("languages", ["en"]), ("allegations", ["discourtesy"])):
        if body.get(name):
            body[name] = [*values]
    _mend_booking(body)
    body.update(target["body"])
    for name in target["without"]:
        body.pop(name, None)


def _mend_person(person: dict[str, Json]) -> None:
    if person.get("side") == "officer":
        person.pop("minor", None)
        person.pop("guardian", None)
        person["employee_number"] = uuid4().hex[:12]  # the same twice is the same officer
    elif "side" in person:
        person.pop("employee_number", None)
        person.pop("unit", None)


def _mend_booking(body: dict[str, Json]) -> None:
    """Say where a session is held, as its mode needs."""
    mode = body.get("mode")
    name = PLACES.get(mode, "") if isinstance(mode, str) else ""
    if name and body.get(name) is None:
        body[name] = "https://meet.example.org/room-4"  # a good name of a room as well


@schemathesis.hook
def after_call(_: schemathesis.HookContext, case: Case, response: schemathesis.Response) -> None:
    """Count, and take away what was used up."""
    if not _as_documented(case):
        return
    name = _name(case)
    _answers[name][response.status_code] += 1
    if case.id in _meant_right:
        _done_as[name][_role(case)] += 200 <= response.status_code < 300
    if not 200 <= response.status_code < 300:
        return
    if case.meta is not None:
        _reached_in[name][case.meta.phase.name.value] += 1
    if response.headers["content-type"][0].startswith("application/json"):
        _given.update(_UUID.findall(response.text))
    target = _fed.get(case.id)
    if name in PLAN["used_up"] and target is not None:
        _spent[name] = target
        PLAN["targets"][name] = [each for each in PLAN["targets"][name] if each is not target]


# ── what else must hold ────────────────────────────────────────────────────────────────────────────────────────────


@schemathesis.check
def refuses_as_listed(ctx: schemathesis.CheckContext, response: schemathesis.Response, case: Case) -> bool | None:
    """Who may call is refused for what is listed alone, and who may not for that, whatever the contract takes."""
    del ctx
    if case.id not in _meant_right:
        return None
    name, role = _name(case), role_of(str(response.request.headers.get("Authorization", "")))
    listed = reviewed()[name].get(role)
    if listed is None:
        expected = 401 if role == "public" else 403
        assert response.status_code == expected, f"{role} may not call this, and got {response.status_code}"
    elif response.status_code >= 400:
        unlisted = {*_refusals(response)} - listed
        assert not unlisted, f"the contract takes what is refused to {role}: {', '.join(sorted(unlisted))}"
    return None


def _refusals(response: schemathesis.Response) -> Iterator[str]:
    """What is refused: a status with its code, or with those of the fields."""
    problem = response.json()
    for code in [error["code"] for error in problem["errors"]] or [problem["code"]]:
        yield f"{response.status_code} {code}"


@schemathesis.check
def is_nobody_elses(ctx: schemathesis.CheckContext, response: schemathesis.Response, case: Case) -> bool | None:
    """What one complainant reaches, another does not find: neither in a list nor by its id, to read or to change."""
    del ctx
    if not AS_PEERS or not _as_documented(case) or response.status_code not in FOUND:
        return None
    again = response.request.copy()
    again.headers["Authorization"] = f"Bearer {PLAN['peers']['other']['token']}"
    with requests.Session() as session:
        other = session.send(again, timeout=20)
    if case.path_parameters:
        assert other.status_code == 404, f"the owner got {response.status_code}, another {other.status_code}"
    shown = [name for name, id_ in _owner(case)["ids"].items() if id_ in other.text]
    assert not shown, f"another is shown the owner's {', '.join(shown)}"
    _compared.add(_name(case))
    return None


@atexit.register
def write_counts() -> None:
    """Leave what was counted beside the plan."""
    counts = {
        name: {
            "statuses": dict(sorted(answers.items())),
            "reached_in": _reached_in[name],
            "compared": name in _compared,
            "done_as": _done_as[name],
        }
        for name, answers in sorted(_answers.items())
    }
    PLAN_FILE.with_name("counts.json").write_text(json.dumps(counts), encoding="utf-8")
