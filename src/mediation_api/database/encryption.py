"""Sealed columns: what identifies or tells about a person is encrypted before it reaches the database.

Each complaint has a data key of its own, and each mediator; it stands in `data_keys`, wrapped under a key of the
settings that the database never sees. A value is sealed with AES-256-GCM under the data key, and bound to its table,
column and row: moved anywhere else, it does not open. Whoever holds a dump holds ciphertext.

    Column("name", Sealed, nullable=False)                the mark: nothing but a `Ciphertext` can be written
    row = key.encrypted_row(parties, party_id, values)       to write, under `data_key` or `new_data_key`
    select(opened(parties.c.name))                        to read

What is read carries its wrapped key and its row in one text, so that a read stays one statement, nested JSON included.
Keys are unwrapped for each value and kept nowhere: that costs microseconds. Text that is not sealed does not open: it
is of nobody who had the key, and constraints keep it out.
"""

import base64
import hashlib
import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import Final, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Dialect, String, Table, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB

from mediation_api.domain.employee_numbers import folded
from mediation_api.logs import LogEvent
from mediation_api.settings import Settings

T = TypeVar("T")

UNREADABLE: Final = "[unreadable]"
"""Stands where a value does not open: one damaged value takes nobody's page away, let alone anybody's withdrawal."""

MARK: Final = "encrypted.1."
"""What a sealed value begins with: the format it has."""

_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_log = logging.getLogger(__name__)


class KeyMissing(Exception):  # noqa: N818 - what is wrong, in words
    """The settings lack a key that something is sealed under. The text names its id."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"MEDIATION_ENCRYPTION_KEYS lacks {key_id}")


class DecryptionFailed(Exception):  # noqa: N818 - what is wrong, in words
    """A sealed value does not open: it was changed, moved or cut off. Its text names the place, and no content."""

    def __init__(self, place: str = "") -> None:
        super().__init__(place)
        self.place = place


class Ciphertext(str):
    """A value as it stands in the database, sealed."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key as it stands in the database, and the id of the key that it is wrapped under."""

    key_id: str
    wrapped: str


class Keyring:
    """The keys of the settings: those that wrap data keys, and the one that hashes what is searched for."""

    def __init__(self, keys: Mapping[str, bytes], search_secret: bytes) -> None:
        self.current = next(iter(keys))
        self._keys = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._search = hmac.digest(search_secret, b"mediation_api search key 1", hashlib.sha256)
        self.search_mark = hmac.digest(self._search, b"mark", hashlib.sha256).hex()[:8]
        """What every hash under this search secret begins with: others are of another secret."""

    @classmethod
    def of(cls, settings: Settings) -> "Keyring":
        """The keyring of the settings."""
        return cls(settings.key_encryption_keys, settings.search_secret.get_secret_value().encode())

    def knows(self, key_id: str) -> bool:
        """Whether it can open what is wrapped under that key."""
        return key_id in self._keys

    def wrap(self, data_key: bytes, owner: UUID) -> WrappedKey:
        """Wrap a data key under the current key."""
        return WrappedKey(self.current, _encrypted(self._keys[self.current], data_key, _wrapping(owner, self.current)))

    def unwrap(self, key: WrappedKey, owner: UUID) -> bytes:
        """The data key. Raises KeyMissing; Broken."""
        if key.key_id not in self._keys:
            raise KeyMissing(key.key_id)
        return _decrypted(self._keys[key.key_id], key.wrapped, _wrapping(owner, key.key_id))

    def rewrap(self, key: WrappedKey, owner: UUID) -> WrappedKey:
        """The same data key under the current key; what it sealed stays as it is. Raises KeyMissing; Broken."""
        return self.wrap(self.unwrap(key, owner), owner)

    def hashed(self, value: str) -> str:
        """The keyed hash by which an equal value is found."""
        return f"{self.search_mark}.{hmac.digest(self._search, value.encode(), hashlib.sha256).hex()}"

    def open(self, envelope: str, table: str, column: str) -> str:
        """The text in an `opened` expression's result; nothing of one that was emptied.

        Raises:
            KeyMissing: the settings lack the key that the data key is wrapped under.
            Broken: the value or the data key is not what was written there, or the data key is gone; or the value is
                not sealed, and anybody may have put it there.
        """
        owner, key_id, wrapped, row, value = envelope.split(" ", 4)
        if not value:
            return value
        if not value.startswith(MARK):
            raise DecryptionFailed(f"{table}.{column} of {row}: it is not sealed")
        if not wrapped:
            raise DecryptionFailed(f"{table}.{column} of {row}: its data key is gone")
        try:
            data_key = self.unwrap(WrappedKey(key_id, wrapped), UUID(owner))
            sealed = value.removeprefix(MARK)
            return _decrypted(AESGCM(data_key), sealed, _place(table, column, UUID(row))).decode()
        except (DecryptionFailed, UnicodeDecodeError):
            raise DecryptionFailed(f"{table}.{column} of {row}") from None


@dataclass(frozen=True, slots=True)
class DataKey:
    """The data key of one complaint or one mediator, to seal with."""

    key: bytes = field(repr=False)

    def seal(self, table: str, column: str, row_id: UUID, text: str) -> Ciphertext:
        """Seal a text for one place."""
        place = _place(table, column, row_id)
        return Ciphertext(MARK + _encrypted(AESGCM(self.key), text.encode(), place))

    def encrypted_row(self, table: Table, row_id: UUID, values: Mapping[str, object]) -> dict[str, object]:
        """Values of a row, those of sealed columns sealed, with the hashes by which they are found."""
        sealed = {
            name: self.seal(table.name, name, row_id, value)
            for name, value in values.items()
            if isinstance(value, str) and is_encrypted(table, name)
        }
        return {**values, **sealed, **hashes_of(table, values)}

    def encrypted_changes(self, table: Table, row_id: UUID, changes: Mapping[str, object]) -> dict[str, object]:
        """Changes of a row that is there, sealed in the same way.

        Who sends back `UNREADABLE`, as it was shown, changes nothing: what cannot be opened today may be tomorrow.
        """
        told = {
            name: value for name, value in changes.items() if not (is_encrypted(table, name) and value == UNREADABLE)
        }
        return self.encrypted_row(table, row_id, told)


def new_key() -> bytes:
    """A new data key, or a new key for the settings: 256 random bits."""
    return token_bytes(_KEY_BYTES)


def hashes_of(table: Table, values: Mapping[str, object]) -> dict[str, object]:
    """The columns by which some of these values are found, each with the value that is hashed as it is written."""
    searched = [(column.name, column.type.of) for column in table.c if isinstance(column.type, BlindIndex)]
    return {name: values[of] for name, of in searched if of in values}


def is_encrypted(table: Table, name: str) -> bool:
    """Whether a column of the table is sealed."""
    return isinstance(table.c[name].type, Encrypted)


# ── columns ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Encrypted(TypeDecorator[str]):
    """The type of a sealed column. A text that is not sealed cannot be written to it; read it with `opened`."""

    impl: type[Text | String] = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Let a sealed value pass. Raises TypeError: it is not sealed."""
        del dialect
        if value is not None and not isinstance(value, Ciphertext):
            raise TypeError("a text for a sealed column is not sealed")
        return None if value is None else str(value)


class EncryptedString(Encrypted):
    """The same for a column that is a `varchar`."""

    impl = String
    cache_ok = True


class BlindIndex(TypeDecorator[str]):
    """The type of a column with keyed hashes of a sealed one, for equality: whatever is written or compared is hashed.

    `of` names the sealed column, an employee number: spellings of one number have one hash.
    """

    impl = String
    cache_ok = True

    def __init__(self, of: str) -> None:
        super().__init__()
        self.of = of

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Hash what is written or searched for."""
        return None if value is None else keyring(dialect).hashed(folded(value))


class Decrypted(TypeDecorator[str]):
    """What `opened` reads: a text that is opened as it arrives. `or_else` stands for one that does not open.

    With `or_else` None, that is an error. The arguments tell SQLAlchemy which statements are the same: compiling one
    costs more than all that is opened in it.
    """

    impl = Text
    cache_ok = True

    def __init__(self, table: str, column: str, or_else: str | None = UNREADABLE) -> None:
        super().__init__()
        self.table = table
        self.column = column
        self.or_else = or_else

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Open a value. Raises KeyMissing; Broken, where nothing may stand in its place."""
        return _decrypted_value(value, dialect, self.table, self.column, self.or_else)


class DecryptedList(TypeDecorator[list[dict[str, object]]]):
    """Nested rows (database/nesting.py) in which some values are to be opened as they arrive.

    Each of `fields` is a name there, and what `Opened` is made with.
    """

    impl = JSONB
    cache_ok = True

    def __init__(self, fields: tuple[tuple[str, str, str, str | None], ...]) -> None:
        super().__init__()
        self.fields = fields

    def process_result_value(self, value: T, dialect: Dialect) -> T:
        """Open the values in each row; one row alone is no list."""
        for row in value if isinstance(value, list) else [value]:
            if isinstance(row, dict):
                for name, table, column, or_else in self.fields:
                    row[name] = _decrypted_value(row[name], dialect, table, column, or_else)
        return value


def _decrypted_value(value: str | None, dialect: Dialect, table: str, column: str, or_else: str | None) -> str | None:
    if value is None:
        return None
    try:
        return keyring(dialect).open(value, table, column)
    except DecryptionFailed as broken:
        _log.error(LogEvent("unreadable", place=broken.place))
        if or_else is None:
            raise
        return or_else


# ── the keyring of each engine ─────────────────────────────────────────────────────────────────────────────────────

_KEYRINGS: Final[WeakKeyDictionary[Dialect, Keyring]] = WeakKeyDictionary()
"""An engine's dialect is all that SQLAlchemy gives to a type that reads or writes a value."""


def attach_keyring(dialect: Dialect, keys: Keyring) -> None:
    """Let the columns of an engine be opened and searched with these keys."""
    _KEYRINGS[dialect] = keys


def keyring(dialect: Dialect) -> Keyring:
    """The keys of the engine that has this dialect."""
    return _KEYRINGS[dialect]


# ── how it is done ─────────────────────────────────────────────────────────────────────────────────────────────────


def _place(table: str, column: str, row_id: UUID) -> bytes:
    """What a value is bound to: the format, and where it stands."""
    return f"mediation_api {MARK} {table} {column} {row_id}".encode()


def _wrapping(owner: UUID, key_id: str) -> bytes:
    return f"mediation_api data key 1 {owner} {key_id}".encode()


def _encrypted(key: AESGCM, content: bytes, bound_to: bytes) -> str:
    nonce = token_bytes(_NONCE_BYTES)
    return base64.urlsafe_b64encode(nonce + key.encrypt(nonce, content, bound_to)).decode()


def _decrypted(key: AESGCM, sealed: str, bound_to: bytes) -> bytes:
    try:
        whole = base64.b64decode(sealed, altchars=b"-_", validate=True)
        return key.decrypt(whole[:_NONCE_BYTES], whole[_NONCE_BYTES:], bound_to)
    except (ValueError, InvalidTag):  # no base64, too short, or not what was sealed
        raise DecryptionFailed from None
