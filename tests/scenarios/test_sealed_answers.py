"""Answers are sealed: what one party answered is nothing that another party can find out before the case is ready.

The same story is told up to one answer, and from there in several worlds: the party agreed, declined, has not answered,
withdrew or could not be reached. Everybody else asks everything there is to ask, in each world. Every answer must be
the same to the byte, headers included; only identities that came into being after the worlds parted are numbered.
What a role may not ask at all is refused before anything is read (tests/routers/test_matrix.py), and is not asked here.
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
from tests.conftest import RolledBackDatabase
from tests.scenarios.conftest import Begun, Fork, once

from mediation_api.database.tables import consents
from mediation_api.dev.office import Answer, Caller, Office, Story
from mediation_api.domain.access import Role
from mediation_api.http.idempotency import entity_tag
from mediation_api.main import OPERATIONS

Turn: TypeAlias = Callable[[Story], Awaitable[object]]

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
CURSOR = re.compile(r'(?<="next_cursor":")[^"]*|(?<="cursor":")[^"]*|(?<=cursor=)[\w-]*')


@dataclass(frozen=True, slots=True)
class Worlds:
    """The worlds that part with what somebody does, each by its name; time passes alike in all of them."""

    turns: Mapping[str, Turn]
    through: tuple[Caller, ...] = ()
    """The parties with whom they part, after whom is asked."""


@dataclass(slots=True)
class Observer:
    """Somebody who asks everything that there is to ask, and writes down every byte of the answers."""

    who: Caller
    story: Story
    through: tuple[Caller, ...]
    known: frozenset[str]
    """Identities from before the worlds parted; they are compared as they are."""
    seen: list[str] = field(default_factory=list)
    numbers: dict[str, str] = field(default_factory=dict)
    quotas: dict[str, int] = field(default_factory=dict)
    """What everybody who watches has left of it."""

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
        found, token = re.search(r";r=([0-9]+);", response.headers.get("ratelimit", "")), str(self.who.token)
        if found:
            assert self.quotas.get(token) in {None, int(found[1]) + 1}
            self.quotas[token] = int(found[1])

    def _comparable(self, found: re.Match[str]) -> str:
        name = found.group()
        return name if name in self.known else self.numbers.setdefault(name, f"<id {len(self.numbers)}>")

    @property
    def role(self) -> Role:
        return Role.COMPLAINANT if self.who.identity is None else self.who.identity[0]

    async def look(self) -> Answer:
        """Read everything that might tell, and what of others is not found. Gives the case as it is shown.

        Of a list and what stands in it, the list: both show the same (test_audiences.py).
        """
        story, complaint = self.story, f"/v1/complaints/{self.story.complaint_id}"
        parts = ("consents", "withdrawals", "agreements")
        pages = [
            ("getCase", story.path),
            ("getReadiness", f"{story.path}/readiness"),
            *((f"list{part.title()}", f"{story.path}/{part}") for part in parts),
            ("listCases", f"/v1/cases?complaint_id={story.complaint_id}"),
            ("listSessions", f"/v1/sessions?case_id={story.case_id}"),
            ("listComplaints", "/v1/complaints"),
            ("listParties", f"{complaint}/parties") if self.role is Role.COMPLAINANT else self._party(self.who),
            *map(self._party, self.through),
        ]
        allowed = [path for operation, path in pages if self.role in OPERATIONS[operation].access]
        (case, *_) = [await self.ask("GET", path) for path in allowed]
        await self.walk(f"{story.path}/timeline")
        await self.walk(f"{story.path}/access-log")
        shown: Answer = case.json()
        return shown

    @staticmethod
    def _party(party: Caller) -> tuple[str, str]:
        return "getParty", f"/v1/parties/{party.party_id}"

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
        answer = {"decision": "declined", "disclosure_sha256": shown}
        await self.ask("POST", f"{story.path}/consents", answer)
        for other in self.through:
            await self.ask("POST", f"{story.path}/consents", {**answer, "party_id": other.party_id})
            await self.ask("POST", f"{story.path}/withdrawals", {"party_id": other.party_id})
        if story.agreement:
            signature = {"sha256": story.agreement["sha256"]}
            await self.ask("POST", f"/v1/agreements/{story.agreement['id']}/signatures", signature)

    async def look_and_try(self) -> None:
        await self.look()
        await self.try_what_is_refused()


Watching: TypeAlias = Callable[[Observer], Awaitable[object]]


async def identities(story: Story) -> frozenset[str]:
    """Every identity in this story so far: of the case, its complaint, its people, its papers and its events."""
    office = story.office.coordinator
    paths = [story.path, *(f"{story.path}/{part}" for part in ("timeline?limit=100", "agreements"))]
    texts = [(await office.send("GET", path)).text for path in paths]
    return frozenset(UUID.findall(" ".join(texts)))


def answers_of(who: Caller) -> Worlds:
    """The worlds that part with what `who` does."""

    async def agrees(story: Story) -> None:
        await story.answer(who)

    async def declines(story: Story) -> None:
        await story.answer(who, "declined")

    async def says_nothing(story: Story) -> None:
        await story.case()

    async def withdraws(story: Story) -> None:
        await story.withdraw(who)

    async def is_not_reached(story: Story) -> None:
        await tried_in_no_time(story, who)
        lapse = {"reason": "unreachable", "party_id": who.party_id}
        await story.office.coordinator.post(f"{story.path}/lapses", lapse)

    turns = {
        "agreed": agrees,
        "declined": declines,
        "not answered": says_nothing,
        "withdrew": withdraws,
        "not reached": is_not_reached,
    }
    return Worlds(turns, through=(who,))


def ways_out(who: Caller) -> Mapping[str, Turn]:
    """The worlds in which `who` leaves, by itself and through the office."""

    async def withdraws_by_phone(story: Story) -> None:
        said = {"party_id": who.party_id, "channel": "phone"}
        await story.office.intake.post(f"{story.path}/withdrawals", said)

    return {**answers_of(who).turns, "withdrew by phone": withdraws_by_phone}


async def assert_alike(story: Story, worlds: Worlds, fork: Fork, *watched: tuple[Caller, Watching]) -> None:
    """Tell the story in each of `worlds`, and hold what each watcher sees in it against the first, answer by answer.

    Watchers do not see each other: what one of them does is undone before the next one looks.
    """
    await story.office.shown_disclosure()
    known = await identities(story)
    first, expected = "", list[list[str]]()
    for name, turn in worlds.turns.items():
        async with fork():
            quotas: dict[str, int] = {}
            observers = [Observer(who, story, worlds.through, known, quotas=quotas) for who, _ in watched]
            for observer in observers:
                await observer.ask("GET", story.path)
            await turn(story)
            for observer, (_, watching) in zip(observers, watched, strict=True):
                async with fork():
                    await watching(observer)
        seen = [observer.seen for observer in observers]
        if not expected:
            first, expected = name, seen
        for before, after in zip(expected, seen, strict=True):
            _assert_the_same(before, after, f"{first} and {name} can be told apart")
    assert all(expected)
    assert expected


def _assert_the_same(expected: list[str], seen: list[str], otherwise: str) -> None:
    for before, after in zip(expected, seen, strict=True):
        difference = "\n".join(ndiff(before.splitlines(), after.splitlines())) if after != before else ""
        assert not difference, f"{otherwise}:\n{difference}"


def leaving(who: Caller, *ways: str) -> Iterator[tuple[Caller, Watching]]:
    """Watching, once one has left in each of these ways: who has left learns no more than who is still there."""
    for way in ways:
        turn = answers_of(who).turns[way]

        async def watch(observer: Observer, turn: Turn = turn) -> None:
            await turn(observer.story)
            observer.quotas.clear()  # the leaving may have been a request of its own
            await observer.try_what_is_refused()
            await observer.ask("POST", f"{observer.story.path}/withdrawals", {})
            await observer.look()

        yield who, watch


# ── while complainants are asked ───────────────────────────────────────────────────────────────────────────────────


async def _one_of_three_has_answered(office: Office) -> Story:
    story = await (await office.file(complainants=[{}, {}, {}], officers=[{}, {}])).to_confirming()
    await story.answer(story.complainants[0])
    return story


one_of_three_has_answered = once(_one_of_three_has_answered)


@pytest.mark.drawn
async def test_a_complainant_s_answer_shows_to_no_other_complainant(
    office: Office, fork: Fork, one_of_three_has_answered: Begun
) -> None:
    story = one_of_three_has_answered()
    first, watched, unanswered = story.complainants

    async def look_and_answer(observer: Observer) -> None:
        """Nothing shows before that, nor in what it is told on answering."""
        await observer.look()
        for decision in ("agreed", "declined"):
            async with fork():
                body = {"decision": decision, "disclosure_sha256": await office.shown_disclosure()}
                await observer.ask("POST", f"{story.path}/consents", body)

    watchers = [(first, Observer.look_and_try), (unanswered, look_and_answer)]
    await assert_alike(story, answers_of(watched), fork, *watchers)


@pytest.mark.drawn
async def test_one_header_that_counts_answers_would_be_seen(
    office: Office, fork: Fork, database: RolledBackDatabase, one_of_three_has_answered: Begun
) -> None:
    """The control: all else being alike, one number tells."""
    story = one_of_three_has_answered()

    async def count(response: httpx.Response) -> None:
        async with database.reading() as connection:
            counted = select(func.count()).select_from(consents)
            response.headers["X-Answers"] = str(await connection.scalar(counted))

    office.client.event_hooks["response"].append(count)
    observer, watched, _ = story.complainants
    with pytest.raises(AssertionError, match="agreed and not answered can be told apart"):
        await assert_alike(story, answers_of(watched), fork, (observer, Observer.look_and_try))


@pytest.mark.drawn
async def test_officers_who_are_not_asked_yet_see_nothing_at_all_of_complainants_answers(
    fork: Fork, one_of_three_has_answered: Begun
) -> None:
    story = one_of_three_has_answered()
    await assert_alike(story, answers_of(story.complainants[1]), fork, (story.officers[0], Observer.look_and_try))


@pytest.mark.drawn
async def test_a_complainant_who_leaves_learns_nothing_of_what_another_answered(office: Office, fork: Fork) -> None:
    """Whether the case closed with the leaving, or goes on, would tell."""
    story = await (await office.file(complainants=[{}, {}], officers=[{}, {}])).to_confirming()
    watched, watcher = story.complainants
    await assert_alike(story, answers_of(watched), fork, *leaving(watcher, "declined", "withdrew"))


# ── while officers are asked ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.drawn
async def test_an_officer_s_answer_shows_to_nobody_while_another_is_still_asked(office: Office, fork: Fork) -> None:
    story = await office.file(complainants=[{}, {}], officers=[{}, {}, {}])
    await story.to_asking()
    first, watched, unanswered = story.officers
    await story.answer(first)
    watchers = [(who, Observer.look_and_try) for who in (story.complainants[0], first)]
    await assert_alike(story, answers_of(watched), fork, *watchers, (unanswered, Observer.look))


@pytest.mark.drawn
async def test_who_leaves_while_officers_are_asked_learns_nothing_of_what_another_of_them_answered(
    office: Office, fork: Fork
) -> None:
    story = await (await office.file(complainants=[{}, {}], officers=[{}, {}])).to_asking()
    watched, officer = story.officers
    leavers = [*leaving(officer, "declined", "not reached"), *leaving(story.complainants[0], "withdrew")]
    await assert_alike(story, answers_of(watched), fork, *leavers)


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


@pytest.mark.drawn
async def test_late_officers_answers_are_sealed_also_in_a_case_that_was_scheduled_and_signed(
    office: Office, fork: Fork
) -> None:
    story = await (await office.file(complainants=[{}, {}])).to_signed()
    watched = await late_officer(story)
    await late_officer(story)
    assert await story.state() == "asking"
    watchers = [(who, Observer.look_and_try) for who in (story.complainants[0], story.officers[0])]
    await assert_alike(story, answers_of(watched), fork, *watchers, *leaving(story.complainants[0], "withdrew"))


@pytest.mark.drawn
async def test_a_late_party_is_not_told_how_far_the_case_had_come_when_it_joined(fork: Fork, ready: Begun) -> None:
    """In one world a session was called off by the joining; in the other there was none yet."""
    story = ready()

    async def none_yet(story: Story) -> None:
        for _ in range(4):  # as much time as assigning and scheduling take
            await story.case()

    async def one_called_off(story: Story) -> None:
        await story.assign()
        await story.schedule()

    seen = []
    for come_to in (none_yet, one_called_off):
        async with fork():
            now = replace(story, officers=[*story.officers])
            await come_to(now)
            newcomer = await late_officer(now)
            listed = await newcomer.get(f"{now.path}/timeline")
            seen.append([(event["kind"], event["occurred_at"]) for event in listed["items"]])  # type: ignore[attr-defined]
    assert [kind for kind, _ in seen[0]] == ["case.opened", "party.asked"]
    assert seen[0] == seen[1]


@pytest.mark.drawn
async def test_late_complainants_answers_are_sealed_also_in_a_case_that_was_ready(fork: Fork, ready: Begun) -> None:
    story = ready()
    watched = await late_complainant(story)
    await late_complainant(story)
    assert await story.state() == "confirming"
    watchers = [(who, Observer.look_and_try) for who in (story.complainants[0], story.officers[0])]
    await assert_alike(story, answers_of(watched), fork, *watchers)


# ── when a case closes without mediation ───────────────────────────────────────────────────────────────────────────


async def tried_in_no_time(story: Story, *parties: Caller) -> None:
    """The office tries to reach parties, in none of the time that the worlds are compared by."""
    now = story.office.clock.now
    await story.try_to_reach(*(who.party_id for who in parties))
    story.office.clock.advance(seconds=(now - story.office.clock.now).total_seconds())


def closes(officers: list[Caller], *ways: str) -> Worlds:
    """The worlds that part with why the case closes, and through which of two officers it does last."""

    def world(way: str) -> Turn:
        async def turn(story: Story) -> None:
            for officer in officers:
                match way:
                    case "nobody was reached" | "ended by the mediator" if officer is not officers[-1]:
                        await story.case()  # as much time goes by as where each officer leaves
                    case "nobody was reached":
                        await tried_in_no_time(story, *officers)
                        await story.lapse()
                    case "ended by the mediator":
                        await story.session("end")
                    case _:
                        await ways_out(officer)[way](story)

        return turn

    return Worlds({way: world(way) for way in ways}, through=(officers[-1],))


CLOSING = {
    "asking": ("declined", "withdrew", "withdrew by phone", "not reached", "nobody was reached"),
    "ready": ("withdrew", "withdrew by phone", "not reached", "nobody was reached"),
    "scheduled": ("withdrew", "not reached", "nobody was reached", "ended by the mediator"),
    "in_session": ("withdrew", "ended by the mediator"),
    "concluded": ("withdrew", "not reached", "nobody was reached"),
}
"""The ways in which a case closes while it is in each state."""


@pytest.mark.drawn
async def test_not_mediated_tells_a_party_neither_who_nor_why(office: Office, fork: Fork) -> None:
    story = await office.file(complainants=[{}, {}], officers=[{}, {}])

    async def watch(observer: Observer) -> None:
        case = await observer.look()
        assert case["state"] == "not_mediated"
        assert case["others"] == []
        await observer.try_what_is_refused()

    async for state in story.open_states():
        if state in CLOSING:
            await assert_alike(story, closes(story.officers, *CLOSING[state]), fork, (story.complainants[0], watch))


@pytest.mark.drawn
async def test_a_close_before_the_case_was_ready_does_not_tell_what_another_complainant_had_answered(
    office: Office, fork: Fork
) -> None:
    story = await (await office.file(complainants=[{}, {}, {}])).to_confirming()
    watcher, watched, _ = story.complainants
    await story.answer(watcher)

    async def watch(observer: Observer) -> None:
        said = {"party_id": story.officers[0].party_id, "channel": "phone"}
        await office.intake.post(f"{story.path}/withdrawals", said)
        await observer.look_and_try()

    await assert_alike(story, answers_of(watched), fork, (watcher, watch))


# ── for parties that have left ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_party_that_has_left_sees_nothing_of_how_the_others_go_on(office: Office, fork: Fork) -> None:
    story = await (await office.file(complainants=[{}, {}], officers=[{}, {}])).to_signed()
    leaver, stays = story.complainants
    await story.withdraw(leaver)

    async def nothing(_story: Story) -> None: ...

    async def another_time(story: Story) -> None:
        moved = story.booking(mode="video", place=None, link="https://video.example/room")
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
        await story.close()

    turns: Mapping[str, Turn] = {
        "nothing happened": nothing,
        "another time": another_time,
        "another text": another_text,
        "in session": in_session,
        "closed": closed,
        "mediated": mediated,
    }
    await assert_alike(story, Worlds(turns, through=(stays,)), fork, (leaver, Observer.look_and_try))


# ── cursors ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_cursor_cannot_be_read_and_so_does_not_count_what_others_did(filed: Begun) -> None:
    """The place of an event in the record of all events would tell how much happened since one last looked."""
    story = filed()
    page = await story.complainants[0].get(f"{story.path}/timeline?limit=1")
    cursor = str(page["next_cursor"])
    inside = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    for start in range(len(inside)):
        with suppress(ValueError):  # a last octet may be a digit by chance; a place is a list
            assert not isinstance(json.loads(inside[start:]), list)


async def test_asking_again_after_leaving_does_not_tell_what_another_complainant_answered(
    office: Office, fork: Fork
) -> None:
    story = await (await office.file(complainants=[{}, {}])).to_confirming()
    leaver, other = story.complainants
    await story.answer(leaver, "declined")
    for decision in ("agreed", "declined"):
        async with fork():
            await story.answer(other, decision)
            refused = await leaver.post(f"/v1/complaints/{story.complaint_id}/mediation-requests", None, 409)
            assert refused["code"] == "party-left"


async def test_a_complainant_alone_may_ask_again_after_leaving(confirming: Begun) -> None:
    story = confirming()
    await story.answer(story.complainants[0], "declined")
    await story.complainants[0].post(f"/v1/complaints/{story.complaint_id}/mediation-requests")


@pytest.mark.drawn
async def test_nothing_is_ready_in_a_case_that_has_closed(office: Office, ready: Begun) -> None:
    story = ready()
    await story.withdraw(story.complainants[0])
    readiness = await office.coordinator.get(f"{story.path}/readiness")
    for gate in ("scheduling", "starting"):
        shown = readiness[gate]
        assert isinstance(shown, dict)
        assert shown["open"] is False
        assert [condition["code"] for condition in shown["missing"]] == ["case-closed"]
