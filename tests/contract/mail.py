"""Workers are killed while they send mail to a server that puts off, refuses, breaks off and goes away: none is lost.

`make gate-mail` runs it, `make test` does not: it waits for processes to start again.
"""

import asyncio
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import httpx
from sqlalchemy import RowMapping, func, select
from tests.certificates import certificate_authority
from tests.contract.instance import environment, serving
from tests.outreach.smtp import PASSWORD, USER, MailServerOfTest

from mediation_api.database.engine import Database
from mediation_api.database.tables import change_feed, mail_cursor, mails, unnumbered_events
from mediation_api.dev.office import Office, RealClock
from mediation_api.settings import Settings

KILLS: Final = 20
WORKERS: Final = 2
AWAY_SECONDS: Final = 6.0
"""How long nobody listens on the mail server's port."""
ANSWERED: Final = 5
"""How many mails the server answers between two kills: a worker that is killed while it starts shows nothing."""
PATIENCE_SECONDS: Final = 120.0
SEED: Final = 16
PUT_OFF, LOST, LOST_BEFORE = "452 4.2.2 Mailbox full", "lost", "lost before"
ANSWERS: Final = ("250 Accepted",) * 7 + (PUT_OFF, PUT_OFF, LOST, LOST_BEFORE)


WAITING: Final = select(
    select(func.count()).select_from(unnumbered_events).scalar_subquery()
    + select(func.max(change_feed.c.number)).scalar_subquery()
    - select(mail_cursor.c.number).scalar_subquery()
    + select(func.count()).select_from(mails).where(mails.c.state == "queued").scalar_subquery()
)
"""How many events are no reason yet, and how many mails wait."""


@dataclass(slots=True)
class Unreliable(MailServerOfTest):
    """A server that draws its answers."""

    drawn: random.Random = field(default_factory=lambda: random.Random(SEED))  # noqa: S311 - it is repeated
    said: Counter[str] = field(default_factory=Counter)

    def answer_to(self, address: str) -> str:
        """Refuse whoever is gone, and draw what happens to everybody else."""
        answer = "550 5.1.1 No such user" if address.startswith("gone") else self.drawn.choice(ANSWERS)
        self.said[answer] += 1
        return answer


class Workers:
    """Processes that are killed and started again."""

    def __init__(self, variables: dict[str, str], options: Sequence[str]) -> None:
        self._variables = variables
        self._command = [sys.executable, "-m", "tests.contract.impatient_worker", *options]
        self._running = [self._started() for _ in range(WORKERS)]
        self.kills = 0

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, env=self._variables, stderr=subprocess.DEVNULL)

    def kill_next(self) -> None:
        """Kill one without a warning, and start another."""
        killed = self._running.pop(0)
        killed.kill()
        assert killed.wait(10) == -signal.SIGKILL
        self.kills += 1
        self._running.append(self._started())

    def close(self) -> None:
        """Stop them for good."""
        for each in self._running:
            each.terminate()
        for each in self._running:
            each.wait(60)


@contextmanager
def working(settings: Settings, keys: Path, port: int, ca_file: Path, *options: str) -> Iterator[Workers]:
    """Run workers that send mail to a port of this machine, until the block ends."""
    workers = Workers(
        environment(
            settings,
            keys,
            MEDIATION_MAIL_HOST="127.0.0.1",
            MEDIATION_MAIL_PORT=str(port),
            MEDIATION_MAIL_CA_FILE=str(ca_file),
            MEDIATION_MAIL_USER=USER,
            MEDIATION_MAIL_PASSWORD=PASSWORD,
            MEDIATION_MAIL_FROM="no-reply@city.example",
            MEDIATION_PORTAL_URL="https://portal.city.example",
        ),
        options,
    )
    try:
        yield workers
    finally:
        workers.close()


def person(name: str) -> dict[str, object]:
    return {"email": f"{name}-{uuid4().hex[:12]}@example.org", "email_allowed": True}


async def tell(office: Office, expected: Counter[tuple[str, str]]) -> None:
    """Let people be asked who never answer, and a session be scheduled; note which mails are to come of it."""
    asked = [person("asked"), person("gone")]
    await (await office.file(complainants=asked)).to_confirming()
    expected.update(("offered", str(each["email"])) for each in asked)
    sides = [person("complainant")], [person("officer")]
    story = await (await office.file(complainants=sides[0], officers=sides[1])).to_ready()
    mediator = person("mediator")
    await story.assign(await office.mediator(**mediator))
    starts_at = datetime.now(UTC) + timedelta(days=3)
    await story.schedule(starts_at=starts_at.isoformat(), ends_at=(starts_at + timedelta(hours=2)).isoformat())
    expected.update(("session_scheduled", str(each["email"])) for each in (*sides[0], *sides[1], mediator))


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one trial: the mails as they are recorded, and what the server has."""

    rows: Sequence[RowMapping]
    server: Unreliable
    expected: Counter[tuple[str, str]]
    kills: int
    seconds: float

    @property
    def delivered(self) -> Counter[str]:
        """How often each mail arrived, by its `Message-ID`."""
        return Counter(str(each.message["Message-ID"]) for each in self.server.delivered)

    @property
    def by_id(self) -> dict[str, RowMapping]:
        """The mails by the `Message-ID` that they have to have."""
        return {f"<{row['id']}@city.example>": row for row in self.rows}

    def lost(self) -> set[object]:
        """What is recorded as sent and never arrived, and what was expected and did not arrive."""
        kinds = {message_id: str(row["kind"]) for message_id, row in self.by_id.items()}
        sent = {message_id for message_id, row in self.by_id.items() if row["state"] == "sent"}
        arrived = {(kinds[str(each.message["Message-ID"])], each.recipients[0]) for each in self.server.delivered}
        wanted = {each for each in self.expected if not each[1].startswith("gone")}
        return {*(sent - self.delivered.keys()), *(wanted - arrived)}

    def __str__(self) -> str:
        """The figures, for people."""
        states, twice = Counter(str(row["state"]) for row in self.rows), self.delivered.total() - len(self.delivered)
        trial = (
            f"{self.kills} kills of {WORKERS} workers and {AWAY_SECONDS:.0f} s without a server, {self.seconds:.0f} s"
        )
        return (
            f"{trial}: mails {dict(states)}, answers {dict(self.server.said)}; {len(self.lost())} lost, {twice} twice"
        )


async def tried(committed: Settings, keys: Path, folder: Path, kills: int, *options: str) -> Trial:
    """Let people be written to while workers are killed and the server answers as it likes, and wait for the end."""
    context, server = certificate_authority(folder, "city")(), Unreliable()
    expected: Counter[tuple[str, str]] = Counter()
    database = Database.of(committed)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        port = await stack.enter_async_context(server.listening(context))
        api = stack.enter_context(serving(committed, keys))
        workers = stack.enter_context(working(committed, keys, port, folder / "city.pem", *options))
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=api, timeout=120))
        await _until(database, select(func.count()).select_from(mail_cursor), 1)
        office, over = Office(client, committed, RealClock()), asyncio.Event()

        async def telling() -> None:
            while not over.is_set():
                await tell(office, expected)

        began = datetime.now(UTC)
        async with asyncio.TaskGroup() as group:
            group.create_task(telling())
            for _ in range(kills):
                before = server.said.total()
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while server.said.total() < before + ANSWERED:  # noqa: ASYNC110 - other processes
                        await asyncio.sleep(server.drawn.random() / 20)
                await asyncio.to_thread(workers.kill_next)
            over.set()
        server.is_away = True
        await tell(office, expected)
        await asyncio.sleep(AWAY_SECONDS)
        server.is_away = False
        await _until(database, WAITING, 0)
        took = (datetime.now(UTC) - began).total_seconds()
        async with database.reading() as connection:
            rows = (await connection.execute(select(mails))).mappings().all()
    return Trial(rows, server, expected, workers.kills, took)


async def test_nothing_is_lost_and_what_comes_twice_is_the_same_mail(
    committed: Settings, keys: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    trial = await tried(committed, keys, tmp_path, KILLS)
    record_property("figure", str(trial))
    print(trial)  # noqa: T201 - what the experiment found
    assert trial.lost() == set()
    assert trial.delivered.keys() <= trial.by_id.keys(), "mails that nobody queued"
    failed = [row["smtp_code"] for row in trial.rows if row["state"] == "failed"]
    assert failed == [550] * sum(address.startswith("gone") for _, address in trial.expected)
    assert max(trial.delivered.values()) > 1, "no kill and no broken connection met a mail: this shows nothing"


async def test_a_worker_that_records_a_mail_before_it_sends_it_loses_some(
    committed: Settings, keys: Path, tmp_path: Path
) -> None:
    """The control: it shows that the test above would see what is lost."""
    trial = await tried(committed, keys, tmp_path, 1, "careless")
    print(trial)  # noqa: T201 - the same
    assert trial.lost()


async def _until(database: Database, statement: object, wanted: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with database.reading() as connection:
                if await connection.scalar(statement) == wanted:  # type: ignore[call-overload] # a statement
                    return
            await asyncio.sleep(0.2)
