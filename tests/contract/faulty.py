"""The application with faults planted around it, one for each check of the gate. See faults.py.

`python -m tests.contract.serve FILENO tests.contract.faulty:application`, with the token of a director in FUZZ_TOKEN.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mediation_api.main import app_from_environment

_ID: Final = "[0-9a-f-]{36}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong with one operation."""

    method: str
    path: str
    before: Callable[[Scope], None] = lambda _: None
    after: Callable[[int, dict[str, str], bytes], tuple[int, bytes]] = lambda status, _, body: (status, body)

    def hits(self, scope: Scope) -> bool:
        """Whether a request is for this operation."""
        return scope["method"] == self.method and re.fullmatch(self.path, scope["path"]) is not None


def as_director(scope: Scope) -> None:
    """Serve whoever calls as somebody who may do everything."""
    others = [(name, value) for name, value in scope["headers"] if name != b"authorization"]
    scope["headers"] = [*others, (b"authorization", b"Bearer " + os.environ["FUZZ_TOKEN"].encode())]


def as_director_once_signed_in(scope: Scope) -> None:
    """Look at whether somebody has signed in, and not at who."""
    token = dict(scope["headers"]).get(b"authorization", b"")
    if token.count(b".") == len("..") and len(token) > len("Bearer ") + 100:
        as_director(scope)


def without_query(scope: Scope) -> None:
    """Read no parameter, so that none can be wrong."""
    scope["query_string"] = b""


def _with_status(status: int) -> Callable[[int, dict[str, str], bytes], tuple[int, bytes]]:
    return lambda was, _, body: (status if was < 300 else was, body)


def without_a_name(status: int, _: dict[str, str], body: bytes) -> tuple[int, bytes]:
    """Drop a field that the contract promises."""
    document = json.loads(body)
    document.pop("name", None)
    return status, json.dumps(document).encode()


def as_something_new(status: int, _: dict[str, str], body: bytes) -> tuple[int, bytes]:
    """Say a word of an open list that the contract does not list."""
    return status, body.replace(b'"case.opened"', b'"case.begun"')


def as_text(status: int, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    """Say that it is something else."""
    headers["content-type"] = "text/plain"
    return status, body


def refused(status: int, code: str, *fields: str) -> Callable[[int, dict[str, str], bytes], tuple[int, bytes]]:
    """Refuse what is done, with the code of the problem, and of a field if one is named."""
    common = {"type": "about:blank", "title": "Refused", "detail": "See the list.", "instance": "/requests/1"}
    errors = [{"in": "body", "pointer": "/name", "parameter": None, "code": each, "detail": "No."} for each in fields]
    problem = {**common, "status": status, "code": code, "request_id": "1", "errors": errors, "missing": []}

    def refuse(was: int, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if was >= 300:
            return was, body
        headers["content-type"] = "application/problem+json"
        return status, json.dumps(problem).encode()

    return refuse


FAULTS: Final[Mapping[str, Fault]] = {
    "an error of the server": Fault("GET", f"/v1/mediators/{_ID}", after=_with_status(500)),
    "an undocumented status": Fault("GET", f"/v1/cases/{_ID}/readiness", after=_with_status(202)),
    "a dropped field": Fault("GET", f"/v1/parties/{_ID}", after=without_a_name),
    "an unlisted value": Fault("GET", f"/v1/cases/{_ID}/timeline", after=as_something_new),
    "a wrong content type": Fault("GET", f"/v1/cases/{_ID}/screenings", after=as_text),
    "an unprotected operation": Fault("GET", f"/v1/complaints/{_ID}", before=as_director),
    "an unread parameter": Fault("GET", "/v1/sessions", before=without_query),
    "a contract wider than the code": Fault(
        "POST", f"/v1/cases/{_ID}/attendees", after=refused(422, "validation-failed", "too-long")
    ),
    "a rule that is not named": Fault("POST", f"/v1/cases/{_ID}/approvals", after=refused(409, "session-in-progress")),
    "a role that is kept out": Fault("GET", f"/v1/cases/{_ID}/target", after=refused(403, "not-permitted")),
    "a role that is let in": Fault("GET", f"/v1/cases/{_ID}/coordinator", before=as_director_once_signed_in),
    "an operation that is never done": Fault("POST", f"/v1/cases/{_ID}/pauses", after=_with_status(409)),
    "somebody else's object": Fault("GET", f"/v1/sessions/{_ID}", before=as_director_once_signed_in),
    "somebody else's object in a list": Fault("GET", "/v1/cases", before=as_director_once_signed_in),
}


class Faulty:
    """The application, wrong where FAULTS say so."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        fault = next((each for each in FAULTS.values() if scope["type"] == "http" and each.hits(scope)), None)
        if fault is None:
            await self.app(scope, receive, send)
            return
        fault.before(scope)
        started: Message = {}
        content = b""

        async def spoiled(message: Message) -> None:
            nonlocal started, content
            if message["type"] == "http.response.start":
                started = message
                return
            content += message.get("body", b"")
            if message.get("more_body", False):
                return
            headers = {name.decode(): value.decode() for name, value in started["headers"]}
            status, body = fault.after(started["status"], headers, content)
            headers["content-length"] = str(len(body))
            raw = [(name.encode(), value.encode()) for name, value in headers.items()]
            await send({**started, "status": status, "headers": raw})
            await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, spoiled)


def application() -> ASGIApp:
    """Make the application of the environment's settings, and plant the faults."""
    return Faulty(app_from_environment())
