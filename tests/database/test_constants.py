"""A constant of the code is a literal of the statement, whatever it holds."""

import pytest
from sqlalchemy import select

from mediation_api.database.constants import Constant, constants
from mediation_api.database.engine import Database
from mediation_api.domain.values import Standing


@pytest.mark.parametrize("value", ["agreed", "", "it's", "100 %", "%s :name $1", "a\\'b", 'a"b', "é"])
async def test_a_constant_arrives_as_it_is(database: Database, value: str) -> None:
    async with database.transaction() as connection:
        assert await connection.scalar(select(Constant(value))) == value


async def test_statements_with_different_constants_are_different_statements(database: Database) -> None:
    async with database.transaction() as connection:
        read = [await connection.scalar(select(Constant(value))) for value in ("one", "another", "one")]

    assert read == ["one", "another", "one"]


def test_constants_are_no_parameters_and_in_one_order() -> None:
    statement = select(Constant("label")).where(Constant("agreed").in_(constants({Standing.LAPSED, Standing.AGREED})))

    assert statement.compile().params == {}
    assert str(statement).endswith("WHERE 'agreed' IN ('agreed', 'lapsed')")
