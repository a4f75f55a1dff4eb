"""The contract that is committed is the contract that is served."""

import ast
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Final, get_args

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from tests.openapi.reading import CONTRACT, document, written_out

from mediation_api import domain, http, routers
from mediation_api.contract.nodes import child, models, node, operations
from mediation_api.contract.operations import READ
from mediation_api.contract.personal_data import FIELDS, personal_data_kind
from mediation_api.contract.rendering import text_of
from mediation_api.contract.security_schemes import SCHEMES
from mediation_api.domain import events
from mediation_api.domain.access import EVERYBODY, Role
from mediation_api.domain.errors import CONDITIONS, FieldRule
from mediation_api.domain.values import Side
from mediation_api.http.fields import EXTENSIBLE, OwnRule
from mediation_api.http.problem_catalogue import CATALOGUE
from mediation_api.http.problems import Unreadable
from mediation_api.main import OPERATIONS


def committed() -> dict[str, dict[str, dict[str, dict[str, object]]]]:
    """The committed contract, with what operations have in common written out."""
    return written_out(document())  # type: ignore[return-value]  # its parts have the types that the contract says


def test_the_committed_document_is_the_applications(app: FastAPI) -> None:
    assert CONTRACT.read_text(encoding="utf-8") == text_of(app.openapi()), "review the difference, then `make generate`"


def test_every_route_is_an_operation_and_every_operation_a_route(app: FastAPI) -> None:
    routes = {
        (method, context.path_format)
        for context in iter_route_contexts(app.routes)
        for method in context.methods or ()
        if context.path_format and context.path_format.startswith(("/v1", "/health", "/problems"))
    }
    operations = {(method.upper(), path) for path, item in committed()["paths"].items() for method in item}
    assert len(routes) >= 60
    assert routes == operations


def test_what_the_public_may_call_needs_no_token_and_everything_else_does() -> None:
    for path, item in committed()["paths"].items():
        for operation in item.values():
            public = Role.PUBLIC in OPERATIONS[str(operation["operationId"])].access
            security = operation["security"]
            assert isinstance(security, list)
            assert public == (security == [] or {} in security), path


def test_the_scopes_of_the_contract_are_those_that_are_enforced() -> None:
    stated = {}
    for item in committed()["paths"].values():
        for operation in item.values():
            security = operation["security"]
            assert isinstance(security, list)
            named = {scope for way in security for scopes in way.values() for scope in scopes}
            if named:
                (stated[operation["operationId"]],) = named
    assert stated == {name: each.oauth_scope for name, each in OPERATIONS.items() if each.oauth_scope is not None}


def test_every_role_has_one_kind_of_token_and_every_scheme_says_whose_it_is() -> None:
    held = [role for scheme in SCHEMES.values() for role in scheme.roles]
    assert sorted(held) == sorted(set(Role) - {Role.PUBLIC})
    assert committed()["components"]["securitySchemes"] == {name: each.documented() for name, each in SCHEMES.items()}


def test_an_operation_takes_the_tokens_of_those_who_have_a_row_and_of_nobody_else() -> None:
    """For an operation that makes no difference between callers, nothing is stated."""
    kind = {role: name for name, scheme in SCHEMES.items() for role in scheme.roles}
    stated = {o["operationId"]: o["security"] for item in committed()["paths"].values() for o in item.values()}
    for operation, declared in OPERATIONS.items():
        row, security = declared.access, stated[operation]
        assert isinstance(security, list)
        taken = {scheme for way in security for scheme in way}
        assert taken == (set() if row == EVERYBODY else {kind[role] for role in row if role in kind}), operation
        assert all(len(way) <= 1 for way in security), f"{operation} wants two tokens at once"
    imports = {"startImport", "getImport", "listImportRefusals", "cancelImport"}
    others = imports | {name for name in OPERATIONS if "Webhook" in name}
    assert others | {"fileComplaint", "getMe", "listComplaints", "getComplaint", "getChangeFeed"} == {
        name for name, security in stated.items() if "IntegrationBearer" in json.dumps(security)
    }


PLAIN: Final = {
    # what things are called and counted by
    "id", "agreement_id", "case_id", "case_ids", "cases", "complaint_id", "reference", "number", "attempt", "code",
    "sha256", "disclosure_sha256", "version", "rules_version", "template_version", "kind", "role", "side", "by_role",
    "audience", "items", "next_cursor", "languages", "token_type", "expires_in", "request_id", "instance", "type",
    "title", "detail", "in", "pointer", "parameter", "errors", "missing", "qualified", "active", "method", "mode",
    "url", "integration", "kinds", "secret", "endpoint_id", "event_id", "last_status", "data",
    # how far a case is, and why
    "state", "status", "waits_for", "alerts", "disposition", "outcome", "eligible", "overridden", "approved",
    "approver", "reason", "off_hours_reason", "lapse_reason", "drop_reason", "end_reason", "refusal",
    "agreement_reached", "rank_initiated", "channel", "scheduling", "starting", "open", "superseded", "text_intact",
    "signatures_intact",
    # mails
    "attempts", "smtp_code", "queued_at", "next_attempt_at",
    # the change feed
    "cursor", "events", "sequence",
    "terms_confidential", "closing", "parts", "session_completed",
    # what was done with it
    "opened", "operation", "purpose", "purposes", "rule", "usual",
    # how many there were, where that tells of no case
    "year", "reports", "by_category",
    # what waits for whom
    "scopes", "waiting", "by_wait", "by_alert", "alert", "mandatory_reports", "proposals", "sessions", "notes",
    "assignment_id", "session_id",
    # the office and its own lists
    "office_name", "office_phone", "time_zone", "labels",
    # when
    "added_at", "answered_at", "answer_due_on", "closed_at", "confirmed_at", "filed_at", "finished_at",
    "decided_at", "lifted_at", "notes_destroyed_at", "placed_at", "purged_at", "made_at", "opened_at", "proposed_at",
    "started_at", "superseded_at", "starts_at", "ends_at", "starts_on", "ends_on", "requested_at", "requested_on",
    "due_on", "expires_at", "given_at", "occurred_at", "opened_on", "recorded_at", "screened_at", "signed_at",
    "withdrawn_at", "pace", "days_left", "working_days_left", "raw_days", "net_days", "counted_on", "pauses",
    "ended_at", "uploaded_at",
    # an import, by the numbers of its lines
    "already_there", "dry_run", "filed", "last_line_done", "line", "lines", "refused", "problem",
    # a webhook, and an endpoint of them
    "registered_at", "last_attempt_at", "former_expires_at", "timestamp",
    # whole models, whose own fields are looked at
    "access_codes", "assignment", "intake", "next_session", "others", "participants", "parties", "signer", "target",
    "you",
}  # fmt: skip
"""Fields that tell of nobody: somebody has thought about each."""


def test_every_field_is_known_to_tell_of_somebody_or_of_nobody() -> None:
    schemas: dict[str, dict[str, dict[str, object]]] = json.loads(CONTRACT.read_text("utf-8"))["components"]["schemas"]
    there = {(model, field) for model, schema in schemas.items() for field in schema.get("properties", {})}
    personal = {(model, field) for model, field in there if personal_data_kind(model, field)}
    settled = {(model, field) for model, field in there if f"{model}.{field}" in FIELDS}
    unknown = {f"{model}.{field}" for model, field in there - personal - settled if field not in PLAIN}
    assert unknown == set(), "add each to contract/personal_data.py if it tells of somebody, else to PLAIN above"
    used = {name for model, field in there for name in (field, f"{model}.{field}")}
    assert set(FIELDS) | PLAIN <= used, "of a field that is no more"


def test_every_link_leads_to_an_operation_with_what_it_needs() -> None:
    operations = {o["operationId"]: path for path, item in committed()["paths"].items() for o in item.values()}
    links = [
        link
        for item in committed()["paths"].values()
        for operation in item.values()
        for answer in _object(operation["responses"]).values()
        for link in _object(_object(answer).get("links", {})).values()
    ]
    assert len(links) >= 40
    for link in map(_object, links):
        path = operations[str(link["operationId"])]
        assert set(_object(link["parameters"])) == set(re.findall(r"{(\w+)}", path))


WITHOUT_EVENTS: Final = {
    *("cancelImport", "exchangeAccessCode", "makeCalendarFeed", "revokeCalendarFeed", "startImport"),
    *(name for name in OPERATIONS if "Webhook" in name),
}


def test_everything_that_can_be_recorded_is_recorded_by_some_operation() -> None:
    records = {name: {event.kind for event in each.events} for name, each in OPERATIONS.items() if each.events}
    kinds = {kind for recorded in records.values() for kind in recorded}
    every = {event.kind for event in vars(events).values() if _is_a_kind_of_event(event)}
    assert kinds == every - {"case.at_risk", "case.overdue"}  # which the worker records
    writes = {o["operationId"] for item in committed()["paths"].values() for m, o in item.items() if m != "get"}
    assert set(records) == writes - WITHOUT_EVENTS


def test_every_list_of_values_in_an_answer_is_open_or_said_to_be_closed() -> None:
    page = Path("docs/contract.md").read_text(encoding="utf-8")
    closed = set(re.findall(r"`(\w+)`", page.partition("Closed lists in answers are")[2].partition(".")[0]))
    contract = document()
    schemas = models(contract)
    answers = [
        node(answer)
        for _, _, operation in operations(contract)
        for status, answer in child(operation, "responses").items()
        if status.startswith("2")
    ]
    pending = [*answers, *child(child(contract, "components"), "responses").values(), {"$ref": "/Problem"}]
    seen: set[str] = set()
    said, unsaid = set[str](), set[str]()
    while pending:
        for name in re.findall(r'"\$ref": "[^"]*/(\w+)"', json.dumps(pending.pop())):
            if name in schemas and name not in seen:
                seen.add(name)
                pending.append(schemas[name])
                if "enum" in schemas[name]:
                    said.add(name)
                fields = child(schemas[name], "properties")
                unsaid |= {f"{name}.{field}" for field, shown in fields.items() if "enum" in json.dumps(shown)}
    assert said == closed, "use Open of http/fields.py, or say in docs/contract.md that it is closed"
    assert {each for each in unsaid if not each.endswith(".audience")} == {"FieldError.in"}


def test_an_open_list_names_what_there_is() -> None:
    shown = {name: schema[EXTENSIBLE] for name, schema in models(document()).items() if EXTENSIBLE in schema}
    assert {name for name, listed in shown.items() if len(set(_listed(listed))) < len(_listed(listed))} == set()
    assert shown["ProblemCode"] == sorted(CATALOGUE)
    assert shown["ConditionCode"] == sorted(CONDITIONS)
    # What is restricted is in no feed and no timeline.
    every = {each.kind: each.visibility for each in vars(events).values() if _is_a_kind_of_event(each)}
    restricted = {kind for kind, visibility in every.items() if visibility is events.Visibility.RESTRICTED}
    assert restricted
    assert {*_listed(shown["EventKind"])} == every.keys() - restricted
    assert {every[str(kind)] for kind in _listed(shown["SharedEventKind"])} == {
        events.Visibility.OWN,
        events.Visibility.PARTICIPANTS,
    }


def test_the_codes_of_fields_and_of_gates_are_those_that_the_code_says() -> None:
    """One that nothing says would be a promise that nobody keeps. One that is not listed, mypy refuses."""
    said = defaultdict(set)
    for file in [file for folder in (domain, http, routers) for file in Path(folder.__path__[0]).glob("*.py")]:
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.args:
                said[call.func.id].add(ast.unparse(call.args[1 if call.func.id == "Invalid" else 0]))
    assert {repr(code) for code in get_args(FieldRule)} == said["Invalid"]
    assert {repr(code) for code in get_args(OwnRule)} == said["rule_broken"] | said["parameter_broken"]
    assert {repr(code) for code in get_args(Unreadable)} == said["Malformed"]
    of_sides = {repr(f"{side}-{what}") for side in Side for what in ("missing", "absent")}
    assert {repr(code) for code in CONDITIONS} == said["Missing"] - {"f'{side}-missing'", "f'{side}-absent'"} | of_sides


def test_the_reads_that_are_written_down_say_so() -> None:
    operations = [operation for item in committed()["paths"].values() for operation in item.values()]
    said = {operation["operationId"] for operation in operations if operation["x-audit-event"] == [READ]}
    assert said == {name for name, operation in OPERATIONS.items() if operation.opens}


def _is_a_kind_of_event(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, events.Event) and hasattr(found, "kind")


def _object(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


def _listed(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


def test_every_request_schema_is_closed() -> None:
    schemas: dict[str, dict[str, object]] = json.loads(CONTRACT.read_text(encoding="utf-8"))["components"]["schemas"]
    requests = {name for name in schemas if name.endswith(("In", "Patch"))}
    assert requests
    opened = {name for name in requests if schemas[name].get("additionalProperties") is not False}
    assert opened == set(), "let each derive from In (http/fields.py) or Patch (http/merge_patch.py)"
