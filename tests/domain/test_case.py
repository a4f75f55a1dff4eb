"""The case decides: who is asked, who answered, who left, and what follows from it. No database, no clock."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.domain.cases import (
    AGREED,
    ASKED,
    AT,
    CASE,
    CITY,
    COMPLAINT,
    COORDINATOR,
    DECLINED,
    DIRECTOR,
    DISCLOSURE,
    ELIA,
    GUARDIAN_CONSENT,
    INTAKE,
    KIM,
    LAPSED,
    LEE,
    MAYA,
    NEW,
    PARK,
    REMOVED,
    ROSA,
    SESSION,
    STRANGER,
    TODAY,
    WAITING,
    WITHDRAWN,
    after,
    answer,
    attempts,
    case,
    complainant,
    completed,
    concluded,
    in_session,
    kinds,
    minor,
    officer,
    part,
    pointed_at,
    policy,
    scheduled,
    session,
    transitions,
    withdraw,
)

from mediation_api.domain import contact, eligibility, events, party
from mediation_api.domain.access import Actor, Role
from mediation_api.domain.authority import ApprovalSource
from mediation_api.domain.case import Case
from mediation_api.domain.case_children import Session
from mediation_api.domain.complaint import Complaint, file_with_parties, just_filed
from mediation_api.domain.errors import (
    AbsencesTooFew,
    AlreadyAnswered,
    AttemptsExhausted,
    AttemptTooSoon,
    CaseAlreadyOpen,
    CaseNotOpen,
    ComplaintClosed,
    ConditionsMissing,
    DirectorRequired,
    GuardianAgreed,
    GuardianMissing,
    Invalid,
    LimitReached,
    Missing,
    NotAMinor,
    NotAsked,
    NotFound,
    NotInSession,
    PartyLeft,
    Refusal,
    StateConflict,
)
from mediation_api.domain.events import Events
from mediation_api.domain.lifecycle import CLOSED, OPEN, State, Trigger
from mediation_api.domain.participants import Approval, Participant
from mediation_api.domain.parts import Part
from mediation_api.domain.policy import Policy
from mediation_api.domain.screening import Finding, Outcome, Screening
from mediation_api.domain.target import Pause, PauseReason
from mediation_api.domain.values import (
    MOST_PAUSES,
    Approver,
    CancelReason,
    Channel,
    Decision,
    EndReason,
    LapseReason,
    SessionState,
    Side,
    Standing,
)

DECLINE = Decision.DECLINED


def state_changed(trigger: Trigger, source: State, target: State) -> events.StateChanged:
    return events.StateChanged(trigger=trigger, from_state=source, to_state=target)


def asked(party_id: UUID) -> events.PartyAsked:
    return events.PartyAsked(party_id=party_id)


def closed(outcome: State, *, lapse_reason: LapseReason | None = None) -> events.CaseClosed:
    return events.CaseClosed(state=outcome, agreement_reached=None, lapse_reason=lapse_reason)


def returned(complainant_id: UUID, officer_id: UUID) -> events.PartReturned:
    return events.PartReturned(complainant_id=complainant_id, officer_id=officer_id)


# ── opening ────────────────────────────────────────────────────────────────────────────────────────────────────────


def a_complaint(*, open_case_id: UUID | None = None, mediated: tuple[Part, ...] = ()) -> Complaint:
    return Complaint(
        complaint_id=COMPLAINT,
        open_case_id=open_case_id,
        mediated=mediated,
        parties=(complainant(ROSA, WAITING), officer(KIM, WAITING)),
    )


def test_a_request_opens_a_case_that_everybody_joins_and_that_is_due_in_four_weeks() -> None:
    assert a_complaint().open_case(CASE, at=AT, policy=CITY) == (
        events.CaseOpened(
            case_id=CASE, complaint_id=COMPLAINT, requested_on=date(2026, 3, 2), due_on=date(2026, 3, 30)
        ),
        events.PartyJoined(party_id=ROSA, side=Side.COMPLAINANT),
        events.PartyJoined(party_id=KIM, side=Side.OFFICER),
        events.PartOpened(complainant_id=ROSA, officer_id=KIM),
    )


def test_a_complaint_that_is_being_filed_opens_its_first_case_likewise() -> None:
    sides = {ROSA: Side.COMPLAINANT, KIM: Side.OFFICER}
    filed = just_filed(
        COMPLAINT, [party.add(party_id, side, {"side": side}, others=0) for party_id, side in sides.items()]
    )
    assert filed.open_case(CASE, at=AT, policy=CITY) == a_complaint().open_case(CASE, at=AT, policy=CITY)


@pytest.mark.parametrize("interested", [True, False])
def test_a_complaint_is_filed_with_its_parties_and_a_case_if_somebody_is_interested(*, interested: bool) -> None:
    values = {
        "channel": "portal",
        "allegations": ["force"],
        "narrative": "He shouted.",
        "interested_in_mediation": interested,
        "external_reference": None,
    }
    filing = file_with_parties(
        COMPLAINT,
        values,
        [(ROSA, Side.COMPLAINANT, {"name": "Rosa"}), (KIM, Side.OFFICER, {"name": "Kim"})],
        case_id=CASE,
        number=7,
        categories=("force",),
        at=AT,
        policy=CITY,
    )
    assert filing.filed.reference.endswith("-000007")
    assert [(each.party_id, each.side) for each in filing.added] == [(ROSA, Side.COMPLAINANT), (KIM, Side.OFFICER)]
    assert filing.opened == (a_complaint().open_case(CASE, at=AT, policy=CITY) if interested else ())


def test_a_complaint_has_at_most_one_open_case() -> None:
    with pytest.raises(CaseAlreadyOpen):
        a_complaint(open_case_id=CASE).open_case(NEW, at=AT, policy=CITY)


def test_a_complaint_has_only_so_many_attempts() -> None:
    third = replace(a_complaint(), attempts=2, last_closed_at=AT - timedelta(days=90))
    assert third.open_case(NEW, at=AT, policy=CITY)[0].kind == "case.opened"
    with pytest.raises(AttemptsExhausted):
        replace(third, attempts=3).open_case(NEW, at=AT, policy=CITY)


def test_days_of_the_offices_calendar_lie_between_two_attempts() -> None:
    at_night = datetime(2026, 2, 1, 4, 30, tzinfo=UTC)  # still January in New York
    again = replace(a_complaint(), attempts=1, last_closed_at=at_night)
    with pytest.raises(AttemptTooSoon) as refused:
        again.open_case(NEW, at=datetime(2026, 3, 2, 4, 59, tzinfo=UTC), policy=CITY)
    assert str(refused.value) == "The next attempt can be made from 2026-03-02 on."
    assert again.open_case(NEW, at=datetime(2026, 3, 2, 5, tzinfo=UTC), policy=CITY)[0].kind == "case.opened"


def test_a_city_may_leave_no_days_between() -> None:
    again = replace(a_complaint(), attempts=1, last_closed_at=AT)
    here = replace(CITY, days_between_attempts=0)
    assert again.open_case(NEW, at=AT, policy=here)[0].kind == "case.opened"


def test_a_complaint_that_was_mediated_is_over() -> None:
    with pytest.raises(ComplaintClosed):
        a_complaint(mediated=(part(),)).open_case(NEW, at=AT, policy=CITY)


def test_a_caller_has_not_left_unless_it_is_said() -> None:
    assert a_complaint().caller_has_left is False


def test_a_case_of_which_only_the_participants_are_known_has_nothing_else() -> None:
    """As a party's own part of it is read."""
    read = Case(case_id=CASE, complaint_id=COMPLAINT, state=State.READY, requested_on=TODAY, participants=())
    assert read == replace(
        read,
        parts=(),
        attendees=(),
        approvals=(),
        assignments=(),
        sessions=(),
        agreements=(),
        contact_attempts=(),
        screening_outdated=False,
    )


def test_nobody_is_in_a_session_that_has_not_started() -> None:
    ahead = Session(session_id=SESSION, state=SessionState.SCHEDULED, starts_at=AT)
    assert (ahead.agreement_id, ahead.present) == (None, frozenset())


def test_somebody_of_whom_only_the_side_is_known_is_an_adult_who_waits_and_was_never_absent() -> None:
    assert Participant(party_id=ROSA, side=Side.COMPLAINANT) == Participant(
        party_id=ROSA,
        side=Side.COMPLAINANT,
        standing=WAITING,
        minor=False,
        guardian_on_file=False,
        guardian_consent_id=None,
        interpreter_language=None,
        unit=None,
        unexcused_absences=0,
        withdrawal_id=None,
    )


def asked_again(*complainants: Participant, has_left: bool) -> Events:
    again = replace(a_complaint(), caller_has_left=has_left, parties=(*complainants, officer(KIM), officer(LEE)))
    return again.open_case(NEW, at=AT, policy=CITY)


def test_who_has_left_does_not_learn_from_a_request_how_the_other_complainants_went_on() -> None:
    with pytest.raises(PartyLeft):
        asked_again(complainant(ROSA), complainant(ELIA), has_left=True)


def test_the_only_complainant_may_ask_again_after_leaving_whoever_the_officers_are() -> None:
    assert kinds(asked_again(complainant(ROSA), has_left=True))[0] == "case.opened"


def test_who_has_not_left_may_ask_again_for_everybody() -> None:
    assert kinds(asked_again(complainant(ROSA), complainant(ELIA), has_left=False))[0] == "case.opened"


def of_four(*mediated: Part, caller_id: UUID | None = None, open_case_id: UUID | None = None) -> Complaint:
    """Two complainants and two officers, some of whose parts were mediated."""
    people = (complainant(ROSA), complainant(ELIA), officer(KIM), officer(LEE))
    return replace(a_complaint(mediated=mediated, open_case_id=open_case_id), parties=people, caller_id=caller_id)


def joining(of: Complaint) -> tuple[set[UUID], set[tuple[UUID, UUID]]]:
    new_events = of.open_case(NEW, at=AT, policy=CITY)
    joined = {event.party_id for event in new_events if isinstance(event, events.PartyJoined)}
    return joined, {(f.complainant_id, f.officer_id) for f in new_events if isinstance(f, events.PartOpened)}


def test_each_complainant_has_a_part_with_each_officer() -> None:
    pairs = {(who, whom) for who in (ROSA, ELIA) for whom in (KIM, LEE)}
    assert joining(of_four()) == ({ROSA, ELIA, KIM, LEE}, pairs)


def test_what_was_mediated_is_not_tried_again() -> None:
    pairs = {(ROSA, LEE), (ELIA, KIM), (ELIA, LEE)}
    assert joining(of_four(part(ROSA, KIM))) == ({ROSA, ELIA, KIM, LEE}, pairs)


def test_whose_parts_were_all_mediated_does_not_join_the_next_case() -> None:
    assert joining(of_four(part(ROSA, KIM), part(ROSA, LEE))) == ({ELIA, KIM, LEE}, {(ELIA, KIM), (ELIA, LEE)})
    assert joining(of_four(part(ROSA, KIM), part(ELIA, KIM))) == ({ROSA, ELIA, LEE}, {(ROSA, LEE), (ELIA, LEE)})


def test_of_a_complaint_without_an_officer_the_complainants_join() -> None:
    alone = replace(a_complaint(), parties=(complainant(ROSA),))
    assert joining(alone) == ({ROSA}, set())


@pytest.mark.parametrize("open_case_id", [None, CASE])
def test_who_was_mediated_with_everybody_is_told_that_whatever_the_others_do(open_case_id: UUID | None) -> None:
    """Also while a later case is open, of which this complainant is no part."""
    done = of_four(part(ROSA, KIM), part(ROSA, LEE), caller_id=ROSA, open_case_id=open_case_id)
    with pytest.raises(ComplaintClosed):
        done.open_case(NEW, at=AT, policy=CITY)


def test_whose_part_was_returned_may_ask_again_when_others_were_mediated() -> None:
    absent = of_four(part(ELIA, KIM), part(ELIA, LEE), caller_id=ROSA)
    assert joining(absent) == ({ROSA, KIM, LEE}, {(ROSA, KIM), (ROSA, LEE)})


# ── screening ──────────────────────────────────────────────────────────────────────────────────────────────────────

SCREENING = case(State.SCREENING, complainant(ROSA, WAITING), officer(KIM, WAITING))


def found(outcome: Outcome) -> Screening:
    return Screening("1", (Finding("alleged_crime", outcome),), outcome)


def screen(
    of: Case,
    outcome: Outcome = Outcome.PASS,
    *,
    override: bool | None = None,
    reason: str | None = None,
    by: Actor = INTAKE,
    city: Policy = CITY,
) -> Events:
    return eligibility.screen(
        of, found(outcome), override=override, reason=reason, policy=city, screening_id=NEW, by=by
    )


def screened(
    outcome: Outcome, *, eligible: bool | None, overridden: bool = False, reason: str | None = None
) -> events.CaseScreened:
    return events.CaseScreened(
        screening_id=NEW, screening=found(outcome), eligible=eligible, overridden=overridden, reason=reason
    )


def test_an_eligible_case_asks_the_complainants_and_no_officer() -> None:
    assert screen(SCREENING) == (
        screened(Outcome.PASS, eligible=True),
        state_changed(Trigger.FOUND_ELIGIBLE, State.SCREENING, State.CONFIRMING),
        asked(ROSA),
    )


def test_what_fails_the_rules_is_closed_as_ineligible() -> None:
    assert screen(SCREENING, Outcome.FAIL) == (
        screened(Outcome.FAIL, eligible=False),
        returned(ROSA, KIM),
        state_changed(Trigger.FOUND_INELIGIBLE, State.SCREENING, State.INELIGIBLE),
        closed(State.INELIGIBLE),
    )


def test_what_needs_review_waits() -> None:
    assert screen(SCREENING, Outcome.NEEDS_REVIEW) == (screened(Outcome.NEEDS_REVIEW, eligible=None),)


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.NEEDS_REVIEW])
def test_a_director_overrides_with_a_reason(outcome: Outcome) -> None:
    new_events = screen(SCREENING, outcome, override=True, reason="I looked at it.", by=DIRECTOR)
    assert new_events[0] == screened(outcome, eligible=True, overridden=True, reason="I looked at it.")
    assert transitions(new_events) == [(State.SCREENING, State.CONFIRMING)]


def test_a_director_may_find_ineligible_what_passes() -> None:
    new_events = screen(SCREENING, override=False, reason="I know more.", by=DIRECTOR)
    assert new_events[0] == screened(Outcome.PASS, eligible=False, overridden=True, reason="I know more.")
    assert transitions(new_events) == [(State.SCREENING, State.INELIGIBLE)]


def test_a_director_who_agrees_with_the_rules_overrides_nothing() -> None:
    new_events = screen(SCREENING, override=True, reason="As the rules say.", by=DIRECTOR)
    assert new_events[0] == screened(Outcome.PASS, eligible=True, reason="As the rules say.")


@pytest.mark.parametrize("by", [INTAKE, COORDINATOR])
@pytest.mark.parametrize("override", [True, False])
def test_nobody_but_a_director_overrides(by: Actor, *, override: bool) -> None:
    with pytest.raises(DirectorRequired):
        screen(SCREENING, override=override, reason="I think so.", by=by)


def test_an_override_needs_a_reason() -> None:
    with pytest.raises(Invalid) as caught:
        screen(SCREENING, override=True, by=DIRECTOR)
    assert pointed_at(caught.value) == ("/reason", "required-with-override")


def test_a_case_without_an_officer_does_not_go_on() -> None:
    alone = case(State.SCREENING, complainant(ROSA, WAITING))
    with pytest.raises(ConditionsMissing) as caught:
        screen(alone, override=True, reason="Soon.", by=DIRECTOR)
    assert caught.value.missing == (Missing("officer-missing"),)


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("state", sorted(OPEN - {State.SCREENING}))
def test_a_case_is_screened_once(state: State, outcome: Outcome) -> None:
    with pytest.raises(StateConflict):
        screen(case(state), outcome)


# ── approvals ──────────────────────────────────────────────────────────────────────────────────────────────────────


REYES: Final = ApprovalSource(by="Capt. Jo Reyes", on=TODAY, channel=Channel.EMAIL)


def approve(
    of: Case,
    approver: Approver,
    *,
    approved: bool = True,
    unit: str | None = None,
    given: ApprovalSource | None = None,
    by: Actor = DIRECTOR,
) -> Events:
    given = given or (ApprovalSource() if approver is Approver.DIRECTOR else REYES)
    return eligibility.approve(
        of, approver, approved=approved, unit=unit, given=given, approval_id=NEW, by=by, today=TODAY
    )


def test_two_of_three_approvals_are_not_enough_to_ask_anybody() -> None:
    given_two = replace(
        SCREENING,
        approvals=(
            Approval(approver=Approver.DIRECTOR, unit=None),
            Approval(approver=Approver.INTERNAL_AFFAIRS, unit=None),
        ),
    )
    with pytest.raises(ConditionsMissing) as caught:
        screen(given_two, city=policy(*Approver))
    assert caught.value.missing == (Missing("approval-missing", values={"approver": "unit_commander"}),)


def test_each_unit_has_its_own_commander() -> None:
    city = policy(Approver.UNIT_COMMANDER)
    two_units = case(State.ASKING, complainant(ROSA), officer(KIM, unit="North"), officer(LEE, unit="East"))
    approved = replace(two_units, approvals=(Approval(approver=Approver.UNIT_COMMANDER, unit="North"),))
    assert eligibility.missing_approvals(two_units, city) == (
        Missing("approval-missing", values={"approver": "unit_commander East"}),
        Missing("approval-missing", values={"approver": "unit_commander North"}),
    )
    assert eligibility.missing_approvals(approved, city) == (
        Missing("approval-missing", values={"approver": "unit_commander East"}),
    )


def test_the_director_approves_once_for_all_units() -> None:
    two_units = case(State.ASKING, complainant(ROSA), officer(KIM, unit="North"), officer(LEE, unit="East"))
    city = policy(Approver.DIRECTOR)
    assert eligibility.missing_approvals(two_units, city) == (
        Missing("approval-missing", values={"approver": "director"}),
    )
    approved = replace(two_units, approvals=(Approval(approver=Approver.DIRECTOR, unit=None),))
    assert eligibility.missing_approvals(approved, city) == ()


def test_a_transfer_voids_the_approval_of_the_unit_before() -> None:
    city = policy(Approver.UNIT_COMMANDER)
    here = replace(
        case(State.READY, complainant(ROSA), officer(KIM, unit="North")),
        approvals=(Approval(approver=Approver.UNIT_COMMANDER, unit="North"),),
    )
    moved_on = replace(here, participants=(complainant(ROSA), officer(KIM, unit="East")))
    assert eligibility.missing_approvals(here, city) == ()
    assert eligibility.missing_approvals(moved_on, city) == (
        Missing("approval-missing", values={"approver": "unit_commander East"}),
    )


def test_the_unit_of_an_officer_who_left_needs_no_approval() -> None:
    left = case(State.READY, complainant(ROSA), officer(KIM, DECLINED, unit="North"), officer(LEE, unit="East"))
    approved = replace(left, approvals=(Approval(approver=Approver.UNIT_COMMANDER, unit="East"),))
    assert eligibility.missing_approvals(approved, policy(Approver.UNIT_COMMANDER)) == ()


def test_a_city_that_requires_no_approval_misses_none() -> None:
    assert eligibility.missing_approvals(SCREENING, CITY) == ()


def test_an_approval_is_recorded() -> None:
    assert approve(SCREENING, Approver.UNIT_COMMANDER, unit="North") == (
        events.ApprovalRecorded(
            approval_id=NEW,
            approver=Approver.UNIT_COMMANDER,
            approved=True,
            unit="North",
            given_by="Capt. Jo Reyes",
            given_on=TODAY,
            channel=Channel.EMAIL,
        ),
    )


def test_the_approval_of_a_director_is_by_a_directors_token_and_says_no_more() -> None:
    with pytest.raises(DirectorRequired):
        approve(SCREENING, Approver.DIRECTOR, by=INTAKE)
    (recorded,) = approve(SCREENING, Approver.DIRECTOR)
    assert isinstance(recorded, events.ApprovalRecorded)
    assert (recorded.given_by, recorded.given_on, recorded.channel) == (None, None, None)


def test_a_refusal_before_anybody_is_asked_closes_the_case() -> None:
    new_events = approve(SCREENING, Approver.DIRECTOR, approved=False)
    assert kinds(new_events) == ["approval.recorded", "part.returned", "case.state_changed", "case.closed"]
    assert transitions(new_events) == [(State.SCREENING, State.INELIGIBLE)]


@pytest.mark.parametrize("state", sorted(OPEN - {State.SCREENING}))
def test_a_refusal_after_that_is_too_late(state: State) -> None:
    with pytest.raises(StateConflict):
        approve(case(state), Approver.DIRECTOR, approved=False)


# ── answers ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_says_who_to_what_and_how() -> None:
    two = case(State.CONFIRMING, complainant(ROSA, ASKED), complainant(ELIA, ASKED), officer(KIM, WAITING))
    assert answer(two, ROSA) == (
        events.ConsentGiven(
            consent_id=NEW,
            party_id=ROSA,
            decision=Decision.AGREED,
            disclosure_sha256=DISCLOSURE.sha256,
            disclosure_version=DISCLOSURE.version,
            disclosure_language="en",
            disclosure=DISCLOSURE,
            channel=Channel.PORTAL,
            guardian_consent_id=None,
            replaces=None,
        ),
    )


def test_officers_are_asked_once_every_complainant_has_answered_and_one_agreed() -> None:
    last = case(State.CONFIRMING, complainant(ROSA, DECLINED), complainant(ELIA, ASKED), officer(KIM, WAITING))
    assert answer(last, ELIA)[1:] == (
        state_changed(Trigger.COMPLAINANTS_ANSWERED, State.CONFIRMING, State.ASKING),
        asked(KIM),
    )


def test_the_last_answer_makes_a_case_ready() -> None:
    last = case(State.ASKING, complainant(ROSA), officer(KIM, DECLINED), officer(LEE, ASKED))
    assert answer(last, LEE)[1:] == (state_changed(Trigger.OFFICERS_ANSWERED, State.ASKING, State.READY),)


def test_one_refusal_does_not_bind_the_rest() -> None:
    two = case(State.ASKING, complainant(ROSA), officer(KIM), officer(LEE, ASKED))
    assert answer(two, LEE, DECLINE)[1:] == (
        returned(ROSA, LEE),
        state_changed(Trigger.OFFICERS_ANSWERED, State.ASKING, State.READY),
    )


def test_a_side_on_which_nobody_is_left_closes_the_case() -> None:
    one = case(State.ASKING, complainant(ROSA), officer(KIM, DECLINED), officer(LEE, ASKED))
    assert answer(one, LEE, DECLINE)[1:] == (
        returned(ROSA, LEE),
        state_changed(Trigger.SIDE_DECLINED, State.ASKING, State.DECLINED),
        closed(State.DECLINED),
    )


@pytest.mark.parametrize(
    ("standing", "refusal"),
    [
        (WAITING, NotAsked),
        (AGREED, AlreadyAnswered),
        (DECLINED, AlreadyAnswered),
        (WITHDRAWN, PartyLeft),
        (LAPSED, PartyLeft),
    ],
)
def test_nobody_answers_out_of_turn(standing: Standing, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        answer(case(State.ASKING, complainant(ROSA), officer(KIM, standing), officer(LEE, ASKED)), KIM)


@pytest.mark.parametrize("state", sorted(OPEN | CLOSED))
@pytest.mark.parametrize(
    ("standing", "refusal"), [(DECLINED, AlreadyAnswered), (WITHDRAWN, PartyLeft), (LAPSED, PartyLeft)]
)
def test_who_left_is_told_the_same_whatever_becomes_of_the_case(
    state: State, standing: Standing, refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        answer(case(state, complainant(ROSA, standing), complainant(ELIA), officer(KIM)), ROSA)


@pytest.mark.parametrize("standing", [WAITING, ASKED, AGREED])
def test_nobody_answers_in_a_closed_case(standing: Standing) -> None:
    with pytest.raises(CaseNotOpen):
        answer(case(State.LAPSED, complainant(ROSA, standing), officer(KIM)), ROSA)


def test_a_stranger_is_not_in_the_case() -> None:
    with pytest.raises(NotFound):
        answer(case(State.ASKING), STRANGER)


@pytest.mark.parametrize(("on_file", "agreed"), [(True, False), (False, True), (False, False)])
def test_a_minor_does_not_agree_without_a_guardian(*, on_file: bool, agreed: bool) -> None:
    maya = minor(MAYA, ASKED, guardian=on_file, guardian_agreed=agreed)
    with pytest.raises(GuardianMissing):
        answer(case(State.CONFIRMING, maya, officer(KIM, WAITING)), MAYA)


def test_a_minor_agrees_with_the_consent_of_a_guardian() -> None:
    young = case(State.CONFIRMING, minor(MAYA, ASKED), officer(KIM, WAITING))
    given, *followed = answer(young, MAYA)
    assert isinstance(given, events.ConsentGiven)
    assert given.guardian_consent_id == GUARDIAN_CONSENT
    assert transitions(followed) == [(State.CONFIRMING, State.ASKING)]


def test_the_consent_of_a_guardian_is_none_of_a_grown_person_and_of_no_refusal() -> None:
    grown = replace(complainant(ROSA, ASKED), guardian_consent_id=GUARDIAN_CONSENT)
    for who, decision in ((grown, Decision.AGREED), (minor(ROSA, ASKED), DECLINE)):
        given = answer(case(State.CONFIRMING, who, officer(KIM, WAITING)), ROSA, decision)[0]
        assert isinstance(given, events.ConsentGiven)
        assert given.guardian_consent_id is None


def guardian_agrees(of: Case, party_id: UUID = MAYA) -> Events:
    return of.guardian_agrees(
        party_id, disclosure=DISCLOSURE, channel=Channel.PHONE, guardian_consent_id=GUARDIAN_CONSENT
    )


def asked_minor(standing: Standing = ASKED, *, guardian: bool = True, guardian_agreed: bool = False) -> Case:
    maya = minor(MAYA, standing, guardian=guardian, guardian_agreed=guardian_agreed)
    return case(State.CONFIRMING, maya, complainant(ROSA, ASKED), officer(KIM, WAITING))


def test_the_consent_of_a_guardian_says_for_whom_to_what_and_how() -> None:
    assert guardian_agrees(asked_minor()) == (
        events.GuardianConsented(
            guardian_consent_id=GUARDIAN_CONSENT,
            party_id=MAYA,
            disclosure_sha256=DISCLOSURE.sha256,
            disclosure_version=DISCLOSURE.version,
            disclosure_language="en",
            disclosure=DISCLOSURE,
            channel=Channel.PHONE,
        ),
    )


def test_a_guardian_agrees_once_for_a_minor_who_is_asked() -> None:
    refused = (
        (asked_minor(DECLINED), PartyLeft),
        (asked_minor(WAITING), NotAsked),
        (asked_minor(guardian=False), GuardianMissing),
        (asked_minor(guardian_agreed=True), GuardianAgreed),
        (replace(asked_minor(), state=State.LAPSED), CaseNotOpen),
    )
    for of, refusal in refused:
        with pytest.raises(refusal):
            guardian_agrees(of)
    with pytest.raises(NotAMinor):
        guardian_agrees(asked_minor(), ROSA)
    with pytest.raises(NotFound):
        guardian_agrees(asked_minor(), STRANGER)


@pytest.mark.parametrize("state", sorted(set(State) - {State.IN_SESSION}))
def test_what_a_mediator_heard_is_recorded_while_the_session_is_under_way_alone(state: State) -> None:
    with pytest.raises(NotInSession):
        withdraw(replace(in_session(), state=state), ROSA, Channel.SESSION)
    left, *_ = withdraw(in_session(complainant(ROSA), complainant(ELIA), officer(KIM)), ROSA, Channel.SESSION)
    assert left == events.PartyWithdrew(withdrawal_id=NEW, party_id=ROSA, channel=Channel.SESSION)


def test_a_minor_declines_alone() -> None:
    young = case(State.CONFIRMING, minor(MAYA, ASKED, guardian=False, guardian_agreed=False), officer(KIM, WAITING))
    assert transitions(answer(young, MAYA, DECLINE)) == [(State.CONFIRMING, State.DECLINED)]


def test_an_officer_who_was_asked_earlier_answers_while_a_late_complainant_is_asked() -> None:
    reopened = case(State.CONFIRMING, complainant(ROSA), complainant(ELIA, ASKED), officer(KIM, ASKED))
    assert kinds(answer(reopened, KIM)) == ["consent.given"]


def test_a_late_complainant_brings_a_case_in_which_all_others_agreed_to_ready_at_once() -> None:
    reopened = case(State.CONFIRMING, complainant(ROSA), complainant(ELIA, ASKED), officer(KIM))
    assert transitions(answer(reopened, ELIA)) == [(State.CONFIRMING, State.ASKING), (State.ASKING, State.READY)]


PEOPLE = {Side.COMPLAINANT: (ROSA, ELIA, MAYA), Side.OFFICER: (KIM, LEE, PARK)}


@given(st.data())
def test_any_order_of_the_same_answers_ends_in_the_same_state(data: st.DataObject) -> None:
    """One side after the other, as they are asked; within a side in any order."""
    decisions = st.lists(st.sampled_from(Decision), min_size=1, max_size=3)
    says = {side: dict(zip(PEOPLE[side], data.draw(decisions), strict=False)) for side in Side}
    complainants, officers = says[Side.COMPLAINANT], says[Side.OFFICER]
    start = case(
        State.CONFIRMING,
        *(complainant(who, ASKED) for who in complainants),
        *(officer(who, WAITING) for who in officers),
    )
    ends: set[tuple[State, frozenset[tuple[UUID, Standing]]]] = set()
    for first in permutations(complainants):
        now = start
        for who in first:
            now = after(now, answer(now, who, complainants[who]))
        if now.state is not State.ASKING:
            ends.add((now.state, frozenset((p.party_id, p.standing) for p in now.participants)))
            continue
        for second in permutations(officers):
            then = now
            for who in second:
                then = after(then, answer(then, who, officers[who]))
            ends.add((then.state, frozenset((p.party_id, p.standing) for p in then.participants)))
    assert len(ends) == 1
    (state, _), *_ = ends
    both = all(Decision.AGREED in side.values() for side in says.values())
    assert state is (State.READY if both else State.DECLINED)


@given(st.permutations([ROSA, ELIA, KIM, LEE]), st.data())
def test_ready_means_that_everybody_who_is_left_agreed(order: list[UUID], data: st.DataObject) -> None:
    """However answers and withdrawals are mixed, and also when an officer's come before a complainant's."""
    now = case(
        State.CONFIRMING, complainant(ROSA, ASKED), complainant(ELIA, ASKED), officer(KIM, ASKED), officer(LEE, ASKED)
    )
    for who in order:
        if not now.state.is_open:
            break
        leaves = data.draw(st.booleans())
        now = after(now, withdraw(now, who) if leaves else answer(now, who))
        left = [p for p in now.participants if p.is_active]
        sides = {p.side for p in left}
        everybody = all(p.standing is AGREED for p in left)
        assert (now.state is State.READY) == (everybody and len(sides) == 2)
        assert now.state.is_open == (len(sides) == 2)


# ── leaving ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_withdrawal_needs_no_more_than_who_and_how_and_takes_the_leavers_parts_along() -> None:
    """Also after a session was completed."""
    assert withdraw(concluded(complainant(ROSA), complainant(ELIA), officer(KIM), officer(LEE)), ROSA) == (
        events.PartyWithdrew(withdrawal_id=NEW, party_id=ROSA, channel=Channel.PORTAL),
        returned(ROSA, KIM),
        returned(ROSA, LEE),
    )


@pytest.mark.parametrize("state", sorted(OPEN))
@pytest.mark.parametrize("standing", [WAITING, ASKED, AGREED])
def test_in_every_open_state_the_last_of_a_side_can_leave(state: State, standing: Standing) -> None:
    new_events = withdraw(case(state, complainant(ROSA, standing), officer(KIM)), ROSA)
    assert new_events[0] == events.PartyWithdrew(withdrawal_id=NEW, party_id=ROSA, channel=Channel.PORTAL)
    assert new_events[-2:] == (state_changed(Trigger.SIDE_WITHDREW, state, State.WITHDRAWN), closed(State.WITHDRAWN))


@given(
    st.sampled_from(sorted(OPEN)),
    st.lists(st.sampled_from(list(Standing)), min_size=1, max_size=3),
    st.lists(st.sampled_from(list(Standing)), min_size=1, max_size=3),
)
def test_everybody_can_leave_any_open_case_and_saying_it_again_changes_nothing(
    state: State, complainants: list[Standing], officers: list[Standing]
) -> None:
    people = [complainant(who, standing) for who, standing in zip(PEOPLE[Side.COMPLAINANT], complainants, strict=False)]
    people += [officer(who, standing) for who, standing in zip(PEOPLE[Side.OFFICER], officers, strict=False)]
    now = case(state, *people)
    for someone in people:
        if not now.state.is_open:
            return
        new_events = withdraw(now, someone.party_id)
        assert new_events[0] == events.PartyWithdrew(
            withdrawal_id=NEW, party_id=someone.party_id, channel=Channel.PORTAL
        )
        now = after(now, new_events)
        assert now.participant(someone.party_id).standing is WITHDRAWN
        assert withdraw(now, someone.party_id) == ()


def test_the_other_side_goes_on_with_those_who_stay() -> None:
    two = case(State.READY, complainant(ROSA), complainant(ELIA), officer(KIM))
    assert kinds(withdraw(two, ROSA)) == ["party.withdrew", "part.returned"]


def test_a_concluded_case_whose_covered_parts_all_went_back_is_ready_for_another_session() -> None:
    here = completed(ROSA, KIM, of=concluded(complainant(ROSA), complainant(ELIA), officer(KIM)))
    assert withdraw(here, ROSA)[1:] == (
        returned(ROSA, KIM),
        state_changed(Trigger.COVERED_PARTS_RETURNED, State.CONCLUDED, State.READY),
    )
    assert withdraw(here, ELIA)[1:] == (returned(ELIA, KIM),)


def test_a_case_closes_when_the_last_open_part_went_back_though_people_of_each_side_are_left() -> None:
    """Of four parts two were mediated earlier: whoever is left has nothing to talk over with the other."""
    here = case(State.READY, complainant(ROSA), complainant(ELIA), officer(KIM), officer(LEE))
    here = replace(here, parts=(part(ROSA, KIM), part(ELIA, LEE)))
    here = after(here, withdraw(here, ROSA))
    assert here.state is State.READY
    assert [p.party_id for side in Side for p in here.side(side)] == [ELIA, LEE]
    assert after(here, withdraw(here, ELIA)).state is State.WITHDRAWN


def test_who_has_no_open_part_left_holds_nobody_up() -> None:
    here = case(State.ASKING, complainant(ROSA), complainant(ELIA), officer(KIM, ASKED), officer(LEE))
    here = replace(here, parts=(part(ROSA, KIM), part(ELIA, LEE)))
    assert transitions(withdraw(here, ROSA)) == [(State.ASKING, State.READY)]


def test_nobody_to_ask_is_not_everybody_agreed() -> None:
    """The officer was removed: the complainants' agreement alone makes no case ready."""
    alone = case(State.ASKING, complainant(ROSA), complainant(ELIA))
    assert alone.next_steps() == ()
    assert withdraw(alone, ELIA)[1:] == ()
    asked_first = replace(case(State.CONFIRMING, complainant(ROSA, ASKED), complainant(ELIA)), parts=())
    assert transitions(answer(asked_first, ROSA)) == [(State.CONFIRMING, State.ASKING)]


def test_a_withdrawal_may_be_what_the_case_was_waiting_for() -> None:
    two = case(State.CONFIRMING, complainant(ROSA), complainant(ELIA, ASKED), officer(KIM, WAITING))
    assert withdraw(two, ELIA)[1:] == (
        returned(ELIA, KIM),
        state_changed(Trigger.COMPLAINANTS_ANSWERED, State.CONFIRMING, State.ASKING),
        asked(KIM),
    )


def test_a_withdrawal_during_a_session_ends_it_without_a_word_why() -> None:
    new_events = withdraw(in_session(), KIM)
    assert events.SessionEnded(session_id=SESSION, reason=EndReason.WITHDRAWAL) in new_events
    assert transitions(new_events) == [(State.IN_SESSION, State.WITHDRAWN)]


def test_a_session_goes_on_when_somebody_of_several_leaves() -> None:
    assert kinds(withdraw(in_session(complainant(ROSA), complainant(ELIA), officer(KIM)), ROSA)) == [
        "party.withdrew",
        "part.returned",
    ]


def test_a_withdrawal_cancels_the_session_that_is_ahead() -> None:
    assert events.SessionCancelled(session_id=SESSION, reason=CancelReason.CASE_CLOSED) in withdraw(scheduled(), ROSA)


@pytest.mark.parametrize("state", sorted(CLOSED))
def test_who_is_still_in_a_case_that_closed_cannot_leave_it(state: State) -> None:
    with pytest.raises(CaseNotOpen):
        withdraw(case(state), ROSA)


@pytest.mark.parametrize("state", sorted(OPEN | CLOSED))
@pytest.mark.parametrize("standing", [DECLINED, LAPSED])
def test_who_has_left_otherwise_may_withdraw_whatever_becomes_of_the_case(state: State, standing: Standing) -> None:
    assert kinds(withdraw(case(state, complainant(ROSA, standing), complainant(ELIA), officer(KIM)), ROSA)) == [
        "party.withdrew"
    ]


# ── number and subject ─────────────────────────────────────────────────────────────────────────────────────────────

KIM_HERSELF: Final = Actor(Role.OFFICER, "k.lee", employee_number="4711")
BOUND: Final = events.IdentityBound(party_id=KIM)


@pytest.mark.parametrize("act", [answer, withdraw])
def test_the_first_act_of_an_officer_binds_the_subject_and_later_ones_bind_nothing(
    act: Callable[..., events.Events],
) -> None:
    asked = case(State.ASKING, complainant(ROSA), officer(KIM, ASKED))
    bound = replace(asked, participants=(asked.participants[0], replace(asked.participants[1], identity_bound=True)))

    assert act(asked, KIM, by=KIM_HERSELF)[-1] == BOUND
    assert BOUND not in act(bound, KIM, by=KIM_HERSELF)


@pytest.mark.parametrize("act", [answer, withdraw])
def test_what_staff_record_for_an_officer_binds_nothing(act: Callable[..., events.Events]) -> None:
    assert BOUND not in act(case(State.ASKING, complainant(ROSA), officer(KIM, ASKED)), KIM, by=COORDINATOR)


@pytest.mark.parametrize("standing", [DECLINED, LAPSED])
def test_an_officer_who_left_and_then_withdraws_is_bound(standing: Standing) -> None:
    left = case(State.ASKING, complainant(ROSA), officer(KIM, standing), officer(LEE, ASKED))

    assert kinds(withdraw(left, KIM, by=KIM_HERSELF)) == ["party.withdrew", "identity.bound"]


def test_a_removed_officer_who_withdraws_is_not_bound() -> None:
    gone = case(State.ASKING, complainant(ROSA), officer(KIM, REMOVED), officer(LEE, ASKED))

    assert [event.kind for event in withdraw(gone, KIM, by=KIM_HERSELF)] == ["party.withdrew"]


def test_a_stranger_has_nothing_to_withdraw_from() -> None:
    with pytest.raises(NotFound):
        withdraw(case(State.READY), STRANGER)


# ── lapsing ────────────────────────────────────────────────────────────────────────────────────────────────────────


def lapse(
    of: Case,
    party_id: UUID | None = None,
    reason: LapseReason = LapseReason.UNREACHABLE,
    by: Actor = COORDINATOR,
) -> Events:
    return contact.lapse(of, reason, party_id, policy=CITY, by=by)


def tried(of: Case, *party_ids: UUID) -> Case:
    """The same, with enough attempts to reach these parties on record."""
    return replace(of, contact_attempts=attempts(*party_ids))


@pytest.mark.parametrize("state", sorted(OPEN - {State.IN_SESSION}))
@pytest.mark.parametrize("unreachable", [ROSA, KIM])
def test_an_open_case_can_lapse_as_a_whole(state: State, unreachable: UUID) -> None:
    assert lapse(tried(case(state), unreachable)) == (
        returned(ROSA, KIM),
        state_changed(Trigger.SIDE_LAPSED, state, State.LAPSED),
        closed(State.LAPSED, lapse_reason=LapseReason.UNREACHABLE),
    )


def test_the_last_of_a_side_who_lapses_closes_the_case() -> None:
    assert lapse(tried(case(State.ASKING, complainant(ROSA), officer(KIM, ASKED)), KIM), KIM) == (
        events.PartyLapsed(party_id=KIM, reason=LapseReason.UNREACHABLE),
        returned(ROSA, KIM),
        state_changed(Trigger.SIDE_LAPSED, State.ASKING, State.LAPSED),
        closed(State.LAPSED, lapse_reason=LapseReason.UNREACHABLE),
    )


def test_a_case_goes_on_without_the_one_who_cannot_be_reached() -> None:
    two = tried(case(State.ASKING, complainant(ROSA), officer(KIM), officer(LEE, ASKED)), LEE)
    assert lapse(two, LEE) == (
        events.PartyLapsed(party_id=LEE, reason=LapseReason.UNREACHABLE),
        returned(ROSA, LEE),
        state_changed(Trigger.OFFICERS_ANSWERED, State.ASKING, State.READY),
    )


def test_a_session_under_way_ends_with_the_lapse_of_its_case() -> None:
    here = in_session(complainant(ROSA), officer(KIM, absences=1))
    assert lapse(here, None, LapseReason.REPEATED_ABSENCE, DIRECTOR)[:2] == (
        returned(ROSA, KIM),
        events.SessionEnded(session_id=SESSION, reason=EndReason.LAPSE),
    )


@pytest.mark.parametrize(
    ("people", "who"),
    [
        ((complainant(ROSA, absences=2), officer(KIM)), ROSA),
        ((complainant(ROSA), officer(KIM, absences=1)), KIM),
        ((complainant(ROSA), officer(KIM, absences=1)), None),
    ],
)
def test_a_director_closes_a_case_for_repeated_absence(people: tuple[Participant, ...], who: UUID | None) -> None:
    new_events = lapse(case(State.READY, *people), who, LapseReason.REPEATED_ABSENCE, DIRECTOR)
    assert new_events[-1] == closed(State.LAPSED, lapse_reason=LapseReason.REPEATED_ABSENCE)


@pytest.mark.parametrize("who", [ROSA, KIM, None])
def test_one_absence_of_a_complainant_is_not_enough(who: UUID | None) -> None:
    here = case(State.READY, complainant(ROSA, absences=1), officer(KIM))
    with pytest.raises(AbsencesTooFew):
        lapse(here, who, LapseReason.REPEATED_ABSENCE, DIRECTOR)


def test_the_absences_of_somebody_who_left_do_not_count() -> None:
    here = case(State.READY, complainant(ROSA), officer(LEE), officer(KIM, WITHDRAWN, absences=3))
    with pytest.raises(AbsencesTooFew):
        lapse(here, None, LapseReason.REPEATED_ABSENCE, DIRECTOR)


@pytest.mark.parametrize("by", [INTAKE, COORDINATOR])
def test_nobody_but_a_director_closes_for_absences(by: Actor) -> None:
    with pytest.raises(DirectorRequired):
        lapse(case(State.READY, complainant(ROSA, absences=9), officer(KIM)), ROSA, LapseReason.REPEATED_ABSENCE, by)


def test_nobody_lapses_twice() -> None:
    with pytest.raises(PartyLeft):
        lapse(case(State.READY, complainant(ROSA), officer(KIM, LAPSED), officer(LEE)), KIM)


def test_a_stranger_does_not_lapse() -> None:
    with pytest.raises(NotFound):
        lapse(case(State.READY), STRANGER)


# ── joining late ───────────────────────────────────────────────────────────────────────────────────────────────────


def joined(side: Side) -> Events:
    """Somebody joins, and has a part with the one of the other side who is there."""
    pair = (NEW, KIM) if side is Side.COMPLAINANT else (ROSA, NEW)
    opened = events.PartOpened(complainant_id=pair[0], officer_id=pair[1])
    return (events.PartyJoined(party_id=NEW, side=side), opened)


@pytest.mark.parametrize(
    ("state", "side", "is_asked"),
    [
        (State.SCREENING, Side.COMPLAINANT, False),
        (State.SCREENING, Side.OFFICER, False),
        (State.CONFIRMING, Side.COMPLAINANT, True),
        (State.CONFIRMING, Side.OFFICER, False),
        (State.ASKING, Side.OFFICER, True),
    ],
)
def test_a_late_party_is_asked_when_its_side_is_being_asked(state: State, side: Side, *, is_asked: bool) -> None:
    assert case(state).join(NEW, side) == ((*joined(side), asked(NEW)) if is_asked else joined(side))


@pytest.mark.parametrize(
    ("state", "side", "trigger", "target"),
    [
        (State.ASKING, Side.COMPLAINANT, Trigger.COMPLAINANT_ADDED, State.CONFIRMING),
        (State.READY, Side.COMPLAINANT, Trigger.COMPLAINANT_ADDED, State.CONFIRMING),
        (State.READY, Side.OFFICER, Trigger.OFFICER_ADDED, State.ASKING),
    ],
)
def test_a_late_party_reopens_the_gate(state: State, side: Side, trigger: Trigger, target: State) -> None:
    assert case(state).join(NEW, side) == (*joined(side), state_changed(trigger, state, target), asked(NEW))


@pytest.mark.parametrize("side", list(Side))
def test_a_late_party_has_a_part_with_everybody_of_the_other_side_who_has_not_left(side: Side) -> None:
    here = case(State.ASKING, complainant(ROSA), complainant(ELIA, DECLINED), officer(KIM), officer(LEE, WITHDRAWN))
    assert here.join(NEW, side)[:2] == joined(side)
    assert kinds(here.join(NEW, side)).count("part.opened") == 1


@pytest.mark.parametrize(("side", "target"), [(Side.COMPLAINANT, State.CONFIRMING), (Side.OFFICER, State.ASKING)])
def test_a_late_party_calls_the_session_off(side: Side, target: State) -> None:
    new_events = scheduled().join(NEW, side)
    assert new_events[2] == events.SessionCancelled(session_id=SESSION, reason=CancelReason.PARTY_ADDED)
    assert transitions(new_events) == [(State.SCHEDULED, target)]


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("state", [State.IN_SESSION, State.CONCLUDED])
def test_nobody_joins_a_session_under_way_or_over(state: State, side: Side) -> None:
    with pytest.raises(StateConflict):
        case(state).join(NEW, side)


@pytest.mark.parametrize("state", sorted(CLOSED))
def test_a_closed_case_takes_in_nobody(state: State) -> None:
    assert case(state).join(NEW, Side.OFFICER) == ()


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("state", [State.SCREENING, State.CONFIRMING, State.ASKING, State.READY])
def test_no_case_is_ready_before_its_late_party_has_answered(state: State, side: Side) -> None:
    standing = {State.SCREENING: WAITING, State.CONFIRMING: AGREED}.get(state, AGREED)
    here = case(state, complainant(ROSA, standing), complainant(ELIA, ASKED), officer(KIM, standing))
    now = after(here, here.join(NEW, side))
    assert now.state is not State.READY
    assert now.participant(NEW).standing in {WAITING, ASKED}


# ── running and closing ────────────────────────────────────────────────────────────────────────────────────────────


def test_somebody_runs_the_case() -> None:
    assigned = events.CoordinatorAssigned(coordinator="coordinator.7")
    assert case(State.ASKING).coordinate("coordinator.7", before=None) == (assigned,)
    assert case(State.ASKING).coordinate("coordinator.7", before="coordinator.6") == (assigned,)
    assert case(State.ASKING).coordinate("coordinator.7", before="coordinator.7") == ()


def a_pause(ends_on: date) -> Pause:
    return Pause(PauseReason.LEAVE, date(2026, 3, 2), ends_on)


def test_a_pause_is_noted() -> None:
    with pytest.raises(LimitReached):
        replace(case(State.ASKING), pause_count=MOST_PAUSES).pause(
            a_pause(date(2026, 4, 30)), pause_id=NEW, policy=CITY
        )
    paused = replace(case(State.ASKING), pause_count=MOST_PAUSES - 1)
    assert paused.pause(a_pause(date(2026, 4, 30)), pause_id=NEW, policy=CITY) == (
        events.TargetPaused(
            pause_id=NEW, reason=PauseReason.LEAVE, starts_on=date(2026, 3, 2), ends_on=date(2026, 4, 30)
        ),
    )


def test_a_pause_of_more_than_sixty_days_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        case(State.ASKING).pause(a_pause(date(2026, 5, 1)), pause_id=NEW, policy=CITY)
    assert pointed_at(caught.value) == ("/ends_on", "pause-too-long")


def test_only_a_session_that_is_still_ahead_is_called_off() -> None:
    for state in set(SessionState) - {SessionState.SCHEDULED}:
        here = replace(case(State.READY), sessions=(session(state),))
        assert here.called_off(CancelReason.REQUESTED) == ()


@pytest.mark.parametrize("state", sorted(CLOSED))
def test_nothing_is_decided_in_a_closed_case(state: State) -> None:
    over = case(state)
    with pytest.raises(CaseNotOpen):
        screen(over)
    with pytest.raises(CaseNotOpen):
        approve(over, Approver.DIRECTOR)
    with pytest.raises(CaseNotOpen):
        lapse(over)
    with pytest.raises(CaseNotOpen):
        over.coordinate("coordinator.7", before=None)
    with pytest.raises(CaseNotOpen):
        over.pause(a_pause(date(2026, 3, 3)), pause_id=NEW, policy=CITY)
