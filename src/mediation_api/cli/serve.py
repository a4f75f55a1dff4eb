"""`mediation-api serve`: the HTTP server of production. All that it prints is its log."""

import asyncio
import gc
import logging
import socket
import sys
from typing import TYPE_CHECKING, Final, Never

import typer

from mediation_api.cli.output import FAILED, error_line, one_line_errors, require_database
from mediation_api.logs import LogEvent, logging_configuration
from mediation_api.settings import PREFIX, Settings, settings_from_environment

if TYPE_CHECKING:
    from fastapi import FastAPI

OBJECTS_PER_COLLECTION: Final = 50_000
"""The first threshold of the garbage collector. With Python's default of 700 it runs dozens of times during the imports
of a command, without finding garbage.
"""

_SHARED: Final = ("mediation_api.main", "uvicorn.loops.uvloop", "uvicorn.lifespan.on")
"""What the workers share: the application, and what they import when they start to serve."""

_log = logging.getLogger(__name__)


def serve() -> None:
    """Serve with the database in MEDIATION_DATABASE_URL, in MEDIATION_WORKERS processes.

    Connect as mediation_service, or as a login that is a member of it.
    """
    with one_line_errors(log_failure):
        from mediation_api.auth.tokens import service_key

        settings = require_database(settings_from_environment())
        _check_address("HOST", settings.host, "PORT", settings.port)
        for port in settings.metrics_ports:
            _check_address("METRICS_HOST", settings.metrics_host, "METRICS_PORT", port)
        service_key(settings)
        check_database(settings)

        from uvicorn import Config

        from mediation_api.cli import processes

        if settings.workers > 1:
            _fork_workers()
        processes.run(
            Config(
                "mediation_api.cli.serve:app_of_a_worker",
                factory=True,
                http=processes.GracefulProtocol,
                host=settings.host,
                port=settings.port,
                workers=settings.workers,
                log_config=logging_configuration(settings.log_level),
                access_log=False,  # the application writes its own line for each request
                server_header=False,
                timeout_graceful_shutdown=30,
            )
        )


def app_of_a_worker() -> "FastAPI":
    """Create the application in a worker process of `serve`."""
    gc.set_threshold(OBJECTS_PER_COLLECTION)
    from uvicorn.config import STARTUP_FAILURE

    try:
        from mediation_api.main import app_from_environment

        app = app_from_environment()
    except Exception as error:  # noqa: BLE001 - in a process that it started, Python prints the text of any exception
        line = error_line(error)
        _log.critical(LogEvent("uncaught") if line is None else line, exc_info=line is None)
        sys.exit(STARTUP_FAILURE)  # uvicorn stops, instead of starting the process again
    gc.freeze()  # no collection visits what stays until the end, or writes to pages that workers share
    return app


def _fork_workers() -> None:
    """Let uvicorn fork its workers from this process, which imports the application first, instead of spawning each.

    They share what is imported, and start without importing it again. This process has no threads, connections or event
    loop that a fork would copy: it only watches its workers. Elsewhere than on Linux, libraries of the system may have
    started threads, and the workers are spawned.
    """
    if sys.platform != "linux":
        return
    import multiprocessing
    from importlib import import_module

    from uvicorn import _subprocess

    for name in _SHARED:
        import_module(name)
    gc.freeze()  # a collection writes to all that it looks at, which the workers would share no longer
    # uvicorn has no setting for it.
    _subprocess.spawn = multiprocessing.get_context("fork")  # type: ignore[assignment] # of the same methods


def check_database(settings: Settings) -> None:
    """Refuse a database that cannot be used. If it does not answer yet, log that: /health/ready checks it later."""
    from mediation_api.database.faults import fault_of
    from mediation_api.database.requirements import require_usable

    try:
        asyncio.run(require_usable(settings))
    except Exception as error:
        fault = fault_of(error)
        if fault is None or not fault.passes:
            raise
        _log.warning(fault.words)


def log_failure(line: str) -> Never:
    """Log the line of an error, and exit with code 2."""
    _log.error(line)
    raise typer.Exit(FAILED)


def _check_address(host_name: str, host: str, port_name: str, port: int) -> None:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        log_failure(f"{PREFIX}{host_name}, {PREFIX}{port_name}: cannot listen there ({error.strerror}).")
