"""What is independent is written in one statement, and what is not in the order in which it was decided."""

import re
from uuid import uuid4

from sqlalchemy import ClauseElement, Executable, select
from sqlalchemy.dialects import postgresql

from mediation_api.database import tables as t
from mediation_api.database.batching import Change, batched

ADDED: Change = (t.withdrawals.insert().values(id=uuid4()), None)
LEFT: Change = (t.participants.update().values(standing="withdrawn"), "Ada")
ASKED: Change = (t.participants.update().values(standing="asked"), "Max")
MOVED: Change = (t.cases.update().values(state="asking"), None)
LOCK: Change = (select(t.mediators.c.id).with_for_update(), None)


def kinds(*changes: Change) -> list[str]:
    """What each statement does: `UPDATE participants + INSERT INTO withdrawals`."""
    return [_kinds(statement) for statement in batched(changes)]


def _kinds(statement: Executable) -> str:
    assert isinstance(statement, ClauseElement)
    words = str(statement.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    return " + ".join(f"{kind} {table}" for kind, table in re.findall(r"(INSERT INTO|UPDATE|FROM) (\w+)", words))


def test_changes_of_different_tables_and_of_different_rows_stand_in_one_statement() -> None:
    assert kinds(ADDED, LEFT, ASKED, MOVED) == [
        "INSERT INTO withdrawals + UPDATE participants + UPDATE participants + UPDATE cases"
    ]


def test_rows_that_are_new_stand_together() -> None:
    another: Change = (t.withdrawals.insert().values(id=uuid4()), None)
    assert kinds(ADDED, another) == ["INSERT INTO withdrawals + INSERT INTO withdrawals"]


def test_a_row_is_changed_once_in_a_statement() -> None:
    assert kinds(LEFT, LEFT) == ["UPDATE participants", "UPDATE participants"]


def test_rows_that_nobody_knows_apart_are_changed_one_after_the_other() -> None:
    assert kinds(MOVED, MOVED) == ["UPDATE cases", "UPDATE cases"]


def test_a_row_is_changed_after_it_was_made() -> None:
    joined: Change = (t.participants.insert().values(case_id=uuid4(), party_id=uuid4()), "Ada")
    assert kinds(joined, LEFT) == ["INSERT INTO participants", "UPDATE participants"]
    superseded: Change = (t.agreements.update().values(superseded_at=None), None)
    made: Change = (t.agreements.insert().values(id=uuid4()), None)
    assert kinds(superseded, made) == ["UPDATE agreements", "INSERT INTO agreements"]


def test_a_lock_is_taken_before_what_comes_after_it() -> None:
    assert kinds(MOVED, LOCK, ADDED) == ["UPDATE cases", "FROM mediators", "INSERT INTO withdrawals"]


def test_nothing_is_written_of_nothing() -> None:
    assert kinds() == []
