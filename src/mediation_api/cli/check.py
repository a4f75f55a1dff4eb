"""`mediation-api check`: whether everything is as `serve` needs it, point by point."""

import asyncio
import json
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final
from zoneinfo import ZoneInfo

import typer

from mediation_api.cli.output import error_line, one_line_errors, require_database, say
from mediation_api.cli.tokens import why_unavailable
from mediation_api.settings import (
    DatabaseSettings,
    Environment,
    MailTls,
    Settings,
    SettingsError,
    database_settings_from_environment,
    public_holidays,
    settings_from_environment,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from mediation_api.auth.identity_provider import Source
    from mediation_api.database.server_checks import DatabaseHost
    from mediation_api.outreach.mail_server import MailServerUnusable

CLOCK_SECONDS: Final = 5.0
"""How far another machine's clock may be off. If synchronized, it is off by milliseconds. What depends on it is then
off by as much: the times of tokens, with 30 seconds of leeway at most, and those at which something was recorded.
"""
_YEAR_DAYS: Final = 366
_OF_SETTINGS: Final = (
    "service key",
    "allegations",
    "calendar",
    "public URL",
    "mail server",
    "identity provider",
    "provider's clock",
)
_OF_PRIMARY: Final = (
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
_FINDS_PRIMARY: Final = {"read-write", "primary"}


class PointState(StrEnum):
    """What a check found."""

    OK = "ok"
    WRONG = "wrong"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Point:
    """One line of the result. `words` says what was found, or what is wrong and what to do."""

    state: PointState
    name: str
    words: str


def check(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print an array of objects with `state`, `name` and `words`.")
    ] = False,
) -> None:
    """Check the settings, the database and the identity provider, and print one line for each point.

    Run it with the settings of `serve`, before `serve` and after a restore. It changes nothing. Exits with 1 if a point
    is wrong; what depends on it is `unchecked`.
    """
    with one_line_errors():
        points = asyncio.run(_points())
    if as_json:
        say(json.dumps([asdict(point) for point in points], ensure_ascii=False, indent=1))
    else:
        for point in points:
            say(f"{point.state:9} {point.name}: {point.words}")
    if any(point.state is PointState.WRONG for point in points):
        raise typer.Exit(1)


async def _points() -> list[Point]:
    try:
        settings = require_database(settings_from_environment())
    except SettingsError as error:
        wrong = [Point(PointState.WRONG, "settings", problem) for problem in error.problems]
        unchecked = await _unchecked(_OF_SETTINGS, "settings")
        with suppress(SettingsError):
            return [*wrong, *unchecked, *await _of_database(require_database(database_settings_from_environment()))]
        return [*wrong, *unchecked, *await _unchecked(("host", "primary", *_OF_PRIMARY), "settings")]
    complete = Point(PointState.OK, "settings", f"complete and safe, for {settings.environment}")
    return [complete, *await _of_settings(settings), *await _of_database(settings)]


async def _point(name: str, check: Awaitable[str] | None, needs: str = "settings") -> Point:
    """Wait for a check, which returns what it found, or raises an error that an operator can correct.

    Args:
        name: the name of the point.
        check: the check; None if what it depends on is wrong.
        needs: what that is.
    """
    if check is None:
        return Point(PointState.UNCHECKED, name, f"depends on: {needs}")
    try:
        return Point(PointState.OK, name, await check)
    except Exception as error:
        words = error_line(error)
        if words is None:
            raise
        return Point(PointState.WRONG, name, words)


async def _unchecked(names: Sequence[str], needs: str) -> list[Point]:
    return [await _point(name, None, needs) for name in names]


# ── what depends on no database ────────────────────────────────────────────────────────────────────────────────────


async def _of_settings(settings: Settings) -> list[Point]:
    return [
        await _point("service key", _service_key(settings)),
        await _point("allegations", _allegations(settings)),
        await _point("calendar", _calendar(settings)),
        await _point("public URL", _public_url(settings)),
        await _point("mail server", _mail_server(settings)),
        *await _identity_provider(settings),
    ]


async def _service_key(settings: Settings) -> str:
    from mediation_api.auth.tokens import service_key

    return f"its id is {service_key(settings).kid}"


async def _allegations(settings: Settings) -> str:
    from mediation_api.texts.loader import read_allegation_categories

    if settings.allegations_directory is None:
        return "the list that comes with the service"
    return f"{len(read_allegation_categories(settings.allegations_directory))} categories"


async def _calendar(settings: Settings) -> str:
    now = datetime.now(ZoneInfo(settings.time_zone))
    holidays = public_holidays(settings.holiday_calendar)
    days = (now.date() + timedelta(days) for days in range(1, _YEAR_DAYS))
    following = next((day for day in days if day in holidays), None)
    if following is None:
        raise SettingsError("MEDIATION_HOLIDAY_CALENDAR: has no public holiday within a year")
    return (
        f"{now:%Y-%m-%d %H:%M} in {settings.time_zone}; the next public holiday of {settings.holiday_calendar} is "
        f"{following}; {len(settings.extra_holidays)} days off besides"
    )


async def _public_url(settings: Settings) -> str:
    if settings.public_url.startswith("http://") and settings.environment is not Environment.DEV:
        raise SettingsError(
            "MEDIATION_PUBLIC_URL: would send callers to an address without TLS; begin it with https://"
        )
    return settings.public_url or "the root of the host that callers use"


async def _mail_server(settings: Settings) -> str:
    if not settings.mail_host:
        return "none: no mail is sent"
    from mediation_api.outreach.mail_server import MailServer, MailServerUnusable

    try:
        async with MailServer.of(settings).connected() as connection:
            await connection.check()
    except MailServerUnusable as unusable:
        raise SettingsError(_mail_problem(unusable)) from None
    encrypted = "without TLS" if settings.mail_tls is MailTls.NONE else "with TLS"
    return f"{settings.mail_host} accepts mails from {settings.mail_from}, {encrypted}"


def _mail_problem(unusable: "MailServerUnusable") -> str:
    if unusable.is_untrusted:
        return "MEDIATION_MAIL_CA_FILE: does not vouch for the certificate of the mail server, or for its name"
    if unusable.reason.endswith("SMTPAuthenticationError"):
        return f"MEDIATION_MAIL_USER: the mail server does not accept user and password ({unusable.code})"
    if unusable.reason.endswith("SMTPSenderRefused"):
        return f"MEDIATION_MAIL_FROM: the mail server does not accept it as a sender ({unusable.code})"
    answer = "" if unusable.code is None else f", {unusable.code}"
    return f"MEDIATION_MAIL_HOST: cannot be used ({unusable.reason.rpartition('.')[2]}{answer})"


async def _identity_provider(settings: Settings) -> list[Point]:
    from mediation_api.auth.identity_provider import JwksAddress
    from mediation_api.auth.tokens import jwks_source

    source = jwks_source(settings)
    keys = await _point("identity provider", _keys(source))
    ahead = source.clock_seconds if isinstance(source, JwksAddress) else None
    return [keys, await _point("provider's clock", None if ahead is None else _clock(ahead), "its answer over HTTP")]


async def _keys(source: "Source") -> str:
    from mediation_api.auth.identity_provider import KeySet, KeysUnavailable

    keys = KeySet(source)
    try:
        await keys.find("")
    except KeysUnavailable as unavailable:
        raise SettingsError(why_unavailable(unavailable)) from None
    return f"usable keys: {len(keys.algorithms)} ({', '.join(sorted(set(keys.algorithms)))})"


async def _clock(seconds_ahead: float) -> str:
    if abs(seconds_ahead) > CLOCK_SECONDS:
        raise SettingsError(
            f"is {abs(seconds_ahead):.0f} s {'ahead of' if seconds_ahead > 0 else 'behind'} that of this machine, and "
            f"{CLOCK_SECONDS:.0f} s are allowed: synchronize both (NTP)"
        )
    return f"within {CLOCK_SECONDS:.0f} s of that of this machine"


# ── the database ───────────────────────────────────────────────────────────────────────────────────────────────────


async def _of_database(settings: DatabaseSettings) -> list[Point]:
    from mediation_api.database.server_checks import DatabaseHost, HostState, connected, hosts_of, state_of

    hosts = hosts_of(settings)
    states: dict[DatabaseHost, HostState] = {}

    async def state(host: DatabaseHost) -> str:
        states[host] = await state_of(host)
        return states[host].words

    points = list(await asyncio.gather(*(_point(f"host {host.name}", state(host)) for host in hosts)))
    primaries = [host for host in hosts if host in states and states[host].is_primary]
    primary = await _point("primary", _primary(settings, hosts, primaries) if states else None, "host")
    points.append(primary)
    if not primaries:
        return [*points, *await _unchecked(_OF_PRIMARY, "primary")]
    async with connected(primaries[0].settings) as connection:
        points += await _of_primary(connection, settings)
    return [*points, await _point("database's clock", _clock(states[primaries[0]].seconds_ahead))]


async def _primary(
    settings: DatabaseSettings, hosts: Sequence["DatabaseHost"], primaries: Sequence["DatabaseHost"]
) -> str:
    from mediation_api.database.server_checks import wanted_kind

    if not primaries:
        raise SettingsError("MEDIATION_DATABASE_URL: no host that answers accepts writes: name all, or promote one")
    if len(primaries) > 1:
        names = " and ".join(host.name for host in primaries)
        raise SettingsError(f"MEDIATION_DATABASE_URL: {names} accept writes: end all but one before anything is lost")
    kind = wanted_kind(settings)
    if kind not in _FINDS_PRIMARY and (len(hosts) > 1 or kind != "any"):
        raise SettingsError("MEDIATION_DATABASE_URL: needs target_session_attrs=read-write, to find the primary")
    return primaries[0].name


async def _of_primary(connection: "AsyncConnection", settings: DatabaseSettings) -> list[Point]:
    from mediation_api.database.requirements import ROLE
    from mediation_api.database.server_checks import check_connection, check_extension, check_limits, check_log

    complete = settings if isinstance(settings, Settings) else None
    if settings.environment is Environment.DEV:
        role = Point(PointState.UNCHECKED, ROLE, "development may use any")
    else:
        role = await _point(ROLE, _required(connection, ROLE, "row security applies to it"))
    schema = await _point("schema", _required(connection, "schema", "migrated to this release or a newer one"))
    migrated = schema.state is PointState.OK
    compared = (
        ("encryption keys", "every one that is in use is set"),
        ("secrets", "those that this database was used with, if it was"),
    )
    needs = "settings" if migrated else "schema"
    return [
        role,
        schema,
        await _point("extension", check_extension(connection) if migrated else None, "schema"),
        *[
            await _point(name, _required(connection, name, words) if migrated and complete else None, needs)
            for name, words in compared
        ],
        await _point("connection", check_connection(connection, settings)),
        await _point("log", check_log(connection)),
        await _point("limits", check_limits(connection, complete) if complete else None),
    ]


async def _required(connection: "AsyncConnection", name: str, words: str) -> str:
    """Check something that `serve` requires as well."""
    from mediation_api.database.requirements import REQUIREMENTS

    problem = await REQUIREMENTS[name](connection)
    if problem is not None:
        raise SettingsError(problem)
    return words
