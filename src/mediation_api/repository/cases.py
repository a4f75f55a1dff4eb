"""Lock a case and read it with its children, so that the domain decides on what the transaction will change.

`recording.record` writes the events that the domain returned.
"""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    String,
    Table,
    Text,
    Uuid,
    cast,
    func,
    null,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables
from mediation_api.database.access_logging import logged
from mediation_api.database.access_scope import (
    REQUESTED_ID,
    ScopeKind,
    fetch_one,
    is_part_of,
    may_see_disposition,
    may_withdraw,
    own_participation,
    scope_parameters,
)
from mediation_api.database.constants import constants
from mediation_api.database.data_keys import decrypted, read_key, stored_key
from mediation_api.database.locking import lock_row
from mediation_api.database.nesting import AnyColumn, AnyRow, AnySelect, nested
from mediation_api.database.statements import fetch_all, fetch_first
from mediation_api.domain.access import AccessScope, Actor, Relation, Role
from mediation_api.domain.case import Case
from mediation_api.domain.errors import NotFound
from mediation_api.domain.events import GuardianConsentVoided
from mediation_api.domain.lifecycle import OPEN
from mediation_api.repository.agreements import case_of_agreement
from mediation_api.repository.streams import Stream

_CASE = TypeAdapter(Case)
"""Converts a row, with its children as nested JSON, to the domain's dataclasses."""


class LockedCase(NamedTuple):
    """A locked case, and what was read with it in the same statement."""

    case: Case
    own_party_id: UUID | None
    """The caller's party; None if the caller is not a party."""
    stream: Stream
    """The stream of the case's events."""
    reference: str
    """The reference of the complaint, for the texts to sign."""
    own_name: str | None
    """The name of the caller's party, to store with its signature."""


class Cases:
    """Locked cases, for commands."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock(self, case_id: UUID, scope: AccessScope) -> LockedCase:
        """Lock a case within the caller's access scope, and read all of it.

        Raises:
            NotFound: there is no such case within the scope.
        """
        return await self._lock(REQUESTED_ID, case_id, scope)

    async def lock_of(self, child: Table, child_id: UUID, scope: AccessScope) -> LockedCase:
        """Lock the case that a session, an assignment or an attendee belongs to. Raises NotFound."""
        return await self._lock(_case_of(child), child_id, scope)

    async def lock_of_agreement(self, agreement_id: UUID, scope: AccessScope) -> LockedCase:
        """Lock the case of an agreement within the caller's access scope. Raises NotFound."""
        return await self._lock(case_of_agreement(ScopeKind.of(scope)), agreement_id, scope)

    async def lock_open_of(self, complaint_id: UUID, by: Actor) -> LockedCase | None:
        """Lock a complaint, and its open case if it has one, so that no other command opens or changes a case.

        Commands that lock both lock the complaint first, to avoid deadlocks.

        Raises:
            NotFound: there is no such complaint.
        """
        await lock_row(self._connection, tables.complaints, complaint_id)
        try:
            locked = await self._lock(_open_case_of_complaint(), complaint_id, AccessScope(by, Relation.OFFICE))
        except NotFound:
            return None
        # A withdrawal locks the case alone, and may have closed it while this waited for the lock.
        return locked if locked.case.state.is_open else None

    async def lock_to_withdraw(self, case_id: UUID, scope: AccessScope) -> LockedCase:
        """Lock a case for a withdrawal.

        The caller's party is determined, and its access code checked, before waiting for the lock, and not again after
        it: a withdrawal counts even if the party was removed, or its code replaced, during the wait. An officer who was
        removed before may withdraw as well.

        Raises:
            NotFound: there is no such case, or the caller may not withdraw from it.
        """
        if scope.relation is not Relation.OWN:
            return await self.lock(case_id, scope)
        parameters = scope_parameters(scope, case_id)
        row = await fetch_first(self._connection, _locking_to_withdraw(scope.actor.role), parameters)
        if row is None:
            raise NotFound
        own_party_id = row["own_party_id"]
        if not row["is_current"]:
            whole = _locked(REQUESTED_ID, ScopeKind(Relation.OFFICE, scope.actor.role, is_logged=False))
            (row,) = await fetch_all(self._connection, whole, parameters)
        return _locked_case(row)._replace(own_party_id=own_party_id)

    async def read(self, case_id: UUID, scope: AccessScope) -> tuple[Case, UUID | None]:
        """Read a case without locking it: all of it, or for a party, its own part.

        Returns:
            The case, and the caller's party; None if the caller is not a party.

        Raises:
            NotFound: there is no such case within the scope.
        """
        fields = dict(await fetch_one(self._connection, _one, scope, case_id))
        own_party_id = fields.pop("own_party_id")
        for name in ("data_key", "reference"):
            fields.pop(name, None)
        return _CASE.validate_python(fields), own_party_id

    async def _lock(self, case_id: AnyColumn, requested_id: UUID, scope: AccessScope) -> LockedCase:
        """Lock the row and read the case in one statement; read it again if the row changed during the wait.

        A statement that waits for a lock still reads the children as they were when it began. Every change of a child
        increments the version of the case, so a difference between the version read and the version locked reveals
        such a change. The second statement checks the access scope again: the mediator or the party may have left.
        """
        kind, parameters = ScopeKind.of(scope), scope_parameters(scope, requested_id)
        row = await fetch_first(self._connection, _locking(case_id, kind), parameters)
        if row is None:
            raise NotFound
        if not row["is_current"]:
            row = await fetch_first(self._connection, _locked(case_id, kind), parameters)
            if row is None:
                raise NotFound
        return _locked_case(row)


def _locked_case(row: AnyRow) -> LockedCase:
    fields = dict(row)
    fields.pop("is_current", None)
    own_party_id, stored, reference = (fields.pop(name) for name in ("own_party_id", "data_key", "reference"))
    own_name = fields.pop("own_name", None)
    case = _CASE.validate_python(fields)
    # The data key is read with the case, which saves a round trip.
    stream = Stream(case_id=case.case_id, data_key=read_key(case.complaint_id, stored))
    return LockedCase(case, own_party_id, stream, reference, own_name)


# ── statements, each built once: building one takes as long as running it ──────────────────────────────────────────


@cache
def _case_of(child: Table) -> ScalarSelect[UUID]:
    return select(child.c.case_id).where(child.c.id == REQUESTED_ID).scalar_subquery()


@cache
def _open_case_of_complaint() -> ScalarSelect[UUID]:
    cases = tables.cases.c
    return (
        select(cases.id).where(cases.complaint_id == REQUESTED_ID, cases.state.in_(constants(OPEN))).scalar_subquery()
    )


@cache
def _locking(case_id: AnyColumn, kind: ScopeKind) -> AnySelect:
    """Lock the case, and read it as it was when the statement began; `is_current` is whether it still is the same."""
    c = tables.cases.c
    locked = (
        select(c.id, c.version)
        .where(c.id == case_id, kind.where(tables.cases))
        .with_for_update(key_share=True, of=tables.cases)
        .cte("locked")
    )
    is_current = (c.version == locked.c.version).label("is_current")
    return _whole().add_columns(_own_party_id(kind), _own_name(kind), is_current).where(c.id == locked.c.id)


@cache
def _locking_to_withdraw(role: Role) -> AnySelect:
    """Lock the case of a party that may withdraw, also of one that was removed.

    If two parties of the case match the caller's employee number, prefer the one that was not removed.
    """
    c, participants, parties = tables.cases.c, tables.participants.c, tables.parties.c
    own = may_withdraw(role).where(participants.case_id == REQUESTED_ID)
    own_party = (
        own.with_only_columns(participants.party_id, participants.case_id)
        .order_by(parties.removed_at.is_not(None), parties.id)
        .limit(1)
        .cte("own_party")
    )
    locked = (
        select(c.id, c.version, own_party.c.party_id)
        .join(own_party, own_party.c.case_id == c.id)
        .with_for_update(key_share=True, of=tables.cases)
        .cte("locked")
    )
    is_current = (c.version == locked.c.version).label("is_current")
    return _whole().add_columns(locked.c.party_id.label("own_party_id"), is_current).where(c.id == locked.c.id)


@cache
def _locked(case_id: AnyColumn, kind: ScopeKind) -> AnySelect:
    """Read the case after it was locked."""
    own = _own_party_id(kind), _own_name(kind)
    return _whole().add_columns(*own).where(tables.cases.c.id == case_id, kind.where(tables.cases))


@cache
def _one(kind: ScopeKind) -> AnySelect:
    cases = tables.cases.c
    statement: AnySelect = _own_part(kind) if kind.relation is Relation.OWN else _whole()
    statement = statement.add_columns(_own_party_id(kind)).where(cases.id == REQUESTED_ID, kind.where(tables.cases))
    return logged(statement, kind, complaint=cases.complaint_id, case=cases.id)


def _own_party_id(kind: ScopeKind) -> AnyColumn:
    """Return the column with the caller's party in a row of `cases`; NULL if the caller is not a party."""
    if kind.relation is not Relation.OWN:
        return cast(null(), Uuid).label("own_party_id")
    return _of_own_party(kind.role, tables.participants.c.party_id).label("own_party_id")


def _own_name(kind: ScopeKind) -> AnyColumn:
    """Return the column with the name of the caller's party; NULL if the caller is not a party."""
    if kind.relation is not Relation.OWN:
        return cast(null(), Text).label("own_name")
    return _of_own_party(kind.role, decrypted(tables.parties.c.name)).label("own_name")


def _of_own_party(role: Role, column: AnyColumn) -> AnyColumn:
    own = own_participation(role).where(tables.participants.c.case_id == tables.cases.c.id)
    return own.with_only_columns(column).scalar_subquery()


@cache
def _whole() -> AnySelect:
    """Select a case with all of its children."""
    t = tables
    case_id = t.cases.c.id
    absences = (
        select(func.count())
        .where(
            t.absences.c.case_id == t.participants.c.case_id,
            t.absences.c.party_id == t.participants.c.party_id,
            ~t.absences.c.excused,
        )
        .scalar_subquery()
    )
    withdrawal = (
        select(t.withdrawals.c.id)
        .where(
            t.withdrawals.c.case_id == t.participants.c.case_id,
            t.withdrawals.c.party_id == t.participants.c.party_id,
        )
        .scalar_subquery()
    )
    replacement = t.consents.alias()
    consent = (
        select(t.consents.c.id)
        .where(
            t.consents.c.case_id == t.participants.c.case_id,
            t.consents.c.party_id == t.participants.c.party_id,
            ~select(replacement.c.id).where(replacement.c.replaces == t.consents.c.id).exists(),
        )
        .scalar_subquery()
    )
    additional = {
        "unexcused_absences": absences,
        "withdrawal_id": withdrawal,
        "consent_id": consent,
        "guardian_consent_id": _guardian_consent(),
        "identity_bound": t.parties.c.bound_subject.is_not(None),
    }
    return _case(
        t.cases.c.screening_outdated,
        stored_key(t.cases.c.complaint_id),
        _reference(),
        _participants(additional),
        _parts(),
        _attendees(),
        nested(
            {"approver": t.approvals.c.approver, "unit": t.approvals.c.unit},
            t.approvals.c.case_id == case_id,
            t.approvals.c.approved,
            order_by=t.approvals.c.version,
        ).label("approvals"),
        nested(
            {
                "assignment_id": t.assignments.c.id,
                "mediator_id": t.assignments.c.mediator_id,
                "state": t.assignments.c.state,
                "subject": t.mediators.c.subject,
                "notes_destroyed": t.assignments.c.notes_destroyed_at.is_not(None),
            },
            t.assignments.c.case_id == case_id,
            t.mediators.c.id == t.assignments.c.mediator_id,
            order_by=t.assignments.c.proposed_at,
        ).label("assignments"),
        nested(
            {
                "session_id": t.sessions.c.id,
                "state": t.sessions.c.state,
                "starts_at": func.lower(t.sessions.c.during),
                "agreement_id": t.sessions.c.agreement_id,
                "present": nested(
                    {"role": t.attendances.c.seat_role, "id": t.attendances.c.seat_id},
                    t.attendances.c.session_id == t.sessions.c.id,
                    t.attendances.c.present,
                    order_by=t.attendances.c.seat_id,
                ),
            },
            t.sessions.c.case_id == case_id,
            order_by=t.sessions.c.scheduled_at,
        ).label("sessions"),
        _agreements(),
        nested(
            {name: t.contact_attempts.c[name] for name in ("party_id", "channel", "result", "attempted_at")},
            t.contact_attempts.c.case_id == case_id,
            order_by=t.contact_attempts.c.attempted_at,
        ).label("contact_attempts"),
        select(func.count()).where(t.pauses.c.case_id == case_id).scalar_subquery().label("pause_count"),
    )


def _guardian_consent() -> AnyColumn:
    """Return the column with the consent of a minor's guardian that was not voided."""
    t = tables
    consents, voided = t.guardian_consents.c, t.events.alias("voided").c
    is_voided = select(voided.id).where(
        voided.case_id == consents.case_id,
        voided.kind == GuardianConsentVoided.kind,
        voided.data["guardian_consent_id"].astext == cast(consents.id, String),
    )
    valid = select(consents.id).where(
        consents.case_id == t.participants.c.case_id,
        consents.party_id == t.participants.c.party_id,
        ~is_voided.exists(),
    )
    return valid.scalar_subquery()


def _reference() -> AnyColumn:
    complaints = tables.complaints.c
    of_case = select(complaints.reference).where(complaints.id == tables.cases.c.complaint_id)
    return of_case.scalar_subquery().label("reference")


def _own_part(kind: ScopeKind) -> AnySelect:
    """Select a case with what concerns one party. AnyRow security removes the other parties and their needs."""
    participants = tables.participants
    visible = own_participation(kind.role).where(is_part_of(participants), may_see_disposition(participants))
    return _case(
        _participants({}),
        _parts(visible.exists().correlate(tables.parts, tables.cases)),
        _attendees(),
        _agreements(),
    )


def _parts(*conditions: ColumnElement[bool]) -> AnyColumn:
    p = tables.parts.c
    return nested(
        {name: p[name] for name in ("complainant_id", "officer_id", "disposition")},
        p.case_id == tables.cases.c.id,
        *conditions,
        order_by=tuple_(p.complainant_id, p.officer_id),
    ).label("parts")


def _case(*children: AnyColumn) -> AnySelect:
    c = tables.cases.c
    return select(c.id.label("case_id"), c.complaint_id, c.state, c.requested_on, *children)


def _participants(additional: Mapping[str, AnyColumn]) -> AnyColumn:
    t = tables
    return nested(
        {
            "party_id": t.participants.c.party_id,
            "side": t.participants.c.side,
            "standing": t.participants.c.standing,
            "minor": t.parties.c.minor,
            "guardian_on_file": t.parties.c.guardian_name.is_not(None),
            "interpreter_language": t.parties.c.interpreter_language,
            "unit": t.parties.c.unit,
            **additional,
        },
        t.participants.c.case_id == t.cases.c.id,
        t.parties.c.id == t.participants.c.party_id,
        order_by=t.participants.c.joined_at,
    ).label("participants")


def _attendees() -> AnyColumn:
    t = tables
    return nested(
        {
            "attendee_id": t.attendees.c.id,
            "role": t.attendees.c.role,
            "for_party_id": t.attendees.c.for_party_id,
            "language": t.attendees.c.language,
            "confirmed": t.attendees.c.confirmed_at.is_not(None),
        },
        t.attendees.c.case_id == t.cases.c.id,
        order_by=t.attendees.c.added_at,
    ).label("attendees")


def _agreements() -> AnyColumn:
    t = tables
    signed = nested(
        {"role": t.signatures.c.signer_role, "id": t.signatures.c.signer_id},
        t.signatures.c.agreement_id == t.agreements.c.id,
        order_by=t.signatures.c.id,
    )
    return nested(
        {
            "agreement_id": t.agreements.c.id,
            "kind": t.agreements.c.kind,
            "number": t.agreements.c.number,
            "sha256": t.agreements.c.sha256,
            "superseded": t.agreements.c.superseded_at.is_not(None),
            "signed_by": signed,
        },
        t.agreements.c.case_id == t.cases.c.id,
        order_by=t.agreements.c.version,
    ).label("agreements")
