"""Clients that send requests without a pause: `python -m tests.promises.flood HOST PORT < streams.json`.

A program of its own, so that what it does takes no time from whoever measures beside it. Ends when its input does, and
prints how often each stream was answered with which status.
"""

import asyncio
import json
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from typing import Final


@dataclass(frozen=True, slots=True)
class Stream:
    """Requests of one kind. `{n}` in a header or in the body is another number in each request."""

    name: str
    clients: int
    method: str
    path: str
    headers: dict[str, str]
    bodies: tuple[str, ...] = ("",)


_NUMBERS: Final = count(1)


def _request(stream: Stream, host: str) -> bytes:
    n = next(_NUMBERS)
    address = f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"
    body = stream.bodies[n % len(stream.bodies)].encode()
    headers = {name: value.replace("{address}", address) for name, value in stream.headers.items()}
    headers |= {"Host": host, "Content-Length": str(len(body))}
    lines = [f"{stream.method} {stream.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def _answer(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    status, *lines = head.split("\r\n")
    lengths = [line.partition(":")[2] for line in lines if line.lower().startswith("content-length:")]
    await reader.readexactly(int(lengths[0]) if lengths else 0)
    return int(status.split()[1])


async def _client(stream: Stream, host: str, port: int, answers: Counter[str]) -> None:
    while True:
        with suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                while True:
                    writer.write(_request(stream, f"{host}:{port}"))
                    answers[f"{stream.name} {await _answer(reader)}"] += 1
            finally:
                writer.close()
        await asyncio.sleep(0.05)  # the server closed the connection: after an error it does


async def main(host: str, port: int) -> None:
    """Send until the input ends."""
    streams = [Stream(**each) for each in json.loads(sys.stdin.readline())]
    answers: Counter[str] = Counter()
    clients = [
        asyncio.create_task(_client(stream, host, port, answers)) for stream in streams for _ in range(stream.clients)
    ]
    await asyncio.to_thread(sys.stdin.readline)
    for client in clients:
        client.cancel()
    print(json.dumps(answers))  # noqa: T201 - for whoever started it


def told(streams: list[Stream]) -> str:
    """The streams as the program reads them."""
    return json.dumps([asdict(stream) for stream in streams]) + "\n"


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
