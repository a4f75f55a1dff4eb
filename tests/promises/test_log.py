"""The log of the service as the real command writes it: no test configures it, sets a level or catches its records.

`mediation-api serve` runs in production settings on a database of this run; tests/cli/ looks at what `dev` writes.
"""

import json
import logging
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import httpx
import pytest
from tests.promises.production import (
    AUDIENCE,
    PROGRAM,
    SCHEMA,
    SERVICE_ISSUER,
    log_lines,
    production_environment,
    serving,
    without_settings,
)
from tests.serving import START_SECONDS
from uvicorn.config import STARTUP_FAILURE

from mediation_api.auth.tokens import Issuer, TokenFault
from mediation_api.cli.serve import app_of_a_worker
from mediation_api.domain.errors import AccessCodeInvalid, TokenExpired, TokenRevoked, Unauthenticated
from mediation_api.logs import JsonFormatter, LogEvent, LogLevel, logging_configuration
from mediation_api.settings import Settings

TIME: Final = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
FIELDS: Final = {"time", "level", "event", "method", "route", "status", "duration_ms", "role", "refusal", "request_id"}
CANARY: Final = "c4n4ry"


@pytest.mark.program
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
            client.get("/v1/me", headers={"X-Request-Id": "r-5", "Authorization": f"Bearer {CANARY}"})
            client.get("/v1/me", headers={"X-Request-Id": "r-6", "Authorization": f"Basic {CANARY}"})
        running.stop()
        requests = [line for line in running.lines("request") if str(line["request_id"]).startswith("r-")]
        server = [str(line["message"]) for line in running.lines("server")]
        text = running.text()

    assert [(line["request_id"], line["method"], line["route"], line["status"]) for line in requests] == [
        ("r-1", "GET", "/v1/cases/{case_id}", 401),
        ("r-2", "GET", None, 404),
        ("r-3", "POST", "/v1/complaints", 400),
        ("r-4", "GET", "/health/live", 200),
        ("r-5", "GET", "/v1/me", 401),
        ("r-6", "GET", "/v1/me", 401),
    ]
    for line in requests:
        assert set(line) == FIELDS
        assert TIME.fullmatch(str(line["time"]))
        assert line["level"] == "info"
        assert isinstance(line["duration_ms"], float)
    assert [line["role"] for line in requests] == ["public", None, "public", "public", None, None]
    refusals = ["unauthenticated", None, None, None, "malformed", "scheme"]
    assert [line["refusal"] for line in requests] == refusals
    assert sum("Started server process" in message for message in server) == 2
    assert sum("Finished server process" in message for message in server) == 2
    assert CANARY not in text


def test_the_schema_names_every_reason_for_a_refusal() -> None:
    document = json.loads((Path(__file__).parents[2] / "docs" / "log.schema.json").read_text(encoding="utf-8"))
    reasons = document["oneOf"][0]["properties"]["refusal"]["enum"]
    codes = {refusal.code for refusal in (Unauthenticated, TokenRevoked, AccessCodeInvalid)}
    assert set(Unauthenticated.__subclasses__()) == {TokenExpired, TokenRevoked, AccessCodeInvalid}
    assert reasons == [None, *TokenFault, *(reason for reason in reasons if reason in codes)]
    assert codes <= set(reasons)


def test_the_schema_and_the_operators_guide_have_every_event_that_the_code_logs() -> None:
    root = Path(__file__).parents[2]
    sources = "".join(path.read_text(encoding="utf-8") for path in (root / "src" / "mediation_api").rglob("*.py"))
    logged = set(re.findall(r'LogEvent\(\s*"([a-z-]+)"', sources))
    schema = json.loads((root / "docs" / "log.schema.json").read_text(encoding="utf-8"))
    listed = set(schema["properties"]["event"]["enum"])
    described = {each["properties"]["event"].get("const") for each in schema["oneOf"]}
    guide = (root / "docs" / "operations.md").read_text(encoding="utf-8")
    assert len(logged) > 5
    assert logged <= listed & described
    assert {name for name in logged if f"| `{name}` |" not in guide} == set()


@pytest.mark.program
def test_with_a_higher_level_the_lines_of_requests_are_left_out(
    committed: Settings, keys: Path, tmp_path: Path
) -> None:
    environment = production_environment(committed, keys, tmp_path) | {"MEDIATION_LOG_LEVEL": "warning"}
    with serving(environment, tmp_path) as running:
        running.stop()
        assert running.lines("request") == []


@pytest.mark.program
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
        (said,) = running.lines("message")
        text = running.text()

    assert (said["level"], str(said["message"]).partition(":")[0]) == (
        "warning",
        "Nothing listens at host and port of MEDIATION_DATABASE_URL",
    )
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


@pytest.mark.program
@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_stops_a_worker_at_its_start_is_one_line_of_the_log(
    committed: Settings, keys: Path, tmp_path: Path, workers: str
) -> None:
    (tmp_path / "allegations.en.md").write_text(CANARY, encoding="utf-8")
    environment = production_environment(committed, keys, tmp_path) | {
        "MEDIATION_WORKERS": workers,
        "MEDIATION_ALLEGATIONS_DIRECTORY": str(tmp_path),
    }

    status, lines = _fails(environment)

    assert status in {0, STARTUP_FAILURE}  # uvicorn's parent process always ends with 0
    causes = [line for line in lines if line["level"] == "critical"]
    assert [line["event"] for line in causes] == ["message"] * int(workers)
    assert "allegations.en.md" in str(causes[0]["message"])


def test_an_exception_that_nobody_foresaw_is_logged_without_its_text(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ValueError(CANARY)

    monkeypatch.setattr("mediation_api.main.app_from_environment", fail)

    with pytest.raises(SystemExit) as ended:
        app_of_a_worker()

    assert ended.value.code == STARTUP_FAILURE
    (line,) = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    SCHEMA.validate(line)
    assert (line["event"], line["error"]) == ("uncaught", "builtins.ValueError")
    assert "cli/serve.py" in str(line["frames"])
    assert CANARY not in str(line)


@pytest.mark.program
def test_a_key_that_stops_serve_is_one_line_of_the_log(committed: Settings, keys: Path, tmp_path: Path) -> None:
    environment = production_environment(committed, keys, tmp_path) | {"MEDIATION_WORKERS": "2"}
    Path(environment["MEDIATION_SERVICE_KEY_FILE"]).write_text(CANARY, encoding="utf-8")

    status, (line,) = _fails(environment)

    assert (status, line["level"], line["event"]) == (2, "error", "message")
    assert str(line["message"]).startswith("MEDIATION_SERVICE_KEY_FILE: must be an EC P-256 private key (PEM) ")


@pytest.mark.program
def test_a_setting_that_stops_serve_is_one_line_of_the_log() -> None:
    status, (line,) = _fails({})
    assert (status, line["level"], line["event"]) == (2, "error", "message")
    assert str(line["message"]).startswith("MEDIATION_TOKEN_ISSUER: is required; ")


def _fails(environment: Mapping[str, str]) -> tuple[int, list[dict[str, object]]]:
    """Run `mediation-api serve` until it ends by itself: its exit code, and its log."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = subprocess.run(
        [PROGRAM, "serve"],
        env={**without_settings(), **environment, "MEDIATION_PORT": str(port)},
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    assert done.stdout == ""
    assert CANARY not in done.stderr
    return done.returncode, log_lines(done.stderr)


PRINTED_BY_PYTHON: Final = {
    "a warning": ("import warnings; warnings.warn('c4n4ry')", "library", "py.warnings"),
    "an exception": ("raise ValueError('c4n4ry')", "uncaught", None),
    "an exception in a thread": (
        "import threading; t = threading.Thread(target=lambda: int('c4n4ry')); t.start(); t.join()",
        "uncaught",
        None,
    ),
    "an exception in a finalizer": (
        "class Bad:\n    def __del__(self): raise ValueError('c4n4ry')\nBad()",
        "uncaught",
        None,
    ),
    "a task's exception": (
        """import asyncio
async def run():
    asyncio.create_task(asyncio.to_thread(int, "c4n4ry"))
    await asyncio.sleep(0.1)
asyncio.run(run())""",
        "library",
        "asyncio",
    ),
    "a migration's warning": (
        "import logging; logging.getLogger('alembic.runtime').warning('c4n4ry')",
        "library",
        "alembic.runtime",
    ),
}


@pytest.mark.program
@pytest.mark.parametrize("what", PRINTED_BY_PYTHON)
def test_what_python_prints_by_itself_is_a_line_of_the_log_without_its_text(what: str) -> None:
    code, event, logger = PRINTED_BY_PYTHON[what]

    def stderr(before: str) -> str:
        program = [sys.executable, "-c", f"{before}\n{code}"]
        return subprocess.run(program, capture_output=True, text=True, check=False).stderr

    assert CANARY in stderr(""), "the control"
    (line,) = log_lines(stderr("from mediation_api.logs import configure; configure()"))
    assert (line["event"], line.get("logger")) == (event, logger)
    assert CANARY not in json.dumps(line)


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
    SCHEMA.validate(json.loads(text))
    assert json.loads(text)["error"] == "builtins.ValueError"
    assert CANARY not in text


def test_the_formatter_of_the_standard_library_would_show_it() -> None:
    """The control: what the JSON formatter leaves out is in the record."""
    assert f"ValueError: {CANARY}" in logging.Formatter().format(failed())
