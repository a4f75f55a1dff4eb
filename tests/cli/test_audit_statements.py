"""The audit of events from the command line: a statement that is signed and exported, and what is held against it."""

import asyncio
import itertools
import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import text
from tests.cli.auditing import background, bend, run
from tests.conftest import NOON
from tests.serving import START_SECONDS

from mediation_api.auth.identity_provider import SigningKey, VerificationKey, read_jwks
from mediation_api.auth.tokens import sign_token
from mediation_api.cli import audit_statements
from mediation_api.cli.audit_statements import (
    StatementError,
    StatementWriter,
    public_keys,
    read_export,
    read_statement,
)
from mediation_api.database.engine import create_engine
from mediation_api.dev.office import Office
from mediation_api.domain.audit_chain import ChainHead, Horizon
from mediation_api.settings import Settings

pytestmark = pytest.mark.drawn

REWRITE = """
DO $$
DECLARE
    event events;
    before bytea := '';
BEGIN
    UPDATE events SET by = 'somebody.else' WHERE case_id = '{case}' AND sequence = 2;
    FOR event IN SELECT * FROM events WHERE case_id = '{case}' ORDER BY sequence LOOP
        before := event_link(before, event.sequence, event);
        UPDATE events SET link = before WHERE position = event.position;
    END LOOP;
    UPDATE audit_chain_heads SET link = before WHERE stream = '{case}';
END
$$
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "heads.jsonl"


async def test_an_untouched_office_verifies_and_goes_on_to_after_an_export(
    committed_office: Office, environment: Mapping[str, str], place: Path
) -> None:
    story = await committed_office.file()
    exported = run(environment, "export", "--to", place)
    assert (exported.exit_code, exported.stdout) == (0, "")
    await story.to_ready()
    for against in ((), ("--against", place)):
        done = run(environment, "verify", *against)
        assert (done.exit_code, done.stdout) == (0, ""), done.output
        assert "0 problems" in done.stderr


async def test_an_edit_is_one_line_without_a_person_and_a_status_that_says_so(
    committed_office: Office, owned: Settings, environment: Mapping[str, str]
) -> None:
    story = await committed_office.file()
    await bend(owned, f"UPDATE events SET by = 'x' WHERE case_id = '{story.case_id}' AND sequence = 2")  # noqa: S608
    done = run(environment, "verify")
    assert (done.exit_code, done.stdout) == (1, f"{story.case_id} 2 changed\n")
    assert "1 problems" in done.stderr


async def test_an_answer_that_is_not_what_its_event_says_is_a_line_as_well(
    committed_office: Office, owned: Settings, environment: Mapping[str, str]
) -> None:
    story = await (await committed_office.file()).to_asking()
    await bend(
        owned,
        "ALTER TABLE consents DISABLE TRIGGER USER",
        "UPDATE consents SET decision = 'declined'",
    )
    done = run(environment, "verify")
    assert done.exit_code == 1
    assert done.stdout.startswith(story.case_id)
    assert done.stdout.endswith(" unlike-event consents.decision\n")


async def test_a_chain_that_was_rewritten_shows_against_an_export_only(
    committed_office: Office, owned: Settings, environment: Mapping[str, str], place: Path
) -> None:
    story = await committed_office.file()
    run(environment, "export", "--to", place)
    await story.to_ready()
    await bend(owned, REWRITE.format(case=story.case_id))
    assert run(environment, "verify").exit_code == 0
    done = run(environment, "verify", "--against", place)
    assert done.exit_code == 1
    assert done.stdout.startswith(story.case_id)
    assert done.stdout.endswith(" unlike-export\n")


async def test_others_check_with_the_public_key_alone(
    committed_office: Office, environment: Mapping[str, str], place: Path, tmp_path: Path
) -> None:
    await committed_office.file()
    _write(place, run(environment, "export").stdout)
    jwks = tmp_path / "keys.json"
    _write(jwks, run(environment, "keys").stdout)
    assert run(environment, "verify", "--against", place, "--keys", jwks).exit_code == 0
    _write(jwks, public_keys(new_key()))
    done = run(environment, "verify", "--against", place, "--keys", jwks)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "unknown key" in done.stderr
    _write(jwks, "[]")
    assert "not a JWKS" in run(environment, "verify", "--against", place, "--keys", jwks).stderr


# ── statements that continue one another ───────────────────────────────────────────────────────────────────────────

NEXT = """
INSERT INTO events (id, kind, complaint_id, data, at, by_role, by)
VALUES (gen_random_uuid(), 'name.corrected', '{complaint}', '{{}}', now(), 'intake', 'x')
"""
BACKDATED = NEXT.replace("(id", "(position, id").replace("VALUES (", "OVERRIDING SYSTEM VALUE VALUES (0, ")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "heads"


def exported(environment: Mapping[str, str], folder: Path) -> list[str]:
    """Write the next statement of the folder. Returns the streams in it."""
    done = run(environment, "export", "--to", folder)
    assert (done.exit_code, done.stdout) == (0, ""), done.output
    last = statements(folder)[-1]
    return [line["stream"] for line in map(json.loads, last.read_text().splitlines()) if "stream" in line]


def statements(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def verified(environment: Mapping[str, str], folder: Path) -> str:
    """Verify against the folder. Returns what is wrong."""
    done = run(environment, "verify", "--against", folder)
    assert done.exit_code == (1 if done.stdout else 0), done.output
    return done.stdout


async def test_an_export_continues_where_the_last_one_ended(
    committed_office: Office, environment: Mapping[str, str], folder: Path
) -> None:
    one, other = await committed_office.file(), await committed_office.file()
    assert exported(environment, folder) == sorted([one.complaint_id, one.case_id, other.complaint_id, other.case_id])
    await one.to_ready()
    assert exported(environment, folder) == [one.case_id]
    assert exported(environment, folder) == []
    await other.to_ready()
    assert verified(environment, folder) == ""
    assert [path.name for path in statements(folder)] == ["000001.jsonl", "000002.jsonl", "000003.jsonl"]
    assert not (folder / "partial").exists()


async def test_each_statement_of_a_folder_is_compared_and_not_the_last_one_alone(
    committed_office: Office, owned: Settings, environment: Mapping[str, str], folder: Path
) -> None:
    """Somebody rewrites a chain before it goes on, so that the next statement has the links of what was rewritten."""
    story = await committed_office.file()
    exported(environment, folder)
    await bend(owned, REWRITE.format(case=story.case_id))
    await story.to_ready()
    assert exported(environment, folder) == [story.case_id]
    assert verified(environment, folder).split()[2:] == ["unlike-export"]


async def test_an_event_under_a_position_of_before_shows_against_an_export_only(
    committed_office: Office, owned: Settings, environment: Mapping[str, str], folder: Path
) -> None:
    """The next statement would not list its stream."""
    story = await committed_office.file()
    exported(environment, folder)
    await bend(owned, "ALTER TABLE events ENABLE TRIGGER USER", BACKDATED.format(complaint=story.complaint_id))
    assert exported(environment, folder) == []
    assert run(environment, "verify").stdout == ""
    assert verified(environment, folder).split()[2:] == ["not-in-export"]


async def test_an_export_continues_from_nothing_but_the_event_at_which_the_last_one_ended(
    committed_office: Office, owned: Settings, environment: Mapping[str, str], folder: Path
) -> None:
    story = await committed_office.file()
    exported(environment, folder)
    await bend(owned, "DELETE FROM events WHERE position = (SELECT max(position) FROM events)")
    await story.office.file()
    done = run(environment, "export", "--to", folder)
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert "does not have the event" in done.stderr
    assert "not-as-far-as-export" in verified(environment, folder)


async def test_statements_are_taken_together_only_if_none_is_missing_and_each_is_genuine(
    committed_office: Office, environment: Mapping[str, str], folder: Path
) -> None:
    story = await committed_office.file()
    exported(environment, folder)
    await story.to_ready()
    exported(environment, folder)
    await story.office.file()
    exported(environment, folder)
    first, second, third = statements(folder)

    def refused(against: Path = folder) -> str:
        done = run(environment, "verify", "--against", against)
        assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
        return done.stderr

    assert "does not continue" in refused(second)
    for missing in (first, second):
        whole = missing.read_bytes()
        missing.unlink()
        assert "does not continue" in refused()
        missing.write_bytes(whole.replace(b'"sequence": ', b'"sequence": 1'))
        assert "signature" in refused()
        missing.write_bytes(whole)
    assert verified(environment, folder) == ""
    third.write_bytes(third.read_bytes()[:-20])
    done = run(environment, "export", "--to", folder)
    assert (done.exit_code, len(statements(folder))) == (2, 3), "continues a statement that is not genuine"
    (folder / "empty").mkdir()
    assert "no statements" in refused(folder / "empty")


@pytest.mark.program
async def test_an_export_waits_for_events_that_are_about_to_be_committed_and_may_be_killed(
    committed_office: Office, owned: Settings, environment: Mapping[str, str], folder: Path
) -> None:
    """An event has its position already, and becomes visible after one with a later position."""
    story = await committed_office.file()
    exported(environment, folder)
    engine = create_engine(owned)
    async with engine.connect() as slow:
        await slow.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await slow.execute(text(NEXT.format(complaint=story.complaint_id)))
        later = await committed_office.file()
        with background(environment, "export", "--to", folder):
            await waiting(folder)
            assert "another process" in run(environment, "export", "--to", folder).stderr
        (folder / "partial").write_text("what a killed process had written")
        with background(environment, "export", "--to", folder) as again:
            await waiting(folder)
            assert again.poll() is None
            assert len(statements(folder)) == 1
            await slow.commit()
            assert again.wait() == 0
    await engine.dispose()
    assert exported(environment, folder) == []
    listed = (folder / "000002.jsonl").read_text()
    assert story.complaint_id in listed
    assert later.complaint_id in listed
    assert verified(environment, folder) == ""


async def waiting(folder: Path) -> None:
    """Wait until an export has begun to write, which is before it waits for the database."""
    async with asyncio.timeout(START_SECONDS):
        while not (folder / "partial").exists() or (folder / "partial").stat().st_size:  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.05)
    await asyncio.sleep(1)


def _write(path: Path, content: str) -> None:
    path.write_text(content)


def test_what_goes_wrong_is_one_line_and_overwrites_nothing(environment: Mapping[str, str], place: Path) -> None:
    place.write_text("kept")
    for arguments in (("export", "--to", place), ("verify", "--against", place), ("verify", "--against", place / "x")):
        done = run(environment, *arguments)
        assert done.exit_code == 2
        assert len(done.stderr.splitlines()) == 1
    assert place.read_text() == "kept"


# ── the statement ──────────────────────────────────────────────────────────────────────────────────────────────────


def new_key() -> SigningKey:
    private = ec.generate_private_key(ec.SECP256R1())
    return SigningKey.from_pem(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def trusted(key: SigningKey) -> Mapping[str, VerificationKey]:
    return read_jwks(public_keys(key).encode())


HEADS = [ChainHead(UUID(int=n), n + 1, bytes([n]) * 32) for n in range(1, 4)]


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return new_key()


LAST = Horizon(9, b"\x09" * 32)


def written(key: SigningKey, place: Path, *heads: ChainHead, follows: str | None = None) -> list[bytes]:
    """A statement, and its lines."""
    statement = StatementWriter(key)
    header = statement.header(LAST, at=NOON, follows=follows)
    place.write_bytes(b"".join([header, *map(statement.head, heads), statement.signature()]))
    return place.read_bytes().splitlines(keepends=True)


def test_a_statement_comes_back_as_it_was_signed(key: SigningKey, place: Path) -> None:
    lines = written(key, place, *HEADS)
    statement = read_statement(place, trusted(key))
    assert list(statement.heads()) == HEADS
    assert (statement.horizon, statement.follows) == (LAST, None)
    assert statement.sha256 == sha256(place.read_bytes()).hexdigest()
    assert json.loads(lines[0])["at"] == NOON.isoformat()


def test_a_statement_of_nothing_is_one(key: SigningKey, place: Path) -> None:
    written(key, place)
    assert list(read_statement(place, trusted(key)).heads()) == []


@pytest.mark.parametrize("number", range(5))
def test_every_byte_of_a_statement_counts(key: SigningKey, place: Path, number: int) -> None:
    lines = written(key, place, *HEADS)
    for at in range(len(lines[number]) - 1):
        bent = bytearray(lines[number])
        bent[at] ^= 16  # the last of base64 has four bits to spare
        place.write_bytes(b"".join([*lines[:number], bytes(bent), *lines[number + 1 :]]))
        with pytest.raises(StatementError):
            read_statement(place, trusted(key))


def test_a_statement_that_lost_gained_or_reordered_lines_is_none(key: SigningKey, place: Path) -> None:
    lines = written(key, place, *HEADS)
    first, one, two, three, signature = lines
    for bent in (
        [],
        [first],
        [signature],
        [first, one, two, three],
        [first, one, three, signature],
        [one, two, three, signature],
        [first, one, two, two, three, signature],
        [first, two, one, three, signature],
        [*lines, signature],
        [first, b" " * 2000 + one, two, three, signature],
    ):
        place.write_bytes(b"".join(bent))
        with pytest.raises(StatementError):
            read_statement(place, trusted(key))


def test_a_statement_out_of_order_is_none_whoever_signed_it(key: SigningKey, place: Path) -> None:
    written(key, place, *reversed(HEADS))
    with pytest.raises(StatementError, match="order"):
        read_statement(place, trusted(key))


@pytest.mark.parametrize("line", [{"stream": "x", "sequence": 1, "link": ""}, {"stream": str(UUID(int=0))}, {"a": []}])
def test_a_line_that_is_no_head_is_refused_whoever_signed_it(key: SigningKey, place: Path, line: object) -> None:
    statement = StatementWriter(key)
    place.write_bytes(statement.header(LAST, at=NOON, follows=None) + statement.add(line) + statement.signature())
    with pytest.raises(StatementError, match="cannot be read"):
        read_statement(place, trusted(key))


def test_a_statement_is_no_token_and_a_token_no_statement(key: SigningKey, place: Path) -> None:
    """The same key signs both."""
    lines = written(key, place, *HEADS)
    signed = sign_token({"sub": "x"}, key)
    last = json.loads(lines[-1])
    last["signature"] = signed.rpartition(".")[2]
    place.write_bytes(b"".join([*lines[:-1], json.dumps(last).encode()]))
    with pytest.raises(StatementError, match="signature of the statement is not valid"):
        read_statement(place, trusted(key))


@pytest.mark.parametrize("every", [1, 2, 3, 1000])
def test_a_range_of_streams_is_found_without_reading_all(
    key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    monkeypatch.setattr(audit_statements, "_MARK_EVERY", every)
    (tmp_path / "heads").mkdir()
    first, second = (tmp_path / "heads" / f"00000{n}.jsonl" for n in (1, 2))
    whole = [ChainHead(UUID(int=2 * n), 5, bytes([n]) * 32) for n in range(1, 9)]
    later = [ChainHead(each.stream, 7, each.link) for each in whole[2:5]]
    written(key, first, *whole)
    written(key, second, *later, follows=sha256(first.read_bytes()).hexdigest())
    export = read_export(tmp_path / "heads", trusted(key))
    assert export.position == LAST.position
    both = sorted([*whole, *later], key=lambda head: (head.stream, head.sequence))
    places = [None, *(UUID(int=n) for n in range(19))]
    for after, up_to in itertools.product(places, places):
        low, high = after or UUID(int=0), up_to or UUID(int=99)
        assert list(export.heads(after, up_to)) == [head for head in both if low < head.stream <= high]
