"""Closing as mediated: which parts were mediated, and whether an agreement was reached, is what the record says."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.domain.cases import (
    AGREED,
    ASKED,
    ELIA,
    KIM,
    LEE,
    MAYA,
    MEDIATED,
    ROSA,
    WAITING,
    after,
    case,
    complainant,
    completed,
    concluded,
    minor,
    officer,
    party,
    ready,
    resolution,
    withdraw,
)

from mediation_api.domain import events
from mediation_api.domain.case import Case
from mediation_api.domain.closing import close_as_mediated, missing_to_close
from mediation_api.domain.errors import AgreementReached, CaseNotOpen, ConditionsMissing, Missing, StateConflict
from mediation_api.domain.lifecycle import CLOSED, OPEN, State, Trigger
from mediation_api.domain.parts import Pair
from mediation_api.domain.values import Seat, SeatRole, SessionState, Standing

FOUR = (complainant(ROSA), complainant(ELIA), officer(KIM), officer(LEE))


def mediated(of: Case, *, agreement_reached: bool = False) -> set[Pair]:
    """The pairs that a close of this case mediates; all other open parts are returned."""
    now = after(of, close_as_mediated(of, agreement_reached=agreement_reached))
    assert now.state is State.MEDIATED
    assert now.open_parts == ()
    return {each.pair for each in now.parts if each.disposition is MEDIATED}


def with_resolution(of: Case, *signed_by: Seat) -> Case:
    return replace(of, agreements=(*of.agreements, resolution(*signed_by)))


def test_what_a_completed_session_covers_is_mediated() -> None:
    assert close_as_mediated(concluded(), agreement_reached=False) == (
        events.PartMediated(complainant_id=ROSA, officer_id=KIM, agreement_reached=False),
        events.StateChanged(trigger=Trigger.CLOSED_AS_MEDIATED, from_state=State.CONCLUDED, to_state=State.MEDIATED),
        events.CaseClosed(state=State.MEDIATED, agreement_reached=False, lapse_reason=None),
    )


def test_whoever_was_not_there_goes_back_to_investigation_in_the_same_command() -> None:
    here = completed(ROSA, KIM, of=concluded(*FOUR))
    assert mediated(here) == {(ROSA, KIM)}
    returned = [f for f in close_as_mediated(here, agreement_reached=False) if isinstance(f, events.PartReturned)]
    assert {(f.complainant_id, f.officer_id) for f in returned} == {(ROSA, LEE), (ELIA, KIM), (ELIA, LEE)}


def test_whoever_left_after_the_session_is_not_mediated() -> None:
    here = concluded(*FOUR)
    assert mediated(after(here, withdraw(here, LEE))) == {(ROSA, KIM), (ELIA, KIM)}


def test_two_sessions_cover_what_each_of_them_does_and_no_pair_that_never_met() -> None:
    first = completed(ROSA, KIM, of=concluded(*FOUR))
    second = completed(ELIA, LEE, of=first)
    both = replace(first, sessions=(*first.sessions, *second.sessions))
    signed = first.agreements[0].signed_by | second.agreements[0].signed_by
    both = replace(both, agreements=(replace(first.agreements[0], signed_by=signed),))
    assert mediated(both) == {(ROSA, KIM), (ELIA, LEE)}


def test_presence_without_a_signature_covers_nothing() -> None:
    """No start lets it come to that; the close does not rely on it."""
    here = concluded()
    (text,) = here.agreements
    here = replace(here, agreements=(replace(text, signed_by=text.signed_by - {party(KIM)}),))
    assert here.covered_parts == ()


@pytest.mark.parametrize("state", sorted(set(SessionState) - {SessionState.COMPLETED}))
def test_a_session_that_was_not_completed_covers_nothing(state: SessionState) -> None:
    here = concluded()
    assert replace(here, sessions=(replace(here.sessions[0], state=state),)).covered_parts == ()


def test_a_completed_session_of_which_no_text_is_known_covers_nothing() -> None:
    here = concluded()
    assert replace(here, sessions=(replace(here.sessions[0], agreement_id=None),)).covered_parts == ()


@pytest.mark.parametrize("standing", sorted({WAITING, ASKED}))
def test_who_does_not_agree_to_the_end_is_not_mediated(standing: Standing) -> None:
    """A consent that was voided after the session, say."""
    here = concluded(complainant(ROSA, standing), complainant(ELIA), officer(KIM))
    assert mediated(here) == {(ELIA, KIM)}


@pytest.mark.parametrize(
    "of", [replace(ready(), state=State.CONCLUDED), ready(), concluded(complainant(ROSA, ASKED), officer(KIM))]
)
def test_nothing_to_mediate_is_named(of: Case) -> None:
    assert missing_to_close(of) == (Missing("completed-session-missing"),)
    with pytest.raises(ConditionsMissing) as caught:
        close_as_mediated(of, agreement_reached=False)
    assert caught.value.missing == missing_to_close(of)


@pytest.mark.parametrize("state", sorted(OPEN - {State.READY, State.CONCLUDED}))
def test_nothing_is_mediated_before_a_session_was_completed_or_while_another_is_ahead(state: State) -> None:
    with pytest.raises(StateConflict):
        close_as_mediated(replace(concluded(), state=state), agreement_reached=False)


def test_a_case_that_is_ready_again_after_a_completed_session_can_be_closed() -> None:
    """Somebody was added after it, and declined."""
    assert mediated(replace(concluded(), state=State.READY)) == {(ROSA, KIM)}


@pytest.mark.parametrize("state", sorted(CLOSED))
def test_a_closed_case_is_not_closed_again(state: State) -> None:
    assert missing_to_close(case(state)) == (Missing("case-closed"),)
    with pytest.raises(CaseNotOpen):
        close_as_mediated(case(state), agreement_reached=True)


# ── whether an agreement was reached ───────────────────────────────────────────────────────────────────────────────


def test_an_agreement_was_reached_when_everybody_of_a_part_signed_a_resolution() -> None:
    here = with_resolution(concluded(*FOUR), party(ROSA), party(KIM), party(LEE))
    new_events = close_as_mediated(here, agreement_reached=True)
    reached = {
        (f.complainant_id, f.officer_id): f.agreement_reached for f in new_events if isinstance(f, events.PartMediated)
    }
    assert reached == {(ROSA, KIM): True, (ROSA, LEE): True, (ELIA, KIM): False, (ELIA, LEE): False}
    assert new_events[-1] == events.CaseClosed(state=State.MEDIATED, agreement_reached=True, lapse_reason=None)


def test_no_agreement_was_reached_without_a_resolution() -> None:
    with pytest.raises(ConditionsMissing) as caught:
        close_as_mediated(concluded(), agreement_reached=True)
    assert caught.value.missing == (Missing("resolution-missing"),)


def test_who_has_not_signed_the_resolution_is_named() -> None:
    with pytest.raises(ConditionsMissing) as caught:
        close_as_mediated(with_resolution(concluded(), party(KIM)), agreement_reached=True)
    assert caught.value.missing == (Missing("resolution-unsigned", ROSA, {"role": "party"}),)


def test_the_guardian_of_a_minor_signs_too() -> None:
    guards = Seat(SeatRole.GUARDIAN, MAYA)
    here = concluded(minor(MAYA), officer(KIM))
    with pytest.raises(ConditionsMissing) as caught:
        close_as_mediated(with_resolution(here, party(MAYA), party(KIM)), agreement_reached=True)
    assert caught.value.missing == (Missing("resolution-unsigned", MAYA, {"role": "guardian"}),)
    signed = with_resolution(here, party(MAYA), guards, party(KIM))
    assert mediated(signed, agreement_reached=True) == {(MAYA, KIM)}


def test_an_agreement_that_was_signed_is_not_denied() -> None:
    with pytest.raises(AgreementReached):
        close_as_mediated(with_resolution(concluded(), party(ROSA), party(KIM)), agreement_reached=False)


def test_a_resolution_that_was_superseded_is_none() -> None:
    here = concluded()
    old = replace(resolution(party(ROSA), party(KIM)), superseded=True)
    assert mediated(replace(here, agreements=(*here.agreements, old))) == {(ROSA, KIM)}


def test_what_only_those_who_were_returned_signed_is_no_agreement_of_the_case() -> None:
    here = with_resolution(completed(ROSA, KIM, of=concluded(*FOUR)), party(ELIA), party(LEE))
    assert mediated(here) == {(ROSA, KIM)}


@given(
    st.lists(st.sampled_from(list(Standing)), min_size=4, max_size=4), st.sets(st.sampled_from([ROSA, ELIA, KIM, LEE]))
)
def test_a_part_is_mediated_if_and_only_if_both_agreed_and_were_there(
    standings: list[Standing], there: set[UUID]
) -> None:
    people = [replace(person, standing=standing) for person, standing in zip(FOUR, standings, strict=True)]
    here = completed(*there, of=concluded(*people))
    good = {p.party_id for p in people if p.standing is AGREED and p.party_id in there}
    expected = {(c, o) for c in (ROSA, ELIA) for o in (KIM, LEE) if {c, o} <= good}
    if not expected:
        assert missing_to_close(here) != ()
        return
    assert mediated(here) == expected
