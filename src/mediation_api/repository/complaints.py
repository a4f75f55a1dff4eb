"""Locking and reading complaints."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from typing import Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Integer,
    String,
    Uuid,
    and_,
    bindparam,
    cast,
    false,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables
from mediation_api.database.access_logging import logged
from mediation_api.database.access_scope import (
    LEFT,
    REQUESTED_ID,
    ScopeKind,
    audience,
    fetch_one,
    is_own_party,
    own_participation,
    scope_parameters,
)
from mediation_api.database.constants import Constant, constants
from mediation_api.database.data_keys import decrypted_columns, read_key, stored_key
from mediation_api.database.locking import lock_in_scope
from mediation_api.database.nesting import AnyColumn, AnyRow, AnySelect, nested
from mediation_api.database.pagination import (
    STATEMENTS_OF_A_LIST,
    Conditions,
    Order,
    Page,
    PageRequest,
    Sort,
    read_page,
)
from mediation_api.database.statements import fetch_all
from mediation_api.domain import events
from mediation_api.domain.access import AccessScope, Relation
from mediation_api.domain.complaint import NUMBER_DIGITS, Account, Complaint
from mediation_api.domain.lifecycle import OPEN
from mediation_api.domain.policy import Policy
from mediation_api.domain.screening import IntakeRecord
from mediation_api.domain.values import Disposition, Side
from mediation_api.repository.case_filters import OPENED_BEFORE, CaseFilter, conditions_of_cases
from mediation_api.repository.on_file import columns_of, read
from mediation_api.repository.parts import PART_COLUMNS, PART_ORDER, own_parts_of_complaint, parts_of_complaint
from mediation_api.repository.streams import Stream

_COMPLAINT = TypeAdapter(Complaint)
_INTAKE = TypeAdapter(IntakeRecord)


class ComplaintSort(Sort):
    """The order of a list of complaints."""

    NEWEST = "-filed_at"
    OLDEST = "filed_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintFilter(CaseFilter):
    """The filters and the order of a list of complaints: those of cases are for the latest case of a complaint.

    `reference` is a whole reference, or its number with or without the zeros in front.
    """

    reference: str | None = None
    precinct: str | None = None
    language: str | None = None
    sort: ComplaintSort = ComplaintSort.NEWEST


_IN_PRECINCT: Final = tables.complaints.c.precinct == bindparam("filter_precinct", type_=String)
_LANGUAGE: Final = bindparam("filter_language", type_=String)
_SPEAKS: Final = (
    select(tables.parties.c.id)
    .where(
        tables.parties.c.complaint_id == tables.complaints.c.id,
        tables.parties.c.removed_at.is_(None),
        or_(tables.parties.c.language == _LANGUAGE, tables.parties.c.interpreter_language == _LANGUAGE),
    )
    .exists()
)
"""Whether a party that was not removed needs a language."""
_FILED_IN_TIME: Final = tables.complaints.c.filed_at < OPENED_BEFORE
"""Whether a complaint was filed before the day by which a case of it must have been opened."""
_HAS_REFERENCE: Final = or_(
    tables.complaints.c.reference == bindparam("filter_reference", type_=String),
    func.split_part(tables.complaints.c.reference, Constant("-"), literal_column("2"))
    == bindparam("filter_number", type_=String),
)
"""Whether a reference, or the number in it, is this: each has an index."""


_NUMBERS: Final = select(tables.complaint_reference.next_value().label("number")).select_from(
    func.generate_series(literal_column("1"), bindparam("count", type_=Integer))
)


class Complaints:
    """The complaints of the office."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def next_number(self) -> int:
        """Return the next number for a reference. A filing that fails leaves a gap."""
        (number,) = await self.next_numbers(1)
        return number

    async def next_numbers(self, count: int) -> Sequence[int]:
        """Return the next numbers for so many references."""
        return [row["number"] for row in await fetch_all(self._connection, _NUMBERS, {"count": count})]

    async def account(self, complaint_id: UUID) -> tuple[Account, Stream]:
        """Return the account in a locked complaint, for a correction, and the stream of the complaint's events."""
        (row,) = await fetch_all(self._connection, _account(), {"requested_id": complaint_id})
        stream = Stream(complaint_id=complaint_id, data_key=read_key(complaint_id, row["data_key"]))
        return Account(on_file=read(events.ComplaintOnFile, row)), stream

    async def lock(self, complaint_id: UUID, scope: AccessScope) -> None:
        """Lock a complaint, so that no other command corrects it, adds a party or opens a case. Raises NotFound."""
        await lock_in_scope(self._connection, tables.complaints, complaint_id, scope)

    async def lock_to_open(self, complaint_id: UUID, scope: AccessScope) -> Complaint:
        """Lock a complaint, so that only one case is opened, and read what the decision needs. Raises NotFound."""
        await self.lock(complaint_id, scope)
        row = await fetch_one(self._connection, _whole, scope, complaint_id)
        return _COMPLAINT.validate_python(dict(row))

    async def intake_record(self, case_id: UUID) -> IntakeRecord:
        """Return what a screening checks: the answers of intake, and numbers of the parties on file."""
        (row,) = await fetch_all(self._connection, _intake_record(), {"requested_id": case_id})
        return _INTAKE.validate_python(dict(row))

    # ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def get(self, complaint_id: UUID, scope: AccessScope) -> AnyRow:
        """Return one complaint in the read model of the caller's audience. Raises NotFound."""
        return await fetch_one(self._connection, _one, scope, complaint_id)

    async def list(
        self, scope: AccessScope, filters: ComplaintFilter, page: PageRequest, *, today: date, policy: Policy
    ) -> Page[AnyRow]:
        """Return a page of the complaints within the caller's access scope."""
        of_case, parameters = conditions_of_cases(filters, today, policy)
        of_all = {"reference": _HAS_REFERENCE, "precinct": _IN_PRECINCT, "language": _SPEAKS}
        of_complaint = tuple(each for name, each in of_all.items() if getattr(filters, name) is not None)
        if OPENED_BEFORE.key in parameters:
            of_complaint += (_FILED_IN_TIME,)
        given = {
            "filter_reference": filters.reference,
            "filter_number": None if filters.reference is None else filters.reference.zfill(NUMBER_DIGITS),
            "filter_precinct": filters.precinct,
            "filter_language": filters.language,
        }
        return await read_page(
            self._connection,
            _listed(ScopeKind.of(scope), of_complaint, of_case),
            page,
            Order(tables.complaints.c.filed_at, tables.complaints.c.id, filters.sort.descending),
            scope=scope,
            opened_id=tables.complaints.c.id,
            parameters=scope_parameters(scope) | parameters | given,
        )


@cache
def _account() -> AnySelect:
    c = tables.complaints.c
    columns = columns_of(events.ComplaintOnFile, tables.complaints)
    return select(*columns, stored_key(c.id)).where(c.id == REQUESTED_ID)


@cache
def _whole(kind: ScopeKind) -> AnySelect:
    """Select what the decision to open a case of the complaint needs."""
    t = tables
    open_case = select(t.cases.c.id).where(
        t.cases.c.complaint_id == t.complaints.c.id, t.cases.c.state.in_(constants(OPEN))
    )
    caller = select(t.parties.c.id).where(t.parties.c.complaint_id == t.complaints.c.id, is_own_party(kind.role))
    return select(
        t.complaints.c.id.label("complaint_id"),
        open_case.scalar_subquery().label("open_case_id"),
        _cases_of_complaint().with_only_columns(func.count()).scalar_subquery().label("attempts"),
        _cases_of_complaint()
        .with_only_columns(t.cases.c.closed_at)
        .order_by(t.cases.c.attempt.desc())
        .limit(1)
        .scalar_subquery()
        .label("last_closed_at"),
        nested(
            PART_COLUMNS,
            t.cases.c.complaint_id == t.complaints.c.id,
            t.parts.c.case_id == t.cases.c.id,
            t.parts.c.disposition == Disposition.CLOSED_MEDIATED,
            order_by=PART_ORDER,
        ).label("mediated"),
        (caller.scalar_subquery() if kind.relation is Relation.OWN else cast(null(), Uuid)).label("caller_id"),
        (_caller_has_left(kind) if kind.relation is Relation.OWN else false()).label("caller_has_left"),
        nested(
            {"party_id": t.parties.c.id, "side": t.parties.c.side},
            t.parties.c.complaint_id == t.complaints.c.id,
            t.parties.c.removed_at.is_(None),
            order_by=t.parties.c.added_at,
        ).label("parties"),
    ).where(t.complaints.c.id == REQUESTED_ID)


def _cases_of_complaint() -> AnySelect:
    c = tables.cases.c
    return select(c.id).where(c.complaint_id == tables.complaints.c.id)


@cache
def _intake_record() -> AnySelect:
    c, p = tables.complaints.c, tables.parties.c
    record = select(
        c.crime_alleged,
        c.serious_injury,
        c.litigation_pending,
        c.pending_case_filed_on,
        c.officer_is_witness,
        c.rank_initiated,
        func.count().filter(p.side == Side.OFFICER).label("officers_identified"),
        func.count().filter(p.minor, p.guardian_name.is_(None)).label("minors_without_guardian"),
    )
    return (
        record.outerjoin(tables.parties, and_(p.complaint_id == c.id, p.removed_at.is_(None)))
        .join(tables.cases, tables.cases.c.complaint_id == c.id)
        .where(tables.cases.c.id == REQUESTED_ID)
        .group_by(c.id)
    )


def _is_latest() -> ColumnElement[bool]:
    """Whether a case is the latest of its complaint, in a row of `cases`.

    Not a comparison with the greatest attempt, which the planner expects to hold for one case in two hundred.
    """
    later = tables.cases.alias("later")
    same = later.c.complaint_id == tables.cases.c.complaint_id
    return ~select(later.c.id).where(same, later.c.attempt > tables.cases.c.attempt).exists()


def _latest_state() -> AnyColumn:
    """Return the state of the latest case, in a row of `complaints`."""
    t = tables
    return (
        select(t.cases.c.state)
        .where(t.cases.c.complaint_id == t.complaints.c.id)
        .order_by(t.cases.c.attempt.desc())
        .limit(1)
        .scalar_subquery()
        .label("latest_state")
    )


def _own_latest(kind: ScopeKind) -> AnySelect:
    """Select the caller's participation in the latest case that it took part in, in a row of `complaints`."""
    t = tables
    of_complaint = own_participation(kind.role).join(t.cases, t.cases.c.id == t.participants.c.case_id)
    return of_complaint.where(t.cases.c.complaint_id == t.complaints.c.id).order_by(t.cases.c.attempt.desc()).limit(1)


def _caller_has_left(kind: ScopeKind) -> ColumnElement[bool]:
    """Whether the caller is a party that left the latest case, in a row of `complaints`."""
    t = tables
    left = own_participation(kind.role).where(
        t.participants.c.case_id == t.cases.c.id,
        t.cases.c.complaint_id == t.complaints.c.id,
        _is_latest(),
        t.participants.c.standing.in_(constants(LEFT)),
    )
    return left.exists()


@cache
def _one(kind: ScopeKind) -> AnySelect:
    statement = _for_audience(kind).where(tables.complaints.c.id == REQUESTED_ID)
    return logged(statement, kind, complaint=tables.complaints.c.id)


@lru_cache(maxsize=STATEMENTS_OF_A_LIST)
def _listed(kind: ScopeKind, of_complaint: Conditions, of_case: Conditions) -> AnySelect:
    statement = _for_audience(kind).where(*of_complaint)
    if not of_case:
        return statement
    t = tables
    of_latest = select(t.cases.c.id).where(t.cases.c.complaint_id == t.complaints.c.id, _is_latest(), *of_case)
    return statement.where(of_latest.exists())


@cache
def _for_audience(kind: ScopeKind) -> AnySelect:
    """Select complaints as the office, the integration that filed them, or a complainant sees them."""
    t = tables
    of_complaint = t.cases.c.complaint_id == t.complaints.c.id
    if kind.relation is Relation.OFFICE:
        attempts = nested({"id": t.cases.c.id, "state": t.cases.c.state}, of_complaint, order_by=t.cases.c.attempt)
        columns = (*decrypted_columns(t.complaints), parts_of_complaint(), _latest_state(), attempts.label("cases"))
        return select(audience(kind), *columns)
    # A complainant sees its own cases only: a later one may be between other parties.
    own_or_all = of_complaint if kind.relation is Relation.FILED else and_(of_complaint, kind.where(tables.cases))
    listed = (
        select(func.array_agg(aggregate_order_by(t.cases.c.id, t.cases.c.attempt))).where(own_or_all).scalar_subquery()
    )
    case_ids = func.coalesce(listed, cast([], ARRAY(Uuid)))
    limited = select(
        audience(kind),
        *(
            t.complaints.c[name]
            for name in ("id", "reference", "filed_at", "incident_on", "allegations", "interested_in_mediation")
        ),
    ).where(kind.where(tables.complaints))
    if kind.relation is Relation.FILED:
        return limited.add_columns(
            t.complaints.c.external_reference, parts_of_complaint(), _latest_state(), case_ids.label("case_ids")
        )
    # From its own parts only, so that a party that left learns nothing about the others.
    own = _own_latest(kind)
    return limited.add_columns(
        literal(None).label("external_reference"),
        own_parts_of_complaint(kind.role),
        own.with_only_columns(t.cases.c.state).scalar_subquery().label("latest_state"),
        own.with_only_columns(t.participants.c.left_at.is_not(None)).scalar_subquery().label("has_left"),
        case_ids.label("case_ids"),
    )
