"""The documentation page in a browser: it needs nobody else, and an operation can be tried on it."""

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from tests.browser.chromium import Browser, BrowserError, Page, browsing, find
from tests.serving import Served, served

from mediation_api.contract.security_schemes import SCHEMES

PICTURES: Final = Path(__file__).parents[2] / "build" / "browser"
COMPLAINT: Final = {
    "narrative": "He would not give me his name.",
    "allegations": ["discourtesy"],
    "interested_in_mediation": False,
    "parties": [{"side": "complainant", "name": "Ada Example"}],
}


@pytest.fixture(scope="module")
def service() -> Iterator[Served]:
    with served() as running:
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser") / "profile") as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.page() as opened:
        yield opened


def read(page: Page, service: Served) -> None:
    """Open the page and wait until it shows the contract."""
    page.open(f"{service.api}/docs")
    page.wait("document.querySelectorAll('.opblock-tag-section').length > 5")


def authorise(page: Page, token: str, scheme: str = "StaffBearer") -> None:
    """Do what somebody does with a token, at the name of its kind."""
    page.click("button.btn.authorize")
    form = f".auth-container:nth-of-type({list(SCHEMES).index(scheme) + 1})"
    page.wait(f"document.querySelector('{form} h4')?.textContent.startsWith('{scheme}')")
    page.write(f"{form} #auth-bearer-value", token)
    page.click(f"{form} .auth-btn-wrapper button[type=submit]")
    page.wait(f"document.querySelector('{form} .auth-btn-wrapper').textContent.includes('Logout')")
    page.click("button.btn-done")


def complainants_token(service: Served) -> str:
    """The token of somebody who has filed a complaint."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    filed = httpx.post(f"{service.api}/v1/complaints", json=COMPLAINT, headers=headers).json()
    code = {"access_code": filed["access_codes"][0]["access_code"]}
    return str(httpx.post(f"{service.api}/v1/access-tokens", json=code).json()["access_token"])


def unfold(page: Page, tag: str, operation: str) -> str:
    """Open an operation and make it ready to be tried. Returns the selector of its block."""
    block = f"#operations-{tag}-{operation}"
    if not page.run(f"document.querySelector('{block}') !== null"):
        page.click(f"#operations-tag-{tag}")
    page.click(f"{block} .opblock-summary-control")
    page.click(f"{block} .try-out__btn")
    return block


def execute(page: Page, block: str) -> str:
    """Press the button. Returns what the page shows of the answer: its status, body and headers."""
    shown = f"document.querySelector('{block} .live-responses-table tbody')"
    if page.run(f"{shown} !== null"):
        page.click(f"{block} .btn-clear")
        page.wait(f"{shown} === null")
    page.click(f"{block} .btn.execute")
    return str(page.wait(f"{shown} && {shown}.innerText"))


def elsewhere(page: Page, service: Served) -> list[str]:
    """What was asked of others. `data:` is in the page itself."""
    return [url for url in page.requested if not url.startswith((f"{service.api}/", "data:"))]


def test_the_page_loads_without_the_internet_and_shows_every_operation(page: Page, service: Served) -> None:
    read(page, service)
    for tag in range(int(str(page.run("document.querySelectorAll('.opblock-tag').length")))):
        page.run(f"document.querySelectorAll('.opblock-tag')[{tag}].click()")
    shown = page.run("document.querySelectorAll('.opblock').length")
    declared = page.run(
        "fetch('openapi.json').then(answer => answer.json())"
        ".then(contract => [contract.paths, contract.webhooks].flatMap(Object.values).flatMap(Object.keys).length)"
    )
    page.run("scrollTo(0, 0)")
    page.take_picture(PICTURES / "operations.png")

    assert page.run("document.title") == "mediation_api: documentation"
    assert shown == declared
    assert elsewhere(page, service) == []
    assert page.complaints == []


def test_the_codes_with_which_an_operation_refuses_are_shown(page: Page, service: Served) -> None:
    read(page, service)
    block = unfold(page, "consents", "giveConsent")
    shown = f"document.querySelector('{block}').innerText"
    page.wait(f"{shown}.includes('x-problem-codes')")
    page.run(
        "[...document.querySelectorAll('td')].find(each => each.textContent === 'x-problem-codes').scrollIntoView()"
    )
    page.take_picture(PICTURES / "extensions.png")

    assert "already-answered" in str(page.run(shown))
    assert elsewhere(page, service) == []
    assert page.complaints == []


def test_a_complainant_tries_what_takes_the_tokens_of_several_kinds_of_callers(page: Page, service: Served) -> None:
    read(page, service)
    authorise(page, complainants_token(service), "ComplainantBearer")

    answer = execute(page, unfold(page, "complaints", "listComplaints"))

    assert answer.startswith("200")
    assert '"party"' in answer
    assert page.complaints == []


def test_somebody_with_a_token_tries_a_get(page: Page, service: Served) -> None:
    read(page, service)
    authorise(page, service.token("coordinator"))

    answer = execute(page, unfold(page, "complaints", "listComplaints"))
    page.run("document.querySelector('.live-responses-table').scrollIntoView()")
    page.take_picture(PICTURES / "get.png")

    assert answer.startswith("200")
    assert '"items"' in answer
    assert '"reference"' in answer
    assert elsewhere(page, service) == []
    assert page.complaints == []


def test_a_post_takes_its_key_and_is_replayed_with_it(page: Page, service: Served) -> None:
    read(page, service)
    block = unfold(page, "complaints", "fileComplaint")
    page.write(f'{block} tr[data-param-name="Idempotency-Key"] input', str(uuid.uuid4()))
    page.write(f"{block} textarea.body-param__text", json.dumps(COMPLAINT))

    first = execute(page, block)
    again = execute(page, block)
    page.run("document.querySelector('.live-responses-table').scrollIntoView()")
    page.take_picture(PICTURES / "post.png")

    references = [re.findall(r'"reference": "([^"]+)"', answer) for answer in (first, again)]
    assert first.startswith("201")
    assert again.startswith("201")
    assert references[0] == references[1] != []
    assert "idempotency-replayed" not in first
    assert "idempotency-replayed: true" in again
    assert elsewhere(page, service) == []
    assert page.complaints == []


def test_a_token_is_gone_when_the_page_is(page: Page, service: Served) -> None:
    read(page, service)
    authorise(page, service.token("coordinator"))
    assert page.run("localStorage.length + sessionStorage.length + document.cookie.length") == 0

    read(page, service)
    page.click("button.btn.authorize")
    page.wait("document.querySelector('#auth-bearer-value') !== null")


# ── what these tests look for would be seen ────────────────────────────────────────────────────────────────────────


def test_another_host_would_be_noticed_and_is_not_reached(page: Page, service: Served) -> None:
    page.open(f"{service.api}/health/live")
    page.run("fetch('https://example.org/').catch(() => null)")
    assert any("Content Security Policy" in complaint for complaint in page.complaints)

    page.open("about:blank")  # which has no policy
    page.run("fetch('https://example.org/').catch(() => null)")
    assert "https://example.org/" in elsewhere(page, service)
    assert any("ERR_NAME_NOT_RESOLVED" in complaint for complaint in page.complaints)


@pytest.mark.parametrize("path", ["/docs", "/health/live"])
def test_a_breach_of_the_policy_would_be_noticed(page: Page, service: Served, path: str) -> None:
    page.open(f"{service.api}{path}")
    page.wait("document.readyState === 'complete'")
    breaches = [
        "const made = document.createElement('script'); made.textContent = '1'; document.head.append(made)",
        "const made = document.createElement('script'); made.src = 'https://example.org/x'; document.head.append(made)",
        "document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">')",
        "new Image().src = 'https://example.org/x.png'",
        "try { eval('1') } catch {}",
    ]
    for breach in breaches:
        before = len(page.complaints)
        page.run(f"(() => {{ {breach} }})()")
        page.run("new Promise(done => setTimeout(done, 50))")
        assert any(each.startswith("Content Security Policy") for each in page.complaints[before:]), breach


def test_an_error_would_be_noticed(page: Page) -> None:
    page.run("console.error('planted')")
    page.run("setTimeout(() => missing(), 0)")
    page.run("new Promise(done => setTimeout(done, 50))")
    assert ["planted" in page.complaints[0], "ReferenceError" in page.complaints[1]] == [True, True]


def test_a_missing_browser_is_a_failure_with_a_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrowserError, match="the Debian package is called `chromium`"):
        find()
