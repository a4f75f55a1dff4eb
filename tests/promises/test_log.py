"""The log of the service as the real command writes it: no test configures it, sets a level or catches its records.

`mediation-api serve` runs in production settings on a database of this run; tests/cli/ looks at what `dev` writes.
"""

import json
import logging
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import httpx
import pytest
from tests.promises.production import AUDIENCE, SERVICE_ISSUER, production_environment, serving

from mediation_api.auth.tokens import Issuer
from mediation_api.logs import JsonFormatter, LogEvent, LogLevel, logging_configuration
from mediation_api.settings import Settings

TIME: Final = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
FIELDS: Final = {"time", "level", "event", "method", "route", "status", "duration_ms", "role", "request_id"}
CANARY: Final = "c4n4ry"


def test_serve_writes_one_json_line_per_request_and_no_other_access_log(
    committed: Settings, keys: Path, tmp_path: Path
) -> None:
    environment = production_environment(committed, keys, tmp_path) | {"MEDIATION_WORKERS": "2"}
    with serving(environment, tmp_path) as running:
        with httpx.Client(base_url=running.api, headers={"User-Agent": CANARY}) as client:
            client.get(f"/v1/cases/{CANARY}?q={CANARY}", headers={"X-Request-Id": "r-1"})
            client.get(f"/{CANARY}", headers={"X-Request-Id": "r-2", "Authorization": f"Bearer {CANARY}"})
            client.post("/v1/complaints", json={"narrative": CANARY}, headers={"X-Request-Id": "r-3"})
            client.get("/health/live", headers={"X-Request-Id": "r-4"})
        running.stop()
        requests = [line for line in running.lines("request") if str(line["request_id"]).startswith("r-")]
        server = [str(line["message"]) for line in running.lines("server")]
        text = running.text()

    assert [(line["request_id"], line["method"], line["route"], line["status"]) for line in requests] == [
        ("r-1", "GET", "/v1/cases/{case_id}", 401),
        ("r-2", "GET", None, 404),
        ("r-3", "POST", "/v1/complaints", 400),
        ("r-4", "GET", "/health/live", 200),
    ]
    for line in requests:
        assert set(line) == FIELDS
        assert TIME.fullmatch(str(line["time"]))
        assert line["level"] == "info"
        assert isinstance(line["duration_ms"], float)
    assert [line["role"] for line in requests] == ["public", None, "public", "public"]
    assert sum("Started server process" in message for message in server) == 2
    assert sum("Finished server process" in message for message in server) == 2
    assert CANARY not in text


def test_with_a_higher_level_the_lines_of_requests_are_left_out(
    committed: Settings, keys: Path, tmp_path: Path
) -> None:
    environment = production_environment(committed, keys, tmp_path) | {"MEDIATION_LOG_LEVEL": "warning"}
    with serving(environment, tmp_path) as running:
        running.stop()
        assert running.lines("request") == []


def test_a_database_that_is_away_is_logged_by_cause_and_route(committed: Settings, keys: Path, tmp_path: Path) -> None:
    environment = production_environment(committed, keys, tmp_path)
    environment["MEDIATION_DATABASE_URL"] = f"postgresql://api:{CANARY}@127.0.0.1:1/mediation"
    issuer = Issuer.from_file(
        Path(environment["MEDIATION_SERVICE_KEY_FILE"]),
        name=SERVICE_ISSUER,
        audience=AUDIENCE,
        lifetime=timedelta(minutes=5),
    )
    token = issuer.issue(uuid4(), code="7K4MXPQ0", token_id=uuid4(), now=datetime.now(UTC))
    with serving(environment, tmp_path, until="/health/live") as running:
        with httpx.Client(base_url=running.api) as client:
            headers = {"X-Request-Id": "r-1", "Authorization": f"Bearer {token}"}
            assert client.get("/v1/cases", headers=headers).status_code == 503
            assert client.get("/health/ready", headers={"X-Request-Id": "r-2"}).status_code == 503
        running.stop()  # a line is written after its answer
        failures, requests = running.lines("unavailable"), running.lines("request")
        text = running.text()

    assert {frozenset(line) for line in requests} == {frozenset(FIELDS)}
    asked = [str(line["request_id"]) for line in requests if line["route"] != "/health/live"]
    assert asked == ["r-1", "r-2"]

    assert [(line["request_id"], line["route"], line["cause"]) for line in failures] == [
        ("r-1", "/v1/cases", "connection"),
        ("r-2", "/health/ready", "connection"),
    ]
    for line in failures:
        assert set(line) == {
            *("time", "level", "event", "cause", "method", "route", "request_id", "role", "error", "sqlstate", "frames")
        }
        assert TIME.fullmatch(str(line["time"]))
        assert line["error"] == "builtins.ConnectionRefusedError"
    assert CANARY not in text
    assert "Traceback" not in text


@pytest.mark.parametrize("level", LogLevel)
def test_alerts_are_visible_at_every_level_up_to_warning(level: LogLevel) -> None:
    loggers = logging_configuration(level)["loggers"]
    assert isinstance(loggers, dict)
    shown = logging.getLevelName(loggers["mediation_api"]["level"]) <= logging.WARNING
    assert shown == (level is not LogLevel.ERROR)


@pytest.mark.parametrize(
    ("name", "message", "expected"),
    [
        ("mediation_api.routers.x", LogEvent("alert", report_id=1), {"event": "alert", "report_id": 1}),
        (
            "mediation_api.outreach.x",
            "a key is missing",
            {"event": "message", "logger": "mediation_api.outreach.x", "message": "a key is missing"},
        ),
        ("uvicorn.error", "Started\nTraceback", {"event": "server", "message": "Started"}),
        ("sqlalchemy.pool", f"lost {CANARY}", {"event": "library", "logger": "sqlalchemy.pool"}),
    ],
)
def test_a_line_holds_what_its_logger_may_say(name: str, message: object, expected: dict[str, object]) -> None:
    record = logging.LogRecord(name, logging.WARNING, "file", 1, message, (), None)
    line = json.loads(JsonFormatter().format(record))
    assert TIME.fullmatch(line.pop("time"))
    assert line.pop("level") == "warning"
    assert line == expected


def failed() -> logging.LogRecord:
    """What asyncio logs of a task that ended with an exception."""
    error = ValueError(CANARY)
    return logging.LogRecord(
        "asyncio", logging.ERROR, "file", 1, f"never retrieved: {CANARY}", (), (ValueError, error, None)
    )


def test_of_an_exception_the_class_alone_is_logged() -> None:
    record = failed()
    text = JsonFormatter().format(record)
    assert json.loads(text)["error"] == "builtins.ValueError"
    assert CANARY not in text


def test_the_formatter_of_the_standard_library_would_show_it() -> None:
    """The control: what the JSON formatter leaves out is in the record."""
    assert f"ValueError: {CANARY}" in logging.Formatter().format(failed())
