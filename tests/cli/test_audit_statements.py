"""The audit of events from the command line: a statement that is signed and exported, and what is held against it."""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import text
from tests.conftest import NOON
from typer.testing import CliRunner, Result

from mediation_api.auth.identity_provider import SigningKey, VerificationKey, read_jwks
from mediation_api.auth.tokens import sign_token
from mediation_api.cli.audit_statements import Statement, StatementError, public_keys, read_statement
from mediation_api.cli.main import app
from mediation_api.database.engine import create_engine
from mediation_api.dev.office import Office
from mediation_api.domain.audit_chain import ChainHead
from mediation_api.settings import Settings

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


@pytest.fixture
def owned(committed: Settings, as_owner: Callable[[Settings], Settings]) -> Settings:
    """The same database as its owner."""
    return as_owner(committed)


@pytest.fixture
def environment(committed: Settings, keys: Path) -> Mapping[str, str]:
    """What an operator has set: the service's own, who may read every event."""
    return {
        "MEDIATION_ENVIRONMENT": "dev",
        "MEDIATION_DATA_DIRECTORY": str(keys),
        "MEDIATION_DATABASE_URL": committed.database_url.get_secret_value(),
        "MEDIATION_ACCESS_CODE_SECRET": committed.access_code_secret.get_secret_value(),
        "MEDIATION_CURSOR_SECRET": committed.cursor_secret.get_secret_value(),
        "MEDIATION_SEARCH_SECRET": committed.search_secret.get_secret_value(),
        "MEDIATION_ENCRYPTION_KEYS": committed.encryption_keys.get_secret_value(),
    }


def run(environment: Mapping[str, str], *arguments: str | Path) -> Result:
    """Run the command in a thread: it has a loop of its own."""
    with ThreadPoolExecutor(1) as thread:
        arguments_ = ["audit", *map(str, arguments)]
        return thread.submit(CliRunner().invoke, app, arguments_, env=dict(environment)).result()


async def bend(owner: Settings, *statements: str) -> None:
    """Change something as the owner of the tables, who switches the triggers off."""
    engine = create_engine(owner)
    async with engine.begin() as connection:
        for table in ("events", "audit_chain_heads"):
            await connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        for statement in statements:
            await connection.execute(text(statement))
        for table in ("events", "audit_chain_heads"):
            await connection.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER USER"))
    await engine.dispose()


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


def written(key: SigningKey, place: Path, *heads: ChainHead) -> list[bytes]:
    """A statement, and its lines."""
    statement = Statement(key, at=NOON)
    place.write_bytes(b"".join([*(statement.line(each) for each in (None, *heads)), statement.signature()]))
    return place.read_bytes().splitlines(keepends=True)


def test_a_statement_comes_back_as_it_was_signed(key: SigningKey, place: Path) -> None:
    lines = written(key, place, *HEADS)
    assert list(read_statement(place, trusted(key))) == HEADS
    assert json.loads(lines[0])["at"] == NOON.isoformat()


def test_a_statement_of_nothing_is_one(key: SigningKey, place: Path) -> None:
    written(key, place)
    assert list(read_statement(place, trusted(key))) == []


@pytest.mark.parametrize("number", range(5))
def test_every_byte_of_a_statement_counts(key: SigningKey, place: Path, number: int) -> None:
    lines = written(key, place, *HEADS)
    for at in range(len(lines[number]) - 1):
        bent = bytearray(lines[number])
        bent[at] ^= 16  # the last of base64 has four bits to spare
        place.write_bytes(b"".join([*lines[:number], bytes(bent), *lines[number + 1 :]]))
        with pytest.raises(StatementError):
            list(read_statement(place, trusted(key)))


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
            list(read_statement(place, trusted(key)))


def test_a_statement_out_of_order_is_none_whoever_signed_it(key: SigningKey, place: Path) -> None:
    written(key, place, *reversed(HEADS))
    with pytest.raises(StatementError, match="order"):
        list(read_statement(place, trusted(key)))


@pytest.mark.parametrize("line", [{"stream": "x", "sequence": 1, "link": ""}, {"stream": str(UUID(int=0))}, {"a": []}])
def test_a_line_that_is_no_head_is_refused_whoever_signed_it(key: SigningKey, place: Path, line: object) -> None:
    statement = Statement(key, at=NOON)
    place.write_bytes(statement.line(None) + statement.add(line) + statement.signature())
    with pytest.raises(StatementError, match="cannot be read"):
        list(read_statement(place, trusted(key)))


def test_a_statement_is_no_token_and_a_token_no_statement(key: SigningKey, place: Path) -> None:
    """The same key signs both."""
    lines = written(key, place, *HEADS)
    signed = sign_token({"sub": "x"}, key)
    last = json.loads(lines[-1])
    last["signature"] = signed.rpartition(".")[2]
    place.write_bytes(b"".join([*lines[:-1], json.dumps(last).encode()]))
    with pytest.raises(StatementError, match="signature of the statement is not valid"):
        list(read_statement(place, trusted(key)))
