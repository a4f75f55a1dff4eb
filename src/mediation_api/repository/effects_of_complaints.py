"""The effects of the events of complaints, parties, legal holds, erasures and mandatory reports."""

from collections.abc import Iterator
from functools import cache
from typing import Final
from uuid import UUID

from sqlalchemy import ARRAY, Update, Uuid, bindparam, func

from mediation_api.database import tables as t
from mediation_api.database.batching import Change, inserted, updated
from mediation_api.database.encryption import Ciphertext
from mediation_api.domain import events
from mediation_api.domain.values import DataKind, ErasureState, PurgeReason, ReportState
from mediation_api.repository.idempotency import emptied_responses
from mediation_api.repository.retention_places import OF_A_PARTY, PLACES, Place
from mediation_api.repository.streams import COMPLAINT_ID, RECORDED_AT, EffectContext, Effects, codes_ended

COMPLAINT_EFFECTS: Final = Effects()


@COMPLAINT_EFFECTS.of(events.ComplaintFiled)
def _complaint_filed(event: events.ComplaintFiled, to: EffectContext) -> Iterator[Change]:
    yield inserted(
        t.complaints,
        **to.data_key.encrypted_row(t.complaints, to.complaint_id, event.values),
        id=to.complaint_id,
        reference=event.reference,
        filed_at=to.at,
        by_role=to.by.role,
        by=to.by.subject,
    )


@COMPLAINT_EFFECTS.of(events.ComplaintCorrected)
def _complaint_corrected(event: events.ComplaintCorrected, to: EffectContext) -> Iterator[Change]:
    changes = to.data_key.encrypted_changes(t.complaints, to.complaint_id, event.values)
    yield updated(t.complaints, {"id": to.complaint_id}, **changes)


@COMPLAINT_EFFECTS.of(events.PartyAdded)
def _party_added(event: events.PartyAdded, to: EffectContext) -> Iterator[Change]:
    yield inserted(
        t.parties,
        **to.data_key.encrypted_row(t.parties, event.party_id, event.values),
        id=event.party_id,
        complaint_id=to.complaint_id,
        side=event.side,
        added_at=to.at,
    )


@COMPLAINT_EFFECTS.of(events.PartyCorrected)
def _party_corrected(event: events.PartyCorrected, to: EffectContext) -> Iterator[Change]:
    changes = to.data_key.encrypted_changes(t.parties, event.party_id, event.values)
    yield updated(t.parties, {"id": event.party_id}, **changes)


@COMPLAINT_EFFECTS.of(events.NameCorrected)
def _name_corrected(event: events.NameCorrected, to: EffectContext) -> Iterator[Change]:
    """No rows: `PartyCorrected` changes the name, and this event records the reason."""
    del event, to
    yield from ()


@COMPLAINT_EFFECTS.of(events.IdentityReleased)
def _identity_released(event: events.IdentityReleased, _to: EffectContext) -> Iterator[Change]:
    yield updated(t.parties, {"id": event.party_id}, bound_subject=None)


@COMPLAINT_EFFECTS.of(events.AccessCodeIssued)
def _access_code_issued(event: events.AccessCodeIssued, to: EffectContext) -> Iterator[Change]:
    if event.party_id not in to.added:
        yield codes_ended(event.party_id)
    yield inserted(t.access_codes, lookup=event.lookup, party_id=event.party_id, digest=event.digest, issued_at=to.at)


@COMPLAINT_EFFECTS.of(events.HoldPlaced)
def _hold_placed(event: events.HoldPlaced, to: EffectContext) -> Iterator[Change]:
    yield inserted(
        t.legal_holds,
        id=event.hold_id,
        complaint_id=to.complaint_id,
        reason=event.reason,
        placed_at=to.at,
        placed_by=to.by.subject,
    )


@COMPLAINT_EFFECTS.of(events.HoldLifted)
def _hold_lifted(event: events.HoldLifted, to: EffectContext) -> Iterator[Change]:
    yield updated(t.legal_holds, {"id": event.hold_id}, lifted_at=to.at, lifted_by=to.by.subject)


@COMPLAINT_EFFECTS.of(events.ErasureRequested)
def _erasure_requested(event: events.ErasureRequested, to: EffectContext) -> Iterator[Change]:
    yield inserted(
        t.erasures,
        id=event.erasure_id,
        party_id=event.party_id,
        state=ErasureState.REQUESTED,
        requested_at=to.at,
        requested_by=to.by.subject,
    )


@COMPLAINT_EFFECTS.of(events.ErasureApproved)
def _erasure_approved(event: events.ErasureApproved, to: EffectContext) -> Iterator[Change]:
    """End the access code, and empty the stored responses. The `DataPurged` events that follow empty the rest."""
    yield _decided(event.erasure_id, to, state=ErasureState.APPROVED)
    yield codes_ended(event.party_id)
    yield Change(emptied_responses(COMPLAINT_ID))


@COMPLAINT_EFFECTS.of(events.ErasureRefused)
def _erasure_refused(event: events.ErasureRefused, to: EffectContext) -> Iterator[Change]:
    yield _decided(event.erasure_id, to, state=ErasureState.REFUSED, refusal=event.reason)


def _decided(erasure_id: UUID, to: EffectContext, **columns: object) -> Change:
    return updated(t.erasures, {"id": erasure_id}, decided_at=to.at, decided_by=to.by.subject, **columns)


@COMPLAINT_EFFECTS.of(events.DataPurged)
def _data_purged(event: events.DataPurged, _to: EffectContext) -> Iterator[Change]:
    """Empty the columns of this kind of data: of one party, or of the whole complaint.

    The data key is kept, since it also encrypts the confidentiality agreement, which is not emptied.
    """
    if event.why is PurgeReason.SCHEDULE:
        yield Change(emptied_responses(COMPLAINT_ID))
    if event.data is DataKind.IDENTITY and event.party_id is None:
        yield codes_ended()
    values = {"agreement_ids": list(event.agreements)}
    for statement in _purging(event.data, of_party=event.party_id is not None):
        yield Change(statement, values if event.party_id is None else {**values, "purged_id": event.party_id})


@cache
def _purging(data: DataKind, *, of_party: bool) -> tuple[Update, ...]:
    """Return the statements that empty the columns of a kind of data: of `purged_id`, or of the whole complaint."""
    places = (place for place in PLACES[data] if not of_party or place.table in (t.agreements, *OF_A_PARTY))
    return tuple(_purged(place, of_party=of_party) for place in places)


def _purged(place: Place, *, of_party: bool) -> Update:
    texts = place.empty.items()
    rows = place.table.update().values({name: None if text is None else Ciphertext(text) for name, text in texts})
    if place.table is t.agreements:
        ids = bindparam("agreement_ids", type_=ARRAY(Uuid))
        return rows.values(purged_at=RECORDED_AT).where(t.agreements.c.id == func.any(ids))
    if of_party:
        return rows.where(OF_A_PARTY[place.table] == bindparam("purged_id", type_=Uuid))
    return rows.where(place.of(COMPLAINT_ID, RECORDED_AT), place.filled > 0)


@COMPLAINT_EFFECTS.of(events.MandatoryReportProposed)
def _report_proposed(event: events.MandatoryReportProposed, to: EffectContext) -> Iterator[Change]:
    texts = {"agency": event.agency, "legal_basis": event.legal_basis}
    yield inserted(
        t.mandatory_reports,
        **to.data_key.encrypted_row(t.mandatory_reports, event.report_id, texts),
        id=event.report_id,
        case_id=event.case_id,
        category=event.category,
        recipient=event.recipient,
        disclosed_at=event.disclosed_at,
        state=ReportState.PROPOSED,
        proposed_at=to.at,
        proposed_by_role=to.by.role,
        proposed_by=to.by.subject,
    )


@COMPLAINT_EFFECTS.of(events.MandatoryReportFiled)
def _report_filed(event: events.MandatoryReportFiled, to: EffectContext) -> Iterator[Change]:
    yield _report_decided(event.report_id, to, state=ReportState.FILED)


@COMPLAINT_EFFECTS.of(events.MandatoryReportDropped)
def _report_dropped(event: events.MandatoryReportDropped, to: EffectContext) -> Iterator[Change]:
    yield _report_decided(event.report_id, to, state=ReportState.DROPPED, drop_reason=event.reason)


def _report_decided(report_id: UUID, to: EffectContext, **columns: object) -> Change:
    return updated(
        t.mandatory_reports,
        {"id": report_id},
        decided_at=to.at,
        decided_by_role=to.by.role,
        decided_by=to.by.subject,
        **columns,
    )
