"""Servers where a database should be: one refuses, one has no TLS or a certificate, and one keeps silent."""

import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TypeAlias

Answer: TypeAlias = Callable[[socketserver.StreamRequestHandler], None]
_LONGEST_MESSAGE: Final = 4096


@contextmanager
def answering(answer: Answer) -> Iterator[int]:
    """Answer each connection in a thread of its own until the block ends; yield the port."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            answer(self)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def refusing(sqlstate: str) -> Answer:
    """Answer the start of a connection as PostgreSQL does when it refuses one."""

    def answer(handler: socketserver.StreamRequestHandler) -> None:
        handler.connection.recv(_LONGEST_MESSAGE)
        fields = b"SFATAL\0VFATAL\0C%b\0Mnot shown\0\0" % sqlstate.encode()
        handler.wfile.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)

    return answer


def without_tls(handler: socketserver.StreamRequestHandler) -> None:
    """Answer a request for TLS as PostgreSQL does without `ssl = on`."""
    handler.connection.recv(_LONGEST_MESSAGE)
    handler.wfile.write(b"N")


def silent(handler: socketserver.StreamRequestHandler) -> None:
    """Answer nothing until the other side gives up."""
    with suppress(OSError):
        while handler.connection.recv(_LONGEST_MESSAGE):
            pass


def with_certificate(context: ssl.SSLContext) -> Answer:
    """Answer a request for TLS with the certificate of this context."""

    def answer(handler: socketserver.StreamRequestHandler) -> None:
        handler.connection.recv(_LONGEST_MESSAGE)
        handler.wfile.write(b"S")
        with suppress(OSError):  # the other side refuses the certificate
            context.wrap_socket(handler.connection, server_side=True).close()

    return answer
