"""Access codes: what members of the public use instead of an account.

    7K4MX-PQ09T-5WDR2-…      seven groups of five
    └──┬───┘└─────┬────┘ └ the last character checks the rest
     lookup     secret
     40 bits    128 bits

The lookup part finds the row and may be logged. The secret is stored nowhere: what is stored is a keyed digest, so
that neither a copy of the database nor the key alone is enough to find a code. 128 random bits cannot be searched, so
a fast digest is safe; a slow one would only let strangers keep the processors busy
(docs/decisions/0079-access-codes-are-random-and-hashed-fast.md).

The functions are pure: the caller passes the random bytes (`secrets.token_bytes(ENTROPY_BYTES)`) and the key.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

from mediation_api.domain.errors import AccessCodeInvalid

ENTROPY_BYTES: Final = 21
"""How many random bytes one code takes: 5 for the lookup part, 16 for the secret."""

MIN_KEY_BYTES: Final = 32
"""The shortest secret key accepted: as long as the digest."""

_LOOKUP_BYTES: Final = 5
_SECRET_BYTES: Final = 16
_LOOKUP_CHARS: Final = 8
_CODE_CHARS: Final = 35  # 8 for the lookup part, 26 for the secret (two bits to spare), 1 to check
_GROUP: Final = 5
# Room for a separator or two after every character; longer text is refused without being parsed.
_MAX_TEXT: Final = 128
_DOMAIN: Final = b"mediation_api access code v1\x00"

# Crockford's base 32 (crockford.com/base32.html): no I, L, O (they look like 1 and 0) and no U.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUE: Final = {character: value for value, character in enumerate(_ALPHABET)}
# Among the separators are those that telephones and word processors insert by themselves.
_READ: Final = (
    str.maketrans(_ALPHABET.lower(), _ALPHABET)
    | str.maketrans("OoIiLl", "001111")
    | str.maketrans("", "", " \t\r\n\u00a0-\u2010\u2011\u2012\u2013\u2014\u2212")
)


@dataclass(frozen=True, slots=True)
class AccessCode:
    """One code, unhashed. Its `repr` has the lookup part only; `text()` returns the whole code."""

    lookup: str
    secret: bytes = field(repr=False)

    def text(self) -> str:
        """Return the code as people copy it. It is sent once, in the response that issues it."""
        bits = int.from_bytes(self.secret, "big") << 2
        secret = "".join(_ALPHABET[bits >> shift & 31] for shift in range(125, -1, -5))
        code = self.lookup + secret
        code += _check_character(code)
        return "-".join(code[start : start + _GROUP] for start in range(0, _CODE_CHARS, _GROUP))


def from_entropy(entropy: bytes) -> AccessCode:
    """Make a code of `ENTROPY_BYTES` random bytes.

    Raises ValueError for any other number of bytes.
    """
    if len(entropy) != ENTROPY_BYTES:
        message = f"an access code takes {ENTROPY_BYTES} random bytes"
        raise ValueError(message)
    lookup_bits = int.from_bytes(entropy[:_LOOKUP_BYTES], "big")
    lookup = "".join(_ALPHABET[lookup_bits >> shift & 31] for shift in range(35, -1, -5))
    return AccessCode(lookup, entropy[_LOOKUP_BYTES:])


def parse_access_code(text: str) -> AccessCode:
    """Parse a code as people write it: in any case, with spaces and dashes anywhere, O for 0, I or L for 1.

    Raises AccessCodeInvalid for everything else. The check character finds a mistyped character before anything is
    looked up.
    """
    if len(text) > _MAX_TEXT:
        raise AccessCodeInvalid
    code = text.translate(_READ)
    if len(code) != _CODE_CHARS or not _VALUE.keys() >= set(code) or code[-1] != _check_character(code[:-1]):
        raise AccessCodeInvalid
    bits = 0
    for character in code[_LOOKUP_CHARS:-1]:
        bits = bits << 5 | _VALUE[character]
    if bits & 3:  # the two unused bits must be zero, so that each secret is written in one way only
        raise AccessCodeInvalid
    return AccessCode(code[:_LOOKUP_CHARS], (bits >> 2).to_bytes(_SECRET_BYTES, "big"))


def digest(code: AccessCode, secret_key: bytes) -> bytes:
    """Return the 32 bytes to store for a code: an HMAC-SHA-256, bound to this purpose and this lookup part.

    Raises ValueError for a key shorter than `MIN_KEY_BYTES`.
    """
    if len(secret_key) < MIN_KEY_BYTES:
        message = f"the key of the access codes needs at least {MIN_KEY_BYTES} bytes"
        raise ValueError(message)
    # The lookup part has a fixed length, so no two codes give the same bytes.
    return hmac.digest(secret_key, _DOMAIN + code.lookup.encode("ascii") + code.secret, hashlib.sha256)


def matches(code: AccessCode, stored: bytes | None, secret_key: bytes) -> bool:
    """Return whether a code is the one whose digest was stored, in constant time.

    `stored` is None when no row has this lookup part: the same work is done, so that refusing an unknown code takes
    as long as refusing a wrong one.

    Raises ValueError for a key shorter than `MIN_KEY_BYTES`.
    """
    # No code can be found whose digest is all zeros, so zeros can stand for a missing digest.
    return hmac.compare_digest(digest(code, secret_key), stored or bytes(32))


def fingerprint(lookup: str, stored: bytes) -> str:
    """Return the lower-case hex SHA-256 of what is stored of a code, for the events."""
    return hashlib.sha256(lookup.encode("ascii") + stored).hexdigest()


def _check_character(code: str) -> str:
    """Return the Luhn check character in base 32. It finds one wrong character, and two swapped ones except 0 and Z."""
    total = 0
    for place, character in enumerate(reversed(code)):
        value = _VALUE[character] * (1 if place % 2 else 2)
        total += value // 32 + value % 32
    return _ALPHABET[-total % 32]
