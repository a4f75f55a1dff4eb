"""The processes of `serve`: how they share the port, and how they stop without losing a request.

uvicorn stops while the port still takes connections that nobody accepts any more, and closes those that are kept alive
at once: a proxy that has just sent a request on one of them gets no answer, and cannot know what became of it. Here the
port is closed first, so that a proxy goes on to another process, and every connection that was made is served.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Final

from uvicorn.config import STARTUP_FAILURE, Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import Server
from uvicorn.supervisors import Multiprocess, multiprocess

IDLE_SECONDS: Final = 4.0
"""How long a stopping process keeps an idle connection: longer than the proxy does (docs/proxy/nginx.conf)."""

PARENT_SECONDS: Final = 0.25
"""The time between two checks of a worker whether its parent still lives."""


class GracefulProtocol(HttpToolsProtocol):
    """A connection that answers a request which arrives while the server stops."""

    def shutdown(self) -> None:
        """Close the connection after the response, or once it was idle for long enough."""
        if getattr(self.cycle, "response_complete", True):  # there is no cycle before the first request
            self.loop.call_later(IDLE_SECONDS, super().shutdown)
        else:
            super().shutdown()


class GracefulServer(Server):
    """A server that closes its port before it stops."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the port, answer whoever is connected, and close each connection after its response."""
        self.server_state.default_headers.append((b"connection", b"close"))
        accepted = [
            each for server in self.servers for port in server.sockets for each in _accept_waiting(port.fileno())
        ]
        for server in self.servers:  # at once: closing a port resets what waits to be accepted
            server.close()
        for each in sockets or ():
            each.close()
        loop = asyncio.get_running_loop()
        protocol = partial(GracefulProtocol, self.config, self.server_state, app_state=self.lifespan.state, _loop=loop)
        for connection in accepted:
            with suppress(OSError):  # the peer has left
                await loop.connect_accepted_socket(protocol, connection)
        await super().shutdown(sockets)


class Worker(multiprocess.Process):
    """A process that serves, until it or its parent ends."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self._parent = os.getpid()

    def start(self) -> None:
        """Start the process. Until it handles signals itself they wait, so that its parent's handlers lose none."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, multiprocess.SIGNALS)
        super().start()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve. Runs in the worker process."""
        for each in multiprocess.SIGNALS:
            signal.signal(each, signal.default_int_handler if each == signal.SIGINT else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, multiprocess.SIGNALS)
        _stop_with_parent(self._parent)
        super().target(sockets)

    @property
    def server(self) -> Server:
        """The server of this process."""
        if self._server is None:
            self._server = GracefulServer(self.config)
        return self._server


class Supervisor(Multiprocess):
    """Keeps the workers running. It opens the port for them, and so has to close it first."""

    def terminate_all(self) -> None:
        """Stop the workers."""
        for each in self.sockets:
            each.close()
        super().terminate_all()


def run(config: Config) -> None:
    """Serve until a signal arrives, in as many processes as `config` says."""
    if config.workers > 1:
        # uvicorn has no setting for it.
        multiprocess.Process = Worker  # type: ignore[misc] # a class of the same methods
        Supervisor(config, [config.bind_socket()]).run()
        return
    server = GracefulServer(config)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def _accept_waiting(listener: int) -> Iterator[socket.socket]:
    """Accept the connections that were made to a listening socket and that nobody has accepted yet."""
    with socket.socket(fileno=os.dup(listener)) as own:
        own.setblocking(False)  # noqa: FBT003 - its only parameter
        with suppress(OSError):  # BlockingIOError: there are no more
            while True:
                connection, _ = own.accept()
                connection.setblocking(False)  # noqa: FBT003 - its only parameter
                yield connection


def _stop_with_parent(parent: int) -> None:
    """Stop this process in order when its parent was killed: it would keep the port, and nothing would ever end it.

    A pipe that the parent holds would not tell: the workers that are forked later hold it as well.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=watch, name="parent", daemon=True).start()
