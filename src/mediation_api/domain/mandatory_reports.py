"""Mandatory reports: the one exception to confidentiality, kept apart from all other data of a case.

    proposed ── file ──▶ filed       by a director who did not propose it
        └────── drop ──▶ dropped

The law obliges the person who hears something to report it at once, whether or not it is entered here. This service
records that the duty was met: which one, to whom, on what legal basis, and when; neither what was said nor who said it.
A report does not change its case, and may be filed whether the case is open or closed.

Counts of reports are published for whole past years only, and never below five: `yearly_counts`.

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
"""The smallest count that is published. Source: docs/field.md, "Small numbers"."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What is reported. `agency` names the authority, `legal_basis` the law: one line each.

    `disclosed_at` is when the duty arose, from which a reporting period counts (72 hours in ORS 181A.681).
    """

    category: ReportCategory
    recipient: Recipient
    agency: str
    legal_basis: str
    disclosed_at: datetime

    @property
    def sha256(self) -> str:
        """The hash in the event: of the five fields, one a line, with the instant in microseconds since 1970."""
        instant = (self.disclosed_at - _EPOCH) // timedelta(microseconds=1)
        return text_hash("\n".join((self.category, self.recipient, self.agency, self.legal_basis, str(instant))))


@dataclass(frozen=True, slots=True, kw_only=True)
class MandatoryReport:
    """A report that is to be filed or dropped. `proposed_by` is the subject of the proposer's token."""

    report_id: UUID
    state: ReportState
    proposed_by: str

    def file(self, *, by: Actor) -> MandatoryReportFiled:
        """Record that the report was made to the authority.

        Filing takes two people. Subjects are compared rather than roles, since one person may sign in as mediator and
        as director.

        Raises:
            StateConflict: it was filed or dropped before.
            SecondPersonRequired: the same person proposed it.
        """
        self._require_proposed()
        if by.subject == self.proposed_by:
            raise SecondPersonRequired
        return MandatoryReportFiled(report_id=self.report_id)

    def drop(self, reason: DropReason) -> MandatoryReportDropped:
        """Record that it will not be filed. Raises StateConflict: it was filed or dropped before."""
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
    """Propose a report, for a second person to file.

    Args:
        case_id: The case in which it was disclosed.
        contents: What is reported.
        report_id: The id of the new report.
        at: The instant of the request.
        configured: The categories that the city records.
        disclosed: The exceptions that each text in force for the case names: the confidentiality agreement that was
            signed last or, if nobody has signed one, the disclosures that were agreed to.

    Raises:
        Invalid: `disclosed_at` is in the future, or the city does not record this category.
        CategoryNotDisclosed: a text in force does not name this category.
    """
    if contents.category not in configured:
        raise Invalid("/category", "category-not-configured", "The city does not record reports of this category.")
    if not all(contents.category in text for text in disclosed):
        raise CategoryNotDisclosed
    if contents.disclosed_at > at:
        raise Invalid("/disclosed_at", "in-the-future", "A disclosure cannot be in the future.")
    return MandatoryReportProposed(report_id=report_id, case_id=case_id, sha256=contents.sha256, **asdict(contents))


@dataclass(frozen=True, slots=True)
class YearlyCount:
    """How many reports were entered in a year; None for fewer than five, zero included.

    `by_category` is set only if each category has at least five: a single missing one could be computed from the sum.
    """

    year: int
    reports: int | None
    by_category: tuple[tuple[ReportCategory, int], ...] | None


def yearly_counts(entered: Mapping[tuple[int, ReportCategory], int], this_year: int) -> tuple[YearlyCount, ...]:
    """Return the counts of the last `YEARS_COUNTED` past years, the newest first.

    The caller chooses nothing, no two years overlap, and a past year does not change, so that no count can be computed
    as a difference. The current year is left out: a count that grows by one would point at a case of that day.
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
