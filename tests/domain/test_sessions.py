"""The gates of scheduling and starting, who sits in the room, and how a session ends."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.domain.cases import (
    AGREED,
    AGREEMENT,
    ASKED,
    ASSIGNMENT,
    AT,
    CITY,
    DECLINED,
    ELIA,
    KIM,
    LAPSED,
    LEE,
    MAYA,
    MEDIATING,
    MEDIATOR,
    NEW,
    NOOR,
    RETURNED,
    ROSA,
    SESSION,
    STRANGER,
    TOMORROW,
    WAITING,
    WITHDRAWN,
    agreement,
    case,
    complainant,
    completed,
    concluded,
    in_session,
    interpreter,
    minor,
    officer,
    part,
    party,
    pointed_at,
    policy,
    ready,
    scheduled,
    session,
    signed,
)

from mediation_api.domain import assignments, events, sessions
from mediation_api.domain.case import Case
from mediation_api.domain.errors import (
    CaseNotOpen,
    ConditionsMissing,
    InterpreterUnsuitable,
    Invalid,
    LimitReached,
    Missing,
    NotFound,
    SessionTooEarly,
    StateConflict,
)
from mediation_api.domain.events import Booking, Events
from mediation_api.domain.lifecycle import ANSWERS_SEALED, CLOSED, State, Trigger
from mediation_api.domain.participants import Attendee, Participant
from mediation_api.domain.policy import Policy, SessionPolicy
from mediation_api.domain.sessions import missing_of, missing_to_schedule, missing_to_start, require_valid, seats
from mediation_api.domain.values import (
    MOST_ATTENDEES,
    Approver,
    AttendeeRole,
    CancelReason,
    EndReason,
    InterpreterRelation,
    Mode,
    OffHoursReason,
    Seat,
    SeatRole,
    SessionState,
    Standing,
)

HOUR = timedelta(hours=1)
LINK = "https://meet.example.org/room-4"
MEDIATES = Seat(SeatRole.MEDIATOR, MEDIATOR)
INTERPRETS = Seat(SeatRole.INTERPRETER, NOOR)
GUARDS = Seat(SeatRole.GUARDIAN, MAYA)


def booking(starts_at: datetime = TOMORROW, hours: float = 2) -> Booking:
    return Booking(
        starts_at=starts_at,
        ends_at=starts_at + hours * HOUR,
        mode=Mode.IN_PERSON,
        place="Room 4",
        link=LINK,
        off_hours_reason=OffHoursReason.ROOM,
    )


def needing(language: str) -> Participant:
    return replace(complainant(ROSA), interpreter_language=language)


def state_changed(trigger: Trigger, source: State, target: State) -> events.StateChanged:
    return events.StateChanged(trigger=trigger, from_state=source, to_state=target)


# ── the room ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_those_who_take_part_sit_in_the_room_with_their_guardians_and_the_mediator() -> None:
    here = ready(complainant(ROSA), minor(MAYA), officer(KIM), officer(LEE, WITHDRAWN))
    assert set(seats(here)) == {party(ROSA), party(MAYA), GUARDS, party(KIM), MEDIATES}


def test_nobody_mediates_before_a_mediator_accepted() -> None:
    assert set(seats(case(State.READY))) == {party(ROSA), party(KIM)}


def test_who_accompanies_a_party_leaves_with_it() -> None:
    of_rosa = replace(ready(complainant(ROSA), complainant(ELIA), officer(KIM)), attendees=(interpreter(of=ROSA),))
    left = replace(of_rosa, participants=(complainant(ROSA, WITHDRAWN), complainant(ELIA), officer(KIM)))
    of_all = replace(left, attendees=(interpreter(),))
    assert INTERPRETS in seats(of_rosa)
    assert INTERPRETS not in seats(left)
    assert INTERPRETS in seats(of_all)


def add_attendee(
    role: AttendeeRole = AttendeeRole.INTERPRETER,
    *,
    language: str | None = "ase",
    to: Case | None = None,
    of: UUID | None = ROSA,
    qualified: bool = True,
    relation: InterpreterRelation = InterpreterRelation.NONE,
) -> Events:
    return sessions.add_attendee(
        to or ready(),
        role,
        attendee_id=NEW,
        name="Noor Haddad",
        language=language,
        for_party_id=of,
        qualified=qualified,
        relation=relation,
    )


def test_a_qualified_interpreter_who_is_nobodys_relative_is_expected() -> None:
    assert add_attendee() == (
        events.AttendeeAdded(
            attendee_id=NEW,
            role=AttendeeRole.INTERPRETER,
            name="Noor Haddad",
            language="ase",
            for_party_id=ROSA,
        ),
    )


def test_an_interpreter_may_serve_everybody() -> None:
    (added,) = add_attendee(of=None)
    assert isinstance(added, events.AttendeeAdded)
    assert added.for_party_id is None


@pytest.mark.parametrize(
    "relation", [InterpreterRelation.FAMILY, InterpreterRelation.FRIEND, InterpreterRelation.POLICE]
)
def test_no_relative_no_friend_and_no_police_officer_interprets(relation: InterpreterRelation) -> None:
    with pytest.raises(InterpreterUnsuitable):
        add_attendee(relation=relation)


def test_nobody_interprets_without_being_qualified() -> None:
    with pytest.raises(InterpreterUnsuitable):
        add_attendee(qualified=False)


def test_an_interpreter_has_a_language() -> None:
    with pytest.raises(Invalid) as caught:
        add_attendee(language=None)
    assert pointed_at(caught.value) == ("/language", "required-for-interpreter")


def test_a_support_person_may_be_a_relative() -> None:
    (added,) = add_attendee(
        AttendeeRole.SUPPORT_PERSON, language=None, qualified=False, relation=InterpreterRelation.FAMILY
    )
    assert added.kind == "attendee.added"


def test_nobody_accompanies_a_stranger() -> None:
    with pytest.raises(NotFound):
        add_attendee(of=STRANGER)


def test_a_case_has_only_so_many_attendees() -> None:
    support = Attendee(
        attendee_id=UUID(int=1),
        role=AttendeeRole.SUPPORT_PERSON,
        for_party_id=None,
        language=None,
        confirmed=False,
    )
    assert add_attendee(to=replace(ready(), attendees=(support,) * (MOST_ATTENDEES - 1)))
    with pytest.raises(LimitReached):
        add_attendee(to=replace(ready(), attendees=(support,) * MOST_ATTENDEES))


def test_an_attendee_confirms_once() -> None:
    unconfirmed = replace(ready(), attendees=(interpreter(confirmed=False),))
    confirmed = replace(ready(), attendees=(interpreter(),))
    assert sessions.confirm_attendee(unconfirmed, NOOR) == (events.AttendeeConfirmed(attendee_id=NOOR),)
    assert sessions.confirm_attendee(confirmed, NOOR) == ()
    with pytest.raises(NotFound):
        sessions.confirm_attendee(confirmed, STRANGER)


# ── the gate of scheduling ─────────────────────────────────────────────────────────────────────────────────────────


def schedule(of: Case, wanted: Booking | None = None) -> Events:
    return sessions.schedule(of, wanted or booking(), session_id=NEW, at=AT, policy=CITY)


def test_a_session_is_scheduled_with_the_mediator_who_accepted() -> None:
    assert schedule(ready()) == (
        events.SessionScheduled(
            session_id=NEW,
            mediator_id=MEDIATOR,
            starts_at=TOMORROW,
            ends_at=TOMORROW + 2 * HOUR,
            mode=Mode.IN_PERSON,
            place="Room 4",
            link=LINK,
            off_hours_reason=OffHoursReason.ROOM,
        ),
        state_changed(Trigger.SESSION_SCHEDULED, State.READY, State.SCHEDULED),
    )


@pytest.mark.parametrize(
    ("here", "missing"),
    [
        (case(State.READY), (Missing("mediator-missing"),)),
        (ready(complainant(ROSA, ASKED), officer(KIM)), (Missing("consent-missing", ROSA),)),
        (ready(complainant(ROSA), officer(KIM, WAITING)), (Missing("consent-missing", KIM),)),
        (ready(minor(MAYA, guardian=False), officer(KIM)), (Missing("guardian-missing", MAYA),)),
        (
            replace(ready(complainant(ROSA, WAITING), officer(KIM)), state=State.SCREENING),
            (Missing("screening-missing"), Missing("consent-missing", ROSA)),
        ),
        (ready(complainant(ROSA), complainant(ELIA, DECLINED), officer(KIM)), ()),
        (ready(minor(MAYA), officer(KIM)), ()),
    ],
)
def test_the_gate_of_scheduling_names_all_that_is_missing(here: Case, missing: tuple[Missing, ...]) -> None:
    assert missing_to_schedule(here, CITY) == missing
    if missing:
        with pytest.raises(ConditionsMissing) as caught:
            schedule(here)
        assert caught.value.missing == missing


def test_a_required_approval_is_part_of_the_gate() -> None:
    assert missing_to_schedule(ready(), policy(Approver.DIRECTOR)) == (
        Missing("approval-missing", values={"approver": "director"}),
    )


@pytest.mark.parametrize("state", [State.SCHEDULED, State.IN_SESSION])
def test_a_case_has_one_session_at_a_time(state: State) -> None:
    with pytest.raises(StateConflict):
        schedule(replace(ready(), state=state))


def test_once_every_open_part_is_covered_there_is_no_further_session() -> None:
    with pytest.raises(StateConflict):
        schedule(concluded())


def two_of_three() -> Case:
    """A session was completed without one of two complainants."""
    return completed(ROSA, KIM, of=replace(concluded(complainant(ROSA), complainant(ELIA), officer(KIM))))


def test_whoever_was_not_in_a_completed_session_is_offered_another() -> None:
    assert schedule(two_of_three())[1:] == (state_changed(Trigger.SESSION_SCHEDULED, State.CONCLUDED, State.SCHEDULED),)


FURTHER = replace(session(), session_id=NEW)


def further(state: State, held: SessionState) -> Case:
    here = two_of_three()
    return replace(here, state=state, sessions=(*here.sessions, replace(FURTHER, state=held)))


def test_a_further_session_that_is_not_held_leaves_the_earlier_one_as_it_is() -> None:
    ahead = further(State.SCHEDULED, SessionState.SCHEDULED)
    under_way = further(State.IN_SESSION, SessionState.IN_PROGRESS)
    back = [
        sessions.cancel(ahead, NEW)[-1],
        sessions.record_absence(ahead, NEW, ELIA, excused=True, absence_id=NEW, at=TOMORROW)[-1],
        assignments.recuse(ahead, ASSIGNMENT, by=MEDIATING)[-1],
        sessions.adjourn(under_way, NEW)[-1],
        assignments.recuse(under_way, ASSIGNMENT, by=MEDIATING)[-1],
    ]
    assert back[:3] == [state_changed(Trigger.FURTHER_SESSION_CALLED_OFF, State.SCHEDULED, State.CONCLUDED)] * 3
    assert back[3:] == [state_changed(Trigger.FURTHER_SESSION_CALLED_OFF, State.IN_SESSION, State.CONCLUDED)] * 2


@pytest.mark.parametrize(
    ("wanted", "pointer", "rule"),
    [
        (booking(AT), "/starts_at", "in-the-past"),
        (booking(AT - HOUR), "/starts_at", "in-the-past"),
        (booking(hours=0), "/ends_at", "after-start"),
        (booking(hours=-1), "/ends_at", "after-start"),
        (booking(hours=8.01), "/ends_at", "session-too-long"),
        (booking(hours=0.24), "/ends_at", "session-too-short"),
        (replace(booking(), place=None), "/place", "required-in-person"),
        (replace(booking(), mode=Mode.VIDEO, link=None), "/link", "required-for-video"),
    ],
)
def test_a_session_has_a_future_start_a_sensible_length_and_a_place_or_a_link(
    wanted: Booking, pointer: str, rule: str
) -> None:
    with pytest.raises(Invalid) as scheduling:
        schedule(ready(), wanted)
    with pytest.raises(Invalid) as moving:
        reschedule(scheduled(), wanted)
    assert pointed_at(scheduling.value) == pointed_at(moving.value) == (pointer, rule)


@pytest.mark.parametrize("hours", [0.25, 8])
def test_a_quarter_of_an_hour_and_eight_hours_are_allowed_lengths(hours: float) -> None:
    require_valid(booking(AT + timedelta(seconds=1), hours), AT, CITY)


def test_a_session_in_person_needs_no_link_and_one_by_video_no_place() -> None:
    require_valid(replace(booking(), link=None), AT, CITY)
    require_valid(replace(booking(), mode=Mode.VIDEO, place=None), AT, CITY)


def off_hours(starts_at: str, ends_at: str, city: Policy = CITY) -> bool:
    """Whether a session at these times of the office's clock needs a reason."""
    zone = city.target.zone
    start, end = (datetime.fromisoformat(each).replace(tzinfo=zone).astimezone(UTC) for each in (starts_at, ends_at))
    wanted = replace(booking(), starts_at=start, ends_at=end, off_hours_reason=None)
    require_valid(replace(wanted, off_hours_reason=OffHoursReason.INTERPRETER), AT, city)
    refusals = set()
    try:
        require_valid(wanted, AT, city)
    except Invalid as refused:
        refusals.add(pointed_at(refused))
    assert refusals <= {("/off_hours_reason", "required-off-hours")}
    return bool(refusals)


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "needs_a_reason"),
    [
        ("2026-03-04T08:00", "2026-03-04T10:00", False),
        ("2026-03-04T07:59", "2026-03-04T10:00", True),
        ("2026-03-04T18:00", "2026-03-04T20:00", False),
        ("2026-03-04T18:00", "2026-03-04T20:01", True),
        ("2026-03-04T19:00", "2026-03-05T02:00", True),
        ("2026-03-07T10:00", "2026-03-07T12:00", True),  # Saturday
        ("2026-03-08T10:00", "2026-03-08T12:00", True),  # Sunday, on which the clocks change
        ("2026-03-09T08:00", "2026-03-09T10:00", False),
        ("2026-03-17T10:00", "2026-03-17T12:00", True),  # a holiday of this city
    ],
)
def test_a_session_on_a_day_off_or_at_night_needs_a_reason(
    starts_at: str, ends_at: str, *, needs_a_reason: bool
) -> None:
    here = replace(CITY, target=replace(CITY.target, holidays={date(2026, 3, 17)}))
    assert off_hours(starts_at, ends_at, here) is needs_a_reason


def test_the_hours_of_sessions_are_the_citys() -> None:
    night = replace(CITY, sessions=SessionPolicy(opens=0, closes=24))
    assert not off_hours("2026-03-04T17:00", "2026-03-05T00:00", night)
    assert off_hours("2026-03-04T17:00", "2026-03-05T00:15", night)


def test_hours_are_those_of_the_clock_on_the_day_it_changes() -> None:
    """An hour of that Sunday is missing: eight by the clock are seven hours after midnight."""
    every_day = replace(
        CITY,
        target=replace(CITY.target, zone=ZoneInfo("Africa/Cairo")),
        sessions=SessionPolicy(opens=8, closes=20),
    )
    # Egypt sets its clocks forward on a Friday, a working day here: 2026-04-24.
    assert not off_hours("2026-04-24T08:00", "2026-04-24T10:00", every_day)
    assert off_hours("2026-04-24T07:59", "2026-04-24T10:00", every_day)


# ── rescheduling and cancelling ────────────────────────────────────────────────────────────────────────────────────


def reschedule(of: Case, wanted: Booking | None = None) -> Events:
    return sessions.reschedule(of, SESSION, wanted or booking(TOMORROW + HOUR), at=AT, policy=CITY)


def test_a_session_that_is_ahead_can_be_moved() -> None:
    assert reschedule(scheduled()) == (
        events.SessionRescheduled(
            session_id=SESSION,
            mediator_id=MEDIATOR,
            starts_at=TOMORROW + HOUR,
            ends_at=TOMORROW + 3 * HOUR,
            mode=Mode.IN_PERSON,
            place="Room 4",
            link=LINK,
            off_hours_reason=OffHoursReason.ROOM,
        ),
    )


def test_nobody_moves_a_session_without_its_mediator() -> None:
    with pytest.raises(StateConflict):
        reschedule(replace(scheduled(), assignments=()))


def test_a_session_that_is_ahead_can_be_cancelled() -> None:
    assert sessions.cancel(scheduled(), SESSION) == (
        events.SessionCancelled(session_id=SESSION, reason=CancelReason.REQUESTED),
        state_changed(Trigger.SESSION_CALLED_OFF, State.SCHEDULED, State.READY),
    )


# ── the gate of starting ───────────────────────────────────────────────────────────────────────────────────────────


def start(of: Case, *absent: Seat) -> Events:
    return sessions.start(of, SESSION, frozenset(absent), at=TOMORROW, policy=CITY)


def test_a_session_starts_when_everybody_who_is_expected_has_signed() -> None:
    assert start(signed(scheduled())) == (
        events.SessionStarted(
            session_id=SESSION,
            agreement_id=AGREEMENT,
            present=tuple(sorted([party(ROSA), party(KIM), MEDIATES])),
            absent=(),
        ),
        state_changed(Trigger.SESSION_STARTED, State.SCHEDULED, State.IN_SESSION),
    )


def test_a_session_held_long_before_its_hour_is_rescheduled_first() -> None:
    here = signed(scheduled())
    minutes = timedelta(minutes=CITY.sessions.early_start_minutes)
    at_last = sessions.start(here, SESSION, at=TOMORROW - minutes, policy=CITY)
    assert at_last[0].kind == "session.started"
    for at in (TOMORROW - minutes - timedelta(microseconds=1), AT):
        with pytest.raises(SessionTooEarly):
            sessions.start(here, SESSION, at=at, policy=CITY)
    assert sessions.start(here, SESSION, at=TOMORROW + 5 * HOUR, policy=CITY)[0].kind == "session.started"


def test_a_session_starts_without_somebody_of_several() -> None:
    here = signed(scheduled(complainant(ROSA), complainant(ELIA), officer(KIM)))
    started, _ = start(here, party(ELIA))
    assert isinstance(started, events.SessionStarted)
    assert started.absent == (party(ELIA),)


def test_who_is_marked_absent_need_not_have_signed_and_nobody_else_is_let_off() -> None:
    here = scheduled(complainant(ROSA), complainant(ELIA), officer(KIM))
    here = replace(here, agreements=(agreement(party(ROSA), party(KIM), MEDIATES),))
    assert start(here, party(ELIA))[0].kind == "session.started"
    with pytest.raises(ConditionsMissing) as caught:
        start(here)
    assert caught.value.missing == (Missing("signature-missing", ELIA, {"role": "party"}),)


def test_both_people_of_an_open_part_are_there() -> None:
    """Elia and Kim were mediated in an earlier case: they have nothing left to talk over."""
    here = signed(scheduled(complainant(ROSA), complainant(ELIA), officer(KIM), officer(LEE)))
    here = replace(here, parts=(part(ROSA, KIM), part(ROSA, LEE), part(ELIA, LEE)))
    assert missing_to_start(here, frozenset({party(ROSA), party(LEE)})) == (Missing("part-absent"),)
    assert missing_to_start(here, frozenset({party(ROSA), party(KIM)})) == ()


def test_who_has_no_open_part_left_is_no_longer_expected() -> None:
    here = scheduled(complainant(ROSA), complainant(ELIA), officer(KIM), officer(LEE))
    here = replace(here, parts=(part(ROSA, KIM), part(ELIA, LEE, RETURNED)))
    assert set(seats(here)) == {party(ROSA), party(KIM), MEDIATES}


@given(st.sets(st.sampled_from([party(ROSA), party(MAYA), GUARDS, party(KIM), MEDIATES, INTERPRETS])))
def test_exactly_those_who_have_not_signed_are_missing(have: set[Seat]) -> None:
    here = replace(scheduled(complainant(ROSA), minor(MAYA), officer(KIM)), attendees=(interpreter(),))
    everybody = set(seats(here))
    missing = missing_to_start(replace(here, agreements=(agreement(*have),)))
    assert {(m.subject, m.values["role"]) for m in missing} == {(s.id, s.role) for s in everybody - have}
    assert {m.code for m in missing} <= {"signature-missing"}


@pytest.mark.parametrize("superseded", [True, False])
def test_without_a_text_that_counts_nobody_has_signed(*, superseded: bool) -> None:
    here = scheduled()
    if superseded:
        here = replace(here, agreements=(agreement(*seats(here), superseded=True),))
    with pytest.raises(ConditionsMissing) as caught:
        start(here)
    assert caught.value.missing == (Missing("agreement-missing"),)


@pytest.mark.parametrize(
    ("away", "missing"),
    [
        (party(ROSA), "complainant-absent"),
        (party(KIM), "officer-absent"),
        (MEDIATES, "mediator-absent"),
    ],
)
def test_each_side_and_the_mediator_are_there(away: Seat, missing: str) -> None:
    with pytest.raises(ConditionsMissing) as caught:
        start(signed(scheduled()), away)
    assert caught.value.missing == (Missing(missing),)


def test_a_guardian_is_there() -> None:
    here = signed(scheduled(minor(MAYA), officer(KIM)))
    with pytest.raises(ConditionsMissing) as caught:
        start(here, GUARDS)
    assert caught.value.missing == (Missing("guardian-absent", MAYA),)
    assert start(here)[0].kind == "session.started"


def test_a_guardian_who_is_no_longer_on_file_is_missing() -> None:
    with pytest.raises(ConditionsMissing) as caught:
        start(signed(scheduled(minor(MAYA, guardian=False), officer(KIM))))
    assert caught.value.missing == (Missing("guardian-missing", MAYA),)


@pytest.mark.parametrize(
    "who",
    [
        (),
        (interpreter(confirmed=False),),
        (interpreter("es"),),
        (interpreter(of=KIM),),
        (replace(interpreter(), role=AttendeeRole.SUPPORT_PERSON),),
    ],
)
def test_the_requested_interpreter_is_missing(who: tuple[Attendee, ...]) -> None:
    here = signed(replace(scheduled(needing("ase"), officer(KIM)), attendees=who))
    with pytest.raises(ConditionsMissing) as caught:
        start(here)
    assert caught.value.missing == (Missing("interpreter-missing", ROSA, {"language": "ase"}),)


@pytest.mark.parametrize("of", [None, ROSA])
def test_the_requested_interpreter_is_confirmed_and_there(of: UUID | None) -> None:
    here = signed(replace(scheduled(needing("ase"), officer(KIM)), attendees=(interpreter(of=of),)))
    assert start(here)[0].kind == "session.started"
    with pytest.raises(ConditionsMissing) as caught:
        start(here, INTERPRETS)
    assert caught.value.missing == (Missing("interpreter-missing", ROSA, {"language": "ase"}),)


def test_the_need_of_somebody_who_is_not_there_is_no_obstacle() -> None:
    here = signed(scheduled(needing("ase"), complainant(ELIA), officer(KIM)))
    assert start(here, party(ROSA))[0].kind == "session.started"


def test_nobody_is_there_who_was_not_expected() -> None:
    with pytest.raises(Invalid) as caught:
        start(signed(scheduled()), party(STRANGER))
    assert pointed_at(caught.value) == ("/absent", "not-expected")


def test_before_a_session_is_scheduled_that_is_missing_too() -> None:
    assert missing_to_start(signed(ready())) == (Missing("session-missing"),)


@pytest.mark.parametrize("standing", [DECLINED, WITHDRAWN, LAPSED])
def test_who_has_left_is_missed_by_no_gate(standing: Standing) -> None:
    here = signed(scheduled(complainant(ROSA), complainant(ELIA, standing), officer(KIM)))
    assert missing_to_schedule(here, CITY) == ()
    assert missing_to_start(here) == ()


@pytest.mark.parametrize("state", sorted(CLOSED))
def test_a_closed_case_misses_only_that_it_is_open(state: State) -> None:
    assert missing_to_schedule(case(state), CITY) == missing_to_start(case(state)) == (Missing("case-closed"),)


# ── what a party is told of the gates ──────────────────────────────────────────────────────────────────────────────


def test_a_party_is_told_what_is_missing_from_itself_only() -> None:
    here = scheduled(needing("ase"), officer(KIM))
    here = replace(here, agreements=(agreement(party(KIM), MEDIATES),))
    assert missing_of(here, ROSA, CITY) == (
        Missing("interpreter-missing", ROSA, {"language": "ase"}),
        Missing("signature-missing", ROSA, {"role": "party"}),
    )
    assert missing_of(here, KIM, CITY) == ()


def test_once_a_case_is_ready_a_party_is_told_what_either_gate_misses() -> None:
    here = replace(ready(complainant(ROSA, ASKED), officer(KIM)), agreements=(agreement(),))
    assert [m.code for m in missing_of(here, ROSA, CITY)] == ["consent-missing", "signature-missing"]


def test_nothing_is_waited_for_from_somebody_whose_parts_were_all_returned() -> None:
    here = replace(scheduled(complainant(ROSA), officer(KIM)), agreements=(agreement(),))
    assert missing_of(here, ROSA, CITY) != ()
    assert missing_of(replace(here, parts=(part(disposition=RETURNED),)), ROSA, CITY) == ()


def test_of_whom_no_part_is_known_the_gates_wait() -> None:
    """A party reads its own case without its parts until it may know what became of them."""
    here = replace(scheduled(), parts=(), agreements=(agreement(),))
    assert missing_of(here, ROSA, CITY) == (Missing("signature-missing", ROSA, {"role": "party"}),)


def test_what_two_gates_miss_is_told_once() -> None:
    here = scheduled(minor(MAYA, guardian=False), officer(KIM))
    assert [m.code for m in missing_of(here, MAYA, CITY)] == ["guardian-missing"]


@pytest.mark.parametrize("state", sorted(ANSWERS_SEALED))
@pytest.mark.parametrize("other", [WAITING, ASKED, AGREED, DECLINED])
def test_while_answers_are_sealed_a_party_is_told_of_its_own_consent_alone(state: State, other: Standing) -> None:
    """Also of a text that was made before somebody was added, and waits for signatures."""
    here = replace(case(state, complainant(ROSA, ASKED), officer(KIM, other)), agreements=(agreement(),))
    assert missing_of(here, ROSA, CITY) == (Missing("consent-missing", ROSA),)


# ── how a session ends ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_session_is_adjourned_to_be_scheduled_anew() -> None:
    assert sessions.adjourn(in_session(), SESSION) == (
        events.SessionAdjourned(session_id=SESSION),
        state_changed(Trigger.SESSION_ADJOURNED, State.IN_SESSION, State.READY),
    )


def test_a_session_is_completed() -> None:
    assert sessions.complete(in_session(), SESSION) == (
        events.SessionCompleted(session_id=SESSION),
        state_changed(Trigger.SESSION_COMPLETED, State.IN_SESSION, State.CONCLUDED),
    )


def test_a_session_that_everybody_of_a_part_left_before_its_end_covers_nothing() -> None:
    """Rosa left during it, and Elia was not there: another session can be scheduled."""
    here = in_session(complainant(ROSA, WITHDRAWN), complainant(ELIA), officer(KIM))
    (held,) = here.sessions
    here = replace(here, sessions=(replace(held, present=held.present - {party(ELIA)}),))
    assert sessions.complete(here, SESSION)[1:] == (
        state_changed(Trigger.SESSION_COMPLETED, State.IN_SESSION, State.CONCLUDED),
        state_changed(Trigger.COVERED_PARTS_RETURNED, State.CONCLUDED, State.READY),
    )


@pytest.mark.parametrize("here", [scheduled(), in_session()])
def test_the_mediator_ends_the_mediation_and_nothing_is_kept_but_that(here: Case) -> None:
    assert sessions.end(here, SESSION) == (
        events.SessionEnded(session_id=SESSION, reason=EndReason.ENDED_BY_MEDIATOR),
        events.PartReturned(complainant_id=ROSA, officer_id=KIM),
        state_changed(Trigger.ENDED_BY_MEDIATOR, here.state, State.ENDED),
        events.CaseClosed(state=State.ENDED, agreement_reached=None, lapse_reason=None),
    )


def absent(of: Case, party_id: UUID = KIM, *, excused: bool = False, at: datetime = TOMORROW) -> Events:
    return sessions.record_absence(of, SESSION, party_id, excused=excused, absence_id=NEW, at=at)


@pytest.mark.parametrize("excused", [True, False])
def test_who_does_not_come_calls_the_session_off(*, excused: bool) -> None:
    assert absent(scheduled(), excused=excused) == (
        events.AbsenceRecorded(absence_id=NEW, session_id=SESSION, party_id=KIM, excused=excused),
        state_changed(Trigger.SESSION_CALLED_OFF, State.SCHEDULED, State.READY),
    )


def test_a_second_absence_from_the_same_session_is_recorded_beside_the_first() -> None:
    missed = replace(ready(), sessions=(session(SessionState.MISSED),))
    assert [event.kind for event in absent(missed, ROSA)] == ["absence.recorded"]


def test_nobody_is_absent_before_the_time() -> None:
    with pytest.raises(StateConflict):
        absent(scheduled(), at=TOMORROW - timedelta(seconds=1))


def test_who_has_left_is_not_absent() -> None:
    with pytest.raises(NotFound):
        absent(scheduled(complainant(ROSA), officer(KIM, WITHDRAWN), officer(LEE)))


COMMANDS: dict[str, tuple[Callable[[Case], Events], set[SessionState]]] = {
    "reschedule": (reschedule, {SessionState.SCHEDULED}),
    "cancel": (lambda of: sessions.cancel(of, SESSION), {SessionState.SCHEDULED}),
    "start": (start, {SessionState.SCHEDULED}),
    "adjourn": (lambda of: sessions.adjourn(of, SESSION), {SessionState.IN_PROGRESS}),
    "complete": (lambda of: sessions.complete(of, SESSION), {SessionState.IN_PROGRESS}),
    "end": (lambda of: sessions.end(of, SESSION), {SessionState.SCHEDULED, SessionState.IN_PROGRESS}),
    "absence": (absent, {SessionState.SCHEDULED, SessionState.MISSED}),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("state", list(SessionState))
def test_a_session_that_is_past_that_is_left_alone(command: str, state: SessionState) -> None:
    act, allowed = COMMANDS[command]
    if state in allowed:
        return
    with pytest.raises(StateConflict):
        act(replace(signed(ready()), sessions=(session(state),)))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_session_of_another_case_is_not_there(command: str) -> None:
    act, _ = COMMANDS[command]
    with pytest.raises(NotFound):
        act(ready())


@pytest.mark.parametrize("state", sorted(CLOSED))
def test_nothing_is_decided_in_a_closed_case(state: State) -> None:
    over = replace(signed(scheduled()), state=state)
    for act, _ in COMMANDS.values():
        with pytest.raises(CaseNotOpen):
            act(over)
    with pytest.raises(CaseNotOpen):
        schedule(over)
    with pytest.raises(CaseNotOpen):
        sessions.confirm_attendee(over, NOOR)
    with pytest.raises(CaseNotOpen):
        sessions.add_attendee(
            over,
            AttendeeRole.SUPPORT_PERSON,
            attendee_id=NEW,
            name="Noor Haddad",
            language=None,
            for_party_id=None,
            qualified=False,
            relation=InterpreterRelation.NONE,
        )


def test_of_several_sessions_the_one_that_is_named_is_meant() -> None:
    earlier = replace(session(SessionState.MISSED), session_id=NEW)
    here = replace(scheduled(), sessions=(earlier, session()))
    assert sessions.cancel(here, SESSION)[0].kind == "session.cancelled"
    with pytest.raises(StateConflict):
        sessions.cancel(here, NEW)
