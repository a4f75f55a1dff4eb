"""Screening: whether a complaint is eligible for mediation, by versioned rules.

A released rule set is never edited: a changed rule needs a rule set with a new version, so that past screenings keep
the rules that they were made with. `fail` means "normally not mediated": a director may override it with a reason
(`eligibility.screen`). An answer that intake does not know yet needs review.

Source: docs/field.md, "Eligibility" (its table says which program each rule comes from, and how far that was checked).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Final

PENDING_CASE_DAYS = 90
"""Calendar days after filing during which a pending case in which the officer is a witness is no obstacle."""


MOST_RULES: Final = 50


class Outcome(StrEnum):
    """The outcome of one rule, or of a whole screening."""

    PASS = "pass"  # noqa: S105 - a word, not a password
    FAIL = "fail"
    NEEDS_REVIEW = "needs_review"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeRecord:
    """The structured answers of intake. `None` means not known yet."""

    crime_alleged: bool | None = None
    """Whether the complaint alleges that the officer committed a crime."""
    serious_injury: bool | None = None
    litigation_pending: bool | None = None
    """Whether a claim or a suit about the same events is pending."""
    officer_is_witness: bool | None = None
    """Whether an officer is a witness against a complainant in a pending case."""
    pending_case_filed_on: date | None = None
    """When that case was filed."""
    rank_initiated: bool = False
    """Whether the complaint came from inside the department."""
    officers_identified: int = 0
    minors_without_guardian: int = 0


@dataclass(frozen=True, slots=True)
class EligibilityRule:
    """One rule: a stable code, a statement in plain English, its source, and the function that applies it."""

    code: str
    statement: str
    source: str
    judge: Callable[[IntakeRecord, date], Outcome]


@dataclass(frozen=True, slots=True)
class EligibilityRuleSet:
    """The rules of one version."""

    version: str
    rules: tuple[EligibilityRule, ...]
    """At most `MOST_RULES`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one rule. It is about eligibility, never about anybody's conduct."""

    code: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Screening:
    """The findings of a rule set, in the order of its rules, and the overall outcome."""

    version: str
    findings: tuple[Finding, ...]
    outcome: Outcome


def _alleged_crime(record: IntakeRecord, _today: date) -> Outcome:
    return _by_answer(record.crime_alleged, if_yes=Outcome.FAIL)


def _officer_is_witness(record: IntakeRecord, today: date) -> Outcome:
    if record.officer_is_witness is False:
        return Outcome.PASS
    if record.officer_is_witness is None or record.pending_case_filed_on is None:
        return Outcome.NEEDS_REVIEW
    days_pending = (today - record.pending_case_filed_on).days
    # A filing date in the future is an error that a person should look at.
    return Outcome.PASS if 0 <= days_pending <= PENDING_CASE_DAYS else Outcome.NEEDS_REVIEW


def _serious_injury(record: IntakeRecord, _today: date) -> Outcome:
    return _by_answer(record.serious_injury, if_yes=Outcome.FAIL)


def _litigation_pending(record: IntakeRecord, _today: date) -> Outcome:
    return _by_answer(record.litigation_pending, if_yes=Outcome.NEEDS_REVIEW)


def _rank_initiated(record: IntakeRecord, _today: date) -> Outcome:
    return Outcome.FAIL if record.rank_initiated else Outcome.PASS


def _officer_unidentified(record: IntakeRecord, _today: date) -> Outcome:
    return Outcome.PASS if record.officers_identified > 0 else Outcome.NEEDS_REVIEW


def _minor_without_guardian(record: IntakeRecord, _today: date) -> Outcome:
    return Outcome.NEEDS_REVIEW if record.minors_without_guardian > 0 else Outcome.PASS


def _by_answer(answer: bool | None, *, if_yes: Outcome) -> Outcome:  # noqa: FBT001 - an answer of intake
    if answer is None:
        return Outcome.NEEDS_REVIEW
    return if_yes if answer else Outcome.PASS


ELIGIBILITY_RULES = EligibilityRuleSet(
    version="2026-11",
    rules=(
        EligibilityRule(
            code="alleged_crime",
            statement="A complaint that an officer committed a crime is normally not mediated.",
            source="Portland, auditor's page on City Code 3.21, 2008 text (docs/field.md, P3)",
            judge=_alleged_crime,
        ),
        EligibilityRule(
            code="officer_is_witness",
            statement="A person must review a complaint when an officer is a witness against the person who complained "
            "in a case that is still pending more than 90 days after it was filed.",
            source="Portland, auditor's page on City Code 3.21, 2008 text (docs/field.md, P3)",
            judge=_officer_is_witness,
        ),
        EligibilityRule(
            code="serious_injury",
            statement="A complaint about a serious injury is normally not mediated.",
            source="New York City's practice, from general knowledge (docs/field.md)",
            judge=_serious_injury,
        ),
        EligibilityRule(
            code="litigation_pending",
            statement="A person must review a complaint when a claim or a suit about the same events is pending.",
            source="Dallas Code 37-32.2 (docs/field.md, DA), softened from a bar to a review",
            judge=_litigation_pending,
        ),
        EligibilityRule(
            code="rank_initiated",
            statement="A complaint that came from inside the police department is normally not mediated.",
            source="New Orleans, 2014 (docs/field.md, N2)",
            judge=_rank_initiated,
        ),
        EligibilityRule(
            code="officer_unidentified",
            statement="A person must review a complaint in which no officer has been identified yet.",
            source="docs/field.md: nobody can be asked while the officer is unknown",
            judge=_officer_unidentified,
        ),
        EligibilityRule(
            code="minor_without_guardian",
            statement="A person must review a complaint when a minor takes part and no guardian is on file.",
            source="6-A DCMR 2113 and 2115 (docs/field.md, W1)",
            judge=_minor_without_guardian,
        ),
    ),
)

INTAKE_FIELDS: Final = (
    "crime_alleged",
    "serious_injury",
    "litigation_pending",
    "officer_is_witness",
    "pending_case_filed_on",
    "rank_initiated",
)
"""The answers of intake that rules depend on."""


def outdated_by(before: IntakeRecord, changes: Mapping[str, object]) -> tuple[str, ...]:
    """Return the changed answers that make an earlier screening outdated. Changing to `false` never does."""
    return tuple(
        name
        for name in INTAKE_FIELDS
        if name in changes and changes[name] is not False and changes[name] != getattr(before, name)
    )


RULE_SETS: Mapping[str, EligibilityRuleSet] = MappingProxyType({ELIGIBILITY_RULES.version: ELIGIBILITY_RULES})
"""Every rule set ever released, by version."""


def judge(record: IntakeRecord, today: date, rules: EligibilityRuleSet = ELIGIBILITY_RULES) -> Screening:
    """Apply each rule to the intake record of a complaint, on the office's local date.

    The outcome is `fail` if any rule fails, else `needs_review` if any needs review, else `pass`.
    """
    findings = tuple(Finding(rule.code, rule.judge(record, today)) for rule in rules.rules)
    outcomes = {finding.outcome for finding in findings}
    worst = next((o for o in (Outcome.FAIL, Outcome.NEEDS_REVIEW) if o in outcomes), Outcome.PASS)
    return Screening(rules.version, findings, worst)
