"""Cursors: a place in a list, as the caller carries it from one request to the next.

A cursor grants no rights: each page is read within the caller's access scope anew. It is bound to its operation,
path, filters and order, and encrypted (AES-SIV, RFC 5297), so that nobody can make one, or read from one the place of
an event among all events, which would count what others did.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from fastapi import Request

from mediation_api.http.routes import operation_of

LONGEST_CURSOR: Final = 400

_PLACE: Final = frozenset({"limit", "cursor", "after"})
"""The parameters that say which page of a list is requested, and not which list."""
_DIGITS: Final = 19
"""Of the largest bigint."""


class Cursors(NamedTuple):
    """Makes and reads the cursors of one list."""

    secret: bytes
    list_id: bytes
    """The operation, the path, the filters and the order of the request: the associated data of a cursor."""

    @classmethod
    def of(cls, request: Request, secret: str) -> "Cursors":
        """Return the cursors of the list that is requested."""
        query = sorted(item for item in request.query_params.multi_items() if item[0] not in _PLACE)
        list_id = json.dumps([operation_of(request).id, request.url.path, query]).encode()
        return cls(secret.encode(), list_id)

    def encrypt(self, values: Sequence[object]) -> str:
        """Return the cursor of a place, which is given by numbers, ids and times."""
        body = json.dumps([_tagged(each) for each in values], separators=(",", ":")).encode()
        encrypted = self._cipher().encrypt(body, [self.list_id])
        return base64.urlsafe_b64encode(encrypted).rstrip(b"=").decode()

    def decrypt(self, cursor: str) -> tuple[object, ...] | None:
        """Return the place of a cursor; None if it is not of this list."""
        try:
            encrypted = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            body = self._cipher().decrypt(encrypted, [self.list_id])
        except (ValueError, InvalidTag):  # not ASCII, not base64, too short, or not ours
            return None
        # It could be decrypted, so `encrypt` made it.
        return tuple(_READERS[tag](text) for tag, text in json.loads(body))

    def _cipher(self) -> AESSIV:
        return AESSIV(hashlib.sha512(self.secret).digest())


_READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "UUID": UUID,
    "int": int,
}


def _tagged(value: object) -> tuple[str, str]:
    tag = "UUID" if isinstance(value, UUID) else type(value).__name__
    if isinstance(value, int):
        # Of one width: the length of a cursor would reveal how many digits the position among all events has.
        return tag, f"{value:0{_DIGITS}}"
    return tag, value.isoformat() if isinstance(value, date) else str(value)
