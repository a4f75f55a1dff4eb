"""A busy office for the tests of row security, and which of its rows are each party's: derived here from all rows.

Nothing here reads a policy or a query of the service. `Truth` holds every row of every table; what a party owns follows
from who it is, and from the domain's own words for when those who take part see each other.
"""

import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeAlias
from uuid import UUID

from sqlalchemy import select
from tests.office.snapshots import grants

from mediation_api.database.data_keys import decrypted
from mediation_api.database.encryption import Encrypted
from mediation_api.database.engine import Database
from mediation_api.database.tables import metadata
from mediation_api.dev.office import Caller, Office, Story
from mediation_api.domain import access_codes
from mediation_api.domain.access import Actor, Role
from mediation_api.domain.events import Event, Visibility
from mediation_api.domain.lifecycle import ANSWERS_SEALED, PEERS_VISIBLE

Row: TypeAlias = Mapping[str, object]
Work: TypeAlias = Callable[[], Awaitable[object]]

SHOWN: Final = {table: granted["SELECT"].split() for table, granted in grants("mediation_party").items()}
"""Every column that the party's role can read, by the snapshot of its grants. What is not here it cannot."""

OPEN_TO_ALL: Final = {
    "disclosures": "the texts that anybody is shown; they name nobody",
    "alembic_version": "which migrations were run",
}
"""The tables without row policies, and why."""


def _person(word: str, **more: object) -> dict[str, object]:
    """Somebody whose every field is a word of its own."""
    return {
        "name": f"{word} Name",
        "phone": f"+1 503 555 01{sum(word.encode()) % 100:02}",
        "email": f"{word.lower()}@people.example",
        "email_allowed": True,
        "postal_address": f"{word} Street 1",
        "safe_contact": f"{word} is best called at night",
        "accommodations": f"{word} needs a ramp",
        **more,
    }


def _officer(word: str, number: str, **more: object) -> dict[str, object]:
    return _person(word, employee_number=number, unit=f"Unit {word}", **more)


@dataclass(slots=True)
class BusyOffice:
    """Cases in many states; one officer is in most of them."""

    office: Office
    callers: dict[str, Caller]

    @property
    def actors(self) -> dict[str, Actor]:
        """Every party, as the service knows it from its token; and some who are nobody."""
        found = {
            name: Actor(
                Role.COMPLAINANT,
                caller.party_id,
                party_id=UUID(caller.party_id),
                code=access_codes.parse_access_code(caller.access_code).lookup,
            )
            if caller.identity is None
            else Actor(Role.OFFICER, caller.identity[1], employee_number=caller.identity[2])
            for name, caller in self.callers.items()
        }
        officer = next(actor for actor in found.values() if actor.role is Role.OFFICER)
        itself = next(UUID(caller.party_id) for caller in self.callers.values() if caller.identity is not None)
        return found | {
            "an officer's id in a complainant's token": Actor(Role.COMPLAINANT, "x", party_id=itself),
            "an officer without a number": Actor(Role.OFFICER, officer.subject),
            "whoever was given a number later": Actor(Role.OFFICER, "z", employee_number=officer.employee_number),
            "nobody": Actor(Role.COMPLAINANT, "y", party_id=UUID(int=0)),
        }


async def build(office: Office, work: Work) -> BusyOffice:
    """Fill the office, over HTTP. `work` does what a worker does in the background."""
    busy = BusyOffice(office, {})
    await work()  # what happens from now on may be a reason for a mail
    await office.coordinator.post("/v1/me/calendar-feed")
    await _two_sides_that_meet(busy)
    await office.auditor.get("/v1/events")
    await _sealed(busy)
    await _over(busy)
    await _another_minor(busy)
    await office.integration.upload(b"{}")
    await work()
    await office.integration.upload(b"{}")
    await _reopened(busy)
    nobodys = access_codes.from_entropy(bytes(access_codes.ENTROPY_BYTES)).text()
    await office.public.send("POST", "/v1/access-tokens", {"access_code": nobodys})
    return busy


async def _another_minor(busy: BusyOffice) -> None:
    """Somebody whose guardian agreed as well, and who is nobody's business here."""
    guardian = {"name": "Another Guardian", "relation": "aunt", "phone": "+1 503 555 0178"}
    younger = _person("Younger", minor=True, guardian=guardian)
    story = await busy.office.file(complainants=[younger], officers=[_officer("Other", "1009")])
    await story.screen()
    await story.guardian_agrees(story.complainants[0])


def _remember(busy: BusyOffice, word: str, story: Story) -> None:
    for n, who in enumerate(story.complainants, 1):
        busy.callers[f"{word}: complainant {n}"] = who
    for n, who in enumerate(story.officers, 1):
        busy.callers[f"{word}: officer {n}"] = who


async def _opened(story: Story) -> None:
    """The office opens the case, the complaint and each party."""
    paths = [story.path, f"/v1/complaints/{story.complaint_id}"]
    for path in (*paths, *(f"/v1/parties/{who.party_id}" for who in (*story.complainants, *story.officers))):
        await story.office.director.get(path)


async def _two_sides_that_meet(busy: BusyOffice) -> None:
    office = busy.office
    guardian = {"name": "Guardian Name", "relation": "parent", "phone": "+1 503 555 0177"}
    young = _person("Young", minor=True, guardian=guardian, interpreter_language="es")
    story = await office.file(
        complainants=[_person("Alba"), young, _person("Leaver")],
        officers=[_officer("Busy", "1001"), _officer("Calm", "1002", interpreter_language="fr")],
    )
    _remember(busy, "meeting", story)
    await story.screen()
    await story.approve("internal_affairs", given_by="Capt. Approver", given_on="2026-03-01", channel="email")
    await story.guardian_agrees(story.complainants[1])
    for who in story.complainants:
        await story.answer(who)
    for who in story.officers:
        await story.answer(who)
    await story.assign()
    await story.schedule(place="Meeting Room 1")
    await office.coordinator.post(f"/v1/sessions/{story.session_id}/cancel", None, 200)
    starts_at = office.clock.now + timedelta(days=3)  # the busy officer has another session today
    times = {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(hours=1)).isoformat()}
    await story.schedule(place="Meeting Room 2", link="https://meet.example.org/2", **times)
    for name, whose, language in (
        ("Interpreter One", story.complainants[1], "es"),
        ("Interpreter Two", story.officers[1], "fr"),
        ("Interpreter All", None, "de"),
    ):
        of = {} if whose is None else {"for_party_id": whose.party_id}
        await story.expect(role="interpreter", name=name, language=language, qualified=True, **of)
    await story.make_agreement()
    for who in (story.complainants[0], story.complainants[2], story.officers[0]):
        await story.sign(who)
    await story.sign_on_paper("guardian", story.complainants[1].party_id)
    await story.withdraw(story.complainants[2])
    await story.make_agreement(languages=["en", "es"])
    await story.sign(story.officers[0])
    await _opened(story)
    await story.pause("court_date", "2026-03-04", "2026-03-05")
    await story.complainants[0].patch(f"/v1/parties/{story.complainants[0].party_id}", {"language": "es"})


async def _sealed(busy: BusyOffice) -> None:
    office = busy.office
    asking = await office.file(
        complainants=[_person("Asked")], officers=[_officer("Busy2", "1001"), _officer("Silent", "1003")]
    )
    await asking.screen()
    await _opened(asking)
    await asking.answer(asking.complainants[0])
    await _opened(asking)
    await asking.answer(asking.officers[1])
    await _opened(asking)
    await asking.try_to_reach(asking.officers[0].party_id)
    _remember(busy, "asking", asking)
    confirming = await office.file(
        complainants=[_person("Yes"), _person("Unsure")], officers=[_officer("Busy3", "1001")]
    )
    await confirming.screen()
    await confirming.answer(confirming.complainants[0])
    await _opened(confirming)
    _remember(busy, "confirming", confirming)
    unasked = await office.file(
        complainants=[_person("Early")], officers=[_officer("Busy4", "1001"), _officer("Unaware", "1004")]
    )
    await _opened(unasked)
    _remember(busy, "not asked yet", unasked)
    quiet = await office.file(complainants=[_person("Quiet")], officers=[], interested_in_mediation=False)
    _remember(busy, "no case", quiet)


async def _reopened(busy: BusyOffice) -> None:
    """One is removed, two are asked again, and one of these has answered."""
    story = await busy.office.file(
        complainants=[_person("Again"), _person("Gone")],
        officers=[_officer("Wrong", "1009"), _officer("Right", "1010")],
    )
    await story.to_signed()
    for who in (story.complainants[1], story.officers[0]):
        await story.remove(who)
    await busy.office.intake.patch(f"/v1/complaints/{story.complaint_id}", {"allegations": ["force"]})
    await story.answer(story.complainants[0])
    await _opened(story)
    _remember(busy, "reopened", story)


async def _over(busy: BusyOffice) -> None:
    office = busy.office
    mediated = await office.file(complainants=[_person("Done")], officers=[_officer("Busy5", "1001")])
    await mediated.to_in_session()
    await mediated.session("complete")
    assert mediated.mediator is not None
    report_id = await mediated.report(mediated.mediator, agency="Agency that was told")
    await office.director.get(f"/v1/mandatory-reports/{report_id}")
    await office.director.post(f"/v1/complaints/{mediated.complaint_id}/legal-holds", {"reason": "litigation"})
    hooks = {"url": "https://intake.city.example/hooks", "kinds": ["case.closed"]}
    endpoint = await office.integration.post("/v1/webhook-endpoints", hooks)
    await office.integration.post(f"/v1/webhook-endpoints/{endpoint['id']}/pings")
    await office.intake.post(f"/v1/parties/{mediated.complainants[0].party_id}/erasures")
    await mediated.make_agreement(kind="resolution", terms="Done: we shook hands.")
    await mediated.sign(mediated.complainants[0])
    await mediated.close()
    await _opened(mediated)
    _remember(busy, "mediated", mediated)
    declined = await office.file(complainants=[_person("Refused")], officers=[_officer("No", "1005")])
    await declined.to_asking()
    await _opened(declined)
    await declined.answer(declined.officers[0], "declined")
    await _opened(declined)
    _remember(busy, "declined", declined)
    again = await office.file(complainants=[_person("First"), _person("Second")], officers=[_officer("Twice", "1006")])
    await again.to_signed()
    await _opened(again)
    await again.withdraw(again.officers[0])
    await _opened(again)
    late = await office.intake.post(f"/v1/complaints/{again.complaint_id}/parties", _late())
    code = await office.intake.post(f"/v1/parties/{late['id']}/access-codes")
    again.complainants.append(await office.signed_in(str(code["access_code"])))
    await again.request_again()
    await again.screen()
    await again.answer(again.complainants[0], "declined")
    _remember(busy, "again", again)
    missed = await office.file(complainants=[_person("Missed")], officers=[_officer("Absent", "1007")])
    await missed.to_scheduled()
    missed.office.clock.advance(days=4)
    await missed.miss(missed.officers[0], excused=True)
    _remember(busy, "missed", missed)
    proposed = await office.file(complainants=[_person("Waiting")], officers=[_officer("Ready", "1008")])
    await proposed.to_ready()
    mediator = await office.mediator(name="Proposed Mediator")
    await proposed.propose(mediator)
    _remember(busy, "ready", proposed)


def _late() -> dict[str, object]:
    return {"side": "complainant", **_person("Late")}


# ── what is whose ──────────────────────────────────────────────────────────────────────────────────────────────────

TO_ITSELF: Final = {event.kind for event in Event.__subclasses__() if event.visibility is Visibility.OWN}
TO_ALL: Final = {event.kind for event in Event.__subclasses__() if event.visibility is Visibility.PARTICIPANTS}


@dataclass(frozen=True, slots=True)
class Truth:
    """Every row of every table; beside each sealed value, what it says, under a name in capitals."""

    rows: Mapping[str, tuple[Row, ...]]

    @classmethod
    async def read(cls, database: Database) -> "Truth":
        """Read all there is, as the service."""
        rows: dict[str, tuple[Row, ...]] = {}
        async with database.transaction() as connection:
            for table in metadata.sorted_tables:
                if not table.name.startswith("visible_"):
                    says = [decrypted(c).label(c.name.upper()) for c in table.c if isinstance(c.type, Encrypted)]
                    found = await connection.execute(select(*table.c, *says))
                    rows[table.name] = tuple(dict(row) for row in found.mappings())
        return cls(rows)

    def of(self, actor: Actor) -> dict[str, set[str]]:
        """What is the party's, by table: each row as it may be shown."""
        rows = {name: self.rows.get(name, ()) for name in SHOWN}
        rows["visible_participants"], rows["visible_parties"] = self.rows["participants"], self.rows["parties"]
        is_shown = self._conditions(actor)
        assert is_shown.keys() == SHOWN.keys(), "say in Truth._conditions whose rows a party's new table shows"
        return {name: {as_shown(name, row) for row in rows[name] if is_shown[name](row)} for name in SHOWN}

    def _conditions(self, actor: Actor) -> dict[str, Callable[[Row], bool]]:
        complainant = actor.role is Role.COMPLAINANT
        seats = self.rows["participants"]
        asked = {s["party_id"] for s in seats if s["asked_at"] is not None}
        own = {p["id"] for p in self.rows["parties"] if _is(actor, p) and (complainant or p["id"] in asked)}
        own_seats = {
            s["case_id"]: s for s in seats if s["party_id"] in own and (complainant or s["asked_at"] is not None)
        }
        complaints = {p["complaint_id"] for p in self.rows["parties"] if p["id"] in own}
        cases = {c["id"]: c for c in self.rows["cases"] if c["complaint_id"] in complaints and c["id"] in own_seats}
        shared = {
            id_
            for id_, seat in own_seats.items()
            if seat["standing"] == "agreed"
            and cases[id_]["state"] in PEERS_VISIBLE
            and any(each != "returned_to_investigation" for each in self._dispositions(seat))
        }
        known = {
            id_
            for id_, seat in own_seats.items()
            if seat["left_at"] is not None or cases[id_]["state"] not in ANSWERS_SEALED
        }
        accepted = {
            a["mediator_id"] for a in self.rows["assignments"] if a["case_id"] in shared and a["state"] == "accepted"
        }
        fellows = {s["party_id"] for s in seats if s["case_id"] in shared and s["standing"] == "agreed"}
        bound = {
            s["agreement_id"] for s in self.rows["signatures"] if s["signer_role"] == "party" and s["signer_id"] in own
        }

        def happened_here(event: Row) -> bool:
            seat = own_seats.get(event["case_id"])
            if event["kind"] in TO_ITSELF:
                return event["party_id"] in own
            if event["kind"] not in TO_ALL or seat is None:
                return False
            return _while_here(event, seat, cases[event["case_id"]])

        def opened_it(reading: Row) -> bool:
            return any(self._is_open(reading, seat, cases[id_]) for id_, seat in own_seats.items())

        return {
            "complaints": lambda r: r["id"] in complaints,
            "data_keys": lambda r: r["id"] in complaints | accepted,
            "parties": lambda r: r["id"] in own,
            "cases": lambda r: r["id"] in cases,
            "participants": lambda r: r["party_id"] in own and r["case_id"] in cases,
            "parts": lambda r: (
                r["case_id"] in known
                and not r["removed"]
                and not own.isdisjoint({r["complainant_id"], r["officer_id"]})
            ),
            "visible_participants": lambda r: r["case_id"] in shared and r["standing"] == "agreed",
            "visible_parties": lambda r: r["id"] in fellows,
            "consents": lambda r: r["party_id"] in own,
            "guardian_consents": lambda r: r["party_id"] in own,
            "voided_consents": lambda r: r["party_id"] in own,
            "withdrawals": lambda r: r["party_id"] in own,
            "sessions": lambda r: r["case_id"] in shared,
            "assignments": lambda r: r["case_id"] in shared and r["state"] == "accepted",
            "mediators": lambda r: r["id"] in accepted,
            "attendees": lambda r: r["case_id"] in shared and r["for_party_id"] in own | {None},
            "signatures": lambda r: r["signer_id"] in own and r["signer_role"] in {"party", "guardian"},
            "agreements": lambda r: r["case_id"] in shared or r["id"] in bound,
            "events": happened_here,
            "access_log": opened_it,
            "disclosures": lambda _: True,
        }

    def _dispositions(self, seat: Row) -> set[object]:
        """What became of the parts of who has this seat."""
        return {
            part["disposition"]
            for part in self.rows["parts"]
            if part["case_id"] == seat["case_id"] and seat["party_id"] in {part["complainant_id"], part["officer_id"]}
        }

    def _is_open(self, reading: Row, seat: Row, case: Row) -> bool:
        """Whether a reading may be shown to who has this seat in this case: the rule of repository/access_log.py."""
        seen, left = (reading["attempt"], reading["version"]), seat["left_version"]
        of_case, of_party = reading["case_id"] == case["id"], reading["party_id"] == seat["party_id"]
        of_complaint = reading["case_id"] is reading["party_id"] is None and seat["side"] == "complainant"
        if reading["complaint_id"] != case["complaint_id"] or seen[0] < case["attempt"]:  # type: ignore[operator]
            return False
        if not (of_case or of_party or of_complaint):
            return False
        of_it = [event for event in self.rows["events"] if event["case_id"] == case["id"]]
        asked = [_place(case, event["version"]) for event in of_it if event["kind"] == "party.asked"]
        ready = [
            event["version"]
            for event in of_it
            if event["kind"] == "case.state_changed" and "'to_state': 'ready'" in str(event["data"])
        ]
        here = [v for v in ready if v > seat["joined_version"] and (not left or v < left)]  # type: ignore[operator]
        if not asked or seen < min(asked) or any(seen < _place(case, version) for version in here):
            return True
        if "closed_mediated" in self._dispositions(seat):
            return True
        closed = case["closed_version"]
        return of_case and left is None and closed is not None and seen >= _place(case, closed)

    def words(self) -> set[str]:
        """Every id and every text in the database: what tells one row from another."""
        return {word for row in itertools.chain.from_iterable(self.rows.values()) for word in _words(row)}

    def words_of(self, actor: Actor) -> set[str]:
        """Those that stand in what is the party's."""
        rows = {name: self.rows.get(name, ()) for name in SHOWN}
        rows["visible_participants"], rows["visible_parties"] = self.rows["participants"], self.rows["parties"]
        is_shown = self._conditions(actor)
        shown = (
            {column: value for column, value in row.items() if column.lower() in SHOWN[name]}
            for name in SHOWN
            for row in rows[name]
            if is_shown[name](row)
        )
        return {word for row in shown for word in _words(row)}


def as_shown(table: str, row: Row) -> str:
    """A row with the columns that the party's role can read, as text to compare."""
    return repr(tuple(row[column] for column in SHOWN[table]))


def _is(actor: Actor, party: Row) -> bool:
    if party["removed_at"] is not None:
        return False
    if actor.role is Role.COMPLAINANT:
        return party["side"] == "complainant" and party["id"] == actor.party_id
    return (
        party["side"] == "officer"
        and actor.employee_number is not None
        and party["EMPLOYEE_NUMBER"] == actor.employee_number
        and party["bound_subject"] in {None, actor.subject}
    )


def _while_here(event: Row, seat: Row, case: Row) -> bool:
    of, joined, left, closed = event["version"], seat["joined_version"], seat["left_version"], case["closed_version"]
    here = event["kind"] == "case.opened" or (of > joined and (left is None or of < left))  # type: ignore[operator]
    return here and (event["kind"] == "case.closed" or closed is None or of < closed)  # type: ignore[operator]


def _place(case: Row, version: object) -> tuple[object, object]:
    """A command of a case in the order of all that became of its complaint."""
    return case["attempt"], version


def _words(row: Row) -> set[str]:
    values = {str(value) for value in row.values() if isinstance(value, UUID | str)}
    return {value for value in values if len(value) > 12}  # shorter ones are codes, and mean nobody
