"""The service's log: one JSON object per line on standard error.

Every line has `time` (RFC 3339, UTC), `level` and `event`. The service logs `LogEvent`s, whose fields are named where
they are logged. uvicorn's messages are kept. Of any other library only the logger's name and the class of an exception
are logged, because its text may contain personal data.
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

_OWN: Final = "mediation_api"
_SERVER: Final = "uvicorn"


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
        return json.dumps(self.fields, default=str)


class JsonFormatter(logging.Formatter):
    """Formats each record as one JSON object, without the text of an exception and without a traceback."""

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
        elif root == _OWN:
            line |= {"event": "message", "logger": record.name, "message": record.getMessage()}
        elif root == _SERVER:
            # The first line only: the others could be a traceback.
            line |= {"event": "server", "message": record.getMessage().strip().partition("\n")[0]}
        else:
            line |= {"event": "library", "logger": record.name}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = f"{record.exc_info[0].__module__}.{record.exc_info[0].__qualname__}"
        return json.dumps(line, default=str)


def logging_configuration(level: LogLevel) -> dict[str, object]:
    """Return the configuration of `logging.config.dictConfig` for a process that serves.

    uvicorn applies it in each of its processes. uvicorn's own access log is off: the service logs one line for each
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
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "loggers": {
            _OWN: {"level": name},
            _SERVER: {"level": "INFO" if level is LogLevel.DEBUG else name},
        },
        "root": {"level": "ERROR" if level is LogLevel.ERROR else "WARNING", "handlers": ["stderr"]},
    }
