"""Consents and withdrawals: how a party takes part, and how it leaves."""

from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from mediation_api.contract.responses import responses
from mediation_api.database.engine import Pool
from mediation_api.domain.access import INTAKE, PARTIES, AccessScope, Relation, Role, allow
from mediation_api.domain.access_log import LoggedObject
from mediation_api.domain.authority import channel_of
from mediation_api.domain.errors import DisclosureOutdated, Invalid, NotFound
from mediation_api.domain.events import (
    CaseClosed,
    ConsentGiven,
    GuardianConsented,
    IdentityBound,
    PartReturned,
    PartyAsked,
    PartyWithdrew,
    SessionCancelled,
    SessionEnded,
    StateChanged,
)
from mediation_api.domain.texts import Text
from mediation_api.domain.values import Channel, Decision
from mediation_api.http.dependencies import (
    CaseId,
    CaseRecords,
    Cases,
    Context,
    LoggedScope,
    NewId,
    Now,
    Record,
    Scope,
    ServiceContext,
)
from mediation_api.http.fields import In, InstantOut, Out, Uuid
from mediation_api.http.idempotency import IDEMPOTENT
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, single_page
from mediation_api.http.routes import Operation
from mediation_api.routers.disclosures import Sha256

router = APIRouter(prefix="/v1/cases/{case_id}", route_class=StrictRoute, tags=["consents"])


class OnBehalfOf(In):
    """Who says something, and how it reached the office. A party leaves both out: it speaks for itself."""

    party_id: Uuid | None = Field(None, description="Staff name the party.")
    channel: Channel | None = Field(
        None,
        description="Staff say how it reached them: `phone`, `letter`, `email` or `in_person`. `portal` is what "
        "parties do themselves, and `session` what a mediator heard in the session.",
    )

    def party(self, scope: AccessScope, own_party_id: UUID | None) -> UUID:
        """The party that speaks: `own_party_id` where the caller is a party, or else whom staff name.

        Raises:
            Invalid: staff name nobody.
            NotFound: a party names another.
        """
        if scope.relation is Relation.OWN:
            if own_party_id is None or self.party_id not in {None, own_party_id}:
                raise NotFound
            return own_party_id
        if self.party_id is None:
            raise Invalid("/party_id", "required", "Staff say for which party.")
        return self.party_id


class ConsentIn(OnBehalfOf):
    """An answer to one disclosure, which the party has been shown or read."""

    decision: Decision
    disclosure_sha256: Sha256


class ConsentOut(Out):
    """A party's answer. To leave after agreeing, withdraw."""

    id: UUID
    case_id: UUID
    party_id: UUID
    decision: Decision
    disclosure_sha256: str
    channel: Channel
    guardian_consent_id: UUID | None = Field(description="Of a minor who agreed: the guardian's consent.")
    at: InstantOut
    stands: bool = Field(description="False once what it rested on has changed: the party is asked again.")
    voided_at: InstantOut | None
    void_reason: str | None


class ConsentList(ListOut[ConsentOut]):
    """The answers that the caller may see: all for the office, its own for a party."""


class GuardianConsentIn(In):
    """What a minor's guardian told the office, having been shown or read the disclosure."""

    party_id: Uuid = Field(description="The minor.")
    channel: Channel = Field(description="How it reached staff: `phone`, `letter`, `email` or `in_person`.")
    disclosure_sha256: Sha256


class GuardianConsentOut(Out):
    """A guardian's consent, as staff recorded it."""

    id: UUID
    case_id: UUID
    party_id: UUID
    disclosure_sha256: str
    channel: Channel
    at: InstantOut


class GuardianConsentList(ListOut[GuardianConsentOut]):
    """The guardians' consents that the caller may see: all for the office, its own for a minor."""


class WithdrawalIn(OnBehalfOf):
    """A withdrawal. A party sends an empty object, or nothing at all; no reason is asked for."""


class WithdrawalOut(Out):
    """A withdrawal. There is no field for why."""

    id: UUID
    case_id: UUID
    party_id: UUID
    channel: Channel
    at: InstantOut


class WithdrawalList(ListOut[WithdrawalOut]):
    """The withdrawals that the caller may see: all for the office, its own for a party."""


def _current(sha256: str, service: ServiceContext) -> Text:
    """The disclosure of this hash. Raises DisclosureOutdated: it is none that is shown today."""
    disclosure = service.current_disclosure(sha256)
    if disclosure is None:
        raise DisclosureOutdated
    return disclosure


@router.post(
    "/guardian-consents",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Record a guardian's consent",
    responses=responses(409),
)
@Operation("recordGuardianConsent", access=allow(office=INTAKE), scope="consents:write", events=(GuardianConsented,))
async def record_guardian_consent(
    case_id: CaseId,
    body: GuardianConsentIn,
    scope: Scope,
    cases: Cases,
    record: Record,
    records: CaseRecords,
    service: Context,
    guardian_consent_id: NewId,
) -> GuardianConsentOut:
    """Record that a minor's guardian agrees. The minor answers for itself, and agrees only once this is on record."""
    locked = await cases.lock(case_id, scope)
    agreed = locked.case.guardian_agrees(
        body.party_id,
        disclosure=_current(body.disclosure_sha256, service),
        channel=channel_of(body.channel, by=scope.actor),
        guardian_consent_id=guardian_consent_id,
    )
    await record(locked.stream, agreed)
    return GuardianConsentOut.read(await records.guardian_consent(case_id, guardian_consent_id, scope))


@router.get("/guardian-consents", summary="Guardians' consents")
@Operation(
    "listGuardianConsents",
    access=allow(office=(*INTAKE, Role.AUDITOR), own=(Role.COMPLAINANT,)),
    scope="consents:read",
    opens=LoggedObject.CASE,
)
async def list_guardian_consents(case_id: CaseId, scope: LoggedScope, records: CaseRecords) -> GuardianConsentList:
    """The consents of guardians, oldest first: all for the office, its own guardian's for a minor."""
    return single_page(GuardianConsentList, await records.guardian_consents(case_id, scope), GuardianConsentOut.read)


@router.post(
    "/consents", dependencies=[IDEMPOTENT], status_code=201, summary="Agree or decline", responses=responses(409)
)
@Operation(
    "giveConsent",
    access=allow(office=INTAKE, own=PARTIES),
    scope="consents:write",
    events=(ConsentGiven, IdentityBound, PartReturned, PartyAsked, StateChanged, CaseClosed),
)
async def give_consent(
    case_id: CaseId,
    body: ConsentIn,
    scope: Scope,
    cases: Cases,
    record: Record,
    records: CaseRecords,
    service: Context,
    consent_id: NewId,
) -> ConsentOut:
    """Record a party's answer to the disclosure it was shown: by itself, or by staff with the channel."""
    locked = await cases.lock(case_id, scope)
    party_id = body.party(scope, locked.own_party_id)
    disclosure = _current(body.disclosure_sha256, service)
    given = locked.case.answer(
        party_id,
        body.decision,
        disclosure=disclosure,
        channel=channel_of(body.channel, by=scope.actor),
        consent_id=consent_id,
        by=scope.actor,
    )
    await record(locked.stream, given)
    return ConsentOut.read(await records.consent(case_id, consent_id, scope))


@router.get("/consents", summary="Consents")
@Operation(
    "listConsents",
    access=allow(office=(*INTAKE, Role.AUDITOR), own=PARTIES),
    scope="consents:read",
    opens=LoggedObject.CASE,
)
async def list_consents(case_id: CaseId, scope: LoggedScope, records: CaseRecords) -> ConsentList:
    """Who answered what, oldest first: all of it for the office, its own answer for a party."""
    return single_page(ConsentList, await records.consents(case_id, scope), ConsentOut.read)


@router.post(
    "/withdrawals",
    status_code=201,
    summary="Withdraw",
    responses={200: {"model": WithdrawalOut, "description": "The party had withdrawn before."}, **responses(409)},
)
@Operation(
    "withdraw",
    access=allow(office=INTAKE, own=PARTIES, assigned=True),
    scope="consents:write",
    events=(
        PartyWithdrew,
        IdentityBound,
        PartReturned,
        PartyAsked,
        SessionCancelled,
        SessionEnded,
        StateChanged,
        CaseClosed,
    ),
    pool=Pool.WITHDRAWALS,
    always_answered=True,
)
async def withdraw(
    case_id: CaseId,
    scope: Scope,
    cases: Cases,
    record: Record,
    records: CaseRecords,
    at: Now,
    withdrawal_id: NewId,
    response: Response,
    body: WithdrawalIn | None = None,
) -> WithdrawalOut:
    """Leave: at any time before the close, without a reason, as often as one likes to say it.

    It needs no key, no version and no particular state, and a second time answers 200 with the first withdrawal.
    """
    said = body or WithdrawalIn()
    locked = await cases.lock_to_withdraw(case_id, scope)
    party = locked.case.participant(said.party(scope, locked.own_party_id))
    channel = channel_of(said.channel, by=scope.actor)
    left = locked.case.withdraw(party.party_id, channel=channel, withdrawal_id=withdrawal_id, by=scope.actor)
    # Said by whoever was the party at that moment, who may be none any more: shown what was said, and nothing else.
    if not left and party.withdrawal_id is not None:
        response.status_code = 200
        return WithdrawalOut.read(await records.withdrawal(party.withdrawal_id))
    await record(locked.stream, left, reads_answer=False)
    return WithdrawalOut(id=withdrawal_id, case_id=case_id, party_id=party.party_id, channel=channel, at=at)


@router.get("/withdrawals", summary="Withdrawals")
@Operation(
    "listWithdrawals",
    access=allow(office=(*INTAKE, Role.AUDITOR), own=PARTIES),
    scope="consents:read",
    opens=LoggedObject.CASE,
)
async def list_withdrawals(case_id: CaseId, scope: LoggedScope, records: CaseRecords) -> WithdrawalList:
    """Who withdrew, oldest first: all for the office, its own withdrawal for a party."""
    return single_page(WithdrawalList, await records.withdrawals(case_id, scope), WithdrawalOut.read)
