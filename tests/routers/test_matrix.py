"""Every operation, called by everybody, for every object: what comes of it is what the table of access says.

`MATRIX=whole` plays every cell; unless it is set, whoever must stand in a relation to what is theirs tries every
object, and each object somebody of the office (matrix.py). conftest.py says how many there were.
"""

import json
import os
from collections.abc import AsyncIterator, Callable
from typing import Final

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import Clock, Run, application, calling, rolled_back
from tests.routers.matrix import (
    ACCESS,
    Answer,
    Object,
    Operation,
    Played,
    World,
    built,
    operations,
    play,
    told_apart,
)
from tests.routers.redeclaring import redeclare, undeclare

from mediation_api.dev.office import Office
from mediation_api.domain.access import Relation, Role
from mediation_api.settings import Settings

WHOLE: Final = os.environ.get("MATRIX") == "whole"
OPERATIONS: Final = {operation.name: operation for operation in operations()}
TAGS: Final = sorted({operation.tag for operation in OPERATIONS.values()})


@pytest.fixture(scope="module")
async def world(engine: AsyncEngine, settings: Settings) -> AsyncIterator[World]:
    """What there is, once for all operations: each cell is undone."""
    clock = Clock()
    async with rolled_back(engine) as database:
        app = application(settings, clock, database)
        async with calling(app) as client:
            yield await built(Office(client, settings, clock), app, database)


def test_every_operation_of_the_contract_is_declared_and_nothing_else() -> None:
    assert sorted(OPERATIONS) == sorted(ACCESS), "run `make generate`: the contract and the routes differ"


@pytest.mark.parametrize("tag", TAGS)
async def test_what_comes_of_a_request_is_what_the_table_says(
    tag: str, world: World, run: Run, record_property: Callable[[str, object], None]
) -> None:
    tagged = [operation for operation in OPERATIONS.values() if operation.tag == tag]
    played = [await play(world, operation, ACCESS, whole=WHOLE) for operation in tagged]
    mismatches = [mismatch for each in played for mismatch in each.mismatches]
    counted = {
        "operations": len(played),
        "of them done": sum(any(answer.status < 300 for answer in each.answers.values()) for each in played),
        "cells": sum(each.cells for each in played),
        "requests": sum(len(each.answers) for each in played),
        "mismatches": len(mismatches),
    }
    record_property("figure", f"{tag}: {', '.join(f'{number} {what}' for what, number in counted.items())}")
    (run.directory / f"matrix-{tag}.json").write_text(json.dumps(counted), encoding="utf-8")
    assert mismatches == [], "the route lets through or refuses somebody otherwise than its `access` says"


# ── that a wrong table is seen ─────────────────────────────────────────────────────────────────────────────────────


async def played_with(
    world: World, name: str, row: dict[Role, Relation] | None, patch: pytest.MonkeyPatch, *, whole: bool = False
) -> Played:
    """What is found when the service goes by another row."""
    if row is None:
        undeclare(name, patch)
    else:
        redeclare(name, patch, access=row)
    return await play(world, OPERATIONS[name], ACCESS, whole=whole)


async def test_an_operation_without_a_row_is_seen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    operation = Operation("readEverything", "GET", "/v1/everything", "cases", (), {})
    assert (await play(world, operation, ACCESS)).mismatches == ["readEverything has no row"]
    without = {name: row for name, row in ACCESS.items() if name != "getParty"}
    assert "getParty has no row" in (await play(world, OPERATIONS["getParty"], without)).mismatches
    deleted = await played_with(world, "getParty", None, monkeypatch)
    assert "getParty intake own: let through by the table, and 500 internal-error" in deleted.mismatches


async def test_a_role_that_is_taken_out_of_a_row_is_seen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    found = (await played_with(world, "getParty", {}, monkeypatch)).mismatches
    for role in ACCESS["getParty"]:
        assert f"getParty {role} own: let through by the table, and 403 not-permitted" in found


async def test_a_role_that_is_put_into_a_row_is_seen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    more = {**ACCESS["getParty"], Role.AUDITOR: Relation.OFFICE}
    found = (await played_with(world, "getParty", more, monkeypatch, whole=True)).mismatches
    assert "getParty auditor own: 403 by the table, and 200" in found


@pytest.mark.parametrize(
    ("name", "role", "shown"), [("getCase", Role.MEDIATOR, "foreign"), ("listComplaints", Role.INTEGRATION, "own")]
)
async def test_a_relation_that_is_widened_is_seen(
    name: str, role: Role, shown: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What holds every answer against the contract sees it first: the form is that of the office.
    monkeypatch.setattr("tests.openapi.conformity.wrong_audience", lambda *_: ())
    wider = {**ACCESS[name], role: Relation.OFFICE}
    found = (await played_with(world, name, wider, monkeypatch)).mismatches
    assert f"{name} {role} {shown}: shows what is foreign" in found


def test_a_gate_that_is_told_to_some_alone_and_a_difference_to_what_is_absent_are_seen() -> None:
    absent = Answer(404, {"content-type": "application/problem+json"}, b"{}")
    assert told_apart({Object.ABSENT: absent, Object.FOREIGN: absent, Object.FELLOW: absent}) == []
    for other in (
        Answer(403, absent.headers, absent.body),
        Answer(404, {**absent.headers, "etag": '"1"'}, absent.body),
        Answer(404, absent.headers, b"{ }"),
    ):
        there = {Object.ABSENT: absent, Object.FOREIGN: other}
        assert told_apart(there) == ["foreign is told apart from absent"]
