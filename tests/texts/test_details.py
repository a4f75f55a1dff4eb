"""Every sentence that the code can return as a detail or a remedy is in the catalogue, which has no other."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mediation_api.domain.errors import CONDITIONS, Refusal
from mediation_api.http import idempotency, problems
from mediation_api.http.problem_catalogue import CATALOGUE
from mediation_api.texts.loader import load_texts

SOURCE: Final = Path(__file__).parents[2] / "src" / "mediation_api"
TAKEN: Final = {
    "Invalid": 2,
    "rule_broken": 1,
    "parameter_broken": 2,
    "ProblemException": 2,
    "Malformed": 1,
    "_of_staff": 1,
}
"""The position of the sentence among the arguments of what takes one; of a refusal it is the first."""
LATER: Final = {"_WEAK[why]", "detail"}
"""Arguments that are no constants: from a table that is looked at below, and of `_of_staff`, which is in `TAKEN`."""


def refusals(kind: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for each in kind.__subclasses__():
        yield each
        yield from refusals(each)


def _arguments() -> Iterator[tuple[str, ast.expr]]:
    names = {each.__name__ for each in refusals()} - {"ConditionsMissing", "ScopeMissing", "Unauthenticated"}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            position = TAKEN.get(node.func.id, 0 if node.func.id in names else len(node.args))
            if position < len(node.args):
                yield f"{path.name}:{node.lineno}", node.args[position]


def in_the_code() -> set[str]:
    tables = [sentence for _, sentence in (*problems.HTTP.values(), *problems.FIELD.values(), problems.OTHERWISE)]
    own = [each.detail for each in refusals() if "detail" in vars(each)]
    called = [node.value for _, node in _arguments() if isinstance(node, ast.Constant)]
    remedies = [entry.remedy for entry in CATALOGUE.values()]
    return {
        str(each)
        for each in (
            *(*tables, *own, *called, *remedies),
            *(problems.REFUSED, problems.OUTCOME_UNKNOWN, *CONDITIONS.values(), *idempotency._WEAK.values()),
        )
    }


def test_no_sentence_is_put_together_where_it_is_raised() -> None:
    made = {f"{place}: {ast.unparse(node)}" for place, node in _arguments() if not isinstance(node, ast.Constant)}
    assert {each.partition(": ")[2] for each in made} <= LATER, (
        "write a constant with placeholders, and pass the values"
    )


def test_every_sentence_that_the_code_returns_is_in_the_catalogue_and_no_other() -> None:
    catalogue = load_texts().problem_details["en"]
    assert in_the_code() - catalogue.keys() == set(), "add it to src/mediation_api/texts/details.*.md"
    assert catalogue.keys() - in_the_code() == set(), "take it out of src/mediation_api/texts/details.*.md"


def test_the_sentences_are_in_alphabetical_order() -> None:
    english = list(load_texts().problem_details["en"])
    assert english == sorted(english)


def test_every_language_says_it_in_other_words() -> None:
    for language, sentences in load_texts().problem_details.items():
        same = {sentence for sentence, own in sentences.items() if sentence == own}
        assert same == (set() if language != "en" else sentences.keys()), language
