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
from mediation_api.domain.values import Channel, Decision, VoidReason, in_utc
from mediation_api.http.dependencies import (
    CaseId,
    CaseRecords,
    Cases,
    ConsentId,
    Context,
    GuardianConsentId,
    LoggedScope,
    NewId,
    Now,
    Record,
    Scope,
    ServiceContext,
    WithdrawalId,
)
from mediation_api.http.fields import In, InstantOut, Open, Out, Uuid
from mediation_api.http.idempotency import IDEMPOTENT
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, Pages, single_page
from mediation_api.http.routes import Operation
from mediation_api.routers.disclosures import Sha256

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["consents"])


class OnBehalfOf(In):
    """The party that answers or withdraws, and the channel. Only for staff and mediators; a party omits both."""

    party_id: Uuid | None = Field(None, description="The party. Required for staff and mediators.")
    channel: Channel | None = Field(
        None,
        description="How staff were informed: `phone`, `letter`, `email` or `in_person`. `portal` is set for parties, "
        "and `session` for mediators.",
    )

    def party(self, scope: AccessScope, own_party_id: UUID | None) -> UUID:
        """Return the party: `own_party_id` if the caller is a party, otherwise the one in the request.

        Raises:
            Invalid: staff or a mediator did not give the party.
            NotFound: a party gave another party.
        """
        if scope.relation is Relation.OWN:
            if own_party_id is None or self.party_id not in {None, own_party_id}:
                raise NotFound
            return own_party_id
        if self.party_id is None:
            raise Invalid("/party_id", "required", "Staff must give the party.")
        return self.party_id


class ConsentIn(OnBehalfOf):
    """A party's answer to a disclosure that it has seen, or that was read to it."""

    decision: Decision
    disclosure_sha256: Sha256


class ConsentOut(Out):
    """A party's answer. A party that has agreed leaves by withdrawing."""

    id: UUID
    case_id: UUID
    party_id: UUID
    decision: Decision
    disclosure_sha256: str = Field(description="The hash of the disclosure that the person saw or heard.")
    channel: Open[Channel]
    guardian_consent_id: UUID | None = Field(description="The guardian's consent, if a minor agreed.")
    given_at: InstantOut = Field(description="When it was recorded.")
    stands: bool = Field(description="False after the answer was voided. The party is then asked again.")
    voided_at: InstantOut | None = Field(description="When the answer ceased to count; null while it stands.")
    void_reason: Open[VoidReason] | None = Field(description="Null while it stands.")


class ConsentList(ListOut[ConsentOut]):
    """The consents that the caller may see: all for the office, its own for a party."""


class GuardianConsentIn(In):
    """The consent of a minor's guardian to a disclosure that the guardian has seen, or that was read to them."""

    party_id: Uuid = Field(description="The minor.")
    channel: Channel = Field(description="How staff were informed: `phone`, `letter`, `email` or `in_person`.")
    disclosure_sha256: Sha256


class GuardianConsentOut(Out):
    """A guardian's consent, as staff recorded it."""

    id: UUID
    case_id: UUID
    party_id: UUID
    disclosure_sha256: str = Field(description="The hash of the disclosure that the person saw or heard.")
    channel: Open[Channel]
    given_at: InstantOut = Field(description="When it was recorded.")


class GuardianConsentList(ListOut[GuardianConsentOut]):
    """The guardians' consents that the caller may see: all for the office, its own for a minor."""


class WithdrawalIn(OnBehalfOf):
    """A withdrawal. A party sends an empty object, or no body. There is no field for a reason."""


class WithdrawalOut(Out):
    """A withdrawal. There is no field for a reason."""

    id: UUID
    case_id: UUID
    party_id: UUID
    channel: Open[Channel]
    withdrawn_at: InstantOut = Field(description="From when on the party no longer takes part.")


class WithdrawalList(ListOut[WithdrawalOut]):
    """The withdrawals that the caller may see: all for the office, its own for a party."""


def _current(sha256: str, service: ServiceContext) -> Text:
    """Return the current disclosure with this hash. Raises DisclosureOutdated if there is none."""
    disclosure = service.current_disclosure(sha256)
    if disclosure is None:
        raise DisclosureOutdated
    return disclosure


@router.post(
    "/cases/{case_id}/guardian-consents",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Record a guardian's consent",
    responses=responses(409),
)
@Operation(
    "recordGuardianConsent",
    access=allow(office=INTAKE),
    oauth_scope="consents:write",
    events=(GuardianConsented,),
    location="/v1/guardian-consents/{id}",
    refusals=(
        "case-closed",
        "disclosure-outdated",
        "guardian-already-agreed",
        "guardian-missing",
        "not-a-minor",
        "not-your-channel",
        "party-left",
    ),
)
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
    """Record that a minor's guardian agrees. The minor answers as well, and can only agree after this."""
    locked = await cases.lock(case_id, scope)
    agreed = locked.case.guardian_agrees(
        body.party_id,
        disclosure=_current(body.disclosure_sha256, service),
        channel=channel_of(body.channel, by=scope.actor),
        guardian_consent_id=guardian_consent_id,
    )
    await record(locked.stream, agreed)
    return GuardianConsentOut.read(await records.guardian_consent(guardian_consent_id, scope))


@router.get("/cases/{case_id}/guardian-consents", summary="Guardians' consents")
@Operation(
    "listGuardianConsents",
    access=allow(office=(*INTAKE, Role.AUDITOR), own=(Role.COMPLAINANT,)),
    oauth_scope="consents:read",
    opens=LoggedObject.CASE,
)
async def list_guardian_consents(
    case_id: CaseId, pages: Pages, scope: LoggedScope, records: CaseRecords
) -> GuardianConsentList:
    """List the consents of guardians, oldest first: all for the office, its own guardian's for a minor."""
    return pages.response(
        GuardianConsentList, await records.guardian_consents(case_id, scope, pages.request), GuardianConsentOut.read
    )


@router.get("/guardian-consents/{guardian_consent_id}", summary="A guardian's consent")
@Operation(
    "getGuardianConsent",
    access=allow(office=(*INTAKE, Role.AUDITOR), own=(Role.COMPLAINANT,)),
    oauth_scope="consents:read",
    opens=LoggedObject.CASE,
)
async def get_guardian_consent(
    guardian_consent_id: GuardianConsentId, scope: LoggedScope, records: CaseRecords
) -> GuardianConsentOut:
    """Return the consent of a guardian; a minor may only read that of its own guardian."""
    return GuardianConsentOut.read(await records.guardian_consent(guardian_consent_id, scope))


@router.post(
    "/cases/{case_id}/consents",
    dependencies=[IDEMPOTENT],
    status_code=201,
    summary="Agree or decline",
    responses=responses(409),
)
@Operation(
    "giveConsent",
    access=allow(office=INTAKE, own=PARTIES),
    oauth_scope="consents:write",
    events=(ConsentGiven, IdentityBound, PartReturned, PartyAsked, StateChanged, CaseClosed),
    location="/v1/consents/{id}",
    refusals=(
        "already-answered",
        "case-closed",
        "disclosure-outdated",
        "guardian-missing",
        "not-asked",
        "not-your-channel",
        "party-left",
        "required",
        "staff-only",
    ),
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
    """Record a party's answer to a disclosure, sent by the party itself or by staff."""
    locked = await cases.lock(case_id, scope)
    party_id = body.party(scope, locked.own_party_id)
    disclosure = _current(body.disclosure_sha256, service)
    answered = locked.case.answer(
        party_id,
        body.decision,
        disclosure=disclosure,
        channel=channel_of(body.channel, by=scope.actor),
        consent_id=consent_id,
        by=scope.actor,
    )
    await record(locked.stream, answered)
    return ConsentOut.read(await records.consent(consent_id, scope))


@router.get("/cases/{case_id}/consents", summary="Consents")
@Operation(
    "listConsents",
    access=allow(office=(*INTAKE, Role.AUDITOR), own=PARTIES),
    oauth_scope="consents:read",
    opens=LoggedObject.CASE,
)
async def list_consents(case_id: CaseId, pages: Pages, scope: LoggedScope, records: CaseRecords) -> ConsentList:
    """List the answers, oldest first: all for the office, its own for a party."""
    return pages.response(ConsentList, await records.consents(case_id, scope, pages.request), ConsentOut.read)


@router.get("/consents/{consent_id}", summary="A consent")
@Operation(
    "getConsent",
    access=allow(office=(*INTAKE, Role.AUDITOR), own=PARTIES),
    oauth_scope="consents:read",
    opens=LoggedObject.CASE,
)
async def get_consent(consent_id: ConsentId, scope: LoggedScope, records: CaseRecords) -> ConsentOut:
    """Return an answer; a party may only read its own."""
    return ConsentOut.read(await records.consent(consent_id, scope))


@router.post(
    "/cases/{case_id}/withdrawals",
    status_code=201,
    summary="Withdraw",
    responses={200: {"model": WithdrawalOut, "description": "The party had already withdrawn."}, **responses(409)},
)
@Operation(
    "recordWithdrawal",
    access=allow(office=INTAKE, own=PARTIES, assigned=True),
    oauth_scope="consents:write",
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
    location="/v1/withdrawals/{id}",
    pool=Pool.WITHDRAWALS,
    always_answered=True,
    refusals=("case-closed", "not-in-session", "not-your-channel", "required", "staff-only"),
)
async def record_withdrawal(
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
    """Withdraw from a case, at any time before it closes, without a reason.

    It needs no `Idempotency-Key` and no `If-Match`, and is possible in every state of an open case. A repeated
    withdrawal returns 200 with the first one.
    """
    withdrawal = body or WithdrawalIn()
    locked = await cases.lock_to_withdraw(case_id, scope)
    party = locked.case.participant(withdrawal.party(scope, locked.own_party_id))
    channel = channel_of(withdrawal.channel, by=scope.actor)
    left = locked.case.withdraw(party.party_id, channel=channel, withdrawal_id=withdrawal_id, by=scope.actor)
    # The caller may no longer be a party of the case, so nothing but the withdrawal itself is returned.
    if not left and party.withdrawal_id is not None:
        response.status_code = 200
        return WithdrawalOut.read(await records.withdrawal_of_locked(party.withdrawal_id))
    await record(locked.stream, left, reads_answer=False)
    return WithdrawalOut(
        id=withdrawal_id, case_id=case_id, party_id=party.party_id, channel=channel, withdrawn_at=in_utc(at)
    )


@router.get("/cases/{case_id}/withdrawals", summary="Withdrawals")
@Operation(
    "listWithdrawals",
    access=allow(office=(*INTAKE, Role.AUDITOR), own=PARTIES),
    oauth_scope="consents:read",
    opens=LoggedObject.CASE,
)
async def list_withdrawals(case_id: CaseId, scope: LoggedScope, records: CaseRecords) -> WithdrawalList:
    """List the withdrawals, oldest first: all for the office, its own for a party."""
    return single_page(WithdrawalList, await records.withdrawals(case_id, scope), WithdrawalOut.read)


@router.get("/withdrawals/{withdrawal_id}", summary="A withdrawal")
@Operation(
    "getWithdrawal",
    access=allow(office=(*INTAKE, Role.AUDITOR), own=PARTIES, assigned=True),
    oauth_scope="consents:read",
    opens=LoggedObject.CASE,
)
async def get_withdrawal(withdrawal_id: WithdrawalId, scope: LoggedScope, records: CaseRecords) -> WithdrawalOut:
    """Return a withdrawal. A party may only read its own, a mediator those that they recorded."""
    return WithdrawalOut.read(await records.withdrawal(withdrawal_id, scope))
