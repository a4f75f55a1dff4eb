"""The settings: what is refused, in one line that names settings and never shows a value."""

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from mediation_api.domain.values import Approver
from mediation_api.settings import (
    DEV_AUDIENCE,
    DEV_SECRET_PREFIX,
    DEV_SERVICE_ISSUER,
    DEV_TOKEN_ISSUER,
    Environment,
    Settings,
    SettingsError,
    database_settings_from_environment,
    markdown_table,
    public_holidays,
    settings_from_environment,
)

ROOT = Path(__file__).parents[1]
CANARY = "c4n4ry"
KEY, OTHER_KEY = (base64.b64encode(hashlib.sha256(letter).digest()).decode() for letter in (b"k", b"o"))


@pytest.fixture
def production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """An environment that is complete and safe."""
    key = tmp_path / "service.pem"
    key.write_text("a key", encoding="utf-8")
    variables = {
        "DATABASE_URL": f"postgresql://api:{CANARY}@db.example:5432/mediation?sslmode=require",
        "TOKEN_ISSUER": "https://login.city.example",
        "TOKEN_AUDIENCE": "mediation",
        "TOKEN_JWKS": "https://login.city.example/keys",
        "SERVICE_ISSUER": "https://mediation.city.example",
        "SERVICE_KEY_FILE": str(key),
        "ACCESS_CODE_SECRET": CANARY + hashlib.sha256(b"a").hexdigest(),
        "CURSOR_SECRET": CANARY + hashlib.sha256(b"c").hexdigest(),
        "SEARCH_SECRET": CANARY + hashlib.sha256(b"s").hexdigest(),
        "ENCRYPTION_KEYS": f"2026-a:{KEY}",
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"MEDIATION_{name}", value)
    return variables


def _refusal() -> str:
    with pytest.raises(SettingsError) as caught:
        settings_from_environment()
    return str(caught.value)


@pytest.mark.usefixtures("production")
def test_a_folder_without_categories_of_allegations_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDIATION_ALLEGATIONS_DIRECTORY", str(tmp_path))
    assert _refusal() == "MEDIATION_ALLEGATIONS_DIRECTORY: has no allegations.en.md that can be read"
    (tmp_path / "allegations.en.md").write_text("# Ours\n\n- search: Searches\n", encoding="utf-8")
    assert settings_from_environment().allegations_directory == tmp_path


@pytest.mark.usefixtures("production")
def test_a_complete_environment_is_accepted_as_production() -> None:
    settings = settings_from_environment()

    assert settings.environment is Environment.PRODUCTION
    assert settings.target_days == 28
    assert CANARY not in repr(settings)


@pytest.mark.usefixtures("production")
def test_several_encryption_keys_are_read_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    safe = OTHER_KEY.replace("+", "-").replace("/", "_").rstrip("=")  # as others write base64
    monkeypatch.setenv("MEDIATION_ENCRYPTION_KEYS", f"2026-b:{safe}, 2026-a:{KEY}")

    keys = settings_from_environment().key_encryption_keys
    assert list(keys.items()) == [("2026-b", hashlib.sha256(b"o").digest()), ("2026-a", hashlib.sha256(b"k").digest())]


def test_an_empty_environment_names_everything_that_is_missing() -> None:
    assert _refusal() == "; ".join(
        f"MEDIATION_{name}: is required"
        for name in (
            "TOKEN_ISSUER",
            "TOKEN_AUDIENCE",
            "TOKEN_JWKS",
            "SERVICE_ISSUER",
            "SERVICE_KEY_FILE",
            "ACCESS_CODE_SECRET",
            "CURSOR_SECRET",
            "ENCRYPTION_KEYS",
            "SEARCH_SECRET",
        )
    )


@pytest.mark.parametrize(
    "name",
    [
        "TOKEN_ISSUER",
        "TOKEN_AUDIENCE",
        "TOKEN_JWKS",
        "SERVICE_ISSUER",
        "SERVICE_KEY_FILE",
        "ACCESS_CODE_SECRET",
        "CURSOR_SECRET",
        "ENCRYPTION_KEYS",
        "SEARCH_SECRET",
    ],
)
@pytest.mark.usefixtures("production")
def test_each_missing_one_stops_the_start(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(f"MEDIATION_{name}")

    assert _refusal() == f"MEDIATION_{name}: is required"


@pytest.mark.usefixtures("production")
def test_a_party_s_statement_that_outlasts_the_wait_of_others_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIATION_POOL_TIMEOUT_SECONDS", "1.5")

    assert _refusal() == (
        "MEDIATION_PARTY_STATEMENT_TIMEOUT_MS: must be at most half of MEDIATION_POOL_TIMEOUT_SECONDS"
    )


ENCODE = "percent-encode the user and the password (@ is %40, : is %3A, / is %2F, ? is %3F, # is %23, % is %25)"
NO_URL = f"is not a valid URL: {ENCODE}"
UNENCRYPTED = "needs sslmode=require, verify-ca or verify-full (MEDIATION_ALLOW_UNENCRYPTED_DATABASE permits another)"
UNSAFE = [
    ("ACCESS_CODE_SECRET", CANARY, "must be at least 32 bytes"),
    ("CURSOR_SECRET", "c" * 31, "must be at least 32 bytes"),
    ("CURSOR_SECRET", CANARY + hashlib.sha256(b"a").hexdigest(), "must differ from the access code secret"),
    ("SEARCH_SECRET", "s" * 31, "must be at least 32 bytes"),
    ("SEARCH_SECRET", CANARY + hashlib.sha256(b"c").hexdigest(), "must differ from the other secrets"),
    ("SEARCH_SECRET", DEV_SECRET_PREFIX + "s" * 32, "is the development one"),
    ("ENCRYPTION_KEYS", f"{DEV_SECRET_PREFIX}1:{KEY}", "is the development one"),
    ("ENCRYPTION_KEYS", KEY, "must be id:base64 of 32 bytes each, separated by commas"),
    ("ENCRYPTION_KEYS", f"a:{CANARY}", "must be id:base64 of 32 bytes each, separated by commas"),
    ("ENCRYPTION_KEYS", f"a:{KEY},{CANARY}", "must be id:base64 of 32 bytes each, separated by commas"),
    ("ENCRYPTION_KEYS", f"a:{KEY},a:{OTHER_KEY}", "contains an id or a key twice"),
    ("ENCRYPTION_KEYS", f"a:{KEY},b:{KEY}", "contains an id or a key twice"),
    ("ACCESS_CODE_SECRET", DEV_SECRET_PREFIX + "a" * 32, "is the development one"),
    ("CURSOR_SECRET", DEV_SECRET_PREFIX + "c" * 32, "is the development one"),
    ("TOKEN_ISSUER", DEV_TOKEN_ISSUER, "is the development one"),
    ("TOKEN_AUDIENCE", DEV_AUDIENCE, "is the development one"),
    ("SERVICE_ISSUER", DEV_SERVICE_ISSUER, "is the development one"),
    ("SERVICE_ISSUER", "https://login.city.example", "must differ from the identity provider's"),
    ("TOKEN_JWKS", f"http://login.city.example/{CANARY}", "must be an https URL or a file"),
    ("TOKEN_JWKS", f"https://user:{CANARY}@login.city.example/keys", "must have no user and no password"),
    ("TOKEN_JWKS", f"ftp://login.city.example/{CANARY}", "must be an https URL or a file"),
    ("TOKEN_JWKS", f"/nowhere/{CANARY}.json", "cannot be read"),
    ("SERVICE_KEY_FILE", f"/nowhere/{CANARY}.pem", "cannot be read"),
    ("DATABASE_URL", f"mysql://a:{CANARY}@db/name", "must start with postgresql://"),
    ("DATABASE_URL", f"postgresql://a:{CANARY}@db", "must name a database"),
    ("DATABASE_URL", f"postgresql://a:{CANARY}@[db/name", NO_URL),
    ("DATABASE_URL", f"postgresql://a:{CANARY}@b@db/name", NO_URL),
    ("DATABASE_URL", f"postgresql://a:1/{CANARY}@db/name", NO_URL),
    ("DATABASE_URL", f"postgresql://a:1?{CANARY}@db/name", NO_URL),
    ("DATABASE_URL", f"postgresql://a:1#{CANARY}@db/name", NO_URL),
    *(
        ("DATABASE_URL", address, f"must have a port from 1 to 65535; if its password has a colon or a slash: {ENCODE}")
        for address in (
            f"postgresql://a:{CANARY}@db:{CANARY}/name",
            f"postgresql://a:{CANARY}@db:0/name",
            f"postgresql://a:{CANARY}@[::1]:65536/name",
            f"postgresql://a:b@/name?host=db:5432&host=db:{CANARY}",
            f"postgresql://a:b@/name?host=db&port={CANARY}",
            f"postgresql://a:{CANARY}/b",
        )
    ),
    (
        "DATABASE_URL",
        f"postgresql://a:b@db/name?sslmode={CANARY}",
        "sslmode must be one of allow, disable, prefer, require, verify-ca, verify-full",
    ),
    (
        "DATABASE_URL",
        f"postgresql://a:b@db/name?sslmode=require&target_session_attrs={CANARY}",
        "target_session_attrs must be one of any, prefer-standby, primary, read-only, read-write, standby",
    ),
    (
        "DATABASE_URL",
        f"postgresql://a:b@db/name?sslmode=verify-full&sslrootcert=/nowhere/{CANARY}.pem",
        "sslrootcert names no file with a certificate (PEM) that can be read",
    ),
    ("DATABASE_URL", "postgresql://a:b@db/name?sslmode=require&sslmode=require", "must have sslmode only once"),
    *(
        ("DATABASE_URL", address, UNENCRYPTED)
        for address in (
            f"postgresql://a:{CANARY}@db/name",
            f"postgresql://a:{CANARY}@localhost/name?host=db",
            f"postgresql://a:{CANARY}@/name?host=/run/postgresql,db",
        )
    ),
    (
        "DATABASE_URL",
        f"postgresql://a:b@db/name?password={CANARY}",
        "must have no parameters but host, port, sslmode, sslrootcert, target_session_attrs",
    ),
    ("TIME_ZONE", "America/Nowhere", "is not an IANA time zone"),
    ("TIME_ZONE", "America", "is not an IANA time zone"),
    ("TIME_ZONE", "../../etc/passwd", "is not an IANA time zone"),
    ("HOLIDAY_CALENDAR", "US-XX", "is not a known country or country-subdivision"),
    ("HOLIDAY_CALENDAR", "Atlantis", "is not a known country or country-subdivision"),
    ("AT_RISK_DAYS", "28", "must be less than MEDIATION_TARGET_DAYS"),
    ("TRACES_URL", "http://user:password@collector/v1/traces", "must be http(s)://host/path"),
    ("METRICS_PORT", "8000", "from it on, as many ports as MEDIATION_WORKERS must be free"),
    ("OFFICE_OPENS", "19", "must be less than MEDIATION_OFFICE_CLOSES"),
]


@pytest.mark.parametrize(("name", "value", "rule"), UNSAFE)
@pytest.mark.usefixtures("production")
def test_each_unsafe_one_stops_the_start_without_its_value(
    name: str, value: str, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"MEDIATION_{name}", value)

    assert _refusal() == f"MEDIATION_{name}: {rule}"


def test_a_database_needs_no_secrets_and_the_same_safety(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SERVICE_KEY_FILE", "ENCRYPTION_KEYS", "TOKEN_JWKS", "PORT"):
        monkeypatch.setenv(f"MEDIATION_{name}", "not read")
    monkeypatch.setenv("MEDIATION_DATABASE_URL", f"postgresql://owner:{CANARY}@db/name?sslmode=require")
    assert database_settings_from_environment().statement_timeout_ms == 5000

    monkeypatch.setenv("MEDIATION_DATABASE_URL", f"postgresql://owner:{CANARY}@db/name")
    monkeypatch.setenv("MEDIATION_LOCK_TIMEOUT_MS", "1")
    with pytest.raises(SettingsError, match=r"^MEDIATION_LOCK_TIMEOUT_MS: Input should be greater"):
        database_settings_from_environment()
    monkeypatch.delenv("MEDIATION_LOCK_TIMEOUT_MS")
    with pytest.raises(SettingsError) as caught:
        database_settings_from_environment()
    assert str(caught.value) == f"MEDIATION_DATABASE_URL: {UNENCRYPTED}"


MALFORMED = ["PORT", "TARGET_DAYS", "POOL_SIZE", "EXTRA_HOLIDAYS", "REQUIRED_APPROVALS", "ENVIRONMENT"]


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.usefixtures("production")
def test_a_malformed_one_is_named_without_its_value(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"MEDIATION_{name}", CANARY)

    refusal = _refusal()

    assert refusal.startswith(f"MEDIATION_{name}: ")
    assert CANARY not in refusal
    assert "\n" not in refusal


@pytest.mark.usefixtures("production")
def test_keys_that_lie_beside_a_development_identity_provider_are_refused(tmp_path: Path) -> None:
    (tmp_path / "idp.pem").write_text("a key", encoding="utf-8")

    assert _refusal() == "MEDIATION_SERVICE_KEY_FILE: is the development one"


@pytest.mark.usefixtures("production")
def test_a_key_set_of_development_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tmp_path / "made"
    made.mkdir()
    for name in ("idp.pem", "idp.jwks.json"):
        (made / name).write_text("{}", encoding="utf-8")
    monkeypatch.setenv("MEDIATION_TOKEN_JWKS", str(made / "idp.jwks.json"))

    assert _refusal() == "MEDIATION_TOKEN_JWKS: is the development one"


@pytest.mark.usefixtures("production")
def test_lists_are_items_between_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIATION_EXTRA_HOLIDAYS", "2026-12-24, 2026-12-31,")
    monkeypatch.setenv("MEDIATION_REQUIRED_APPROVALS", "director,unit_commander")

    settings = settings_from_environment()

    assert settings.extra_holidays == (date(2026, 12, 24), date(2026, 12, 31))
    assert settings.required_approvals == (Approver.DIRECTOR, Approver.UNIT_COMMANDER)


OF_THE_LIBRARY = """
import holidays, json
print(json.dumps({
    country: sorted(day.isoformat() for day in holidays.country_holidays(country, years=2026))
    for country in holidays.list_supported_countries(include_aliases=False)
}))
"""


@pytest.mark.drawn
def test_every_calendar_of_the_library_is_found_as_the_library_finds_it() -> None:
    found = subprocess.run([sys.executable, "-c", OF_THE_LIBRARY], capture_output=True, check=True).stdout
    year = [date(2026, 1, 1) + timedelta(days) for days in range(365)]
    for country, days in json.loads(found).items():
        calendar = public_holidays(country)
        assert [day.isoformat() for day in year if day in calendar] == days, country
    cesar_chavez_day = date(2026, 3, 31)
    assert cesar_chavez_day in public_holidays("US-CA")
    assert cesar_chavez_day not in public_holidays("US-OR")


@pytest.mark.usefixtures("production")
def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIATION_PORT", "")

    assert settings_from_environment().port == 8000


@pytest.mark.usefixtures("production")
def test_several_hosts_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://api@/mediation?host=a:5432&host=b:5432&target_session_attrs=read-write&sslmode=require"
    monkeypatch.setenv("MEDIATION_DATABASE_URL", url)

    assert settings_from_environment().database_url.get_secret_value() == url


@pytest.mark.usefixtures("production")
def test_a_production_environment_ignores_the_files_of_development(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDIATION_SERVICE_KEY_FILE")
    monkeypatch.setenv("MEDIATION_DATA_DIRECTORY", str(keys))

    assert _refusal() == "MEDIATION_SERVICE_KEY_FILE: is required"


def test_development_is_filled_in_from_its_files(keys: Path, tmp_path: Path) -> None:
    for name in ("idp.jwks.json", "service.pem"):
        (tmp_path / name).write_bytes((keys / name).read_bytes())
    (tmp_path / "access_code_secret.txt").write_text("a" * 40 + "\n", encoding="utf-8")
    (tmp_path / "cursor_secret.txt").write_text("c" * 40 + "\n", encoding="utf-8")
    (tmp_path / "search_secret.txt").write_text("s" * 40 + "\n", encoding="utf-8")
    (tmp_path / "encryption_keys.txt").write_text(f"a:{KEY}\n", encoding="utf-8")

    settings = settings_from_environment(environment=Environment.DEV, data_directory=tmp_path)

    assert settings.token_issuer == DEV_TOKEN_ISSUER
    assert settings.token_jwks == str(tmp_path / "idp.jwks.json")
    assert settings.service_key_file == tmp_path / "service.pem"
    assert settings.access_code_secret.get_secret_value() == "a" * 40


def test_development_without_its_files_says_what_makes_them(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"MEDIATION_SERVICE_KEY_FILE: is required [(]`mediation-api dev` creates it"
    ):
        settings_from_environment(environment=Environment.DEV, data_directory=tmp_path)


def test_settings_cannot_be_changed(settings: Settings) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc] # what is tested


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Settings.model_validate({"colour": "red"})


def test_every_setting_says_what_it_is_for() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name


def test_the_table_of_settings_is_up_to_date() -> None:
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == markdown_table(), "make generate"
