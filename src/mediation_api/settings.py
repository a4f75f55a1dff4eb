"""The settings: MEDIATION_* environment variables, checked once at the start.

Outside `dev` no setting has an unsafe default. If a required setting is missing, or one is unsafe or a development
value, the service does not start, and the error names the settings and never their values.
"""

import base64
import os
import re
import ssl
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum, auto
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from types import ModuleType
from typing import Annotated, Final, Self, TypeVar
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import holidays
from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from mediation_api.domain.retention import SCHEDULE
from mediation_api.domain.schedule import PATTERN
from mediation_api.domain.strength import guessable
from mediation_api.domain.values import MOST_ATTEMPTS, PHONE, Approver, DataKind, ReportCategory
from mediation_api.domain.webhook_addresses import THIS_MACHINE, overlaps
from mediation_api.logs import LogLevel

PREFIX: Final = "MEDIATION_"
_Read = TypeVar("_Read", bound="DatabaseSettings")

DEV_TOKEN_ISSUER: Final = "urn:mediation-api:dev-identity-provider"  # noqa: S105 - a name, not a secret
DEV_SERVICE_ISSUER: Final = "urn:mediation-api:dev"
DEV_AUDIENCE: Final = "mediation-api-dev"
DEV_SECRET_PREFIX: Final = "dev-only-"  # noqa: S105 - the prefix of development secrets
DEV_IDENTITY_PROVIDER_KEY: Final = "idp.pem"
"""The private key of the development identity provider. Keys in the same folder are development keys as well."""

DEV_SECRET_FILES: Final = ("access_code_secret", "cursor_secret", "search_secret", "encryption_keys")
"""The settings that `mediation-api dev` creates, each in a file of its name."""

DATABASE_QUERY_KEYS: Final = frozenset({"host", "port", "target_session_attrs", "sslmode", "sslrootcert"})

_SECRET_BYTES: Final = 32
_SECRET_DIFFERENT: Final = 8
"""The least number of different characters in a secret."""
_KEY_DIFFERENT: Final = 16
"""The least number of different bytes in an encryption key: 32 random bytes have about 30."""
_PORTS: Final = 65_536
_ENCRYPTED_MODES: Final = frozenset({"require", "verify-ca", "verify-full"})
_CHOICES: Final = {
    "sslmode": frozenset({"disable", "allow", "prefer"}) | _ENCRYPTED_MODES,
    "target_session_attrs": frozenset({"any", "primary", "standby", "prefer-standby", "read-write", "read-only"}),
}
"""The values of parameters of a database URL that have but a few, as libpq knows them."""
_ENCODE: Final = "percent-encode the user and the password (@ is %40, : is %3A, / is %2F, ? is %3F, # is %23, % is %25)"
_NO_URL: Final = f"is not a valid URL: {_ENCODE}"
_ENCRYPTION_KEY_BYTES: Final = 32
_PUBLIC_URL: Final = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*")
_ADDRESS: Final = re.compile(r"[A-Za-z0-9._+-]+@([A-Za-z0-9-]+\.)+[A-Za-z0-9-]+")
_PROXY_URL: Final = re.compile(r"http://([^\s/?#@]+@)?[A-Za-z0-9.-]+(:[0-9]{1,5})?/?")
_ENCRYPTION_KEY: Final = re.compile(r"([a-z0-9][a-z0-9-]{0,31}):([A-Za-z0-9+/_-]{43}=?)")


class Environment(StrEnum):
    """Where the service runs."""

    DEV = "dev"
    PRODUCTION = "production"


class ProviderKind(StrEnum):
    """What the identity provider's access tokens look like (`auth/token_profiles.py`)."""

    RFC9068 = "rfc9068"
    ENTRA = "entra"
    OKTA = "okta"
    ADFS = "adfs"
    KEYCLOAK = "keycloak"


class MailTls(StrEnum):
    """How the connection to the mail server is encrypted."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class ReplaceableSecret(StrEnum):
    """A secret in whose place another one may be accepted: nothing that is stored can be computed anew for it."""

    ACCESS_CODE_SECRET = auto()
    CURSOR_SECRET = auto()


class SettingsError(Exception):
    """The service cannot start with these settings. Each problem names a setting and a rule, and never a value."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def _split(value: object) -> object:
    """Split a comma-separated list of an environment variable."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


type_of_list = BeforeValidator(_split)
_Time = Annotated[str, StringConstraints(pattern=PATTERN)]


def _kept(*kinds: DataKind, at_least: int = 1) -> int:
    """Return the field of a retention period of `domain/retention.py`."""
    rules = [SCHEDULE[kind] for kind in kinds]
    named = " and ".join(f"`{kind}`" for kind in kinds)
    days: int = Field(
        rules[0].days,
        ge=at_least,
        le=36_500,
        description=f"Calendar days for which {named} data is kept, from {rules[0].start} (docs/retention.md).",
    )
    return days


class DatabaseSettings(BaseSettings):
    """The settings of a command that needs the database and no secret (`migrate`). Frozen, like all settings."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    environment: Environment = Field(
        Environment.PRODUCTION, description="`production`, or `dev`, in which the keys of `mediation-api dev` are used."
    )
    data_directory: Path = Field(
        Path(".mediation"),
        description="The folder of the database, keys and secrets of `dev`. Unused in production.",
    )

    database_url: SecretStr = Field(
        SecretStr(""),
        description=(
            "`postgresql://user:password@host:5432/name`. Several hosts: "
            "`postgresql://user:password@/name?host=a:5432&host=b:5432&target_session_attrs=read-write`. "
            "Further parameters: `sslmode`, `sslrootcert`; for another machine, `sslmode` must be `require`, "
            "`verify-ca` or `verify-full`. `migrate` connects as the owner of the tables, `serve` as "
            "`mediation_service`. Required by each command that uses the database."
        ),
    )
    allow_unencrypted_database: bool = Field(
        default=False,
        description="Allows a connection to a database on another machine without TLS: for a network that is encrypted "
        "by other means.",
    )
    pool_size: int = Field(10, ge=1, le=500, description="Database connections of one process.")
    party_pool_size: int = Field(
        4,
        ge=1,
        le=500,
        description=(
            "Further database connections of one process, for parties only: they get one however busy staff are."
        ),
    )
    withdrawal_pool_size: int = Field(
        4,
        ge=1,
        le=100,
        description=(
            "Further database connections of one process, for withdrawals only: a withdrawal gets one whatever other "
            "requests arrive, and waits at least 15 s for it. The health check has one more."
        ),
    )
    worker_pool_size: int = Field(4, ge=1, le=100, description="Database connections of one `worker`.")
    caller_pool_percent: int = Field(
        50,
        ge=1,
        le=100,
        description=(
            "The share of each pool's connections that one caller may hold at a time, in percent, and at least one: "
            "further requests of the same caller wait, and are answered 503 after the pool's timeout."
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
            "The same on the connections for parties. At most half of the time that a request waits for a connection, "
            "so that one party's query cannot make other requests time out."
        ),
    )
    worker_statement_timeout_ms: int = Field(
        30_000, ge=100, le=600_000, description="The same on the connections of `worker`, for which nobody waits."
    )
    lock_timeout_ms: int = Field(2000, ge=10, le=600_000, description="The longest a statement waits for a lock.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments override the environment, which overrides the files of `dev`. No .env files are read."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, DevelopmentFiles(settings_cls)

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        problem = _problem_of_database_url(text) if text else None
        if problem is not None:
            raise ValueError(problem)
        return value

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        problems = self._problems()
        if problems:
            raise ValueError("\n".join(f"{PREFIX}{name.upper()}: {rule}" for name, rule in problems))
        return self

    def _problems(self) -> list[tuple[str, str]]:
        """Return the settings that are missing, unsafe or contradict one another, each with the rule for it."""
        problems = []
        if self.party_statement_timeout_ms > self.pool_timeout_seconds * 500:
            problems.append(("party_statement_timeout_ms", f"must be at most half of {PREFIX}POOL_TIMEOUT_SECONDS"))
        if self.environment is not Environment.DEV:
            problems += self._unencrypted_database()
        return problems

    def _unencrypted_database(self) -> list[tuple[str, str]]:
        if self.allow_unencrypted_database or not self.database_url.get_secret_value():
            return []
        url = urlsplit(self.database_url.get_secret_value())
        query = parse_qsl(url.query)
        # Hosts among the parameters override that before the path.
        hosts = [host.rpartition(":")[0] or host for key, value in query if key == "host" for host in value.split(",")]
        hosts = hosts or [url.hostname or "localhost"]
        if dict(query).get("sslmode") in _ENCRYPTED_MODES or all(_is_this_machine(host) for host in hosts):
            return []
        rule = f"needs sslmode=require, verify-ca or verify-full ({PREFIX}ALLOW_UNENCRYPTED_DATABASE permits another)"
        return [("database_url", rule)]


class Settings(DatabaseSettings):
    """Every setting of the service. Frozen; an unknown argument is refused."""

    feed_wait_seconds: int = Field(
        25,
        ge=0,
        le=55,
        description="The longest that a request for the change feed waits for an event, in seconds, if it prefers to. "
        "Less than the proxy waits for an answer (docs/proxy/nginx.conf: 60 seconds).",
    )

    webhook_hosts: Annotated[tuple[str, ...], NoDecode, type_of_list] = Field(
        (), description="The hosts to which webhooks may be sent, separated by commas. By default, any that is public."
    )
    webhook_ports: Annotated[tuple[int, ...], NoDecode, type_of_list] = Field(
        (443,), description="The ports to which webhooks may be sent, separated by commas."
    )
    webhook_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, type_of_list] = Field(
        (),
        description="Networks that are not public to which webhooks may be sent all the same, such as `10.20.0.0/16`, "
        "separated by commas. By default, none: an integration could otherwise reach the city's own machines.",
    )
    webhook_ca_file: Path | None = Field(
        None, description="The certificate authorities (PEM) to trust for webhooks, instead of the public ones."
    )
    webhook_allow_http: bool = Field(
        default=False, description="Allows webhooks without TLS. For development only: refused in production."
    )
    webhook_timeout_seconds: float = Field(
        10.0,
        ge=1,
        le=30,
        description="How long a receiver of webhooks may take, from the name's resolution to the status.",
    )
    webhook_days: int = Field(
        180,
        ge=1,
        le=3660,
        description="Days after which webhooks to an endpoint stop, unless the integration changes it or rotates its "
        "secret: the service does not know whether the city has revoked an integration.",
    )
    keep_deliveries_days: int = _kept(DataKind.WEBHOOK)

    office_name: str = Field(
        "Independent Police Review",
        min_length=1,
        max_length=200,
        description="The name of the office in texts for people.",
    )
    office_phone: str | None = Field(
        None,
        max_length=40,
        pattern=PHONE,
        description="The telephone number of the office, in the disclosure beside its name, and in `GET /v1/office`. A "
        "change changes the disclosure, like that of the name. Unset, both go without one: set it, so that people can "
        "call.",
    )
    allegations_directory: Path | None = Field(
        None,
        description="The folder with the city's own categories of allegations: `allegations.en.md`, and the same in "
        "each further language (`src/mediation_api/texts/README.md`). A complaint names only these. Unset, "
        "the list that comes with the service counts.",
    )
    fonts_directory: Path | None = Field(
        None,
        description="A folder with more fonts for printed documents (TrueType or OpenType), such as for Chinese or "
        "Korean names. A document with a character that no font has is refused.",
    )
    time_zone: str = Field(
        "America/Los_Angeles", description="The office's time zone (IANA name), in which dates are determined."
    )
    holiday_calendar: str = Field(
        "US-OR",
        description="Country, or country and subdivision, whose public holidays are not working days.",
    )
    extra_holidays: Annotated[tuple[date, ...], NoDecode, type_of_list] = Field(
        (), description="Further days off of the city: dates, separated by commas."
    )

    target_days: int = Field(28, ge=1, le=366, description="Calendar days from the request to the target.")
    at_risk_days: int = Field(7, ge=0, le=366, description="Days before the target from which the pace is `at_risk`.")
    escalate_after_days: int = Field(
        60, ge=1, le=3660, description="Days from the request after which the director is alerted."
    )
    mediator_answer_working_days: int = Field(
        5, ge=1, le=60, description="Working days a mediator has to answer a proposal."
    )
    reminder_working_days: int = Field(
        5,
        ge=1,
        le=60,
        description="Working days after which parties who have not answered, and people who have not signed, are "
        "reminded, if mail is on.",
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
            "Who must approve mediation besides the parties, separated by commas: "
            + ", ".join(f"`{approver}`" for approver in Approver)
            + "."
        ),
    )

    session_opens: int = Field(
        8, ge=0, le=23, description="The hour, in the office's time zone, before which a session needs a reason."
    )
    session_closes: int = Field(20, ge=1, le=24, description="The hour after which a session needs a reason.")
    session_early_start_minutes: int = Field(
        60,
        ge=0,
        le=240,
        description="Minutes before its scheduled time from which a session may start; reschedule it to start earlier.",
    )
    contact_attempts_before_lapse: int = Field(
        3, ge=1, le=20, description="Recorded contact attempts before a party may lapse as unreachable, at least."
    )
    contact_channels_before_lapse: int = Field(
        2, ge=1, le=5, description="Different channels among these attempts, at least."
    )
    contact_days_before_lapse: int = Field(
        5, ge=0, le=60, description="Calendar days between the first and the last of these attempts, at least."
    )
    max_attempts: int = Field(
        3,
        ge=1,
        le=MOST_ATTEMPTS,
        description="How many cases one complaint may have, and so how often a party can be asked.",
    )
    days_between_attempts: int = Field(
        30,
        ge=0,
        le=366,
        description="Calendar days after the close of a case before the next case of the complaint may be opened.",
    )
    report_categories: Annotated[tuple[ReportCategory, ...], NoDecode, type_of_list] = Field(
        (ReportCategory.CRIMINAL_ADMISSION,),
        min_length=1,
        description=(
            "Which mandatory reports can be recorded, separated by commas: "
            + ", ".join(f"`{category}`" for category in ReportCategory)
            + ". The disclosure and the confidentiality agreement name exactly these, so a change changes both texts."
        ),
    )

    office_opens: int = Field(
        7,
        ge=0,
        le=23,
        description="The hour, in the office's time zone, before which access is an anomaly: outside office hours.",
    )
    office_closes: int = Field(19, ge=1, le=24, description="The hour from which access is outside office hours.")
    anomaly_part_days: int = Field(
        30,
        ge=0,
        le=366,
        description="Calendar days before and after a user's own record about a complaint during which their access to "
        "it is no anomaly.",
    )
    anomaly_complaints_a_day: int = Field(
        20, ge=1, le=100_000, description="Complaints opened by one user in a day above which this may be an anomaly."
    )
    anomaly_times_the_role: int = Field(
        3,
        ge=1,
        le=1000,
        description="How many times the median of the other users of the role the number must also exceed.",
    )
    anomaly_days_after_close: int = Field(
        2,
        ge=1,
        le=31,
        description="Days on which one user may open the same closed case before this is an anomaly.",
    )

    retention_at: Annotated[tuple[_Time, ...], NoDecode, type_of_list] = Field(
        (),
        description="When a worker does what `mediation-api retention` does, in the office's time zone, separated by "
        "commas: `02:30`, or `:15` for each hour. Unset, it does not.",
    )
    audit_export_at: Annotated[tuple[_Time, ...], NoDecode, type_of_list] = Field(
        (), description="When a worker does what `mediation-api audit export --to` does. Unset, it does not."
    )
    audit_export_directory: Path | None = Field(
        None, description="The folder of these statements, kept away from the database. Needed for them."
    )

    keep_terms_days: int = _kept(DataKind.RESOLUTION_TERMS)
    keep_contact_days: int = _kept(DataKind.CONTACT, DataKind.NEEDS)
    keep_account_days: int = _kept(DataKind.ACCOUNT)
    keep_identity_days: int = _kept(DataKind.IDENTITY)
    keep_access_log_days: int = _kept(DataKind.ACCESS_LOG, at_least=365)
    keep_imports_days: int = _kept(DataKind.IMPORT)
    keep_mail_days: int = _kept(DataKind.MAIL, at_least=30)

    token_issuer: str = Field("", description="`iss` of the city's identity provider. Required.")
    token_audience: str = Field("", description="`aud` that a token for this service must contain. Required.")
    token_jwks: str = Field(
        "", description="The identity provider's public keys (JWKS): an https URL or a file. Required."
    )
    token_jwks_ca_file: Path | None = Field(
        None,
        description="The certificate authorities (PEM) to trust for that URL, instead of the public ones: for an "
        "identity provider with a certificate of the city's own.",
    )
    token_jwks_proxy: SecretStr = Field(
        SecretStr(""),
        description="The proxy through which that URL is reached: `http://proxy:3128`, or with a login, "
        "`http://user:password@proxy:3128`. `HTTPS_PROXY` and its like are not used.",
    )
    token_profile: ProviderKind = Field(
        ProviderKind.RFC9068,
        description="What the identity provider's access tokens look like: "
        + ", ".join(f"`{kind}`" for kind in ProviderKind)
        + " (docs/operations.md, step 6).",
    )
    token_max_minutes: int = Field(
        120,
        ge=5,
        le=480,
        description="The longest lifetime of its tokens that is accepted, in minutes. A token keeps a role for so long "
        "after the person has lost it.",
    )
    role_claim: str = Field(
        "",
        max_length=200,
        description="The claim with the role. If it begins with `/`, it is a JSON pointer: `/realm_access/roles`. By "
        "default, the profile's.",
    )
    role_prefix: str = Field(
        "",
        max_length=100,
        description="What the value of each role begins with, such as `mediation-` for `mediation-intake`. By default, "
        "the profile's.",
    )
    subject_claim: str = Field(
        "", max_length=200, description="The claim that identifies the caller. By default, the profile's."
    )
    employee_number_claim: str = Field(
        "employee_number",
        min_length=1,
        max_length=200,
        description="The claim with the employee number, by name or JSON pointer.",
    )
    service_issuer: str = Field(
        "",
        description=(
            "`iss` of the tokens that the service issues to members of the public. Required; must differ from the "
            "identity provider's."
        ),
    )
    service_key_file: Path | None = Field(
        None, description="The EC P-256 private key (PEM) that signs those tokens. Required."
    )
    access_token_minutes: int = Field(15, ge=1, le=60, description="The lifetime of these tokens, in minutes.")
    clock_leeway_seconds: int = Field(
        30,
        ge=0,
        le=30,
        description="How much the clock of a token's issuer may differ from this service's, in seconds.",
    )
    access_code_secret: SecretStr = Field(
        SecretStr(""), description="The key of the hashes of access codes. At least 32 bytes. Required."
    )
    cursor_secret: SecretStr = Field(
        SecretStr(""), description="The key that encrypts the cursors of lists. At least 32 bytes. Required."
    )
    encryption_keys: SecretStr = Field(
        SecretStr(""),
        description=(
            "The key-encryption keys for names, contacts and texts: `id:base64`, separated by commas "
            "(`mediation-api keys make` prints one). The first encrypts; the others only decrypt. Data is lost if its "
            "key is lost. Required."
        ),
    )
    search_secret: SecretStr = Field(
        SecretStr(""),
        description="The key of the hashes by which employee numbers are searched. At least 32 bytes. Required.",
    )

    host: str = Field("127.0.0.1", min_length=1, description="The address that `serve` listens on.")
    port: int = Field(8000, ge=1, le=65_535, description="The port that `serve` listens on.")
    workers: int = Field(1, ge=1, le=128, description="Processes that `serve` starts.")
    log_level: LogLevel = Field(
        LogLevel.INFO,
        description="The least severe lines of the log: `debug`, `info` (a line for each request), `warning` or "
        "`error`. The log is one JSON object per line on standard error.",
    )
    metrics_host: str = Field(
        "127.0.0.1", min_length=1, description="The address that `serve` listens on for metrics. Keep it private."
    )
    metrics_port: int | None = Field(
        None,
        ge=1,
        le=65_535,
        description="The port of `/metrics` of the first worker process, in the format of Prometheus; the others use "
        "the ports after it. By default, there are no metrics.",
    )
    traces_url: str = Field(
        "",
        description="Where an OpenTelemetry collector takes traces (OTLP over HTTP), such as "
        "`http://127.0.0.1:4318/v1/traces`. Needs the extra `traces` of the package. By default, there are none.",
    )
    mail_host: str = Field(
        "",
        pattern=r"^[A-Za-z0-9.:-]*$",
        description="The SMTP server through which `worker` sends mails. By default, it sends none.",
    )
    mail_port: int = Field(587, ge=1, le=65_535, description="The port of that server.")
    mail_tls: MailTls = Field(
        MailTls.STARTTLS,
        description="`starttls` (usually port 587), `tls` from the first byte on (465), or `none` to this machine. The "
        "certificate is checked.",
    )
    mail_ca_file: Path | None = Field(
        None,
        description="The certificate authorities (PEM) to trust for that server, instead of the public ones.",
    )
    mail_user: str = Field("", max_length=200, description="The user at that server. By default, nobody signs in.")
    mail_password: SecretStr = Field(SecretStr(""), description="The password of that user.")
    mail_from: str = Field(
        "", max_length=254, description="The address that mails come from, and to which they return undelivered."
    )
    mail_from_name: str = Field(
        "Messages",
        max_length=100,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="The name beside that address, which everybody sees who sees the recipient's screen. It should not "
        "say what the office does.",
    )
    portal_url: str = Field(
        "",
        description="Where people sign in, such as `https://portal.city.example`. Each mail names it, the same "
        "for everybody. Required for mail.",
    )
    public_url: str = Field(
        "",
        description="Where callers find the service, such as `https://city.example/mediation`: `type` of problems is a "
        "URL under it, `Location` and `Link` begin with its path. By default, the service is at the root of its host.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, type_of_list] = Field(
        (), description="Origins whose pages may call the service (CORS), separated by commas. By default, none."
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
    code_attempts_per_hour: int = Field(
        5,
        ge=1,
        le=100,
        description="Wrong secrets that are tried with one access code in an hour of the clock, over all processes, "
        "before even the right one is answered 429. A new code from intake begins anew, and who has a token keeps it.",
    )
    calendar_feed_days: int = Field(
        90,
        ge=1,
        le=366,
        description="How long the address of a calendar feed works, in days. A coordinator who loses the role at the "
        "identity provider can read the assigned sessions there until then, or until the cases are assigned to others.",
    )
    calendar_reads_per_hour: int = Field(
        60,
        ge=1,
        le=3600,
        description="How often one calendar feed is read in an hour of the clock, over all processes, before it is "
        "answered 429. Calendar programs read it every few minutes to every few hours.",
    )
    body_limit_bytes: int = Field(65_536, ge=1024, le=16_777_216, description="The largest body of a request.")
    import_limit_bytes: int = Field(
        268_435_456,
        ge=65_536,
        le=4_294_967_296,
        description="The largest upload of an import, whose lines each have the limit of a request.",
    )
    import_share_percent: int = Field(
        25,
        ge=1,
        le=100,
        description="The share of its time in which a worker files the lines of imports. Less leaves more of the "
        "database to everybody else.",
    )

    @field_validator("encryption_keys")
    @classmethod
    def _are_keys(cls, value: SecretStr) -> SecretStr:
        entries = _split(value.get_secret_value())
        matches = [_ENCRYPTION_KEY.fullmatch(str(entry)) for entry in entries] if isinstance(entries, list) else []
        keys = {match[1]: _decoded(match[2]) for match in matches if match}
        if None in matches or any(len(key) != _ENCRYPTION_KEY_BYTES for key in keys.values()):
            raise ValueError("must be id:base64 of 32 bytes each, separated by commas")
        if not len(matches) == len(keys) == len(set(keys.values())):
            raise ValueError("contains an id or a key twice")
        return value

    @field_validator("required_approvals", mode="before")
    @classmethod
    def _are_approvers(cls, value: object) -> object:
        approvers = _split(value)
        if isinstance(value, str) and not approvers:
            raise ValueError("must name an approver")
        unknown = set(approvers) - set(Approver) if isinstance(approvers, list | tuple) else ()
        if unknown:
            raise ValueError(f"must name only {', '.join(Approver)}")
        return approvers

    @field_validator("traces_url")
    @classmethod
    def _is_a_collector(cls, value: str) -> str:
        if value and not _PUBLIC_URL.fullmatch(value):
            raise ValueError("must be http(s)://host/path")
        return value

    @field_validator("mail_from")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if value and not _ADDRESS.fullmatch(value):
            raise ValueError("must be an e-mail address, without a name")
        return value

    @field_validator("public_url", "portal_url")
    @classmethod
    def _is_public_url(cls, value: str) -> str:
        url = value.rstrip("/")
        if url and not _PUBLIC_URL.fullmatch(url):
            raise ValueError("must be http(s)://host/path, with letters, digits, and `-._~` in its path")
        return url

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
        try:
            public_holidays(value)
        except NotImplementedError:
            raise ValueError("is not a known country or country-subdivision") from None
        return value

    @property
    def metrics_ports(self) -> range:
        """The ports of the metrics, one for each worker process; none if there are no metrics."""
        return range(0) if self.metrics_port is None else range(self.metrics_port, self.metrics_port + self.workers)

    def _problems(self) -> list[tuple[str, str]]:
        problems = [*self._missing(), *self._invalid(), *self._contradictions(), *self._invalid_mail()]
        if self.environment is not Environment.DEV:
            problems += self._development_values() + self._guessable() + self._reachable_by_webhooks()
        return problems + super()._problems()

    def _reachable_by_webhooks(self) -> list[tuple[str, str]]:
        problems = []
        if self.webhook_allow_http:
            problems.append(("webhook_allow_http", "is for development: in production, webhooks need TLS"))
        if any(overlaps(network, never) for network in self.webhook_networks for never in THIS_MACHINE):
            problems.append(("webhook_networks", "must not contain addresses of the machine itself or of its cloud"))
        return problems

    def _contradictions(self) -> list[tuple[str, str]]:
        problems = []
        if self.metrics_ports.stop > _PORTS or self.port in self.metrics_ports:
            problems.append(("metrics_port", f"from it on, as many ports as {PREFIX}WORKERS must be free"))
        less = [("at_risk_days", "target_days"), ("office_opens", "office_closes"), ("session_opens", "session_closes")]
        for name, limit in less:
            if getattr(self, name) >= getattr(self, limit):
                problems.append((name, f"must be less than {PREFIX}{limit.upper()}"))
        if self.audit_export_at and self.audit_export_directory is None:
            problems.append(("audit_export_directory", f"is required with {PREFIX}AUDIT_EXPORT_AT"))
        if self.contact_channels_before_lapse > self.contact_attempts_before_lapse:
            problems.append(("contact_channels_before_lapse", f"must not exceed {PREFIX}CONTACT_ATTEMPTS_BEFORE_LAPSE"))
        return problems

    @property
    def key_encryption_keys(self) -> Mapping[str, bytes]:
        """The key-encryption keys by id, in order; the first encrypts."""
        matches = _ENCRYPTION_KEY.finditer(self.encryption_keys.get_secret_value())
        return {match[1]: _decoded(match[2]) for match in matches}

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
            rule += " (`mediation-api dev` creates it)"
        return [(name, rule) for name, value in required.items() if not value]

    def _invalid(self) -> list[tuple[str, str]]:
        problems = []
        if self.service_issuer and self.service_issuer == self.token_issuer:
            # The issuer determines which roles a token may have.
            problems.append(("service_issuer", "must differ from the identity provider's"))
        problems += self._weak_secrets()
        problems += self._invalid_provider()
        # Neither `*` nor a URL with a path is an origin.
        scheme = "https?" if self.environment is Environment.DEV else "https"
        if not all(re.fullmatch(rf"{scheme}://[a-z0-9.-]+(:[0-9]{{1,5}})?", origin) for origin in self.cors_origins):
            problems.append(("cors_origins", "must be https origins, like https://portal.city.example"))
        directory = self.allegations_directory
        if directory is not None and not os.access(directory / "allegations.en.md", os.R_OK):
            problems.append(("allegations_directory", "has no allegations.en.md that can be read"))
        if self.fonts_directory is not None and not os.access(self.fonts_directory, os.R_OK | os.X_OK):
            problems.append(("fonts_directory", "is no folder that can be read"))
        if self.service_key_file is not None and not os.access(self.service_key_file, os.R_OK):
            problems.append(("service_key_file", "cannot be read"))
        return problems

    def _invalid_provider(self) -> list[tuple[str, str]]:
        problems = []
        if self.token_jwks and not re.match(r"https?://", self.token_jwks):
            if "://" in self.token_jwks:
                problems.append(("token_jwks", "must be an https URL or a file"))
            elif not os.access(self.token_jwks, os.R_OK):
                problems.append(("token_jwks", "cannot be read"))
        elif "@" in urlsplit(self.token_jwks).netloc:
            problems.append(("token_jwks", "must have no user and no password"))
        if self.token_jwks_ca_file is not None and not _has_certificate(self.token_jwks_ca_file):
            problems.append(("token_jwks_ca_file", "has no certificate (PEM) that can be read"))
        proxy = self.token_jwks_proxy.get_secret_value()
        if proxy and not _PROXY_URL.fullmatch(proxy):
            problems.append(("token_jwks_proxy", "must be http://host:port"))
        if self.token_profile is ProviderKind.ADFS and self.token_issuer.rstrip("/").endswith("/adfs"):
            # The issuer of ID tokens, which are signed with the same keys.
            problems.append(("token_issuer", "must be `access_token_issuer` of the metadata of AD FS, not `issuer`"))
        return problems

    def _invalid_mail(self) -> list[tuple[str, str]]:
        if not self.mail_host:
            return []
        problems = [
            (name, f"is required for {PREFIX}MAIL_HOST")
            for name in ("mail_from", "portal_url")
            if not getattr(self, name)
        ]
        if bool(self.mail_user) != bool(self.mail_password.get_secret_value()):
            problems.append(("mail_user", f"and {PREFIX}MAIL_PASSWORD are set together or not at all"))
        if self.mail_tls is MailTls.NONE and not _is_this_machine(self.mail_host):
            problems.append(
                ("mail_tls", "is `none` for a server on this machine alone: names and addresses would be readable")
            )
        if self.portal_url.startswith("http://") and self.environment is not Environment.DEV:
            problems.append(("portal_url", "must be an https URL"))
        if self.mail_ca_file is not None and not _has_certificate(self.mail_ca_file):
            problems.append(("mail_ca_file", "has no certificate (PEM) that can be read"))
        return problems

    def _weak_secrets(self) -> list[tuple[str, str]]:
        secrets = [(name, secret.get_secret_value()) for name, secret in self._secrets()]
        problems = [
            (name, f"must be at least {_SECRET_BYTES} bytes")
            for name, secret in secrets
            if 0 < len(secret.encode()) < _SECRET_BYTES
        ]
        code, cursor, search = (secret for _, secret in secrets)
        if cursor == code != "":
            problems.append(("cursor_secret", "must differ from the access code secret"))
        if search in {code, cursor} - {""}:
            problems.append(("search_secret", "must differ from the other secrets"))
        return problems

    def _guessable(self) -> list[tuple[str, str]]:
        """Return the keys and secrets that are not random. Those of development are found by their prefix."""
        rule = "can be guessed: create it with a random generator"
        problems = [
            (name, rule)
            for name, secret in self._secrets()
            if len(value := secret.get_secret_value().encode()) >= _SECRET_BYTES
            and not value.startswith(DEV_SECRET_PREFIX.encode())
            and guessable(value, fewest=_SECRET_DIFFERENT)
        ]
        if any(guessable(key, fewest=_KEY_DIFFERENT) for key in self.key_encryption_keys.values()):
            problems.append(("encryption_keys", "can be guessed: `mediation-api keys make` prints one"))
        return problems

    def _secrets(self) -> tuple[tuple[str, SecretStr], ...]:
        return tuple((name, getattr(self, name)) for name in ("access_code_secret", "cursor_secret", "search_secret"))

    def _development_values(self) -> list[tuple[str, str]]:
        rule = "is the development one"
        problems = []
        if self.token_jwks.startswith("http://"):
            problems.append(("token_jwks", "must be an https URL or a file"))
        if self.token_issuer in {DEV_TOKEN_ISSUER, DEV_SERVICE_ISSUER}:
            problems.append(("token_issuer", rule))
        if self.token_audience == DEV_AUDIENCE:
            problems.append(("token_audience", rule))
        if self.service_issuer in {DEV_TOKEN_ISSUER, DEV_SERVICE_ISSUER}:
            problems.append(("service_issuer", rule))
        for name, secret in self._secrets():
            if secret.get_secret_value().startswith(DEV_SECRET_PREFIX):
                problems.append((name, rule))
        if any(key_id.startswith(DEV_SECRET_PREFIX) for key_id in self.key_encryption_keys):
            problems.append(("encryption_keys", rule))
        if self.service_key_file is not None and _is_development_file(self.service_key_file):
            problems.append(("service_key_file", rule))
        if "://" not in self.token_jwks and self.token_jwks and _is_development_file(Path(self.token_jwks)):
            problems.append(("token_jwks", rule))
        return problems


def public_holidays(calendar: str) -> holidays.HolidayBase:
    """Return the public holidays of a country, or of a country and subdivision such as US-OR.

    Raises NotImplementedError if the calendar is not known.
    """
    # Before it imports one country, the package imports the other 250, which take 80 ms and 10 MB. An empty package
    # with the same folder in its place imports that one alone.
    countries = ModuleType("holidays.countries")
    countries.__path__ = [str(Path(holidays.__path__[0], "countries"))]
    sys.modules.setdefault(countries.__name__, countries)
    country, _, subdivision = calendar.partition("-")
    return holidays.country_holidays(country, subdiv=subdivision or None)


def _problem_of_database_url(text: str) -> str | None:
    """Return what is wrong with the form of a database URL, without any part of it; None if nothing is."""
    if not text.startswith("postgresql://"):
        return "must start with postgresql://"
    try:
        url = urlsplit(text)
        query = parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
    except ValueError:
        return _NO_URL
    # What follows a `/`, `?`, `#` or `@` of the password would be read as another part of the URL.
    if url.netloc.count("@") > 1 or "@" in url.path or url.fragment:
        return _NO_URL
    ports = [url.netloc.rpartition("@")[2].rpartition("]")[2].partition(":")[2]]
    for key, value in query:
        values = value.split(",")
        ports += [each.rpartition(":")[2] for each in values if ":" in each] if key == "host" else []
        ports += values if key == "port" else []
    if not all(not port or (port.isdecimal() and 0 < int(port) < _PORTS) for port in ports):
        return f"must have a port from 1 to {_PORTS - 1}; if its password has a colon or a slash: {_ENCODE}"
    if len(url.path) < len("/x"):
        return "must name a database"
    return _problem_of_parameters(query)


def _problem_of_parameters(query: Sequence[tuple[str, str]]) -> str | None:
    if {key for key, _ in query} - DATABASE_QUERY_KEYS:
        return f"must have no parameters but {', '.join(sorted(DATABASE_QUERY_KEYS))}"
    for key, value in query:
        if value not in _CHOICES.get(key, {value}):
            return f"{key} must be one of {', '.join(sorted(_CHOICES[key]))}"
        if key == "sslrootcert" and not _has_certificate(Path(value)):
            return "sslrootcert names no file with a certificate (PEM) that can be read"
        if key not in {"host", "port"} and [name for name, _ in query].count(key) > 1:
            return f"must have {key} only once"
    return None


def _is_this_machine(host: str) -> bool:
    """Whether a database host is local: the folder of a Unix socket, or a loopback address."""
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _has_certificate(path: Path) -> bool:
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        return False
    return True


def _is_development_file(path: Path) -> bool:
    try:
        return (path.resolve().parent / DEV_IDENTITY_PROVIDER_KEY).exists()
    except OSError:
        return False


def _decoded(key: str) -> bytes:
    return base64.b64decode(key.rstrip("=") + "=", altchars="-_" if set(key) & {"-", "_"} else None)


class DevelopmentFiles(PydanticBaseSettingsSource):
    """In `dev`, the source of settings that are not set: the files that `mediation-api dev` created."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[str | None, str, bool]:
        """Return no value: `__call__` returns all fields at once."""
        del field
        return None, field_name, False

    def __call__(self) -> dict[str, object]:
        """Return the development values, or none outside `dev`."""
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
        return {name: value for name, value in values.items() if name in self.settings_cls.model_fields}


def database_settings_from_environment() -> DatabaseSettings:
    """Read the settings of the database alone from the environment. Raises SettingsError, as the next function does."""
    return _read(DatabaseSettings, {})


def settings_from_environment(
    *,
    environment: Environment | None = None,
    data_directory: Path | None = None,
    database_url: str | None = None,
) -> Settings:
    """Read the settings from the environment; arguments that are not None override it.

    Raises:
        SettingsError: a setting is missing, malformed or unsafe. The message is one line with all of them, and contains
            no values.
    """
    arguments = {"environment": environment, "data_directory": data_directory, "database_url": database_url}
    return _read(Settings, {name: value for name, value in arguments.items() if value is not None})


def _read(kind: type[_Read], arguments: Mapping[str, object]) -> _Read:
    try:
        return kind.model_validate(arguments)  # of settings, this reads the environment as well
    except ValidationError as error:
        # `from None`: the original error contains the values.
        raise SettingsError(*_problems_of(error)) from None


def _problems_of(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        rule = problem["msg"].removeprefix("Value error, ")
        name = str(problem["loc"][0]).upper() if problem["loc"] else ""
        yield from [f"{PREFIX}{name}: {rule}"] if name else rule.split("\n")


def markdown_table() -> str:
    """Return the page docs/settings.md: every setting with its default and its meaning."""
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
        rows.append(f"| `{PREFIX}{name.upper()}` | {_code(field.default)} | {meaning} |")
    return "\n".join(rows) + "\n"


def _code(default: object) -> str:
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    return f"`{default}`" if default not in (None, "", ()) else ""
