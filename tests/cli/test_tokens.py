"""`mediation-api token check`: what it says of tokens that are accepted and refused, and what it never prints."""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.promises.production import AUDIENCE, PROGRAM, production_environment, without_settings
from typer.testing import CliRunner, Result

from mediation_api.cli.main import app
from mediation_api.dev.identity_provider import dev_token
from mediation_api.domain.access import Role
from mediation_api.settings import Settings

ISSUER = "https://login.city.example"
Check: TypeAlias = Callable[[str], Result]


@pytest.fixture
def environment(settings: Settings, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    variables = production_environment(settings, keys, tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MEDIATION_DATABASE_URL")
    return variables


@pytest.fixture
def check(environment: dict[str, str]) -> Check:
    """Run the command with a token on standard input; no database is named, and none is needed."""
    assert environment

    def run(text: str) -> Result:
        done = CliRunner().invoke(app, ["token", "check"], input=text)
        shown = done.stdout + done.stderr
        assert not [part for part in text.split(".") if len(part) > 20 and part in shown]
        return done

    return run


def made(keys: Path, role: Role = Role.COORDINATOR, **claims: object) -> str:
    claims = {"issuer": ISSUER, "audience": AUDIENCE, "subject": "u-17", "minutes": 5, **claims}
    return dev_token(keys, role=role, now=datetime.now(UTC), **claims)  # type: ignore[arg-type]


def test_what_is_accepted_is_described(check: Check, keys: Path) -> None:
    done = check(made(keys, name="Ana Moran") + "\n")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Accepted.",
        "Role: coordinator",
        "Subject: u-17",
        "Employee number: none",
        "Scopes: none, so all that the role allows",
    ]


def test_the_scheme_may_stand_before_it(check: Check, keys: Path) -> None:
    assert check(f"Bearer {made(keys)}\n").stdout.startswith("Accepted.")


def test_an_employee_number_is_not_printed(check: Check, keys: Path) -> None:
    done = check(made(keys, Role.OFFICER, employee_number="4711"))
    assert "Employee number: present" in done.stdout
    assert "4711" not in done.stdout


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ("complaints:write", "Scopes: complaints:write"),
        ("openid", "Scopes: none, so nothing is allowed"),
        ("complaints:delete", "(unknown-scope) for complaints:delete, which does not exist"),
    ],
)
def test_what_the_scopes_of_a_program_allow_is_said(scope: str, words: str, check: Check, keys: Path) -> None:
    assert words in check(made(keys, Role.INTEGRATION, scope=scope)).stdout


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"audience": "other"}, f'Refused (audience): aud: expected "{AUDIENCE}"; found "other".'),
        ({"issuer": "https://x"}, 'Refused (issuer): iss: expected "https://login.city.example" or'),
        ({"role_claim": "roles"}, "Refused (role): role: expected text; found nothing."),
        ({"minutes": 121}, "Refused (lifetime): exp: expected at most 7200 seconds after iat; found 7260 seconds."),
        ({"minutes": -5}, "Refused (lifetime): exp"),
        ({"subject": ""}, "Refused (subject): sub: expected 1 to 255 printable characters"),
    ],
)
def test_what_is_refused_is_explained(claims: dict[str, object], words: str, check: Check, keys: Path) -> None:
    done = check(made(keys, Role.COORDINATOR, **claims))
    assert (done.exit_code, done.stderr) == (1, "")
    (line,) = done.stdout.splitlines()
    assert line.startswith(words)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "eyJ",
        "a.b.c",
        "ä.ö.ü",
        "a.b.c.d.e",
        "x" * 100_000,
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    ],
)
def test_what_is_no_token_is_refused(text: str, check: Check) -> None:
    done = check(text)
    assert (done.exit_code, done.stderr) == (1, "")
    assert done.stdout.startswith(("Refused (malformed): ", "Refused (header): "))


def test_without_keys_it_cannot_be_said(
    check: Check, keys: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(environment["MEDIATION_TOKEN_JWKS"]).write_text("<html>")
    done = check(made(keys))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.endswith(
        "The keys at MEDIATION_TOKEN_JWKS could not be read: JSONDecodeError. What is there is no JWKS.\n"
    )
    monkeypatch.setenv("MEDIATION_TOKEN_JWKS", "https://127.0.0.1:1/keys")
    assert "could not be read: ConnectError. There is no connection from here" in check(made(keys)).stderr


def test_a_token_is_no_argument(environment: dict[str, str], keys: Path) -> None:
    done = subprocess.run(
        [PROGRAM, "token", "check", made(keys)],
        env=without_settings() | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "unexpected extra argument" in done.stderr
