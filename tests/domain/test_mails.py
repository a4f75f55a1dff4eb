"""Who is written to about which event, and which mails are no longer due when they are to be sent."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import pytest
from tests.domain.cases import (
    AGREED,
    AGREEMENT,
    ASKED,
    ASSIGNMENT,
    AT,
    CASE,
    DECLINED,
    ELIA,
    KIM,
    LEE,
    MAYA,
    MEDIATOR,
    NEW,
    REMOVED,
    RETURNED,
    ROSA,
    SESSION,
    STRANGER,
    TODAY,
    TOMORROW,
    WAITING,
    WITHDRAWN,
    after,
    agreement,
    answer,
    assignment,
    case,
    complainant,
    in_session,
    minor,
    officer,
    part,
    party,
    ready,
    scheduled,
    session,
    signed,
    withdraw,
)

from mediation_api.domain import events
from mediation_api.domain.case import Case
from mediation_api.domain.events import CaseEvent, Event
from mediation_api.domain.lifecycle import ANSWERS_SEALED, State
from mediation_api.domain.mails import (
    EVENTS,
    KEPT_TRYING,
    Mail,
    address_to_write_to,
    is_due,
    mails_after,
    next_attempt,
    reminding,
)
from mediation_api.domain.participants import Participant
from mediation_api.domain.reminders import Reminder, ReminderKind
from mediation_api.domain.values import (
    UNREADABLE,
    AssignmentState,
    Decision,
    MailKind,
    Seat,
    SeatRole,
    SessionState,
    Standing,
)

MEDIATING: Final = Seat(SeatRole.MEDIATOR, MEDIATOR)
EVERYBODY: Final = {party(ROSA), party(KIM), MEDIATING}


def after_event(
    event: type[Event], about_id: UUID, of: Case, told: Collection[Seat] = ()
) -> set[tuple[MailKind, Seat]]:
    """The kind and the recipient of each mail after an event; all of them are about `about_id` or the case."""
    found = mails_after(event.kind, about_id, of, told, AT)
    assert {mail.about_id for mail in found} <= {about_id, CASE}
    assert len({mail.id_after(STRANGER) for mail in found}) == len(found)
    return {(mail.kind, mail.to) for mail in found}


def after_all(of: Case, new_events: Iterable[CaseEvent]) -> list[Mail]:
    """The mails after the events of one command, each of which is looked at once all of them have happened."""
    told = tuple(new_events)
    now = after(of, told)
    return [
        mail
        for event in told
        if event.kind in EVENTS
        for mail in mails_after(event.kind, getattr(event, EVENTS[event.kind], CASE), now, (), AT)
    ]


# ── answers ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_party_that_is_asked_is_written_to_and_nobody_else() -> None:
    asking = case(State.ASKING, complainant(ROSA), officer(KIM, ASKED), officer(LEE, ASKED))
    assert after_event(events.PartyAsked, KIM, asking) == {(MailKind.OFFERED, party(KIM))}


def test_a_party_whose_consent_was_voided_is_asked_again() -> None:
    again = case(State.CONFIRMING, replace(complainant(ROSA), standing=ASKED), officer(KIM, WAITING))
    assert after_event(events.PartyAsked, ROSA, again) == {(MailKind.ANSWER_ASKED, party(ROSA))}


@pytest.mark.parametrize("standing", [AGREED, DECLINED, WITHDRAWN, REMOVED, WAITING])
def test_nobody_is_asked_by_mail_who_has_answered_or_left(standing: Standing) -> None:
    changed = replace(complainant(ROSA, ASKED), standing=standing)
    asking = case(State.CONFIRMING, changed, complainant(ELIA, ASKED), officer(KIM, WAITING))
    assert after_event(events.PartyAsked, ROSA, asking) == set()
    assert not is_due(Mail(MailKind.ANSWER_REMINDER, party(ROSA), CASE), asking, AT)
    assert is_due(Mail(MailKind.ANSWER_REMINDER, party(ELIA), CASE), asking, AT)


def test_nobody_is_asked_by_mail_once_the_case_is_closed() -> None:
    closed = case(State.LAPSED, complainant(ROSA, ASKED), officer(KIM, WAITING))
    assert not is_due(Mail(MailKind.OFFERED, party(ROSA), CASE), closed, AT)


@pytest.mark.parametrize("state", sorted(ANSWERS_SEALED))
@pytest.mark.parametrize("other", [ASKED, AGREED, DECLINED, WITHDRAWN])
def test_what_another_answered_changes_no_mail_before_ready(state: State, other: Standing) -> None:
    """Of every kind of event, whatever the other's standing: the same mails to the same people but the other."""

    def written(of_other: Participant) -> set[tuple[MailKind, Seat]]:
        people = (complainant(ROSA), of_other, complainant(MAYA, ASKED), officer(KIM, ASKED), officer(LEE, WAITING))
        of = replace(case(state, *people), assignments=(assignment(AssignmentState.PROPOSED),))
        about = {"party_id": MAYA, "assignment_id": ASSIGNMENT, "case_id": CASE, "session_id": SESSION}
        found = {
            (mail.kind, mail.to)
            for kind, name in EVENTS.items()
            for mail in mails_after(kind, about.get(name, AGREEMENT), of, (), AT)
        }
        return {(kind, to) for kind, to in found if to != party(ELIA)}

    assert written(replace(complainant(ELIA), standing=other)) == written(complainant(ELIA, ASKED))
    assert written(complainant(ELIA, ASKED)) == {(MailKind.OFFERED, party(MAYA)), (MailKind.PROPOSED, MEDIATING)}


def test_the_officers_are_written_to_when_the_last_complainant_has_answered() -> None:
    confirming = case(State.CONFIRMING, complainant(ROSA, ASKED), complainant(ELIA, DECLINED), officer(KIM, WAITING))
    mails = after_all(confirming, answer(confirming, ROSA))
    assert [(mail.kind, mail.to) for mail in mails] == [(MailKind.OFFERED, party(KIM))]


# ── proposals ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_mediator_is_written_to_about_a_proposal_until_it_is_answered() -> None:
    proposed = replace(case(State.READY), assignments=(assignment(AssignmentState.PROPOSED),))
    assert after_event(events.MediatorProposed, ASSIGNMENT, proposed) == {(MailKind.PROPOSED, MEDIATING)}
    reminder = Mail(MailKind.PROPOSAL_REMINDER, MEDIATING, ASSIGNMENT)
    assert is_due(reminder, proposed, AT)
    for state in set(AssignmentState) - {AssignmentState.PROPOSED}:
        assert not is_due(reminder, replace(proposed, assignments=(assignment(state),)), AT)
    assert not is_due(reminder, replace(proposed, state=State.LAPSED), AT)
    assert not is_due(replace(reminder, about_id=NEW), proposed, AT)


# ── sessions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_everybody_who_is_expected_is_written_to_about_a_session() -> None:
    people = (complainant(ROSA), complainant(ELIA, WITHDRAWN), officer(KIM))
    found = after_event(events.SessionScheduled, SESSION, scheduled(*people))
    assert found == {(MailKind.SESSION_SCHEDULED, seat) for seat in EVERYBODY}


def test_whoever_was_told_of_a_session_is_told_that_it_moved_and_others_are_told_of_it() -> None:
    found = after_event(events.SessionRescheduled, SESSION, scheduled(), told={party(ROSA), MEDIATING})
    assert found == {
        (MailKind.SESSION_MOVED, party(ROSA)),
        (MailKind.SESSION_MOVED, MEDIATING),
        (MailKind.SESSION_SCHEDULED, party(KIM)),
    }


def test_a_party_without_an_open_part_is_not_invited() -> None:
    people = (complainant(ROSA), complainant(ELIA), officer(KIM), officer(LEE, WITHDRAWN))
    parts = (part(ROSA, KIM), part(ELIA, KIM, RETURNED))
    found = after_event(events.SessionScheduled, SESSION, replace(scheduled(*people), parts=parts))
    assert {to for _, to in found} == EVERYBODY


@pytest.mark.parametrize("event", [events.SessionCancelled, events.SessionEnded])
def test_that_a_session_is_called_off_is_told_those_alone_who_knew_of_it(event: type[Event]) -> None:
    people = (complainant(ROSA), complainant(ELIA, ASKED), officer(KIM), officer(LEE, WITHDRAWN))
    state = SessionState.CANCELLED if event is events.SessionCancelled else SessionState.ENDED
    off = replace(ready(*people), state=State.CONFIRMING, sessions=(session(state),))
    told = {party(ROSA), party(LEE), MEDIATING}
    assert after_event(event, SESSION, off, told) == {
        (MailKind.SESSION_CANCELLED, party(ROSA)),
        (MailKind.SESSION_CANCELLED, MEDIATING),
    }
    gone = replace(off, assignments=(assignment(AssignmentState.RECUSED),))
    assert after_event(event, SESSION, gone, told) == {(MailKind.SESSION_CANCELLED, party(ROSA))}


@pytest.mark.parametrize("kind", [MailKind.SESSION_SCHEDULED, MailKind.SESSION_MOVED, MailKind.SESSION_REMINDER])
def test_nobody_is_told_of_a_session_that_has_begun_or_was_called_off(kind: MailKind) -> None:
    mail = Mail(kind, party(ROSA), SESSION)
    assert is_due(mail, scheduled(), TOMORROW - timedelta(seconds=1))
    assert not is_due(mail, scheduled(), TOMORROW)
    assert not is_due(mail, in_session(), AT)
    assert not is_due(mail, replace(scheduled(), sessions=(session(SessionState.CANCELLED),)), AT)
    assert not is_due(replace(mail, about_id=NEW), scheduled(), AT)
    assert not is_due(replace(mail, to=Seat(SeatRole.INTERPRETER, ROSA)), scheduled(), AT)
    late = replace(ready(), sessions=(session(SessionState.CANCELLED),))
    assert not is_due(Mail(MailKind.SESSION_CANCELLED, party(ROSA), SESSION), late, TOMORROW)
    assert not is_due(Mail(MailKind.SESSION_CANCELLED, party(ROSA), SESSION), scheduled(), AT)


# ── signatures ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_whoever_signs_a_text_is_written_to_until_it_is_signed_or_replaced() -> None:
    made = replace(ready(minor(ROSA), officer(KIM)), agreements=(agreement(party(KIM)),))
    assert after_event(events.AgreementMade, AGREEMENT, made) == {
        (MailKind.SIGNATURE_ASKED, party(ROSA)),
        (MailKind.SIGNATURE_ASKED, MEDIATING),
    }
    reminder = Mail(MailKind.SIGNATURE_REMINDER, party(ROSA), AGREEMENT)
    assert is_due(reminder, made, AT)
    assert not is_due(reminder, signed(made), AT)
    assert not is_due(reminder, replace(made, agreements=(agreement(superseded=True),)), AT)
    assert not is_due(reminder, replace(made, state=State.CONFIRMING), AT)
    assert not is_due(replace(reminder, to=party(ELIA)), made, AT)


def test_each_reminder_is_one_mail_to_its_person() -> None:
    def mail_of(kind: ReminderKind, about: str, *, party_id: UUID | None = None) -> tuple[UUID, Mail]:
        mediator_id = MEDIATOR if party_id is None else None
        return reminding(
            Reminder(kind=kind, case_id=CASE, party_id=party_id, mediator_id=mediator_id, about=about, due_on=TODAY)
        )

    asked_at = "2026-03-02T20:00:00.000Z"
    mail_id, mail = mail_of(ReminderKind.ANSWER, asked_at, party_id=ROSA)
    assert mail == Mail(MailKind.ANSWER_REMINDER, party(ROSA), CASE)
    assert mail_of(ReminderKind.ANSWER, asked_at, party_id=ROSA)[0] == mail_id
    others = (
        mail_of(ReminderKind.ANSWER, asked_at, party_id=ELIA),
        mail_of(ReminderKind.ANSWER, "2026-03-03T20:00:00.000Z", party_id=ROSA),
        mail_of(ReminderKind.PROPOSAL, str(ASSIGNMENT)),
        mail_of(ReminderKind.SIGNATURE, str(AGREEMENT), party_id=ROSA),
    )
    assert len({mail_id, *(each for each, _ in others)}) == 5
    assert others[2][1] == Mail(MailKind.PROPOSAL_REMINDER, MEDIATING, ASSIGNMENT)
    assert others[3][1] == Mail(MailKind.SIGNATURE_REMINDER, party(ROSA), AGREEMENT)
    with pytest.raises(TypeError):
        reminding(
            Reminder(
                kind=ReminderKind.ANSWER, case_id=CASE, party_id=None, mediator_id=None, about=asked_at, due_on=TODAY
            )
        )


# ── the close ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_close_is_told_everybody_who_was_asked_and_has_not_left() -> None:
    people = (complainant(ROSA), complainant(ELIA, WITHDRAWN), officer(KIM, ASKED), officer(LEE, WAITING))
    closed = replace(case(State.LAPSED, *people), assignments=(assignment(AssignmentState.PROPOSED),))
    assert after_event(events.CaseClosed, CASE, closed) == {(MailKind.CLOSED, seat) for seat in EVERYBODY}


def test_an_officer_who_has_to_be_asked_again_learns_of_the_close() -> None:
    closed = case(State.LAPSED, complainant(ROSA), replace(officer(KIM), standing=WAITING))
    assert after_event(events.CaseClosed, CASE, closed) == {
        (MailKind.CLOSED, party(ROSA)),
        (MailKind.CLOSED, party(KIM)),
    }


@pytest.mark.parametrize("state", [State.ASKING, State.READY])
def test_a_party_all_of_whose_parts_were_returned_is_told_once_answers_are_not_sealed(state: State) -> None:
    people = (complainant(ROSA), complainant(ELIA), officer(KIM), officer(LEE))
    parts = (part(ROSA, KIM), part(ELIA, KIM, RETURNED), part(ELIA, LEE, RETURNED), part(ROSA, LEE))
    returned = replace(case(state, *people), parts=parts)
    told = set() if state is State.ASKING else {(MailKind.CLOSED, party(ELIA))}
    assert after_event(events.PartReturned, CASE, returned) == after_event(events.StateChanged, CASE, returned) == told


def test_the_close_is_told_once_and_every_other_mail_once_for_its_event() -> None:
    closed = Mail(MailKind.CLOSED, party(ROSA), CASE)
    assert closed.id_after(NEW) == closed.id_after(STRANGER)
    moved = Mail(MailKind.SESSION_MOVED, party(ROSA), SESSION)
    assert moved.id_after(NEW) != moved.id_after(STRANGER)
    assert moved.id_after(NEW) == Mail(MailKind.SESSION_MOVED, party(ROSA), SESSION).id_after(NEW)


def test_whoever_withdraws_gets_no_mail_and_the_others_learn_that_it_is_over() -> None:
    mails = after_all(scheduled(), withdraw(scheduled(), ROSA))
    assert {(mail.kind, mail.to) for mail in mails} == {(MailKind.CLOSED, party(KIM)), (MailKind.CLOSED, MEDIATING)}


def test_the_decline_of_one_of_two_officers_is_told_nobody() -> None:
    asking = case(State.ASKING, complainant(ROSA), officer(KIM, ASKED), officer(LEE, ASKED))
    assert after_all(asking, answer(asking, KIM, Decision.DECLINED)) == []


# ── sending ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_who_allows_mail_and_has_an_address_that_can_be_read_is_written_to() -> None:
    assert address_to_write_to("ana@example.org", allowed=True) == "ana@example.org"
    assert address_to_write_to("ana@example.org", allowed=False) is None
    assert [address_to_write_to(email, allowed=True) for email in (None, "", UNREADABLE)] == [None] * 3


def test_the_pauses_grow_to_four_hours_and_end_after_three_days() -> None:
    def minutes(attempts: int) -> float:
        again = next_attempt(attempts, queued_at=AT, at=AT)
        assert again is not None
        return (again - AT).total_seconds() / 60

    assert [minutes(attempts) for attempts in (1, 2, 3, 8, 9, 1_000_000)] == [1, 2, 4, 128, 240, 240]
    assert next_attempt(1, queued_at=AT, at=AT + KEPT_TRYING - timedelta(seconds=1)) is not None
    assert next_attempt(1, queued_at=AT, at=AT + KEPT_TRYING) is None
