"""Proves what the service promises of confidentiality: `make security`, some minutes.

Runs the tests that criteria.py names, and prints for each promise its figures, how they were taken, and whether the
control, which takes the guard away, found what the guard keeps out. Fails when one of them failed or did not run.
"""

import sys
from collections import defaultdict
from textwrap import fill

import pytest
from tests.security.criteria import CRITERIA, Criterion


class Results:
    """What became of each test, by its name without parameters, and the figures that it recorded."""

    def __init__(self) -> None:
        self.outcomes: dict[str, list[str]] = defaultdict(list)
        self.figures: dict[str, list[str]] = defaultdict(list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what a test came to; a failure of what it stands on counts as its own."""
        name = report.nodeid.partition("[")[0]
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[name].append(report.outcome)
        if report.when == "call":
            self.figures[name] += [str(value) for key, value in report.user_properties if key == "figure"]

    def hold(self, name: str) -> bool:
        """Whether a test ran, and passed with each of its parameters."""
        return set(self.outcomes[name]) == {"passed"}


def told(number: int, criterion: Criterion, results: Results) -> str:
    """One criterion with its figures."""
    names = (*criterion.proofs, *criterion.controls)
    lines = [fill(f"{number:>3}. {criterion.promise}", 110, subsequent_indent="     ")]
    lines.append(fill(f"     How: {criterion.taken}", 110, subsequent_indent="     "))
    lines += [f"     {figure}" for name in names for figure in results.figures[name]]
    for word, chosen in (("proofs", criterion.proofs), ("controls", criterion.controls)):
        passed = sum(len(results.outcomes[name]) for name in chosen if results.hold(name))
        failed = [name for name in chosen if not results.hold(name)]
        lines.append(f"     {word}: {passed} passed" + "".join(f"\n     FAILED or not run: {name}" for name in failed))
    return "\n".join(lines)


def main() -> int:
    """Run all, print the table, and return the exit status."""
    results = Results()
    names = sorted({name for each in CRITERIA for name in (*each.proofs, *each.controls)})
    pytest.main(["-q", "--no-header", "-p", "no:cacheprovider", *names], plugins=[results])
    print("\n" + "\n\n".join(told(n, each, results) for n, each in enumerate(CRITERIA, start=1)))  # noqa: T201 - the report
    return 0 if all(results.hold(name) for name in names) else 1


if __name__ == "__main__":
    sys.exit(main())
