"""A headless Chromium without the Internet, driven over the DevTools protocol by the standard library.

Chromium reads commands from file descriptor 3 and writes answers and events to 4, as JSON that a NUL ends:
`--remote-debugging-pipe`. So there is no port, no WebSocket and no driver to install.

Protocol: https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Message: TypeAlias = dict[str, "Json"]

PATIENCE_SECONDS: Final = 30.0
NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
FLAGS: Final = (
    "--headless=new",
    "--remote-debugging-pipe",
    # Every name leads nowhere, so that what asks another host fails, and says so.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
    "--window-size=1280,1000",
)


class BrowserError(AssertionError):
    """The browser is missing, gave up, or did not show in time what was waited for."""


class Browser:
    """The connection to a browser that nobody else uses."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._unread = b""
        self._number = 0

    @contextmanager
    def page(self) -> Iterator["Page"]:
        """A page that shares nothing with those before it, until the block ends."""
        context = self.send("Target.createBrowserContext")["browserContextId"]
        target = self.send("Target.createTarget", {"url": "about:blank", "browserContextId": context})["targetId"]
        session = self.send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        yield Page(self, str(session))
        self.send("Target.disposeBrowserContext", {"browserContextId": context})

    def send(self, method: str, params: Message | None = None, page: "Page | None" = None) -> Message:
        """Send a command to the browser, or to one of its pages, and return its result."""
        self._number += 1
        number = self._number
        command: Message = {"id": number, "method": method, "params": params or {}}
        if page is not None:
            command["sessionId"] = page.session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            message = self._read(deadline)
            if message.get("id") == number:
                if "error" in message:
                    raise BrowserError(f"{method}: {message['error']}")
                return _object(message["result"])
            if page is not None and message.get("sessionId") == page.session:
                page.note(str(message.get("method")), message.get("params"))

    def _read(self, deadline: float) -> Message:
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            read = os.read(self._answers, 1 << 16) if ready else b""
            if not read:
                raise BrowserError("Chromium has ended" if ready else "Chromium does not answer")
            self._unread += read
        first, _, self._unread = self._unread.partition(b"\0")
        return _object(json.loads(first))


class Page:
    """One page: what it does, what it asked for, and what it complained about."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self.session = session
        self.requested: list[str] = []
        """The address of every request that the page made, whether it succeeded or not."""
        self.complaints: list[str] = []
        """Errors and warnings of the console, exceptions that nobody caught, and breaches of the page's policy."""
        for domain in ("Page", "Network", "Runtime", "Log", "Audits"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Json) -> Message:
        """Send a command to this page, and return its result."""
        return self._browser.send(method, params, self)

    def open(self, url: str) -> None:
        """Open an address."""
        self.send("Page.navigate", url=url)

    def run(self, script: str) -> Json:
        """Run an expression of JavaScript in the page, and return its value."""
        answer = self.send(
            "Runtime.evaluate",
            expression=script,
            returnByValue=True,
            awaitPromise=True,
            allowUnsafeEvalBlockedByCSP=False,  # what runs here obeys the page's policy
        )
        if "exceptionDetails" in answer:
            raise BrowserError(f"{script}: {answer['exceptionDetails']}")
        return _object(answer["result"]).get("value")

    def wait(self, script: str) -> Json:
        """Run an expression again and again until its value is truthy, and return that."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            value = self.run(script)
            if value:
                return value
            time.sleep(0.05)
        raise BrowserError(f"never true: {script}\ncomplaints: {self.complaints}")

    def click(self, selector: str) -> None:
        """Click, like a person does, what a CSS selector finds: in the middle of it, where it is seen."""
        found = json.dumps(selector)
        self.wait(f"document.querySelector({found}) !== null")
        box = self.run(
            f"(() => {{ const found = document.querySelector({found}); found.scrollIntoView({{block: 'center'}});"
            " const box = found.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        assert isinstance(box, list)
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def write(self, selector: str, text: str) -> None:
        """Replace what stands in a field."""
        self.click(selector)
        self.run(f"document.querySelector({json.dumps(selector)}).select()")
        self.send("Input.insertText", text=text)

    def take_picture(self, path: Path) -> None:
        """Save what the page looks like as a PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(str(self.send("Page.captureScreenshot")["data"])))

    def note(self, event: str, params: Json) -> None:
        """Keep what an event tells of the page."""
        match event, params:
            case "Network.requestWillBeSent", {"request": {"url": str(url)}}:
                self.requested.append(url)
            case "Runtime.consoleAPICalled", {"type": "error" | "warning" | "assert"}:
                self.complaints.append(json.dumps(params))
            case "Audits.issueAdded", {"issue": {"code": "ContentSecurityPolicyIssue"}}:
                self.complaints.append(f"Content Security Policy: {json.dumps(params)}")
            case "Runtime.exceptionThrown", _:
                self.complaints.append(json.dumps(params))
            case "Log.entryAdded", {"entry": {"level": "error" | "warning"}}:
                self.complaints.append(json.dumps(params))
            case _:
                pass


def _object(value: Json) -> Message:
    assert isinstance(value, dict)
    return value


def find() -> str:
    """The path of a Chromium. Raises BrowserError, so that a missing browser is a failure and not a skipped test."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    raise BrowserError("There is no Chromium here: the Debian package is called `chromium`.")


@contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """A browser of its own, until the block ends."""
    command_read, command_write = os.pipe()
    answer_read, answer_write = os.pipe()
    flags = [*FLAGS, f"--user-data-dir={profile}", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    script = f'exec "$@" 3<&{command_read} 4>&{answer_write}'
    with (profile.parent / "chromium.log").open("w") as log:
        process = subprocess.Popen(
            ["bash", "-c", script, "bash", find(), *flags],  # noqa: S607 - whichever bash there is
            pass_fds=(command_read, answer_write),
            stdout=log,
            stderr=log,
            env={**os.environ, "HOME": str(profile.parent)},
        )
    os.close(command_read)
    os.close(answer_write)
    try:
        yield Browser(command_write, answer_read)
    finally:
        os.close(command_write)  # the browser ends when nobody can tell it anything any more
        os.close(answer_read)
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
