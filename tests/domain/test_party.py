"""Who a party is: what may be corrected before and after it was asked, and what no longer stands afterwards."""

from dataclasses import replace
from typing import Final

import pytest
from tests.domain.cases import COORDINATOR, KIM, NEW, ROSA, officer, pointed_at

from mediation_api.domain import events
from mediation_api.domain.access import Actor, Role
from mediation_api.domain.errors import IdentityFixed, IdentityNotBound, Invalid, PartMediated, PartyRemoved
from mediation_api.domain.party import Correction, Party, bind
from mediation_api.domain.values import Channel, NameCorrection, RemovalReason, Side, VoidReason

OFFICER: Final = Party(party_id=KIM, side=Side.OFFICER, name="Kim Lee", employee_number="4711")
MINOR: Final = Party(
    party_id=ROSA,
    side=Side.COMPLAINANT,
    name="Rosa Alvarez",
    minor=True,
    guardian_name="Ana Alvarez",
    guardian_relation="parent",
)
SPELLING: Final = NameCorrection.SPELLING


def asked(party: Party) -> Party:
    return replace(party, asked=True)


def nothing_more(name_correction: NameCorrection | None = None, voids: VoidReason | None = None) -> Correction:
    return Correction(name_correction=name_correction, voids=voids)


# ── identity ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("change", [{"employee_number": "4712"}, {"employee_number": None}, {"name": "Lee Park"}])
def test_who_was_asked_cannot_become_somebody_else(change: dict[str, object]) -> None:
    with pytest.raises(IdentityFixed):
        asked(OFFICER).correct(change, None)


@pytest.mark.parametrize("reason", list(NameCorrection))
def test_no_reason_for_a_name_gives_who_was_asked_another_number(reason: NameCorrection) -> None:
    with pytest.raises(IdentityFixed):
        asked(OFFICER).correct({"name": "Kim Li", "employee_number": "4712"}, reason)


def test_a_number_is_not_given_later_to_who_was_asked_without_one() -> None:
    with pytest.raises(IdentityFixed):
        asked(replace(OFFICER, employee_number=None)).correct({"employee_number": "4711"}, None)


def test_before_anybody_was_asked_all_is_corrected() -> None:
    changes = {"name": "Lee Park", "employee_number": "4712"}
    assert OFFICER.correct(changes, None) == nothing_more()


def test_what_stays_as_it_is_and_what_is_no_identity_are_corrected_at_any_time() -> None:
    changes = {"name": "Kim Lee", "employee_number": "47-11", "unit": "East", "phone": "503-555-0100"}
    assert asked(OFFICER).correct(changes, None) == nothing_more()


@pytest.mark.parametrize("reason", list(NameCorrection))
@pytest.mark.parametrize("party", [OFFICER, asked(OFFICER)])
def test_the_spelling_of_a_name_is_corrected_with_a_reason_and_said_so(party: Party, reason: NameCorrection) -> None:
    assert party.correct({"name": "Kim Li"}, reason) == nothing_more(reason)


def test_a_reason_for_a_name_that_stays_says_nothing() -> None:
    assert asked(OFFICER).correct({"name": "Kim Lee"}, SPELLING) == nothing_more()


def test_a_reason_for_a_name_comes_with_a_name() -> None:
    with pytest.raises(Invalid) as caught:
        OFFICER.correct({"unit": "East"}, SPELLING)
    assert pointed_at(caught.value) == ("/name_correction_reason", "only-with-name")


# ── what a consent rested on ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "change",
    [
        {"guardian_name": "Luis Alvarez"},
        {"guardian_relation": "legal guardian"},
        {"guardian_name": None, "guardian_relation": None},
    ],
)
@pytest.mark.parametrize("party", [MINOR, asked(MINOR), replace(MINOR, minor=False)])
def test_another_guardian_or_none_voids_what_was_agreed_with_the_one_before(
    party: Party, change: dict[str, object]
) -> None:
    assert party.correct(change, None) == nothing_more(voids=VoidReason.GUARDIAN_CHANGED)


def test_a_guardian_who_is_only_spelt_or_reached_differently_voids_nothing() -> None:
    spelt = {"guardian_name": "Anna Alvarez", "guardian_phone": "503-555-0100"}
    assert asked(MINOR).correct(spelt, SPELLING) == nothing_more(SPELLING)
    reached = {"guardian_name": "Ana Alvarez", "guardian_phone": "503-555-0100"}
    assert asked(MINOR).correct(reached, None).voids is None


def test_a_first_guardian_voids_nothing() -> None:
    without = replace(MINOR, guardian_name=None, guardian_relation=None)
    assert without.correct({"guardian_name": "Ana Alvarez", "guardian_relation": "parent"}, None).voids is None


def test_who_is_found_to_be_a_minor_has_not_agreed() -> None:
    adult = replace(MINOR, minor=False)
    assert adult.correct({"minor": True}, None).voids is VoidReason.FOUND_MINOR
    both = {"minor": True, "guardian_name": "Luis Alvarez"}
    assert adult.correct(both, None).voids is VoidReason.FOUND_MINOR


def test_who_was_known_to_be_a_minor_or_is_none_after_all_has_agreed() -> None:
    assert MINOR.correct({"minor": True}, None).voids is None
    assert MINOR.correct({"minor": False}, None).voids is None


# ── removal ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("reason", list(RemovalReason))
def test_the_wrong_party_is_removed_with_a_reason(reason: RemovalReason) -> None:
    assert asked(OFFICER).remove(reason) == events.PartyRemoved(party_id=KIM, side=Side.OFFICER, reason=reason)


def test_whoever_met_the_other_side_is_not_removed() -> None:
    with pytest.raises(PartMediated):
        replace(OFFICER, mediated=True).remove(RemovalReason.WRONG_PERSON)


def test_of_a_party_that_was_removed_nothing_more_is_decided() -> None:
    gone = replace(OFFICER, removed=True, identity_bound=True)
    with pytest.raises(PartyRemoved):
        gone.remove(RemovalReason.DUPLICATE)
    with pytest.raises(PartyRemoved):
        gone.correct({"unit": "East"}, None)
    with pytest.raises(PartyRemoved):
        gone.release_identity()


# ── number and subject ─────────────────────────────────────────────────────────────────────────────────────────────

HERSELF: Final = Actor(Role.OFFICER, "k.lee", employee_number="4711")
LEFT: Final = events.PartyWithdrew(withdrawal_id=NEW, party_id=KIM, channel=Channel.PORTAL)


def test_the_first_answer_of_an_officer_binds_the_subject_and_later_ones_bind_nothing() -> None:
    assert bind(officer(KIM), (LEFT,), HERSELF) == (events.IdentityBound(party_id=KIM),)
    assert bind(replace(officer(KIM), identity_bound=True), (LEFT,), HERSELF) == ()


def test_what_staff_record_or_what_changes_nothing_binds_nobody() -> None:
    assert bind(officer(KIM), (LEFT,), COORDINATOR) == ()
    assert bind(officer(KIM), (), HERSELF) == ()


def test_a_subject_is_released_once() -> None:
    bound = replace(OFFICER, identity_bound=True)
    assert bound.release_identity() == events.IdentityReleased(party_id=KIM)
    with pytest.raises(IdentityNotBound):
        OFFICER.release_identity()
