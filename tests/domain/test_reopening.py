"""What reopens a case: the wrong party is removed, a consent is voided, a screening is outdated. Nothing closes it."""

from collections.abc import Collection
from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

import pytest
from tests.domain.cases import (
    AGREED,
    AGREEMENT,
    ASKED,
    CITY,
    DECLINED,
    DIRECTOR,
    ELIA,
    GUARDIAN_CONSENT,
    INTAKE,
    KIM,
    LAPSED,
    LEE,
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
    case,
    complainant,
    completed,
    concluded,
    consent_of,
    in_session,
    kinds,
    minor,
    officer,
    party,
    pointed_at,
    ready,
    resolution,
    scheduled,
    session,
    signed,
    transitions,
    withdraw,
)

from mediation_api.domain import closing, eligibility, events, reopening, sessions
from mediation_api.domain.case import Case
from mediation_api.domain.complaint import Account
from mediation_api.domain.errors import (
    AgreementReached,
    ConditionsMissing,
    DataErased,
    GuardianMissing,
    Invalid,
    Missing,
    NotAsked,
    NotFound,
    PartyLeft,
    SessionInProgress,
    StateConflict,
)
from mediation_api.domain.events import Events
from mediation_api.domain.lifecycle import CLOSED, OPEN, State
from mediation_api.domain.on_file import NEW_COMPLAINT
from mediation_api.domain.screening import Finding, Outcome, Screening
from mediation_api.domain.values import CancelReason, Decision, RemovalReason, Side, Standing, VoidReason


def removed(of: Case, party_id: UUID) -> events.PartyRemoved:
    side = of.participant(party_id).side
    return events.PartyRemoved(party_id=party_id, side=side, reason=RemovalReason.WRONG_PERSON)


def remove(of: Case, party_id: UUID) -> Events:
    return reopening.remove(of, removed(of, party_id))


def void(of: Case, *party_ids: UUID, reason: VoidReason = VoidReason.GUARDIAN_CHANGED) -> Events:
    return reopening.void(of, party_ids, reason)


def voided(party_id: UUID, reason: VoidReason = VoidReason.GUARDIAN_CHANGED) -> events.ConsentVoided:
    return events.ConsentVoided(party_id=party_id, consent_id=consent_of(party_id), reason=reason)


def asked(party_id: UUID) -> events.PartyAsked:
    return events.PartyAsked(party_id=party_id)


def standings(of: Case) -> dict[UUID, Standing]:
    return {p.party_id: p.standing for p in of.participants}


# ── removal ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_removed_party_takes_its_consent_and_the_session_ahead_with_it_and_the_gate_names_the_empty_side() -> None:
    here = signed(scheduled())
    new_events = remove(here, KIM)
    assert new_events == (
        voided(KIM, VoidReason.PARTY_REMOVED),
        events.PartReturned(complainant_id=ROSA, officer_id=KIM),
        removed(here, KIM),
        events.SessionCancelled(session_id=SESSION, reason=CancelReason.PARTY_REMOVED),
        events.StateChanged(trigger=new_events[-1].trigger, from_state=State.SCHEDULED, to_state=State.ASKING),  # type: ignore[union-attr]
    )
    reopened = after(here, new_events)
    assert Missing("officer-missing") in sessions.missing_to_schedule(reopened, CITY)
    assert standings(reopened) == {ROSA: AGREED, KIM: REMOVED}


@pytest.mark.parametrize("state", [State.ASKING, State.READY, State.CONCLUDED])
def test_without_a_complainant_a_case_goes_back_to_confirming(state: State) -> None:
    new_events = remove(case(state), ROSA)
    assert transitions(new_events) == [(state, State.CONFIRMING)]
    missing = sessions.missing_to_schedule(after(case(state), new_events), CITY)
    assert Missing("complainant-missing") in missing


@pytest.mark.parametrize("state", [State.SCREENING, State.CONFIRMING])
def test_a_case_that_has_not_come_further_stays_where_it_is(state: State) -> None:
    here = case(state, complainant(ROSA, ASKED), officer(KIM, WAITING))
    returned = events.PartReturned(complainant_id=ROSA, officer_id=KIM)
    assert remove(here, ROSA) == (returned, removed(here, ROSA))
    assert remove(here, KIM) == (returned, removed(here, KIM))


def test_without_any_officer_a_case_waits_in_asking_once_complainants_agreed() -> None:
    here = case(State.CONFIRMING, complainant(ROSA, ASKED), officer(KIM, WAITING))
    without = after(here, remove(here, KIM))
    onward = after(without, answer(without, ROSA))
    assert onward.state is State.ASKING
    joined = onward.join(LEE, Side.OFFICER)
    assert kinds(joined) == ["party.joined", "part.opened", "party.asked"]
    assert after(onward, joined).state is State.ASKING


def test_the_right_one_who_is_added_is_asked_and_opens_the_gate_again() -> None:
    here = after(ready(), remove(ready(), KIM))
    joined = after(here, here.join(LEE, Side.OFFICER))
    assert transitions(answer(joined, LEE)) == [(State.ASKING, State.READY)]


@pytest.mark.parametrize("state", [State.ASKING, State.READY])
def test_while_others_of_its_side_are_there_a_case_stays_or_goes_on(state: State) -> None:
    waiting = ASKED if state is State.ASKING else AGREED
    here = case(state, complainant(ROSA), officer(KIM), officer(LEE, waiting))
    assert transitions(remove(here, LEE)) == ([(State.ASKING, State.READY)] if state is State.ASKING else [])
    assert not {"case.closed", "session.cancelled"} & set(kinds(remove(here, LEE)))


def test_a_completed_session_stands_for_those_who_were_there_without_the_wrong_person() -> None:
    people = (complainant(ROSA), officer(KIM), officer(LEE))
    here = completed(ROSA, KIM, of=concluded(*people))
    assert transitions(remove(here, LEE)) == []
    assert transitions(remove(here, KIM)) == [(State.CONCLUDED, State.READY)]
    further = replace(here, state=State.SCHEDULED, sessions=(*here.sessions, session()))
    assert transitions(remove(further, LEE)) == [(State.SCHEDULED, State.CONCLUDED)]


def test_a_session_that_was_to_be_with_the_wrong_person_is_called_off_though_others_are_there() -> None:
    here = scheduled(complainant(ROSA), officer(KIM), officer(LEE))
    new_events = remove(here, LEE)
    assert transitions(new_events) == [(State.SCHEDULED, State.READY)]
    assert "session.cancelled" in kinds(new_events)


def test_without_the_one_complainant_who_had_not_answered_officers_are_asked() -> None:
    here = case(State.CONFIRMING, complainant(ROSA), complainant(ELIA, ASKED), officer(KIM, WAITING))
    new_events = remove(here, ELIA)
    assert transitions(new_events) == [(State.CONFIRMING, State.ASKING)]
    assert new_events[-1] == asked(KIM)


@pytest.mark.parametrize("standing", [DECLINED, WITHDRAWN, LAPSED])
def test_who_had_left_is_removed_and_nothing_else_changes(standing: Standing) -> None:
    here = scheduled(complainant(ROSA), complainant(ELIA, standing), officer(KIM))
    assert remove(here, ELIA) == (removed(here, ELIA),)


def test_nobody_is_removed_during_a_session() -> None:
    with pytest.raises(SessionInProgress):
        remove(in_session(), KIM)


@pytest.mark.parametrize("state", sorted(CLOSED))
def test_a_closed_case_stays_as_it_is(state: State) -> None:
    assert remove(case(state), KIM) == ()
    assert void(case(state), ROSA) == ()


def test_who_is_not_in_the_case_cannot_be_taken_out_of_it() -> None:
    with pytest.raises(NotFound):
        reopening.remove(
            ready(), events.PartyRemoved(party_id=STRANGER, side=Side.OFFICER, reason=RemovalReason.DUPLICATE)
        )


@pytest.mark.parametrize("state", sorted(OPEN - {State.IN_SESSION}))
def test_removing_everybody_closes_no_case(state: State) -> None:
    here = case(state)
    for party_id in (ROSA, KIM):
        new_events = remove(here, party_id)
        assert "case.closed" not in kinds(new_events)
        here = after(here, new_events)
    assert here.state.is_open


def test_who_was_removed_answers_and_signs_nothing() -> None:
    here = case(State.ASKING, complainant(ROSA), officer(KIM), officer(LEE, REMOVED))
    with pytest.raises(PartyLeft):
        answer(here, LEE)


def test_a_withdrawal_of_who_was_removed_is_heard_and_changes_nothing() -> None:
    here = case(State.READY, complainant(ROSA), officer(KIM, REMOVED), officer(LEE))
    assert kinds(withdraw(here, KIM)) == ["party.withdrew"]


def test_who_withdraws_from_a_side_that_is_already_alone_closes_the_case() -> None:
    here = after(ready(), remove(ready(), KIM))
    assert kinds(withdraw(here, ROSA))[-1] == "case.closed"


# ── void consents ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", [State.ASKING, State.READY, State.CONCLUDED])
def test_a_complainant_whose_consent_is_void_is_asked_at_once(state: State) -> None:
    here = case(state, minor(ROSA), complainant(ELIA), officer(KIM))
    new_events = void(here, ROSA)
    assert kinds(new_events) == ["consent.voided", "guardian_consent.voided", "case.state_changed", "party.asked"]
    assert transitions(new_events) == [(state, State.CONFIRMING)]
    assert standings(after(here, new_events)) == {ROSA: ASKED, ELIA: AGREED, KIM: AGREED}


def test_a_consent_that_is_void_supersedes_what_was_to_sign_and_calls_the_session_off() -> None:
    here = signed(scheduled(complainant(ROSA), officer(KIM)))
    assert void(here, ROSA, reason=VoidReason.FOUND_MINOR)[:3] == (
        voided(ROSA, VoidReason.FOUND_MINOR),
        events.AgreementSuperseded(agreement_id=AGREEMENT),
        events.SessionCancelled(session_id=SESSION, reason=CancelReason.CONSENT_VOIDED),
    )
    again = after(here, void(here, ROSA))
    assert kinds(void(after(again, answer(again, ROSA)), ROSA))[:1] == ["consent.voided"]
    assert "agreement.superseded" not in kinds(void(after(again, answer(again, ROSA)), ROSA))


def test_the_new_answer_replaces_the_void_one_and_the_case_goes_on_where_it_was() -> None:
    here = after(ready(), void(ready(), ROSA))
    given = answer(here, ROSA)
    assert isinstance(given[0], events.ConsentGiven)
    assert given[0].replaces == consent_of(ROSA)
    assert transitions(given) == [(State.CONFIRMING, State.ASKING), (State.ASKING, State.READY)]


def test_the_consent_of_a_guardian_is_void_with_what_it_rested_on_whether_it_was_used_or_not() -> None:
    of_guardian = events.GuardianConsentVoided(
        party_id=ROSA, guardian_consent_id=GUARDIAN_CONSENT, reason=VoidReason.GUARDIAN_CHANGED
    )
    used = ready(minor(ROSA), officer(KIM))
    assert of_guardian in void(used, ROSA)
    with pytest.raises(GuardianMissing):
        answer(after(used, void(used, ROSA)), ROSA)
    unused = case(State.CONFIRMING, minor(ROSA, ASKED), officer(KIM, WAITING))
    assert void(unused, ROSA) == (of_guardian,)
    left = case(State.CONFIRMING, minor(ROSA, WITHDRAWN), complainant(ELIA, ASKED), officer(KIM, WAITING))
    assert void(left, ROSA) == ()


def test_who_must_answer_again_may_decline() -> None:
    here = after(ready(), void(ready(), ROSA))
    assert kinds(answer(here, ROSA, Decision.DECLINED))[-1] == "case.closed"


def test_the_last_complainant_to_answer_still_waits_for_the_others() -> None:
    here = case(State.CONFIRMING, complainant(ROSA), complainant(ELIA, ASKED), officer(KIM, WAITING))
    assert void(here, ROSA) == (voided(ROSA), asked(ROSA))


@pytest.mark.parametrize("state", [State.READY, State.CONCLUDED])
def test_officers_alone_who_must_answer_again_are_asked_at_once(state: State) -> None:
    new_events = void(case(state), KIM)
    assert transitions(new_events) == [(state, State.ASKING)]
    assert new_events[-1] == asked(KIM)


def test_an_officer_who_must_answer_again_while_another_is_asked_is_asked_too() -> None:
    here = case(State.ASKING, complainant(ROSA), officer(KIM), officer(LEE, ASKED))
    assert void(here, KIM) == (voided(KIM), asked(KIM))


def test_who_answers_again_after_a_completed_session_may_have_it_closed_as_mediated() -> None:
    here = after(concluded(), void(concluded(), ROSA))
    again = after(here, answer(here, ROSA))
    assert again.state is State.READY
    assert kinds(closing.close_as_mediated(again, agreement_reached=False))[0] == "part.mediated"


def test_a_resolution_that_a_part_has_signed_stands_with_what_it_rested_on() -> None:
    here = replace(concluded(), agreements=(*concluded().agreements, resolution(party(ROSA), party(KIM))))
    with pytest.raises(AgreementReached):
        void(here, ROSA)
    unsigned = replace(concluded(), agreements=(*concluded().agreements, resolution(party(ROSA))))
    assert kinds(void(unsigned, ROSA)).count("agreement.superseded") == 2


def test_during_a_session_no_consent_is_voided() -> None:
    with pytest.raises(SessionInProgress):
        void(in_session(), ROSA)


def test_an_answer_that_is_not_there_was_not_voided() -> None:
    with pytest.raises(ValueError, match="without a consent"):
        void(ready(replace(complainant(ROSA), consent_id=None), officer(KIM)), ROSA)


# ── allegations and answers of intake ──────────────────────────────────────────────────────────────────────────────

ON_FILE = replace(NEW_COMPLAINT, allegations=("discourtesy", "force"), crime_alleged=False, filled=("narrative",))
ACCOUNT = Account(on_file=ON_FILE)
CATEGORIES = ("control", "discourtesy")


def correct(of: Case, **changes: object) -> Events:
    return ACCOUNT.follow_up(changes, of)


def test_other_allegations_void_what_everybody_agreed_to_and_complainants_are_asked_first() -> None:
    here = ready(complainant(ROSA), complainant(ELIA, WITHDRAWN), officer(KIM), officer(LEE), officer(PARK, DECLINED))
    new_events = correct(here, allegations=["discourtesy"])
    again = after(here, new_events)
    assert standings(again) == {ROSA: ASKED, ELIA: WITHDRAWN, KIM: WAITING, LEE: WAITING, PARK: DECLINED}
    assert again.state is State.CONFIRMING
    assert {event.reason for event in new_events if isinstance(event, events.ConsentVoided)} == {
        VoidReason.ALLEGATIONS_REPLACED
    }
    with pytest.raises(NotAsked):
        answer(again, KIM)
    onward = after(again, answer(again, ROSA))
    assert standings(onward)[KIM] is ASKED


@pytest.mark.parametrize(
    "changes", [{"allegations": ["force", "discourtesy"]}, {"narrative": "He shouted."}, {"allegations": None}]
)
def test_allegations_that_stay_void_nothing(changes: dict[str, object]) -> None:
    assert correct(ready(), **changes) == ()


@pytest.mark.parametrize("state", sorted(OPEN - {State.SCREENING}))
def test_what_is_learnt_after_screening_outdates_it(state: State) -> None:
    outdated = events.ScreeningOutdated(changed=("crime_alleged",))
    assert correct(case(state), crime_alleged=True) == (outdated,)
    assert correct(replace(case(state), screening_outdated=True), crime_alleged=True) == ()


@pytest.mark.parametrize("state", [State.SCREENING, *sorted(CLOSED)])
def test_before_it_is_screened_or_once_it_is_closed_no_case_is_outdated(state: State) -> None:
    assert correct(case(state), crime_alleged=True) == ()


def test_what_is_learnt_during_a_session_is_noted_but_other_allegations_wait() -> None:
    assert kinds(correct(in_session(), litigation_pending=True)) == ["screening.outdated"]
    with pytest.raises(SessionInProgress):
        correct(in_session(), litigation_pending=True, allegations=["force"])


# ── screening again ────────────────────────────────────────────────────────────────────────────────────────────────

SCREENED_IN = sorted(OPEN - {State.SCREENING, State.IN_SESSION})


def outdated(of: Case) -> Case:
    return replace(of, screening_outdated=True)


def screen(of: Case, outcome: Outcome, *, override: bool | None = None) -> Events:
    found = Screening("1", (Finding("alleged_crime", outcome),), outcome)
    by = INTAKE if override is None else DIRECTOR
    reason = None if override is None else "I looked at it."
    return eligibility.screen(of, found, override=override, reason=reason, policy=CITY, screening_id=NEW, by=by)


def missing(of: Case) -> Collection[Missing]:
    return (*sessions.missing_to_schedule(of, CITY), *sessions.missing_to_start(of))


@pytest.mark.parametrize("here", [ready(), signed(scheduled())])
def test_an_outdated_screening_shuts_the_gates(here: Case) -> None:
    assert Missing("screening-outdated") not in missing(here)
    assert list(missing(outdated(here))).count(Missing("screening-outdated")) == 2


def test_a_case_whose_screening_is_outdated_is_not_closed_as_mediated() -> None:
    with pytest.raises(ConditionsMissing) as caught:
        closing.close_as_mediated(outdated(case(State.CONCLUDED)), agreement_reached=False)
    assert Missing("screening-outdated") in caught.value.missing
    with pytest.raises(StateConflict):
        closing.close_as_mediated(outdated(case(State.ASKING)), agreement_reached=False)


@pytest.mark.parametrize("state", SCREENED_IN)
def test_found_eligible_again_a_case_goes_on_where_it_was(state: State) -> None:
    here = outdated(case(state))
    assert kinds(screen(here, Outcome.PASS)) == ["case.screened"]
    onward = after(here, screen(here, Outcome.PASS))
    assert (onward.state, onward.screening_outdated) == (state, False)


@pytest.mark.parametrize("state", SCREENED_IN)
def test_found_ineligible_a_case_closes_wherever_it_was(state: State) -> None:
    new_events = screen(outdated(case(state)), Outcome.FAIL)
    assert transitions(new_events) == [(state, State.INELIGIBLE)]
    assert new_events[-1] == events.CaseClosed(state=State.INELIGIBLE, agreement_reached=None, lapse_reason=None)


def test_a_session_that_is_ahead_of_an_ineligible_case_is_cancelled() -> None:
    assert "session.cancelled" in kinds(screen(outdated(scheduled()), Outcome.FAIL))


@pytest.mark.parametrize("state", SCREENED_IN)
def test_what_needs_review_stays_outdated_until_a_director_decides(state: State) -> None:
    here = outdated(case(state))
    waiting = after(here, screen(here, Outcome.NEEDS_REVIEW))
    assert waiting.screening_outdated
    assert not after(waiting, screen(waiting, Outcome.NEEDS_REVIEW, override=True)).screening_outdated
    assert transitions(screen(waiting, Outcome.NEEDS_REVIEW, override=False)) == [(state, State.INELIGIBLE)]


def test_during_a_session_nothing_is_screened() -> None:
    with pytest.raises(SessionInProgress):
        screen(outdated(in_session()), Outcome.FAIL)


def test_another_day_of_the_pending_case_outdates_a_screening() -> None:
    filed = replace(ON_FILE, officer_is_witness=True, pending_case_filed_on=date(2026, 1, 1))
    follows = Account(on_file=filed).follow_up({"pending_case_filed_on": date(2025, 1, 1)}, ready())
    assert follows == (events.ScreeningOutdated(changed=("pending_case_filed_on",)),)


def test_a_correction_records_names_of_fields_and_what_is_on_file_after_it() -> None:
    changes = {"incident_place": None, "narrative": "He shouted.", "precinct": "East"}
    corrected = events.ComplaintCorrected(
        changed=("incident_place", "narrative", "precinct"), on_file=replace(ON_FILE, precinct="East"), values=changes
    )
    assert ACCOUNT.correct(changes, today=TODAY, categories=CATEGORIES) == (corrected,)
    assert ACCOUNT.correct({}, today=TODAY, categories=CATEGORIES) == ()


def test_an_allegation_is_corrected_to_one_of_the_citys_list_and_what_is_on_file_may_stay() -> None:
    for allegations in (["control"], ["force"], ["control", "force"]):
        (corrected,) = ACCOUNT.correct({"allegations": allegations}, today=TODAY, categories=CATEGORIES)
        assert corrected.changed == ("allegations",)
    with pytest.raises(Invalid) as caught:
        ACCOUNT.correct({"allegations": ["conduct"]}, today=TODAY, categories=CATEGORIES)
    assert pointed_at(caught.value) == ("/allegations", "category-not-configured")


@pytest.mark.parametrize("name", ["incident_on", "pending_case_filed_on"])
def test_what_happened_is_not_corrected_to_a_day_that_is_still_to_come(name: str) -> None:
    (corrected,) = ACCOUNT.correct({name: TODAY}, today=TODAY, categories=CATEGORIES)
    assert corrected.changed == (name,)
    with pytest.raises(Invalid) as caught:
        ACCOUNT.correct({name: TODAY + timedelta(days=1)}, today=TODAY, categories=CATEGORIES)
    assert pointed_at(caught.value) == (f"/{name}", "in-the-future")


@pytest.mark.parametrize("name", ["narrative", "incident_place"])
def test_of_an_account_that_was_erased_nothing_is_told_again(name: str) -> None:
    erased = Account(on_file=replace(ON_FILE, filled=()))
    with pytest.raises(DataErased):
        erased.correct({name: "Again."}, today=TODAY, categories=CATEGORIES)
    (corrected,) = erased.correct({"precinct": "East"}, today=TODAY, categories=CATEGORIES)
    assert corrected.on_file.precinct == "East"
