"""What a case waits for, what staff are warned of, and what a party is told."""

from dataclasses import replace
from datetime import date

import pytest
from tests.domain.cases import CITY, IN_MEDIATION, MEDIATED, RETURNED, TODAY

from mediation_api.domain.board import StateForParty, Wait, alerts, state_for_party, waits_for
from mediation_api.domain.lifecycle import ANSWERS_SEALED, CLOSED, OPEN, State
from mediation_api.domain.values import Alert, AssignmentState, Side, Standing

WAITS = {
    State.SCREENING: Wait.SCREENING,
    State.CONFIRMING: Wait.COMPLAINANTS,
    State.ASKING: Wait.OFFICERS,
    State.SCHEDULED: Wait.SESSION,
    State.IN_SESSION: Wait.SESSION_END,
    State.CONCLUDED: Wait.CLOSING,
}


@pytest.mark.parametrize(("state", "wait"), WAITS.items())
@pytest.mark.parametrize("assignment", [None, AssignmentState.PROPOSED, AssignmentState.ACCEPTED])
def test_each_state_waits_for_one_thing(state: State, wait: Wait, assignment: AssignmentState | None) -> None:
    assert waits_for(state, under_review=False, assignment=assignment) is wait


@pytest.mark.parametrize(
    ("assignment", "wait"),
    [
        (None, Wait.MEDIATOR_PROPOSAL),
        (AssignmentState.PROPOSED, Wait.MEDIATOR_ANSWER),
        (AssignmentState.ACCEPTED, Wait.SCHEDULING),
    ],
)
def test_a_ready_case_waits_for_its_mediator_and_then_for_a_session(
    assignment: AssignmentState | None, wait: Wait
) -> None:
    assert waits_for(State.READY, under_review=False, assignment=assignment) is wait


def test_a_screening_that_needs_review_waits_for_a_director() -> None:
    assert waits_for(State.SCREENING, under_review=True, assignment=None) is Wait.DIRECTOR_REVIEW
    assert waits_for(State.CONFIRMING, under_review=True, assignment=None) is Wait.COMPLAINANTS


OUTDATED_IN = sorted(OPEN - {State.SCREENING, State.IN_SESSION})


@pytest.mark.parametrize("state", OUTDATED_IN)
def test_a_case_whose_screening_is_outdated_waits_for_another(state: State) -> None:
    assert waits_for(state, under_review=False, screening_outdated=True, assignment=None) is Wait.SCREENING
    assert waits_for(state, under_review=True, screening_outdated=True, assignment=None) is Wait.DIRECTOR_REVIEW


def test_a_session_that_is_under_way_comes_before_another_screening() -> None:
    waits = waits_for(State.IN_SESSION, under_review=False, screening_outdated=True, assignment=None)
    assert waits is Wait.SESSION_END


@pytest.mark.parametrize("state", sorted(CLOSED))
def test_a_closed_case_waits_for_no_screening(state: State) -> None:
    assert waits_for(state, under_review=False, screening_outdated=True, assignment=None) is None


@pytest.mark.parametrize("state", sorted(OPEN))
def test_every_open_case_waits_for_somebody(state: State) -> None:
    assert waits_for(state, under_review=False, assignment=None) is not None


@pytest.mark.parametrize("state", sorted(CLOSED))
def test_a_closed_case_waits_for_nothing(state: State) -> None:
    assert waits_for(state, under_review=False, assignment=None) is None


ON_TRACK: tuple[Alert, ...] = ()
OVERDUE = (Alert.TARGET_MISSED,)


def warned(
    state: State = State.ASKING,
    of_target: tuple[Alert, ...] = ON_TRACK,
    *,
    answer_due_on: date | None = None,
    absences: tuple[tuple[Side, int], ...] = (),
) -> tuple[str, ...]:
    return alerts(state, of_target, today=TODAY, answer_due_on=answer_due_on, absences=absences, policy=CITY)


def test_a_case_on_its_way_raises_no_alert() -> None:
    assert warned() == ()


def test_a_missed_target_is_an_alert_of_the_target() -> None:
    assert warned(of_target=OVERDUE) == OVERDUE


@pytest.mark.parametrize(("due_on", "silent"), [(TODAY, False), (date(2026, 3, 1), True), (None, False)])
def test_a_mediator_is_silent_from_the_day_after_the_answer_was_due(due_on: date | None, *, silent: bool) -> None:
    assert (Alert.MEDIATOR_SILENT in warned(answer_due_on=due_on)) == silent


@pytest.mark.parametrize(
    ("absences", "often"),
    [
        (((Side.COMPLAINANT, 1), (Side.OFFICER, 0)), False),
        (((Side.COMPLAINANT, 2), (Side.OFFICER, 0)), True),
        (((Side.COMPLAINANT, 0), (Side.OFFICER, 1)), True),
    ],
)
def test_a_second_absence_of_a_complainant_or_a_first_of_an_officer_is_an_alert(
    absences: tuple[tuple[Side, int], ...], *, often: bool
) -> None:
    assert (Alert.REPEATED_ABSENCE in warned(absences=absences)) == often


def test_the_city_decides_how_many_absences_are_too_many() -> None:
    patient = replace(CITY, officer_absences_before_lapse=3)
    raised = alerts(
        State.READY, ON_TRACK, today=TODAY, answer_due_on=None, absences=[(Side.OFFICER, 2)], policy=patient
    )
    assert raised == ()


def test_an_outdated_screening_is_an_alert() -> None:
    raised = alerts(
        State.READY, ON_TRACK, today=TODAY, answer_due_on=None, absences=(), policy=CITY, screening_outdated=True
    )
    assert raised == (Alert.SCREENING_OUTDATED,)


@pytest.mark.parametrize("state", sorted(CLOSED))
def test_a_closed_case_raises_no_alert(state: State) -> None:
    absences = ((Side.OFFICER, 9),)
    assert warned(state, OVERDUE, answer_due_on=date(2026, 1, 1), absences=absences) == ()


# ── what a party is told ───────────────────────────────────────────────────────────────────────────────────────────

HERE = [Standing.WAITING, Standing.ASKED, Standing.AGREED]
GONE = [Standing.DECLINED, Standing.WITHDRAWN, Standing.LAPSED]


@pytest.mark.parametrize("standing", HERE)
@pytest.mark.parametrize("state", sorted(ANSWERS_SEALED))
def test_while_answers_are_sealed_every_state_looks_the_same(state: State, standing: Standing) -> None:
    assert state_for_party(state, standing, ()) is StateForParty.PENDING


@pytest.mark.parametrize("state", sorted((OPEN - ANSWERS_SEALED) | {State.MEDIATED}))
def test_from_ready_on_a_party_is_told_how_things_stand(state: State) -> None:
    own = MEDIATED if state is State.MEDIATED else IN_MEDIATION
    assert (
        state_for_party(state, Standing.AGREED, (own,)).value
        == state_for_party(state, Standing.AGREED, (RETURNED, own))
        == state.value
    )


@pytest.mark.parametrize("state", sorted((OPEN - ANSWERS_SEALED) | {State.MEDIATED}))
def test_whose_parts_were_all_returned_is_told_that_nothing_was_mediated(state: State) -> None:
    """However the case goes on for others, and also when it closed as mediated without this party."""
    assert state_for_party(state, Standing.AGREED, (RETURNED, RETURNED)) is StateForParty.NOT_MEDIATED


def test_while_answers_are_sealed_the_parts_tell_nothing() -> None:
    assert state_for_party(State.ASKING, Standing.AGREED, (RETURNED,)) is StateForParty.PENDING


@pytest.mark.parametrize("standing", HERE)
@pytest.mark.parametrize("state", sorted(CLOSED - {State.MEDIATED}))
def test_of_a_case_that_failed_neither_who_nor_why_is_told(state: State, standing: Standing) -> None:
    assert (
        state_for_party(state, standing, (RETURNED,))
        is state_for_party(state, standing, ())
        is StateForParty.NOT_MEDIATED
    )


@pytest.mark.parametrize("standing", GONE)
@pytest.mark.parametrize("state", list(State))
def test_who_has_left_is_told_the_same_whatever_becomes_of_the_case(state: State, standing: Standing) -> None:
    assert state_for_party(state, standing, (RETURNED,)) is StateForParty.NOT_MEDIATED
