"""A part is one complainant and one officer; what becomes of a complaint follows from all of its parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.domain.cases import (
    ELIA,
    IN_MEDIATION,
    KIM,
    LEE,
    MEDIATED,
    RETURNED,
    ROSA,
    STRANGER,
    complainant,
    officer,
    part,
)

from mediation_api.domain import events, parts
from mediation_api.domain.lifecycle import ANSWERS_SEALED, CLOSED, OPEN, State
from mediation_api.domain.parts import (
    Part,
    disposition_of,
    disposition_of_complaint,
    own_dispositions,
    shown_disposition,
)
from mediation_api.domain.values import Disposition


def test_a_part_begins_in_mediation_and_is_of_two_people() -> None:
    begun = Part(complainant_id=ROSA, officer_id=KIM)
    assert begun.disposition is IN_MEDIATION
    assert begun.is_open
    assert begun.pair == (ROSA, KIM)
    assert [begun.concerns(who) for who in (ROSA, KIM, STRANGER)] == [True, True, False]
    assert not part(disposition=RETURNED).is_open
    assert not part(disposition=MEDIATED).is_open


@pytest.mark.parametrize(
    ("of", "whole"),
    [
        ((), Disposition.RECEIVED),
        ((Disposition.RECEIVED,), Disposition.RECEIVED),
        ((IN_MEDIATION,), IN_MEDIATION),
        ((IN_MEDIATION, RETURNED), IN_MEDIATION),
        ((IN_MEDIATION, Disposition.RECEIVED), IN_MEDIATION),
        ((RETURNED, RETURNED), RETURNED),
        ((RETURNED, Disposition.RECEIVED), RETURNED),
        ((MEDIATED, MEDIATED), MEDIATED),
        ((MEDIATED, RETURNED), Disposition.PARTLY_MEDIATED),
        ((MEDIATED, IN_MEDIATION), Disposition.PARTLY_MEDIATED),
        ((MEDIATED, Disposition.RECEIVED), Disposition.PARTLY_MEDIATED),
    ],
)
def test_a_complaint_is_closed_when_all_of_its_parts_are(of: tuple[Disposition, ...], whole: Disposition) -> None:
    assert disposition_of(of) is whole


@given(st.lists(st.sampled_from([Disposition.RECEIVED, IN_MEDIATION, RETURNED, MEDIATED])))
def test_closed_means_all_and_partly_means_some(of: list[Disposition]) -> None:
    whole = disposition_of(of)
    assert (whole is MEDIATED) == (bool(of) and all(each is MEDIATED for each in of))
    assert (whole is Disposition.PARTLY_MEDIATED) == (MEDIATED in of and set(of) != {MEDIATED})


@pytest.mark.parametrize(
    ("latest", "whole"),
    [
        (None, Disposition.RECEIVED),
        *((s, IN_MEDIATION) for s in sorted(OPEN)),
        *((s, RETURNED) for s in sorted(CLOSED)),
    ],
)
def test_a_complaint_without_any_part_follows_its_latest_case(latest: State | None, whole: Disposition) -> None:
    assert disposition_of_complaint((), latest) is whole
    assert disposition_of_complaint((MEDIATED,), latest) is MEDIATED


@pytest.mark.parametrize("state", [None, *State])
@pytest.mark.parametrize("disposition", [Disposition.RECEIVED, IN_MEDIATION, RETURNED, MEDIATED])
def test_until_a_case_is_ready_what_was_returned_reads_as_in_mediation(
    disposition: Disposition, state: State | None
) -> None:
    sealed = state in ANSWERS_SEALED and disposition is RETURNED
    assert shown_disposition(disposition, state) is (IN_MEDIATION if sealed else disposition)


@pytest.mark.parametrize("state", sorted(ANSWERS_SEALED))
def test_in_a_sealed_case_a_party_reads_only_what_was_mediated_earlier(state: State) -> None:
    assert own_dispositions((), state, has_left=False) == ((), IN_MEDIATION)
    assert own_dispositions((RETURNED,), state, has_left=False) == ((IN_MEDIATION,), IN_MEDIATION)
    partly = ((MEDIATED, IN_MEDIATION), Disposition.PARTLY_MEDIATED)
    assert own_dispositions((MEDIATED, RETURNED), state, has_left=False) == partly


@pytest.mark.parametrize("state", list(State))
def test_who_has_left_reads_that_it_all_went_back_whatever_becomes_of_the_case(state: State) -> None:
    assert own_dispositions((RETURNED, RETURNED), state, has_left=True) == ((RETURNED, RETURNED), RETURNED)
    assert own_dispositions((), state, has_left=True) == ((), RETURNED)


def test_from_ready_on_a_party_reads_its_own_parts_as_they_are() -> None:
    assert own_dispositions((RETURNED, IN_MEDIATION), State.READY, has_left=False) == (
        (RETURNED, IN_MEDIATION),
        IN_MEDIATION,
    )
    assert own_dispositions((), None, has_left=False) == ((), Disposition.RECEIVED)


def test_there_is_a_part_for_each_complainant_with_each_officer() -> None:
    people = (officer(KIM), complainant(ROSA), officer(LEE), complainant(ELIA))
    assert set(parts.pairs_of(people)) == {(ROSA, KIM), (ROSA, LEE), (ELIA, KIM), (ELIA, LEE)}
    assert list(parts.pairs_of((complainant(ROSA),))) == list(parts.pairs_of((officer(KIM),))) == []


def test_only_open_parts_are_returned() -> None:
    some = (part(ROSA, KIM), part(ROSA, LEE, MEDIATED), part(ELIA, KIM, RETURNED), part(ELIA, LEE))
    assert parts.returned(some) == (
        events.PartReturned(complainant_id=ROSA, officer_id=KIM),
        events.PartReturned(complainant_id=ELIA, officer_id=LEE),
    )
    assert parts.returned(some, LEE) == (events.PartReturned(complainant_id=ELIA, officer_id=LEE),)
    assert parts.returned(some, STRANGER) == ()
    assert parts.after_returning(some, LEE) == (*some[:3], part(ELIA, LEE, RETURNED))
    assert parts.after_returning(some, STRANGER) == some
