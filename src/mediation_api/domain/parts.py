"""Parts: one complainant and one officer of a complaint each, the unit that is mediated or returned to investigation.

A part is mediated if and only if both of its people agreed, signed, and were present in a completed session of the
case. When somebody leaves, their open parts are returned to investigation at once; a case closes when no open part is
left. A part that was returned can be tried again in a later case; one that was mediated stays closed.
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
        """The ids of the two people."""
        return self.complainant_id, self.officer_id

    @property
    def is_open(self) -> bool:
        """Whether it is still being mediated."""
        return self.disposition is Disposition.IN_MEDIATION

    def concerns(self, party_id: UUID) -> bool:
        """Whether it is a part of this party."""
        return party_id in self.pair


def disposition_of(parts: Iterable[Disposition]) -> Disposition:
    """Return the disposition of a complaint, or of a party, from those of its parts.

    `closed_mediated` if all parts are, `partly_mediated` if some are, `received` if there are no parts.
    """
    distinct = set(parts)
    if distinct == {Disposition.CLOSED_MEDIATED}:
        return Disposition.CLOSED_MEDIATED
    if Disposition.CLOSED_MEDIATED in distinct:
        return Disposition.PARTLY_MEDIATED
    for each in (Disposition.IN_MEDIATION, Disposition.RETURNED_TO_INVESTIGATION):
        if each in distinct:
            return each
    return Disposition.RECEIVED


def disposition_of_complaint(parts: Iterable[Disposition], latest: State | None) -> Disposition:
    """Return the disposition of a complaint whose latest case, if any, is in the state `latest`.

    A case has no parts while no party of one side is known.
    """
    whole = disposition_of(parts)
    if whole is not Disposition.RECEIVED or latest is None:
        return whole
    return Disposition.IN_MEDIATION if latest.is_open else Disposition.RETURNED_TO_INVESTIGATION


def shown_disposition(disposition: Disposition, state: State | None) -> Disposition:
    """Return the disposition of a part as the integration sees it. Answers are sealed until its case is `ready`."""
    if state in ANSWERS_SEALED and disposition is Disposition.RETURNED_TO_INVESTIGATION:
        return Disposition.IN_MEDIATION
    return disposition


def own_dispositions(
    known: Iterable[Disposition], latest: State | None, *, has_left: bool
) -> tuple[tuple[Disposition, ...], Disposition]:
    """Return the dispositions of its own parts, and of the complaint, as a party sees them.

    `known` are the dispositions that it may see of its latest part with each person of the other side, and `latest` is
    the state of its latest case. While answers are sealed every part that was not mediated is `in_mediation`, so that
    it reveals no answer.
    """
    if latest is None or latest not in ANSWERS_SEALED or has_left:
        own = tuple(known)
        return own, disposition_of_complaint(own, State.WITHDRAWN if has_left else latest)
    own = tuple(each if each is Disposition.CLOSED_MEDIATED else Disposition.IN_MEDIATION for each in known)
    return own, disposition_of((*own, Disposition.IN_MEDIATION))


def pairs_of(parties: Collection[Participant]) -> Iterator[Pair]:
    """Yield each complainant of `parties` with each officer."""
    for complainant in parties:
        for officer in parties:
            if (complainant.side, officer.side) == (Side.COMPLAINANT, Side.OFFICER):
                yield complainant.party_id, officer.party_id


def opened(pairs: Iterable[Pair]) -> tuple[events.PartOpened, ...]:
    """Return the events that open a part for each pair."""
    return tuple(events.PartOpened(complainant_id=complainant, officer_id=officer) for complainant, officer in pairs)


def returned(parts: Iterable[Part], party_id: UUID | None = None) -> tuple[events.PartReturned, ...]:
    """Return the events that return open `parts` to investigation: all, or only those of `party_id`."""
    return tuple(
        events.PartReturned(complainant_id=part.complainant_id, officer_id=part.officer_id)
        for part in parts
        if part.is_open and (party_id is None or part.concerns(party_id))
    )


def after_returning(parts: Iterable[Part], party_id: UUID) -> tuple[Part, ...]:
    """Return the parts as they are after the open ones of a party were returned."""
    back = Disposition.RETURNED_TO_INVESTIGATION
    return tuple(
        replace(part, disposition=back) if part.is_open and part.concerns(party_id) else part for part in parts
    )


def is_covered(part: Part, sessions: Iterable[Session], agreements: Iterable[Agreement]) -> bool:
    """Return whether both people of a part were in one completed session, and had signed the text it began under."""
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
    """Return who signs a resolution of this part: its two people, and the guardian of a minor."""
    people = [p for p in participants if part.concerns(p.party_id)]
    guardians = {Seat(SeatRole.GUARDIAN, p.party_id) for p in people if p.minor}
    return frozenset(guardians | {Seat(SeatRole.PARTY, p.party_id) for p in people})


def is_resolved(part: Part, participants: Iterable[Participant], agreements: Iterable[Agreement]) -> bool:
    """Return whether everybody of a part has signed the current resolution agreement."""
    signers = signers_of(part, participants)
    return any(
        each.kind is AgreementKind.RESOLUTION and not each.superseded and signers <= each.signed_by
        for each in agreements
    )
