"""Posting to a host that somebody else has named: no connection to an address that is not allowed."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final

import httpcore
import pytest
from tests.certificates import certificate_authority
from tests.domain.test_webhook_addresses import DENIED

from mediation_api.domain.webhook_addresses import HostAddress
from mediation_api.domain.webhooks import ReceiverAnswer
from mediation_api.outreach.guarded_connections import Poster, Resolve, resolve

LOOPBACK: Final = (ip_network("127.0.0.0/8"),)
NO_ANSWER: Final = ReceiverAnswer(None)
SPELLINGS: Final = (
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "017700000001",
    "localhost",
    "[::1]",
    "[::ffff:127.0.0.1]",
)
"""Of this machine, in the ways in which resolvers read them."""


@dataclass
class Receiver:
    """A server that counts connections, and answers with what it is told to."""

    answer: bytes = b"HTTP/1.1 204 No Content\r\n\r\n"
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answer)
            await writer.drain()
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving(receiver: Receiver, certificates: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Listen on every address of this machine."""
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=certificates)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


def resolving(*answers: Sequence[str]) -> tuple[list[str], Resolve]:
    """Make a resolver that gives another answer each time."""
    asked: list[str] = []

    async def answer(host: str, _port: int) -> Sequence[HostAddress]:
        asked.append(host)
        return [ip_address(each) for each in answers[min(len(asked), len(answers)) - 1]]

    return asked, answer


@pytest.mark.parametrize("host", SPELLINGS)
async def test_no_spelling_of_this_machine_is_connected_to(host: str) -> None:
    async with receiving(Receiver()) as receiver:
        assert await Poster(5).post(f"http://{host}:{receiver.port}/", {}, b"{}") == NO_ANSWER
        assert receiver.connections == 0
        # The control: with the guard open for this machine, there is one.
        assert await Poster(5, LOOPBACK).post(f"http://127.0.0.1:{receiver.port}/", {}, b"{}") == ReceiverAnswer(204)


@pytest.mark.parametrize("address", DENIED)
async def test_a_name_with_an_address_that_is_denied_is_not_connected_to(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[str] = []

    async def connect(_self: object, host: str, *_arguments: object) -> httpcore.AsyncNetworkStream:
        connected.append(host)
        raise httpcore.ConnectError

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect)
    for addresses in ([address], ["9.9.9.9", address], [address, "9.9.9.9"]):
        _, answer = resolving(addresses)
        assert await Poster(5, resolve=answer).post("https://hooks.example/", {}, b"{}") == NO_ANSWER
    assert connected == []
    _, answer = resolving(["9.9.9.9"])
    assert await Poster(5, resolve=answer).post("https://hooks.example/", {}, b"{}") == NO_ANSWER
    assert connected == ["9.9.9.9"], "the control"


async def test_a_name_that_changes_its_address_is_connected_to_at_the_one_that_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connected: list[str] = []

    async def connect(_self: object, host: str, *_arguments: object) -> httpcore.AsyncNetworkStream:
        connected.append(host)
        raise httpcore.ConnectError

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect)
    asked, answer = resolving(["9.9.9.9"], ["127.0.0.1"])
    poster = Poster(5, resolve=answer)
    assert await poster.post("http://rebinding.example:8080/", {}, b"") == NO_ANSWER
    assert (asked, connected) == (["rebinding.example"], ["9.9.9.9"]), "by the address, not by the name"
    # The next post asks again, and is denied.
    assert await poster.post("http://rebinding.example:8080/", {}, b"") == NO_ANSWER
    assert (len(asked), connected) == (2, ["9.9.9.9"])


async def test_a_redirect_is_not_followed_and_a_proxy_of_the_environment_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with receiving(Receiver()) as elsewhere:
        location = f"http://127.0.0.1:{elsewhere.port}/".encode()
        moved = Receiver(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n")
        for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, location.decode())
        async with receiving(moved) as receiver:
            answer = await Poster(5, LOOPBACK).post(
                f"http://127.0.0.1:{receiver.port}/a?b=c", {"webhook-id": "1"}, b"{}"
            )
        assert answer == ReceiverAnswer(307)
        assert elsewhere.connections == 0
        request = moved.requests[0].decode()
        assert request.startswith("POST /a?b=c HTTP/1.1\r\n")
        assert f"Host: 127.0.0.1:{moved.port}" in request
        assert "webhook-id: 1" in request


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"", NO_ANSWER),
        (b"not HTTP\r\n\r\n", NO_ANSWER),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\nx", ReceiverAnswer(200)),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, NO_ANSWER),
        (b"HTTP/1.1 429 Slow down\r\nRetry-After: 30\r\n\r\n", ReceiverAnswer(429, timedelta(seconds=30))),
        (b"HTTP/1.1 503 Later\r\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n\r\n", ReceiverAnswer(503)),
        (b"HTTP/1.1 503 Later\r\nRetry-After: -5\r\n\r\n", ReceiverAnswer(503)),
        (b"HTTP/1.1 503 Later\r\nRetry-After: " + b"9" * 5_000 + b"\r\n\r\n", ReceiverAnswer(503)),
    ],
)
async def test_an_answer_is_its_status_and_its_body_is_not_read(answer: bytes, expected: ReceiverAnswer) -> None:
    async with receiving(Receiver(answer)) as receiver:
        assert await Poster(1, LOOPBACK).post(f"http://127.0.0.1:{receiver.port}/", {}, b"{}") == expected


async def test_a_receiver_that_says_nothing_is_left_after_the_time_limit() -> None:
    began = asyncio.get_running_loop().time()
    async with receiving(Receiver(b"HTTP/1.1 200")) as receiver:
        assert await Poster(0.2, LOOPBACK).post(f"http://127.0.0.1:{receiver.port}/", {}, b"{}") == NO_ANSWER
    assert asyncio.get_running_loop().time() - began < 5


async def test_the_certificate_has_to_be_that_of_the_name_and_of_a_trusted_authority(tmp_path: Path) -> None:
    server = certificate_authority(tmp_path, "city")()
    certificate_authority(tmp_path, "other")
    _, answer = resolving(["127.0.0.1"])
    async with receiving(Receiver(), server) as receiver:
        poster = Poster(5, LOOPBACK, tmp_path / "city.pem")
        assert await poster.post(f"https://127.0.0.1:{receiver.port}/", {}, b"{}") == ReceiverAnswer(204)
        named = Poster(5, LOOPBACK, tmp_path / "city.pem", answer)
        assert await named.post(f"https://other.example:{receiver.port}/", {}, b"{}") == NO_ANSWER
        strange = Poster(5, LOOPBACK, tmp_path / "other.pem")
        assert await strange.post(f"https://127.0.0.1:{receiver.port}/", {}, b"{}") == NO_ANSWER
        assert await Poster(5, LOOPBACK).post(f"https://127.0.0.1:{receiver.port}/", {}, b"{}") == NO_ANSWER


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".example", "a..example"])
async def test_a_name_that_does_not_resolve_gives_no_answer(host: str) -> None:
    assert await Poster(5).post(f"https://{host}/", {}, b"{}") == NO_ANSWER


async def test_every_address_of_a_name_is_resolved() -> None:
    assert {ip_address("127.0.0.1")} <= set(await resolve("localhost", 443))
