"""Strict JSON: documents that every parser reads in the same way."""

import json
import math
from typing import Final, NoReturn

from pydantic import JsonValue

from mediation_api.http.problems import Malformed

DEPTH_LIMIT: Final = 32
_LARGEST: Final = 2**63 - 1


def parse_json(body: bytes) -> JsonValue:
    """Parse a JSON document, and refuse one that parsers could read differently.

    Raises:
        Malformed: Not UTF-8, a byte order mark, not JSON, a key twice in an object, NaN or Infinity, a number
            beyond 64 bits, more than DEPTH_LIMIT levels, or half of a surrogate pair.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("not-utf-8", "The body is not UTF-8.") from None
    if text.startswith("\ufeff"):
        raise Malformed("byte-order-mark", "The body starts with a byte order mark.")
    try:
        value: JsonValue = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except json.JSONDecodeError as exc:
        raise Malformed(
            "not-json", "The body is not JSON: see line {line}, column {column}.", line=exc.lineno, column=exc.colno
        ) from None
    except RecursionError:
        raise _too_deep() from None
    _inspect(value)
    return value


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("duplicate-key", "An object names the same key twice.")
    return members


def _constant(_: str) -> NoReturn:
    raise Malformed("not-json", "NaN and Infinity are not JSON.")


def _integer(digits: str) -> int:
    # Check the length first: for thousands of digits int() raises an error of another type.
    if len(digits) > len(str(-_LARGEST)) or abs(int(digits)) > _LARGEST:
        raise Malformed("number-out-of-range", "A number is out of range.")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise Malformed("number-out-of-range", "A number is out of range.")
    return value


def _too_deep() -> Malformed:
    return Malformed("too-deep", "The body is nested more than {levels} levels deep.", levels=DEPTH_LIMIT)


def _inspect(value: JsonValue) -> None:
    """Check depth and text without recursion, since the caller determines the depth."""
    pending: list[tuple[JsonValue, int]] = [(value, 1)]
    while pending:
        node, depth = pending.pop()
        if isinstance(node, str):
            _check_text(node)
        elif isinstance(node, dict | list):
            if depth > DEPTH_LIMIT:
                raise _too_deep()
            if isinstance(node, dict):
                for key in node:
                    _check_text(key)
            children = node.values() if isinstance(node, dict) else node
            pending.extend((child, depth + 1) for child in children)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Malformed("lone-surrogate", "A text holds half of a surrogate pair.") from None
