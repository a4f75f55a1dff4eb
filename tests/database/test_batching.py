"""What is independent is written in one statement, and what is not in the order in which it was decided."""

import re
from uuid import uuid4

from sqlalchemy import ClauseElement, Executable, select
from sqlalchemy.dialects import postgresql

from mediation_api.database import tables as t
from mediation_api.database.batching import Change, Parameters, batched, inserted, updated

ADDED = inserted(t.withdrawals, id=uuid4())
LEFT = updated(t.participants, {}, standing="withdrawn")._replace(row="Ada")
ASKED = updated(t.participants, {}, standing="asked")._replace(row="Max")
MOVED = updated(t.cases, {}, state="asking")
LOCK = Change(select(t.mediators.c.id).with_for_update())


def kinds(*changes: Change) -> list[str]:
    """What each statement does: `UPDATE participants + INSERT INTO withdrawals`."""
    return [_kinds(statement) for statement, _ in batched(changes)]


def _kinds(statement: Executable) -> str:
    assert isinstance(statement, ClauseElement)
    words = str(statement.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    return " + ".join(f"{kind} {table}" for kind, table in re.findall(r"(INSERT INTO|UPDATE|FROM) (\w+)", words))


def test_changes_of_different_tables_and_of_different_rows_stand_in_one_statement() -> None:
    assert kinds(ADDED, LEFT, ASKED, MOVED) == [
        "INSERT INTO withdrawals + UPDATE participants + UPDATE participants + UPDATE cases"
    ]


def test_rows_that_are_new_stand_together() -> None:
    another = inserted(t.withdrawals, id=uuid4())
    assert kinds(ADDED, another) == ["INSERT INTO withdrawals + INSERT INTO withdrawals"]


def test_a_row_is_changed_once_in_a_statement() -> None:
    assert kinds(LEFT, LEFT) == ["UPDATE participants", "UPDATE participants"]


def test_rows_that_nobody_knows_apart_are_changed_one_after_the_other() -> None:
    assert kinds(MOVED, MOVED) == ["UPDATE cases", "UPDATE cases"]


def test_a_row_is_changed_after_it_was_made() -> None:
    joined = inserted(t.participants, case_id=uuid4(), party_id=uuid4())._replace(row="Ada")
    assert kinds(joined, LEFT) == ["INSERT INTO participants", "UPDATE participants"]
    superseded = updated(t.agreements, {}, superseded_at=None)
    made = inserted(t.agreements, id=uuid4())
    assert kinds(superseded, made) == ["UPDATE agreements", "INSERT INTO agreements"]


def test_a_lock_is_taken_before_what_comes_after_it() -> None:
    assert kinds(MOVED, LOCK, ADDED) == ["UPDATE cases", "FROM mediators", "INSERT INTO withdrawals"]


def test_nothing_is_written_of_nothing() -> None:
    assert kinds() == []


# ── statements are built once ──────────────────────────────────────────────────────────────────────────────────────


def command(standing: str) -> list[tuple[Executable, Parameters]]:
    """What a command writes that changes two rows of participants, and one of cases."""
    who = ({"party_id": uuid4()}, {"party_id": uuid4()})
    changes = (updated(t.participants, each, standing=standing)._replace(row=n) for n, each in enumerate(who))
    return list(batched([*changes, updated(t.cases, {}, state="asking").among({"recorded_by": "a.morgan"})]))


def test_the_same_changes_with_other_values_are_the_same_statement() -> None:
    ((first, values),), ((second, others),) = command("asked"), command("waiting")
    assert first is second
    assert values.keys() == others.keys()
    assert values != others


def test_each_change_has_its_own_values() -> None:
    ((statement, values),) = command("asked")
    assert isinstance(statement, ClauseElement)
    compiled = statement.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
    named = {name for name, parameter in compiled.binds.items() if parameter.required}  # type: ignore[attr-defined] # of SQL
    assert values.keys() == named == {"standing_0", "where_party_id_0", "standing_1", "where_party_id_1", "state_2"}
    assert values["where_party_id_0"] != values["where_party_id_1"]


def test_a_column_or_a_condition_that_is_an_expression_is_part_of_the_statement() -> None:
    later, is_open = t.cases.c.version + 1, t.cases.c.closed_at.is_(None)
    plain, expressed = updated(t.cases, {}, version=2), updated(t.cases, {}, is_open, version=later)
    assert plain.statement is not expressed.statement
    assert expressed == updated(t.cases, {}, is_open, version=later)
    assert expressed.values == {}
