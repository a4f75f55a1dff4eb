"""Mandatory reports: the one exception to confidentiality, kept apart from everything else that is known of a case.

    proposed ── file ──▶ filed       by a director who did not propose it
        └────── drop ──▶ dropped

Who hears what the law obliges them to report does so at once, whether or not anybody has entered it here. What is kept
is that a duty was met: which, to whom, on what basis, and when. Nothing of what was said is, nor who said it. A report
changes nothing of its case, and may be filed whether that is open or closed.

How many there were is told in whole years that are over, and in no number below five: `yearly_counts`.

Source: docs/field.md, "Exceptions" and "Traps"; docs/decisions/0056-a-mandatory-report-stands-apart.md.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from mediation_api.domain.access import Actor
from mediation_api.domain.errors import CategoryNotDisclosed, Invalid, SecondPersonRequired, StateConflict
from mediation_api.domain.events import MandatoryReportDropped, MandatoryReportFiled, MandatoryReportProposed
from mediation_api.domain.texts import text_hash
from mediation_api.domain.values import DropReason, Recipient, ReportCategory, ReportState

YEARS_COUNTED: Final = 5
SMALLEST_COUNT: Final = 5
"""The smallest number that is told. Source: docs/field.md, "Small numbers"."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What is reported. `agency` names the authority, `legal_basis` the law: one line each.

    `disclosed_at` is when the duty arose; a period to report within begins there (72 hours in ORS 181A.681).
    """

    category: ReportCategory
    recipient: Recipient
    agency: str
    legal_basis: str
    disclosed_at: datetime

    @property
    def sha256(self) -> str:
        """The hash that the event holds: of these five on a line each, the instant in microseconds since 1970."""
        instant = (self.disclosed_at - _EPOCH) // timedelta(microseconds=1)
        return text_hash("\n".join((self.category, self.recipient, self.agency, self.legal_basis, str(instant))))


@dataclass(frozen=True, slots=True, kw_only=True)
class MandatoryReport:
    """A report, as far as deciding on it goes. `proposed_by` is the subject of the proposer's token."""

    report_id: UUID
    state: ReportState
    proposed_by: str

    def file(self, *, by: Actor) -> MandatoryReportFiled:
        """Note that it was made to the authority.

        Two people stand behind each report that is filed: a role alone does not tell them apart, whoever signs in as
        mediator and as director is one.

        Raises:
            StateConflict: it was filed or dropped before.
            SecondPersonRequired: the same person proposed it.
        """
        self._require_proposed()
        if by.subject == self.proposed_by:
            raise SecondPersonRequired
        return MandatoryReportFiled(report_id=self.report_id)

    def drop(self, reason: DropReason) -> MandatoryReportDropped:
        """Note that it will not be filed. Raises StateConflict: it was filed or dropped before."""
        self._require_proposed()
        return MandatoryReportDropped(report_id=self.report_id, reason=reason)

    def _require_proposed(self) -> None:
        if self.state is not ReportState.PROPOSED:
            raise StateConflict


def propose_report(
    case_id: UUID,
    contents: Contents,
    *,
    report_id: UUID,
    at: datetime,
    configured: Iterable[ReportCategory],
    disclosed: Iterable[frozenset[ReportCategory]],
) -> MandatoryReportProposed:
    """Enter what has to be reported, for a second person to file.

    Args:
        case_id: The case that it was disclosed in.
        contents: What is reported.
        report_id: The new report's.
        at: The instant of the request.
        configured: The categories that the city records.
        disclosed: What each text in force for the case names as exceptions: the confidentiality agreement that was
            signed last or, where nobody has signed one, the disclosures that were agreed to.

    Raises:
        Invalid: it was disclosed in the future, or the city does not record this category.
        CategoryNotDisclosed: the people of the case were told of other exceptions.
    """
    if contents.category not in configured:
        raise Invalid("/category", "category-not-configured", "The city does not record reports of this category.")
    if not all(contents.category in text for text in disclosed):
        raise CategoryNotDisclosed
    if contents.disclosed_at > at:
        raise Invalid("/disclosed_at", "in-the-future", "Nothing can be reported that has not been disclosed yet.")
    return MandatoryReportProposed(report_id=report_id, case_id=case_id, sha256=contents.sha256, **asdict(contents))


@dataclass(frozen=True, slots=True)
class YearlyCount:
    """How many reports were entered in a year; None where they were fewer than five, or none.

    By category only where each of them has five at least: a single one left out could be worked out from the sum.
    """

    year: int
    reports: int | None
    by_category: tuple[tuple[ReportCategory, int], ...] | None


def yearly_counts(entered: Mapping[tuple[int, ReportCategory], int], this_year: int) -> tuple[YearlyCount, ...]:
    """Count what was entered in each of the last years that are over, the newest first.

    Nothing is chosen by whoever asks, no two years overlap, and a year that is over does not change: there is nothing
    to subtract. Of the running year nothing is told, since a number that grows by one tells of a case of that day.
    """
    years = range(this_year - 1, this_year - 1 - YEARS_COUNTED, -1)
    return tuple(_count(year, {each: entered.get((year, each), 0) for each in ReportCategory}) for year in years)


def _count(year: int, by_category: Mapping[ReportCategory, int]) -> YearlyCount:
    reports = sum(by_category.values())
    return YearlyCount(
        year,
        reports if reports >= SMALLEST_COUNT else None,
        tuple(by_category.items()) if min(by_category.values()) >= SMALLEST_COUNT else None,
    )
