"""Contact attempts, and what must be on record before somebody lapses as unreachable."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from tests.domain.cases import (
    AGREED,
    ASKED,
    AT,
    CITY,
    COORDINATOR,
    ELIA,
    KIM,
    LAPSED,
    LEE,
    NEW,
    ROSA,
    STRANGER,
    WAITING,
    agreement,
    attempts,
    case,
    complainant,
    in_session,
    officer,
    party,
    pointed_at,
)

from mediation_api.domain import contact, events
from mediation_api.domain.case import Case
from mediation_api.domain.case_children import ContactAttempt
from mediation_api.domain.contact import missing_attempts
from mediation_api.domain.errors import (
    CaseNotOpen,
    ConditionsMissing,
    Invalid,
    Missing,
    NotAsked,
    NotFound,
    PartyLeft,
    ResolutionSigned,
    StateConflict,
)
from mediation_api.domain.events import Events, Visibility
from mediation_api.domain.lifecycle import CLOSED, State
from mediation_api.domain.policy import ContactPolicy
from mediation_api.domain.values import AgreementKind, ContactChannel, ContactResult, LapseReason, Standing

PHONE, TEXT_MESSAGE, EMAIL, LETTER, IN_PERSON = ContactChannel
REACHED, NO_ANSWER, MESSAGE_LEFT, RETURNED = ContactResult


def attempt(
    *, of: UUID = ROSA, channel: ContactChannel = PHONE, result: ContactResult = NO_ANSWER, day: float = 0
) -> ContactAttempt:
    return ContactAttempt(party_id=of, channel=channel, result=result, attempted_at=AT + timedelta(days=day))


# ── recording ──────────────────────────────────────────────────────────────────────────────────────────────────────


def record(of: Case, made: ContactAttempt | None = None, *, at: datetime = AT) -> Events:
    return contact.record_attempt(of, made or attempt(), attempt_id=NEW, at=at, policy=CITY)


def test_an_attempt_is_recorded_for_the_office_alone() -> None:
    assert record(case(State.READY)) == (
        events.ContactAttempted(attempt_id=NEW, party_id=ROSA, channel=PHONE, result=NO_ANSWER, attempted_at=AT),
    )
    assert events.ContactAttempted.visibility is Visibility.STAFF


def test_an_attempt_lies_between_the_day_of_the_request_and_now() -> None:
    midnight = datetime(2026, 3, 2, 5, tzinfo=UTC)  # of the second of March in New York
    record(case(State.READY), replace(attempt(), attempted_at=midnight))
    with pytest.raises(Invalid) as early:
        record(case(State.READY), replace(attempt(), attempted_at=midnight - timedelta(microseconds=1)))
    assert pointed_at(early.value) == ("/attempted_at", "not-before-request")
    with pytest.raises(Invalid) as late:
        record(case(State.READY), replace(attempt(), attempted_at=AT + timedelta(microseconds=1)))
    assert pointed_at(late.value) == ("/attempted_at", "in-the-future")


def test_nobody_contacts_an_officer_before_a_complainant_has_agreed() -> None:
    asking = case(State.CONFIRMING, complainant(ROSA, ASKED), officer(KIM, WAITING))
    with pytest.raises(NotAsked):
        record(asking, attempt(of=KIM))
    record(asking)
    record(case(State.SCREENING, complainant(ROSA, WAITING), officer(KIM, WAITING)))
    record(case(State.ASKING, complainant(ROSA), officer(KIM, ASKED)), attempt(of=KIM))


def test_nobody_is_contacted_who_has_left_or_is_no_party_or_whose_case_is_closed() -> None:
    with pytest.raises(PartyLeft):
        record(case(State.READY, complainant(ROSA, LAPSED), complainant(ELIA), officer(KIM)))
    with pytest.raises(NotFound):
        record(case(State.READY), attempt(of=STRANGER))
    for state in CLOSED:
        with pytest.raises(CaseNotOpen):
            record(case(state))


# ── how many are enough ────────────────────────────────────────────────────────────────────────────────────────────


def so_far(condition: Missing) -> str:
    return "{counted} of {needed}".format_map(condition.values)


def missing(*made: ContactAttempt, of: UUID = ROSA) -> dict[str, str]:
    found = missing_attempts(made, of, CITY)
    assert {each.subject for each in found} <= {of}
    return {each.code: so_far(each) for each in found}


def test_three_attempts_on_two_channels_over_five_days_are_enough() -> None:
    assert missing(*attempts(ROSA)) == {}
    assert missing(attempt(), attempt(channel=EMAIL, day=1), attempt(day=5)) == {}


def test_each_condition_that_is_missing_is_named() -> None:
    assert missing() == {
        "contact-attempts-missing": "0 of 3",
        "contact-channels-missing": "0 of 2",
        "contact-days-missing": "0 of 5",
    }
    assert missing(attempt(), attempt(channel=LETTER, day=9)) == {"contact-attempts-missing": "2 of 3"}
    assert missing(*(attempt(day=day) for day in (0, 4, 9))) == {"contact-channels-missing": "1 of 2"}
    assert missing(attempt(day=4), attempt(channel=LETTER), attempt(day=2)) == {"contact-days-missing": "4 of 5"}


def test_attempts_to_reach_another_do_not_count() -> None:
    assert "contact-attempts-missing" in missing(*attempts(KIM))


def test_a_party_that_was_reached_is_tried_anew() -> None:
    before = attempts(ROSA)
    reached = attempt(result=REACHED, day=6)
    assert missing(*before, reached)["contact-attempts-missing"] == "0 of 3"
    anew = tuple(replace(each, attempted_at=each.attempted_at + timedelta(days=7)) for each in before)
    assert missing(*before, reached, *anew) == {}
    # By when it was, and not by when it was written down.
    assert missing(*anew, reached, *before) == {}
    assert missing(*anew, *before, replace(reached, attempted_at=anew[1].attempted_at)) != {}


@pytest.mark.parametrize("result", [NO_ANSWER, MESSAGE_LEFT, RETURNED])
def test_every_other_result_counts(result: ContactResult) -> None:
    assert missing(*attempts(ROSA, results=(result,) * 3)) == {}


def test_what_is_enough_is_the_citys() -> None:
    strict = replace(CITY, contact=ContactPolicy(attempts=4, channels=3, days=7))
    assert [so_far(each) for each in missing_attempts(attempts(ROSA), ROSA, strict)] == ["3 of 4", "2 of 3", "6 of 7"]


# ── lapsing ────────────────────────────────────────────────────────────────────────────────────────────────────────


def lapse(of: Case, party_id: UUID | None = None) -> Events:
    return contact.lapse(of, LapseReason.UNREACHABLE, party_id, policy=CITY, by=COORDINATOR)


def test_nobody_lapses_as_unreachable_whom_nobody_tried_to_reach() -> None:
    with pytest.raises(ConditionsMissing) as refused:
        lapse(case(State.READY), ROSA)
    assert [each.code for each in refused.value.missing] == [
        "contact-attempts-missing",
        "contact-channels-missing",
        "contact-days-missing",
    ]
    assert {each.subject for each in refused.value.missing} == {ROSA}


def test_a_case_lapses_when_everybody_of_one_side_is_unreachable() -> None:
    here = case(State.ASKING, complainant(ROSA), officer(KIM, ASKED), officer(LEE, ASKED))
    with pytest.raises(ConditionsMissing) as refused:
        lapse(replace(here, contact_attempts=attempts(KIM)))
    assert {each.subject for each in refused.value.missing} == {ROSA, LEE}
    assert lapse(replace(here, contact_attempts=attempts(KIM, LEE)))[-1].kind == "case.closed"
    assert lapse(replace(here, contact_attempts=attempts(ROSA)))[-1].kind == "case.closed"


def test_a_side_that_nobody_is_left_on_is_no_side_that_cannot_be_reached() -> None:
    here = case(State.SCREENING, complainant(ROSA, WAITING))
    with pytest.raises(ConditionsMissing):
        lapse(here)
    assert lapse(replace(here, contact_attempts=attempts(ROSA)))[-1].kind == "case.closed"


@pytest.mark.parametrize("who", [ROSA, None])
def test_nobody_who_sits_in_a_session_is_unreachable(who: UUID | None) -> None:
    with pytest.raises(StateConflict):
        lapse(replace(in_session(), contact_attempts=attempts(ROSA, KIM)), who)


@pytest.mark.parametrize("who", [ROSA, KIM, None])
def test_silence_does_not_undo_a_resolution_that_somebody_signed(who: UUID | None) -> None:
    text = agreement(party(ROSA), kind=AgreementKind.RESOLUTION)
    here = replace(case(State.CONCLUDED), contact_attempts=attempts(ROSA, KIM))
    with pytest.raises(ResolutionSigned):
        lapse(replace(here, agreements=(text,)), who)
    for unsigned in (replace(text, signed_by=frozenset()), replace(text, superseded=True)):
        assert lapse(replace(here, agreements=(unsigned,)), who)[-1].kind == "case.closed"


def test_those_who_have_left_need_no_attempts() -> None:
    here = case(State.READY, complainant(ROSA), complainant(ELIA, Standing.WITHDRAWN), officer(KIM, AGREED))
    assert lapse(replace(here, contact_attempts=attempts(ROSA)))[-1].kind == "case.closed"
