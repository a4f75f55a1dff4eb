"""Writing down who opens what, in the very statement that reads it. `domain/access_log.py` says what is written down.

A read stays one round trip, nothing is shown that is not written down, and nothing is written down that was not found.
Who opens it, when and for what are parameters of that statement (`reach.asking`).
Readings are in no chain: its head would make those who read wait for each other. A trigger keeps them as they are.
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

from mediation_api.database.access_scope import (
    CALLER_SUBJECT,
    REQUESTED_ID,
    ScopeKind,
    may_see_case,
    scope_kind,
    scope_parameters,
)
from mediation_api.database.nesting import AnyColumn, AnySelect
from mediation_api.database.tables import access_log, cases
from mediation_api.domain.access import AccessScope
from mediation_api.domain.errors import NotFound

SEEN_IDS: Final = bindparam("seen", type_=ARRAY(Uuid))
"""The cases or complaints that somebody saw, where SQL does not know of them."""


def logged(
    statement: AnySelect,
    kind: ScopeKind,
    *,
    complaint: AnyColumn,
    case: AnyColumn | None = None,
    party: AnyColumn | None = None,
) -> AnySelect:
    """`statement`, which also writes down that the caller opened what it finds, where that is to be.

    `complaint`, `case` and `party` are columns of what it selects from, and name the one object that it finds.
    """
    if not kind.written_down:
        return statement
    nothing: AnyColumn = cast(null(), Uuid)
    columns = {
        "complaint_id": complaint,
        "case_id": nothing if case is None else case,
        "party_id": nothing if party is None else party,
    }
    columns |= _said(kind)
    labelled = (column.label(name) for name, column in columns.items())
    found = statement.with_only_columns(*labelled, maintain_column_froms=True).order_by(None).limit(1).subquery("found")
    seen = _seen(found.c.complaint_id)
    opened: AnySelect = select(*(found.c[name] for name in columns), *seen.values())
    return statement.add_cte(_written([*columns, *seen], opened))


async def require_case(connection: AsyncConnection, case_id: UUID, scope: AccessScope) -> None:
    """Hold that the caller reaches a case, and write down that it was opened. Raises NotFound: not this case."""
    if (await connection.execute(_reached(scope_kind(scope)), scope_parameters(scope, case_id))).first() is None:
        raise NotFound


@cache
def _reached(kind: ScopeKind) -> AnySelect:
    scope: AnySelect = select(cases.c.id).where(cases.c.id == REQUESTED_ID, may_see_case(kind))
    return logged(scope, kind, complaint=cases.c.complaint_id, case=cases.c.id)


def logged_reports(statement: AnySelect, kind: ScopeKind, report: AnyColumn) -> AnySelect:
    """`statement`, which also writes down that the caller opened each mandatory report that it finds.

    Neither the complaint nor the case is named: whoever sees who opened those is not to know of the report.
    """
    if not kind.written_down:
        return statement
    said = _said(kind)
    opened = statement.with_only_columns(*said.values(), report, maintain_column_froms=True)
    return statement.add_cte(_written([*said, "report_id"], opened.order_by(None).where(report.is_not(None))))


def logged_page(statement: AnySelect, kind: ScopeKind, shown: BindParameter[int], *, descending: bool) -> AnySelect:
    """The page that `statement` reads, which also writes down the cases or complaints that its first `shown` rows name.

    It is ordered by its columns `page_key` and `page_id`, and names what is opened in `opened_id`. It is read once.
    """
    if not kind.written_down:
        return statement
    page = statement.cte("page")
    keys = (page.c.page_key, page.c.page_id)
    order = [key.desc() for key in keys] if descending else keys
    opened = select(page.c.opened_id).order_by(*order).limit(shown).subquery("shown")
    said = _said(kind)
    ids = func.array_agg(opened.c.opened_id.distinct(), type_=ARRAY(Uuid))
    entry: AnySelect = select(*said.values(), ids).select_from(opened).having(func.count() > 0)
    return select(page).order_by(*order).add_cte(_written([*said, "listed"], entry))


@cache
def logged_ids(kind: ScopeKind) -> AnySelect:
    """Writes down that the caller has `SEEN` some cases or complaints, where what is shown is made of them outside SQL.

    It runs before anything is shown. Where what was seen is about none of them, it names none.
    """
    said = _said(kind)
    entry: AnySelect = select(*said.values(), SEEN_IDS)
    return select(literal(1)).add_cte(_written([*said, "listed"], entry))


def _seen(complaint: AnyColumn) -> dict[str, AnyColumn]:
    """How far the complaint had come for who reads: its latest case, and the version of that.

    By this a reading stands before or after what happened in a case; the clocks of hosts would not tell.
    """
    latest = cases.alias("latest")
    of_complaint = select(latest).where(latest.c.complaint_id == complaint).order_by(latest.c.attempt.desc()).limit(1)

    def column(name: str) -> AnyColumn:
        found = of_complaint.with_only_columns(latest.c[name]).correlate_except(latest).scalar_subquery()
        return func.coalesce(found, literal(0))

    return {name: column(name) for name in ("attempt", "version")}


def _said(kind: ScopeKind) -> dict[str, AnyColumn]:
    return {
        "at": bindparam("read_at", type_=DateTime(timezone=True)),
        "operation": bindparam("read_operation", type_=String),
        "purpose": bindparam("read_purpose", type_=String),
        "by_role": literal(kind.role, String),
        "by": CALLER_SUBJECT,
    }


def _written(columns: list[str], rows: AnySelect) -> CTE:
    return insert(access_log).from_select(columns, rows).cte("opened")
