"""The choices of a city. Most values come from the settings, which have safe defaults."""

from dataclasses import dataclass

from mediation_api.domain.access_anomalies import AnomalyThresholds
from mediation_api.domain.target import TargetPolicy
from mediation_api.domain.values import Approver, ReportCategory, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPolicy:
    """When sessions are held: hours of local time, and how many minutes before its time a session may start."""

    opens: int = 8
    closes: int = 20
    early_start_minutes: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactPolicy:
    """The contact attempts needed before a party lapses as unreachable, and `days` between the first and the last."""

    attempts: int = 3
    channels: int = 2
    days: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The settings that rules depend on. Days are calendar days unless the name has `working_days`."""

    target: TargetPolicy
    mediator_answer_working_days: int
    reminder_working_days: int
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
        """Return after how many unexcused absences of a party of `side` a director may close the case as lapsed."""
        if side is Side.COMPLAINANT:
            return self.complainant_absences_before_lapse
        return self.officer_absences_before_lapse
