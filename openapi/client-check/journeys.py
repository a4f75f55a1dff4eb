"""The journeys of docs/portal-guide.md, walked by the client that openapi-python-client makes of the contract.

It prints what docs/portal-client/journeys.ts prints, line for line: the same for the mock and for the service. Only the
functions and models that were generated are called; run by tests/gates/walks.py.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID, uuid4

from mediation_api_client import AuthenticatedClient, Client
from mediation_api_client.api.access_tokens import exchange_access_code
from mediation_api_client.api.agreements import make_agreement, sign_agreement
from mediation_api_client.api.assignments import accept_assignment, propose_mediator
from mediation_api_client.api.cases import close_case, get_case, get_readiness, list_cases, screen_case
from mediation_api_client.api.complaints import correct_complaint, file_complaint, get_complaint
from mediation_api_client.api.consents import give_consent, record_guardian_consent, record_withdrawal
from mediation_api_client.api.disclosures import list_disclosures
from mediation_api_client.api.events import get_change_feed
from mediation_api_client.api.me import get_me
from mediation_api_client.api.mediators import add_mediator, list_mediators
from mediation_api_client.api.parties import list_parties
from mediation_api_client.api.sessions import (
    add_attendee,
    complete_session,
    confirm_attendee,
    schedule_session,
    start_session,
)
from mediation_api_client.models.access_code_in import AccessCodeIn
from mediation_api_client.models.agreement_in import AgreementIn
from mediation_api_client.models.agreement_kind import AgreementKind
from mediation_api_client.models.attendee_in import AttendeeIn
from mediation_api_client.models.attendee_role import AttendeeRole
from mediation_api_client.models.booking_in import BookingIn
from mediation_api_client.models.case_sort import CaseSort
from mediation_api_client.models.channel import Channel
from mediation_api_client.models.closure_in import ClosureIn
from mediation_api_client.models.complaint_in import ComplaintIn
from mediation_api_client.models.complaint_patch import ComplaintPatch
from mediation_api_client.models.consent_in import ConsentIn
from mediation_api_client.models.decision import Decision
from mediation_api_client.models.declaration_in import DeclarationIn
from mediation_api_client.models.guardian_consent_in import GuardianConsentIn
from mediation_api_client.models.guardian_in import GuardianIn
from mediation_api_client.models.mediator_in import MediatorIn
from mediation_api_client.models.mediator_out import MediatorOut
from mediation_api_client.models.mode import Mode
from mediation_api_client.models.off_hours_reason import OffHoursReason
from mediation_api_client.models.pace import Pace
from mediation_api_client.models.party_in import PartyIn
from mediation_api_client.models.problem import Problem
from mediation_api_client.models.proposal_in import ProposalIn
from mediation_api_client.models.screening_in import ScreeningIn
from mediation_api_client.models.seat_in import SeatIn
from mediation_api_client.models.seat_role import SeatRole
from mediation_api_client.models.side import Side
from mediation_api_client.models.signature_in import SignatureIn
from mediation_api_client.models.start_in import StartIn
from mediation_api_client.models.wait import Wait
from mediation_api_client.models.withdrawal_in import WithdrawalIn
from mediation_api_client.types import UNSET, Response

API: Final = os.environ["API"]
T = TypeVar("T")


class Refused(Exception):  # noqa: N818 - what the service said, and no error of the client
    """A refusal. Go by `problem.code`."""

    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(f"{status} {problem.code}")
        self.status = status
        self.problem = problem


def speaking(name: str) -> AuthenticatedClient:
    """Return a client with the token of the environment."""
    return AuthenticatedClient(API, os.environ[name], raise_on_unexpected_status=True)


ANYBODY: Final = Client(API, raise_on_unexpected_status=True)
INTAKE, COORDINATOR, OFFICER, MEDIATOR, INTEGRATION = map(
    speaking, ("INTAKE", "COORDINATOR", "OFFICER", "MEDIATOR", "INTEGRATION")
)


@dataclass(frozen=True)
class Filed:
    """What the steps after filing need."""

    complaint_id: UUID
    case_id: UUID
    complainant: AuthenticatedClient


@dataclass(frozen=True)
class Text:
    """A text to sign."""

    id: UUID
    sha256: str


def key() -> str:
    """Return a new idempotency key."""
    return str(uuid4())


def asked(response: Response[T | Problem]) -> T:
    """Return what an answer holds. Raises Refused."""
    if isinstance(response.parsed, Problem):
        raise Refused(response.status_code.value, response.parsed)
    assert response.parsed is not None, response.content
    return response.parsed


def say(step: str, response: Response[T], seen: object, what: str) -> None:
    """Print one line of the journey, and require what it is about."""
    assert seen, f"{step}: there is no {what}"
    print(f"{step}: {response.status_code.value}, {what}")


def text_to_show() -> str:
    """Show the disclosure, and read it again."""
    response = list_disclosures.sync_detailed(client=ANYBODY, language="en")
    shown = asked(response).items[0]
    say("listDisclosures", response, shown.text, "a text to show and its hash")
    tagged = Client(API, headers={"If-None-Match": response.headers["ETag"], "Prefer": "code=304"})
    again = list_disclosures.sync_detailed(client=tagged, language="en")
    say("listDisclosures again", again, not again.content, "the text that was read before")
    return shown.sha256


ADA: Final = PartyIn(Side.COMPLAINANT, "Ada Example")
KIT: Final = PartyIn(
    Side.COMPLAINANT,
    "Kit Example",
    minor=True,
    guardian=GuardianIn("Ines Example", "parent"),
    interpreter_language="es",
)


def file(complainant: PartyIn = ADA) -> Filed:
    """File a complaint, twice with one key, and exchange the code."""
    body = ComplaintIn(
        narrative="She would not tell me why I was stopped.",
        allegations=["discourtesy"],
        interested_in_mediation=True,
        parties=[
            complainant,
            PartyIn(Side.OFFICER, "Officer Max Sample", employee_number=os.environ["OFFICER_NUMBER"]),
        ],
    )
    once = key()
    response = file_complaint.sync_detailed(client=ANYBODY, body=body, idempotency_key=once)
    filed = asked(response)
    say("fileComplaint", response, filed.case_id and len(filed.access_codes) == 1, "a case and one access code")
    again = file_complaint.sync_detailed(client=ANYBODY, body=body, idempotency_key=once)
    say("fileComplaint again", again, asked(again).id == filed.id, "the same complaint")
    code = AccessCodeIn(filed.access_codes[0].access_code)
    given = exchange_access_code.sync_detailed(client=ANYBODY, body=code)
    say("exchangeAccessCode", given, asked(given).access_token, "a token for this one party")
    assert filed.case_id is not None
    complainant = AuthenticatedClient(API, asked(given).access_token, raise_on_unexpected_status=True)
    return Filed(filed.id, filed.case_id, complainant)


def screen(filed: Filed) -> None:
    """Correct the complaint that was read, and screen it."""
    read = get_complaint.sync_detailed(filed.complaint_id, client=INTAKE)
    tag = read.headers["ETag"]
    say("getComplaint", read, tag, "an entity tag")
    answers = ComplaintPatch(
        crime_alleged=False, serious_injury=False, litigation_pending=False, officer_is_witness=False
    )
    corrected = correct_complaint.sync_detailed(filed.complaint_id, client=INTAKE, body=answers, if_match=tag)
    say("correctComplaint", corrected, asked(corrected).id == asked(read).id, "the same complaint, corrected")
    screened = screen_case.sync_detailed(filed.case_id, client=INTAKE, body=ScreeningIn(), idempotency_key=key())
    say("screenCase", screened, asked(screened).outcome, "an outcome")


def agree(who: str, party: AuthenticatedClient, case_id: UUID, sha256: str) -> None:
    """A party reads its case, and agrees."""
    seen = get_case.sync_detailed(case_id, client=party)
    say(f"getCase as the {who}", seen, asked(seen).reference, "a reference")
    body = ConsentIn(Decision.AGREED, disclosure_sha256=sha256)
    given = give_consent.sync_detailed(case_id, client=party, body=body, idempotency_key=key())
    say(f"giveConsent as the {who}", given, asked(given).id, "an answer that stands")


def add_nia() -> UUID:
    """Add a mediator to the roster."""
    person = MediatorIn("Nia Evenhand", os.environ["MEDIATOR_SUBJECT"], ["en"])
    added = add_mediator.sync_detailed(client=COORDINATOR, body=person, idempotency_key=key())
    say("addMediator", added, asked(added).id, "a place on the roster")
    return asked(added).id


def assign(case_id: UUID, mediator_id: UUID) -> None:
    """Propose a case to the mediator, who accepts."""
    proposal = ProposalIn(mediator_id)
    proposed = propose_mediator.sync_detailed(case_id, client=COORDINATOR, body=proposal, idempotency_key=key())
    accepted = accept_assignment.sync_detailed(
        asked(proposed).id, client=MEDIATOR, body=DeclarationIn(False, False, False), idempotency_key=key()
    )
    say("acceptAssignment", accepted, asked(accepted).mediator_name, "a mediator")


def schedule(case_id: UUID) -> UUID:
    """Schedule a session that may start at once."""
    starts_at = datetime.now(UTC) + timedelta(minutes=15)
    booking = BookingIn(
        starts_at,
        starts_at + timedelta(hours=2),
        Mode.IN_PERSON,
        place="Room 4, City Hall",
        off_hours_reason=OffHoursReason.PARTIES_ASKED,
    )
    scheduled = schedule_session.sync_detailed(case_id, client=COORDINATOR, body=booking, idempotency_key=key())
    say("scheduleSession", scheduled, asked(scheduled).starts_at, "a session")
    return asked(scheduled).id


def write(case_id: UUID, body: AgreementIn) -> Text:
    """Make a text to sign."""
    made = make_agreement.sync_detailed(case_id, client=COORDINATOR, body=body, idempotency_key=key())
    say(f"makeAgreement, {body.kind}", made, asked(made).text, "a text to sign")
    return Text(asked(made).id, asked(made).sha256)


def sign(signer: AuthenticatedClient, text: Text, on_paper: SeatIn | None = None) -> None:
    """A party or a mediator signs for themselves; staff say whose signature on paper they hold."""
    body = SignatureIn(text.sha256, signer=UNSET if on_paper is None else on_paper)
    signed = sign_agreement.sync_detailed(text.id, client=signer, body=body, idempotency_key=key())
    say("signAgreement" if on_paper is None else "signAgreement on paper", signed, asked(signed).id, "a signature")


def start(session_id: UUID) -> None:
    """Start a session in which everybody is there."""
    started = start_session.sync_detailed(session_id, client=MEDIATOR, body=StartIn(), idempotency_key=key())
    say("startSession", started, asked(started).attendance is not None, "who is in the room")


CONFIDENTIALITY: Final = AgreementIn(AgreementKind.CONFIDENTIALITY, ["en"])


def schedule_to_close(filed: Filed, mediator_id: UUID) -> None:
    """From the mediator's acceptance to the close, with a resolution."""
    case_id = filed.case_id
    gate = get_readiness.sync_detailed(case_id, client=COORDINATOR)
    say("getReadiness", gate, asked(gate), "what is missing")
    assign(case_id, mediator_id)
    session_id = schedule(case_id)
    text = write(case_id, CONFIDENTIALITY)
    for signer in (filed.complainant, OFFICER, MEDIATOR):
        sign(signer, text)
    start(session_id)
    completed = complete_session.sync_detailed(session_id, client=MEDIATOR, idempotency_key=key())
    say("completeSession", completed, asked(completed).id == session_id, "the same session")
    terms = write(case_id, AgreementIn(AgreementKind.RESOLUTION, ["en"], terms="Both sides talked, and shook hands."))
    for signer in (filed.complainant, OFFICER):
        sign(signer, terms)
    closure = ClosureIn(agreement_reached=True)
    closed = close_case.sync_detailed(case_id, client=COORDINATOR, body=closure, idempotency_key=key())
    say("closeCase", closed, asked(closed).closed_at is not UNSET, "the case, closed")


def with_guardian_and_interpreter(filed: Filed, mediator_id: UUID, sha256: str) -> None:
    """A minor, with a guardian and an interpreter: who else answers, is expected, and signs."""
    case_id = filed.case_id
    people = asked(list_parties.sync_detailed(filed.complaint_id, client=INTAKE)).items
    party_id = next(each.id for each in people if each.side == Side.COMPLAINANT)
    said = GuardianConsentIn(party_id, Channel.PHONE, sha256)
    agreed = record_guardian_consent.sync_detailed(case_id, client=INTAKE, body=said, idempotency_key=key())
    say("recordGuardianConsent", agreed, asked(agreed).id, "the guardian's answer")
    agree("minor", filed.complainant, case_id, sha256)
    agree("officer", OFFICER, case_id, sha256)
    assign(case_id, mediator_id)
    interpreter = AttendeeIn(AttendeeRole.INTERPRETER, "Ira Example", language="es", qualified=True)
    expected = add_attendee.sync_detailed(case_id, client=INTAKE, body=interpreter, idempotency_key=key())
    attendee_id = asked(expected).id
    say("addAttendee", expected, attendee_id, "an interpreter")
    confirmed = confirm_attendee.sync_detailed(attendee_id, client=INTAKE, idempotency_key=key())
    say("confirmAttendee", confirmed, asked(confirmed).id, "who will come")
    session_id = schedule(case_id)
    text = write(case_id, CONFIDENTIALITY)
    waiting = get_me.sync_detailed(client=filed.complainant)
    say("getMe as the minor", waiting, asked(waiting).role, "what waits")
    for signer in (filed.complainant, OFFICER, MEDIATOR):
        sign(signer, text)
    sign(COORDINATOR, text, SeatIn(SeatRole.GUARDIAN, party_id))
    sign(COORDINATOR, text, SeatIn(SeatRole.INTERPRETER, attendee_id))
    start(session_id)


def leave(filed: Filed) -> None:
    """Withdraw without a body."""
    left = record_withdrawal.sync_detailed(filed.case_id, client=filed.complainant)
    print(f"recordWithdrawal: {'it stands' if asked(left).id else 'no id'}")


def leave_by_phone(filed: Filed) -> None:
    """Withdraw with a body, as staff who were called."""
    people = list_parties.sync_detailed(filed.complaint_id, client=INTAKE)
    party_id = next(each.id for each in asked(people).items if each.side == Side.COMPLAINANT)
    say("listParties", people, party_id, "a complainant")
    said = WithdrawalIn(party_id=party_id, channel=Channel.PHONE)
    left = record_withdrawal.sync_detailed(filed.case_id, client=INTAKE, body=said)
    print(f"recordWithdrawal by phone: {'it stands' if asked(left).id else 'no id'}")


def file_as_program() -> None:
    """An integration files, and sends the same again."""
    body = ComplaintIn(
        narrative="The officer shouted.",
        allegations=["discourtesy"],
        interested_in_mediation=False,
        parties=[PartyIn(Side.COMPLAINANT, "Ben Example")],
        external_reference=key(),
    )
    once = key()
    filed = file_complaint.sync_detailed(client=INTEGRATION, body=body, idempotency_key=once)
    say("fileComplaint as a program", filed, asked(filed).id, "a complaint")
    again = file_complaint.sync_detailed(client=INTEGRATION, body=body, idempotency_key=once)
    say("fileComplaint as a program again", again, asked(again).id == asked(filed).id, "the same complaint")


def follow() -> None:
    """An integration reads the change feed. The mock answers each request with the same page."""
    begun = get_change_feed.sync_detailed(client=INTEGRATION, limit=1)
    page = asked(begun)
    say("getChangeFeed", begun, page.events[0].kind and page.cursor, "an event and a cursor")
    read = {event.id for event in page.events}
    then = get_change_feed.sync_detailed(client=INTEGRATION, limit=1, after=page.cursor or UNSET)
    known = [event for event in asked(then).events if event.id in read]  # each may come again: ids tell
    say("getChangeFeed after it", then, asked(then).cursor and len(known) <= len(read), "where to go on")


def refused(step: str, send: Callable[[], Response[T | Problem]]) -> None:
    """Print the status of a refusal; the mock's problem is always the same."""
    try:
        asked(send())
    except Refused as refusal:
        print(f"{step}: {refusal.status}, {'a problem with a code' if refusal.problem.code else 'no code'}")
        return
    raise AssertionError(f"{step}: not refused")


def be_refused(filed: Filed) -> None:
    """What does not exist, and what somebody else has changed meanwhile."""

    def mocked(status: int) -> AuthenticatedClient:
        return AuthenticatedClient(API, os.environ["INTAKE"], headers={"Prefer": f"code={status}"})

    refused("getCase of a case that does not exist", lambda: get_case.sync_detailed(uuid4(), client=mocked(404)))
    correction = ComplaintPatch(precinct="Central")
    refused(
        "correctComplaint after somebody else",
        lambda: correct_complaint.sync_detailed(
            filed.complaint_id, client=mocked(412), body=correction, if_match='"somebody-was-quicker"'
        ),
    )


def read_the_board() -> None:
    """The coordinator's board, with filters."""
    listed = list_cases.sync_detailed(
        client=COORDINATOR, open_=True, pace=Pace.ON_TRACK, waits_for=Wait.SESSION_END, sort=CaseSort.DUE_ON, limit=100
    )
    references = all(each.reference for each in asked(listed).items)
    say("listCases on track that are in session", listed, references, "references")


def everybody_on_the_roster() -> Iterator[MediatorOut]:
    """All mediators, page by page."""
    cursor = UNSET
    while cursor is not None:
        page = asked(list_mediators.sync_detailed(client=COORDINATOR, limit=2, cursor=cursor))
        yield from page.items
        cursor = page.next_cursor


def read_the_list() -> None:
    """A list to its end."""
    print(f"listMediators: {'to the end' if list(everybody_on_the_roster()) else 'nobody'}")


def main() -> None:
    """Walk."""
    sha256 = text_to_show()
    first = file()
    screen(first)
    agree("complainant", first.complainant, first.case_id, sha256)
    agree("officer", OFFICER, first.case_id, sha256)
    mediator_id = add_nia()
    schedule_to_close(first, mediator_id)
    second = file(KIT)
    screen(second)
    with_guardian_and_interpreter(second, mediator_id, sha256)
    leave(file())
    leave_by_phone(file())
    file_as_program()
    follow()
    be_refused(first)
    read_the_board()
    read_the_list()


if __name__ == "__main__":
    main()
