"""How the identity provider's keys are reached: a private CA, a proxy, and what callers get while they cannot be.

The provider and the proxy are real servers on this machine; the certificates are made here.
"""

import asyncio
import base64
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.certificates import certificate_authority, made_pem
from tests.conftest import Clock, RolledBackDatabase, application, calling

from mediation_api.auth.identity_provider import KeySet, KeysUnavailable, SigningKey
from mediation_api.dev.office import Office
from mediation_api.domain.access import Role
from mediation_api.http import problems
from mediation_api.settings import Settings

LOGIN: Final = "city:s3cret"


SIGNER: Final = SigningKey.from_pem(made_pem(ec.generate_private_key(ec.SECP256R1())))
JWKS: Final = json.dumps({"keys": [SIGNER.public_jwk()]}).encode()


@asynccontextmanager
async def listening(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object], context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve on a free port until the block ends."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)  # type: ignore[arg-type] # returns a coroutine
    async with server:
        yield server.sockets[0].getsockname()[1]


async def publish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a request with the JWKS."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(JWKS) + JWKS)
    await writer.drain()
    writer.close()


@dataclass
class Proxy:
    """A proxy that wants a login, and notes what it is asked."""

    asked: list[str] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head.partition("\r\n")[0])
        if base64.b64encode(LOGIN.encode()).decode() not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        host, _, port = head.split(" ")[1].partition(":")
        onward_reader, onward_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(self._copy(reader, onward_writer), self._copy(onward_reader, writer))

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while block := await source.read(65_536):
            target.write(block)
            await target.drain()
        target.close()


async def found(location: str, **how: object) -> bool:
    return await KeySet.at(location, **how).find(SIGNER.kid) is not None  # type: ignore[arg-type]


async def test_a_provider_with_a_certificate_of_the_citys_own_is_trusted_by_that_and_nothing_else(
    tmp_path: Path,
) -> None:
    server, _ = certificate_authority(tmp_path, "city"), certificate_authority(tmp_path, "other")
    async with listening(publish, server()) as port:
        location = f"https://127.0.0.1:{port}/keys"
        for ca_file in (None, tmp_path / "other.pem"):
            with pytest.raises(KeysUnavailable) as unavailable:
                await found(location, ca_file=ca_file)
            assert str(unavailable.value) == "SSLCertVerificationError"
        assert await found(location, ca_file=tmp_path / "city.pem")
        with pytest.raises(KeysUnavailable, match="SSLCertVerificationError"):  # not the name in the certificate
            await found(location.replace("127.0.0.1", "localhost"), ca_file=tmp_path / "city.pem")


async def test_a_proxy_carries_the_connection_and_cannot_read_it(tmp_path: Path) -> None:
    server, proxy = certificate_authority(tmp_path, "city"), Proxy()
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(listening(publish, server()))
        proxy_port = await stack.enter_async_context(listening(proxy))
        location, ca_file = f"https://127.0.0.1:{port}/keys", tmp_path / "city.pem"
        assert await found(location, ca_file=ca_file, proxy=f"http://{LOGIN}@127.0.0.1:{proxy_port}")
        assert proxy.asked == [f"CONNECT 127.0.0.1:{port} HTTP/1.1"]
        with pytest.raises(KeysUnavailable, match="ProxyError"):
            await found(location, ca_file=ca_file, proxy=f"http://127.0.0.1:{proxy_port}")
        with pytest.raises(KeysUnavailable, match="SSLCertVerificationError"):
            await found(location, proxy=f"http://{LOGIN}@127.0.0.1:{proxy_port}")


async def test_while_no_key_can_be_read_staff_get_503_and_parties_their_answer(
    settings: Settings, clock: Clock, database: RolledBackDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with calling(application(settings, clock, database)) as client:
        office = Office(client, settings, clock)
        story = await (await office.file()).to_asking()
    away = settings.model_copy(update={"token_jwks": "https://127.0.0.1:1/keys"})
    async with calling(application(away, clock, database)) as client:
        for token in (office.coordinator.token, office.caller(Role.OFFICER, "o-1", "4711").token):
            refused = await client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            assert int(refused.headers["Retry-After"]) > 0
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.get("/health/live")).status_code == 200
        rosa = await Office(client, away, clock).signed_in(story.complainants[0].access_code)
        assert (await rosa.send("GET", story.path)).status_code == 200
    logged = [json.loads(record.getMessage()) for record in caplog.records if record.name == problems.__name__]
    assert {line["cause"] for line in logged} == {"identity-provider"}
    assert [line["route"] for line in logged] == ["/v1/me", "/v1/me", "/health/ready"]
