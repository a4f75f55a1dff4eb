"""Sealed columns: what opens, what does not, what is shown in its place, and that nothing was forgotten."""

import logging
from collections.abc import Callable, Mapping
from typing import Final, get_type_hints
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Text, insert, select, text, type_coerce, update
from sqlalchemy.exc import DBAPIError, StatementError
from tests.conftest import RolledBackDatabase

from mediation_api.database import encryption
from mediation_api.database import tables as t
from mediation_api.database.data_keys import decrypted
from mediation_api.database.encryption import (
    MARK,
    BlindIndex,
    Ciphertext,
    DataKey,
    Decrypted,
    DecryptionFailed,
    Encrypted,
    KeyMissing,
    Keyring,
    WrappedKey,
    keyring,
    new_key,
)
from mediation_api.database.engine import Database, create_engine
from mediation_api.database.nesting import AnySelect, nested
from mediation_api.dev.office import Office
from mediation_api.domain.events import Event
from mediation_api.domain.values import UNREADABLE
from mediation_api.repository.recording import ENCRYPTED
from mediation_api.settings import Settings

OWNER, ROW, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)
SECRET: Final = b"s" * 32
TELLS: Final = "Ring me at my sister's, never at home. Ž"


def ring(*ids: str) -> Keyring:
    return Keyring({key_id: key_id.encode() * 32 for key_id in ids}, SECRET)


def envelope(value: str, *, row: UUID = ROW, owner: UUID = OWNER, wrapped: WrappedKey) -> str:
    return f"{owner} {wrapped.key_id} {wrapped.wrapped} {row} {value}"


@pytest.fixture
def ours() -> Keyring:
    return ring("a", "b")


@pytest.fixture
def data_key() -> DataKey:
    return DataKey(new_key())


@pytest.fixture
def wrapped(ours: Keyring, data_key: DataKey) -> WrappedKey:
    return ours.wrap(data_key.key, OWNER)


@pytest.fixture
def value(data_key: DataKey) -> str:
    return data_key.encrypt("parties", "safe_contact", ROW, TELLS)


# ── one value ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_sealed_opens_where_it_stands(ours: Keyring, wrapped: WrappedKey, value: str) -> None:
    assert ours.decrypt(envelope(value, wrapped=wrapped), "parties", "safe_contact") == TELLS


def test_the_same_text_is_sealed_differently_each_time(data_key: DataKey) -> None:
    assert len({data_key.encrypt("parties", "name", ROW, TELLS) for _ in range(20)}) == 20


def test_a_sealed_value_tells_nothing_but_its_length(value: str) -> None:
    assert value.startswith(MARK)
    assert not any(word in value for word in TELLS.split() if len(word) > 4)  # shorter ones stand there by chance


def _flipped(value: str) -> str:
    place = len(MARK) + 20
    return value[:place] + ("A" if value[place] != "A" else "B") + value[place + 1 :]


DAMAGES: Final[Mapping[str, Callable[[str], str]]] = {
    "one letter changed": _flipped,
    "cut off": lambda value: value[:-4],
    "nothing but the mark": lambda _: MARK,
    "no base64": lambda value: value + ".",
    "not ASCII": lambda value: value + "ž",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_was_damaged_does_not_open_and_its_error_tells_nothing(
    ours: Keyring, wrapped: WrappedKey, value: str, damage: str
) -> None:
    damaged = DAMAGES[damage](value)
    with pytest.raises(DecryptionFailed) as caught:
        ours.decrypt(envelope(damaged, wrapped=wrapped), "parties", "safe_contact")

    assert str(caught.value) == f"parties.safe_contact of {ROW}"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("table", "column", "row"),
    [("mediators", "safe_contact", ROW), ("parties", "phone", ROW), ("parties", "safe_contact", OTHER)],
)
def test_a_value_that_was_moved_does_not_open(
    ours: Keyring, wrapped: WrappedKey, value: str, table: str, column: str, row: UUID
) -> None:
    with pytest.raises(DecryptionFailed):
        ours.decrypt(envelope(value, row=row, wrapped=wrapped), table, column)


def test_a_data_key_opens_for_its_own_complaint_alone(ours: Keyring, data_key: DataKey, value: str) -> None:
    anothers = ours.wrap(new_key(), OWNER)
    moved = ours.wrap(data_key.key, OTHER)
    for wrapped in (anothers, moved, WrappedKey("b", ours.wrap(data_key.key, OWNER).wrapped)):
        with pytest.raises(DecryptionFailed):
            ours.decrypt(envelope(value, wrapped=wrapped), "parties", "safe_contact")


def test_without_its_data_key_nothing_opens(ours: Keyring, value: str) -> None:
    with pytest.raises(DecryptionFailed, match="it has no data key"):
        ours.decrypt(f"   {ROW} {value}", "parties", "safe_contact")


def test_a_key_that_the_settings_lack_is_named(wrapped: WrappedKey, value: str) -> None:
    later = ring("b", "c")
    with pytest.raises(KeyMissing, match=r"MEDIATION_ENCRYPTION_KEYS lacks a$"):
        later.decrypt(envelope(value, wrapped=wrapped), "parties", "safe_contact")


def test_a_data_key_that_is_wrapped_anew_opens_the_same_values(wrapped: WrappedKey, value: str) -> None:
    both = ring("b", "a")
    anew = both.rewrap(wrapped, OWNER)

    assert (anew.key_id, wrapped.key_id) == ("b", "a")
    assert ring("b").decrypt(envelope(value, wrapped=anew), "parties", "safe_contact") == TELLS


@pytest.mark.parametrize("text", [TELLS, "sealed. by me", "sealed.0.AAAA"])
def test_what_is_not_sealed_does_not_open_with_its_data_key_or_without(
    text: str, ours: Keyring, wrapped: WrappedKey
) -> None:
    """Whoever can write to the database has no key, and is believed nothing."""
    for its in (envelope(text, wrapped=wrapped), f"   {ROW} {text}"):
        with pytest.raises(DecryptionFailed) as caught:
            ours.decrypt(its, "parties", "safe_contact")
        assert str(caught.value) == f"parties.safe_contact of {ROW}: it is not encrypted"


def test_a_key_that_was_unwrapped_opens_nothing_once_its_row_is_gone(
    ours: Keyring, wrapped: WrappedKey, value: str
) -> None:
    assert ours.decrypt(envelope(value, wrapped=wrapped), "parties", "safe_contact") == TELLS

    with pytest.raises(DecryptionFailed, match="it has no data key"):
        ours.decrypt(f"{OWNER}   {ROW} {value}", "parties", "safe_contact")
    with pytest.raises(DecryptionFailed):
        ours.decrypt(envelope(value, wrapped=ours.wrap(new_key(), OWNER)), "parties", "safe_contact")


async def test_unwrapped_keys_are_dropped_when_the_connection_returns(
    settings: Settings, data_key: DataKey, value: str
) -> None:
    engine = create_engine(settings)
    keys = keyring(engine.dialect)
    its = envelope(value, wrapped=keys.wrap(data_key.key, OWNER))
    async with engine.connect():
        assert [keys.decrypt(its, "parties", "safe_contact") for _ in range(3)] == [TELLS] * 3
        assert (keys._data_key.cache_info().misses, keys._data_key.cache_info().currsize) == (1, 1)

    assert keys._data_key.cache_info().currsize == 0
    await engine.dispose()


def test_what_was_emptied_is_empty(ours: Keyring, wrapped: WrappedKey) -> None:
    assert ours.decrypt(envelope("", wrapped=wrapped), "parties", "name") == ""
    assert ours.decrypt(f"   {ROW} ", "parties", "name") == ""


def test_equal_values_have_equal_hashes_under_one_secret_only(ours: Keyring) -> None:
    other = Keyring({"a": b"a" * 32}, b"t" * 32)

    assert ours.hashed("10001") == ring("z").hashed("10001") != ours.hashed("10002")
    assert ours.hashed("10001") != other.hashed("10001")
    assert ours.hashed("10001").startswith(ours.search_mark) != other.hashed("10001").startswith(ours.search_mark)


def test_who_sends_back_what_could_not_be_read_changes_nothing(data_key: DataKey) -> None:
    row = data_key.encrypted_changes(
        t.parties, ROW, {"name": UNREADABLE, "phone": "1", "email": None, "unit": UNREADABLE}
    )

    assert row.keys() == {"phone", "email", "unit"}
    assert (row["email"], row["unit"]) == (None, UNREADABLE)
    assert isinstance(row["phone"], Ciphertext)


# ── every column ───────────────────────────────────────────────────────────────────────────────────────────────────

PLAIN: Final = {
    "disclosures.body": "a text of the office that anybody is shown; it names nobody",
}
"""The columns of text that are not sealed, and why."""


def test_every_text_is_sealed_or_on_the_list() -> None:
    texts = {str(column) for table in t.metadata.tables.values() for column in table.c if type(column.type) is Text}
    assert texts == PLAIN.keys()


def test_every_sealed_column_is_written_with_a_data_key_of_its_complaint_or_itself() -> None:
    for table in t.metadata.tables.values():
        if any(isinstance(column.type, Encrypted) for column in table.c):
            assert "id" in table.c, "what a value is bound to"
            for column in table.c:
                if isinstance(column.type, BlindIndex):
                    assert isinstance(table.c[column.type.of].type, Encrypted)


def test_what_an_event_keeps_private_is_sealed_or_everybody_s() -> None:
    private = {
        event for event in Event.__subclasses__() if len(event.recorded_fields()) < len(get_type_hints(event)) - 4
    }
    assert {event.kind for event in private} - {event.kind for event in ENCRYPTED} == {
        "consent.given",  # the disclosure
        "guardian.consented",
        "access_code.issued",  # a keyed hash
    }


async def test_a_text_that_is_not_sealed_cannot_be_written(database: RolledBackDatabase) -> None:
    row = {
        "id": uuid4(),
        "name": "Amara Okafor",
        "subject": "m.1",
        "languages": [],
        "active": True,
        "email_allowed": False,
    }
    async with database.transaction() as connection:
        with pytest.raises(StatementError, match="a text for an encrypted column is not encrypted") as caught:
            await connection.execute(insert(t.mediators).values(row))
    assert "Okafor" not in str(caught.value)


def test_a_sealed_column_cannot_be_nested_unopened() -> None:
    with pytest.raises(TypeError, match="select an encrypted column"):
        nested({"name": t.parties.c.name}, t.parties.c.complaint_id == t.cases.c.complaint_id, order_by=t.parties.c.id)
    with pytest.raises(TypeError, match="unit is not encrypted"):
        decrypted(t.parties.c.unit)


def test_a_statement_that_opens_is_compiled_once() -> None:
    """What is not the same to SQLAlchemy is compiled for each request."""

    def statement(or_else: str | None = UNREADABLE) -> AnySelect:
        names = {"name": decrypted(t.parties.c.name)}
        listed = nested(names, t.parties.c.complaint_id == t.complaints.c.id, order_by=t.parties.c.id)
        return select(
            type_coerce(decrypted(t.complaints.c.narrative), Decrypted("complaints", "narrative", or_else)), listed
        )

    first, same, other = (each._generate_cache_key() for each in (statement(), statement(), statement(None)))
    assert first is not None
    assert first == same != other


# ── damage, as people meet it ──────────────────────────────────────────────────────────────────────────────────────


async def _damage(database: RolledBackDatabase, table: str, column: str, row_id: str) -> None:
    values = {column: Ciphertext(MARK + "AAAA")}
    async with database.transaction() as connection:
        its = t.metadata.tables[table]
        await connection.execute(update(its).where(its.c.id == UUID(row_id)).values(values))


async def test_one_damaged_value_takes_nobody_s_page_away(
    office: Office, database: RolledBackDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    story, other = await office.file(), await office.file(narrative="Another matter.")
    complainant = story.complainants[0]
    await _damage(database, "complaints", "narrative", story.complaint_id)
    await _damage(database, "parties", "name", complainant.party_id)

    with caplog.at_level(logging.ERROR, encryption.__name__):
        listed = (await office.intake.get("/v1/complaints"))["items"]
    narratives = {each["id"]: each["narrative"] for each in listed}  # type: ignore[attr-defined]
    assert narratives == {story.complaint_id: UNREADABLE, other.complaint_id: "Another matter."}
    assert f"complaints.narrative of {story.complaint_id}" in caplog.text
    participants = (await story.case())["participants"]
    assert UNREADABLE in {each["name"] for each in participants}  # type: ignore[attr-defined]
    party = await office.intake.get(f"/v1/parties/{complainant.party_id}")
    assert (party["name"], party["phone"]) == (UNREADABLE, "+1 503 555 0100")

    # Sent back as it was shown, it is not written over what may be mended.
    await office.intake.patch(f"/v1/parties/{complainant.party_id}", {"name": UNREADABLE, "phone": "+1 503 555 0199"})
    async with database.reading() as connection:
        name = await connection.scalar(select(t.parties.c.name).where(t.parties.c.id == UUID(complainant.party_id)))
    assert name == MARK + "AAAA"


async def test_nothing_stands_in_the_place_of_a_text_to_sign(office: Office, database: RolledBackDatabase) -> None:
    story = await (await office.file()).to_scheduled()
    agreement = await story.make_agreement()
    async with database.transaction() as connection:
        await connection.execute(t.data_keys.update().values(wrapped="AAAA"))

    broken = await story.complainants[0].send("GET", f"/v1/agreements/{agreement['id']}")
    assert (broken.status_code, broken.json()["code"]) == (500, "internal-error")
    # And everybody can leave.
    await story.withdraw(story.complainants[0])


async def test_without_the_key_nothing_is_shown_and_everybody_can_leave(
    office: Office, database: RolledBackDatabase
) -> None:
    story = await office.file()
    async with database.transaction() as connection:
        await connection.execute(t.data_keys.update().values(key_id="gone"))

    assert (await office.intake.send("GET", f"/v1/parties/{story.complainants[0].party_id}")).status_code == 500
    await story.withdraw(story.complainants[0])


async def test_who_is_really_called_unreadable_is_filed_like_anybody_else(office: Office) -> None:
    """What stands for a value that does not open is kept from correcting one, and from nothing else."""
    story = await office.file(narrative=UNREADABLE, complainants=[{"name": UNREADABLE, "safe_contact": UNREADABLE}])
    party = await office.intake.get(f"/v1/parties/{story.complainants[0].party_id}")
    assert (party["name"], party["safe_contact"]) == (UNREADABLE, UNREADABLE)
    assert (await office.intake.get(f"/v1/complaints/{story.complaint_id}"))["narrative"] == UNREADABLE


async def test_a_complaint_whose_data_key_was_destroyed_is_there_and_unreadable(
    committed_office: Office, committed: Settings, as_owner: Callable[[Settings], Settings]
) -> None:
    """What retention will do: every text of the complaint is gone, in the rows as in each backup."""
    story = await committed_office.file()
    owner = Database.of(as_owner(committed))
    async with owner.transaction() as connection:
        await connection.execute(t.data_keys.delete())
    await owner.close()

    complaint = await committed_office.intake.get(f"/v1/complaints/{story.complaint_id}")
    assert (complaint["narrative"], complaint["reference"]) == (UNREADABLE, story.reference)


async def test_the_text_of_an_agreement_is_never_changed(office: Office, database: RolledBackDatabase) -> None:
    story = await (await office.file()).to_scheduled()
    await story.make_agreement()
    async with database.transaction() as connection:
        with pytest.raises(DBAPIError, match="never changed"):
            async with connection.begin_nested():
                await connection.execute(text("UPDATE agreements SET text = 'encrypted.1.AAAA'"))
