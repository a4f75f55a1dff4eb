"""Who a party is: what may be corrected before and after it was asked, and what no longer stands afterwards."""

from dataclasses import replace
from typing import Final

import pytest
from tests.domain.cases import KIM, ROSA, pointed_at

from mediation_api.domain import events
from mediation_api.domain.access_codes import ENTROPY_BYTES, digest, fingerprint, from_entropy
from mediation_api.domain.errors import (
    DataErased,
    IdentityFixed,
    IdentityNotBound,
    Invalid,
    LimitReached,
    OfficerHasNoCode,
    PartAlreadyMediated,
    PartyAlreadyRemoved,
)
from mediation_api.domain.on_file import NEW_PARTY
from mediation_api.domain.party import Correction, Party, add, permission_to_write
from mediation_api.domain.values import MOST_PARTIES, NameCorrection, RemovalReason, Side, VoidReason

OFFICER: Final = Party(party_id=KIM, side=Side.OFFICER, name="Kim Lee", employee_number="4711", on_file=NEW_PARTY)
MINOR: Final = Party(
    party_id=ROSA,
    side=Side.COMPLAINANT,
    name="Rosa Alvarez",
    on_file=NEW_PARTY,
    minor=True,
    guardian_name="Ana Alvarez",
    guardian_relation="parent",
)
SPELLING: Final = NameCorrection.SPELLING


def asked(party: Party) -> Party:
    return replace(party, asked=True)


def comes_to(of: Correction) -> tuple[NameCorrection | None, VoidReason | None]:
    """Why a name was corrected, and why a consent no longer stands; that it was corrected is recorded in any case."""
    corrected, *names = of.events
    assert isinstance(corrected, events.PartyCorrected)
    reasons = [each.reason for each in names if isinstance(each, events.NameCorrected)]
    return (reasons[0] if reasons else None), of.voids


@pytest.mark.parametrize("changed", ["email", "safe_contact"])
def test_another_address_or_way_of_safe_contact_ends_the_permission_to_write(changed: str) -> None:
    assert permission_to_write({changed: "new", "phone": "503-555-0100"}) == {"email_allowed": False}
    assert permission_to_write({"phone": "503-555-0100", "language": "es"}) == {}


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
    assert comes_to(OFFICER.correct(changes, None)) == (None, None)


def test_what_stays_as_it_is_and_what_is_no_identity_are_corrected_at_any_time() -> None:
    changes = {"name": "Kim Lee", "employee_number": "47-11", "unit": "East", "phone": "503-555-0100"}
    assert comes_to(asked(OFFICER).correct(changes, None)) == (None, None)


@pytest.mark.parametrize("reason", list(NameCorrection))
@pytest.mark.parametrize("party", [OFFICER, asked(OFFICER)])
def test_the_spelling_of_a_name_is_corrected_with_a_reason_and_said_so(party: Party, reason: NameCorrection) -> None:
    assert comes_to(party.correct({"name": "Kim Li"}, reason)) == (reason, None)


def test_a_reason_for_a_name_that_stays_says_nothing() -> None:
    assert comes_to(asked(OFFICER).correct({"name": "Kim Lee"}, SPELLING)) == (None, None)


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
    assert comes_to(party.correct(change, None)) == (None, VoidReason.GUARDIAN_CHANGED)


def test_a_guardian_who_is_only_spelt_or_reached_differently_voids_nothing() -> None:
    spelt = {"guardian_name": "Anna Alvarez", "guardian_phone": "503-555-0100"}
    assert comes_to(asked(MINOR).correct(spelt, SPELLING)) == (SPELLING, None)
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
    with pytest.raises(PartAlreadyMediated):
        replace(OFFICER, mediated=True).remove(RemovalReason.WRONG_PERSON)


def test_without_changes_nothing_happens_and_a_reason_is_refused() -> None:
    for party in (OFFICER, replace(OFFICER, name=""), replace(OFFICER, removed=True)):
        assert party.correct({}, None).events == ()
    with pytest.raises(Invalid):
        OFFICER.correct({}, SPELLING)


def test_of_a_party_that_was_removed_nothing_more_is_decided() -> None:
    gone = replace(OFFICER, removed=True, identity_bound=True)
    with pytest.raises(PartyAlreadyRemoved):
        gone.remove(RemovalReason.DUPLICATE)
    with pytest.raises(PartyAlreadyRemoved):
        gone.correct({"unit": "East"}, None)
    with pytest.raises(PartyAlreadyRemoved):
        gone.release_identity()


# ── number and subject ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_correction_records_names_of_fields_and_what_is_on_file_after_it() -> None:
    changes = {"phone": "503-555-0100", "language": "es"}
    assert OFFICER.correct(changes, None).events == (
        events.PartyCorrected(
            party_id=KIM,
            changed=("language", "phone"),
            on_file=replace(NEW_PARTY, language="es", filled=("phone",)),
            values=changes,
        ),
    )


# ── access codes ───────────────────────────────────────────────────────────────────────────────────────────────────

CODE: Final = from_entropy(bytes(ENTROPY_BYTES))
KEY: Final = b"k" * 32


def test_a_complainant_is_given_an_access_code_of_which_a_hash_is_kept() -> None:
    kept = digest(CODE, KEY)
    assert MINOR.issue_code(CODE, KEY) == events.AccessCodeIssued(
        party_id=ROSA, fingerprint=fingerprint(CODE.lookup, kept), lookup=CODE.lookup, digest=kept
    )


def test_nobody_else_is() -> None:
    with pytest.raises(OfficerHasNoCode):
        OFFICER.issue_code(CODE, KEY)
    with pytest.raises(PartyAlreadyRemoved):
        replace(MINOR, removed=True).issue_code(CODE, KEY)
    with pytest.raises(DataErased):
        replace(MINOR, name="").issue_code(CODE, KEY)


def test_of_a_person_who_was_erased_nothing_is_corrected() -> None:
    with pytest.raises(DataErased):
        replace(OFFICER, name="").correct({"unit": "East"}, None)


def test_a_party_is_added_with_what_is_on_file_of_it() -> None:
    values = {"name": "Kim Lee", "unit": None, "language": "en", "minor": False}
    assert add(KIM, Side.OFFICER, values, others=MOST_PARTIES - 1) == events.PartyAdded(
        party_id=KIM, side=Side.OFFICER, on_file=replace(NEW_PARTY, language="en", filled=("name",)), values=values
    )


def test_a_complaint_has_only_so_many_parties() -> None:
    with pytest.raises(LimitReached):
        add(KIM, Side.OFFICER, {"name": "Kim Lee"}, others=MOST_PARTIES)


def test_a_subject_is_released_once() -> None:
    bound = replace(OFFICER, identity_bound=True)
    assert bound.release_identity() == events.IdentityReleased(party_id=KIM)
    with pytest.raises(IdentityNotBound):
        OFFICER.release_identity()
