"""Eligibility: screening a case against the rules, and the approvals that a city requires besides the parties'."""

from dataclasses import replace
from datetime import date
from uuid import UUID

from mediation_api.domain import events, screening
from mediation_api.domain.access import Actor, Role
from mediation_api.domain.authority import ApprovalSource
from mediation_api.domain.case import Case
from mediation_api.domain.errors import ConditionsMissing, DirectorRequired, Invalid, Missing
from mediation_api.domain.events import Events
from mediation_api.domain.lifecycle import State, Trigger
from mediation_api.domain.participants import Approval
from mediation_api.domain.policy import Policy
from mediation_api.domain.values import Approver, Side


def screen(
    case: Case,
    found: screening.Screening,
    *,
    override: bool | None,
    reason: str | None,
    policy: Policy,
    screening_id: UUID,
    by: Actor,
) -> Events:
    """Decide whether the case is eligible.

    Without `override` the rules decide, and a case that needs review waits for a director. `override` is a director's
    own decision, eligible or not, and needs a reason. Source: docs/field.md, "Eligibility".

    A case whose screening is outdated is screened again in its present state: it stays there, or closes.

    Raises:
        DirectorRequired: somebody else overrides.
        Invalid: an override has no reason.
        ConditionsMissing: the case is eligible, but has no party on one side or lacks a required approval.
        StateConflict: the case was screened, and the screening is not outdated.
        SessionInProgress: a session is under way.
    """
    if not case.screening_outdated:
        case.require_state(State.SCREENING)
    case.require_no_session()
    if override is not None and by.role is not Role.DIRECTOR:
        raise DirectorRequired
    if override is not None and reason is None:
        raise Invalid("/reason", "required-with-override", "An override needs a reason.")
    decided = {
        screening.Outcome.PASS: True,
        screening.Outcome.FAIL: False,
        screening.Outcome.NEEDS_REVIEW: None,
    }[found.outcome]
    eligible = decided if override is None else override
    screened = events.CaseScreened(
        screening_id=screening_id,
        screening=found,
        eligible=eligible,
        overridden=override is not None and override is not decided,
        reason=reason,
    )
    if eligible is None:
        return (screened,)
    if not eligible:
        first = case.state is State.SCREENING
        return (screened, *case.close(Trigger.FOUND_INELIGIBLE if first else Trigger.RESCREENED_INELIGIBLE))
    if case.state is not State.SCREENING:
        return (screened,)
    missing = (
        *(Missing(f"{side}-missing") for side in Side if not case.side(side)),
        *missing_approvals(case, policy),
    )
    if missing:
        raise ConditionsMissing(missing)
    return (screened, *case.ask(case.transition(Trigger.FOUND_ELIGIBLE), case.participants))


def approve(
    case: Case,
    approver: Approver,
    *,
    approved: bool,
    unit: str | None,
    given: ApprovalSource,
    approval_id: UUID,
    by: Actor,
    today: date,
) -> Events:
    """Record the approval or refusal of an approver whom the city requires. A refusal closes the case as ineligible.

    Raises:
        DirectorRequired, Invalid: as `ApprovalSource.require_fit`.
        StateConflict: a refusal comes after screening; only the mediator or the parties can end the case then.
    """
    given.require_fit(approver, by=by, today=today)
    case.require_open()
    recorded = events.ApprovalRecorded(
        approval_id=approval_id,
        approver=approver,
        approved=approved,
        unit=unit,
        given_by=given.by,
        given_on=given.on,
        channel=given.channel,
    )
    if approved:
        return (recorded,)
    return (recorded, *case.close(Trigger.FOUND_INELIGIBLE))


def missing_approvals(case: Case, policy: Policy) -> tuple[Missing, ...]:
    """Return the required approvals that are missing; a unit commander's, if an officer has moved to another unit."""
    approvals = set(case.approvals)
    needed = [
        Approval(approver=approver, unit=unit)
        for approver in sorted(policy.required_approvals)
        for unit in (
            sorted({p.unit or "" for p in case.side(Side.OFFICER)}) if approver is Approver.UNIT_COMMANDER else [""]
        )
    ]
    return tuple(
        Missing("approval-missing", values={"approver": " ".join(filter(None, (need.approver, need.unit)))})
        for need in needed
        if replace(need, unit=need.unit or None) not in approvals
    )
