"""A page of a list as CSV (RFC 4180), for the spreadsheets of the office.

Every cell is quoted. A cell that a spreadsheet would take for a formula begins with an apostrophe. The header is on the
first page only, so that the pages of a list, put together, are one file. That begins with a byte order mark, or
spreadsheets would not take it for UTF-8.

Source: ASVS 5.0, 1.2.10 (formula injection).
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias, Union, get_args, get_origin

from fastapi import Response
from pydantic import BaseModel, JsonValue

from mediation_api.domain.access import Audience

CSV: Final = "text/csv"

Path: TypeAlias = tuple[str, ...]

_BYTE_ORDER_MARK: Final = "\ufeff"
_INVISIBLE: Final = "\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff"
_FORMULA: Final = re.compile(f"[\\s{_INVISIBLE}]*[=+\\-@\uff1d\uff0b\uff0d\uff20|%]|[\\t\\r\\n]")
"""What begins a formula: also after characters that are not shown, and in full width."""


@dataclass(frozen=True, slots=True)
class CsvColumns:
    """The columns of a list: the fields of its items, those of nested objects included."""

    paths: tuple[Path, ...]

    @classmethod
    def of(cls, page: object) -> "CsvColumns | None":
        """Return the columns of a page as the office sees it; None if the model has no `items`."""
        if not (isinstance(page, type) and issubclass(page, BaseModel) and "items" in page.model_fields):
            return None
        (item,) = get_args(page.model_fields["items"].annotation)
        models = _models(item)
        if not models:
            return None
        model = next((each for each in models if _is_for_office(each)), models[0])
        return cls(tuple(path for path in _paths(model) if path != ("audience",)))

    def page(self, response: Response, *, with_header: bool) -> Response:
        """Return the response as CSV. It keeps the headers that lead to the next page."""
        written = io.StringIO()
        writer = csv.writer(written, quoting=csv.QUOTE_ALL)
        if with_header:
            written.write(_BYTE_ORDER_MARK)
            writer.writerow(".".join(path) for path in self.paths)
        for item in json.loads(bytes(response.body))["items"]:
            writer.writerow(_cell(_value(item, path)) for path in self.paths)
        headers = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        return Response(
            written.getvalue(),
            headers=headers,
            media_type=f"{CSV}; charset=utf-8; header={'present' if with_header else 'absent'}",
        )


def _paths(model: type[BaseModel], above: Path = ()) -> Iterator[Path]:
    for name, field in model.model_fields.items():
        nested = [] if get_origin(field.annotation) is list else _models(field.annotation)
        if nested:
            yield from _paths(nested[0], (*above, name))
        else:
            yield *above, name


def _models(annotation: object) -> Sequence[type[BaseModel]]:
    """Return the models among the alternatives of a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) is Annotated:
        return _models(get_args(annotation)[0])
    if get_origin(annotation) in {Union, type(int | str)}:
        return [model for each in get_args(annotation) for model in _models(each)]
    return []


def _is_for_office(model: type[BaseModel]) -> bool:
    field = model.model_fields.get("audience")
    return field is not None and Audience.OFFICE in get_args(field.annotation)


def _value(item: JsonValue, path: Path) -> JsonValue:
    for name in path:
        if not isinstance(item, Mapping):
            return None  # the object above is null
        item = item[name]
    return item


def _cell(value: JsonValue) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _without_formula(value)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return _without_formula("; ".join(map(str, value)))
    return json.dumps(value, ensure_ascii=False)


def _without_formula(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text
