"""The log of every command: one JSON object per line on standard error, as docs/log.schema.json describes.

Every line has `time` (RFC 3339, UTC), `level` and `event`. The service logs `LogEvent`s, whose fields are named where
they are logged. uvicorn's messages are kept. Of any other library only the logger's name is logged, and of an exception
its class and its places in the code, because a text may contain personal data. Warnings of Python and exceptions that
nothing caught are logged in the same way: Python itself would print their texts.
"""

import json
import logging
import logging.config
import sys
import threading
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import Final

SERVICE_LOGGER: Final = "mediation_api"
"""The logger above all loggers of the service."""
_SERVER: Final = "uvicorn"
_MOST_PLACES: Final = 8

_log = logging.getLogger(__name__)
_to_json: Final = json.JSONEncoder(default=str).encode


class LogLevel(StrEnum):
    """The lowest level that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogEvent:
    """A log message with a name and fields. Its text is JSON with every handler."""

    def __init__(self, event: str, **fields: object) -> None:
        self.fields: Mapping[str, object] = {"event": event, **fields}

    def __str__(self) -> str:
        """Return the fields as JSON."""
        return _to_json(self.fields)


def class_of(error: BaseException) -> str:
    """Return the class of an exception for the log."""
    return f"{type(error).__module__}.{type(error).__qualname__}"


def sqlstate_of(error: BaseException) -> str | None:
    """Return PostgreSQL's five-character code, whether SQLAlchemy wrapped the exception or not."""
    for candidate in (error, getattr(error, "orig", None), error.__cause__):
        state = getattr(candidate, "sqlstate", None)
        if isinstance(state, str):
            return state
    return None


def places_of(error: BaseException) -> list[str]:
    """Return the innermost places in the code that an exception passed, for the log."""
    frames = traceback.extract_tb(error.__traceback__)[-_MOST_PLACES:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


class JsonFormatter(logging.Formatter):
    """Formats each record as one JSON object: of an exception its class and its places, and not its text."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
        }
        root = record.name.partition(".")[0]
        if isinstance(record.msg, LogEvent):
            line |= record.msg.fields
        elif root == SERVICE_LOGGER:
            line |= {"event": "message", "logger": record.name, "message": record.getMessage()}
        elif root == _SERVER:
            # The first line only: the others could be a traceback.
            line |= {"event": "server", "message": record.getMessage().strip().partition("\n")[0]}
        else:
            line |= {"event": "library", "logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            line |= {"error": class_of(record.exc_info[1]), "frames": places_of(record.exc_info[1])}
        return _to_json(line)


def configure(level: LogLevel = LogLevel.INFO) -> None:
    """Configure the log of this process."""
    logging.config.dictConfig(logging_configuration(level))


def logging_configuration(level: LogLevel) -> dict[str, object]:
    """Return the configuration for `logging.config.dictConfig`.

    uvicorn applies it in each of its processes. Its own access log is off: the service logs one line for each
    request, without address and query.

    Args:
        level: the level of the service and of uvicorn. Other libraries log warnings and errors; errors alone if this is
            `error`.
    """
    name = level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": f"{__name__}.{JsonFormatter.__name__}"}},
        "handlers": {"stderr": {"()": f"{__name__}.{standard_error.__name__}", "formatter": "json", "level": name}},
        "loggers": {
            SERVICE_LOGGER: {"level": name},
            _SERVER: {"level": "INFO" if level is LogLevel.DEBUG else name},
        },
        "root": {"level": "ERROR" if level is LogLevel.ERROR else "WARNING", "handlers": ["stderr"]},
    }


def standard_error() -> logging.Handler:
    """Return the handler of every line. What Python would print there by itself goes through the log from then on."""
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    sys.unraisablehook = lambda unraisable: _log_error(unraisable.exc_value)
    threading.excepthook = lambda args: _log_error(args.exc_value)
    return logging.StreamHandler()


def _log_uncaught(_kind: type[BaseException], error: BaseException, _traceback: TracebackType | None) -> None:
    _log_error(error)


def _log_error(error: BaseException | None) -> None:
    _log.critical(LogEvent("uncaught"), exc_info=error)
