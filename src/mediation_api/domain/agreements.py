"""Agreements and signatures. A signature is on one exact text, identified by its hash; a new text voids it.

The confidentiality agreement is signed by everybody in the room before a session starts. A resolution agreement is
optional, and signed by the parties and their guardians alone; its terms are confidential only if all of them agree to
that (ORS 36.220).
"""

from uuid import UUID

from mediation_api.domain import events, parts, sessions
from mediation_api.domain.access import Actor
from mediation_api.domain.case import Case, binding
from mediation_api.domain.errors import (
    AgreementNotCurrent,
    AgreementReached,
    AlreadySigned,
    NotASigner,
    NotFound,
    PartyLeft,
    StateConflict,
    TextChanged,
)
from mediation_api.domain.events import Events
from mediation_api.domain.lifecycle import State
from mediation_api.domain.texts import Text, signed_hash
from mediation_api.domain.values import AgreementKind, Method, Seat, SeatRole

MADE_IN = {
    AgreementKind.CONFIDENTIALITY: frozenset({State.READY, State.SCHEDULED}),
    AgreementKind.RESOLUTION: frozenset({State.IN_SESSION, State.CONCLUDED}),
}
"""When a text of each kind may be made."""

SIGNED_IN = {
    AgreementKind.CONFIDENTIALITY: frozenset({State.READY, State.SCHEDULED, State.IN_SESSION}),
    AgreementKind.RESOLUTION: frozenset({State.IN_SESSION, State.CONCLUDED}),
}
"""When a text of each kind may be signed."""


def make(case: Case, kind: AgreementKind, text: Text, *, terms_confidential: bool, agreement_id: UUID) -> Events:
    """Make a text for people to sign. It replaces the one before, and voids its signatures.

    The hash that is signed covers the text, its languages, and whether its terms are confidential.

    Raises:
        StateConflict: it is too early or too late for this kind of text.
        AgreementReached: everybody of an open part has signed the present resolution, which would be voided.
    """
    case.require_open()
    if case.state not in MADE_IN[kind]:
        raise StateConflict
    if kind is AgreementKind.RESOLUTION and any(
        parts.is_resolved(part, case.participants, case.agreements) for part in case.open_parts
    ):
        raise AgreementReached
    return (
        events.AgreementMade(
            agreement_id=agreement_id,
            agreement_kind=kind,
            number=1 + max((a.number for a in case.agreements if a.kind is kind), default=0),
            template_version=text.version,
            languages=text.languages,
            text=text.body,
            sha256=signed_hash(text.body, text.languages, terms_confidential=terms_confidential),
            terms_confidential=terms_confidential,
        ),
    )


def signers(case: Case, kind: AgreementKind) -> tuple[Seat, ...]:
    """Return who signs an agreement of this kind: everybody in the room, or the parties and their guardians."""
    everybody = sessions.seats(case)
    if kind is AgreementKind.CONFIDENTIALITY:
        return everybody
    return tuple(s for s in everybody if s.role in {SeatRole.PARTY, SeatRole.GUARDIAN})


def sign_agreement(
    case: Case,
    agreement_id: UUID,
    signer: Seat,
    *,
    signer_name: str,
    sha256: str,
    method: Method,
    signature_id: UUID,
    by: Actor,
) -> Events:
    """Sign the text whose hash is `sha256`, as `signer`. A later correction of the name does not change `signer_name`.

    Raises:
        PartyLeft: the party has left. This is checked first, so that somebody who has left does not learn from another
            refusal whether the others go on.
        AgreementNotCurrent: a later text replaced it.
        TextChanged: `sha256` is not the hash of the text.
        NotASigner, AlreadySigned: this person does not sign this kind of agreement, or has signed.
    """
    if any(p.party_id == signer.id and not p.is_active for p in case.participants):
        raise PartyLeft
    case.require_open()
    agreement = next((a for a in case.agreements if a.agreement_id == agreement_id), None)
    if agreement is None:
        raise NotFound
    if agreement.superseded:
        raise AgreementNotCurrent
    if case.state not in SIGNED_IN[agreement.kind]:
        raise StateConflict
    if sha256 != agreement.sha256:
        raise TextChanged
    if signer not in signers(case, agreement.kind):
        raise NotASigner
    if signer in agreement.signed_by:
        raise AlreadySigned
    signed = events.AgreementSigned(
        signature_id=signature_id,
        agreement_id=agreement_id,
        sha256=sha256,
        signer=signer,
        signer_name=signer_name,
        method=method,
    )
    bound = binding(case.participant(signer.id), by) if signer.role is SeatRole.PARTY else ()
    return (signed, *bound)
