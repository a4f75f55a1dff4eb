"""A verification of the audit chains in parts: by several processes, and continued after it was interrupted.

The ids are divided into ranges (repository/audit_ranges.py). Each range is verified in a snapshot of its own, by one of
several processes, and reported in order. A checkpoint says how far a run came, and up to which event the last complete
run found nothing wrong, so that the next run looks only at what has gone on since:

    {"checkpoint": "mediation_api audit verification", "format": 1,
     "verified": {"position": 4711, "link": "…"},
     "run": {"since": {…}, "to": {…}, "through": "…", "events": 20, "streams": 3, "problems": 0}}     null between runs

It is written anew after each range. It is not signed: keep it where the exports are kept.
"""

import asyncio
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Final, TypeAlias
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from mediation_api.cli.audit_statements import NOTHING, Export, connected, snapshot
from mediation_api.cli.output import error_line
from mediation_api.domain.audit_chain import ChainFault, Examination, Horizon
from mediation_api.repository import audit_comparison, audit_verification
from mediation_api.repository.audit_ranges import EVERYTHING, IdRange, divided
from mediation_api.settings import Settings

Pipe: TypeAlias = Connection
"""A pipe to or from a process that verifies."""
_WHAT: Final = "mediation_api audit verification"
_FORMAT: Final = 1
_PROGRESS_SECONDS: Final = 10.0


class VerificationError(Exception):
    """A verification cannot be continued or finished. The text is for operators."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the verification of a range found."""

    events: int
    streams: int
    problems: tuple[ChainFault, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """A verification that has not ended."""

    since: Horizon
    """Only what has gone on since this event is looked at; position 0 for all."""
    to: Horizon
    """Every event up to this one is looked at."""
    through: UUID | None = None
    """The end of the last range that was reported."""
    events: int = 0
    streams: int = 0
    problems: int = 0

    def after(self, ids: IdRange, found: Found) -> "Run":
        """Return the run after a further range."""
        return replace(
            self,
            through=ids.up_to,
            events=self.events + found.events,
            streams=self.streams + found.streams,
            problems=self.problems + len(found.problems),
        )


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far the chains were verified. Without a path it is not kept."""

    path: Path | None = None
    verified: Horizon = field(default_factory=Horizon)
    run: Run | None = None

    @classmethod
    def read(cls, path: Path | None) -> "Checkpoint":
        """Read a checkpoint; return a new one if there is no such file. Raises VerificationError or OSError."""
        if path is None or not path.exists():
            return cls(path)
        try:
            values = json.loads(path.read_bytes())
            if values["checkpoint"] != _WHAT or values["format"] != _FORMAT:
                raise VerificationError("the file is not a checkpoint that this release can read")
            run = values["run"]
            return cls(path, _horizon(values["verified"]), None if run is None else _run(run))
        except (KeyError, TypeError, ValueError):
            raise VerificationError("the checkpoint cannot be read") from None

    def write(self) -> None:
        """Replace the file as a whole."""
        if self.path is None:
            return
        values = {"checkpoint": _WHAT, "format": _FORMAT, "verified": self.verified, "run": self.run}
        partial = self.path.with_name(f"{self.path.name}.partial")
        with partial.open("w", encoding="utf-8") as file:
            json.dump(values, file, default=_plain)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(self.path)


def verify(
    settings: Settings,
    exported: Export,
    checkpoint: Checkpoint,
    *,
    jobs: int,
    say: Callable[[str], None],
    progress: Callable[[str], None],
) -> Run:
    """Verify, or continue to; say each problem of the chains, and each row that contradicts its events, as a line.

    Args:
        settings: the database.
        exported: what the chains are compared with.
        checkpoint: where to begin, and where progress is written to.
        jobs: how many processes verify, at most: one for each range that has streams.
        say: is given each problem.
        progress: is given how far it has come, every ten seconds.

    Raises VerificationError if the database does not have the events that the checkpoint names, or a process ended.
    """
    run, ranges = asyncio.run(_plan(settings, checkpoint))
    of_streams = sum(not ids.has_nobody for ids in ranges)  # to start a process takes longer than to verify the rest
    said = time.monotonic()
    with closing(_in_order(settings, exported, ranges, min(jobs, of_streams))) as all_found:
        for number, (ids, found) in enumerate(zip(ranges, all_found, strict=True), start=1):
            for problem in found.problems:
                say(str(problem))
            run = run.after(ids, found)
            if number < len(ranges):
                replace(checkpoint, run=run).write()
            if time.monotonic() - said >= _PROGRESS_SECONDS:
                said = time.monotonic()
                progress(f"{number} of {len(ranges)} parts, {run.events} events, {run.problems} problems")
    replace(checkpoint, verified=checkpoint.verified if run.problems else run.to, run=None).write()
    return run


async def _plan(settings: Settings, checkpoint: Checkpoint) -> tuple[Run, list[IdRange]]:
    async with connected(settings) as engine:
        run = checkpoint.run
        if run is None:
            run = Run(checkpoint.verified, Horizon() if checkpoint.path is None else await _horizon_of(engine))
        async with snapshot(engine) as connection:
            for known in (run.since, run.to):
                if known.position and await audit_verification.link_at(connection, known.position) != known.link:
                    raise VerificationError(
                        "the database does not have an event of the checkpoint: verify it without the checkpoint"
                    )
            return run, await divided(connection, since=run.since.position, after=run.through)


async def _horizon_of(engine: AsyncEngine) -> Horizon:
    try:
        return await audit_verification.horizon(engine)
    except TimeoutError:
        raise VerificationError("a transaction that writes events does not end") from None


def _in_order(settings: Settings, exported: Export, ranges: Sequence[IdRange], jobs: int) -> Generator[Found]:
    """Yield what is found in each range, in order. One process verifies by itself, several have it done."""
    if jobs == 1:
        yield from (_examined(settings, exported, ids) for ids in ranges)
        return
    context = multiprocessing.get_context("spawn")  # a fork would share the connections and threads of this process
    processes, idle = [], list[Pipe]()
    try:
        for _ in range(jobs):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, settings, exported), daemon=True)
            process.start()
            theirs.close()  # so that reading fails once the process has ended
            processes.append(process)
            idle.append(ours)
        yield from _distributed(ranges, idle)
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _distributed(ranges: Sequence[IdRange], idle: list[Pipe]) -> Iterator[Found]:
    found, running = dict[int, Found](), dict[Pipe, int]()
    reported = started = 0
    while reported < len(ranges):
        while idle and started < len(ranges):
            link = idle.pop()
            with _while_it_lives():
                link.send(ranges[started])
            running[link] = started
            started += 1
        ready = wait(list(running))
        for link in [each for each in running if each in ready]:
            found[running.pop(link)] = _received(link)
            idle.append(link)
        while reported in found:
            yield found.pop(reported)
            reported += 1


@contextmanager
def _while_it_lives() -> Iterator[None]:
    """Raise VerificationError if the process at the other end of a pipe has ended, and not an error of connections."""
    try:
        yield
    except (EOFError, OSError):
        raise VerificationError("a process of the verification ended") from None


def _received(link: Pipe) -> Found:
    with _while_it_lives():
        answer = link.recv()
    if isinstance(answer, Found):
        return answer
    raise VerificationError(str(answer))


def _work(link: Pipe, settings: Settings, exported: Export) -> None:
    """Verify the ranges that arrive, until the process that sends them has ended."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(KeyboardInterrupt):
        while True:
            ids = link.recv()
            try:
                answer: Found | str = _examined(settings, exported, ids)
            except Exception as error:
                line = error_line(error)
                if line is None:
                    raise
                answer = line
            link.send(answer)


def _end_with_parent() -> None:
    """End this process as soon as the one that started it has ended: nobody would receive what it finds."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _examined(settings: Settings, exported: Export, ids: IdRange) -> Found:
    return asyncio.run(examine(settings, exported, ids))


async def examine(settings: Settings, exported: Export = NOTHING, ids: IdRange = EVERYTHING) -> Found:
    """Verify a range in one snapshot."""
    heads = exported.heads(ids.after, ids.up_to)
    if ids.only is not None:
        only = frozenset(ids.only)
        heads = (head for head in heads if head.stream in only)
    examination = Examination(heads, exported_to=exported.position)
    problems: list[ChainFault] = []
    async with connected(settings) as engine, snapshot(engine) as connection:
        for faults in (
            audit_verification.problems(connection, examination, ids),
            audit_comparison.unlike_events(connection, ids),
        ):
            problems += [fault async for fault in faults]
    return Found(examination.events, examination.streams, tuple(problems))


def _plain(value: object) -> object:
    """Return what json cannot write by itself in another form."""
    if isinstance(value, Horizon):
        return {"position": value.position, "link": value.link.hex()}
    if isinstance(value, Run):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    return str(value)  # an id


def _horizon(values: object) -> Horizon:
    if not isinstance(values, dict):
        raise TypeError(values)
    return Horizon(int(str(values["position"])), bytes.fromhex(str(values["link"])))


def _run(values: Mapping[str, object]) -> Run:
    since, to = (_horizon(values[name]) for name in ("since", "to"))
    through = None if values["through"] is None else UUID(str(values["through"]))
    numbers = {name: int(str(values[name])) for name in ("events", "streams", "problems")}
    return Run(since, to, through, **numbers)
