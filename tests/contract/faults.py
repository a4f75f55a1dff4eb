"""`make gate-fuzz-faults`: shows that `make gate-fuzz` sees faults that are planted in the application (faulty.py).

| Planted | Turns red |
| --- | --- |
| an error of the server | `not_a_server_error` |
| an undocumented status | `status_code_conformance` |
| a dropped field | `response_schema_conformance` |
| a value that an open list does not hold | `response_schema_conformance`, closed by hooks.py |
| a wrong content type | `content_type_conformance` |
| an unprotected operation | `ignored_auth` |
| an unread parameter | `negative_data_rejection` |
| a contract wider than the code, and a rule that no operation names | `refuses_as_listed` (hooks.py) |
| a role that is kept out, and one that is let in | `refuses_as_listed`, run as every role |
| an operation that is never done | `Run.reached` |
| somebody else's object, and one in a list | `is_nobody_elses` (hooks.py), run as complainants |
"""

from pathlib import Path
from typing import Final

from tests.contract.faulty import FAULTS
from tests.contract.fuzz import as_every_role, as_peers, only
from tests.contract.instance import operations, schemathesis, seeded, serving

from mediation_api.dev.identity_provider import dev_token
from mediation_api.dev.office import RealClock
from mediation_api.domain.access import Role
from mediation_api.settings import Settings

SEEN: Final = {
    "an error of the server": ("getMediator", "ServerError"),
    "an undocumented status": ("getReadiness", "UndefinedStatusCode"),
    "a dropped field": ("getParty", "JsonSchemaError"),
    "an unlisted value": ("listTimelineEvents", "JsonSchemaError"),
    "a wrong content type": ("listScreenings", "UndefinedContentType"),
    "an unprotected operation": ("getComplaint", "IgnoredAuth"),
    "an unread parameter": ("listSessions", "AcceptedNegativeData"),
    "a contract wider than the code": ("addAttendee", "refuses_as_listed"),
    "a rule that is not named": ("recordApproval", "refuses_as_listed"),
}
"""The operation, and the class of the failure or our own check that has to be found."""

SEEN_AS_COMPLAINANTS: Final = {
    "somebody else's object": ("getSession", "is_nobody_elses"),
    "somebody else's object in a list": ("listCases", "is_nobody_elses"),
}
SEEN_AS_EVERY_ROLE: Final = {
    "a role that is kept out": ("getTarget", "refuses_as_listed"),
    "a role that is let in": ("getCoordinator", "refuses_as_listed"),
}
NEVER_DONE: Final = {"an operation that is never done": "pauseTarget"}


async def test_every_planted_fault_is_seen(committed: Settings, keys: Path, tmp_path: Path) -> None:
    assert set(FAULTS) == {*SEEN, *SEEN_AS_COMPLAINANTS, *SEEN_AS_EVERY_ROLE, *NEVER_DONE}
    token = dev_token(
        keys,
        issuer=committed.token_issuer,
        audience=committed.token_audience,
        role=Role.DIRECTOR,
        subject="director.1",
        employee_number=None,
        minutes=60,
        now=RealClock().now,
    )
    labels = {name: label for name, (label, _) in operations().items()}
    spoiled = [name for name, _ in SEEN.values()] + list(NEVER_DONE.values())
    of_roles = [name for name, _ in SEEN_AS_EVERY_ROLE.values()]
    # The cases are made before anything is wrong.
    with serving(committed, keys) as url:
        async with seeded(url, committed, rounds=1) as plan:
            pass
    with serving(committed, keys, "tests.contract.faulty:application", FUZZ_TOKEN=token) as url:
        peers = await as_peers(url, plan, tmp_path / "peers")
        run = await schemathesis(url, plan, tmp_path / "all", *only(spoiled))
        roles = await as_every_role(url, plan, tmp_path / "roles", *only(of_roles))
    found = {fault: (labels[name], kind) in run.failures for fault, (name, kind) in SEEN.items()}
    found |= {fault: (labels[name], kind) in peers.failures for fault, (name, kind) in SEEN_AS_COMPLAINANTS.items()}
    found |= {fault: (labels[name], kind) in roles.failures for fault, (name, kind) in SEEN_AS_EVERY_ROLE.items()}
    found |= {fault: name not in run.reached for fault, name in NEVER_DONE.items()}
    assert all(found.values()), f"{found}\n{sorted(run.failures)}\n{sorted(peers.failures)}\n{sorted(roles.failures)}"
    assert run.code == peers.code == roles.code == 1
