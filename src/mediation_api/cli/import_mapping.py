"""The mapping file of `mediation-api import`: how the records of another system's file become complaints.

    [constants]                                  # of every complaint
    "interested_in_mediation" = false
    "parties.0.side" = "complainant"

    [columns]                                    # a column of the file, and the field that it fills
    "Case No" = "external_reference"
    "Name" = "parties.0.name"

    [values."Type"]                              # what stands for a value of a column
    "RUDE" = ["discourtesy"]

    [dates]                                      # how a column writes dates (strptime)
    "Incident" = "%m/%d/%Y"

    [csv]
    delimiter = ";"
    encoding = "cp1252"

A field is a path into the complaint, with the number of a party. Empty cells are left out, and so is a party of which a
record has nothing but constants. What a mapping does not understand is sent as it is, so that the service refuses it
with the number of its line.
"""

import csv
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, BinaryIO, Final, TextIO

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError

_LONGEST_CELL: Final = 1_000_000
"""Characters; the 131,072 of the csv module are fewer than some narratives with their letters attached."""

FieldPath = Annotated[str, StringConstraints(pattern=r"^[a-z_]+(\.[0-9]{1,2})?(\.[a-z_]+)*$")]


class MappingError(Exception):
    """The mapping or the file cannot be used. `words` say where, and repeat nothing of a record."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class CsvFormat(BaseModel):
    """How a CSV file is written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    delimiter: str = Field(",", min_length=1, max_length=1)
    encoding: str = "utf-8-sig"


class ImportMapping(BaseModel):
    """The mapping file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: Mapping[str, FieldPath] = Field(min_length=1)
    constants: Mapping[FieldPath, JsonValue] = {}
    values: Mapping[str, Mapping[str, JsonValue]] = {}
    dates: Mapping[str, str] = {}
    csv: CsvFormat = CsvFormat()

    @classmethod
    def read(cls, path: Path) -> "ImportMapping":
        """Read a mapping file. Raises MappingError or OSError."""
        try:
            mapping = cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            raise MappingError(f"{path}: is not UTF-8") from None
        except tomllib.TOMLDecodeError as error:
            raise MappingError(f"{path}: {error.args[0]}") from None  # the line and the column
        except ValidationError as invalid:
            places = (".".join(map(str, error["loc"])) for error in invalid.errors())
            raise MappingError(f"{path}: cannot be used: {', '.join(places)}") from None
        if unknown := sorted({*mapping.values, *mapping.dates} - set(mapping.columns)):
            raise MappingError(f"{path}: {', '.join(unknown)}: in no row of [columns]")
        return mapping

    def complaint(self, record: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """Return the complaint of a record."""
        filled = {field: self._value(column, record.get(column)) for column, field in self.columns.items()}
        filled = {field: value for field, value in filled.items() if value not in (None, "")}
        heads = {_head(field) for field in filled}
        constants = {field: value for field, value in self.constants.items() if _head(field) in {None, *heads}}
        return _nested({**constants, **filled})

    def _value(self, column: str, value: JsonValue) -> JsonValue:
        if not isinstance(value, str):
            return value
        value = value.strip()
        if value in self.values.get(column, {}):
            return self.values[column][value]
        if column in self.dates:
            with suppress(ValueError):
                return datetime.strptime(value, self.dates[column]).date().isoformat()  # noqa: DTZ007 - a date alone
        return value


def lines_of(file: BinaryIO, path: Path, mapping: ImportMapping | None) -> Iterator[bytes]:
    """Yield the lines of an upload, one for each record of a file.

    Args:
        file: the file, CSV if its name ends so, and JSON lines otherwise.
        path: its name.
        mapping: how its records become complaints; None for JSON lines that are complaints.

    Raises:
        MappingError: it is not CSV, lacks a column, or is not of the encoding that the mapping says.
    """
    if path.suffix.lower() == ".csv":
        if mapping is None:
            raise MappingError(f"{path}: a CSV file needs a mapping")
        yield from _lines_of_csv(file, path, mapping)
        return
    for number, line in enumerate(file):
        content = line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line
        yield content.rstrip(b"\r\n") + b"\n" if mapping is None else _mapped(content, mapping)


def _lines_of_csv(file: BinaryIO, path: Path, mapping: ImportMapping) -> Iterator[bytes]:
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.DictReader(_decoded(file, mapping.csv.encoding), delimiter=mapping.csv.delimiter, strict=True)
    try:
        missing = sorted(set(mapping.columns) - set(reader.fieldnames or ()))
        if missing:
            raise MappingError(f"{path}: has no column {', '.join(missing)}")
        for record in reader:
            if None in record:
                raise MappingError(f"{path}: line {reader.line_num} has more cells than the first line")
            yield _line(mapping.complaint(dict(record)))
    except (csv.Error, UnicodeDecodeError, LookupError) as error:
        reason = error if isinstance(error, csv.Error) else f"is not {mapping.csv.encoding}"
        raise MappingError(f"{path}: after line {reader.line_num}: {reason}") from None


def _decoded(file: BinaryIO, encoding: str) -> Iterable[str]:
    """Yield the text lines of a file; the csv module reads the ends of lines in cells as they are."""
    import io

    text: TextIO = io.TextIOWrapper(file, encoding=encoding, newline="")
    return text


def _mapped(line: bytes, mapping: ImportMapping) -> bytes:
    """Return the complaint of a JSON line; what is no object is sent as it is, and refused."""
    with suppress(ValueError, RecursionError):
        record = json.loads(line)
        if isinstance(record, dict):
            return _line(mapping.complaint(record))
    return line.rstrip(b"\r\n") + b"\n"


def _line(complaint: Mapping[str, JsonValue]) -> bytes:
    return json.dumps(complaint, ensure_ascii=True).encode() + b"\n"


def _head(field: str) -> str | None:
    """Return the party of a field, such as `parties.0`; None for one of the complaint itself."""
    name, _, rest = field.partition(".")
    number = rest.partition(".")[0]
    return f"{name}.{number}" if number.isdigit() else None


def _nested(fields: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return an object with these fields. Numbers in paths become the order of a list."""
    tree: dict[str, JsonValue] = {}
    for path, value in fields.items():
        *steps, last = path.split(".")
        node = tree
        for step in steps:
            child = node.setdefault(step, {})
            if not isinstance(child, dict):  # a constant that is not an object: the later field counts
                child = node[step] = {}
            node = child
        node[last] = value
    return {name: _listed(value) for name, value in tree.items()}


def _listed(node: JsonValue) -> JsonValue:
    if not isinstance(node, dict):
        return node
    children = {name: _listed(value) for name, value in node.items()}
    if children and all(name.isdigit() for name in children):
        return [children[name] for name in sorted(children, key=int)]
    return children
