"""Bookings: an officer has one session at a time, and a session has a sensible hour, length and place.

The hours and the early start are the settings' defaults here: 8 to 20 o'clock in Los Angeles, one hour early.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from tests.repository.test_races import Starter, posting

from mediation_api.database.engine import Database
from mediation_api.dev.office import Answer, Office, Story
from mediation_api.settings import Settings

RACED = 8
OVERLAPS = text(
    """
    SELECT count(*) FROM sessions a JOIN participants p ON p.case_id = a.case_id AND p.side = 'officer'
    JOIN parties one ON one.id = p.party_id
    JOIN parties other ON other.employee_number_index = one.employee_number_index AND other.id <> one.id
    JOIN participants q ON q.party_id = other.id JOIN sessions b ON b.case_id = q.case_id
    WHERE a.during && b.during AND a.state IN ('scheduled', 'in_progress') AND b.state IN ('scheduled', 'in_progress')
    """
)


async def ready_with(office: Office, number: str) -> Story:
    """A case that is ready, with an officer of this number and a mediator of its own."""
    story = await (await office.file(officers=[{"employee_number": number}])).to_ready()
    await story.assign()
    return story


async def scheduled(story: Story, status: int = 201, /, **changes: object) -> Answer:
    answer = await story.office.coordinator.post(f"{story.path}/sessions", story.booking(**changes), status)
    if status == 201:
        story.session_id = str(answer["id"])
    return answer


# ── one officer, one session ───────────────────────────────────────────────────────────────────────────────────────


async def test_an_officer_is_not_booked_twice_at_one_time(office: Office) -> None:
    one, other = await ready_with(office, "D-11"), await ready_with(office, "D-11")
    await scheduled(one)
    refused = await scheduled(other, 409)
    assert refused["code"] == "officer-taken"
    assert await other.state() == "ready"
    # Nothing of the other case: neither which officer nor which session.
    assert one.session_id not in str(refused)
    assert one.officers[0].party_id not in str(refused)


async def test_an_officer_is_free_right_after_a_session_and_at_another_hour(office: Office) -> None:
    one, other = await ready_with(office, "D-12"), await ready_with(office, "D-12")
    first = await scheduled(one)
    ends = datetime.fromisoformat(str(first["ends_at"]))
    await scheduled(other, starts_at=ends.isoformat(), ends_at=(ends + timedelta(hours=1)).isoformat())


async def test_a_session_is_not_moved_to_where_its_officer_is_taken(office: Office) -> None:
    one, other = await ready_with(office, "D-13"), await ready_with(office, "D-13")
    first = await scheduled(one)
    later = datetime.fromisoformat(str(first["ends_at"])) + timedelta(hours=1)
    away = {"starts_at": later.isoformat(), "ends_at": (later + timedelta(hours=1)).isoformat()}
    await scheduled(other, **away)
    refused = await other.session("reschedule", other.booking(), 409)
    assert refused["code"] == "officer-taken"
    # Where the first one moves away, there is room.
    even_later = later + timedelta(hours=3)
    moved = {"starts_at": even_later.isoformat(), "ends_at": (even_later + timedelta(hours=1)).isoformat()}
    await one.session("reschedule", one.booking(**moved))
    await other.session("reschedule", other.booking())


async def test_a_session_is_not_moved_to_where_its_mediator_is_taken(office: Office) -> None:
    one, other = await ready_with(office, "D-15"), await (await office.file()).to_ready()
    await other.assign(one.mediator)
    first = await scheduled(one)
    later = datetime.fromisoformat(str(first["ends_at"])) + timedelta(hours=1)
    await scheduled(other, starts_at=later.isoformat(), ends_at=(later + timedelta(hours=1)).isoformat())
    refused = await other.session("reschedule", other.booking(), 409)
    assert refused["code"] == "mediator-taken"
    assert one.session_id not in str(refused)


async def _cancelled(story: Story) -> None:
    await story.session("cancel")


async def _withdrawn(story: Story) -> None:
    await story.withdraw(story.officers[0])


async def _of_a_complainant(story: Story) -> None:
    await story.withdraw(story.complainants[0])


async def _missed(story: Story) -> None:
    story.office.clock.advance(minutes=31)
    absence = {"party_id": story.officers[0].party_id, "excused": True}
    await story.session("absences", absence, 201)


async def _adjourned(story: Story) -> None:
    await story.sign_all()
    await story.session("start", {})
    await story.session("adjourn")


async def _completed(story: Story) -> None:
    await story.sign_all()
    await story.session("start", {})
    await story.session("complete")


async def _ended(story: Story) -> None:
    await story.session("end")


ENDINGS = (_cancelled, _withdrawn, _of_a_complainant, _missed, _adjourned, _completed, _ended)


@pytest.mark.drawn
@pytest.mark.parametrize("ending", ENDINGS)
async def test_an_officer_is_free_again_whatever_became_of_the_session(
    office: Office, ending: Callable[[Story], object]
) -> None:
    one, other = await ready_with(office, "D-14"), await ready_with(office, "D-14")
    held = await scheduled(one)
    times = {"starts_at": one.booking()["starts_at"], "ends_at": one.booking()["ends_at"]}
    assert (await scheduled(other, 409, **times))["code"] == "officer-taken"
    await ending(one)  # type: ignore[misc]
    now = office.clock.now
    starts_at = max(datetime.fromisoformat(str(held["starts_at"])), now + timedelta(minutes=1))
    times = {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(hours=1)).isoformat()}
    await scheduled(other, **times)


async def test_an_officer_who_left_is_free_while_the_session_goes_on_without_them(office: Office) -> None:
    two: list[dict[str, object]] = [{"employee_number": "D-15"}, {"employee_number": "D-16"}]
    one, other = await (await office.file(officers=two)).to_ready(), await ready_with(office, "D-15")
    await one.assign()
    await scheduled(one)
    assert (await scheduled(other, 409))["code"] == "officer-taken"
    await one.withdraw(one.officers[0])
    assert await one.state() == "scheduled"
    await scheduled(other)
    third = await ready_with(office, "D-16")
    assert (await scheduled(third, 409))["code"] == "officer-taken"


async def test_an_officer_without_a_number_cannot_be_checked_and_the_office_is_told(office: Office) -> None:
    story = await office.file(officers=[])
    path = f"/v1/complaints/{story.complaint_id}/parties"
    added = await office.intake.post(path, {"side": "officer", "name": "Officer without a number"})
    await story.to_asking()
    await story.answer(office.intake, party_id=added["id"], channel="phone")
    await story.assign()
    booked = await scheduled(story)
    assert booked["unchecked_officer_ids"] == [added["id"]]
    numbered = await ready_with(office, "D-17")
    assert (await scheduled(numbered))["unchecked_officer_ids"] == []


async def test_of_bookings_of_one_officer_at_one_hour_one_is_accepted(
    committed_office: Office, committed: Settings, as_owner: Callable[[Settings], Settings]
) -> None:
    """Real commits, a mediator for each; with the constraint dropped, all of them are accepted."""
    starter = Starter()
    stories = [await ready_with(committed_office, "D-18") for _ in range(RACED)]

    async def race(hours: int) -> list[int]:
        starts_at = committed_office.clock.now + timedelta(hours=hours)
        times = {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(hours=1)).isoformat()}
        bookings = [posting(committed_office.coordinator, f"{s.path}/sessions", s.booking(**times)) for s in stories]
        answers = await starter.race(*bookings)
        assert {a.json()["code"] for a in answers if a.status_code == 409} <= {"officer-taken"}
        stories[:] = [story for story, a in zip(stories, answers, strict=True) if a.status_code != 201]
        return [a.status_code for a in answers]

    for hours in (2, 4, 6):
        answers = await race(hours)
        assert sorted(answers) == [201, *[409] * (len(answers) - 1)]

    database = Database.of(as_owner(committed))
    async with database.transaction() as connection:
        assert await connection.scalar(OVERLAPS) == 0
        await connection.execute(text("ALTER TABLE session_officers DROP CONSTRAINT officer_taken"))
    answers = await race(8)
    assert answers.count(201) == len(answers) > 1
    async with database.reading() as connection:
        assert await connection.scalar(OVERLAPS) != 0
    await database.close()


# ── when, how long, and where ──────────────────────────────────────────────────────────────────────────────────────

# The clock of a test begins on Monday 2026-03-02 at noon in Los Angeles.
REFUSED: dict[str, tuple[str, int, dict[str, object], str]] = {
    "in the past": ("2026-03-02T11:00-08:00", 60, {}, "in-the-past"),
    "on a Saturday": ("2026-03-07T10:00-08:00", 60, {}, "required-off-hours"),
    "on a holiday": ("2026-05-25T10:00-07:00", 60, {}, "required-off-hours"),
    "at night": ("2026-03-04T03:00-08:00", 60, {}, "required-off-hours"),
    "into the night": ("2026-03-04T19:30-08:00", 60, {}, "required-off-hours"),
    "longer than a day": ("2026-03-04T09:00-08:00", 25 * 60, {"off_hours_reason": "room"}, "session-too-long"),
    "longer than a working day": ("2026-03-04T09:00-08:00", 481, {}, "session-too-long"),
    "shorter than a quarter of an hour": ("2026-03-04T09:00-08:00", 14, {}, "session-too-short"),
    "in person nowhere": ("2026-03-04T09:00-08:00", 60, {"place": None}, "required-in-person"),
    "by video without a link": ("2026-03-04T09:00-08:00", 60, {"mode": "video"}, "required-for-video"),
}


def times(starts_at: str, minutes: int) -> dict[str, str]:
    start = datetime.fromisoformat(starts_at)
    return {"starts_at": start.isoformat(), "ends_at": (start + timedelta(minutes=minutes)).isoformat()}


@pytest.mark.parametrize("wanted", REFUSED)
async def test_a_session_is_not_booked(office: Office, wanted: str) -> None:
    starts_at, minutes, changes, rule = REFUSED[wanted]
    story = await ready_with(office, "D-20")
    body: dict[str, object] = {
        "mode": "in_person",
        "place": "Room 4, City Hall",
        **times(starts_at, minutes),
        **changes,
    }
    refused = await office.coordinator.post(f"{story.path}/sessions", body, 422)
    assert [each["code"] for each in refused["errors"]] == [rule]  # type: ignore[attr-defined]
    # Neither is one moved there.
    await scheduled(story)
    refused = await story.session("reschedule", body, 422)
    assert [each["code"] for each in refused["errors"]] == [rule]  # type: ignore[attr-defined]


async def test_without_the_rule_a_session_is_booked_at_night(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the same booking is taken where nobody looks at the clock. Its length the database still refuses."""
    monkeypatch.setattr("mediation_api.domain.sessions.require_valid", lambda *_: None)
    story = await ready_with(office, "D-19")
    body = {"mode": "in_person", "place": "Room 4, City Hall", **times("2026-03-04T03:00-08:00", 60)}
    await office.coordinator.post(f"{story.path}/sessions", body)
    other = await ready_with(office, "D-20")
    body |= times("2026-03-04T09:00-08:00", 1)
    short = await office.coordinator.send("POST", f"{other.path}/sessions", body)
    assert short.status_code == 500


@pytest.mark.parametrize("reason", ["parties_asked", "officer_shift", "interpreter", "room"])
async def test_with_a_reason_a_session_is_at_night_or_on_a_day_off(office: Office, reason: str) -> None:
    story = await ready_with(office, "D-21")
    booked = await scheduled(story, **times("2026-03-07T22:00-08:00", 60), off_hours_reason=reason)
    assert booked["off_hours_reason"] == reason
    # It is the office's: parties read neither it nor what else was checked.
    seen = await story.officers[0].get(f"/v1/sessions/{story.session_id}")
    assert not {"off_hours_reason", "unchecked_officer_ids"} & seen.keys()


@pytest.mark.parametrize(
    "link",
    [
        "http://meet.example.org/4",
        "https://user:secret@meet.example.org",
        "https://",
        "meet.example.org",
        "javascript:1",
    ],
)
async def test_a_link_is_an_encrypted_address_without_a_user(office: Office, link: str) -> None:
    story = await ready_with(office, "D-22")
    await office.coordinator.post(f"{story.path}/sessions", story.booking(mode="video", link=link), 422)


async def test_the_link_is_shown_to_whom_the_place_is_shown(office: Office) -> None:
    story = await ready_with(office, "D-23")
    link = "https://meet.example.org/room-4?pwd=abc"
    await scheduled(story, mode="video", place=None, link=link)
    for who in (*story.everybody, office.coordinator):
        assert (await who.get(f"/v1/sessions/{story.session_id}"))["link"] == link
        assert (await who.get(story.path))["next_session"]["link"] == link  # type: ignore[index]
    await story.withdraw(story.officers[0])
    await story.officers[0].get(f"/v1/sessions/{story.session_id}", 404)


# ── held before its hour ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_session_held_long_before_its_hour_is_rescheduled_first(office: Office) -> None:
    story = await ready_with(office, "D-24")
    at = office.clock.now + timedelta(hours=3)
    await scheduled(story, starts_at=at.isoformat(), ends_at=(at + timedelta(hours=1)).isoformat())
    await story.sign_all()
    refused = await story.session("start", {}, 409)
    assert refused["code"] == "session-too-early"
    assert await story.state() == "scheduled"
    now = office.clock.now + timedelta(minutes=1)
    corrected = {"starts_at": now.isoformat(), "ends_at": (now + timedelta(hours=1)).isoformat()}
    await story.session("reschedule", story.booking(**corrected))
    started = await story.session("start", {})
    assert datetime.fromisoformat(str(started["starts_at"])) == now


async def test_a_session_starts_within_an_hour_of_its_hour(office: Office) -> None:
    story = await ready_with(office, "D-25")
    at = office.clock.now + timedelta(minutes=60, seconds=30)
    await scheduled(story, starts_at=at.isoformat(), ends_at=(at + timedelta(hours=1)).isoformat())
    await story.sign_all()
    await story.session("start", {}, 409)
    story.office.clock.advance(seconds=30)
    await story.session("start", {})
