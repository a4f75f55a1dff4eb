"""Settings that weaken the service stop the start, by name: the real command is started with each of them."""

import base64
import subprocess
from pathlib import Path
from typing import Final

import pytest
from tests.promises.production import PROGRAM, production_environment, serving, without_settings

from mediation_api.settings import Settings

REMOTE: Final = "postgresql://api:c4n4ry@db.city.example:5432/mediation"


def started(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *(command or ("serve",))],
        env={**without_settings(), **environment},
        capture_output=True,
        text=True,
        timeout=60,  # a service that starts all the same does not end
        check=False,
    )


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
def test_a_setting_that_weakens_stops_the_start_by_name(
    weakness: str, settings: Settings, keys: Path, tmp_path: Path
) -> None:
    name, value, told = WEAK[weakness]
    done = started({**production_environment(settings, keys, tmp_path), f"MEDIATION_{name}": value})
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"MEDIATION_{name}: ")
    assert told in line
    assert "c4n4ry" not in line


def test_without_a_weak_setting_it_starts(committed: Settings, keys: Path, tmp_path: Path) -> None:
    """The control: what stops the start is the setting that was changed."""
    with serving(production_environment(committed, keys, tmp_path), tmp_path) as running:
        running.stop()
    assert running.lines("server")


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
def test_a_database_on_this_machine_or_behind_tls_is_taken(
    address: str, settings: Settings, keys: Path, tmp_path: Path
) -> None:
    environment = {**production_environment(settings, keys, tmp_path), "MEDIATION_DATABASE_URL": address}
    # A port that cannot be listened on: what stops the start is no setting of the database.
    done = started({**environment, "MEDIATION_HOST": "192.0.2.1"})
    assert done.stderr.startswith("MEDIATION_HOST, MEDIATION_PORT: ")


def test_a_setting_of_its_own_lets_the_database_go_without_tls(settings: Settings, keys: Path, tmp_path: Path) -> None:
    environment = production_environment(settings, keys, tmp_path)
    environment |= {
        "MEDIATION_DATABASE_URL": f"{REMOTE}?sslmode=disable",
        "MEDIATION_ALLOW_UNENCRYPTED_DATABASE": "true",
        "MEDIATION_HOST": "192.0.2.1",
    }
    assert started(environment).stderr.startswith("MEDIATION_HOST, MEDIATION_PORT: ")
