"""`mediation-api import`: file the complaints of another system's file, through the service."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Protocol, TypedDict
from urllib.parse import urlsplit

import typer

from mediation_api.cli.output import fail, one_line_errors, say

if TYPE_CHECKING:
    import httpx

    from mediation_api.cli.import_mapping import ImportMapping

_ANSWER_SECONDS: Final = 60.0
_BETWEEN_LOOKS_SECONDS: Final = 1.0
_CHUNK_BYTES: Final = 65_536
_PAGE: Final = 100


class ImportAnswer(TypedDict):
    """What the service says about an import, as far as it is used here."""

    id: str
    state: str
    lines: int
    filed: int
    refused: int
    already_there: int


class Bar(Protocol):
    """A progress bar."""

    def update(self, n_steps: int) -> None:
        """Advance it."""


def import_complaints(
    file: Annotated[Path, typer.Argument(help="The file: CSV, or JSON lines.", exists=True, dir_okay=False)],
    token_file: Annotated[
        Path, typer.Option(help="A file with the token of an integration.", exists=True, dir_okay=False)
    ],
    *,
    mapping: Annotated[
        Path | None, typer.Option(help="How its records become complaints (TOML).", exists=True, dir_okay=False)
    ] = None,
    url: Annotated[str, typer.Option(help="Where the service is.")] = "http://127.0.0.1:8000",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every record, and file none.")] = False,
) -> None:
    """File the complaints of a file: upload them, wait until a worker has filed them, and print what was refused.

    Each refusal is a line on standard output, with the number of the record. Exits with 0 if nothing was refused, 1 if
    something was, and 2 if the import failed. It may be run again: what was filed is not filed twice.
    """
    import httpx

    from mediation_api.cli.import_mapping import ImportMapping, MappingError

    with one_line_errors():
        if not _is_safe(url):
            fail("--url: a token is sent over https, or to this machine")
        headers = {"Authorization": f"Bearer {token_file.read_text(encoding='ascii').strip()}"}
        try:
            known = None if mapping is None else ImportMapping.read(mapping)
            with httpx.Client(base_url=url, headers=headers, timeout=_ANSWER_SECONDS) as client:
                made = _wait(client, _upload(client, file, known, dry_run=dry_run))
                _print_refusals(client, made["id"])
        except MappingError as error:
            fail(error.words)
        except httpx.HTTPError as error:
            fail(f"{url}: {type(error).__name__}. Run the command again: what was filed is not filed twice.")
        filed = f"{made['filed']} {'would be filed' if dry_run else 'filed'}"
        say(f"{filed}, {made['already_there']} already there, {made['refused']} refused ({made['state']})")
        if made["refused"] or made["state"] != "finished":
            raise typer.Exit(1)


def _upload(client: "httpx.Client", path: Path, mapping: "ImportMapping | None", *, dry_run: bool) -> ImportAnswer:
    from mediation_api.cli.import_mapping import lines_of

    with path.open("rb") as file, typer.progressbar(length=path.stat().st_size, label="Upload", file=sys.stderr) as bar:
        response = client.post(
            "/v1/imports",
            params={"dry_run": "true"} if dry_run else {},
            content=_chunks(_advancing(lines_of(file, path, mapping), file.tell, bar)),
            headers={"Content-Type": "application/x-ndjson"},
        )
    made: ImportAnswer = _successful(response).json()
    return made


def _wait(client: "httpx.Client", made: ImportAnswer) -> ImportAnswer:
    """Wait until the import has ended."""
    with typer.progressbar(length=made["lines"], label="Filing", file=sys.stderr) as bar:
        done = 0
        while True:
            now = made["filed"] + made["refused"] + made["already_there"]
            bar.update(now - done)
            done = now
            if made["state"] != "running":
                return made
            time.sleep(_BETWEEN_LOOKS_SECONDS)
            made = _successful(client.get(f"/v1/imports/{made['id']}")).json()


def _print_refusals(client: "httpx.Client", import_id: str) -> None:
    """Print a line for each rule that a record breaks."""
    parameters = {"limit": str(_PAGE)}
    while True:
        page = _successful(client.get(f"/v1/imports/{import_id}/refusals", params=parameters)).json()
        for item in page["items"]:
            problem = item["problem"]
            for error in problem["errors"] or [{**problem, "pointer": ""}]:
                say(f"record {item['line']}: {error['pointer'] or '/'} {error['code']}: {error['detail']}")
        if page["next_cursor"] is None:
            return
        parameters["cursor"] = page["next_cursor"]


def _successful(response: "httpx.Response") -> "httpx.Response":
    """Return a successful answer. Prints the problem otherwise, and exits."""
    if not response.is_success:
        with suppress(ValueError, KeyError):
            problem = response.json()
            fail(f"The service refused: {problem['status']} {problem['code']}: {problem['detail']}")
        fail(f"The service answered {response.status_code}.")
    return response


def _advancing(lines: Iterable[bytes], position: Callable[[], int], bar: Bar) -> Iterator[bytes]:
    """Yield the lines, and advance the bar to how much of the file has been read."""
    before = 0
    for line in lines:
        yield line
        if (now := position()) != before:
            bar.update(now - before)
            before = now


def _chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines in larger pieces: each piece that is sent costs as much as many lines."""
    chunk = bytearray()
    for line in lines:
        chunk += line
        if len(chunk) >= _CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk)


def _is_safe(url: str) -> bool:
    """Whether nobody on the way can read a token that is sent there."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    try:
        return parts.scheme == "http" and (
            parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
        )
    except ValueError:
        return False
