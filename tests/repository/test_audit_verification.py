"""The chain of events in the database: it links as the domain computes, and nothing done behind its back goes unseen.

50 edits, deletions, insertions and reorderings (`EDITS=whole`: 200), each made by the owner of the tables with the
triggers off, on the events of a real office. The seed is printed; CHAIN_SEED sets another. Unless `EDITS=whole` is set,
one change is made of each table that is shown beside the events, and the events are examined in ranges of one size.
"""

import asyncio
import os
import random
import string
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from types import UnionType
from typing import Final, Union, get_args, get_origin, get_type_hints
from uuid import UUID, uuid4

import pytest
from sqlalchemy import RowMapping, UniqueConstraint, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from tests.conftest import NOON, RolledBackDatabase, rolled_back
from tests.domain.test_events import ALL
from tests.repository.busy import keep_busy

from mediation_api.database import tables as t
from mediation_api.database.engine import Database
from mediation_api.dev.office import Office
from mediation_api.domain import audit_chain
from mediation_api.domain.access import Actor, Role
from mediation_api.domain.audit_chain import START, ChainFault, ChainHead, Examination, Flaw, link
from mediation_api.repository import audit_ranges, audit_verification
from mediation_api.repository.audit_comparison import unlike_events
from mediation_api.repository.audit_ranges import EVENT_STREAM, EVERYTHING, LAST, NOBODY
from mediation_api.repository.recording import WRITE_EVENTS, event_parameters, listed_events
from mediation_api.repository.streams import Stream

SEED: Final = int(os.environ.get("CHAIN_SEED", "20261125"))
WHOLE: Final = os.environ.get("EDITS") == "whole"
EDITS: Final = 200 if WHOLE else 50


pytestmark = [pytest.mark.drawn, pytest.mark.usefixtures("undone")]


@pytest.fixture(scope="module")
async def module_database(owner_engine: AsyncEngine) -> AsyncIterator[RolledBackDatabase]:
    """The office of these tests works as the owner of the tables, whom nothing but the triggers holds back."""
    async with rolled_back(owner_engine) as database:
        yield database


def dice_of(seed: int) -> random.Random:
    """Chance that can be had again."""
    return random.Random(seed)  # noqa: S311 - no secret hangs on it


async def examined(connection: AsyncConnection, *exported: ChainHead) -> list[ChainFault]:
    return [problem async for problem in audit_verification.problems(connection, Examination(iter(exported)))]


@pytest.fixture(scope="module")
async def busy(module_office: Office) -> None:
    """An office in which much has happened: there is something in each of BESIDE's tables."""
    await keep_busy(module_office)


# ── what is written is linked, as the domain computes it ───────────────────────────────────────────────────────────


@pytest.mark.usefixtures("busy")
async def test_what_an_office_does_is_one_whole_chain(module_database: RolledBackDatabase) -> None:
    async with module_database.transaction() as connection:
        assert await examined(connection) == []
        heads = [head async for head in audit_verification.heads(connection)]
        assert len(heads) == len({head.stream for head in heads}) > 6
        assert sum(head.sequence for head in heads) == len((await connection.execute(select(t.events.c.id))).all())


def made_up(hint: object) -> object:
    """A value of a field's type."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        return made_up(inside[0])
    if origin is Mapping:
        return {}
    if origin is tuple:
        return (made_up(inside[0]),) * 2
    if is_dataclass(hint) and isinstance(hint, type):
        return hint(**{field.name: made_up(get_type_hints(hint)[field.name]) for field in fields(hint)})
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    plain = {
        bool: True,
        int: 7,
        bytes: b"7",
        str: 'a "b" é',
        UUID: UUID(int=7),
        date: NOON.date(),
        datetime: NOON,
        type(None): None,
    }
    return plain[hint]  # type: ignore[index] # a hint is one of these


async def test_an_event_of_every_kind_comes_back_as_it_was_linked(
    module_office: Office, module_database: RolledBackDatabase
) -> None:
    story = await module_office.file()
    await story.try_to_reach(story.complainants[0].party_id)  # or it could not lapse
    by = Actor(Role.INTAKE, 'intake "é" \\ \N{GRINNING FACE}')
    async with module_database.transaction() as connection:
        for event in ALL:
            hints = get_type_hints(event)
            values = {each.name: made_up(hints[each.name]) for each in fields(event)}
            if "party_id" in values:
                values["party_id"] = UUID(story.complainants[0].party_id)
            of_case = Stream(case_id=UUID(story.case_id))
            listed = listed_events(of_case, [event(**values)])
            written = event_parameters(of_case, by=by, at=NOON)
            await connection.execute(WRITE_EVENTS, {**written, "new_events": listed})
            assert await examined(connection) == [], event.kind


def _anything(dice: random.Random, depth: int = 0) -> object:
    """Some JSON, hostile to whoever writes it in another way than jsonb does. No fractions: events hold none."""
    letters = string.printable + "éß\u2028\u00a0\x7f\x1f\U0001f600\ufffd\u0301"
    words = "".join(dice.choices(letters.replace("\x00", ""), k=dice.randrange(6)))
    plain = [None, True, False, 0, -1, 10**15, dice.randrange(-(10**6), 10**6), words]
    if depth > 3 or dice.random() < 0.5:
        return dice.choice(plain)
    inside = [_anything(dice, depth + 1) for _ in range(dice.randrange(4))]
    if dice.random() < 0.5:
        return inside
    return {"".join(dice.choices(letters, k=dice.randrange(4))): each for each in inside}


async def test_any_json_is_linked_alike_by_the_database_and_the_domain(
    module_office: Office, module_database: RolledBackDatabase
) -> None:
    dice = dice_of(SEED)
    story = await module_office.file()
    row = {
        "kind": "made.up",
        "case_id": UUID(story.case_id),
        "version": 9,
        "at": NOON,
        "by_role": "intake",
        "by": "intake.1",
    }
    async with module_database.transaction() as connection:
        await connection.execute(
            insert(t.events), [{**row, "id": uuid4(), "data": _anything(dice)} for _ in range(300)]
        )
        assert await examined(connection) == []


async def test_writers_of_one_stream_take_turns(committed_office: Office, committed_database: Database) -> None:
    """A new code for a complainant takes no lock of the complaint; its events are in a row all the same."""
    office = committed_office
    story = await office.file(complainants=[{}, {}, {}])
    await asyncio.gather(
        *(office.intake.post(f"/v1/parties/{who.party_id}/access-codes") for who in story.complainants * 4),
        *(office.intake.patch(f"/v1/complaints/{story.complaint_id}", {"precinct": f"P{n}"}) for n in range(4)),
        *(office.intake.patch(f"/v1/parties/{who.party_id}", {"accommodations": "x"}) for who in story.complainants),
    )
    async with committed_database.transaction() as connection:
        assert await examined(connection) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_chain_heads SET sequence = sequence - 1",
        "UPDATE audit_chain_heads SET link = sha256('')",
        "UPDATE audit_chain_heads SET stream = gen_random_uuid(), sequence = sequence + 1",
        "DELETE FROM audit_chain_heads",
        "TRUNCATE audit_chain_heads",
    ],
)
async def test_a_head_never_moves_back(
    module_office: Office, module_database: RolledBackDatabase, statement: str
) -> None:
    await module_office.file()
    async with module_database.transaction() as connection:
        with pytest.raises(IntegrityError, match=r"never back|append-only"):
            async with connection.begin_nested():
                await connection.execute(text(statement))


async def test_whoever_names_a_place_in_the_chain_is_given_the_next_one(
    module_office: Office, module_database: RolledBackDatabase
) -> None:
    story = await module_office.file()
    row = {"id": uuid4(), "kind": "made.up", "case_id": UUID(story.case_id), "version": 9, "data": {}, "at": NOON}
    async with module_database.transaction() as connection:
        forged = {"sequence": 1, "link": b"forged", "by_role": "intake", "by": "intake.1"}
        await connection.execute(insert(t.events).values(**row, **forged))
        assert await examined(connection) == []


# ── what is done behind the service's back ─────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Owner:
    """Whoever owns the tables and has switched the triggers off. Each deed bends something, and says what."""

    connection: AsyncConnection
    dice: random.Random
    events: Sequence[RowMapping]

    def of_one_stream(self, at_least: int = 1) -> list[RowMapping]:
        streams = defaultdict(list)
        for event in self.events:
            streams[stream_of(event)].append(event)
        return self.dice.choice([each for each in streams.values() if len(each) >= at_least])

    async def set(self, event: RowMapping, **values: object) -> None:
        changed = t.events.update().where(t.events.c.id == event["id"]).values(**values)
        assert (await self.connection.execute(changed)).rowcount == 1

    async def edits_a_column(self) -> None:
        event, other = self.dice.sample(list(self.events), 2)
        column = self.dice.choice([c.name for c in t.events.columns if c.name not in {"sequence", "data"}])
        value = other[column]
        if column in {"report_id", "case_id", "complaint_id", "mediator_id"}:  # to another stream, or to two at once
            value = self.dice.choice(
                [each[column] for each in self.events if each[column] not in {None, event[column]}]
            )
        elif column == "at":
            value = event["at"] + timedelta(microseconds=self.dice.choice([-1, 1, 10**6, -(10**9)]))
        elif column == "link":
            value = bytes([event["link"][0] ^ 1]) + event["link"][1:]
        elif column == "party_id" and value == event["party_id"]:
            value = None if event["party_id"] else next(each["party_id"] for each in self.events if each["party_id"])
        elif column in {"id", "position"}:
            value = uuid4() if column == "id" else 10**9 + self.dice.randrange(10**6)
        elif column == "version":
            # NULL where it belongs to no case, and nowhere else: PostgreSQL refuses the rest itself.
            event = self.dice.choice([each for each in self.events if each["version"]])
            value = event["version"] + self.dice.choice([-1, 1, 10])
        elif column == "by_role" and value == event["by_role"]:
            value = "director" if event["by_role"] != "director" else "intake"
        elif value == event[column]:
            value = f"{value}x"
        moved = {"version": 1} if column == "case_id" and event["case_id"] is None else {}  # what has a case has one
        await self.set(event, **{column: value}, **moved)

    async def edits_the_body(self) -> None:
        event = self.dice.choice([each for each in self.events if each["data"]])
        body = dict(event["data"])
        name = self.dice.choice(sorted(body))
        match self.dice.randrange(4):
            case 0:
                del body[name]
            case 1:
                body["added"] = self.dice.choice([None, 0, "", [], {}])
            case 2:
                body[f"{name}_"] = body.pop(name)
            case _:
                body[name] = [body[name]] if self.dice.random() < 0.5 else f"{body[name]}."
        await self.set(event, data=body)

    async def deletes_one(self) -> None:
        await self._delete([self.dice.choice(self.events)])

    async def cuts_off_a_tail(self) -> None:
        events = self.of_one_stream()
        await self._delete(events[-self.dice.randint(1, len(events)) :])

    async def deletes_a_stream_and_its_head(self) -> None:
        events = self.of_one_stream()
        await self._delete(events)
        await self.connection.execute(
            t.audit_chain_heads.delete().where(t.audit_chain_heads.c.stream == stream_of(events[0]))
        )

    async def closes_the_gap_behind_a_deleted_one(self) -> None:
        events = self.of_one_stream(at_least=3)
        gone = self.dice.randrange(len(events) - 1)
        await self._delete([events[gone]])
        for later in events[gone + 1 :]:
            await self.set(later, sequence=later["sequence"] - 1)
        head = t.audit_chain_heads.update().where(t.audit_chain_heads.c.stream == stream_of(events[0]))
        await self.connection.execute(head.values(sequence=len(events) - 1))

    async def takes_a_head_back_with_its_tail(self) -> None:
        """And forgets the link."""
        events = self.of_one_stream(at_least=2)
        await self._delete(events[-1:])
        head = t.audit_chain_heads.update().where(t.audit_chain_heads.c.stream == stream_of(events[0]))
        await self.connection.execute(head.values(sequence=len(events) - 1))

    async def swaps_two_in_a_stream(self) -> None:
        one, other = self.dice.sample(self.of_one_stream(at_least=2), 2)
        columns = self.dice.choice(
            [("sequence",), ("sequence", "link"), ("position",), ("position", "sequence", "link")]
        )
        await self._swap(one, other, columns)

    async def swaps_two_streams(self) -> None:
        one = self.dice.choice([each for each in self.events if each["case_id"]])
        other = self.dice.choice([each for each in self.events if each["case_id"] not in {None, one["case_id"]}])
        await self._swap(one, other, ("case_id", "sequence", "link"))

    async def inserts_one(self) -> None:
        copied = self.dice.choice(self.events)
        events = [each for each in self.events if stream_of(each) == stream_of(copied)]
        place = self.dice.choice([len(events) + 1, self.dice.randint(1, len(events))])
        for later in reversed(events[place - 1 :]):
            await self.set(later, sequence=later["sequence"] + 1)
        row = {**copied, "id": uuid4(), "sequence": place}
        row["position"] = 10**9 + self.dice.randrange(10**6)
        await self.connection.execute(insert(t.events).values(**row))
        if self.dice.random() < 0.5:
            head = t.audit_chain_heads.update().where(t.audit_chain_heads.c.stream == stream_of(copied))
            await self.connection.execute(head.values(sequence=len(events) + 1))

    async def rewrites(self) -> None:
        """An edit, and every link from there on computed anew: nothing within the database shows it."""
        events = self.of_one_stream(at_least=2)
        edited = self.dice.randrange(len(events))
        await self.set(events[edited], by="somebody.else")
        stored = (await self.connection.execute(audit_verification._events_beside_heads(EVERYTHING))).mappings().all()
        entries = [audit_verification._entry(row) for row in stored if row["stream"] == stream_of(events[0])]
        before = events[edited - 1]["link"] if edited else START
        for entry in entries[edited:]:
            assert entry is not None
            before = link(before, entry)
            await self.connection.execute(t.events.update().where(t.events.c.id == entry.id).values(link=before))
        head = t.audit_chain_heads.update().where(t.audit_chain_heads.c.stream == stream_of(events[0]))
        await self.connection.execute(head.values(link=before))

    async def _delete(self, events: Sequence[RowMapping]) -> None:
        await self.connection.execute(t.events.delete().where(t.events.c.id.in_([event["id"] for event in events])))

    async def _swap(self, one: RowMapping, other: RowMapping, columns: Sequence[str]) -> None:
        aside = {"position": -1, "sequence": -1}
        await self.set(one, **{name: aside[name] for name in columns if name in aside})
        await self.set(other, **{name: one[name] for name in columns})
        await self.set(one, **{name: other[name] for name in columns})


def stream_of(event: RowMapping) -> UUID:
    found: UUID = event["report_id"] or event["case_id"] or event["complaint_id"] or event["mediator_id"]
    return found


DEEDS: Final[Sequence[Callable[[Owner], Awaitable[None]]]] = (
    Owner.edits_a_column,
    Owner.edits_a_column,
    Owner.edits_a_column,
    Owner.edits_the_body,
    Owner.edits_the_body,
    Owner.deletes_one,
    Owner.cuts_off_a_tail,
    Owner.deletes_a_stream_and_its_head,
    Owner.closes_the_gap_behind_a_deleted_one,
    Owner.takes_a_head_back_with_its_tail,
    Owner.swaps_two_in_a_stream,
    Owner.swaps_two_streams,
    Owner.inserts_one,
)


async def owner_of(connection: AsyncConnection) -> Owner:
    """Somebody with all rights to the tables, and the events as they are before anything is bent."""
    for table in ("events", "audit_chain_heads"):
        await connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
    await connection.execute(text("ALTER TABLE events DROP CONSTRAINT ck_events_subject"))
    await connection.execute(text("ALTER TABLE events ALTER position SET GENERATED BY DEFAULT"))
    await connection.execute(text("DROP INDEX uq_events_place"))
    events = (await connection.execute(select(t.events).order_by(EVENT_STREAM, t.events.c.sequence))).mappings().all()
    return Owner(connection, dice_of(SEED), events)


async def unseen(
    owner: Owner, deeds: Sequence[Callable[[Owner], Awaitable[None]]], *exported: ChainHead
) -> Counter[str]:
    """Do one deed after the other, each on the whole record, and count those that an examination misses, by name."""
    missed: Counter[str] = Counter()
    for deed in deeds:
        savepoint = await owner.connection.begin_nested()
        await deed(owner)
        if not await examined(owner.connection, *exported):
            missed[deed.__name__] += 1
        await savepoint.rollback()
    return missed


@pytest.mark.usefixtures("busy")
async def test_changes_made_by_the_owner_of_the_tables_are_found_every_one(
    module_database: RolledBackDatabase,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    async with module_database.transaction() as connection:
        owner = await owner_of(connection)
        assert await examined(connection) == []
        deeds = owner.dice.choices(DEEDS, k=EDITS)
        missed = await unseen(owner, deeds)
        assert await examined(connection) == []
        # The control: whoever does not compare links sees what is gone, and not what was changed.
        monkeypatch.setattr(audit_chain, "fits", lambda _previous, _entry: True)
        blind = await unseen(owner, [Owner.edits_the_body, Owner.swaps_two_streams, Owner.deletes_one] * 10)
    done = Counter(deed.__name__ for deed in deeds)
    report = {"seed": SEED, "events": len(owner.events), "done": done, "missed": missed}
    record_property("figure", f"{EDITS} changes to {len(owner.events)} events, {missed.total()} missed, seed {SEED}")
    assert missed == {}, report
    assert (blind["edits_the_body"], blind["swaps_two_streams"]) == (10, 10)


@pytest.mark.usefixtures("busy")
async def test_a_chain_that_was_rewritten_is_found_beside_what_was_exported_before(
    module_database: RolledBackDatabase,
) -> None:
    async with module_database.transaction() as connection:
        owner = await owner_of(connection)
        exported = [head async for head in audit_verification.heads(connection)]
        assert await unseen(owner, [Owner.rewrites] * 20, *exported) == {}
        # The control, and what the chain alone cannot show.
        assert await unseen(owner, [Owner.rewrites] * 20) == {"rewrites": 20}


BESIDE: Final = {
    "consents": "decision = CASE decision WHEN 'agreed' THEN 'declined' ELSE 'agreed' END",
    "guardian_consents": "channel = 'letter'",
    "voided_consents": "reason = 'found_minor'",
    "withdrawals": "id = gen_random_uuid()",
    "signatures": "method = 'paper'",
    "screenings": "findings = '[]'",
    "approvals": "approved = NOT approved",
    "absences": "excused = NOT excused",
    "pauses": "ends_on = ends_on + 1",
    "agreements": "text = text || '.'",
    "legal_holds": "reason = CASE reason WHEN 'litigation' THEN 'investigation' ELSE 'litigation' END",
    "mandatory_reports": "agency = agency || '.'",
    "disclosures": "body = body || '.'",
}
"""What is shown of what happened, and a change of it that no event tells of."""


DEEDS_BESIDE: Final = {
    "edit": "UPDATE {table} SET {change} WHERE {key} = (SELECT {key} FROM {table} ORDER BY {key} LIMIT 1)",
    "delete": "DELETE FROM {table} WHERE {key} = (SELECT {key} FROM {table} ORDER BY {key} LIMIT 1)",
    "move": "UPDATE {table} SET at = at + interval '1 second'",
    "insert": "INSERT INTO {table} SELECT (jsonb_populate_record(other, jsonb_build_object('id', gen_random_uuid()))).*"
    " FROM {table} AS other LIMIT 1",
}
DONE_BESIDE: Final = {
    table: [
        deed
        for deed in DEEDS_BESIDE
        if (deed == "edit" or table != "disclosures")
        # A consent is voided once, whoever writes it: the key of the table is the consent's.
        and (deed != "insert" or table != "voided_consents")
        and (deed != "move" or "at" in t.metadata.tables[table].c)
    ]
    for table in BESIDE
}


async def beside(connection: AsyncConnection) -> list[ChainFault]:
    return [problem async for problem in unlike_events(connection)]


async def without_walls(connection: AsyncConnection, table: str) -> None:
    """Take away all that would refuse the deed."""
    await connection.execute(text("SET LOCAL session_replication_role = replica"))
    for trigger in ("append_only", "append_only_but_emptied", "only_emptied"):
        await connection.execute(text(f"DROP TRIGGER IF EXISTS {trigger} ON {table}"))
    for constraint in t.metadata.tables[table].constraints:
        if isinstance(constraint, UniqueConstraint):
            await connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {constraint.name} CASCADE"))
    for index in t.metadata.tables[table].indexes:
        await connection.execute(text(f"DROP INDEX {index.name}"))


@pytest.mark.usefixtures("busy")
async def test_what_is_shown_beside_the_events_is_held_against_them(module_database: RolledBackDatabase) -> None:
    async with module_database.transaction() as connection:
        for number, (table, deeds) in enumerate(DONE_BESIDE.items()):
            key = {"disclosures": "sha256", "voided_consents": "consent_id"}.get(table, "id")
            walled = await connection.begin_nested()
            await without_walls(connection, table)
            assert await beside(connection) == [], table
            for deed in deeds if WHOLE else deeds[number % len(deeds) :][:1]:
                whole = await connection.begin_nested()
                statement = text(DEEDS_BESIDE[deed].format(table=table, key=key, change=BESIDE[table]))
                assert (await connection.execute(statement)).rowcount >= 1
                found = {problem.flaw for problem in await beside(connection)}
                assert found - {Flaw.NOT_ENCRYPTED} == {Flaw.UNLIKE_EVENT}, f"{deed} {table}"
                await whole.rollback()
            await walled.rollback()


OF_A_HOLD_AND_THE_LIKE: Final = (
    "legal_holds SET lifted_at = now(), lifted_by = 'director.1' WHERE lifted_at IS NULL",
    "legal_holds SET lifted_at = NULL, lifted_by = NULL WHERE lifted_at IS NOT NULL",
    "legal_holds SET placed_by = 'somebody.else'",
    "legal_holds SET complaint_id = (SELECT id FROM complaints c WHERE c.id <> complaint_id LIMIT 1)",
    "erasures SET requested_by = 'somebody.else'",
    "erasures SET refusal = 'public_record' WHERE state = 'refused'",
    "erasures SET state = 'approved', refusal = NULL WHERE state = 'refused'",
    "erasures SET decided_by = 'somebody.else' WHERE state = 'approved'",
    "assignments SET notes_destroyed_at = NULL WHERE notes_destroyed_at IS NOT NULL",
    "assignments SET notes_destroyed_at = now() WHERE state = 'accepted' AND notes_destroyed_at IS NULL",
)


@pytest.mark.usefixtures("busy")
async def test_a_hold_or_an_attestation_is_not_made_up_or_taken_back_unseen(
    module_database: RolledBackDatabase,
) -> None:
    async with module_database.transaction() as connection:
        for change in OF_A_HOLD_AND_THE_LIKE:
            savepoint = await connection.begin_nested()
            assert (await connection.execute(text(f"UPDATE {change}"))).rowcount >= 1, change
            assert {problem.flaw for problem in await beside(connection)} == {Flaw.UNLIKE_EVENT}, change
            await savepoint.rollback()


OF_A_REPORT: Final = (
    "category = 'adult_abuse'",
    "recipient = 'prosecutor'",
    "legal_basis = 'encrypted.1.ORS 1'",
    "disclosed_at = disclosed_at + interval '1 microsecond'",
    "case_id = (SELECT id FROM cases WHERE id <> case_id LIMIT 1)",
    "proposed_by = 'somebody.else'",
    "proposed_at = proposed_at - interval '1 hour'",
    "decided_by = 'somebody.else'",
    "decided_at = decided_at + interval '1 hour'",
    "drop_reason = 'entered_in_error' WHERE state = 'dropped'",
    "state = 'filed', drop_reason = NULL WHERE state = 'dropped'",
    "state = 'proposed', drop_reason = NULL, decided_at = NULL, decided_by = NULL, decided_by_role = NULL",
)


@pytest.mark.usefixtures("busy")
async def test_no_word_of_a_report_is_changed_unseen_and_its_case_is_not_named(
    module_database: RolledBackDatabase,
) -> None:
    async with module_database.transaction() as connection:
        reports = set(await connection.scalars(select(t.mandatory_reports.c.id)))
        for change in OF_A_REPORT:
            savepoint = await connection.begin_nested()
            assert (await connection.execute(text(f"UPDATE mandatory_reports SET {change}"))).rowcount >= 1  # noqa: S608
            problems = await beside(connection)
            assert problems, change
            assert {problem.stream for problem in problems} <= reports
            await savepoint.rollback()


async def test_a_case_that_lost_its_events_and_its_head_still_shows(
    module_office: Office, module_database: RolledBackDatabase
) -> None:
    story = await module_office.file()
    async with module_database.transaction() as connection:
        owner = await owner_of(connection)
        await connection.execute(t.events.delete().where(t.events.c.case_id == UUID(story.case_id)))
        await connection.execute(
            t.audit_chain_heads.delete().where(t.audit_chain_heads.c.stream == UUID(story.case_id))
        )
        assert await examined(owner.connection) == [ChainFault(Flaw.HEADLESS, UUID(story.case_id), 0)]


@pytest.mark.parametrize("at", ["infinity", "-infinity", "20000-01-01 00:00:00+00", "4000-01-01 00:00:00+00 BC"])
async def test_what_no_reader_expects_is_a_problem_and_no_crash(
    module_office: Office, module_database: RolledBackDatabase, at: str
) -> None:
    story = await module_office.file()
    async with module_database.transaction() as connection:
        owner = await owner_of(connection)
        await connection.execute(text(f"UPDATE events SET at = '{at}' WHERE case_id = '{story.case_id}'"))  # noqa: S608
        problems = await examined(owner.connection)
        assert {problem.flaw for problem in problems} == {Flaw.CHANGED}


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(
    "deed",
    [
        "UPDATE parties SET removed_at = NULL, removal_reason = NULL WHERE removed_at IS NOT NULL",
        "UPDATE parties SET removal_reason = 'wrong_person' WHERE removed_at IS NOT NULL",
        "UPDATE parties SET removed_at = added_at, removal_reason = 'duplicate' WHERE removed_at IS NULL",
        "UPDATE parties SET bound_subject = 'somebody-else' WHERE bound_subject IS NOT NULL",
    ],
)
async def test_who_was_removed_or_bound_is_held_against_the_events(
    module_database: RolledBackDatabase, deed: str
) -> None:
    async with module_database.transaction() as connection:
        assert await beside(connection) == []
        bent = await connection.begin_nested()
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        assert (await connection.execute(text(deed))).rowcount >= 1
        assert {problem.flaw for problem in await beside(connection)} == {Flaw.UNLIKE_EVENT}
        await bent.rollback()


# ── in parts ───────────────────────────────────────────────────────────────────────────────────────────────────────

EVERYWHERE: Final = (
    "UPDATE events SET by = 'x' WHERE sequence = 2",
    "UPDATE events SET kind = 'made.up' WHERE sequence = 3",
    "DELETE FROM events WHERE kind = 'party.asked'",
    "DELETE FROM audit_chain_heads WHERE stream IN (SELECT id FROM complaints LIMIT 1)",
    "INSERT INTO audit_chain_heads SELECT gen_random_uuid(), 1, sha256('')",
    "UPDATE participants SET joined_at = joined_at - interval '1 day'",
    "UPDATE screenings SET case_id = gen_random_uuid()",
    "UPDATE signatures SET agreement_id = gen_random_uuid() WHERE signer_role = 'mediator'",
    "UPDATE attendances SET session_id = gen_random_uuid() WHERE seat_role = 'mediator'",
    "UPDATE attendances SET present = NOT present",
    "UPDATE access_codes SET issued_at = issued_at - interval '1 day'",
    "UPDATE erasures SET requested_by = 'x'",
    "UPDATE mandatory_reports SET recipient = 'prosecutor'",
    "UPDATE mediators SET added_at = added_at - interval '1 day'",
    "UPDATE agreements SET languages = '{fr}'",
    "UPDATE parties SET name = 'encrypted.1.x'",
    "UPDATE session_officers SET employee_number_index = 'x'",
    "UPDATE disclosures SET version = 'x'",
    "DELETE FROM cases WHERE id IN (SELECT id FROM cases LIMIT 1)",
    "DELETE FROM complaints WHERE id IN (SELECT id FROM complaints LIMIT 1)",
)


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("size", [1, 4, 1000] if WHOLE else [4])
async def test_ranges_find_together_what_is_found_at_once(
    module_database: RolledBackDatabase, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(audit_ranges, "STREAMS_IN_RANGE", size)
    async with module_database.transaction() as connection:
        bent = await connection.begin_nested()
        await connection.execute(text("SET LOCAL session_replication_role = replica"))  # no foreign keys either
        for table in t.metadata.tables:
            await connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        exported = [head async for head in audit_verification.heads(connection)]
        for deed in EVERYWHERE:
            assert (await connection.execute(text(deed))).rowcount >= 1, deed
        whole = Examination(iter(exported), exported_to=10**6)
        problems = [
            *[each async for each in audit_verification.problems(connection, whole)],
            *await beside(connection),
        ]
        found, events, streams = list[ChainFault](), 0, 0
        ranges = await audit_ranges.divided(connection)
        for ids in ranges:
            of_range = (head for head in exported if (ids.after or NOBODY) < head.stream <= (ids.up_to or LAST))
            part = Examination(of_range, exported_to=10**6)
            found += [each async for each in audit_verification.problems(connection, part, ids)]
            found += [each async for each in unlike_events(connection, ids)]
            events, streams = events + part.events, streams + part.streams
        await bent.rollback()
    assert len({problem.flaw for problem in problems}) > 5
    assert sorted(map(str, found)) == sorted(map(str, problems))
    assert (events, streams) == (whole.events, whole.streams)
    assert len(ranges) > streams / (2 * size)


@pytest.mark.usefixtures("busy")
async def test_there_are_not_more_ranges_the_more_streams_there_are(
    module_database: RolledBackDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_ranges, "STREAMS_IN_RANGE", 1)
    monkeypatch.setattr(audit_ranges, "MOST_RANGES", 3)
    async with module_database.transaction() as connection:
        assert len([head async for head in audit_verification.heads(connection)]) > 9
        assert 4 <= len(await audit_ranges.divided(connection)) <= 6, "with what is left over, and what is nobody's"
