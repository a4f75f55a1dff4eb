"""Which spellings of an employee number are one officer's."""

import pytest

from mediation_api.domain.employee_numbers import folded


@pytest.mark.parametrize("spelling", ["K-4471", "k4471", " K 4471 ", "k\u20114471", "K.44/71", "\uff2b4471"])
def test_case_and_separators_do_not_make_another_officer(spelling: str) -> None:
    assert folded(spelling) == "k4471"


@pytest.mark.parametrize(("one", "other"), [("0071", "71"), ("K1", "K11"), ("A1", "B1")])
def test_digits_letters_and_leading_zeros_do(one: str, other: str) -> None:
    assert folded(one) != folded(other)


def test_of_separators_alone_nothing_is_left() -> None:
    assert folded(" - ") == ""
