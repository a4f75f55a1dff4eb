"""Refusals are words: each has a stable code of its own and a sentence, and so has each condition of a gate."""

import ast
import re
from collections.abc import Iterator
from inspect import getsource

import pytest

from mediation_api.domain import closing, contact, eligibility, errors, sessions
from mediation_api.domain.errors import (
    CONDITIONS,
    AttemptTooSoon,
    ConditionsMissing,
    Conflict,
    Invalid,
    Missing,
    Refusal,
)
from mediation_api.domain.values import Side

REFUSALS = [
    each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, Refusal) and each not in {Refusal, Conflict}
]


def test_each_refusal_has_a_code_of_its_own() -> None:
    codes = [refusal.code for refusal in REFUSALS]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.code)
def test_a_refusal_says_so_in_a_sentence(refusal: type[Refusal]) -> None:
    assert refusal.code == refusal.code.lower().replace("_", "-")
    assert refusal.detail[0].isupper()
    assert refusal.detail.endswith(".")


def test_a_refusal_may_say_more_than_its_class() -> None:
    assert str(errors.NotFound()) == errors.NotFound.detail
    assert str(errors.NotFound("It is gone.")) == "It is gone."


def test_an_invalid_value_is_pointed_at() -> None:
    refused = Invalid("/ends_at", "after-start", "It ends too early.")
    assert (refused.pointer, refused.rule, str(refused)) == ("/ends_at", "after-start", "It ends too early.")


def test_a_gate_lists_what_is_missing() -> None:
    missing = (Missing("mediator-missing"),)
    assert ConditionsMissing(missing).missing == missing


def test_a_condition_is_about_nobody_unless_it_says_so() -> None:
    assert Missing("mediator-missing").subject is None


def test_a_condition_is_a_sentence() -> None:
    assert Missing("mediator-missing").sentence == "No mediator has accepted the case."


def test_a_refusal_keeps_its_sentence_and_the_values_in_it() -> None:
    refused = AttemptTooSoon("The next attempt can be made from {date} on.", date="2026-03-31")
    assert str(refused) == "The next attempt can be made from 2026-03-31 on."
    assert (refused.sentence, refused.values) == (
        "The next attempt can be made from {date} on.",
        {"date": "2026-03-31"},
    )
    assert (AttemptTooSoon().sentence, AttemptTooSoon().values) == (AttemptTooSoon.detail, {})


def _named() -> Iterator[tuple[str, set[str]]]:
    """What `Missing(…)` is called with: codes, those made of the name of a side among them, and the names of values."""
    for module in (closing, contact, eligibility, sessions):
        for call in ast.walk(ast.parse(getsource(module))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Missing":
                given = [*call.args[2:], *(keyword.value for keyword in call.keywords if keyword.arg == "values")]
                values = {
                    ast.literal_eval(key) for each in given if isinstance(each, ast.Dict) for key in each.keys if key
                }
                code = call.args[0]
                if isinstance(code, ast.Constant):
                    yield str(code.value), values
                else:
                    ending = ast.unparse(code).removeprefix("f'{side}").removesuffix("'")
                    yield from ((f"{side}{ending}", values) for side in Side)


def test_every_condition_that_a_gate_names_has_its_sentence_and_no_other_has() -> None:
    assert {code for code, _ in _named()} == set(CONDITIONS)


def test_a_condition_has_a_value_for_each_placeholder_of_its_sentence() -> None:
    for code, values in _named():
        assert values == set(re.findall(r"{(\w+)}", CONDITIONS[code])), code
