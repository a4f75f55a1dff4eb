"""`mediation-api check`: a right configuration is right in every point, and each planted fault is named by its line."""

import asyncio
import json
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_hex
from threading import Thread
from typing import Final, TypeAlias
from urllib.parse import quote

import pytest
from sqlalchemy import make_url
from tests.certificates import certificate_authority
from tests.cli.database_servers import Answer, answering, refusing, silent, with_certificate, without_tls
from tests.conftest import execute
from tests.promises.production import PROGRAM, production_environment, without_settings
from typer.testing import CliRunner

from mediation_api.cli.main import app
from mediation_api.database import connecting
from mediation_api.database.requirements import require_usable
from mediation_api.settings import Settings, settings_from_environment

Checked: TypeAlias = Callable[..., tuple[int, str]]
"""Runs the command in a place, with options; returns its exit code and its output."""
CANARY: Final = "c4n4ry"
SECRETS: Final = ("ACCESS_CODE_SECRET", "CURSOR_SECRET", "SEARCH_SECRET", "ENCRYPTION_KEYS")
ANOTHER: Final = f"{CANARY}-Q7xZ2mK9vB4nL1pR8sT6wY3cE5gH0jU"  # pragma: allowlist secret
"""In place of a secret."""
ANOTHER_KEY: Final = "c4n4ryQ7xZ2mK9vB4nL1pR8sT6wY3cD5fGh0jAeUi2k="  # pragma: allowlist secret


# ── the right configuration ────────────────────────────────────────────────────────────────────────────────────────


class Provider(BaseHTTPRequestHandler):
    """An identity provider that answers as the path says."""

    jwks = b""

    def do_GET(self) -> None:
        """Answer a request."""
        body = {"/none": b'{"keys": []}', "/text": b"Welcome."}.get(self.path, self.jwks)
        self.send_response_only(200)
        ahead = timedelta(minutes=2) if self.path == "/ahead" else timedelta()
        self.send_header("Date", format_datetime(datetime.now(UTC) + ahead, usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificates of two authorities, `city.pem` and `other.pem`."""
    return tmp_path_factory.mktemp("authority")


@pytest.fixture(scope="module")
def server_context(authority: Path) -> ssl.SSLContext:
    """The certificate of a server that the city's authority has signed."""
    certificate_authority(authority, "other")
    return certificate_authority(authority, "city")()


@pytest.fixture(scope="module")
def provider(keys: Path, server_context: ssl.SSLContext) -> Iterator[str]:
    """The address of an identity provider."""
    handler = type("Handler", (Provider,), {"jwks": (keys / "idp.jwks.json").read_bytes()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = server_context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@dataclass
class Place:
    """A right configuration, in which a fault is planted."""

    environment: dict[str, str]
    owner_url: str
    folder: Path
    authority: Path
    provider: str
    server_context: ssl.SSLContext
    secrets: tuple[str, ...]
    """What must never be printed."""
    stack: ExitStack = field(default_factory=ExitStack)

    def set(self, name: str, value: str) -> None:
        """Set a variable of the environment."""
        self.environment[f"MEDIATION_{name}"] = value

    @property
    def url(self) -> str:
        """The database's address."""
        return self.environment["MEDIATION_DATABASE_URL"]

    def at(self, **parts: object) -> None:
        """Change parts of the database's address."""
        url = make_url(self.url).set(**parts)  # type: ignore[arg-type] # whatever a test changes
        self.set("DATABASE_URL", url.render_as_string(hide_password=False))

    def sql(self, *statements: str) -> None:
        """Run statements as a superuser; `{name}` is the database, and `{user}` the login of the service."""
        url = make_url(self.url)
        filled = [each.format(name=url.database, user=url.username) for each in statements]
        asyncio.run(execute(self.owner_url, *filled))

    def answering(self, answer: Answer, parameters: str = "sslmode=disable") -> None:
        """Let the database be at a server that answers in this way."""
        port = self.stack.enter_context(answering(answer))
        self.set("DATABASE_URL", f"postgresql://clerk:{CANARY}@127.0.0.1:{port}/mediation?{parameters}")


@pytest.fixture
def place(
    committed: Settings,
    as_owner: Callable[[Settings], Settings],
    keys: Path,
    tmp_path: Path,
    authority: Path,
    provider: str,
    server_context: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    """A complete and safe configuration of production, with which `serve` was started once."""
    environment = production_environment(committed, keys, tmp_path) | {
        "MEDIATION_TOKEN_JWKS": f"{provider}/keys",
        "MEDIATION_TOKEN_JWKS_CA_FILE": str(authority / "city.pem"),
        "MEDIATION_PUBLIC_URL": "https://city.example/mediation",
    }
    owner_url = as_owner(committed).database_url.get_secret_value()
    password = make_url(environment["MEDIATION_DATABASE_URL"]).password
    secrets = (str(password), *(environment[f"MEDIATION_{name}"] for name in SECRETS))
    place = Place(environment, owner_url, tmp_path, authority, provider, server_context, secrets)
    place.sql('ALTER DATABASE "{name}" SET synchronous_commit = on')  # the server of the tests may lose everything
    with monkeypatch.context() as variables:
        for name, value in environment.items():
            variables.setenv(name, value)
        asyncio.run(require_usable(settings_from_environment()))
    monkeypatch.setattr(connecting, "HOST_SECONDS", 1.0)
    with place.stack:
        yield place


def _lines(output: str) -> list[tuple[str, str, str]]:
    """The state, the name and the words of each line."""
    found = []
    for line in output.splitlines():
        state, rest = line.split(maxsplit=1)
        name, words = rest.split(": ", maxsplit=1)
        found.append((state, name, words))
    return found


def _assert_tells_no_secret(output: str, place: Place) -> None:
    for secret in (CANARY, *place.secrets, *(place.environment.get(f"MEDIATION_{name}", "") for name in SECRETS)):
        assert not secret or secret not in output


@pytest.mark.program
def test_a_right_configuration_is_ok_in_every_point(place: Place) -> None:
    variables = without_settings() | place.environment
    done = subprocess.run([PROGRAM, "check"], env=variables, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    host = make_url(place.url).query["host"]
    assert [(state, name) for state, name, _ in _lines(done.stdout)] == [
        ("ok", name)
        for name in (
            "settings",
            "service key",
            "allegations",
            "calendar",
            "public URL",
            "mail server",
            "identity provider",
            "provider's clock",
            f"host {host}:5432",
            "primary",
            "role",
            "schema",
            "extension",
            "encryption keys",
            "secrets",
            "connection",
            "log",
            "limits",
            "database's clock",
        )
    ]
    _assert_tells_no_secret(done.stdout, place)


# ── planted faults ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Fault:
    """A fault, and the line that names it."""

    plant: Callable[[Place], object]
    point: str
    words: str
    also: frozenset[str] = frozenset()
    """Further points that are wrong with it."""


def _set(name: str, value: str, words: str) -> Fault:
    return Fault(lambda place: place.set(name, value), "settings", f"MEDIATION_{name}: {words}")


def _altered(setting: str, value: str, point: str, words: str, *also: str) -> Fault:
    alter = f'ALTER DATABASE "{{name}}" SET {setting} = {value}'
    return Fault(lambda place: place.sql(alter), point, words, frozenset(also))


def _logged(setting: str, value: str, wanted: str) -> Fault:
    words = f"PostgreSQL's own log would quote what people wrote: {setting} is {value} and should be {wanted}"
    return _altered(setting, f"'{value}'", "log", words)


def _behaves(setting: str, value: str, wanted: str, *also: str) -> Fault:
    words = f"the server has settings with which the service does not work: {setting} is {value} and should be {wanted}"
    return _altered(setting, f"'{value}'", "connection", words, *also)


def _host_that(answer: Callable[[Place], Answer], words: str, parameters: str = "sslmode=disable") -> Fault:
    def plant(place: Place) -> None:
        place.set("ALLOW_UNENCRYPTED_DATABASE", "true")
        place.answering(answer(place), parameters.format(authority=place.authority))

    return Fault(plant, "host", words)


SHADOW: Final = 'ALTER DATABASE "{name}" SET search_path = public, pg_catalog'
"""What is made in `public` then stands in for PostgreSQL's own."""


def _shadowed(function: str, point: str, words: str) -> Fault:
    return Fault(lambda place: place.sql(SHADOW, f"CREATE {function}"), point, words)


def _stranger(place: Place) -> None:
    """A login that is a member of nothing, and may read what is checked besides."""
    name = f"mediation_test_{token_hex(6)}"
    place.sql(
        f"CREATE ROLE {name} LOGIN PASSWORD '{CANARY}'",
        f"GRANT SELECT ON alembic_version, data_keys, canaries TO {name}",
    )
    place.stack.callback(place.sql, f"DROP OWNED BY {name}", f"DROP ROLE {name}")
    place.at(username=name, password=CANARY)


def _two_hosts(place: Place) -> None:
    folder = str(make_url(place.url).query["host"])
    hosts = f"host={quote(folder)}:5432&host={quote(folder)}/:5432&target_session_attrs=read-write"
    place.set("DATABASE_URL", f"{place.url.partition('?')[0]}?{hosts}")


def _without_kind(place: Place) -> None:
    folder = str(make_url(place.url).query["host"])
    place.set("DATABASE_URL", f"{place.url.partition('?')[0]}?host={quote(folder)}:5432&host=127.0.0.1:1")


def _key_of(text: str) -> Callable[[Place], None]:
    def plant(place: Place) -> None:
        file = place.folder / "planted.pem"
        file.write_text(text, encoding="utf-8")
        place.set("SERVICE_KEY_FILE", str(file))

    return plant


def _allegations(place: Place) -> None:
    (place.folder / "allegations.en.md").write_text("no list", encoding="utf-8")
    place.set("ALLEGATIONS_DIRECTORY", str(place.folder))


def _data_key(place: Place) -> None:
    place.sql("INSERT INTO data_keys (id, key_id, wrapped) VALUES (gen_random_uuid(), 'lost', 'of no interest')")


POOLER: Final = (
    "VIEW pg_settings AS SELECT name, CASE name WHEN 'statement_timeout' THEN '0' ELSE setting END AS setting "
    "FROM pg_catalog.pg_settings; GRANT SELECT ON public.pg_settings TO mediation_service"
)
WRONG_SECRET: Final = "is not the secret that this database was used with: "
UNREAD: Final = "The keys at MEDIATION_TOKEN_JWKS could not be read: "


def _mail_server_away(place: Place) -> None:
    mail = {"HOST": "127.0.0.1", "PORT": "1", "FROM": "no-reply@city.example", "USER": "mailer", "PASSWORD": CANARY}
    for name, value in mail.items():
        place.set(f"MAIL_{name}", value)
    place.set("PORTAL_URL", "https://portal.city.example")


FAULTS: Final[Mapping[str, Fault]] = {
    # settings
    "a required setting is missing": _set("TOKEN_AUDIENCE", "", "is required"),
    "a secret can be guessed": _set("CURSOR_SECRET", CANARY * 8, "can be guessed: create it with a random generator"),
    "two secrets are the same": Fault(
        lambda place: place.set("SEARCH_SECRET", place.environment["MEDIATION_CURSOR_SECRET"]),
        "settings",
        "MEDIATION_SEARCH_SECRET: must differ from the other secrets",
    ),
    "an unknown time zone": _set("TIME_ZONE", "America/Salem", "is not an IANA time zone"),
    "an unknown calendar": _set("HOLIDAY_CALENDAR", "US-ZZ", "is not a known country or country-subdivision"),
    "a password that is not encoded": _set(
        "DATABASE_URL", f"postgresql://clerk:{CANARY}@p:w/rd@db/mediation", "is not a valid URL: percent-encode the "
    ),
    "a misspelt sslmode": _set("DATABASE_URL", f"postgresql://clerk:{CANARY}@db/x?sslmode=ful", "sslmode must be one"),
    "no TLS to another machine": _set("DATABASE_URL", f"postgresql://clerk:{CANARY}@db/x", "needs sslmode=require, "),
    "a key that is none": Fault(_key_of(CANARY), "service key", "MEDIATION_SERVICE_KEY_FILE: must be an EC P-256 "),
    "categories that cannot be read": Fault(_allegations, "allegations", ""),
    "a public address without TLS": Fault(
        lambda place: place.set("PUBLIC_URL", "http://city.example"), "public URL", "MEDIATION_PUBLIC_URL: would send "
    ),
    "a mail server that is away": Fault(_mail_server_away, "mail server", "MEDIATION_MAIL_HOST: cannot be"),
    # the identity provider
    "a provider that is away": Fault(
        lambda place: place.set("TOKEN_JWKS", "https://127.0.0.1:1/keys"), "identity provider", UNREAD + "ConnectError"
    ),
    "a provider of another authority": Fault(
        lambda place: place.set("TOKEN_JWKS_CA_FILE", str(place.authority / "other.pem")),
        "identity provider",
        UNREAD + "SSLCertVerificationError. Name the authority ",
    ),
    "a proxy that is away": Fault(
        lambda place: place.set("TOKEN_JWKS_PROXY", f"http://user:{CANARY}@127.0.0.1:1"),
        "identity provider",
        UNREAD + "ConnectError",
    ),
    "an address without keys": Fault(
        lambda place: place.set("TOKEN_JWKS", f"{place.provider}/text"), "identity provider", UNREAD
    ),
    "a provider that publishes no key": Fault(
        lambda place: place.set("TOKEN_JWKS", f"{place.provider}/none"), "identity provider", UNREAD + "it publishes "
    ),
    "a provider whose clock is ahead": Fault(
        lambda place: place.set("TOKEN_JWKS", f"{place.provider}/ahead"), "provider's clock", "is 1"
    ),
    # the way to the database
    "a wrong password": Fault(
        lambda place: place.answering(refusing("28P01")), "host", "The database refused the password in "
    ),
    "no such role": Fault(lambda place: place.answering(refusing("28000")), "host", "The database does not let the "),
    "no such database": Fault(
        lambda place: place.at(database="mediation_test_none"),
        "host",
        "The database that MEDIATION_DATABASE_URL names ",
    ),
    "a host that is not known": Fault(
        lambda place: place.set("DATABASE_URL", f"postgresql://clerk:{CANARY}@db.invalid/x?sslmode=require"),
        "host",
        "The host in MEDIATION_DATABASE_URL is not known: ",
    ),
    "a host that refuses": Fault(
        lambda place: place.set("DATABASE_URL", f"postgresql://clerk:{CANARY}@127.0.0.1:1/x"),
        "host",
        "Nothing listens ",
    ),
    "a host that hangs": _host_that(lambda _: silent, "The database did not answer in time: "),
    "a host that starts up": _host_that(lambda _: refusing("57P03"), "The database server is starting up "),
    "a host without TLS": _host_that(lambda _: without_tls, "The server at MEDIATION_DATABASE_URL ", "sslmode=require"),
    "a certificate of another authority": _host_that(
        lambda place: with_certificate(place.server_context),
        "The certificate of the database server is not valid ",
        "sslmode=verify-full&sslrootcert={authority}/other.pem",
    ),
    "an old server": _shadowed(
        "FUNCTION current_setting(name text) RETURNS text LANGUAGE sql AS "
        "$$ SELECT CASE name WHEN 'server_version_num' THEN '140020' ELSE pg_catalog.current_setting(name) END $$",
        "host",
        "is PostgreSQL ",
    ),
    "a standby alone": _shadowed(
        "FUNCTION pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS $$ SELECT true $$",
        "primary",
        "MEDIATION_DATABASE_URL: no host that answers accepts writes: ",
    ),
    "two primaries": Fault(_two_hosts, "primary", "MEDIATION_DATABASE_URL: /"),
    "several hosts of any kind": Fault(
        _without_kind, "primary", "MEDIATION_DATABASE_URL: needs target_session_attrs=", frozenset({"host 127.0.0.1:1"})
    ),
    "a clock that is behind": _shadowed(
        "FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql AS "
        "$$ SELECT pg_catalog.clock_timestamp() - interval '1 minute' $$",
        "database's clock",
        "is 60 s behind that of this machine, and 5 s are allowed: synchronize both (NTP)",
    ),
    # the role and what it finds
    "a superuser": Fault(
        lambda place: place.set("DATABASE_URL", place.owner_url),
        "role",
        "MEDIATION_DATABASE_URL: connects as a superuser",
    ),
    "an owner of tables": Fault(
        lambda place: place.sql("CREATE TABLE own ()", 'ALTER TABLE own OWNER TO "{user}"'),
        "role",
        "MEDIATION_DATABASE_URL: connects as an owner of tables; ",
    ),
    "a role that is no service": Fault(_stranger, "role", "MEDIATION_DATABASE_URL: connects as a role that cannot "),
    "a schema that was never made": Fault(
        lambda place: place.sql("DROP TABLE alembic_version"),
        "schema",
        "The database is not migrated to this release: ",
    ),
    "a schema of an earlier release": Fault(
        lambda place: place.sql("UPDATE alembic_version SET version_num = '20261130_1500'"),
        "schema",
        "The database is not migrated to this release: ",
    ),
    "an extension that was dropped": Fault(
        lambda place: place.sql("DROP EXTENSION btree_gist CASCADE"), "extension", "btree_gist is not installed in "
    ),
    # secrets
    "a key that is lost": Fault(_data_key, "encryption keys", "MEDIATION_ENCRYPTION_KEYS: lacks lost, which is in use"),
    "another key of the same name": Fault(
        lambda place: place.set("ENCRYPTION_KEYS", f"2026-a:{ANOTHER_KEY}"),
        "secrets",
        "MEDIATION_ENCRYPTION_KEYS: 2026-a is not the key that has this name in this database: ",
    ),
    **{
        f"another {name.lower()}": Fault(
            lambda place, name=name: place.set(name, ANOTHER),  # type: ignore[misc]
            "secrets",
            f"MEDIATION_{name}: {WRONG_SECRET}",
        )
        for name in SECRETS[:3]
    },
    # settings of the server
    "a pooler in between": Fault(
        lambda place: place.sql(SHADOW, *f"CREATE {POOLER}".split("; ")), "connection", "the server ignores what the "
    ),
    "nothing can be written": _behaves("default_transaction_read_only", "on", "off"),
    "another isolation": _behaves("default_transaction_isolation", "serializable", "read committed"),
    "idle connections are ended": _behaves("idle_session_timeout", "60000", "0"),
    "a commit that is not on disk": _behaves("synchronous_commit", "off", "on"),
    "triggers that do not run": _behaves("session_replication_role", "replica", "origin"),
    "literals of another kind": _behaves("standard_conforming_strings", "off", "on"),
    "no schema in sight": _behaves("search_path", "elsewhere", "public", "schema"),
    "a log with details": _logged("log_error_verbosity", "default", "terse"),
    "a log with failed statements": _logged("log_min_error_statement", "error", "panic"),
    "a log with parameters": _logged("log_parameter_max_length_on_error", "-1", "0"),
    "a log with every statement": _logged("log_statement", "all", "none"),
    "a log with slow statements": _logged("log_min_duration_statement", "100", "-1"),
    "a log with samples": _logged("log_transaction_sample_rate", "0.5", "0"),
    "too many workers": Fault(
        lambda place: place.set("WORKERS", "64"),
        "limits",
        "MEDIATION_WORKERS, MEDIATION_POOL_SIZE and the other pools need 1220 connections: the server ",
    ),
    "too few connections": Fault(
        lambda place: place.sql('ALTER DATABASE "{name}" CONNECTION LIMIT 18'),
        "limits",
        "MEDIATION_WORKERS, MEDIATION_POOL_SIZE and the other pools need 23 connections: the database ",
    ),
}
assert len(FAULTS) >= 30


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> Checked:
    """Run the command in this process."""

    def run(place: Place, *options: str) -> tuple[int, str]:
        with monkeypatch.context() as variables:
            for name, value in place.environment.items():
                variables.setenv(name, value)
            done = CliRunner().invoke(app, ["check", *options])
        assert done.stderr == ""
        _assert_tells_no_secret(done.stdout, place)
        return done.exit_code, done.stdout

    return run


@pytest.mark.drawn
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_named_by_its_line(place: Place, checked: Checked, name: str) -> None:
    fault = FAULTS[name]
    fault.plant(place)

    code, output = checked(place)

    assert code == 1
    wrong = {point: words for state, point, words in _lines(output) if state == "wrong"}
    named = [point for point in wrong if fault.point in {point, point.split(" ")[0]} and point not in fault.also]
    assert len(named) == 1, output
    assert wrong[named[0]].startswith(fault.words), output
    assert wrong.keys() - set(named) == fault.also, output


def test_every_wrong_setting_has_a_line_and_the_database_is_checked_all_the_same(
    place: Place, checked: Checked
) -> None:
    place.set("TOKEN_ISSUER", "")
    place.set("SEARCH_SECRET", CANARY)
    place.sql("DROP TABLE alembic_version")

    code, output = checked(place)

    assert code == 1
    assert [(point, words.partition(":")[0]) for state, point, words in _lines(output) if state == "wrong"] == [
        ("settings", "MEDIATION_TOKEN_ISSUER"),
        ("settings", "MEDIATION_SEARCH_SECRET"),
        ("schema", "The database is not migrated to this release"),
    ]
    assert ("unchecked", "limits", "depends on: settings") in _lines(output)


def test_a_program_may_read_the_result(place: Place, checked: Checked) -> None:
    code, output = checked(place, "--json")

    points = json.loads(output)
    assert code == 0
    assert {point["state"] for point in points} == {"ok"}
    assert points[0] == {"state": "ok", "name": "settings", "words": "complete and safe, for production"}


def test_it_changes_nothing(place: Place, checked: Checked) -> None:
    """Least of all does it store the values of secrets that `serve` was not started with."""
    place.sql("TRUNCATE canaries", 'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    _, output = checked(place)
    assert [point for state, point, _ in _lines(output) if state == "wrong"] == ["connection"]
