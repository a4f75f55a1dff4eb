"""Field types and base models of requests and responses.

    class PartyIn(In):                          # a body: closed, strict, frozen
        name: Line
        phone: Phone | None = None

    class CaseFilter(Params):                   # a query string: closed, and its numbers come as text
        due_on_before: Day | None = None

    class PartyOut(Out):                        # a response: frozen
        created_at: InstantOut

Every type refuses what would make PostgreSQL or the JSON encoder fail (without them, 13 of 36 hostile values were a
500: docs/decisions/0076-input-is-parsed-strictly.md), and says in its JSON Schema exactly what it accepts. FastAPI
validates parsed Python, not JSON, so pydantic's strict mode alone would refuse every date and identifier, and its lax
mode would take 0 for a date; these types read the text themselves.
"""

import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, Self, TypeAlias, TypeVar
from uuid import UUID

import langcodes
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    PlainValidator,
    Strict,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from mediation_api.database.nesting import AnyRow
from mediation_api.domain.values import PHONE, in_utc
from mediation_api.domain.visibility import DIRECTION_CONTROLS, INVISIBLE, unseen

T = TypeVar("T")

RULE = "rule:"
"""The prefix of the type of errors made by `rule_broken`: their text is a constant, so it may be returned."""
SENTENCE: Final = "sentence"
"""In the context of these errors: the sentence with its placeholders."""


OwnRule: TypeAlias = Literal[
    "blank",
    "complainant-missing",
    "complainants-only",
    "control-character",
    "cursor",
    "direction-control",
    "invisible-character",
    "no-offset",
    "not-a-date",
    "not-a-uuid",
    "not-an-instant",
    "not-a-language",
    "not-clearable",
    "nothing-to-change",
    "officers-only",
    "period",
    "repeated",
    "too-long",
]
"""The rules for fields that are this service's own and not pydantic's."""


def rule(code: OwnRule) -> str:
    """Return the error type of one of these rules."""
    return f"{RULE}{code}"


def rule_broken(code: OwnRule, detail: str, **values: object) -> PydanticCustomError:
    """Return the error for a validator to raise.

    Args:
        code: the rule.
        detail: a constant sentence, which is translated and returned to the caller.
        values: those of its placeholders, which must not be what the caller sent.
    """
    return PydanticCustomError(rule(code), detail, {SENTENCE: detail, **values})


# --- names ------------------------------------------------------------------------------------------------

TYPE_NAME = "x-type-name"
"""The keyword with a field type's `Named` in a schema, until `contract/components.py` refers to the type by name."""


@dataclass(frozen=True, slots=True)
class Named:
    """The name of a field type in the contract, where it is described once, for all fields that have it."""

    name: str
    description: str
    example: str | None = None

    def described(self) -> dict[str, object]:
        """Return what the schema of the type has besides its keywords, and its name."""
        examples = {} if self.example is None else {"examples": [self.example]}
        return {"name": self.name, "description": self.description, **examples}

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), TYPE_NAME: self.described()}


def parameter_broken(code: OwnRule, name: str, detail: str, **values: object) -> dict[str, object]:
    """Return the error of a query parameter, for a RequestValidationError. The arguments are as in `rule_broken`."""
    return {"type": rule(code), "loc": ("query", name), "ctx": {SENTENCE: detail, **values}}


# --- text -------------------------------------------------------------------------------------------------

# C0 and C1 controls and DEL. NUL cannot be stored; the others could forge log lines and terminal output.
_CONTROL = r"\u0000-\u001f\u007f-\u009f"
_SPACE = r" \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_LINE_END = r"\u2028\u2029"


@dataclass(frozen=True, slots=True)
class TextRules:
    """Text that a person wrote: at most `most` characters, not blank, stripped, in Unicode's NFC form.

    Control characters and lone surrogates are refused. Without `lines`, characters that are invisible or change the
    direction of writing are refused as well (`domain/visibility.py`), and at least one must be visible. With `lines`,
    tabs and line ends are allowed, and every kind of line end becomes a line feed.
    """

    most: int
    lines: bool = False

    @property
    def pattern(self) -> str:
        """The rule as a regular expression for the contract, without look-ahead and without backtracking.

        It is weaker than `clean`: a character class cannot express where joiners, variation selectors and combining
        marks are allowed.
        """
        space = _SPACE + (r"\t\n\r" + _LINE_END if self.lines else "")
        refused = _CONTROL if not self.lines else r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"
        refused += "" if self.lines else _LINE_END + _UNSEEN
        return f"^[{space}]*[^{_CONTROL}{_SPACE}{_LINE_END}{'' if self.lines else _UNSEEN}][^{refused}]*$"

    def clean(self, text: str) -> str:
        """Return `text` normalised. Raises a validation error if it is not allowed."""
        if self.lines:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if (_CONTROLS_IN_LINES if self.lines else _CONTROLS_IN_LINE).search(text):
            raise rule_broken("control-character", "Control characters are not allowed here.")
        text = unicodedata.normalize("NFC", text).strip()
        wrong = None if self.lines else unseen(text)
        if wrong == "direction-control":
            raise rule_broken(
                "direction-control", "Characters that change the direction of writing are not allowed here."
            )
        if wrong == "invisible-character":
            raise rule_broken("invisible-character", "Characters that cannot be seen are not allowed here.")
        if wrong == "blank" or not text:
            raise rule_broken("blank", "This must not be blank.")
        if len(text) > self.most:  # NFC makes a few characters longer
            raise rule_broken("too-long", "At most {max_length} characters.", max_length=self.most)
        return text

    def __get_pydantic_core_schema__(self, source: type[str], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check type and length before `clean` processes the text."""
        inner = core_schema.str_schema(strict=True, min_length=1, max_length=self.most)
        return core_schema.no_info_after_validator_function(self.clean, inner)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "minLength": 1, "maxLength": self.most, "pattern": self.pattern}


_UNSEEN = "".join(f"\\u{ord(each):04x}" if each != "-" else each for each in DIRECTION_CONTROLS + INVISIBLE)
_CONTROLS_IN_LINE = re.compile(f"[{_CONTROL}{_LINE_END}]")
_CONTROLS_IN_LINES = re.compile(r"[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]")

Line = Annotated[
    str,
    TextRules(most=200),
    Named("Line", "One line that people read: a name, a place, a title. No invisible characters, no marks alone."),
]
LongLine = Annotated[
    str,
    TextRules(most=500),
    Named("LongLine", "One long line that people read: an address. No invisible characters, no marks alone."),
]
Note = Annotated[
    str, TextRules(most=2_000, lines=True), Named("Note", "A reason or a remark, which may have several lines.")
]
Paragraphs = Annotated[
    str, TextRules(most=20_000, lines=True), Named("Paragraphs", "A long text, which may have many lines.")
]
"""20,000 characters fit the body limit in most scripts."""

Phone = Annotated[
    str,
    Strict(),
    StringConstraints(max_length=40, pattern=PHONE),
    Named("Phone", "A telephone number as people write it, an extension after an `x`.", "+1 212 555 0100"),
]

Email = Annotated[
    str,
    Strict(),
    StringConstraints(
        max_length=254,
        pattern=(
            r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
            r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"
        ),
    ),
    Named("Email", "An e-mail address.", "ana.ruiz@example.org"),
]
"""Source: "valid e-mail address" of the HTML standard, with a dotted domain."""

Link = Annotated[
    str,
    Strict(),
    StringConstraints(
        max_length=500,
        pattern=r"^https://[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?(:[0-9]{1,5})?([/?#][!-~]*)?$",
    ),
    Named("Link", "An https URL without a user before an `@`.", "https://meet.example.org/room-4"),
]
"""Without a user, because the part before an `@` usually contains a password."""

_NO_LANGUAGE: Final = frozenset({"mis", "mul", "und", "zxx"})


def _language(tag: str) -> str:
    """Return the canonical form of a tag, in lower case: `en` for `eng`, `he` for `iw`."""
    if tag.partition("-")[0] in _NO_LANGUAGE or not langcodes.tag_is_valid(tag):
        raise rule_broken("not-a-language", "A registered language is needed, as in en, es or zh-hant.")
    return langcodes.standardize_tag(tag).lower()


Language = Annotated[
    str,
    Strict(),
    StringConstraints(max_length=35, pattern=r"^[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}$"),
    AfterValidator(_language),
    Named(
        "Language",
        "A BCP 47 tag in lower case of a language that IANA has registered; its canonical form is kept (`en` for "
        "`eng`). Sign languages have tags of their own: American Sign Language is `ase`.",
        "en",
    ),
]


# --- lists ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Once:
    """A list in which nothing is twice."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the entries after each of them was read."""
        return core_schema.no_info_after_validator_function(_distinct, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "uniqueItems": True}


def _distinct(entries: list[T]) -> list[T]:
    if len(set(entries)) < len(entries):
        raise rule_broken("repeated", "Nothing may be here twice.")
    return entries


# --- identity, time ---------------------------------------------------------------------------------------

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_DAY = re.compile(r"(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}")
# The offset is required: without it the instant would be ambiguous. Digits beyond milliseconds are cut off.
_INSTANT = re.compile(
    r"20[0-9]{2}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_NAIVE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?")


def _uuid(value: object) -> UUID:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise rule_broken("not-a-uuid", "A UUID in its 36 characters is needed.")
    return UUID(value)


def _day(value: object) -> date:
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass  # 2026-02-30
    raise rule_broken("not-a-date", "A date between 1900-01-01 and 2099-12-31 is needed, as in 2026-03-31.")


def _instant(value: object) -> datetime:
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        try:
            # In the years 2000 to 2099 no offset can overflow datetime's range.
            instant = datetime.fromisoformat(value.upper()).astimezone(UTC)
            return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
        except ValueError:
            pass  # 2026-02-30T25:00:00Z
    if isinstance(value, str) and _NAIVE.fullmatch(value):
        raise rule_broken("no-offset", "The offset from UTC is missing: end the time with Z or +hh:mm.")
    raise rule_broken("not-an-instant", "A time of the years 2000 to 2099 is needed, as in 2026-03-31T14:00:00Z.")


Uuid = Annotated[
    UUID,
    BeforeValidator(_uuid),
    WithJsonSchema({"type": "string", "format": "uuid"}),
]
"""An identifier: text of 36 characters in either case."""

Day = Annotated[
    date,
    BeforeValidator(_day),
    WithJsonSchema({"type": "string", "format": "date", "pattern": "^(19|20)[0-9]{2}-"}),
    Named("Day", "A calendar date from 1900 to 2099, in the office's time zone."),
]

Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": "^20[0-9]{2}-"}),
    Named("Instant", "An instant of the years 2000 to 2099 (RFC 3339), with its offset from UTC."),
]
"""Converted to UTC."""


_IN_MILLISECONDS: Final = len("2026-03-01T00:00:00.001+00:00")
"""How long PostgreSQL's text of an instant is at least, unless it has left out zeros at the end of the fraction."""


def _instant_text(value: object) -> str:
    """Return an instant as responses have it. The value is of the driver, or of JSON that PostgreSQL made."""
    if isinstance(value, str):
        if len(value) >= _IN_MILLISECONDS and value.endswith("+00:00"):
            return f"{value[:23]}Z"  # to parse it, and to write it again, takes several times as long
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return in_utc(value)
    raise PydanticCustomError("datetime_type", "An instant is needed.")


InstantOut = Annotated[
    str,
    PlainValidator(_instant_text, json_schema_input_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""An instant in a response, which is made of a datetime or its text: RFC 3339, UTC, milliseconds, `Z`."""


# --- numbers and flags ------------------------------------------------------------------------------------

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """A whole number from `ge` to `le`. Text is accepted in a query string or a path, not in a body."""

    ge: int = -(2**31)
    le: int = 2**31 - 1

    def __get_pydantic_core_schema__(self, source: type[int], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Parse text by a stricter rule than pydantic's, which also accepts `1_0`, ` 5 ` and `1.0`."""
        return core_schema.with_info_before_validator_function(
            _integer, core_schema.int_schema(strict=True, ge=self.ge, le=self.le)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "integer", "minimum": self.ge, "maximum": self.le}


def _comes_as_text(info: ValidationInfo) -> bool:
    """Whether a value is from a query string or a path, which are text. A body has the strict configuration of `In`."""
    return not (info.config or {}).get("strict", False)


def _integer(value: object, info: ValidationInfo) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)  # 1.0 is an integer in JSON Schema, and some encoders write it so
    if isinstance(value, str) and _comes_as_text(info) and _INTEGER.fullmatch(value):
        return int(value)
    return value


def _flag(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str) and _comes_as_text(info):
        return {"true": True, "false": False}.get(value, value)
    return value


Int32 = Annotated[int, WholeNumber()]
"""An integer in the range of PostgreSQL's `integer`. For another range use `Annotated[int, WholeNumber(1, 100)]`."""

Flag = Annotated[bool, Strict(), BeforeValidator(_flag)]
"""`true` or `false`; no 0, 1 or `yes`."""


# --- open lists -------------------------------------------------------------------------------------------

EXTENSIBLE = "x-extensible-enum"
"""The keyword with the present values of an open list; an `enum` would be closed."""


@dataclass(frozen=True, slots=True)
class OpenList:
    """Text in a response that has one of these values; others may be added within a version (docs/contract.md)."""

    name: str
    values: tuple[str, ...]
    description: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return _open_list(self.name, self.values, self.description)


class OpenEnum:
    """The same for an enum, which may be closed in requests."""

    def __get_pydantic_core_schema__(self, source: type[StrEnum], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of the enum without its name, by which the contract would refer to the closed one."""
        inner = {**handler.resolve_ref_schema(handler(source))}
        inner.pop("ref", None)
        return inner

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        closed = handler(schema)
        return _open_list(f"Open{closed['title']}", closed["enum"], closed["description"])


def _open_list(name: str, values: Iterable[str], description: str) -> JsonSchemaValue:
    named = Named(name, f"{description.partition('Source:')[0].strip()} Open list.")
    return {"type": "string", EXTENSIBLE: list(values), TYPE_NAME: named.described()}


Open: TypeAlias = Annotated[T, OpenEnum()]
"""An enum in a response that is an open list: `reason: Open[PauseReason]`."""


# --- rules between fields ---------------------------------------------------------------------------------


def when(field: str, value: str, then: JsonSchemaValue, otherwise: JsonSchemaValue | None = None) -> ConfigDict:
    """Return the configuration of a body whose schema says what follows if `field` has `value`, and if it has not.

    A validator of the body, or the domain, enforces the rule; this only lets the contract say it.
    """
    rule_of_fields: dict[str, JsonValue] = {
        "if": {"properties": {field: {"const": value}}, "required": [field]},
        "then": then,
    }
    if otherwise is not None:
        rule_of_fields["else"] = otherwise
    return ConfigDict(json_schema_extra=rule_of_fields)


def given(*names: str) -> JsonSchemaValue:
    """Return the schema of a body in which these fields are there and not null."""
    return {"required": list(names), "properties": {name: {"not": {"type": "null"}} for name in names}}


def absent(*names: str) -> JsonSchemaValue:
    """Return the schema of a body in which these fields are null, false or left out."""
    return {"properties": {name: {"enum": [None, False]} for name in names}}


# --- models -----------------------------------------------------------------------------------------------


def _relax(node: object, handler: GetCoreSchemaHandler) -> None:
    """Walk a core schema, a tree of dictionaries and lists, and make enums, tuples and sets accept text and lists."""
    if isinstance(node, dict):
        if node.get("type") in {"enum", "tuple", "set", "frozenset"}:
            node["strict"] = False
        if node.get("type") == "definition-ref":
            with suppress(LookupError):  # a model that contains itself is not defined yet
                target: object = handler.resolve_ref_schema(node)
                if isinstance(target, dict) and target.get("type") == "enum":
                    target["strict"] = False
        for key, child in node.items():
            if key not in {"cls", "default", "members", "metadata", "serialization"}:
                _relax(child, handler)
    elif isinstance(node, list | tuple):
        for child in node:
            _relax(child, handler)


class In(BaseModel):
    """The body of a request: no unknown field, no conversion between types, frozen.

    Enums, tuples and sets accept text and lists, since JSON has no such types. Declare dates, instants and identifiers
    as `Day`, `Instant` and `Uuid`: strict mode refuses their text otherwise. Nested models must be `In` as well.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Relax strictness for types that JSON does not have."""
        schema = handler(source)
        _relax(schema, handler)
        return schema


class Params(BaseModel):
    """A query string, used as `Annotated[CaseFilter, Query()]`: no unknown parameter, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Out(BaseModel):
    """The body of a response: frozen. Every field is always present, and clients must expect new ones."""

    # In the place of a model, an object of a class derived from it is sent without what that class adds.
    model_config = ConfigDict(
        frozen=True, json_schema_serialization_defaults_required=True, revalidate_instances="subclass-instances"
    )

    @classmethod
    def read(cls, row: AnyRow, **more: object) -> Self:
        """Return the model of a row whose columns are fields; `more` are computed fields, which override columns."""
        return cls.model_validate({**row, **more})
