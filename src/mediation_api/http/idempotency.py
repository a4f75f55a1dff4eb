"""Idempotency keys, entity tags and preconditions: safe retries, and no lost updates.

A POST has an `Idempotency-Key`. The key and the response are stored in the transaction of the command: a retry with the
same key gets the first response byte for byte, and the command is not repeated, whatever crashed in between. A refused
request had no effect, and its response is not stored: a retry is processed again. Three operations need no key: a
withdrawal and an upload of complaints, which are idempotent by themselves, and the exchange of an access code, which
changes nothing.

A caller without a token is identified by nothing but its key. So a key that can be guessed is refused, and the stored
response to such a caller is returned only for the same body and the same key.

A response may contain an access code. It is stored encrypted under a key derived from the idempotency key, of which the
database has only a hash: it cannot be decrypted from a dump, not even with the service's secrets.

An entity tag is a hash of the representation, so that it reveals nothing else.

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
from mediation_api.http.dependencies import (
    StoredResponseFound,
    access_scope_of,
    connection_of,
    context_of,
    time_of,
    uses_connection,
)
from mediation_api.http.fields import Out
from mediation_api.http.problems import ProblemException
from mediation_api.http.routes import operation_of
from mediation_api.repository.idempotency import Idempotency, KeyedRequest, StoredResponse

_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 34
"""Of an entity tag, with its quotes."""
_AN_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PURPOSE: Final = b"mediation_api idempotent answer v1"
_ANONYMOUS: Final = b"mediation_api anonymous caller v1\x00"
_DIFFERENT: Final = 6
"""The least number of different characters in a key: 99.996 % of keys of 16 random hexadecimal digits have as many."""
_WEAK: Final[Mapping[Guessable, str]] = MappingProxyType(
    {
        "too-few-different": "The key has too few different characters (too-few-different): make a random one.",
        "repeated": "The key repeats itself (repeated): make a random one.",
        "sequence": "The key counts (sequence): make a random one.",
    }
)

IdempotencyKey = Annotated[str, StringConstraints(pattern='^("[A-Za-z0-9_-]{16,128}"|[A-Za-z0-9_-]{16,128})$')]
EntityTags = Annotated[str, StringConstraints(pattern='^(\\*|"[!-~]{1,80}"(, ?"[!-~]{1,80}"){0,9})$')]


class ClaimedKey:
    """A key that this request has claimed. The response is stored under it."""

    def __init__(self, idempotency: Idempotency, keyed_request: KeyedRequest, cipher: AESGCM) -> None:
        self._idempotency = idempotency
        self._request = keyed_request
        self._cipher = cipher

    async def store(self, path: str, response: Response) -> None:
        """Store the response to a request for `path`, in the transaction of the command."""
        nonce = token_bytes(_NONCE_BYTES)
        # The entity tag is encrypted as well: that of a complaint is a hash of what may be guessed.
        shown = response.headers["etag"].encode() + bytes(response.body)
        encrypted = nonce + self._cipher.encrypt(nonce, shown, _PURPOSE)
        # By the ids in path and body, an erasure finds the stored responses to be erased.
        text = f"{path} {bytes(response.body).decode(errors='ignore')}"
        stored = StoredResponse(
            self._request.request_sha256,
            response.status_code,
            response.headers.get("location"),
            encrypted,
            tuple(sorted({UUID(match) for match in _AN_ID.findall(text)})),
        )
        await self._idempotency.keep(self._request, stored)


@uses_connection
async def claim_key(
    request: Request,
    idempotency_key: Annotated[
        IdempotencyKey | SkipJsonSchema[None],
        Header(
            alias="Idempotency-Key",
            description="Makes a retry safe: for 24 hours, the same key and body get the first response again.",
            examples=["0b9b1a4e-3c52-4d8e-9a0f-6a2f4be0c1d7"],
        ),
    ] = None,
) -> None:
    """Claim the key of a POST, so that it is carried out once. `finish` stores the response before the commit.

    A retry that arrives while the first attempt is being processed waits for it, and gets its response.

    Raises:
        ProblemException: the key is missing or can be guessed (400), or it was used for another request, or its
            response was erased (422).
        TokenRevoked: the request was answered before, and the caller's access code has ended since.
        StoredResponseFound: the request was answered before.
    """
    if idempotency_key is None:
        raise ProblemException(400, "idempotency-key-missing", "A POST needs an Idempotency-Key: make a random one.")
    key = idempotency_key.strip('"').encode()
    if (why := guessable(key.replace(b"-", b""), fewest=_DIFFERENT)) is not None:
        raise ProblemException(400, "idempotency-key-weak", _WEAK[why])
    scope, opened = access_scope_of(request), connection_of(request)
    secret = context_of(request).settings.access_code_secret.get_secret_value().encode()
    caller = f"{scope.actor.role}:{scope.actor.subject}"
    fingerprint = await _fingerprint(request)
    if scope.actor.role is Role.PUBLIC:
        # Callers without a token do not share keys: each gets stored responses only to its own requests.
        caller = f"{Role.PUBLIC}:{hmac.digest(secret, _ANONYMOUS + key + fingerprint.encode(), hashlib.sha256).hex()}"
    keyed_request = KeyedRequest(
        caller=caller,
        operation=operation_of(request).id,
        key_sha256=hashlib.sha256(key).hexdigest(),
        request_sha256=fingerprint,
    )
    cipher = AESGCM(hmac.digest(secret, _PURPOSE + caller.encode() + b"\x00" + key, hashlib.sha256))
    idempotency = Idempotency(opened)
    first = await idempotency.claim(keyed_request, at=time_of(request))
    if first is None:
        request.state.claimed_key = ClaimedKey(idempotency, keyed_request, cipher)
        return
    if first.request_sha256 != keyed_request.request_sha256:
        raise ProblemException(422, "idempotency-key-reused", "This key was used for another request: make a new one.")
    if scope.actor.role is Role.COMPLAINANT:
        await require_live_code(opened, scope.actor)
    if not first.body:
        raise ProblemException(
            422, "idempotency-answer-erased", "This was carried out, and its response has been erased since."
        )
    raise StoredResponseFound(_stored_response(first, cipher))


IDEMPOTENT = Depends(claim_key)
"""For the route of a POST: `dependencies=[IDEMPOTENT]`."""


async def _fingerprint(request: Request) -> str:
    """Return a hash of the path and the parsed body, in which spacing and the order of keys do not matter."""
    body = json.dumps(await request.json(), sort_keys=True) if await request.body() else ""
    return hashlib.sha256(f"{request.url.path}\x00{body}".encode()).hexdigest()


def _stored_response(first: StoredResponse, cipher: AESGCM) -> Response:
    nonce, encrypted = first.body[:_NONCE_BYTES], first.body[_NONCE_BYTES:]
    shown = cipher.decrypt(nonce, encrypted, _PURPOSE)
    tag, body = shown[:_TAG_BYTES], shown[_TAG_BYTES:]
    headers = {"Idempotency-Replayed": "true", "ETag": tag.decode()}
    if first.location is not None:
        headers["Location"] = first.location
    return Response(body, first.status, headers, media_type="application/json")


async def finish(request: Request, response: Response) -> Response:
    """Set the entity tag unless the route has, store the response to a claimed key, and answer 304 where it applies."""
    body = getattr(response, "body", b"")  # a streaming response has none
    if not body:
        return response
    tag = response.headers.setdefault("ETag", entity_tag(bytes(body)))
    claimed_key = getattr(request.state, "claimed_key", None)
    if isinstance(claimed_key, ClaimedKey):
        await claimed_key.store(request.url.path, response)
    if_none_match = request.headers.get("if-none-match", "")
    if request.method == "GET" and tag in {each.strip().removeprefix("W/") for each in if_none_match.split(",")}:
        # A browser replaces its cached headers by those of the 304, so the route's own headers are sent again.
        headers = {name: value for name, value in response.headers.items() if not name.startswith("content-l")}
        return Response(status_code=304, headers=headers)
    return response


# ── entity tags and preconditions ──────────────────────────────────────────────────────────────────────────────────


def entity_tag(body: bytes) -> str:
    """Return the strong entity tag of a representation."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def entity_tag_of(current: Out) -> str:
    """Return the entity tag that the response with this model has."""
    return entity_tag(current.model_dump_json(by_alias=True).encode())


class Precondition:
    """The precondition of a correction: its `If-Match`."""

    def __init__(self, if_match: str) -> None:
        self._if_match = if_match

    def check(self, current: Out) -> None:
        """Compare with the representation of the locked row. Raises HTTPException if it has changed (412)."""
        tag = entity_tag_of(current)
        if self._if_match != "*" and tag not in {each.strip() for each in self._if_match.split(",")}:
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
    """Return the precondition of a correction. Raises HTTPException if it has no `If-Match` (428)."""
    if if_match is None:
        raise HTTPException(428)
    return Precondition(if_match)


IfMatch = Annotated[Precondition, Depends(precondition)]
