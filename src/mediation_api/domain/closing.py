"""Closing a case as mediated: which of its parts were mediated, and whether an agreement was reached.

It depends on the record alone: on who agreed, who signed what, and who was present in a session that was completed.
"""

from mediation_api.domain import events, parts
from mediation_api.domain.case import Case
from mediation_api.domain.errors import AgreementReached, ConditionsMissing, Missing
from mediation_api.domain.events import Events
from mediation_api.domain.lifecycle import Trigger
from mediation_api.domain.parts import Part
from mediation_api.domain.values import AgreementKind, Standing


def missing_to_close(case: Case) -> tuple[Missing, ...]:
    """What closing as mediated still waits for: an open part that a completed session covers, and a screening."""
    if not case.state.is_open:
        return (Missing("case-closed"),)
    outdated = (Missing("screening-outdated"),) if case.screening_outdated else ()
    return outdated if _mediated(case) else (*outdated, Missing("completed-session-missing"))


def close_as_mediated(case: Case, *, agreement_reached: bool) -> Events:
    """Close a case with a completed session: what it covers is mediated, all other open parts are returned.

    It need not have ended in an agreement; `agreement_reached` is that of any part, and agrees with the signatures.

    Raises:
        StateConflict: no session was completed, or another one is ahead.
        ConditionsMissing: no part would be mediated, or nobody's signatures show that an agreement was reached.
        AgreementReached: everybody of a part signed a resolution, so an agreement was reached.
    """
    move = case.transition(Trigger.CLOSED_AS_MEDIATED)
    missing = missing_to_close(case)
    if missing:
        raise ConditionsMissing(missing)
    mediated = tuple(
        events.PartMediated(
            complainant_id=part.complainant_id,
            officer_id=part.officer_id,
            agreement_reached=parts.is_resolved(part, case.participants, case.agreements),
        )
        for part in _mediated(case)
    )
    scope = any(part.agreement_reached for part in mediated)
    if agreement_reached and not scope:
        raise ConditionsMissing(_missing_signatures(case))
    if scope and not agreement_reached:
        raise AgreementReached
    rest = parts.returned(part for part in case.parts if part not in _mediated(case))
    closed = events.CaseClosed(outcome=move.target, agreement_reached=scope, lapse_reason=None)
    return (*mediated, *rest, move, closed)


def _mediated(case: Case) -> tuple[Part, ...]:
    """The parts that a close now would mediate: covered by a session, and both people agree to this moment."""
    agreed = {p.party_id for p in case.participants if p.standing is Standing.AGREED}
    return tuple(part for part in case.covered_parts if agreed.issuperset(part.pair))


def _missing_signatures(case: Case) -> tuple[Missing, ...]:
    resolution = case.agreement(AgreementKind.RESOLUTION)
    if resolution is None:
        return (Missing("resolution-missing"),)
    signers = {seat for part in _mediated(case) for seat in parts.signers_of(part, case.participants)}
    return tuple(Missing("resolution-unsigned", s.id, about=s.role) for s in sorted(signers - resolution.signed_by))
