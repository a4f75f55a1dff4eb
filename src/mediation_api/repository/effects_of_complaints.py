"""The effects of the events of complaints, parties, legal holds, erasures and mandatory reports."""

from collections.abc import Iterator
from typing import Final
from uuid import UUID

from sqlalchemy import Executable, Update, insert

from mediation_api.database import tables as t
from mediation_api.database.encryption import Ciphertext
from mediation_api.domain import events
from mediation_api.domain.values import DataKind, ErasureState, PurgeReason, ReportState
from mediation_api.repository.idempotency import emptied_responses
from mediation_api.repository.retention_places import OF_A_PARTY, PLACES
from mediation_api.repository.streams import EffectContext, Effects, codes_ended

COMPLAINT_EFFECTS: Final = Effects()


@COMPLAINT_EFFECTS.of(events.ComplaintFiled)
def _complaint_filed(event: events.ComplaintFiled, to: EffectContext) -> Iterator[Executable]:
    yield insert(t.complaints).values(
        **to.data_key.encrypted_row(t.complaints, to.complaint_id, event.values),
        id=to.complaint_id,
        reference=event.reference,
        filed_at=to.at,
        by_role=to.by.role,
        by=to.by.subject,
    )


@COMPLAINT_EFFECTS.of(events.ComplaintCorrected)
def _complaint_corrected(event: events.ComplaintCorrected, to: EffectContext) -> Iterator[Executable]:
    changes = to.data_key.encrypted_changes(t.complaints, to.complaint_id, event.values)
    yield t.complaints.update().where(t.complaints.c.id == to.complaint_id).values(changes)


@COMPLAINT_EFFECTS.of(events.PartyAdded)
def _party_added(event: events.PartyAdded, to: EffectContext) -> Iterator[Executable]:
    yield insert(t.parties).values(
        **to.data_key.encrypted_row(t.parties, event.party_id, event.values),
        id=event.party_id,
        complaint_id=to.complaint_id,
        side=event.side,
        added_at=to.at,
    )


@COMPLAINT_EFFECTS.of(events.PartyCorrected)
def _party_corrected(event: events.PartyCorrected, to: EffectContext) -> Iterator[Executable]:
    changes = to.data_key.encrypted_changes(t.parties, event.party_id, event.values)
    yield t.parties.update().where(t.parties.c.id == event.party_id).values(changes)


@COMPLAINT_EFFECTS.of(events.NameCorrected)
def _name_corrected(event: events.NameCorrected, to: EffectContext) -> Iterator[Executable]:
    """No rows: `PartyCorrected` changes the name, and this event records the reason."""
    del event, to
    yield from ()


@COMPLAINT_EFFECTS.of(events.IdentityReleased)
def _identity_released(event: events.IdentityReleased, _to: EffectContext) -> Iterator[Executable]:
    yield t.parties.update().where(t.parties.c.id == event.party_id).values(bound_subject=None)


@COMPLAINT_EFFECTS.of(events.AccessCodeIssued)
def _access_code_issued(event: events.AccessCodeIssued, to: EffectContext) -> Iterator[Executable]:
    yield codes_ended(t.parties.c.id == event.party_id, to.at)
    yield insert(t.access_codes).values(
        lookup=event.lookup, party_id=event.party_id, digest=event.digest, issued_at=to.at
    )


@COMPLAINT_EFFECTS.of(events.HoldPlaced)
def _hold_placed(event: events.HoldPlaced, to: EffectContext) -> Iterator[Executable]:
    yield insert(t.legal_holds).values(
        id=event.hold_id,
        complaint_id=to.complaint_id,
        reason=event.reason,
        placed_at=to.at,
        placed_by=to.by.subject,
    )


@COMPLAINT_EFFECTS.of(events.HoldLifted)
def _hold_lifted(event: events.HoldLifted, to: EffectContext) -> Iterator[Executable]:
    hold = t.legal_holds.update().where(t.legal_holds.c.id == event.hold_id)
    yield hold.values(lifted_at=to.at, lifted_by=to.by.subject)


@COMPLAINT_EFFECTS.of(events.ErasureRequested)
def _erasure_requested(event: events.ErasureRequested, to: EffectContext) -> Iterator[Executable]:
    yield insert(t.erasures).values(
        id=event.erasure_id,
        party_id=event.party_id,
        state=ErasureState.REQUESTED,
        requested_at=to.at,
        requested_by=to.by.subject,
    )


@COMPLAINT_EFFECTS.of(events.ErasureApproved)
def _erasure_approved(event: events.ErasureApproved, to: EffectContext) -> Iterator[Executable]:
    """End the access code, and empty the stored responses. The `DataPurged` events that follow empty the rest."""
    yield _decided(event.erasure_id, to).values(state=ErasureState.APPROVED)
    yield codes_ended(t.parties.c.id == event.party_id, to.at)
    yield emptied_responses(to.complaint_id)


@COMPLAINT_EFFECTS.of(events.ErasureRefused)
def _erasure_refused(event: events.ErasureRefused, to: EffectContext) -> Iterator[Executable]:
    yield _decided(event.erasure_id, to).values(state=ErasureState.REFUSED, refusal=event.reason)


def _decided(erasure_id: UUID, to: EffectContext) -> Update:
    erasure = t.erasures.update().where(t.erasures.c.id == erasure_id)
    return erasure.values(decided_at=to.at, decided_by=to.by.subject)


@COMPLAINT_EFFECTS.of(events.DataPurged)
def _data_purged(event: events.DataPurged, to: EffectContext) -> Iterator[Executable]:
    """Empty the columns of this kind of data: of one party, or of the whole complaint.

    The data key is kept, since it also encrypts the confidentiality agreement, which is not emptied.
    """
    if event.why is PurgeReason.SCHEDULE:
        yield emptied_responses(to.complaint_id)
    if event.data is DataKind.IDENTITY and event.party_id is None:
        yield codes_ended(t.parties.c.complaint_id == to.complaint_id, to.at)
    for place in PLACES[event.data]:
        texts = place.empty.items()
        rows = place.table.update().values({name: None if text is None else Ciphertext(text) for name, text in texts})
        if place.table is t.agreements:
            yield rows.values(purged_at=to.at).where(t.agreements.c.id.in_(event.agreements))
        elif event.party_id is None:
            yield rows.where(place.of(to.complaint_id, to.at), place.filled > 0)
        elif place.table in OF_A_PARTY:
            yield rows.where(OF_A_PARTY[place.table] == event.party_id)


@COMPLAINT_EFFECTS.of(events.MandatoryReportProposed)
def _report_proposed(event: events.MandatoryReportProposed, to: EffectContext) -> Iterator[Executable]:
    texts = {"agency": event.agency, "legal_basis": event.legal_basis}
    yield insert(t.mandatory_reports).values(
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
def _report_filed(event: events.MandatoryReportFiled, to: EffectContext) -> Iterator[Executable]:
    yield _report_decided(event.report_id, to).values(state=ReportState.FILED)


@COMPLAINT_EFFECTS.of(events.MandatoryReportDropped)
def _report_dropped(event: events.MandatoryReportDropped, to: EffectContext) -> Iterator[Executable]:
    yield _report_decided(event.report_id, to).values(state=ReportState.DROPPED, drop_reason=event.reason)


def _report_decided(report_id: UUID, to: EffectContext) -> Update:
    report = t.mandatory_reports.update().where(t.mandatory_reports.c.id == report_id)
    return report.values(decided_at=to.at, decided_by_role=to.by.role, decided_by=to.by.subject)
