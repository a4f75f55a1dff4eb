"""A raw dump of a database, as whoever steals a backup holds it: every row as text, and the statistics."""

from typing import Final
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database.data_keys import decrypted
from mediation_api.database.encryption import MARK, Ciphertext, DataKey, Keyring
from mediation_api.database.engine import Database
from mediation_api.database.key_rotation import ENCRYPTED_COLUMNS
from mediation_api.dev.office import Office, Story
from mediation_api.domain.access import Role

REASON: Final = "The accusation was a slip of the pen."
"""A director's, for an override."""


async def told(office: Office) -> Story:
    """A story in which every sealed column says something."""
    story = await office.file(
        narrative="He laughed at my cane.",
        incident_place="Under the bridge",
        complainants=[
            {
                "email": "rosa@people.example",
                "postal_address": "Rosa Street 1",
                "safe_contact": "Never at home",
                "accommodations": "A ramp",
                "guardian": {
                    "name": "Nana Guardian",
                    "relation": "grandmother",
                    "phone": "+1 503 555 0111",
                    "email": "nana@people.example",
                },
            }
        ],
        officers=[{"employee_number": "E-77881"}],
    )
    await story.screen(eligible=True, reason=REASON)
    # Whom the city's identity provider calls by another name than the employee number.
    officer = office.caller(Role.OFFICER, "officer.kim", "E-77881")
    officer.party_id = story.officers[0].party_id
    story.officers = [officer]
    given = {"given_by": "Capt. Jo Approver", "given_on": "2026-03-01", "channel": "email"}
    approval = {"approver": "internal_affairs", "approved": True, **given}
    await office.intake.post(f"{story.path}/approvals", approval)
    for who in story.everybody:
        await story.answer(who)
    mediator = await story.assign()
    contact = {"email": "amara@people.example", "phone": "+1 503 555 0122", "employee_number": "E-66442"}
    await office.coordinator.patch(f"/v1/mediators/{mediator.mediator_id}", contact)
    await office.coordinator.post(f"{story.path}/attendees", {"role": "support_person", "name": "Sam Support"})
    await story.schedule(place="Room with a view", link="https://meet.example/room-with-a-view")
    await story.make_agreement()
    await office.integration.upload(b'{"narrative": "He broke my phone."}')
    return story


def seal_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every text be written, and read, as it is behind the mark of a sealed one, which the database demands."""

    def encrypt(_key: DataKey, _table: str, _column: str, _row: UUID, text: str) -> Ciphertext:
        return Ciphertext(MARK + text)

    def decrypt(_keys: Keyring, envelope: str, _table: str, _column: str) -> str:
        return envelope.split(" ", 4)[4].removeprefix(MARK)

    monkeypatch.setattr(DataKey, "encrypt", encrypt)
    monkeypatch.setattr(Keyring, "decrypt", decrypt)


async def dump(owner: Database, words: set[str]) -> set[str]:
    """Those of the words that stand in a dump; what ANALYZE keeps of values is part of it."""
    async with owner.transaction() as connection:
        await connection.execute(text("ANALYZE"))
    found: set[str] = set()
    async with owner.reading() as connection:
        for rows in await _all(connection):
            found |= {word for word in words if word in rows}
    return found


async def _all(connection: AsyncConnection) -> list[str]:
    named = "SELECT quote_ident(relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    names = [*(await connection.scalars(text(named))).all(), "pg_stats"]
    dumped = []
    for name in names:
        rows = await connection.scalars(text(f"SELECT whole::text FROM {name} AS whole"))  # noqa: S608 - ours
        # The text of a row doubles quotes and backslashes; JSON in it has backslashes of its own.
        dumped.append("\n".join(rows.all()).replace('""', '"').replace("\\\\", "\\"))
    return dumped


async def sealed_words(owner: Database) -> set[str]:
    """What every sealed value says. Short ones stand in a dump by chance."""
    said: set[str] = set()
    async with owner.reading() as connection:
        for table, names in ENCRYPTED_COLUMNS.items():
            for row in await connection.execute(select(*(decrypted(table.c[name]) for name in names))):
                said |= {value for value in row if value is not None}
    return {word for word in said if len(word) > 6}
