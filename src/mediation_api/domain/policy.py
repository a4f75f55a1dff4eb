"""What a city decides for itself. The safe defaults are those of the settings; none of it is a constant here."""

from dataclasses import dataclass

from mediation_api.domain.access_anomalies import AnomalyThresholds
from mediation_api.domain.target import TargetPolicy
from mediation_api.domain.values import Approver, ReportCategory, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPolicy:
    """When sessions are held: hours of the office's clock, and how many minutes before its time one may start."""

    opens: int = 8
    closes: int = 20
    early_start_minutes: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactPolicy:
    """What must be on record before a party lapses as unreachable. `days` lie between the first and last attempt."""

    attempts: int = 3
    channels: int = 2
    days: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The office's own choices, as the domain needs them. Days are calendar days unless the name says working days."""

    target: TargetPolicy
    mediator_answer_working_days: int
    pause_max_days: int
    complainant_absences_before_lapse: int
    officer_absences_before_lapse: int
    required_approvals: frozenset[Approver]
    anomalies: AnomalyThresholds
    report_categories: tuple[ReportCategory, ...]
    sessions: SessionPolicy = SessionPolicy()
    contact: ContactPolicy = ContactPolicy()
    max_attempts: int = 3
    days_between_attempts: int = 30

    def absences_before_lapse(self, side: Side) -> int:
        """How many unexcused absences of a party of `side` let a director close the case as lapsed."""
        if side is Side.COMPLAINANT:
            return self.complainant_absences_before_lapse
        return self.officer_absences_before_lapse
