"""Reading agreements and their signatures. The events of the case write them (effects_of_sessions.py)."""

from functools import cache
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Uuid, and_, bindparam, case, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.access_logging import logged, require_case
from mediation_api.database.access_scope import (
    REQUESTED_ID,
    ScopeKind,
    audience,
    fetch_one,
    own_participation,
    peers_visible,
    scope_parameters,
)
from mediation_api.database.data_keys import decrypted
from mediation_api.database.nesting import AnyColumn, AnyRow, AnySelect, nested
from mediation_api.database.pagination import Order, Page, PageRequest, read_page
from mediation_api.database.statements import fetch_first
from mediation_api.domain.access import AccessScope, Relation
from mediation_api.domain.values import Seat, SeatRole


class Agreements:
    """Agreements, as the office, a mediator or a party sees them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, agreement_id: UUID, scope: AccessScope) -> AnyRow:
        """Return one agreement with its text. Raises NotFound."""
        return await fetch_one(self._connection, _one, scope, agreement_id)

    async def name_of(self, seat: Seat, case_id: UUID) -> str:
        """Return the name of the person in a seat, to store with a signature; empty if the seat is not in the case."""
        parameters = {"requested_id": seat.id, "of_case": case_id}
        row = await fetch_first(self._connection, _name_of(seat.role), parameters)
        return "" if row is None else row["name"] or ""

    async def list(self, case_id: UUID, scope: AccessScope, page: PageRequest) -> Page[AnyRow]:
        """Return a page of the agreements of a case, oldest first. Raises NotFound if the case is outside the scope."""
        await require_case(self._connection, case_id, scope)
        order = Order(t.agreements.c.version, t.agreements.c.id)
        statement, parameters = _of_case(ScopeKind.of(scope)), scope_parameters(scope, case_id)
        return await read_page(self._connection, statement, page, order, parameters=parameters)


@cache
def _name_of(role: SeatRole) -> AnySelect:
    """Select the present name of the person in the seat `REQUESTED_ID` of a case."""
    case_id = bindparam("of_case", type_=Uuid)
    seat: dict[SeatRole, tuple[AnyColumn, ColumnElement[bool]]] = {
        SeatRole.MEDIATOR: (
            t.mediators.c.name,
            exists().where(t.assignments.c.mediator_id == t.mediators.c.id, t.assignments.c.case_id == case_id),
        )
    }
    of_party = exists().where(t.participants.c.party_id == t.parties.c.id, t.participants.c.case_id == case_id)
    seat[SeatRole.PARTY] = t.parties.c.name, of_party
    seat[SeatRole.GUARDIAN] = t.parties.c.guardian_name, of_party
    seat[SeatRole.INTERPRETER] = seat[SeatRole.SUPPORT_PERSON] = (
        t.attendees.c.name,
        t.attendees.c.case_id == case_id,
    )
    name, belongs = seat[role]
    return select(decrypted(name).label("name")).where(name.table.c.id == REQUESTED_ID, belongs)


@cache
def case_of_agreement(kind: ScopeKind) -> ScalarSelect[UUID]:
    """Select the case of the agreement `REQUESTED_ID`; no row if the agreement is outside the scope."""
    requested = _agreements(kind).where(t.agreements.c.id == REQUESTED_ID)
    return requested.with_only_columns(t.agreements.c.case_id).correlate(None).scalar_subquery()


@cache
def _one(kind: ScopeKind) -> AnySelect:
    statement = _agreements(kind).where(t.agreements.c.id == REQUESTED_ID)
    return logged(statement, kind, complaint=t.cases.c.complaint_id, case=t.cases.c.id)


@cache
def _of_case(kind: ScopeKind) -> AnySelect:
    return _agreements(kind).where(t.agreements.c.case_id == REQUESTED_ID)


def _agreements(kind: ScopeKind) -> AnySelect:
    a = t.agreements.c
    shared = select(
        a.id,
        a.case_id,
        a.kind,
        a.number,
        a.template_version,
        a.languages,
        decrypted(a.text),
        a.sha256,
        a.terms_confidential,
        a.made_at,
        a.purged_at,
    ).join(t.cases, t.cases.c.id == a.case_id)
    if kind.relation is Relation.OWN:
        # Of the signatures, a party sees only its own.
        own = own_participation(kind.role).where(t.participants.c.case_id == a.case_id)
        own_signature = select(t.signatures.c.at).where(
            t.signatures.c.agreement_id == a.id,
            t.signatures.c.signer_role == SeatRole.PARTY,
            own.where(t.participants.c.party_id == t.signatures.c.signer_id)
            .exists()
            .correlate(t.agreements, t.signatures),
        )
        left = own.with_only_columns(t.participants.c.left_version).scalar_subquery()
        before_leaving = case((or_(left.is_(None), a.superseded_version < left), a.superseded_at))
        # A party that signed keeps the text that binds it, also after it left.
        bound = and_(own.exists(), own_signature.exists())
        return shared.add_columns(
            audience(kind), before_leaving.label("superseded_at"), own_signature.scalar_subquery().label("signed_at")
        ).where(or_(peers_visible(kind.role), bound))
    return shared.add_columns(
        audience(kind),
        a.superseded_at,
        nested(
            {
                "id": t.signatures.c.id,
                "role": t.signatures.c.signer_role,
                "signer_id": t.signatures.c.signer_id,
                "signer_name": decrypted(t.signatures.c.signer_name, owner=t.cases.c.complaint_id),
                "sha256": t.signatures.c.sha256,
                "method": t.signatures.c.method,
                "signed_at": t.signatures.c.at,
            },
            t.signatures.c.agreement_id == a.id,
            order_by=t.signatures.c.at,
        ).label("signatures"),
    ).where(kind.where(t.cases))
