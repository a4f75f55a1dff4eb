"""Settings that weaken the service stop the start, by name: the command is run with each of them."""

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

import pytest
from tests.promises.production import production_environment
from typer.testing import CliRunner

from mediation_api.cli.main import app
from mediation_api.settings import Settings

Serve: TypeAlias = Callable[[Mapping[str, str]], str]

REMOTE: Final = "postgresql://api:c4n4ry@db.city.example:5432/mediation"


@pytest.fixture
def serve(
    settings: Settings,
    keys: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Serve:
    """Run `mediation-api serve` in production settings of which some are changed. Returns why it ended, from its log.

    The address cannot be listened on, so that the command ends: with that as its reason where no setting is refused.
    """

    def invoked(changes: Mapping[str, str]) -> str:
        environment = production_environment(settings, keys, tmp_path) | {"MEDIATION_HOST": "192.0.2.1"}
        for name, value in (environment | {f"MEDIATION_{name}": value for name, value in changes.items()}).items():
            monkeypatch.setenv(name, value)
        done = CliRunner().invoke(app, ["serve"])
        assert (done.exit_code, done.output) == (2, "")
        (record,) = [record for record in caplog.records if record.name == "mediation_api.cli.serve"]
        return record.getMessage()

    return invoked


def assert_settings_are_taken(reason: str) -> None:
    assert reason.startswith("MEDIATION_HOST, MEDIATION_PORT: ")


WEAK: Final[dict[str, tuple[str, str, str]]] = {
    "a JWKS address without TLS": ("TOKEN_JWKS", "http://login.city.example/keys", "https"),
    "an encryption key of zeros": ("ENCRYPTION_KEYS", f"a:{base64.b64encode(bytes(32)).decode()}", "guessed"),
    "an encryption key of one letter": ("ENCRYPTION_KEYS", f"a:{base64.b64encode(b'k' * 32).decode()}", "guessed"),
    "an encryption key that counts": ("ENCRYPTION_KEYS", f"a:{base64.b64encode(bytes(range(32))).decode()}", "guessed"),
    "a code secret of one letter": ("ACCESS_CODE_SECRET", "a" * 40, "guessed"),
    "a cursor secret of one word": ("CURSOR_SECRET", "correct-horse-" * 4, "guessed"),
    "a search secret that counts": ("SEARCH_SECRET", "abcdefghijklmnopqrstuvwxyz0123456789", "guessed"),
    "an unknown approver": ("REQUIRED_APPROVALS", "director, the-mayor", "director, internal_affairs, unit_commander"),
    "approvers that are nobody": ("REQUIRED_APPROVALS", ",", "must name an approver"),
    "a remote database without sslmode": ("DATABASE_URL", REMOTE, "sslmode=require"),
    "a remote database with sslmode=disable": ("DATABASE_URL", f"{REMOTE}?sslmode=disable", "sslmode=require"),
    "a remote database with sslmode=allow": ("DATABASE_URL", f"{REMOTE}?sslmode=allow", "sslmode=require"),
    "a remote database with sslmode=prefer": ("DATABASE_URL", f"{REMOTE}?sslmode=prefer", "sslmode=require"),
    "one of several databases remote": (
        "DATABASE_URL",
        "postgresql://api:c4n4ry@/mediation?host=127.0.0.1:5432&host=db.city.example:5432",
        "sslmode=require",
    ),
    "the issuer of development": ("TOKEN_ISSUER", "urn:mediation-api:dev-identity-provider", "development"),
}


@pytest.mark.parametrize("weakness", WEAK)
def test_a_setting_that_weakens_stops_the_start_by_name(weakness: str, serve: Serve) -> None:
    name, value, told = WEAK[weakness]
    line = serve({name: value})
    assert line.startswith(f"MEDIATION_{name}: ")
    assert told in line
    assert "c4n4ry" not in line


def test_without_a_weak_setting_it_starts(serve: Serve) -> None:
    """The control: what stops the start is the setting that was changed. test_log.py starts it in the same settings."""
    assert_settings_are_taken(serve({}))


@pytest.mark.parametrize(
    "address",
    [
        f"{REMOTE}?sslmode=require",
        f"{REMOTE}?sslmode=verify-full",
        "postgresql://api@127.0.0.1:1/mediation",
        "postgresql://api@[::1]:1/mediation",
        "postgresql://api@localhost:1/mediation?sslmode=disable",
        "postgresql://api@/mediation?host=/var/run/postgresql",
    ],
)
def test_a_database_on_this_machine_or_behind_tls_is_taken(address: str, serve: Serve) -> None:
    assert_settings_are_taken(serve({"DATABASE_URL": address}))


def test_a_setting_of_its_own_lets_the_database_go_without_tls(serve: Serve) -> None:
    changes = {"DATABASE_URL": f"{REMOTE}?sslmode=disable", "ALLOW_UNENCRYPTED_DATABASE": "true"}
    assert_settings_are_taken(serve(changes))
