"""Who may speak for whom, through which channel, and who of the complainants files. No database, no clock."""

from datetime import date, timedelta
from typing import Final

import pytest
from tests.domain.cases import COORDINATOR, DIRECTOR, INTAKE, MEDIATING, TODAY, pointed_at

from mediation_api.domain.access import ANYBODY, Actor, Role
from mediation_api.domain.authority import (
    ApprovalSource,
    channel_of,
    filer,
    filing_channel,
    require_other_than,
    require_own_mail,
)
from mediation_api.domain.errors import DirectorRequired, Invalid, SecondPersonRequired
from mediation_api.domain.values import STAFF_CHANNELS, Approver, Channel, Side

ROSA: Final = Actor(Role.COMPLAINANT, "rosa")
KIM: Final = Actor(Role.OFFICER, "kim", employee_number="4711")
SYSTEM: Final = Actor(Role.INTEGRATION, "intake-system")
STAFF: Final = (INTAKE, COORDINATOR, DIRECTOR)


def refused_channel(said: Channel | None, by: Actor) -> str:
    with pytest.raises(Invalid) as caught:
        channel_of(said, by=by)
    pointer, rule = pointed_at(caught.value)
    assert pointer == "/channel"
    return rule


@pytest.mark.parametrize("party", [ROSA, KIM])
def test_a_party_comes_through_the_portal_and_by_no_other_way(party: Actor) -> None:
    assert {channel_of(said, by=party) for said in (None, Channel.PORTAL)} == {Channel.PORTAL}
    for said in set(Channel) - {Channel.PORTAL}:
        assert refused_channel(said, party) == "staff-only"


def test_a_mediator_records_what_is_said_in_a_session() -> None:
    assert {channel_of(said, by=MEDIATING) for said in (None, Channel.SESSION)} == {Channel.SESSION}
    for said in set(Channel) - {Channel.SESSION}:
        assert refused_channel(said, MEDIATING) == "not-your-channel"


@pytest.mark.parametrize("staff", STAFF)
def test_staff_say_how_it_reached_them(staff: Actor) -> None:
    assert {channel_of(said, by=staff) for said in STAFF_CHANNELS} == STAFF_CHANNELS
    assert refused_channel(None, staff) == "required"
    for said in set(Channel) - STAFF_CHANNELS:
        assert refused_channel(said, staff) == "not-your-channel"


def test_nothing_reaches_staff_by_what_somebody_else_does_itself() -> None:
    assert set(Channel) - STAFF_CHANNELS == {Channel.PORTAL, Channel.INTEGRATION, Channel.SESSION}


@pytest.mark.parametrize(("by", "own"), [(ANYBODY, Channel.PORTAL), (SYSTEM, Channel.INTEGRATION)])
def test_the_channel_of_a_complaint_follows_from_who_files_it(by: Actor, own: Channel) -> None:
    assert {filing_channel(said, by=by) for said in (None, own)} == {own}
    for said in set(Channel) - {own}:
        with pytest.raises(Invalid) as caught:
            filing_channel(said, by=by)
        assert pointed_at(caught.value) == ("/channel", "staff-only")


@pytest.mark.parametrize("staff", STAFF)
def test_staff_say_how_a_complaint_reached_them(staff: Actor) -> None:
    assert {filing_channel(said, by=staff) for said in STAFF_CHANNELS} == STAFF_CHANNELS
    for said, rule in ((None, "required"), (Channel.PORTAL, "not-your-channel")):
        with pytest.raises(Invalid) as caught:
            filing_channel(said, by=staff)
        assert pointed_at(caught.value) == ("/channel", rule)


# ── who files ──────────────────────────────────────────────────────────────────────────────────────────────────────

ONE: Final = (Side.OFFICER, Side.COMPLAINANT)
TWO: Final = (Side.COMPLAINANT, Side.OFFICER, Side.COMPLAINANT)


def files(sides: tuple[Side, ...], *said: int | None, by: Actor = ANYBODY) -> int | None:
    return filer(sides, said[0] if said else None, is_set=bool(said), by=by)


def test_the_only_complainant_is_who_files() -> None:
    assert files(ONE) == 1


def test_of_several_it_is_said_which() -> None:
    with pytest.raises(Invalid) as caught:
        files(TWO)
    assert pointed_at(caught.value) == ("/filed_by", "required")
    assert [files(TWO, said) for said in (0, 2)] == [0, 2]


@pytest.mark.parametrize("by", [ANYBODY, SYSTEM, *STAFF])
def test_who_files_is_a_complainant_or_somebody_who_gets_no_code(by: Actor) -> None:
    assert files(TWO, None, by=by) is None
    assert files(TWO, 2, by=by) == 2
    for wrong in (1, 3):
        with pytest.raises(Invalid) as caught:
            files(TWO, wrong, by=by)
        assert pointed_at(caught.value) == ("/filed_by", "complainants-only")


@pytest.mark.parametrize("by", [SYSTEM, *STAFF])
@pytest.mark.parametrize("sides", [ONE, TWO])
def test_whoever_files_for_others_is_none_of_them_unless_they_say_so(sides: tuple[Side, ...], by: Actor) -> None:
    assert files(sides, by=by) is None


# ── approvals ──────────────────────────────────────────────────────────────────────────────────────────────────────

OTHERS: Final = sorted(set(Approver) - {Approver.DIRECTOR})


def fits(approver: Approver, given: ApprovalSource, by: Actor = INTAKE) -> None:
    given.require_fit(approver, by=by, today=TODAY)


def given(
    by: str | None = "Capt. Jo Reyes", on: date | None = TODAY, channel: Channel | None = Channel.EMAIL
) -> ApprovalSource:
    return ApprovalSource(by=by, on=on, channel=channel)


def test_a_director_approves_by_their_own_token_and_says_no_more() -> None:
    fits(Approver.DIRECTOR, ApprovalSource(), DIRECTOR)
    for by in (INTAKE, COORDINATOR):
        with pytest.raises(DirectorRequired):
            fits(Approver.DIRECTOR, ApprovalSource(), by)
    told = {
        "/given_by": given(on=None, channel=None),
        "/given_on": given(None, channel=None),
        "/channel": given(None, None),
    }
    for pointer, of_another in told.items():
        with pytest.raises(Invalid) as caught:
            fits(Approver.DIRECTOR, of_another, DIRECTOR)
        assert pointed_at(caught.value) == (pointer, "not-for-director")


@pytest.mark.parametrize("approver", OTHERS)
@pytest.mark.parametrize("by", STAFF)
def test_of_another_approver_it_is_said_who_gave_it_when_and_how(approver: Approver, by: Actor) -> None:
    fits(approver, given(), by)
    fits(approver, given(on=TODAY - timedelta(days=9)), by)
    wrong = {
        ("/given_by", "required"): given(by=None),
        ("/given_on", "required"): given(on=None),
        ("/channel", "required"): given(channel=None),
        ("/channel", "not-your-channel"): given(channel=Channel.PORTAL),
        ("/given_on", "in-the-future"): given(on=TODAY + timedelta(days=1)),
    }
    for refused, of_another in wrong.items():
        with pytest.raises(Invalid) as caught:
            fits(approver, of_another, by)
        assert pointed_at(caught.value) == refused


# ── own affairs ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_staff_do_not_decide_about_themselves_as_a_mediator() -> None:
    for role in (Role.COORDINATOR, Role.DIRECTOR):
        with pytest.raises(SecondPersonRequired):
            require_other_than(MEDIATING.subject, by=Actor(role, MEDIATING.subject))
    require_other_than(MEDIATING.subject, by=COORDINATOR)
    require_other_than(MEDIATING.subject, by=MEDIATING)


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.PUBLIC}))
def test_whoever_files_in_public_allows_mail_to_themselves_alone(role: Role) -> None:
    require_own_mail([False, True], 1, by=ANYBODY)
    require_own_mail([False, False], None, by=ANYBODY)
    for files in (0, None):
        with pytest.raises(Invalid) as refused:
            require_own_mail([False, True], files, by=ANYBODY)
        assert pointed_at(refused.value) == ("/parties/1/email_allowed", "staff-only")
    require_own_mail([True, True], None, by=Actor(role, "somebody"))
