"""What each operation may refuse to each role, although the request is as its schema says.

tests/snapshots/refusals.json lists it: by operation and by the roles that may call it, each refusal as a status and a
code. Whatever else is refused fails the test that gets it (conformity.py) and the fuzzer, which calls every operation
as every role (tests/contract/hooks.py). test_refusals.py derives the list; `make generate` writes it.
"""

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from functools import cache
from typing import Final, TypeAlias

from tests.office.snapshots import read

Listed: TypeAlias = Mapping[str, Mapping[str, frozenset[str]]]
"""Refusals by operation and role. A role that is absent may not call the operation."""
SNAPSHOT: Final = "refusals"


def role_of(authorization: str) -> str:
    """The role of whoever sends this header: without a token the public, with one of this service a complainant."""
    _, _, rest = authorization.partition(".")
    claims = rest.partition(".")[0]
    try:
        return str(json.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4))).get("role", "complainant"))
    except ValueError:  # no token, or none that anybody gave out
        return "public"


def as_snapshot(listed: Listed) -> dict[str, dict[str, str]]:
    """The list as people review it: roles with the same refusals together."""
    return {
        name: {
            ", ".join(role for role, own in roles.items() if own == refusals): ", ".join(sorted(refusals))
            for refusals in roles.values()
        }
        for name, roles in listed.items()
    }


@cache
def reviewed() -> Listed:
    """The list as it was last reviewed."""
    known: dict[str, dict[str, str]] = read(SNAPSHOT)  # type: ignore[assignment] # JSON
    return {
        name: {
            role: frozenset(refusals.split(", ") if refusals else ())
            for roles, refusals in rows.items()
            for role in roles.split(", ")
        }
        for name, rows in known.items()
    }
