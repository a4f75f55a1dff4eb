"""Encrypt columns with personal data in the application (envelope encryption), so that the database stores ciphertext.

Each complaint and each mediator has a data key. The table `data_keys` stores it wrapped under a key-encryption key of
the settings, which is never sent to the database. A value is encrypted with AES-256-GCM under the data key; the
associated data are its table, column and row, so a ciphertext that is copied to another place cannot be decrypted.

    Column("name", Encrypted, nullable=False)             accepts nothing but a `Ciphertext`
    key.encrypted_row(parties, party_id, values)          to write, with a key of `data_key` or `new_data_key`
    select(decrypted(parties.c.name))                     to read (database/data_keys.py)

A read selects the value together with its wrapped key and its row's id as one text, so that it needs one statement,
nested JSON included. A data key is unwrapped once for the values of a request: it is kept until a connection returns to
its pool, and is only found by the wrapped key that the statement has read. A value that is not ciphertext is treated as
tampered with: it is not returned. CHECK constraints refuse to store one.
"""

import base64
import binascii
import hashlib
import hmac
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from secrets import token_bytes
from typing import Final, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Dialect, String, Table, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import JSON

from mediation_api.domain.employee_numbers import folded
from mediation_api.domain.values import UNREADABLE
from mediation_api.logs import LogEvent
from mediation_api.settings import Settings

T = TypeVar("T")

MARK: Final = "encrypted.1."
"""The prefix of every encrypted value, with the version of its format."""

_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_KEPT_DATA_KEYS: Final = 256
"""How many data keys are kept at most: a page has 100 rows, with a few keys each."""
_log = logging.getLogger(__name__)


class KeyMissing(Exception):  # noqa: N818 - the name states the condition
    """The settings lack a key-encryption key that is in use. The message names its id."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"MEDIATION_ENCRYPTION_KEYS lacks {key_id}")


class DecryptionFailed(Exception):  # noqa: N818 - the name states the condition
    """A value cannot be decrypted: it was changed, moved or truncated. The message names its place and no content."""

    def __init__(self, place: str = "") -> None:
        super().__init__(place)
        self.place = place


class Ciphertext(str):
    """An encrypted value, as the database stores it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key as the database stores it, and the id of the key that it is wrapped under."""

    key_id: str
    wrapped: str


class Keyring:
    """The keys of the settings: the key-encryption keys, and the HMAC key of the blind indexes."""

    def __init__(
        self, keys: Mapping[str, bytes], search_secret: bytes, other_secrets: Mapping[str, bytes] | None = None
    ) -> None:
        self.current = next(iter(keys))
        self._keys = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._data_key = lru_cache(_KEPT_DATA_KEYS)(self._unwrapped)
        self._search = hmac.digest(search_secret, b"mediation_api search key 1", hashlib.sha256)
        self.search_mark = hmac.digest(self._search, b"mark", hashlib.sha256).hex()[:8]
        """The prefix of every hash under the current search secret. Hashes under an older one have another."""
        secrets = {"search_secret": search_secret, **(other_secrets or {})}
        secrets |= {f"encryption_keys {key_id}": key for key_id, key in keys.items()}
        self.canaries: Mapping[str, str] = {
            name: hmac.digest(secret, f"mediation_api canary 1 {name}".encode(), hashlib.sha256).hex()
            for name, secret in secrets.items()
        }
        """A value by which each secret is recognized, by name (database/canaries.py)."""

    @classmethod
    def of(cls, settings: Settings) -> "Keyring":
        """Return the keyring of the settings."""
        return cls(
            settings.key_encryption_keys,
            settings.search_secret.get_secret_value().encode(),
            {
                "access_code_secret": settings.access_code_secret.get_secret_value().encode(),
                "cursor_secret": settings.cursor_secret.get_secret_value().encode(),
            },
        )

    def knows(self, key_id: str) -> bool:
        """Whether the settings contain this key-encryption key."""
        return key_id in self._keys

    def wrap(self, data_key: bytes, owner: UUID) -> WrappedKey:
        """Wrap a data key under the current key."""
        return WrappedKey(self.current, _encrypted(self._keys[self.current], data_key, _wrapping(owner, self.current)))

    def unwrap(self, key: WrappedKey, owner: UUID | str) -> bytes:
        """Return the data key. Raises KeyMissing or DecryptionFailed."""
        if key.key_id not in self._keys:
            raise KeyMissing(key.key_id)
        return _decrypted(self._keys[key.key_id], key.wrapped, _wrapping(owner, key.key_id))

    def rewrap(self, key: WrappedKey, owner: UUID) -> WrappedKey:
        """Wrap a data key under the current key; its values do not change. Raises KeyMissing or DecryptionFailed."""
        return self.wrap(self.unwrap(key, owner), owner)

    def hashed(self, value: str) -> str:
        """Return the value's keyed hash (HMAC-SHA-256) for a blind index."""
        return f"{self.search_mark}.{hmac.digest(self._search, value.encode(), hashlib.sha256).hex()}"

    def decrypt(self, envelope: str, table: str, column: str) -> str:
        """Return the text of a `data_keys.decrypted` expression's result; an empty text for an emptied value.

        Raises:
            KeyMissing: the settings lack the key that the data key is wrapped under.
            DecryptionFailed: the value or its data key was changed, the data key was deleted, or the value is not
                encrypted.
        """
        owner, key_id, wrapped, row, value = envelope.split(" ", 4)
        if not value:
            return value
        if not value.startswith(MARK):
            raise DecryptionFailed(f"{table}.{column} of {row}: it is not encrypted")
        if not wrapped:
            raise DecryptionFailed(f"{table}.{column} of {row}: it has no data key")
        try:
            data_key = self._data_key(owner, key_id, wrapped)
            return _decrypted(data_key, value.removeprefix(MARK), _place(table, column, row)).decode()
        except (DecryptionFailed, UnicodeDecodeError):
            raise DecryptionFailed(f"{table}.{column} of {row}") from None

    def forget_data_keys(self) -> None:
        """Forget the data keys that `decrypt` has unwrapped. Called when a connection returns to its pool."""
        self._data_key.cache_clear()

    def _unwrapped(self, owner: str, key_id: str, wrapped: str) -> AESGCM:
        return AESGCM(self.unwrap(WrappedKey(key_id, wrapped), owner))


@dataclass(frozen=True, slots=True)
class DataKey:
    """The data key of one complaint or one mediator. It encrypts values."""

    key: bytes = field(repr=False)

    def encrypt(self, table: str, column: str, row_id: UUID, text: str) -> Ciphertext:
        """Encrypt a text for one column of one row."""
        place = _place(table, column, row_id)
        return Ciphertext(MARK + _encrypted(AESGCM(self.key), text.encode(), place))

    def encrypted_row(self, table: Table, row_id: UUID, values: Mapping[str, object]) -> dict[str, object]:
        """Return a row's values with those of encrypted columns encrypted, and with the values of its blind indexes."""
        encrypted = {
            name: self.encrypt(table.name, name, row_id, value)
            for name, value in values.items()
            if isinstance(value, str) and is_encrypted(table, name)
        }
        return {**values, **encrypted, **hashes_of(table, values)}

    def encrypted_changes(self, table: Table, row_id: UUID, changes: Mapping[str, object]) -> dict[str, object]:
        """Return changes of an existing row, as `encrypted_row` returns a row.

        A value that is `UNREADABLE` is no change: a client sends back what it has read, and the stored value may become
        readable again.
        """
        actual = {
            name: value for name, value in changes.items() if not (is_encrypted(table, name) and value == UNREADABLE)
        }
        return self.encrypted_row(table, row_id, actual)


def new_key() -> bytes:
    """Return 256 random bits: a new data key, or a new key-encryption key."""
    return token_bytes(_KEY_BYTES)


def hashes_of(table: Table, values: Mapping[str, object]) -> dict[str, object]:
    """Return the table's blind indexes of these values, by name. `BlindIndex` hashes each value when it is bound."""
    indexes = [(column.name, column.type.of) for column in table.c if isinstance(column.type, BlindIndex)]
    return {name: values[of] for name, of in indexes if of in values}


def is_encrypted(table: Table, name: str) -> bool:
    """Whether a column of the table is encrypted."""
    return isinstance(table.c[name].type, Encrypted)


# ── columns ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Encrypted(TypeDecorator[str]):
    """The type of an encrypted column. Accepts nothing but a `Ciphertext`; read it with `data_keys.decrypted`."""

    impl: type[Text | String] = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the value unchanged. Raises TypeError if it is not a `Ciphertext`."""
        del dialect
        if value is not None and not isinstance(value, Ciphertext):
            raise TypeError("a text for an encrypted column is not encrypted")
        return None if value is None else str(value)


class EncryptedString(Encrypted):
    """`Encrypted` for a `varchar` column."""

    impl = String
    cache_ok = True


class BlindIndex(TypeDecorator[str]):
    """The type of a blind index: keyed hashes of an encrypted column, for searches by equality.

    Every value that is written or compared is hashed. `of` names the encrypted column. All of them hold employee
    numbers, which are normalised first, so that each spelling of a number has the same hash.
    """

    impl = String
    cache_ok = True

    def __init__(self, of: str) -> None:
        super().__init__()
        self.of = of

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Hash the value that is written or searched for."""
        return None if value is None else keyring(dialect).hashed(folded(value))


class Decrypted(TypeDecorator[str]):
    """The type of a `data_keys.decrypted` expression: decrypts each value when its row is fetched.

    Returns `or_else` for a value that cannot be decrypted, or raises DecryptionFailed if `or_else` is None. SQLAlchemy
    uses the arguments in its cache key: compiling a statement costs more than decrypting its values.
    """

    impl = Text
    cache_ok = True

    def __init__(self, table: str, column: str, or_else: str | None = UNREADABLE) -> None:
        super().__init__()
        self.table = table
        self.column = column
        self.or_else = or_else

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], str | None]:
        """Return what decrypts a value. It raises KeyMissing; or DecryptionFailed if there is no `or_else`."""
        del coltype
        keys, table, column, or_else = keyring(dialect), self.table, self.column, self.or_else
        return lambda value: _decrypted_value(value, keys, table, column, or_else)


class DecryptedList(TypeDecorator[list[dict[str, object]]]):
    """The type of nested rows (database/nesting.py) with encrypted values: decrypts them when the row is fetched.

    Each of `fields` is the name of a value in the JSON objects, and the arguments of `Decrypted`.
    """

    impl = JSON
    cache_ok = True

    def __init__(self, fields: tuple[tuple[str, str, str, str | None], ...]) -> None:
        super().__init__()
        self.fields = fields

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[T], T]:
        """Return what decrypts the values in each row: of a list, or of a single object."""
        del coltype
        keys = keyring(dialect)

        def decrypt(value: T) -> T:
            for row in value if isinstance(value, list) else [value]:
                if isinstance(row, dict):
                    for name, table, column, or_else in self.fields:
                        row[name] = _decrypted_value(row[name], keys, table, column, or_else)
            return value

        return decrypt


def _decrypted_value(value: str | None, keys: Keyring, table: str, column: str, or_else: str | None) -> str | None:
    if value is None:
        return None
    try:
        return keys.decrypt(value, table, column)
    except DecryptionFailed as failure:
        _log.error(LogEvent("unreadable", place=failure.place))
        if or_else is None:
            raise
        return or_else


# ── the keyring of each engine ─────────────────────────────────────────────────────────────────────────────────────

_KEYRINGS: Final[WeakKeyDictionary[Dialect, Keyring]] = WeakKeyDictionary()
"""The keyring of each engine, by its dialect: the dialect is all that SQLAlchemy passes to a column type."""


def attach_keyring(dialect: Dialect, keys: Keyring) -> None:
    """Set the keys with which the columns of an engine are decrypted and searched."""
    _KEYRINGS[dialect] = keys


def keyring(dialect: Dialect) -> Keyring:
    """Return the keys of the engine that has this dialect."""
    return _KEYRINGS[dialect]


# ── AES-256-GCM ────────────────────────────────────────────────────────────────────────────────────────────────────


_STANDARD_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")
"""Translates URL-safe base64 into standard base64."""


def _place(table: str, column: str, row_id: UUID | str) -> bytes:
    """Return the associated data of a value: the format, and its table, column and row."""
    return f"mediation_api {MARK} {table} {column} {row_id}".encode()


def _wrapping(owner: UUID | str, key_id: str) -> bytes:
    return f"mediation_api data key 1 {owner} {key_id}".encode()


def _encrypted(key: AESGCM, content: bytes, associated_data: bytes) -> str:
    nonce = token_bytes(_NONCE_BYTES)
    return base64.urlsafe_b64encode(nonce + key.encrypt(nonce, content, associated_data)).decode()


def _decrypted(key: AESGCM, encoded: str, associated_data: bytes) -> bytes:
    try:
        decoded = binascii.a2b_base64(encoded.encode("ascii").translate(_STANDARD_ALPHABET), strict_mode=True)
        return key.decrypt(decoded[:_NONCE_BYTES], decoded[_NONCE_BYTES:], associated_data)
    except (ValueError, InvalidTag):  # no base64, too short, or the authentication failed
        raise DecryptionFailed from None
