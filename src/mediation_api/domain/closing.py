"""Closing a case as mediated: which of its parts were mediated, and whether an agreement was reached.

This follows from the record: who agreed, who signed what, and who was present in a completed session.
"""

from mediation_api.domain import events, parts
from mediation_api.domain.case import Case
from mediation_api.domain.errors import AgreementReached, ConditionsMissing, Missing
from mediation_api.domain.events import Events
from mediation_api.domain.lifecycle import Trigger
from mediation_api.domain.parts import Part
from mediation_api.domain.values import AgreementKind, Standing


def missing_to_close(case: Case) -> tuple[Missing, ...]:
    """Return what is missing to close as mediated: a completed session that covers a part, and a current screening."""
    if not case.state.is_open:
        return (Missing("case-closed"),)
    outdated = (Missing("screening-outdated"),) if case.screening_outdated else ()
    return outdated if _mediated(case) else (*outdated, Missing("completed-session-missing"))


def close_as_mediated(case: Case, *, agreement_reached: bool) -> Events:
    """Close a case as mediated: parts that a completed session covers are mediated, other open parts are returned.

    Mediation need not end in an agreement. `agreement_reached` is true if it is true of any part, and must match the
    signatures.

    Raises:
        CaseNotOpen, StateConflict: the case cannot be closed as mediated in its present state.
        ConditionsMissing: no part would be mediated, or nobody's signatures show that an agreement was reached.
        AgreementReached: everybody of a part signed a resolution, so an agreement was reached.
    """
    transition = case.transition(Trigger.CLOSED_AS_MEDIATED)
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
    is_signed = any(part.agreement_reached for part in mediated)
    if agreement_reached and not is_signed:
        raise ConditionsMissing(_missing_signatures(case))
    if is_signed and not agreement_reached:
        raise AgreementReached
    rest = parts.returned(part for part in case.parts if part not in _mediated(case))
    closed = events.CaseClosed(state=transition.to_state, agreement_reached=is_signed, lapse_reason=None)
    return (*mediated, *rest, transition, closed)


def _mediated(case: Case) -> tuple[Part, ...]:
    """Return the parts that closing now would mediate: covered by a session, and both people's consent stands."""
    agreed = {p.party_id for p in case.participants if p.standing is Standing.AGREED}
    return tuple(part for part in case.covered_parts if agreed.issuperset(part.pair))


def _missing_signatures(case: Case) -> tuple[Missing, ...]:
    resolution = case.agreement(AgreementKind.RESOLUTION)
    if resolution is None:
        return (Missing("resolution-missing"),)
    signers = {seat for part in _mediated(case) for seat in parts.signers_of(part, case.participants)}
    return tuple(Missing("resolution-unsigned", s.id, {"role": s.role}) for s in sorted(signers - resolution.signed_by))
