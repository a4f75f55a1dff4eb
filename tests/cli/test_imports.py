"""`mediation-api import`: the records of another system's file, and what the command says of them."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from typer.testing import CliRunner

from mediation_api.cli import imports
from mediation_api.cli.import_mapping import ImportMapping, MappingError, lines_of
from mediation_api.cli.main import app

MAPPING: Final = """
[constants]
"interested_in_mediation" = false
"parties.0.side" = "complainant"
"parties.1.side" = "officer"

[columns]
"Case No" = "external_reference"
"Story" = "narrative"
"Type" = "allegations"
"Incident" = "incident_on"
"Crime" = "intake.crime_alleged"
"Name" = "parties.0.name"
"Officer" = "parties.1.name"

[values."Type"]
"RUDE" = ["discourtesy"]
[values."Crime"]
"N" = false

[dates]
"Incident" = "%m/%d/%Y"
"""
RECORDS: Final = (
    "Case No;Story;Type;Incident;Crime;Name;Officer;Unused\r\n"
    '7;"He shouted;\r\nand left. Ünfair";RUDE;03/01/2026;N;Rosa;Dale;x\r\n'
    "8;Short;LOUD;1.3.2026;; Ada ;;\r\n"
)


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "mapping.toml"
    path.write_text(MAPPING + '[csv]\ndelimiter = ";"\nencoding = "cp1252"\n', encoding="utf-8")
    return path


def lines(name: str, content: bytes, mapping: Path | None) -> list[object]:
    known = None if mapping is None else ImportMapping.read(mapping)
    return [json.loads(line) for line in lines_of(io.BytesIO(content), Path(name), known)]


def test_a_record_becomes_a_complaint(mapping: Path) -> None:
    first, second = lines("old.CSV", RECORDS.encode("cp1252"), mapping)
    assert first == {
        "interested_in_mediation": False,
        "external_reference": "7",
        "narrative": "He shouted;\r\nand left. Ünfair",
        "allegations": ["discourtesy"],
        "incident_on": "2026-03-01",
        "intake": {"crime_alleged": False},
        "parties": [{"side": "complainant", "name": "Rosa"}, {"side": "officer", "name": "Dale"}],
    }
    assert second == {
        "interested_in_mediation": False,
        "external_reference": "8",
        "narrative": "Short",
        "allegations": "LOUD",  # the service refuses it, and says of which line
        "incident_on": "1.3.2026",
        "parties": [{"side": "complainant", "name": "Ada"}],
    }


def test_json_lines_are_mapped_or_sent_as_they_are(mapping: Path) -> None:
    content = b'\xef\xbb\xbf{"Case No": "9", "Crime": true}\r\n{"Case No": 10}\nnull'
    assert lines("old.jsonl", content, mapping) == [
        {"interested_in_mediation": False, "external_reference": "9", "intake": {"crime_alleged": True}},
        {"interested_in_mediation": False, "external_reference": 10},
        None,
    ]
    assert lines("old.jsonl", b'\xef\xbb\xbf{"a": 1}\n{"b": 2}', None) == [{"a": 1}, {"b": 2}]
    assert list(lines_of(io.BytesIO(b"{]"), Path("x.jsonl"), None)) == [b"{]\n"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("Case No;Story\r\n", "has no column Crime, Incident, Name, Officer, Type"),
        (RECORDS + "9;" + ";" * 9 + "\r\n", "line 5 has more cells"),
        (RECORDS + '9;"never ends', "after line 4: unexpected end of data"),
    ],
)
def test_a_file_that_is_not_as_the_mapping_says_is_refused(mapping: Path, content: str, words: str) -> None:
    with pytest.raises(MappingError, match=words):
        lines("old.csv", content.encode("cp1252"), mapping)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[columns", "mapping.toml: "),
        ("[constants]", "columns"),
        ('[columns]\n"A" = "Not a path"', "columns.A"),
        ('[columns]\n"A" = "narrative"\n[values."B"]\n"x" = "y"', "B: in no row"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MappingError, match=words):
        ImportMapping.read(path)


def test_a_wrong_encoding_is_said_and_a_csv_file_needs_a_mapping(mapping: Path) -> None:
    mapping.write_text(mapping.read_text(encoding="utf-8").replace("cp1252", "utf-8"), encoding="utf-8")
    with pytest.raises(MappingError, match="is not utf-8"):
        lines("old.csv", RECORDS.encode("cp1252"), mapping)
    with pytest.raises(MappingError, match="needs a mapping"):
        lines("old.csv", b"", None)


class Service:
    """The service, as far as the command calls it."""

    def __init__(self) -> None:
        self.uploaded = b""
        self.token = ""
        self.states: Iterator[dict[str, object]] = iter(())

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.token = request.headers["Authorization"]
        if request.url.path.endswith("/refusals"):
            last = "cursor" in request.url.params
            error = {"pointer": "/narrative", "code": "too-short", "detail": "At least 1 characters."}
            problem = {"code": "payload-too-large", "detail": "Too large.", "errors": [] if last else [error]}
            item = {"line": 2 if last else 1, "problem": problem}
            return httpx.Response(200, json={"items": [item], "next_cursor": None if last else "next"})
        if request.method == "POST":
            self.uploaded = request.read()
        return httpx.Response(202 if request.method == "POST" else 200, json=next(self.states))


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    made = Service()
    client = httpx.Client

    def connect(**options: object) -> httpx.Client:
        return client(transport=httpx.MockTransport(made), **options)  # type: ignore[arg-type] # as they came

    monkeypatch.setattr(httpx, "Client", connect)
    monkeypatch.setattr(imports, "_BETWEEN_LOOKS_SECONDS", 0.0)
    return made


def state(name: str, filed: int = 0, refused: int = 0) -> dict[str, object]:
    return {"id": "i", "state": name, "lines": 3, "filed": filed, "refused": refused, "already_there": 0}


def test_the_command_uploads_waits_and_prints_what_was_refused(tmp_path: Path, service: Service) -> None:
    (tmp_path / "new.jsonl").write_text('{"a": 1}\n{"b": 2}\n{"c": 3}', encoding="utf-8")
    (tmp_path / "token").write_text("abc\n", encoding="ascii")
    service.states = iter([state("running"), state("running", 1), state("finished", 1, 2)])
    arguments = ["import", str(tmp_path / "new.jsonl"), "--token-file", str(tmp_path / "token")]
    run = CliRunner().invoke(app, arguments)
    assert run.stdout.splitlines() == [
        "record 1: /narrative too-short: At least 1 characters.",
        "record 2: / payload-too-large: Too large.",
        "1 filed, 0 already there, 2 refused (finished)",
    ]
    assert run.exit_code == 1
    assert service.uploaded == b'{"a": 1}\n{"b": 2}\n{"c": 3}\n'
    assert service.token == "Bearer abc"


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("https://city.example/mediation", True),
        ("http://127.0.0.1:8000", True),
        ("http://localhost", True),
        ("http://city.example", False),
        ("ftp://localhost", False),
        ("https://", False),
    ],
)
def test_a_token_is_sent_where_nobody_reads_it(tmp_path: Path, service: Service, url: str, *, is_safe: bool) -> None:
    (tmp_path / "new.jsonl").write_text("{}", encoding="utf-8")
    service.states = iter([state("finished", 3)])
    arguments = ["import", str(tmp_path / "new.jsonl"), "--token-file", str(tmp_path / "new.jsonl"), "--url", url]
    run = CliRunner().invoke(app, arguments)
    assert (run.exit_code != 2) == is_safe, run.output
    assert bool(service.uploaded) == is_safe


def test_what_the_service_refuses_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "new.jsonl").write_text("{}", encoding="utf-8")
    client = httpx.Client
    problem = {"status": 403, "code": "not-permitted", "detail": "Your role does not allow this operation."}
    transport = httpx.MockTransport(lambda _: httpx.Response(403, json=problem))
    monkeypatch.setattr(httpx, "Client", lambda **options: client(transport=transport, **options))
    arguments = ["import", str(tmp_path / "new.jsonl"), "--token-file", str(tmp_path / "new.jsonl")]
    run = CliRunner().invoke(app, arguments)
    assert run.exit_code == 2
    assert "The service refused: 403 not-permitted: Your role does not allow this operation." in run.stderr
