"""The settings: MEDIATION_* environment variables, checked once at the start.

Outside `dev` nothing that weakens the service has a default: what is missing, unsafe or known from
development stops the start with the names of the settings. A value never appears in a message.
"""

import base64
import os
import re
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import holidays
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from mediation_api.domain.retention import SCHEDULE
from mediation_api.domain.strength import guessable
from mediation_api.domain.values import Approver, DataKind, ReportCategory
from mediation_api.logs import LogLevel

PREFIX: Final = "MEDIATION_"

DEV_TOKEN_ISSUER: Final = "urn:mediation-api:dev-identity-provider"  # noqa: S105 - a name, not a secret
DEV_SERVICE_ISSUER: Final = "urn:mediation-api:dev"
DEV_AUDIENCE: Final = "mediation-api-dev"
DEV_SECRET_PREFIX: Final = "dev-only-"  # noqa: S105 - what marks a secret as one of these
DEFAULT_CALENDAR: Final = "US-OR"
DEV_IDENTITY_PROVIDER_KEY: Final = "idp.pem"
"""The private key of the development identity provider. A key beside it is a development key as well."""

DEV_SECRET_FILES: Final = ("access_code_secret", "cursor_secret", "search_secret", "encryption_keys")
"""The settings that `mediation-api dev` makes, each in a file of its name."""

DATABASE_QUERY_KEYS: Final = frozenset({"host", "port", "target_session_attrs", "sslmode", "sslrootcert"})

_SECRET_BYTES: Final = 32
_SECRET_DIFFERENT: Final = 8
"""How many different characters a secret has at the least."""
_KEY_DIFFERENT: Final = 16
"""How many different bytes an encryption key has at the least: 32 random ones have about 30."""
_ENCRYPTED_MODES: Final = frozenset({"require", "verify-ca", "verify-full"})
_ENCRYPTION_KEY_BYTES: Final = 32
_ENCRYPTION_KEY: Final = re.compile(r"([a-z0-9][a-z0-9-]{0,31}):([A-Za-z0-9+/_-]{43}=?)")


class Environment(StrEnum):
    """Where the service runs."""

    DEV = "dev"
    PRODUCTION = "production"


class SettingsError(Exception):
    """The settings do not let the service start. The text names settings and rules, never a value."""


def _split(value: object) -> object:
    """Read a list from an environment variable: items between commas."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


type_of_list = BeforeValidator(_split)


def _kept(*kinds: DataKind) -> int:
    """The field of a period of `domain/retention.py`."""
    rules = [SCHEDULE[kind] for kind in kinds]
    named = " and ".join(f"`{kind}`" for kind in kinds)
    days: int = Field(
        rules[0].days,
        ge=1,
        le=36_500,
        description=f"Calendar days for which {named} data is kept, from {rules[0].start} (docs/retention.md).",
    )
    return days


class Settings(BaseSettings):
    """Every setting of the service. Frozen; an unknown argument is refused."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    environment: Environment = Field(
        Environment.PRODUCTION, description="`production`, or `dev`, which fills in keys of its own."
    )
    data_directory: Path = Field(
        Path(".mediation"),
        description="Where `dev` keeps its database, keys and secrets. Unused in production.",
    )

    database_url: SecretStr = Field(
        SecretStr(""),
        description=(
            "`postgresql://user:password@host:5432/name`. Several hosts: "
            "`postgresql://user:password@/name?host=a:5432&host=b:5432&target_session_attrs=read-write`. "
            "Also understood: `sslmode`, `sslrootcert`; to another machine `sslmode` is `require`, `verify-ca` or "
            "`verify-full`. `migrate` connects as the owner of the tables, "
            "`serve` as `mediation_service`."
        ),
    )
    allow_unencrypted_database: bool = Field(
        default=False,
        description="Lets the connection to a database on another machine go without TLS: for a network that is "
        "encrypted by other means.",
    )
    pool_size: int = Field(10, ge=1, le=500, description="Connections that one process keeps to the database.")
    party_pool_size: int = Field(
        4,
        ge=1,
        le=500,
        description=(
            "Connections that one process keeps besides those, for parties alone: "
            "who reads or consents finds one however busy staff are."
        ),
    )
    withdrawal_pool_size: int = Field(
        4,
        ge=1,
        le=100,
        description=(
            "Connections that one process keeps besides those, for withdrawals alone: a withdrawal finds one whatever "
            "else is asked for, and waits 15 s for one. The health check has one more."
        ),
    )
    caller_pool_percent: int = Field(
        50,
        ge=1,
        le=100,
        description=(
            "How much of each pool's connections one caller may hold at a time, in percent, and at least one: further "
            "requests of the same caller wait for these, and are answered 503 after the pool's time."
        ),
    )
    pool_timeout_seconds: float = Field(
        3.0, gt=0, le=60, description="How long a request waits for a connection before it is answered 503."
    )
    statement_timeout_ms: int = Field(5000, ge=100, le=600_000, description="The longest a statement may run.")
    party_statement_timeout_ms: int = Field(
        1000,
        ge=50,
        le=600_000,
        description=(
            "The same on the connections for parties: at most half of the time that a request waits for one, so that "
            "what one party reads cannot use up the time of those who wait."
        ),
    )
    lock_timeout_ms: int = Field(2000, ge=10, le=600_000, description="The longest a statement waits for a lock.")

    office_name: str = Field(
        "Independent Police Review",
        min_length=1,
        max_length=200,
        description="The office, as people read it.",
    )
    time_zone: str = Field(
        "America/Los_Angeles", description="The office's time zone (IANA name). Dates are counted in it."
    )
    holiday_calendar: str = Field(
        DEFAULT_CALENDAR,
        description="Country, or country and subdivision, whose public holidays are not working days.",
    )
    extra_holidays: Annotated[tuple[date, ...], NoDecode, type_of_list] = Field(
        (), description="Further days off of the city, as dates between commas."
    )

    target_days: int = Field(28, ge=1, le=366, description="Calendar days from the request to the target.")
    at_risk_days: int = Field(7, ge=0, le=366, description="Days left at which the pace becomes `at_risk`.")
    escalate_after_days: int = Field(
        60, ge=1, le=3660, description="Days from the request after which the director is alerted."
    )
    mediator_answer_working_days: int = Field(
        5, ge=1, le=60, description="Working days a mediator has to answer a proposal."
    )
    pause_max_days: int = Field(60, ge=1, le=366, description="The longest pause of the target, in calendar days.")
    complainant_absences_before_lapse: int = Field(
        2, ge=1, le=10, description="Absences of a complainant after which the case may be closed as lapsed."
    )
    officer_absences_before_lapse: int = Field(
        1, ge=1, le=10, description="Absences of an officer after which the case may be closed as lapsed."
    )
    required_approvals: Annotated[tuple[Approver, ...], NoDecode, type_of_list] = Field(
        (),
        description=(
            "Who must approve mediation besides the parties, between commas: "
            + ", ".join(f"`{approver}`" for approver in Approver)
            + "."
        ),
    )

    session_opens: int = Field(
        8, ge=0, le=23, description="The hour of the office's clock before which a session needs a reason."
    )
    session_closes: int = Field(20, ge=1, le=24, description="The hour after which it does.")
    session_early_start_minutes: int = Field(
        60,
        ge=0,
        le=240,
        description="Minutes before its hour from which a session may start. Earlier, it is rescheduled first.",
    )
    contact_attempts_before_lapse: int = Field(
        3, ge=1, le=20, description="Recorded attempts to reach a party before it lapses as unreachable."
    )
    contact_channels_before_lapse: int = Field(
        2, ge=1, le=5, description="Different channels among these attempts, at least."
    )
    contact_days_before_lapse: int = Field(
        5, ge=0, le=60, description="Calendar days between the first and the last of these attempts, at least."
    )
    max_attempts: int = Field(
        3, ge=1, le=10, description="How many cases one complaint may have: nobody is asked more often than that."
    )
    days_between_attempts: int = Field(
        30,
        ge=0,
        le=366,
        description="Calendar days from the close of a case before the next one of the complaint opens.",
    )
    report_categories: Annotated[tuple[ReportCategory, ...], NoDecode, type_of_list] = Field(
        (ReportCategory.CRIMINAL_ADMISSION,),
        min_length=1,
        description=(
            "Which mandatory reports can be recorded, between commas: "
            + ", ".join(f"`{category}`" for category in ReportCategory)
            + ". The disclosure and the confidentiality agreement name exactly these; another choice is another text."
        ),
    )

    office_opens: int = Field(
        7, ge=0, le=23, description="The hour of the office's clock before which reading counts as outside its hours."
    )
    office_closes: int = Field(19, ge=1, le=24, description="The hour from which it does.")
    anomaly_part_days: int = Field(
        30,
        ge=0,
        le=366,
        description="Calendar days before and after a record that somebody made about a complaint, in which their "
        "opening it is part of their work.",
    )
    anomaly_complaints_a_day: int = Field(
        20, ge=1, le=100_000, description="Complaints that somebody opens in a day before it counts as many."
    )
    anomaly_times_the_role: int = Field(
        3, ge=1, le=1000, description="And how many times the median of the others of the role it must exceed."
    )
    anomaly_days_after_close: int = Field(
        2,
        ge=1,
        le=31,
        description="Days on which somebody opens the same closed case before it counts as again and again.",
    )

    keep_terms_days: int = _kept(DataKind.RESOLUTION_TERMS)
    keep_contact_days: int = _kept(DataKind.CONTACT, DataKind.NEEDS)
    keep_account_days: int = _kept(DataKind.ACCOUNT)
    keep_identity_days: int = _kept(DataKind.IDENTITY)

    token_issuer: str = Field("", description="`iss` of the city's identity provider. Required.")
    token_audience: str = Field("", description="`aud` that a token must carry to be meant for us. Required.")
    token_jwks: str = Field(
        "", description="The identity provider's public keys: an https address or a file. Required."
    )
    role_claim: str = Field("role", min_length=1, max_length=100, description="The claim that holds the role.")
    service_issuer: str = Field(
        "",
        description=(
            "`iss` of the tokens that the service gives to members of the public. Required, and another name "
            "than the identity provider's."
        ),
    )
    service_key_file: Path | None = Field(
        None, description="The EC P-256 private key (PEM) that signs those tokens. Required."
    )
    access_token_minutes: int = Field(15, ge=1, le=60, description="How long such a token is good for.")
    clock_leeway_seconds: int = Field(
        30, ge=0, le=30, description="How far the clocks of those who make tokens may differ from ours."
    )
    access_code_secret: SecretStr = Field(
        SecretStr(""), description="Keys the hashes of access codes. At least 32 bytes. Required."
    )
    cursor_secret: SecretStr = Field(
        SecretStr(""), description="Signs the cursors of lists. At least 32 bytes. Required."
    )
    encryption_keys: SecretStr = Field(
        SecretStr(""),
        description=(
            "The keys under which names, contacts and texts are encrypted, as `id:base64` between commas "
            "(`mediation-api keys make` prints one). The first is for what is written from now on; the others open "
            "what is there. Without them, it is lost. Required."
        ),
    )
    search_secret: SecretStr = Field(
        SecretStr(""),
        description="Keys the hashes by which an officer's employee number is found. At least 32 bytes. Required.",
    )

    host: str = Field("127.0.0.1", min_length=1, description="The address that `serve` listens on.")
    port: int = Field(8000, ge=1, le=65_535, description="The port that `serve` listens on.")
    workers: int = Field(1, ge=1, le=128, description="Processes that `serve` starts.")
    log_level: LogLevel = Field(
        LogLevel.INFO,
        description="The least severe lines of the log: `debug`, `info` (a line for each request), `warning` or "
        "`error`. The log is one JSON object per line on standard error.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, type_of_list] = Field(
        (), description="Where pages may call the service from, as origins between commas; from nowhere unless set."
    )
    requests_per_minute: int = Field(
        600,
        ge=1,
        le=1_000_000,
        description="Requests of one caller in a minute and process before it is answered 429. Withdrawals never are.",
    )
    filings_per_hour: int = Field(
        60,
        ge=1,
        le=1_000_000,
        description="Complaints that the public files from one address in an hour, over all processes, before it is "
        "answered 429. Staff and integrations are not counted.",
    )
    code_tries_per_hour: int = Field(
        5,
        ge=1,
        le=100,
        description="Wrong secrets that are tried with one access code in an hour of the clock, over all processes, "
        "before even the right one is answered 429. A new code from intake begins anew, and who has a token keeps it.",
    )
    body_limit_bytes: int = Field(65_536, ge=1024, le=16_777_216, description="The largest body of a request.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, the environment over the files of `dev`. No .env files."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, DevelopmentFiles(settings_cls)

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if not text:
            return value
        try:
            url = urlsplit(text)
            query = parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
            port_is_wrong = url.port == 0  # reading it raises when it is no port
        except ValueError:
            # The reason would quote the address, and the address holds a password.
            raise ValueError("is not an address") from None
        if url.scheme != "postgresql" or port_is_wrong:
            raise ValueError("must start with postgresql://")
        if len(url.path) < len("/x"):
            raise ValueError("must name a database")
        unknown = sorted({key for key, _ in query} - DATABASE_QUERY_KEYS)
        if unknown:
            raise ValueError(f"understands only {', '.join(sorted(DATABASE_QUERY_KEYS))} after the ?")
        return value

    @field_validator("encryption_keys")
    @classmethod
    def _are_keys(cls, value: SecretStr) -> SecretStr:
        entries = _split(value.get_secret_value())
        found = [_ENCRYPTION_KEY.fullmatch(str(entry)) for entry in entries] if isinstance(entries, list) else []
        keys = {match[1]: _decoded(match[2]) for match in found if match}
        if None in found or any(len(key) != _ENCRYPTION_KEY_BYTES for key in keys.values()):
            raise ValueError("must be id:base64 of 32 bytes, several between commas")
        if not len(found) == len(keys) == len(set(keys.values())):
            raise ValueError("names a key twice")
        return value

    @field_validator("required_approvals", mode="before")
    @classmethod
    def _names_somebody(cls, value: object) -> object:
        approvers = _split(value)
        if isinstance(value, str) and not approvers:
            raise ValueError("names nobody")
        unknown = set(approvers) - set(Approver) if isinstance(approvers, list | tuple) else ()
        if unknown:
            raise ValueError(f"knows only {', '.join(Approver)}")
        return approvers

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):  # unknown, malformed, or the name of a directory
            raise ValueError("is not an IANA time zone") from None
        return value

    @field_validator("holiday_calendar")
    @classmethod
    def _is_a_calendar(cls, value: str) -> str:
        if value == DEFAULT_CALENDAR:
            return value  # known to be one: to look it up loads the calendars of all countries
        country, _, subdivision = value.partition("-")
        try:
            holidays.country_holidays(country, subdiv=subdivision or None)
        except NotImplementedError:
            raise ValueError("is not a known country or country-subdivision") from None
        return value

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.at_risk_days >= self.target_days:
            raise ValueError(f"{PREFIX}AT_RISK_DAYS: must be less than {PREFIX}TARGET_DAYS")
        if self.office_opens >= self.office_closes:
            raise ValueError(f"{PREFIX}OFFICE_OPENS: must be less than {PREFIX}OFFICE_CLOSES")
        if self.party_statement_timeout_ms > self.pool_timeout_seconds * 500:
            raise ValueError(
                f"{PREFIX}PARTY_STATEMENT_TIMEOUT_MS: must be at most half of {PREFIX}POOL_TIMEOUT_SECONDS"
            )
        if self.session_opens >= self.session_closes:
            raise ValueError(f"{PREFIX}SESSION_OPENS: must be less than {PREFIX}SESSION_CLOSES")
        if self.contact_channels_before_lapse > self.contact_attempts_before_lapse:
            raise ValueError(
                f"{PREFIX}CONTACT_CHANNELS_BEFORE_LAPSE: must not exceed {PREFIX}CONTACT_ATTEMPTS_BEFORE_LAPSE"
            )
        problems = [*self._missing(), *self._unsound()]
        if self.environment is not Environment.DEV:
            problems += self._known_from_development() + self._guessable() + self._unencrypted_database()
        if problems:
            raise ValueError("; ".join(f"{PREFIX}{name.upper()}: {rule}" for name, rule in problems))
        return self

    @property
    def key_encryption_keys(self) -> Mapping[str, bytes]:
        """The encryption keys by their ids, in their order: the first is for what is written from now on."""
        found = _ENCRYPTION_KEY.finditer(self.encryption_keys.get_secret_value())
        return {match[1]: _decoded(match[2]) for match in found}

    def _missing(self) -> list[tuple[str, str]]:
        required: Mapping[str, object] = {
            "token_issuer": self.token_issuer,
            "token_audience": self.token_audience,
            "token_jwks": self.token_jwks,
            "service_issuer": self.service_issuer,
            "service_key_file": self.service_key_file,
            "access_code_secret": self.access_code_secret.get_secret_value(),
            "cursor_secret": self.cursor_secret.get_secret_value(),
            "encryption_keys": self.encryption_keys.get_secret_value(),
            "search_secret": self.search_secret.get_secret_value(),
        }
        rule = "is required"
        if self.environment is Environment.DEV:
            rule += " (`mediation-api dev` makes it)"
        return [(name, rule) for name, value in required.items() if not value]

    def _unsound(self) -> list[tuple[str, str]]:
        found = []
        if self.service_issuer and self.service_issuer == self.token_issuer:
            # Who may be what is decided by the issuer first.
            found.append(("service_issuer", "must differ from the identity provider's"))
        found += self._weak_secrets()
        # `*` is none, and neither is an address with a path.
        scheme = "https?" if self.environment is Environment.DEV else "https"
        if not all(re.fullmatch(rf"{scheme}://[a-z0-9.-]+(:[0-9]{{1,5}})?", origin) for origin in self.cors_origins):
            found.append(("cors_origins", "must be https origins, like https://portal.city.example"))
        if self.service_key_file is not None and not os.access(self.service_key_file, os.R_OK):
            found.append(("service_key_file", "cannot be read"))
        if self.token_jwks and not re.match(r"https?://", self.token_jwks):
            if "://" in self.token_jwks:
                found.append(("token_jwks", "must be an https address or a file"))
            elif not os.access(self.token_jwks, os.R_OK):
                found.append(("token_jwks", "cannot be read"))
        return found

    def _weak_secrets(self) -> list[tuple[str, str]]:
        secrets = [(name, secret.get_secret_value()) for name, secret in self._secrets()]
        found = [
            (name, f"must be at least {_SECRET_BYTES} bytes")
            for name, secret in secrets
            if 0 < len(secret.encode()) < _SECRET_BYTES
        ]
        code, cursor, search = (secret for _, secret in secrets)
        if cursor == code != "":
            found.append(("cursor_secret", "must differ from the access code secret"))
        if search in {code, cursor} - {""}:
            found.append(("search_secret", "must differ from the other secrets"))
        return found

    def _guessable(self) -> list[tuple[str, str]]:
        """Keys and secrets that were made by hand. In development they carry a mark, and protect nobody."""
        rule = "can be guessed: make it with a random generator"
        found = [
            (name, rule)
            for name, secret in self._secrets()
            if len(value := secret.get_secret_value().encode()) >= _SECRET_BYTES
            and not value.startswith(DEV_SECRET_PREFIX.encode())
            and guessable(value, fewest=_SECRET_DIFFERENT)
        ]
        if any(guessable(key, fewest=_KEY_DIFFERENT) for key in self.key_encryption_keys.values()):
            found.append(("encryption_keys", "can be guessed: `mediation-api keys make` prints one"))
        return found

    def _unencrypted_database(self) -> list[tuple[str, str]]:
        if self.allow_unencrypted_database or not self.database_url.get_secret_value():
            return []
        url = urlsplit(self.database_url.get_secret_value())
        query = dict(parse_qsl(url.query))
        named = [value.rpartition(":")[0] or value for key, value in parse_qsl(url.query) if key == "host"]
        hosts = [url.hostname] if url.hostname else named
        if query.get("sslmode") in _ENCRYPTED_MODES or all(_is_this_machine(host) for host in hosts):
            return []
        rule = (
            f"needs sslmode=require, verify-ca or verify-full ({PREFIX}ALLOW_UNENCRYPTED_DATABASE lets it go without)"
        )
        return [("database_url", rule)]

    def _secrets(self) -> tuple[tuple[str, SecretStr], ...]:
        return tuple((name, getattr(self, name)) for name in ("access_code_secret", "cursor_secret", "search_secret"))

    def _known_from_development(self) -> list[tuple[str, str]]:
        rule = "is the development one"
        found = []
        if self.token_jwks.startswith("http://"):
            found.append(("token_jwks", "must be an https address or a file"))
        if self.token_issuer in {DEV_TOKEN_ISSUER, DEV_SERVICE_ISSUER}:
            found.append(("token_issuer", rule))
        if self.token_audience == DEV_AUDIENCE:
            found.append(("token_audience", rule))
        if self.service_issuer in {DEV_TOKEN_ISSUER, DEV_SERVICE_ISSUER}:
            found.append(("service_issuer", rule))
        for name, secret in self._secrets():
            if secret.get_secret_value().startswith(DEV_SECRET_PREFIX):
                found.append((name, rule))
        if any(key_id.startswith(DEV_SECRET_PREFIX) for key_id in self.key_encryption_keys):
            found.append(("encryption_keys", rule))
        if self.service_key_file is not None and _is_development_file(self.service_key_file):
            found.append(("service_key_file", rule))
        if "://" not in self.token_jwks and self.token_jwks and _is_development_file(Path(self.token_jwks)):
            found.append(("token_jwks", rule))
        return found


def _is_this_machine(host: str) -> bool:
    """Whether a host of a database is reached without a network: a socket's folder, or a loopback address."""
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_development_file(path: Path) -> bool:
    try:
        return (path.resolve().parent / DEV_IDENTITY_PROVIDER_KEY).exists()
    except OSError:
        return False


def _decoded(key: str) -> bytes:
    return base64.b64decode(key.rstrip("=") + "=", altchars="-_" if set(key) & {"-", "_"} else None)


class DevelopmentFiles(PydanticBaseSettingsSource):
    """In `dev`, what was not set is read from the files that `mediation-api dev` made, where they exist."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[str | None, str, bool]:
        """Unused: this source answers for several fields at once."""
        del field
        return None, field_name, False

    def __call__(self) -> dict[str, object]:
        """Return the values of development, or nothing outside `dev`."""
        if self.current_state.get("environment") != Environment.DEV:
            return {}
        directory = Path(str(self.current_state.get("data_directory", ".mediation"))).resolve()
        values: dict[str, object] = {
            "token_issuer": DEV_TOKEN_ISSUER,
            "token_audience": DEV_AUDIENCE,
            "service_issuer": DEV_SERVICE_ISSUER,
        }
        files = {"token_jwks": "idp.jwks.json", "service_key_file": "service.pem"}
        for name, file in files.items():
            if (directory / file).exists():
                values[name] = str(directory / file)
        for name in DEV_SECRET_FILES:
            secret = directory / f"{name}.txt"
            if secret.exists():
                values[name] = secret.read_text(encoding="utf-8").strip()
        return values


def settings_from_environment(
    *,
    environment: Environment | None = None,
    data_directory: Path | None = None,
    database_url: str | None = None,
) -> Settings:
    """Read the settings from the environment; the arguments given win over it.

    Raises:
        SettingsError: one line that names each setting that is missing, malformed or unsafe, never its value.
    """
    given = {"environment": environment, "data_directory": data_directory, "database_url": database_url}
    try:
        # Reads the environment as well: pydantic calls the constructor of settings.
        return Settings.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        # `from None`: the original knows the inputs.
        raise SettingsError(_one_line(error)) from None


def _one_line(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        rule = problem["msg"].removeprefix("Value error, ")
        name = str(problem["loc"][0]).upper() if problem["loc"] else ""
        lines.append(f"{PREFIX}{name}: {rule}" if name else rule)
    return "; ".join(lines)


def markdown_table() -> str:
    """Return the page docs/settings.md: every setting, its default and what it is for."""
    rows = [
        "# Settings",
        "",
        "Environment variables, read once at the start. This page is generated: `make generate`.",
        "",
        "| Variable | Default | Meaning |",
        "| --- | --- | --- |",
    ]
    for name, field in Settings.model_fields.items():
        # A pipe would end the cell.
        meaning = (field.description or "").replace("|", "\\|")
        rows.append(f"| `{PREFIX}{name.upper()}` | {_shown(field.default)} | {meaning} |")
    return "\n".join(rows) + "\n"


def _shown(default: object) -> str:
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    return f"`{default}`" if default not in (None, "", ()) else ""
