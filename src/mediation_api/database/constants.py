"""Constants of the code as literals of a statement.

SQLAlchemy makes a parameter of every value, of the names in a JSON object and of the states in a condition too. A read
of a case would have 72 parameters of which five differ between requests. The others would be bound and sent with each
request, and a list of values would be expanded into the text of the statement each time.
"""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal


class Constant(ColumnElement[str]):
    """A text of the code, never of a request: each value makes a statement of its own, which is kept."""

    _traverse_internals = [("value", InternalTraversal.dp_string)]  # noqa: RUF012 - as SQLAlchemy declares it

    def __init__(self, value: str) -> None:
        self.value = value
        self.type = String()


@compiles(Constant)
def _literal(element: Constant, compiler: SQLCompiler, **_: object) -> str:
    return compiler.render_literal_value(element.value, element.type)


def constants(values: Iterable[str]) -> list[Constant]:
    """Return the values of a condition: `column.in_(constants(LIVE))`."""
    return [Constant(value) for value in sorted(values)]
