"""Parts: one complainant and one officer of a complaint each, the unit that is mediated or returned to investigation.

A part is mediated if, and only if, both of its people agreed, signed, and were present in a session of the case that
was completed. Whoever leaves a case takes their open parts back to investigation at once, and a case closes when no
open part is left. A part that was returned can be tried again in a later case; one that was mediated stays closed.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias
from uuid import UUID

from mediation_api.domain import events
from mediation_api.domain.case_children import Agreement, Session
from mediation_api.domain.lifecycle import ANSWERS_SEALED, State
from mediation_api.domain.participants import Participant
from mediation_api.domain.values import AgreementKind, Disposition, Seat, SeatRole, SessionState, Side

Pair: TypeAlias = tuple[UUID, UUID]
"""A complainant's and an officer's `party_id`, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One complainant and one officer in one case. It is never `partly_mediated`."""

    complainant_id: UUID
    officer_id: UUID
    disposition: Disposition = Disposition.IN_MEDIATION

    @property
    def pair(self) -> Pair:
        """Whose part it is."""
        return self.complainant_id, self.officer_id

    @property
    def is_open(self) -> bool:
        """Whether it is still being mediated."""
        return self.disposition is Disposition.IN_MEDIATION

    def concerns(self, party_id: UUID) -> bool:
        """Whether it is a part of this party."""
        return party_id in self.pair


def disposition_of(parts: Iterable[Disposition]) -> Disposition:
    """What becomes of a complaint, or of all that concerns one party, when its parts stand as given.

    `closed_mediated` when all parts are, `partly_mediated` when some are. Without any part nothing was tried yet.
    """
    found = set(parts)
    if found == {Disposition.CLOSED_MEDIATED}:
        return Disposition.CLOSED_MEDIATED
    if Disposition.CLOSED_MEDIATED in found:
        return Disposition.PARTLY_MEDIATED
    for each in (Disposition.IN_MEDIATION, Disposition.RETURNED_TO_INVESTIGATION):
        if each in found:
            return each
    return Disposition.RECEIVED


def disposition_of_complaint(parts: Iterable[Disposition], latest: State | None) -> Disposition:
    """The same of a whole complaint whose latest case is in the state `latest`, if there is a case.

    A case without any part is one in which nobody of one side is named yet.
    """
    whole = disposition_of(parts)
    if whole is not Disposition.RECEIVED or latest is None:
        return whole
    return Disposition.IN_MEDIATION if latest.is_open else Disposition.RETURNED_TO_INVESTIGATION


def shown_disposition(disposition: Disposition, state: State | None) -> Disposition:
    """What the integration that filed reads of a part whose case is in `state`: answers are sealed until `ready`."""
    if state in ANSWERS_SEALED and disposition is Disposition.RETURNED_TO_INVESTIGATION:
        return Disposition.IN_MEDIATION
    return disposition


def own_dispositions(
    known: Iterable[Disposition], latest: State | None, *, has_left: bool
) -> tuple[tuple[Disposition, ...], Disposition]:
    """What a party reads of its own parts, and of the complaint as far as it concerns this party.

    `known` is what it may know of its latest part with each of the other side, and `latest` the state of its latest
    case. While that case is sealed, what was returned earlier is tried again, whatever was answered meanwhile.
    """
    if latest is None or latest not in ANSWERS_SEALED or has_left:
        own = tuple(known)
        return own, disposition_of_complaint(own, State.WITHDRAWN if has_left else latest)
    own = tuple(each if each is Disposition.CLOSED_MEDIATED else Disposition.IN_MEDIATION for each in known)
    return own, disposition_of((*own, Disposition.IN_MEDIATION))


def pairs_of(parties: Collection[Participant]) -> Iterator[Pair]:
    """Each complainant of `parties` with each officer."""
    for complainant in parties:
        for officer in parties:
            if (complainant.side, officer.side) == (Side.COMPLAINANT, Side.OFFICER):
                yield complainant.party_id, officer.party_id


def opened(pairs: Iterable[Pair]) -> tuple[events.PartOpened, ...]:
    """The events that open a part for each pair."""
    return tuple(events.PartOpened(complainant_id=complainant, officer_id=officer) for complainant, officer in pairs)


def returned(parts: Iterable[Part], party_id: UUID | None = None) -> tuple[events.PartReturned, ...]:
    """The events that return the open ones among `parts` to investigation; with `party_id`, those of one party."""
    return tuple(
        events.PartReturned(complainant_id=part.complainant_id, officer_id=part.officer_id)
        for part in parts
        if part.is_open and (party_id is None or part.concerns(party_id))
    )


def after_returning(parts: Iterable[Part], party_id: UUID) -> tuple[Part, ...]:
    """The parts once the open ones of a party were returned."""
    back = Disposition.RETURNED_TO_INVESTIGATION
    return tuple(
        replace(part, disposition=back) if part.is_open and part.concerns(party_id) else part for part in parts
    )


def is_covered(part: Part, sessions: Iterable[Session], agreements: Iterable[Agreement]) -> bool:
    """Whether both people of a part were present in one completed session, and had signed the text it began under."""
    seats = {Seat(SeatRole.PARTY, party_id) for party_id in part.pair}
    signed = {each.agreement_id: each.signed_by for each in agreements}
    return any(
        session.state is SessionState.COMPLETED
        and session.agreement_id is not None
        and seats <= session.present
        and seats <= signed[session.agreement_id]
        for session in sessions
    )


def signers_of(part: Part, participants: Iterable[Participant]) -> frozenset[Seat]:
    """Who signs a resolution of this part: its two people, and the guardian of a minor."""
    people = [p for p in participants if part.concerns(p.party_id)]
    guardians = {Seat(SeatRole.GUARDIAN, p.party_id) for p in people if p.minor}
    return frozenset(guardians | {Seat(SeatRole.PARTY, p.party_id) for p in people})


def is_resolved(part: Part, participants: Iterable[Participant], agreements: Iterable[Agreement]) -> bool:
    """Whether everybody of a part has signed the resolution agreement that counts."""
    signers = signers_of(part, participants)
    return any(
        each.kind is AgreementKind.RESOLUTION and not each.superseded and signers <= each.signed_by
        for each in agreements
    )
