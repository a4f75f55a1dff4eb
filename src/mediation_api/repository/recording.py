"""Writing down who opens what, in the very statement that reads it. `domain/readings.py` says what is written down.

A read stays one round trip, nothing is shown that is not written down, and nothing is written down that was not found.
Readings are in no chain: its head would make those who read wait for each other. A trigger keeps them as they are.
"""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import ARRAY, CTE, DateTime, String, Uuid, cast, func, insert, literal, null, select

from mediation_api.domain.access import Reach
from mediation_api.domain.readings import Reading
from mediation_api.repository.nesting import AnyColumn, AnySelect
from mediation_api.repository.tables import readings


def recorded(
    statement: AnySelect,
    reach: Reach,
    *,
    complaint: AnyColumn,
    case: AnyColumn | None = None,
    party: AnyColumn | None = None,
) -> AnySelect:
    """`statement`, which also writes down that the caller opened what it finds, where that is to be.

    `complaint`, `case` and `party` are columns of what it selects from, and name the one object that it finds.
    """
    if not isinstance(reach, Reading):
        return statement
    nothing: AnyColumn = cast(null(), Uuid)
    columns = {
        "complaint_id": complaint,
        "case_id": nothing if case is None else case,
        "party_id": nothing if party is None else party,
    }
    said = _said(reach)
    opened = statement.with_only_columns(*said.values(), *columns.values(), maintain_column_froms=True)
    return statement.add_cte(_written([*said, *columns], opened.order_by(None).limit(1)))


def recorded_reports(statement: AnySelect, reach: Reach, report: AnyColumn) -> AnySelect:
    """`statement`, which also writes down that the caller opened each mandatory report that it finds.

    Neither the complaint nor the case is named: whoever sees who opened those is not to know of the report.
    """
    if not isinstance(reach, Reading):
        return statement
    said = _said(reach)
    opened = statement.with_only_columns(*said.values(), report, maintain_column_froms=True)
    return statement.add_cte(_written([*said, "report_id"], opened.order_by(None).where(report.is_not(None))))


def recorded_page(statement: AnySelect, reach: Reach, shown: int, *, descending: bool) -> AnySelect:
    """The page that `statement` reads, which also writes down the cases or complaints that its first `shown` rows name.

    It is ordered by its columns `page_key` and `page_id`, and names what is opened in `opened_id`. It is read once.
    """
    if not isinstance(reach, Reading):
        return statement
    page = statement.cte("page")
    keys = (page.c.page_key, page.c.page_id)
    order = [key.desc() for key in keys] if descending else keys
    opened = select(page.c.opened_id).order_by(*order).limit(shown).subquery("shown")
    said = _said(reach)
    ids = func.array_agg(opened.c.opened_id.distinct(), type_=ARRAY(Uuid))
    entry: AnySelect = select(*said.values(), ids).select_from(opened).having(func.count() > 0)
    return select(page).order_by(*order).add_cte(_written([*said, "listed"], entry))


def recorded_ids(reach: Reading, ids: Iterable[UUID]) -> AnySelect:
    """Writes down that the caller saw these cases or complaints, where what is shown is made of them outside SQL.

    It runs before anything is shown. Where what was seen is about none of them, it names none.
    """
    said = _said(reach)
    entry: AnySelect = select(*said.values(), literal(sorted(set(ids)), ARRAY(Uuid)))
    return select(literal(1)).add_cte(_written([*said, "listed"], entry))


def _said(reach: Reading) -> dict[str, AnyColumn]:
    return {
        "at": literal(reach.at, DateTime(timezone=True)),
        "operation": literal(reach.operation, String),
        "purpose": literal(reach.purpose, String),
        "by_role": literal(reach.actor.role, String),
        "by": literal(reach.actor.subject, String),
    }


def _written(columns: list[str], rows: AnySelect) -> CTE:
    return insert(readings).from_select(columns, rows).cte("opened")
