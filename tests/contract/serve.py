"""Serve an application on a socket that the caller has opened: `python -m tests.contract.serve FILENO APPLICATION`.

uvicorn's own `--fd` takes the socket for one of another family and leaves Nagle's algorithm on: 40 ms for each answer.
"""

import socket
import sys

import uvicorn


def main(number: str, application: str) -> None:
    """Serve until a signal says otherwise."""
    config = uvicorn.Config(application, factory=True, access_log=False, log_level="critical")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(number))])


if __name__ == "__main__":
    main(*sys.argv[1:])
