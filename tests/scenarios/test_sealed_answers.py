"""Answers are sealed: what one party answered is nothing that another party can find out before the case is ready.

The same story is told up to one answer, and from there in several worlds: the party agreed, declined, has not answered,
withdrew or could not be reached. Everybody else asks everything there is to ask, in each world. Every answer must be
the same to the byte, headers included; only identities that came into being after the worlds parted are numbered.
"""

import base64
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from difflib import ndiff
from typing import TypeAlias

import httpx
import pytest
from sqlalchemy import func, select
from tests.build import Caller, Office, Story
from tests.conftest import RolledBackDatabase
from tests.scenarios.conftest import Fork

from mediation_api.domain.access import Role
from mediation_api.repository.tables import consents
from mediation_api.routers.retries import entity_tag

Turn: TypeAlias = Callable[[Story], Awaitable[object]]
World: TypeAlias = Mapping[str, Turn]

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
CURSOR = re.compile(r'(?<="next_cursor":")[^"]*|(?<=cursor=)[\w-]*')
NOBODY = "00000000-0000-4000-8000-000000000000"


@dataclass(slots=True)
class Observer:
    """Somebody who asks everything that there is to ask, and writes down every byte of the answers."""

    who: Caller
    story: Story
    known: frozenset[str]
    """Identities from before the worlds parted; they are compared as they are."""
    seen: list[str] = field(default_factory=list)
    numbers: dict[str, str] = field(default_factory=dict)
    quota: int | None = None

    async def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        response = await self.who.send(method, path, body)
        self.note(response)
        return response

    def note(self, response: httpx.Response) -> None:
        """Write an answer down: all but the request's own id, and what a cursor is encrypted to."""
        assert response.status_code < 500, response.request.url
        request_id = response.headers["X-Request-Id"]
        lines = [f"{response.request.method} {response.request.url.raw_path.decode()} {response.status_code}"]
        self._hold_quota(response)
        left_out = {"x-request-id", "ratelimit"}
        if response.content:  # the tag of what was shown is a hash of it, and of nothing else
            assert response.headers.get("etag") in {None, entity_tag(response.content)}
            left_out |= {"etag"}
        lines += [f"{name}: {value}" for name, value in sorted(response.headers.items()) if name not in left_out]
        text = "\n".join([*lines, response.text.replace(request_id, "<request>")])
        text = CURSOR.sub("<cursor>", text)
        self.seen.append(UUID.sub(self._comparable, text))

    def _hold_quota(self, response: httpx.Response) -> None:
        """What is left of one's quota went down by one's own request, and by nobody else's."""
        found = re.search(r";r=([0-9]+);", response.headers.get("ratelimit", ""))
        if found:
            assert self.quota in {None, int(found[1]) + 1}
            self.quota = int(found[1])

    def _comparable(self, found: re.Match[str]) -> str:
        name = found.group()
        return name if name in self.known else self.numbers.setdefault(name, f"<id {len(self.numbers)}>")

    async def look(self) -> None:
        """Read everything that might tell, and what is refused as well."""
        story = self.story
        others = [p.party_id for p in (*story.complainants, *story.officers) if p is not self.who][-2:]
        for path in (
            story.path,
            *(f"{story.path}/{part}" for part in ("readiness", "consents", "withdrawals", "agreements")),
            f"/v1/cases?complaint_id={story.complaint_id}",
            f"/v1/complaints/{story.complaint_id}",
            f"/v1/complaints/{story.complaint_id}/parties",
            "/v1/complaints",
            f"/v1/sessions?case_id={story.case_id}",
            f"/v1/sessions/{story.session_id or NOBODY}",
            f"/v1/agreements/{story.agreement.get('id', NOBODY)}",
            *(f"/v1/parties/{party_id}" for party_id in (self.who.party_id, *others)),
        ):
            await self.ask("GET", path)
        await self.ask("HEAD", story.path)
        await self.walk(f"{story.path}/timeline")
        await self.walk(f"{story.path}/readings")

    async def walk(self, path: str) -> None:
        """Read a list in small pages: its length shows, and so would what is left out of a page that is short."""
        cursor: str | None = ""
        while cursor is not None:
            response = await self.who.send("GET", path, params={"limit": 3, **({"cursor": cursor} if cursor else {})})
            response.request.url = httpx.URL(f"https://mediation.test{path}?limit=3")
            self.note(response)
            cursor = response.json().get("next_cursor")

    async def try_what_is_refused(self) -> None:
        """Try to act, where a refusal might tell: for somebody who has answered already, or has left."""
        story, shown = self.story, await self.story.office.shown_disclosure()
        others = [p.party_id for p in (*story.complainants, *story.officers) if p is not self.who][-2:]
        answer = {"decision": "declined", "disclosure_sha256": shown}
        await self.ask("POST", f"{story.path}/consents", answer)
        for party_id in others:
            await self.ask("POST", f"{story.path}/consents", {**answer, "party_id": party_id})
            await self.ask("POST", f"{story.path}/withdrawals", {"party_id": party_id})
        signature = {"sha256": story.agreement.get("sha256", "0" * 64)}
        await self.ask("POST", f"/v1/agreements/{story.agreement.get('id', NOBODY)}/signatures", signature)

    async def look_and_try(self) -> None:
        await self.look()
        await self.try_what_is_refused()


Watching: TypeAlias = Callable[[Observer], Awaitable[None]]


async def identities(story: Story) -> frozenset[str]:
    """Every identity that the office knows of in this story."""
    office = story.office.coordinator
    paths = [story.path, f"{story.path}/timeline?limit=100", f"/v1/complaints/{story.complaint_id}/parties"]
    paths += [f"{story.path}/{part}" for part in ("agreements", "consents", "withdrawals")]
    paths += ["/v1/sessions", "/v1/mediators", f"/v1/complaints/{story.complaint_id}"]
    texts = [(await office.send("GET", path)).text for path in paths]
    return frozenset(UUID.findall(" ".join(texts)))


def answers_of(who: Caller) -> World:
    """The worlds that part with what `who` does. Time passes alike in all of them."""

    async def agrees(story: Story) -> None:
        await story.answer(who)

    async def declines(story: Story) -> None:
        await story.answer(who, "declined")

    async def says_nothing(story: Story) -> None:
        await story.case()

    async def withdraws(story: Story) -> None:
        await story.withdraw(who)

    async def is_not_reached(story: Story) -> None:
        lapse = {"reason": "unreachable", "party_id": who.party_id}
        await story.office.coordinator.post(f"{story.path}/lapses", lapse)

    return {
        "agreed": agrees,
        "declined": declines,
        "not answered": says_nothing,
        "withdrew": withdraws,
        "not reached": is_not_reached,
    }


def ways_out(who: Caller) -> World:
    """The worlds in which `who` leaves, by itself and through the office."""

    async def withdraws_by_phone(story: Story) -> None:
        said = {"party_id": who.party_id, "channel": "phone"}
        await story.office.intake.post(f"{story.path}/withdrawals", said)

    return {**answers_of(who), "withdrew by phone": withdraws_by_phone}


async def assert_alike(
    story: Story, who: Caller, worlds: World, fork: Fork, watching: Watching = Observer.look_and_try
) -> None:
    """Tell the story in each of `worlds`, and hold what `who` sees in it against the first, answer by answer."""
    await story.office.shown_disclosure()
    known = await identities(story)
    first, expected = "", list[str]()
    for name, turn in worlds.items():
        async with fork():
            observer = Observer(who, story, known)
            await observer.ask("GET", story.path)
            await turn(story)
            await watching(observer)
        if not expected:
            first, expected = name, observer.seen
        for before, after in zip(expected, observer.seen, strict=True):
            difference = "\n".join(ndiff(before.splitlines(), after.splitlines()))
            assert after == before, f"{first} and {name} can be told apart:\n{difference}"
    assert expected


def leaving(who: Caller, *ways: str) -> Iterator[Watching]:
    """Watching, once one has left in each of these ways: who has left learns no more than who is still there."""
    for way in ways:
        turn = answers_of(who)[way]

        async def watch(observer: Observer, turn: Turn = turn) -> None:
            await turn(observer.story)
            observer.quota = None  # the leaving may have been a request of its own
            await observer.try_what_is_refused()
            await observer.ask("GET", observer.story.path)
            await observer.ask("POST", f"{observer.story.path}/withdrawals", {})
            await observer.look()

        yield watch


# ── while complainants are asked ───────────────────────────────────────────────────────────────────────────────────


async def test_a_complainant_s_answer_shows_to_no_other_complainant(office: Office, fork: Fork) -> None:
    story = await office.file(complainants=[{}, {}, {}], officers=[{}, {}])
    await story.to_confirming()
    first, watched, unanswered = story.complainants
    await story.answer(first)
    await assert_alike(story, first, answers_of(watched), fork)
    # Who has not answered could do so: nothing shows before that, nor in what it is told on answering.
    for decision in ("agreed", "declined"):

        async def watch(observer: Observer, decision: str = decision) -> None:
            await observer.look()
            body = {"decision": decision, "disclosure_sha256": await office.shown_disclosure()}
            await observer.ask("POST", f"{story.path}/consents", body)

        await assert_alike(story, unanswered, answers_of(watched), fork, watch)


async def test_one_header_that_counts_answers_would_be_seen(
    office: Office, fork: Fork, database: RolledBackDatabase
) -> None:
    """The control: all else being alike, one number tells."""
    story = await office.file(complainants=[{}, {}], officers=[{}])
    await story.to_confirming()

    async def count(response: httpx.Response) -> None:
        async with database.reading() as connection:
            counted = select(func.count()).select_from(consents)
            response.headers["X-Answers"] = str(await connection.scalar(counted))

    office.client.event_hooks["response"].append(count)
    observer, watched = story.complainants
    with pytest.raises(AssertionError, match="agreed and not answered can be told apart"):
        await assert_alike(story, observer, answers_of(watched), fork)


async def test_officers_who_are_not_asked_yet_see_nothing_at_all_of_complainants_answers(
    office: Office, fork: Fork
) -> None:
    story = await office.file(complainants=[{}, {}, {}])
    await story.to_confirming()
    await story.answer(story.complainants[0])
    await assert_alike(story, story.officers[0], answers_of(story.complainants[1]), fork)


async def test_a_complainant_who_leaves_learns_nothing_of_what_another_answered(office: Office, fork: Fork) -> None:
    """Whether the case closed with the leaving, or goes on, would tell."""
    story = await office.file(complainants=[{}, {}], officers=[{}, {}])
    await story.to_confirming()
    watched, watcher = story.complainants
    for watch in leaving(watcher, "declined", "withdrew"):
        await assert_alike(story, watcher, answers_of(watched), fork, watch)


# ── while officers are asked ───────────────────────────────────────────────────────────────────────────────────────


async def test_an_officer_s_answer_shows_to_nobody_while_another_is_still_asked(office: Office, fork: Fork) -> None:
    story = await office.file(complainants=[{}, {}], officers=[{}, {}, {}])
    await story.to_asking()
    first, watched, unanswered = story.officers
    await story.answer(first)
    for watcher in (story.complainants[0], first):
        await assert_alike(story, watcher, answers_of(watched), fork)
    await assert_alike(story, unanswered, answers_of(watched), fork, Observer.look)


async def test_an_officer_who_leaves_learns_nothing_of_what_another_answered(office: Office, fork: Fork) -> None:
    story = await office.file(officers=[{}, {}])
    await story.to_asking()
    watched, watcher = story.officers
    for watch in leaving(watcher, "declined", "not reached"):
        await assert_alike(story, watcher, answers_of(watched), fork, watch)


async def test_a_complainant_who_leaves_while_officers_are_asked_learns_nothing_of_their_answers(
    office: Office, fork: Fork
) -> None:
    story = await office.file(complainants=[{}, {}], officers=[{}, {}])
    await story.to_asking()
    watcher = story.complainants[0]
    for watch in leaving(watcher, "withdrew"):
        await assert_alike(story, watcher, answers_of(story.officers[0]), fork, watch)


# ── after the case was ready once ──────────────────────────────────────────────────────────────────────────────────


async def late_officer(story: Story) -> Caller:
    """An officer who is found only now."""
    number = f"late-{len(story.officers)}-{story.case_id[:8]}"
    person = {"side": "officer", "name": "Officer Noa Late", "employee_number": number}
    added = await story.office.intake.post(f"/v1/complaints/{story.complaint_id}/parties", person)
    officer = story.office.caller(Role.OFFICER, f"officer-{number}", number)
    officer.party_id = str(added["id"])
    story.officers.append(officer)
    return officer


async def late_complainant(story: Story) -> Caller:
    """Somebody who was there as well, and comes only now."""
    person = {"side": "complainant", "name": "Lena Late"}
    added = await story.office.intake.post(f"/v1/complaints/{story.complaint_id}/parties", person)
    code = await story.office.intake.post(f"/v1/parties/{added['id']}/access-codes")
    complainant = await story.office.signed_in(str(code["access_code"]))
    story.complainants.append(complainant)
    return complainant


async def test_late_officers_answers_are_sealed_also_in_a_case_that_was_scheduled_and_signed(
    office: Office, fork: Fork
) -> None:
    story = await (await office.file(complainants=[{}, {}])).to_signed()
    watched = await late_officer(story)
    await late_officer(story)
    assert await story.state() == "asking"
    for watcher in (story.complainants[0], story.officers[0]):
        await assert_alike(story, watcher, answers_of(watched), fork)
    for watch in leaving(story.complainants[0], "withdrew"):
        await assert_alike(story, story.complainants[0], answers_of(watched), fork, watch)


async def test_a_late_party_is_not_told_how_far_the_case_had_come_when_it_joined(office: Office, fork: Fork) -> None:
    """In one world a session was called off by the joining; in the other there was none yet."""
    story = await (await office.file()).to_ready()

    async def ready(story: Story) -> None:
        for _ in range(4):  # as much time as assigning and scheduling take
            await story.case()

    async def scheduled(story: Story) -> None:
        await story.assign()
        await story.schedule()

    seen = []
    for come_to in (ready, scheduled):
        async with fork():
            now = replace(story, officers=[*story.officers])
            await come_to(now)
            newcomer = await late_officer(now)
            listed = await newcomer.get(f"{now.path}/timeline")
            seen.append([(fact["kind"], fact["at"]) for fact in listed["items"]])  # type: ignore[attr-defined]
    assert [kind for kind, _ in seen[0]] == ["case.opened", "party.asked"]
    assert seen[0] == seen[1]


async def test_late_complainants_answers_are_sealed_also_in_a_case_that_was_ready(office: Office, fork: Fork) -> None:
    story = await (await office.file()).to_ready()
    watched = await late_complainant(story)
    await late_complainant(story)
    assert await story.state() == "confirming"
    for watcher in (story.complainants[0], story.officers[0]):
        await assert_alike(story, watcher, answers_of(watched), fork)


# ── when a case closes without mediation ───────────────────────────────────────────────────────────────────────────


def closes(*ways: str) -> World:
    """The worlds that part with why the case closes, and through which of two officers it does last."""

    def world(way: str) -> Turn:
        async def turn(story: Story) -> None:
            for officer in story.officers:
                match way:
                    case "nobody was reached" | "ended by the mediator" if officer is not story.officers[-1]:
                        await story.case()  # as much time goes by as where each officer leaves
                    case "nobody was reached":
                        await story.office.coordinator.post(f"{story.path}/lapses", {"reason": "unreachable"})
                    case "ended by the mediator":
                        await story.session("end")
                    case _:
                        await ways_out(officer)[way](story)

        return turn

    return {way: world(way) for way in ways}


@pytest.mark.parametrize(
    ("state", "ways"),
    [
        ("asking", ("declined", "withdrew", "withdrew by phone", "not reached", "nobody was reached")),
        ("ready", ("withdrew", "withdrew by phone", "not reached", "nobody was reached")),
        ("scheduled", ("withdrew", "not reached", "nobody was reached", "ended by the mediator")),
        ("in_session", ("withdrew", "not reached", "nobody was reached", "ended by the mediator")),
        ("concluded", ("withdrew", "not reached", "nobody was reached")),
    ],
)
async def test_not_mediated_tells_a_party_neither_who_nor_why(
    office: Office, fork: Fork, state: str, ways: tuple[str, ...]
) -> None:
    story = await office.file(complainants=[{}, {}], officers=[{}, {}])
    async for reached in story.open_states():
        if reached == state:
            break

    async def watch(observer: Observer) -> None:
        await observer.look_and_try()
        case = await observer.who.get(story.path)
        assert case["status"] == "not_mediated"
        assert case["others"] == []

    await assert_alike(story, story.complainants[0], closes(*ways), fork, watch)


async def test_a_close_before_the_case_was_ready_does_not_tell_what_another_complainant_had_answered(
    office: Office, fork: Fork
) -> None:
    story = await office.file(complainants=[{}, {}, {}])
    await story.to_confirming()
    watcher, watched, _ = story.complainants
    await story.answer(watcher)

    async def watch(observer: Observer) -> None:
        said = {"party_id": story.officers[0].party_id, "channel": "phone"}
        await office.intake.post(f"{story.path}/withdrawals", said)
        await observer.look_and_try()

    await assert_alike(story, watcher, answers_of(watched), fork, watch)


# ── for parties that have left ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_party_that_has_left_sees_nothing_of_how_the_others_go_on(office: Office, fork: Fork) -> None:
    story = await (await office.file(complainants=[{}, {}], officers=[{}, {}])).to_signed()
    leaver, stays = story.complainants
    await story.withdraw(leaver)

    async def nothing(_story: Story) -> None: ...

    async def another_time(story: Story) -> None:
        moved = story.booking(mode="video", place="https://video.example/room")
        await office.coordinator.post(f"/v1/sessions/{story.session_id}/reschedule", moved, 200)

    async def another_text(story: Story) -> None:
        again = {"kind": "confidentiality", "languages": ["es"]}
        await office.coordinator.post(f"{story.path}/agreements", again)

    async def in_session(story: Story) -> None:
        await story.session("start", {})

    async def closed(story: Story) -> None:
        await in_session(story)
        await story.withdraw(stays)

    async def mediated(story: Story) -> None:
        await in_session(story)
        await story.session("complete")
        await office.coordinator.post(f"{story.path}/closures", {"agreement_reached": True})

    worlds: World = {
        "nothing happened": nothing,
        "another time": another_time,
        "another text": another_text,
        "in session": in_session,
        "closed": closed,
        "mediated": mediated,
    }
    await assert_alike(story, leaver, worlds, fork)


# ── cursors ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_cursor_cannot_be_read_and_so_does_not_count_what_others_did(office: Office) -> None:
    """The place of a fact in the record of all facts would tell how much happened since one last looked."""
    story = await office.file()
    page = await story.complainants[0].get(f"{story.path}/timeline?limit=1")
    cursor = str(page["next_cursor"])
    inside = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    for start in range(len(inside)):
        with suppress(ValueError):  # a last octet may be a digit by chance; a place is a list
            assert not isinstance(json.loads(inside[start:]), list)


@pytest.mark.parametrize("other", ["agreed", "declined"])
async def test_asking_again_after_leaving_does_not_tell_what_another_complainant_answered(
    office: Office, other: str
) -> None:
    story = await (await office.file(complainants=[{}, {}])).to_confirming()
    await story.answer(story.complainants[0], "declined")
    await story.answer(story.complainants[1], other)
    refused = await story.complainants[0].post(f"/v1/complaints/{story.complaint_id}/mediation-requests", None, 409)
    assert refused["code"] == "party-left"


async def test_a_complainant_alone_may_ask_again_after_leaving(office: Office) -> None:
    story = await (await office.file()).to_confirming()
    await story.answer(story.complainants[0], "declined")
    await story.complainants[0].post(f"/v1/complaints/{story.complaint_id}/mediation-requests")


async def test_nothing_is_ready_in_a_case_that_has_closed(office: Office) -> None:
    story = await (await office.file()).to_ready()
    await story.withdraw(story.complainants[0])
    readiness = await office.coordinator.get(f"{story.path}/readiness")
    for gate in ("scheduling", "starting"):
        shown = readiness[gate]
        assert isinstance(shown, dict)
        assert shown["open"] is False
        assert [condition["code"] for condition in shown["missing"]] == ["case-closed"]
