"""Writing the access log: the statement that reads an object also inserts the entry that somebody opened it.

A read stays one round trip; nothing is returned that was not logged, and nothing is logged that was not found.
`domain/access_log.py` says what is logged. The caller, the time and the purpose are parameters of the statement
(`access_scope.scope_parameters`).

Entries are in no audit chain: concurrent readers would have to wait for each other to append to it. Triggers keep
them from being changed, and from being deleted within a year.
"""

from functools import cache
from typing import Final
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CTE,
    BindParameter,
    DateTime,
    String,
    Uuid,
    bindparam,
    cast,
    func,
    insert,
    literal,
    null,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database.access_scope import CALLER_SUBJECT, REQUESTED_ID, ScopeKind, fetch_one
from mediation_api.database.nesting import AnyColumn, AnySelect
from mediation_api.database.tables import access_log, cases, complaints, parties
from mediation_api.domain.access import AccessScope

OPENED_IDS: Final = bindparam("opened_ids", type_=ARRAY(Uuid))
"""The ids of the cases or complaints on a list that was computed in Python."""


def logged(
    statement: AnySelect,
    kind: ScopeKind,
    *,
    complaint: AnyColumn,
    case: AnyColumn | None = None,
    party: AnyColumn | None = None,
) -> AnySelect:
    """Make a statement that reads one object also log that the caller opened it, where `kind` says so.

    Args:
        statement: reads one object, or the children of one.
        kind: the kind of the caller's access scope.
        complaint: the column of `statement` that identifies the complaint.
        case: the column that identifies the case; None for an object that is not of one case.
        party: the column that identifies the party, where a party is opened.
    """
    if not kind.is_logged:
        return statement
    nothing: AnyColumn = cast(null(), Uuid)
    columns = {
        "complaint_id": complaint,
        "case_id": nothing if case is None else case,
        "party_id": nothing if party is None else party,
    }
    columns |= _caller(kind)
    labelled = (column.label(name) for name, column in columns.items())
    found = statement.with_only_columns(*labelled, maintain_column_froms=True).order_by(None).limit(1).subquery("found")
    progress = _progress(found.c.complaint_id)
    entry: AnySelect = select(*(found.c[name] for name in columns), *progress.values())
    return statement.add_cte(_inserted([*columns, *progress], entry))


async def require_case(connection: AsyncConnection, case_id: UUID, scope: AccessScope) -> None:
    """Require that a case is within the scope, and log that it was opened. Raises NotFound."""
    await fetch_one(connection, _case, scope, case_id)


async def require_complaint(connection: AsyncConnection, complaint_id: UUID, scope: AccessScope) -> None:
    """Require that a complaint is within the scope, and log that it was opened. Raises NotFound."""
    await fetch_one(connection, _complaint, scope, complaint_id)


async def require_party(connection: AsyncConnection, party_id: UUID, scope: AccessScope) -> None:
    """Require that a party is within the scope, and log that it was opened. Raises NotFound."""
    await fetch_one(connection, _party, scope, party_id)


@cache
def _case(kind: ScopeKind) -> AnySelect:
    statement: AnySelect = select(cases.c.id).where(cases.c.id == REQUESTED_ID, kind.where(cases))
    return logged(statement, kind, complaint=cases.c.complaint_id, case=cases.c.id)


@cache
def _complaint(kind: ScopeKind) -> AnySelect:
    statement: AnySelect = select(complaints.c.id).where(complaints.c.id == REQUESTED_ID, kind.where(complaints))
    return logged(statement, kind, complaint=complaints.c.id)


@cache
def _party(kind: ScopeKind) -> AnySelect:
    statement: AnySelect = select(parties.c.id).where(parties.c.id == REQUESTED_ID, kind.where(parties))
    return logged(statement, kind, complaint=parties.c.complaint_id, party=parties.c.id)


def logged_reports(statement: AnySelect, kind: ScopeKind, report: AnyColumn) -> AnySelect:
    """Make a statement also log each mandatory report that it finds, by the column `report`.

    The entry names neither complaint nor case: whoever may see their access log must not learn of the report.
    """
    if not kind.is_logged:
        return statement
    columns = _caller(kind) | {"report_id": report}
    entries = statement.with_only_columns(*columns.values(), maintain_column_froms=True)
    return statement.add_cte(_inserted([*columns], entries.order_by(None).where(report.is_not(None))))


@cache
def logged_report_ids(kind: ScopeKind) -> AnySelect:
    """Return a statement that logs each mandatory report of `OPENED_IDS`, as `logged_reports` does."""
    report_id: AnyColumn = func.unnest(OPENED_IDS, type_=Uuid)
    columns = _caller(kind) | {"report_id": report_id}
    return select(literal(1)).add_cte(_inserted([*columns], select(*columns.values())))


def logged_page(statement: AnySelect, kind: ScopeKind, shown: BindParameter[int], *, descending: bool) -> AnySelect:
    """Make the statement of one page also log the cases or complaints that its first `shown` rows are about.

    `statement` has the columns `page_key` and `page_id`, by which it is ordered, and `opened_id`. It is run once.
    """
    if not kind.is_logged:
        return statement
    page = statement.cte("page")
    keys = (page.c.page_key, page.c.page_id)
    order = [key.desc() for key in keys] if descending else keys
    opened = select(page.c.opened_id).order_by(*order).limit(shown).subquery("shown")
    columns = _caller(kind) | {"listed": func.array_agg(opened.c.opened_id.distinct(), type_=ARRAY(Uuid))}
    entry: AnySelect = select(*columns.values()).select_from(opened).having(func.count() > 0)
    return select(page).order_by(*order).add_cte(_inserted([*columns], entry))


@cache
def logged_ids(kind: ScopeKind) -> AnySelect:
    """Return a statement that logs a list computed in Python, about the cases or complaints `OPENED_IDS`.

    Run it before the list is returned. The entry has no ids if the list is about none.
    """
    columns = _caller(kind) | {"listed": OPENED_IDS}
    entry: AnySelect = select(*columns.values())
    return select(literal(1)).add_cte(_inserted([*columns], entry))


def _progress(complaint: AnyColumn) -> dict[str, AnyColumn]:
    """The latest attempt of a complaint, and the version of that case, at the time it was opened.

    They order an entry relative to the events of the case; the clocks of several hosts could not.
    """
    latest = cases.alias("latest")
    of_complaint = select(latest).where(latest.c.complaint_id == complaint).order_by(latest.c.attempt.desc()).limit(1)

    def column(name: str) -> AnyColumn:
        found = of_complaint.with_only_columns(latest.c[name]).correlate_except(latest).scalar_subquery()
        return func.coalesce(found, literal(0))

    return {name: column(name) for name in ("attempt", "version")}


def _caller(kind: ScopeKind) -> dict[str, AnyColumn]:
    """The columns that every entry has: who opened something, when, with which operation and for which purpose."""
    return {
        "at": bindparam("log_at", type_=DateTime(timezone=True)),
        "operation": bindparam("log_operation", type_=String),
        "purpose": bindparam("log_purpose", type_=String),
        "by_role": literal(kind.role, String),
        "by": CALLER_SUBJECT,
    }


_COMMIT_LOCALLY: Final = func.set_config("synchronous_commit", "local", True).is_not(None)  # noqa: FBT003 - in SQL
"""Always true, and lets the transaction commit without a synchronous standby: one that hangs stops no reads, which
write nothing else."""


def _inserted(columns: list[str], entries: AnySelect) -> CTE:
    entries = entries.where(_COMMIT_LOCALLY)
    return insert(access_log).from_select(columns, entries).cte("opened")
