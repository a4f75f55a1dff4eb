"""The proxy that this repository ships (docs/proxy/nginx.conf), in front of `mediation-api serve`.

`make security` runs it, `make test` does not: it needs nginx (Debian: nginx-light), and fails without.
"""

import asyncio
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Final, Self
from uuid import uuid4

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.contract.crashes import Written, effects
from tests.contract.instance import environment
from tests.security.slow_clients import BODY

from mediation_api.database.engine import Database
from mediation_api.dev.office import Office, RealClock
from mediation_api.domain.access import Role
from mediation_api.settings import Settings

SHIPPED: Final = Path("docs/proxy/nginx.conf")
COMMAND: Final = Path(sys.executable).parent / "mediation-api"
SLOW: Final = 500
ROUNDS: Final = 5
REQUESTS: Final = 200
"""Of the legitimate client, in each half of a round."""
START_SECONDS: Final = 120.0
CUT_AFTER: Final = 20.0
"""By when a slow connection is cut off: ten seconds, what lingers, and a machine that does much else besides."""
SHARE: Final = 32
"""Of one address, in the shipped file."""
CANARY: Final = "canary-7f3a"
READERS: Final = 6
WRITERS: Final = 3
RESTARTS: Final = 4
FORMER: Final = {"proxy_next_upstream error timeout": "proxy_next_upstream off"}
REPEATING: Final = {"proxy_next_upstream error timeout": "proxy_next_upstream error timeout non_idempotent"}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        assert time.monotonic() < deadline, f"{url} does not answer"
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/health/ready", verify=False).status_code == 200:  # noqa: S501 - our own, just made
                return
        time.sleep(0.1)


@dataclass(slots=True)
class Program:
    """A program that serves at an address."""

    command: list[str]
    url: str
    env: dict[str, str]
    process: subprocess.Popen[bytes] = field(init=False)

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self.command, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _wait(self.url, self.process)
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.terminate()
        self.process.wait(60)

    def restart(self) -> None:
        """Stop it in order, and start it again."""
        self.__exit__()
        self.__enter__()


def _service(settings: Settings, keys: Path) -> Program:
    port = _free_port()
    env = environment(settings, keys, MEDIATION_PORT=str(port), MEDIATION_HOST="127.0.0.1", MEDIATION_WORKERS="1")
    return Program([str(COMMAND), "serve"], f"http://127.0.0.1:{port}", env)


@pytest.fixture
def bare(committed: Settings, keys: Path) -> Iterator[str]:
    """The service as a city starts it, and its address."""
    with _service(committed, keys) as service:
        yield service.url


@dataclass(frozen=True, slots=True)
class Proxy:
    """nginx with the shipped configuration: its address, and what it logs."""

    url: str
    logs: tuple[Path, Path]


def _certificate(directory: Path) -> None:
    """A certificate for this run."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mediation.example")])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("mediation.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (directory / "mediation.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "mediation.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@contextmanager
def _proxied(
    bare: str,
    directory: Path,
    *,
    second: str = "",
    without: tuple[str, ...] = (),
    changed: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Proxy]:
    """Run the shipped file before one process or two, with what it marks as the city's own put in.

    Args:
        bare: the address of the process.
        directory: where the configuration and the logs go.
        second: the address of a second process.
        without: the lines that begin so are left out.
        changed: further text to be replaced.
    """
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if nginx is None:
        pytest.fail("nginx is not installed, so nothing is shown of the proxy (Debian: apt-get install nginx-light)")
    _certificate(directory)
    port, (access, error) = _free_port(), (directory / "access.log", directory / "error.log")
    own = {
        "127.0.0.1:8000": bare.removeprefix("http://"),
        "listen 443": f"listen 127.0.0.1:{port}",
        "/etc/nginx/mediation.pem": str(directory / "mediation.pem"),
        "/etc/nginx/mediation.key": str(directory / "mediation.key"),
        "/var/log/nginx/mediation.log": str(access),
        "/var/log/nginx/mediation.error.log": str(error),
    }
    if second:
        own["# server 127.0.0.1:8001"] = f"server {second.removeprefix('http://')}"
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    for shipped, here in (own | dict(changed)).items():
        (number,) = (n for n, line in enumerate(lines) if shipped in line)
        assert ("the city's own" in lines[number]) == (shipped in own)
        lines[number] = lines[number].replace(shipped, here)
    kept = [line for line in lines if not line.strip().startswith(without or ("\0",))]
    assert len(lines) - len(kept) == len(without)
    (directory / "site.conf").write_text("\n".join(kept), encoding="utf-8")
    temporary = "".join(
        f"{kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (directory / "nginx.conf").write_text(
        f"daemon off; pid {directory}/pid; worker_processes 1; worker_rlimit_nofile 16384;"
        f"events {{ worker_connections 4096; }} http {{ {temporary} include {directory}/site.conf; }}",
        encoding="utf-8",
    )
    command = [nginx, "-p", str(directory), "-c", str(directory / "nginx.conf"), "-e", str(directory / "start.log")]
    with Program(command, f"https://127.0.0.1:{port}", dict(os.environ)):
        yield Proxy(f"https://127.0.0.1:{port}", (access, error))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the user of nginx's workers passes through."""
    with tempfile.TemporaryDirectory(prefix="mediation-proxy-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@dataclass(slots=True)
class Crowd:
    """The slow clients, in their own process."""

    process: asyncio.subprocess.Process
    told: dict[str, float]

    @classmethod
    async def gather(cls, url: str, *, again: bool) -> "Crowd":
        """Start them, and wait until all have been connected."""
        command = [sys.executable, "-m", "tests.security.slow_clients", url, str(SLOW), "again" if again else "once"]
        crowd = cls(await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE), {})
        while crowd.told.get("connected", 0) + crowd.told.get("cut", 0) < SLOW:
            await crowd.news()
        return crowd

    async def news(self) -> None:
        """Read how it stands now."""
        assert self.process.stdout is not None
        self.told = json.loads(await asyncio.wait_for(self.process.stdout.readline(), START_SECONDS))

    async def disperse(self) -> dict[str, float]:
        """End it, and give the last that was told."""
        assert self.process.stdout is not None
        self.process.kill()
        rest = (await self.process.stdout.read()).decode().splitlines()
        whole = [line for line in rest if line.endswith("}")]
        await self.process.wait()
        return json.loads(whole[-1]) if whole else self.told


@dataclass(slots=True)
class Client:
    """Somebody who works, one request after the other."""

    client: httpx.AsyncClient
    token: str
    path: str
    statuses: set[int]

    async def work(self) -> list[float]:
        """The seconds that each request took."""
        took = []
        for _ in range(REQUESTS):
            began = time.perf_counter()
            answer = await self.client.get(self.path, headers={"Authorization": f"Bearer {self.token}"})
            took.append(time.perf_counter() - began)
            self.statuses.add(answer.status_code)
        return took


@dataclass(slots=True)
class Measured:
    """The p99 of each round in seconds, alone and among slow clients in turns, and what both were told."""

    alone: list[float]
    among: list[float]
    cut: int
    statuses: set[int]

    @property
    def ratio(self) -> float:
        """How much longer it takes among them: the median of the rounds, for any one may meet a busy machine."""
        return median(among / alone for among, alone in zip(self.among, self.alone, strict=True))

    def __str__(self) -> str:
        alone, among = (median(each) * 1000 for each in (self.alone, self.among))
        return (
            f"p99 {alone:.1f} ms alone, {among:.1f} ms among {SLOW} slow connections, {self.ratio:.2f} times (medians "
            f"of {ROUNDS} rounds of {REQUESTS} requests each, in turns), statuses {sorted(self.statuses)}, "
            f"{self.cut} were cut off and came back"
        )


async def _measured(url: str, settings: Settings) -> Measured:
    """Somebody works, alone and among slow clients, in turns."""
    async with httpx.AsyncClient(base_url=url, verify=False, timeout=60) as client:  # noqa: S501 - our own, just made
        office = Office(client, settings, RealClock())
        story = await office.file()
        somebody = Client(client, str(office.caller(Role.COORDINATOR).token), story.path, set())
        await somebody.work()  # the first ones warm everything up
        measured = Measured([], [], 0, somebody.statuses)
        for _ in range(ROUNDS):
            measured.alone.append(_p99(await somebody.work()))
            crowd = await Crowd.gather(url, again=True)
            measured.among.append(_p99(await somebody.work()))
            measured.cut += int((await crowd.disperse())["cut"])
    return measured


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99)]


async def _left(url: str) -> tuple[float, float]:
    """How many of the slow connections are still there some seconds after all were opened, and the longest's life."""
    crowd = await Crowd.gather(url, again=False)
    until = time.monotonic() + CUT_AFTER
    while time.monotonic() < until and crowd.told["connected"]:
        await crowd.news()
    told = await crowd.disperse()
    return told["connected"], told["longest"]


async def test_behind_the_proxy_slow_connections_hold_nobody_up(
    bare: str, committed: Settings, folder: Path, record_property: Callable[[str, object], None]
) -> None:
    with _proxied(bare, folder) as proxy:
        measured = await _measured(proxy.url, committed)
        left, longest = await _left(proxy.url)
    told = f"once opened, {left:.0f} were left in the end, the longest lived {longest:.1f} s"
    record_property("figure", f"through the proxy: {measured}; {told}")
    assert measured.statuses == {200}
    assert measured.ratio <= 2
    assert left == 0
    assert longest <= CUT_AFTER


async def test_without_the_proxy_they_are_held(
    bare: str, committed: Settings, record_property: Callable[[str, object], None]
) -> None:
    """The control: the service alone holds whoever never ends a header for as long as they like."""
    measured = await _measured(bare, committed)
    left, longest = await _left(bare)
    record_property("figure", f"without: {measured}; {left:.0f} of {SLOW} were still held after {longest:.0f} s")
    assert left >= SLOW / 2


async def test_without_its_limits_the_proxy_holds_them_too(
    bare: str, folder: Path, record_property: Callable[[str, object], None]
) -> None:
    """The control of the file: nginx's own time for headers is a minute."""
    with _proxied(bare, folder, without=("client_header_timeout", "limit_conn m")) as proxy:
        left, longest = await _left(proxy.url)
    record_property("figure", f"without its limits: {left:.0f} of {SLOW} were still held after {longest:.0f} s")
    assert left >= SLOW / 2


async def test_one_address_holds_no_more_than_its_share(bare: str, folder: Path) -> None:
    with _proxied(bare, folder) as proxy:
        where, tls = httpx.URL(proxy.url), ssl.create_default_context(cafile=str(folder / "mediation.pem"))

        async def begin() -> asyncio.StreamReader:
            reader, writer = await asyncio.open_connection(
                where.host, where.port, ssl=tls, server_hostname="mediation.example", local_addr=("127.0.3.1", 0)
            )
            writer.write(BODY)
            open_ones.append(writer)
            return reader

        open_ones: list[asyncio.StreamWriter] = []
        readers = [await begin() for _ in range(SHARE + 8)]
        answers = [asyncio.create_task(reader.readuntil(b"}")) for reader in readers]
        answered, waiting = await asyncio.wait(answers, timeout=4)
        for answer in waiting:
            answer.cancel()
        for writer in open_ones:
            writer.transport.abort()
    refusals = [answer.result() for answer in answered]
    assert len(refusals) == 8
    assert all(each.startswith(b"HTTP/1.1 503 ") and b'"code":"unavailable"' in each for each in refusals)


async def test_the_proxy_says_whose_address_it_is_and_keeps_words_out_of_its_logs(
    bare: str, folder: Path, record_property: Callable[[str, object], None]
) -> None:
    with _proxied(bare, folder) as proxy:

        async def ask(address: str, path: str, **more: object) -> httpx.Response:
            transport = httpx.AsyncHTTPTransport(local_address=address, verify=False)
            async with httpx.AsyncClient(base_url=proxy.url, transport=transport, timeout=30) as client:
                return await client.post(path, **more) if more else await client.get(path)  # type: ignore[arg-type]

        path = f"/v1/disclosures?language=en&name={CANARY}"
        remaining = [(await ask(who, path)).headers["RateLimit"] for who in ("127.0.2.1", "127.0.2.1", "127.0.2.2")]
        forged = {"headers": {"X-Forwarded-For": "127.0.2.2", "Forwarded": "for=127.0.2.2"}, "json": {}}
        counted = (await ask("127.0.2.1", f"/v1/access-tokens?{CANARY}", **forged)).headers["RateLimit"]
        large = await ask("127.0.2.1", f"/v1/complaints?{CANARY}", content=b"x" * 70_000)
        proxy_log = proxy.logs[0]
        assert large.status_code == 413
        assert large.json()["code"] == "payload-too-large"
    left = [int(each.partition("r=")[2].partition(";")[0]) for each in (*remaining, counted)]
    assert left[0] - left[1] == 1, "one address is one caller"
    assert left[2] == left[0], "another one is another"
    assert left[3] == left[1] - 1, "and what a caller says of its own address is dropped"
    logged = "".join(each.read_text(encoding="utf-8") for each in proxy.logs)
    assert proxy_log.read_text(encoding="utf-8").count('"status":"413"') == 1
    assert CANARY not in logged
    assert "127.0.2" not in logged
    record_property("figure", f"{len(logged)} characters of logs: no query, no address")


async def _restarted(
    settings: Settings, keys: Path, directory: Path, changed: Mapping[str, str] = MappingProxyType({})
) -> tuple[Counter[int], set[str]]:
    """Restart two processes in turns while people read and write, each request sent once.

    Returns how often each status was answered, and the keys of the filings that were acknowledged.
    """
    answers, filed, over = Counter[int](), set[str](), asyncio.Event()
    with ExitStack() as stack:
        services = [stack.enter_context(_service(settings, keys)) for _ in range(2)]
        first, second = (service.url for service in services)
        proxy = stack.enter_context(_proxied(first, directory, second=second, changed=changed))
        async with httpx.AsyncClient(base_url=proxy.url, verify=False, timeout=60) as client:  # noqa: S501 - our own, just made
            office = Office(client, settings, RealClock())
            story = await office.file()
            reader = {"Authorization": f"Bearer {office.caller(Role.COORDINATOR).token}"}
            written = Written(str(office.caller(Role.INTAKE).token), with_same_key=True)

            async def read() -> None:
                while not over.is_set():
                    answers[(await client.get(story.path, headers=reader)).status_code] += 1

            async def write() -> None:
                while not over.is_set():
                    answer = await written.send(client, key := str(uuid4()))
                    answers[answer.status_code] += 1
                    filed.update({key} if answer.is_success else ())

            async with asyncio.TaskGroup() as people:
                for work in (*[read] * READERS, *[write] * WRITERS):
                    people.create_task(work())
                for number in range(RESTARTS):
                    await asyncio.to_thread(services[number % 2].restart)
                over.set()
    return answers, filed


async def test_restarting_one_process_after_the_other_loses_no_request(
    committed: Settings, keys: Path, folder: Path, record_property: Callable[[str, object], None]
) -> None:
    answers, filed = await _restarted(committed, keys, folder)
    record_property("figure", f"{RESTARTS} restarts: {dict(answers)}")
    assert set(answers) == {200, 201}
    database = Database.of(committed)
    found = await effects(database)
    await database.close()
    assert {key: found[key] for key in filed} == dict.fromkeys(filed, 1)
    assert found.total() == len(filed) + 1  # and the one that is read


async def test_without_a_next_process_restarts_lose_requests(
    committed: Settings, keys: Path, folder: Path, record_property: Callable[[str, object], None]
) -> None:
    """The control: what the file said before."""
    answers, _ = await _restarted(committed, keys, folder, FORMER)
    record_property("figure", f"the same without a next process: {dict(answers)}")
    assert answers[502] > 0


@dataclass(slots=True)
class Breaking:
    """Two processes that break off every request but the probe, and the methods that they were sent."""

    urls: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            if head.startswith("GET /health/ready "):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
                writer.close()
                return
            self.received.append(head.partition(" ")[0])
        writer.transport.abort()

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Self]:
        """Run them while the block does."""
        both = cls()
        servers = [await asyncio.start_server(both._answer, "127.0.0.1", 0) for _ in range(2)]
        both.urls += [f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in servers]
        yield both
        for server in servers:
            server.close()


@pytest.mark.parametrize(
    ("method", "changed", "received"),
    [("GET", {}, 2), ("POST", {}, 1), ("PATCH", {}, 1), ("POST", REPEATING, 2)],
    ids=["GET", "POST", "PATCH", "a POST in the control"],
)
async def test_what_was_sent_is_repeated_only_if_it_changes_nothing_and_the_log_says_why_it_failed(
    method: str, changed: Mapping[str, str], received: int, folder: Path
) -> None:
    async with Breaking.running() as processes:
        first, second = processes.urls
        with ExitStack() as stack:
            start = _proxied(first, folder, second=second, changed=changed)
            proxy = await asyncio.to_thread(stack.enter_context, start)
            async with httpx.AsyncClient(base_url=proxy.url, verify=False) as client:  # noqa: S501 - our own, just made
                answer = await client.request(method, f"/v1/cases?q={CANARY}", headers={"Referer": f"https://{CANARY}"})
    assert (answer.status_code, processes.received) == (502, [method] * received)
    logged = [each.read_text(encoding="utf-8") for each in proxy.logs]
    line = json.loads(logged[0].splitlines()[-1])
    assert {f"http://{process}" for process in line["processes"].split(", ")} <= set(processes.urls)
    assert line["statuses"] == ", ".join(["502"] * received)
    assert CANARY not in "".join(logged)
