"""Mails: who is written to about which event, and whether a mail is still due when it is sent.

A mail says only that something waits in the portal. It goes to one person alone, and depends on nothing but what that
person may read: until a case is `ready`, no mail to one party depends on what another party answered. Whoever has left
the case, and whoever was not asked yet, gets none. An address is looked up when a mail is sent, and stored with none.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID, uuid5

from mediation_api.domain import agreements, events
from mediation_api.domain.case import Case
from mediation_api.domain.lifecycle import ANSWERS_SEALED
from mediation_api.domain.participants import Participant
from mediation_api.domain.reminders import Reminder, ReminderKind
from mediation_api.domain.values import UNREADABLE, AssignmentState, MailKind, Seat, SeatRole, SessionState, Standing

KEPT_TRYING: Final = timedelta(days=3)
"""How long a mail is tried, and the age from which an event is no reason for one. Source: RFC 5321, 4.5.4.1 (4-5 days,
of which a city has less: a session may be near)."""
REMINDED_BEFORE: Final = timedelta(days=1)
"""How long before a session starts people are reminded of it, unless they were told of it since."""
_FIRST_PAUSE: Final = timedelta(minutes=1)
_LONGEST_PAUSE: Final = timedelta(hours=4)

EVENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        events.PartyAsked.kind: "party_id",
        events.MediatorProposed.kind: "assignment_id",
        events.SessionScheduled.kind: "session_id",
        events.SessionRescheduled.kind: "session_id",
        events.SessionCancelled.kind: "session_id",
        events.SessionEnded.kind: "session_id",
        events.AgreementMade.kind: "agreement_id",
        events.StateChanged.kind: "case_id",
        events.PartReturned.kind: "case_id",
        events.CaseClosed.kind: "case_id",
    }
)
"""The kinds of events that may be a reason to write, and the name of the id of what each is about."""

_REMINDERS: Final[Mapping[ReminderKind, MailKind]] = MappingProxyType(
    {
        ReminderKind.ANSWER: MailKind.ANSWER_REMINDER,
        ReminderKind.PROPOSAL: MailKind.PROPOSAL_REMINDER,
        ReminderKind.SIGNATURE: MailKind.SIGNATURE_REMINDER,
    }
)
_SESSION_HELD: Final = frozenset({events.SessionScheduled.kind, events.SessionRescheduled.kind})
_SESSION_OFF: Final = frozenset({events.SessionCancelled.kind, events.SessionEnded.kind})
_TO_EVERYBODY: Final[Mapping[str, MailKind]] = MappingProxyType(
    {
        events.MediatorProposed.kind: MailKind.PROPOSED,
        events.AgreementMade.kind: MailKind.SIGNATURE_ASKED,
        events.StateChanged.kind: MailKind.CLOSED,
        events.PartReturned.kind: MailKind.CLOSED,
        events.CaseClosed.kind: MailKind.CLOSED,
    }
)
"""The mail after an event, for everybody for whom it is due."""
_ABOUT_SESSIONS: Final = frozenset(
    {MailKind.SESSION_SCHEDULED, MailKind.SESSION_MOVED, MailKind.SESSION_REMINDER, MailKind.SESSION_CANCELLED}
)
_ABOUT_ANSWERS: Final = frozenset({MailKind.OFFERED, MailKind.ANSWER_ASKED, MailKind.ANSWER_REMINDER})
_ABOUT_PROPOSALS: Final = frozenset({MailKind.PROPOSED, MailKind.PROPOSAL_REMINDER})
_ABOUT_TEXTS: Final = frozenset({MailKind.SIGNATURE_ASKED, MailKind.SIGNATURE_REMINDER})


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one person. `about_id` is of the case, the session, the assignment or the text that it is about."""

    kind: MailKind
    to: Seat
    about_id: UUID

    def id_after(self, reason: UUID) -> UUID:
        """Return the id of this mail after an event or another reason. That of a close is the same for every event.

        Queued again, as after a restore, it is the same mail with the same `Message-ID`.
        """
        return uuid5(
            self.about_id if self.kind is MailKind.CLOSED else reason, f"{self.kind}:{self.to.role}:{self.to.id}"
        )


def mails_after(kind: str, about_id: UUID, case: Case, told: Collection[Seat], at: datetime) -> tuple[Mail, ...]:
    """Return the mails that an event is a reason for.

    Args:
        kind: the kind of the event, one of `EVENTS`.
        about_id: the id that `EVENTS` names.
        case: the case as it is now, which later events may have changed.
        told: who was written to about the session that the event is about.
        at: the instant.
    """
    return tuple(mail for mail in _candidates(kind, about_id, case, told) if is_due(mail, case, at))


def reminding(reminder: Reminder) -> tuple[UUID, Mail]:
    """Return the mail of a reminder, and its id: there is one for each person and what that person is reminded of."""
    if reminder.party_id is not None:
        to = Seat(SeatRole.PARTY, reminder.party_id)
    elif reminder.mediator_id is not None:
        to = Seat(SeatRole.MEDIATOR, reminder.mediator_id)
    else:
        raise TypeError("a reminder is for somebody")
    about_id = reminder.case_id if reminder.kind is ReminderKind.ANSWER else UUID(reminder.about)
    mail = Mail(_REMINDERS[reminder.kind], to, about_id)
    return mail.id_after(uuid5(reminder.case_id, reminder.about)), mail


def is_due(mail: Mail, case: Case, at: datetime) -> bool:
    """Return whether a mail is still true, and its recipient still takes part. Checked when it is queued and sent."""
    if mail.kind in _ABOUT_ANSWERS:
        party = _party(mail.to, case)
        return case.state.is_open and party is not None and party.standing is Standing.ASKED
    if mail.kind in _ABOUT_PROPOSALS:
        return case.state.is_open and any(
            a.assignment_id == mail.about_id
            and a.state is AssignmentState.PROPOSED
            and mail.to == Seat(SeatRole.MEDIATOR, a.mediator_id)
            for a in case.assignments
        )
    if mail.kind in _ABOUT_SESSIONS:
        return _session_is_due(mail, case, at)
    if mail.kind in _ABOUT_TEXTS:
        return _signature_is_due(mail, case)
    return _close_is_due(mail, case)


def address_to_write_to(email: str | None, *, allowed: bool) -> str | None:
    """Return the address of somebody who allows mail; None for anybody else, and for one that cannot be decrypted."""
    return email if allowed and email and email != UNREADABLE else None


def next_attempt(attempts: int, *, queued_at: datetime, at: datetime) -> datetime | None:
    """Return when a mail is tried again after so many attempts; None if it was tried for long enough."""
    if at - queued_at >= KEPT_TRYING:
        return None
    # The longest pause is reached after nine, and a power of any size is no duration.
    return at + min(_FIRST_PAUSE * (1 << min(attempts - 1, 9)), _LONGEST_PAUSE)


def _candidates(kind: str, about_id: UUID, case: Case, told: Collection[Seat]) -> Iterator[Mail]:
    if kind == events.PartyAsked.kind:
        party = case.participant(about_id)
        again = party.consent_id is not None
        yield Mail(MailKind.ANSWER_ASKED if again else MailKind.OFFERED, _seat(party), case.case_id)
    elif kind in _SESSION_HELD:
        for seat in _everybody(case):
            yield Mail(MailKind.SESSION_MOVED if seat in told else MailKind.SESSION_SCHEDULED, seat, about_id)
    elif kind in _SESSION_OFF:
        # Nobody else may learn that there was a session.
        yield from (Mail(MailKind.SESSION_CANCELLED, seat, about_id) for seat in sorted(told))
    else:
        yield from (Mail(_TO_EVERYBODY[kind], seat, about_id) for seat in _everybody(case))


def _everybody(case: Case) -> Iterator[Seat]:
    """Yield the parties and mediators of a case; `is_due` decides who of them is written to."""
    yield from map(_seat, case.participants)
    yield from dict.fromkeys(Seat(SeatRole.MEDIATOR, a.mediator_id) for a in case.assignments)


def _seat(party: Participant) -> Seat:
    return Seat(SeatRole.PARTY, party.party_id)


def _party(seat: Seat, case: Case) -> Participant | None:
    """Return the party in a seat, unless it has left the case or never was in it."""
    if seat.role is not SeatRole.PARTY:
        return None
    return next((p for p in case.participants if p.party_id == seat.id and p.is_active), None)


def _mediates(seat: Seat, case: Case, *states: AssignmentState) -> bool:
    """Return whether the case is with this mediator: accepted, or in one of `states`."""
    if seat.role is not SeatRole.MEDIATOR:
        return False
    return any(a.mediator_id == seat.id and a.state in {AssignmentState.ACCEPTED, *states} for a in case.assignments)


def _session_is_due(mail: Mail, case: Case, at: datetime) -> bool:
    session = next((s for s in case.sessions if s.session_id == mail.about_id), None)
    if session is None or session.starts_at <= at:
        return False
    party = _party(mail.to, case)
    if mail.kind is MailKind.SESSION_CANCELLED:
        over = session.state in {SessionState.CANCELLED, SessionState.ENDED}
        return over and (party is not None or _mediates(mail.to, case))
    expected = party is not None and case.may_still_mediate(party)
    return session.state is SessionState.SCHEDULED and (expected or _mediates(mail.to, case))


def _signature_is_due(mail: Mail, case: Case) -> bool:
    text = next((a for a in case.agreements if a.agreement_id == mail.about_id and not a.superseded), None)
    return (
        text is not None
        and case.state in agreements.SIGNED_IN[text.kind]
        and mail.to in agreements.signers(case, text.kind)
        and mail.to not in text.signed_by
    )


def _close_is_due(mail: Mail, case: Case) -> bool:
    """Return whether the case has closed for somebody: as a whole, or for a party all of whose parts were returned.

    The second is sealed before `ready`. An officer who was not asked does not learn that there was a case.
    """
    party = _party(mail.to, case)
    if party is None:
        return not case.state.is_open and _mediates(mail.to, case, AssignmentState.PROPOSED)
    if party.standing is Standing.WAITING and party.consent_id is None:
        return False
    return not case.state.is_open or (case.state not in ANSWERS_SEALED and not case.may_still_mediate(party))
