"""Changes the domain in small ways and shows which change no test notices: `make gate-mutants`, about twenty minutes.

`make gate-mutants ARGS="case target"` changes those two modules alone.

mutmut makes the changes. Its own runner is not used: it changes what a function does once everything is imported, and
so never a table, a default or a property, in which much of the law is written here. Here each change has a process of
its own, which runs tests/domain until a test fails. What a function does is changed in place first, which is quick.
What survives that, and whatever is no function, is imported with the change in it. To mutmut's changes are added an
`if` that always holds or never does, and the loss of one entry of a tuple, list, set or dict.

Not changed are words, which are data: literals of three words or more, which people read and which may change; and the
names that enums, refusals and events go by, which openapi/ or a list in the tests keeps as a whole.

Fails when a change survives that survivors.toml does not argue, and when survivors.toml argues one that does not
survive. A change is known by its file, by what it stands in, and by its lines before and after.
"""

import gc
import importlib
import importlib.util
import io
import os
import re
import resource
import signal
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from types import CodeType, FunctionType
from typing import Final, NamedTuple

import hypothesis
import libcst as cst
import pytest
from libcst.metadata import MetadataWrapper
from mutmut.mutation.file_mutation import Mutation, MutationVisitor, deep_replace
from mutmut.mutation.mutators import OPERATORS_TYPE, mutation_operators, operator_if_exp
from mutmut.mutation.pragma_handling import get_ignored_lines

DOMAIN: Final = Path("src/mediation_api/domain")
TESTS: Final = Path("tests/domain")
SURVIVORS: Final = TESTS / "survivors.toml"

SECONDS: Final = 60
"""Of a processor, after which a change has made something endless. All tests take about two."""
BYTES: Final = 4 << 30
"""Of memory, which no change is to use up."""

PYTEST: Final = (
    "--noconftest",
    "--assert=plain",
    "--tb=no",
    "--no-header",
    "-n0",
    "-q",
    "-x",
    "-p",
    "no:cacheprovider",
)
FATE: Final = {
    int(pytest.ExitCode.OK): "survived",
    int(pytest.ExitCode.TESTS_FAILED): "killed",
    int(pytest.ExitCode.INTERRUPTED): "killed",  # it could not be imported
    -signal.SIGXCPU: "timeout",
    -signal.SIGKILL: "timeout",
}
FATES: Final = ("killed", "timeout", "survived")

SENTENCE: Final = re.compile(r"""["'][A-Za-z0-9].*( [^ ]+){2,} ?["']""")
"""A literal of three words or more."""


class Change(NamedTuple):
    """How a mutant is known, whatever else is edited: lines are stripped, and joined by one blank."""

    file: str
    where: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one module, not yet made; without a mutation, none."""

    path: Path
    module: cst.Module
    mutation: Mutation | None = None
    where: str = ""
    in_function: bool = False

    def source(self) -> str:
        """The module with the change in it."""
        made = self.mutation
        changed = deep_replace(self.module, made.original_node, made.mutated_node) if made else self.module
        if not isinstance(changed, cst.Module):
            raise TypeError(self.where)
        return changed.code.replace("@staticmethod", "@property")

    def compiled(self) -> CodeType:
        """The same, compiled."""
        return compile(self.source(), str(self.path.absolute()), "exec")

    def change(self) -> Change:
        """How it is known."""
        before, after = self.path.read_text(encoding="utf-8").splitlines(), self.source().splitlines()
        while before and after and before[0] == after[0]:
            del before[0], after[0]
        while before and after and before[-1] == after[-1]:
            del before[-1], after[-1]
        return Change(self.path.name, self.where, *(" ".join(line.strip() for line in one) for one in (before, after)))


# ── what is changed ────────────────────────────────────────────────────────────────────────────────────────────────


def _without_one(node: cst.Tuple | cst.List | cst.Set | cst.Dict) -> Iterator[cst.CSTNode]:
    """The same with one entry less. An empty set or tuple of one would be something else, and is left alone."""
    entries: Sequence[cst.BaseElement | cst.BaseDictElement] = node.elements
    if len(entries) > 1:
        yield from (node.with_changes(elements=[*entries[:n], *entries[n + 1 :]]) for n in range(len(entries)))


OPERATORS: Final[OPERATORS_TYPE] = [
    *mutation_operators,
    *((kind, operator_if_exp) for kind in (cst.If, cst.CompIf)),
    *((kind, _without_one) for kind in (cst.Tuple, cst.List, cst.Set, cst.Dict)),
]


def mutants_of(path: Path) -> Iterator[Mutant]:
    """One module as it is, and with every change that is not one of words."""
    # mutmut leaves decorated functions alone but for static methods, of which the domain has none.
    code = path.read_text(encoding="utf-8").replace("@property", "@staticmethod")
    wrapper = MetadataWrapper(cst.parse_module(code))
    visitor = MutationVisitor(OPERATORS, get_ignored_lines(str(path), code, wrapper))
    wrapper.visit(visitor)
    yield Mutant(path, wrapper.module)
    places = dict(_places(wrapper.module))
    for mutation in visitor.mutations:
        place = places.get(mutation.original_node)
        if place is not None and not _is_wording(mutation, place):
            yield Mutant(path, wrapper.module, mutation, place.name, place.in_function)


class Place(NamedTuple):
    """Where a node stands: in the function or the assignment of that name."""

    name: str
    in_function: bool
    in_class: bool


def _places(module: cst.Module) -> Iterator[tuple[cst.CSTNode, Place]]:
    for statement in module.body:
        in_class = isinstance(statement, cst.ClassDef)
        for each in statement.body.body if isinstance(statement, cst.ClassDef) else (statement,):
            name = f"{_name(statement)}.{_name(each)}" if in_class else _name(each)
            place = Place(name, isinstance(each, cst.FunctionDef), in_class)
            yield from ((node, place) for node in _walk(each))


def _name(statement: cst.CSTNode) -> str:
    if isinstance(statement, (cst.FunctionDef, cst.ClassDef)):
        return statement.name.value
    first = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
    target = first.targets[0].target if isinstance(first, cst.Assign) else getattr(first, "target", None)
    return target.value if isinstance(target, cst.Name) else ""


def _walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _is_wording(mutation: Mutation, place: Place) -> bool:
    node = mutation.original_node
    if isinstance(node, cst.SimpleString) and SENTENCE.fullmatch(node.value):
        return True
    if place.in_function:
        return False
    value = node.value if isinstance(node, (cst.Assign, cst.AnnAssign)) else node
    return place.in_class and isinstance(value, (cst.SimpleString, cst.ConcatenatedString))


# ── what becomes of it ─────────────────────────────────────────────────────────────────────────────────────────────


def judge(path: Path) -> Iterator[tuple[Mutant, str]]:
    """The fate of each mutant of a module, and of the module as it is."""
    mutants = list(mutants_of(path))
    gc.freeze()  # or every process would go through all of them
    fates = _in_place(path, mutants)
    yield from ((mutants[number], fate) for number, fate in fates.items())
    rest = [number for number in range(len(mutants)) if number not in fates]
    for number, fate in _each(rest, lambda number: _imported(mutants[number])):
        yield mutants[number], fate


def _each(numbers: Iterable[int], live: Callable[[int], int]) -> Iterator[tuple[int, str]]:
    """The fate of each number, in no order: `live` gives what a process of its own ends with."""
    running: dict[int, int] = {}
    for number in numbers:
        if len(running) == (os.cpu_count() or 1):
            yield _next(running)
        running[_process(partial(live, number))] = number
    while running:
        yield _next(running)


def _next(running: dict[int, int]) -> tuple[int, str]:
    process, status = os.wait()
    number, code = running.pop(process), os.waitstatus_to_exitcode(status)
    if code not in FATE:
        raise RuntimeError(f"the tests ended with {code}, and say nothing")
    return number, FATE[code]


def _process(live: Callable[[], int]) -> int:
    """A process that does this in silence and ends with what it gives; an error ends it as one of pytest's own."""
    process = os.fork()
    if process:
        return process
    code: int = pytest.ExitCode.INTERNAL_ERROR
    try:
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, sys.stdout.fileno())
        os.dup2(silence, sys.stderr.fileno())
        code = live()
    finally:
        os._exit(code)


def _in_place(path: Path, mutants: Sequence[Mutant]) -> dict[int, str]:
    """Of those that are killed once everything is imported, which is quick, the fate."""
    reading, writing = os.pipe()
    process = _process(lambda: pytest.main([*PYTEST, *_tests(path)], plugins=[InPlace(mutants, writing)]))
    os.close(writing)
    with os.fdopen(reading) as told:
        fates = dict(line.split() for line in told)
    if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]):
        raise RuntimeError(f"the tests of {path} could not be run")
    return {int(number): fate for number, fate in fates.items()}


class InPlace:
    """A plugin of pytest that runs the collected tests once for each mutant of what a function does."""

    def __init__(self, mutants: Sequence[Mutant], writing: int) -> None:
        self.mutants = mutants
        self.writing = writing

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        gc.freeze()
        numbers = (number for number, mutant in enumerate(self.mutants) if mutant.in_function or not number)
        for number, fate in _each(numbers, lambda number: self._live(self.mutants[number], session)):
            if fate != "survived":
                os.write(self.writing, f"{number} {fate}\n".encode())
        return True

    def _live(self, mutant: Mutant, session: pytest.Session) -> int:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        if mutant.mutation is not None:
            _replace(mutant)
        for item, following in zip_longest(session.items, session.items[1:]):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                return pytest.ExitCode.TESTS_FAILED
        return pytest.ExitCode.OK


def _replace(mutant: Mutant) -> None:
    """Give the function in question the code that it has in the changed module."""
    code = mutant.compiled()
    found: object = importlib.import_module(f"mediation_api.domain.{mutant.path.stem}")
    for name in mutant.where.split("."):
        code = next(each for each in code.co_consts if isinstance(each, CodeType) and each.co_name == name)
        found = vars(found)[name]
    function = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
    if isinstance(function, FunctionType):
        function.__code__ = code


def _imported(mutant: Mutant) -> int:
    """Import the domain with the change, and run the tests."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    compiled = mutant.compiled()
    first, *others = _tests(mutant.path)
    try:
        _import(mutant.path.stem, compiled)
    except Exception:  # noqa: BLE001 - whatever the change has made of it
        return pytest.ExitCode.INTERRUPTED
    return pytest.main([*PYTEST, first]) or pytest.main([*PYTEST, *others])


def _import(name: str, compiled: CodeType) -> None:
    package = importlib.import_module("mediation_api.domain")
    spec = importlib.util.find_spec(f"{package.__name__}.{name}")
    if spec is None:
        raise ModuleNotFoundError(name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    exec(compiled, module.__dict__)  # noqa: S102 - the domain's own code
    setattr(package, name, module)


def _tests(path: Path) -> list[str]:
    """The files of tests, those first that will mostly notice: the module's own, and those of the case."""
    likely = (f"test_{path.stem}.py", "test_case.py")
    files = sorted(TESTS.glob("test_*.py"))
    return [str(file) for file in sorted(files, key=lambda file: [file.name != each for each in likely])]


# ── what is said of it ─────────────────────────────────────────────────────────────────────────────────────────────


def main(*modules: str) -> str | None:
    """Judge every change of these modules, or of them all, and print what came of it. Returns what is wrong."""
    began = time.monotonic()
    hypothesis.settings.register_profile(
        "mutants",
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutants")
    with redirect_stdout(io.StringIO()):  # imports the plugins once for all, and nothing of ours
        pytest.main([*PYTEST, "--collect-only", "--pyargs", "hypothesis"])
    argued = _argued()
    wrong = False
    total = Counter[str]()
    _say(f"{'':20}{'mutants':>10}{''.join(f'{fate:>10}' for fate in FATES)}")
    for path in [DOMAIN / f"{name}.py" for name in modules] or sorted(DOMAIN.glob("[!_]*.py")):
        counts = Counter[str]()
        survived: set[Change] = set()
        for mutant, fate in judge(path):
            if mutant.mutation is not None:
                counts[fate] += 1
                survived |= {mutant.change()} if fate == "survived" else set()
            elif fate != "survived":
                return f"The tests fail with {path.name} as it is."
        here = {change for change in argued if change.file == path.name}
        _say(_row(path.name, counts))
        _say(*(_entry("Survives, and is not argued", change) for change in sorted(survived - here)))
        _say(*(_entry("Is argued, and does not survive", change) for change in sorted(here - survived)))
        wrong |= survived != here
        total += counts
    _say(_row("all", total), f"{(time.monotonic() - began) / 60:.1f} minutes")
    return f"{SURVIVORS} does not list those that survive." if wrong else None


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _row(name: str, counts: Counter[str]) -> str:
    return f"{name:20}{counts.total():10}{''.join(f'{counts[fate]:10}' for fate in FATES)}"


def _entry(fault: str, change: Change) -> str:
    return f"    {fault}: {change.where}\n    - {change.before}\n    + {change.after}"


def _argued() -> set[Change]:
    entries = tomllib.loads(SURVIVORS.read_text(encoding="utf-8"))["survivor"]
    if not all(entry.pop("why") for entry in entries):
        raise ValueError(f"{SURVIVORS} argues nothing")
    return {Change(**entry) for entry in entries}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
