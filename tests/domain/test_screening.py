"""Eligibility, in sentences, and pins that keep released rules as they were released."""

import hashlib
import itertools
from dataclasses import replace
from datetime import date, timedelta

import pytest

from mediation_api.domain.screening import (
    ELIGIBILITY_RULES,
    INTAKE_FIELDS,
    MOST_RULES,
    RULE_SETS,
    EligibilityRuleSet,
    IntakeRecord,
    Outcome,
    judge,
    outdated_by,
)

TODAY = date(2026, 11, 24)
ELIGIBLE = IntakeRecord(
    crime_alleged=False,
    serious_injury=False,
    litigation_pending=False,
    officer_is_witness=False,
    officers_identified=1,
)


def filed(days_ago: int) -> date:
    return TODAY - timedelta(days=days_ago)


def witness(filed_on: date | None) -> IntakeRecord:
    return replace(ELIGIBLE, officer_is_witness=True, pending_case_filed_on=filed_on)


CASES: tuple[tuple[str, IntakeRecord, dict[str, Outcome]], ...] = (
    ("a courtesy complaint against a known officer", ELIGIBLE, {}),
    ("several officers", replace(ELIGIBLE, officers_identified=4), {}),
    ("an alleged crime", replace(ELIGIBLE, crime_alleged=True), {"alleged_crime": Outcome.FAIL}),
    ("a crime not asked about yet", replace(ELIGIBLE, crime_alleged=None), {"alleged_crime": Outcome.NEEDS_REVIEW}),
    ("a serious injury", replace(ELIGIBLE, serious_injury=True), {"serious_injury": Outcome.FAIL}),
    ("an injury not asked about", replace(ELIGIBLE, serious_injury=None), {"serious_injury": Outcome.NEEDS_REVIEW}),
    ("a pending suit", replace(ELIGIBLE, litigation_pending=True), {"litigation_pending": Outcome.NEEDS_REVIEW}),
    ("an unknown suit", replace(ELIGIBLE, litigation_pending=None), {"litigation_pending": Outcome.NEEDS_REVIEW}),
    ("a complaint from a superior", replace(ELIGIBLE, rank_initiated=True), {"rank_initiated": Outcome.FAIL}),
    ("an unknown officer", replace(ELIGIBLE, officers_identified=0), {"officer_unidentified": Outcome.NEEDS_REVIEW}),
    (
        "a minor without a guardian",
        replace(ELIGIBLE, minors_without_guardian=1),
        {"minor_without_guardian": Outcome.NEEDS_REVIEW},
    ),
    ("a witness in a case filed today", witness(filed(0)), {}),
    ("a witness in a case pending 90 days", witness(filed(90)), {}),
    ("a witness in a case pending 91 days", witness(filed(91)), {"officer_is_witness": Outcome.NEEDS_REVIEW}),
    ("a witness in a case filed tomorrow", witness(filed(-1)), {"officer_is_witness": Outcome.NEEDS_REVIEW}),
    ("a witness in a case of unknown date", witness(None), {"officer_is_witness": Outcome.NEEDS_REVIEW}),
    (
        "a case in which nobody knows who is a witness",
        replace(ELIGIBLE, officer_is_witness=None, pending_case_filed_on=filed(10)),
        {"officer_is_witness": Outcome.NEEDS_REVIEW},
    ),
    ("an old case in which the officer is no witness", replace(ELIGIBLE, pending_case_filed_on=filed(900)), {}),
)


@pytest.mark.parametrize(("record", "not_passed"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_only_the_rule_that_is_concerned_does_not_pass(record: IntakeRecord, not_passed: dict[str, Outcome]) -> None:
    screening = judge(record, TODAY)
    found = {f.code: f.outcome for f in screening.findings if f.outcome is not Outcome.PASS}
    assert found == not_passed
    assert screening.outcome is next(iter(not_passed.values()), Outcome.PASS)


def test_each_rule_leaves_one_finding_in_the_order_of_the_rules_and_the_version_is_kept() -> None:
    screening = judge(ELIGIBLE, TODAY)
    assert [f.code for f in screening.findings] == [rule.code for rule in ELIGIBILITY_RULES.rules]
    assert len(screening.findings) <= MOST_RULES
    assert screening.version == ELIGIBILITY_RULES.version == "2026-11"


def test_a_fail_beats_a_doubt_and_a_doubt_beats_a_pass() -> None:
    doubtful = replace(ELIGIBLE, litigation_pending=True)
    assert judge(doubtful, TODAY).outcome is Outcome.NEEDS_REVIEW
    assert judge(replace(doubtful, rank_initiated=True), TODAY).outcome is Outcome.FAIL


def test_at_first_intake_knows_nothing_and_has_identified_nobody() -> None:
    assert IntakeRecord() == IntakeRecord(
        crime_alleged=None,
        serious_injury=None,
        litigation_pending=None,
        officer_is_witness=None,
        pending_case_filed_on=None,
        rank_initiated=False,
        officers_identified=0,
        minors_without_guardian=0,
    )


def test_what_intake_knows_nothing_of_needs_a_review_and_never_fails() -> None:
    outcomes = {f.outcome for f in judge(IntakeRecord(), TODAY).findings}
    assert outcomes == {Outcome.PASS, Outcome.NEEDS_REVIEW}


def test_a_witness_rule_that_passed_can_need_a_review_a_day_later() -> None:
    record = witness(filed(90))
    assert judge(record, TODAY).outcome is Outcome.PASS
    assert judge(record, TODAY + timedelta(days=1)).outcome is Outcome.NEEDS_REVIEW


def test_a_complaint_can_be_held_against_another_rule_set() -> None:
    lenient = EligibilityRuleSet(
        "test", tuple(rule for rule in ELIGIBILITY_RULES.rules if rule.code != "alleged_crime")
    )
    screening = judge(replace(ELIGIBLE, crime_alleged=True), TODAY, lenient)
    assert (screening.version, screening.outcome) == ("test", Outcome.PASS)
    assert judge(ELIGIBLE, TODAY, EligibilityRuleSet("empty", ())).outcome is Outcome.PASS


def test_the_current_rules_are_released_and_every_rule_set_stands_under_its_own_version() -> None:
    assert RULE_SETS[ELIGIBILITY_RULES.version] is ELIGIBILITY_RULES
    assert all(version == rules.version for version, rules in RULE_SETS.items())


@pytest.mark.parametrize("rules", RULE_SETS.values(), ids=lambda rules: rules.version)
def test_every_rule_says_what_it_means_and_where_it_comes_from(rules: EligibilityRuleSet) -> None:
    assert len({rule.code for rule in rules.rules}) == len(rules.rules)
    assert all(rule.statement.endswith(".") and rule.source for rule in rules.rules)


# ── pins: a released rule set is never edited. To change a rule, add a rule set with a new version and its two pins ──

WORDS = {"2026-11": "2a030c37190c05f59d6e82ddba61edf5a9b8901367664e17cfe9660d82120277"}
DEEDS = {"2026-11": "24eed193e3baec242c505a301e26e953e211bc5acaaacccd1a04402be1b05b6a"}


def words_of(rules: EligibilityRuleSet) -> str:
    text = "\n".join([rules.version, *(f"{rule.code}: {rule.statement}" for rule in rules.rules)])
    return hashlib.sha256(text.encode()).hexdigest()


def deeds_of(rules: EligibilityRuleSet) -> str:
    """Hash what the rules decide over every combination of answers, so that their code is pinned as well."""
    answers = (True, False, None)
    days = (None, *(filed(n) for n in (-1, 0, 1, 89, 90, 91, 92, 4000)))
    grid = itertools.product(answers, answers, answers, answers, days, (True, False), (0, 1, 2), (0, 1, 2))
    decided = hashlib.sha256()
    for crime, injury, suit, is_witness, filed_on, ranked, officers, minors in grid:
        record = IntakeRecord(
            crime_alleged=crime,
            serious_injury=injury,
            litigation_pending=suit,
            officer_is_witness=is_witness,
            pending_case_filed_on=filed_on,
            rank_initiated=ranked,
            officers_identified=officers,
            minors_without_guardian=minors,
        )
        screening = judge(record, TODAY, rules)
        decided.update(",".join([screening.outcome, *(f.outcome for f in screening.findings)]).encode())
    return decided.hexdigest()


def test_the_words_of_a_released_rule_set_do_not_change() -> None:
    assert {version: words_of(rules) for version, rules in RULE_SETS.items()} == WORDS


def test_what_a_released_rule_set_decides_does_not_change() -> None:
    assert {version: deeds_of(rules) for version, rules in RULE_SETS.items()} == DEEDS


@pytest.mark.parametrize("name", INTAKE_FIELDS)
def test_an_answer_that_rules_look_at_outdates_a_screening_unless_it_is_a_plain_no(name: str) -> None:
    learnt: object = TODAY if name == "pending_case_filed_on" else True
    assert outdated_by(ELIGIBLE, {name: learnt, "narrative": "He said so."}) == (name,)
    assert outdated_by(replace(ELIGIBLE, **{name: learnt}), {name: learnt}) == ()  # type: ignore[arg-type]
    assert outdated_by(replace(ELIGIBLE, **{name: learnt}), {name: False}) == ()  # type: ignore[arg-type]


def test_what_is_no_longer_known_outdates_a_screening() -> None:
    assert outdated_by(ELIGIBLE, {"crime_alleged": None, "serious_injury": False}) == ("crime_alleged",)


def test_a_rule_looks_at_each_answer_by_which_a_screening_is_outdated() -> None:
    for name in INTAKE_FIELDS:
        before = replace(witness(filed(10)), officer_is_witness=name == "pending_case_filed_on")
        worse: object = filed(900) if name == "pending_case_filed_on" else True
        if name == "officer_is_witness":
            before = replace(before, pending_case_filed_on=None)
        changed = replace(before, **{name: worse})  # type: ignore[arg-type]
        assert judge(changed, TODAY).outcome is not judge(before, TODAY).outcome, name
