"""Safe retries and no lost updates: idempotency keys, entity tags and preconditions.

A POST carries an `Idempotency-Key`. Its row is written in the transaction of the effect, and so is the answer: a retry
with the same key gets the first answer byte for byte, and nothing happens twice, whatever crashed in between. What was
refused had no effect and is not kept; a retry is decided anew. A withdrawal needs no key: it is idempotent by nature.
The exchange of an access code needs none: it changes nothing.

Who files without a token has nothing but its key: one that can be guessed is refused, and an answer to a caller without
a token is given again only to somebody who sends the very same body with the very same key.

An answer may hold an access code. It is kept encrypted under a key made of the caller's own idempotency key, of which
the database holds a hash alone: a dump does not open it, not even together with the service's secrets.

An entity tag is a hash of the representation itself, so that it tells nothing that the representation does not.

Source: docs/contract.md, "Idempotency" and "Preconditions".
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from secrets import token_bytes
from types import MappingProxyType
from typing import Annotated, Final
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Depends, Header, Request, Response
from pydantic import StringConstraints
from pydantic.json_schema import SkipJsonSchema
from starlette.exceptions import HTTPException

from mediation_api.database.row_security import require_live_code
from mediation_api.domain.access import Role
from mediation_api.domain.strength import Guessable, guessable
from mediation_api.http.dependencies import Connection, Context, Now, Scope
from mediation_api.http.fields import Out
from mediation_api.http.problems import ProblemException
from mediation_api.http.routes import operation_of
from mediation_api.repository.idempotency import Idempotency, KeyedRequest, StoredResponse

_NONCE_BYTES: Final = 12
_AN_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PURPOSE: Final = b"mediation_api idempotent answer v1"
_ANONYMOUS: Final = b"mediation_api anonymous caller v1\x00"
_DIFFERENT: Final = 6
"""How many different characters a key has at the least: of 16 random hexadecimal digits, 99.996 % have."""
_WEAK: Final[Mapping[Guessable, str]] = MappingProxyType(
    {
        "too-few-different": "The key has too few different characters (too-few-different): make a random one.",
        "repeated": "The key repeats itself (repeated): make a random one.",
        "sequence": "The key counts (sequence): make a random one.",
    }
)

IdempotencyKey = Annotated[str, StringConstraints(pattern='^("[A-Za-z0-9_-]{16,128}"|[A-Za-z0-9_-]{16,128})$')]
EntityTags = Annotated[str, StringConstraints(pattern='^(\\*|"[!-~]{1,80}"(, ?"[!-~]{1,80}"){0,9})$')]


class StoredResponseFound(Exception):  # noqa: N818 - not an error: the request was answered before
    """The first answer to this key."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class ClaimedKey:
    """The claim on a key, to be kept together with the answer."""

    def __init__(self, idempotency: Idempotency, attempt: KeyedRequest, seal: AESGCM) -> None:
        self._idempotency = idempotency
        self._attempt = attempt
        self._seal = seal

    async def keep(self, path: str, response: Response) -> None:
        """Keep the answer to a request for a path, in the transaction of its effect."""
        nonce = token_bytes(_NONCE_BYTES)
        sealed = nonce + self._seal.encrypt(nonce, bytes(response.body), _PURPOSE)
        said = f"{path} {bytes(response.body).decode(errors='ignore')}"
        answer = StoredResponse(
            self._attempt.request_sha256,
            response.status_code,
            response.headers.get("location"),
            sealed,
            tuple(sorted({UUID(found) for found in _AN_ID.findall(said)})),
        )
        await self._idempotency.keep(self._attempt, answer)


async def once(
    request: Request,
    scope: Scope,
    opened: Connection,
    service: Context,
    at: Now,
    idempotency_key: Annotated[
        IdempotencyKey | SkipJsonSchema[None],
        Header(
            alias="Idempotency-Key",
            description="Makes a retry safe: the same key and body get the first answer again, for 24 hours.",
            examples=["0b9b1a4e-3c52-4d8e-9a0f-6a2f4be0c1d7"],
        ),
    ] = None,
) -> None:
    """Let a POST happen once for each key. `StrictRoute` keeps the answer before the transaction commits.

    A retry that comes while the first attempt is under way waits for it, and gets its answer.

    Raises:
        Told: the key is missing or can be guessed (400), was used for another request or its answer was erased (422).
        TokenRevoked: the request was answered before, and the caller's access code has ended since.
        Replay: the request was answered before.
    """
    if idempotency_key is None:
        raise ProblemException(400, "idempotency-key-missing", "A POST needs an Idempotency-Key: make a random one.")
    key = idempotency_key.strip('"').encode()
    if (why := guessable(key.replace(b"-", b""), fewest=_DIFFERENT)) is not None:
        raise ProblemException(400, "idempotency-key-weak", _WEAK[why])
    secret = service.settings.access_code_secret.get_secret_value().encode()
    caller = f"{scope.actor.role}:{scope.actor.subject}"
    fingerprint = await _fingerprint(request)
    if scope.actor.role is Role.PUBLIC:
        # Callers without a token have nothing in common: each has the answers to what it sent itself.
        caller = f"{Role.PUBLIC}:{hmac.digest(secret, _ANONYMOUS + key + fingerprint.encode(), hashlib.sha256).hex()}"
    attempt = KeyedRequest(
        caller=caller,
        operation=operation_of(request).id,
        key_sha256=hashlib.sha256(key).hexdigest(),
        request_sha256=fingerprint,
    )
    seal = AESGCM(hmac.digest(secret, _PURPOSE + caller.encode() + b"\x00" + key, hashlib.sha256))
    idempotency = Idempotency(opened)
    first = await idempotency.claim(attempt, at=at)
    if first is None:
        request.state.receipt = ClaimedKey(idempotency, attempt, seal)
        return
    if first.request_sha256 != attempt.request_sha256:
        raise ProblemException(422, "idempotency-key-reused", "This key was used for another request: make a new one.")
    if scope.actor.role is Role.COMPLAINANT:
        await require_live_code(opened, scope.actor)
    if not first.body:
        raise ProblemException(
            422, "idempotency-answer-erased", "This was done, and what was answered has been erased since."
        )
    raise StoredResponseFound(_again(first, seal))


IDEMPOTENT = Depends(once)
"""For the routes of a POST: `dependencies=[ONCE]`."""


async def _fingerprint(request: Request) -> str:
    """A hash of the path and of what the body means, so that spacing and the order of keys do not matter."""
    body = json.dumps(await request.json(), sort_keys=True) if await request.body() else ""
    return hashlib.sha256(f"{request.url.path}\x00{body}".encode()).hexdigest()


def _again(first: StoredResponse, seal: AESGCM) -> Response:
    nonce, sealed = first.body[:_NONCE_BYTES], first.body[_NONCE_BYTES:]
    body = seal.decrypt(nonce, sealed, _PURPOSE)
    headers = {"Idempotency-Replayed": "true", "ETag": entity_tag(body)}
    if first.location is not None:
        headers["Location"] = first.location
    return Response(body, first.status, headers, media_type="application/json")


async def finish(request: Request, response: Response) -> Response:
    """Give a representation its entity tag, keep the answer to a claimed key, answer a conditional GET."""
    body = getattr(response, "body", b"")  # a stream has none
    if not body:
        return response
    tag = entity_tag(bytes(body))
    response.headers["ETag"] = tag
    receipt = getattr(request.state, "receipt", None)
    if isinstance(receipt, ClaimedKey):
        await receipt.keep(request.url.path, response)
    seen = request.headers.get("if-none-match", "")
    if request.method == "GET" and tag in {each.strip().removeprefix("W/") for each in seen.split(",")}:
        # A browser puts these headers in place of the stored ones: the route's own must be among them.
        kept = {name: value for name, value in response.headers.items() if not name.startswith("content-l")}
        return Response(status_code=304, headers=kept)
    return response


# ── entity tags and preconditions ──────────────────────────────────────────────────────────────────────────────────


def entity_tag(body: bytes) -> str:
    """The strong entity tag of a representation."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


class Precondition:
    """What a correction says it has seen."""

    def __init__(self, seen: str) -> None:
        self._seen = seen

    def hold(self, current: Out) -> None:
        """Hold what was seen against the locked row. Raises HTTPException: somebody was quicker (412)."""
        tag = entity_tag(current.model_dump_json(by_alias=True).encode())
        if self._seen != "*" and tag not in {each.strip() for each in self._seen.split(",")}:
            raise HTTPException(412)


async def precondition(
    if_match: Annotated[
        EntityTags | SkipJsonSchema[None],
        Header(
            alias="If-Match",
            description="The ETag of the representation that is being corrected.",
            examples=['"9f86d081884c7d659a2feaa0c55ad015"'],
        ),
    ] = None,
) -> Precondition:
    """What a correction says it has seen. Raises HTTPException: it says nothing (428)."""
    if if_match is None:
        raise HTTPException(428)
    return Precondition(if_match)


IfMatch = Annotated[Precondition, Depends(precondition)]
