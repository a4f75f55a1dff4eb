"""Slow clients, in a process of their own: `python -m tests.security.slow_clients URL COUNT AGAIN`, until killed.

Half of them never end their headers, half never end their body; each sends a byte a second. They come from 25
addresses of the loopback network, so that none has more connections than the proxy allows it. With AGAIN, who is cut
off comes back. Each second a line of JSON says how many are connected, how many were ever cut off, and how long the
longest has been, or was, connected, in seconds.
"""

import asyncio
import json
import random
import ssl
import sys
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

ADDRESSES = 25
HEADERS = b"POST /v1/complaints HTTP/1.1\r\nHost: mediation.example\r\n"
BODY = HEADERS + b"Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n"


@dataclass(slots=True)
class Slow:
    """All of them."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    again: bool
    since: dict[int, float] = field(default_factory=dict)
    cut: int = 0
    longest: float = 0.0

    async def hold(self, number: int) -> None:
        """Connect, and send a byte a second, until cut off."""
        address = f"127.0.1.{number % ADDRESSES + 1}"
        begins = HEADERS if number // ADDRESSES % 2 else BODY
        while True:
            try:
                reader, writer = await asyncio.open_connection(
                    self.host, self.port, ssl=self.tls, local_addr=(address, 0)
                )
            except OSError:
                await asyncio.sleep(1)
                continue
            self.since[number] = time.monotonic()
            writer.write(begins)
            sending = asyncio.create_task(self._drip(writer))
            try:
                while await reader.read(65536):
                    pass
            except OSError:
                pass  # reset, which is cut off as well
            sending.cancel()
            writer.transport.abort()
            self.longest = max(self.longest, time.monotonic() - self.since.pop(number))
            self.cut += 1
            if not self.again:
                return
            await asyncio.sleep(random.random())  # noqa: S311 - not all at once

    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(1)
            writer.write(b"x")

    async def tell(self) -> None:
        """Say how it stands, each second."""
        while True:
            now = time.monotonic()
            longest = max((self.longest, *(now - since for since in self.since.values())))
            told = {"connected": len(self.since), "cut": self.cut, "longest": longest}
            print(json.dumps(told), flush=True)  # noqa: T201 - who started this reads it
            await asyncio.sleep(1)


async def main(url: str, count: int, *, again: bool) -> None:
    """Hold as many connections as there are told to be."""
    where = urlsplit(url)
    tls = None
    if where.scheme == "https":
        tls = ssl.create_default_context()
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE  # they do not care whom they hold up
    slow = Slow(where.hostname or "", where.port or 0, tls, again)
    await asyncio.gather(slow.tell(), *(slow.hold(number) for number in range(count)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), again=sys.argv[3] == "again"))
