"""What a city decides for itself. The safe defaults are those of the settings; none of it is a constant here."""

from dataclasses import dataclass

from mediation_api.domain.target import TargetPolicy
from mediation_api.domain.unusual_readings import Usual
from mediation_api.domain.values import Approver, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The office's own choices, as the domain needs them. Days are calendar days unless the name says working days."""

    target: TargetPolicy
    mediator_answer_working_days: int
    pause_max_days: int
    complainant_absences_before_lapse: int
    officer_absences_before_lapse: int
    required_approvals: frozenset[Approver]
    readings: Usual

    def absences_before_lapse(self, side: Side) -> int:
        """How many unexcused absences of a party of `side` let a director close the case as lapsed."""
        if side is Side.COMPLAINANT:
            return self.complainant_absences_before_lapse
        return self.officer_absences_before_lapse
