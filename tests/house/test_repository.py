"""What is in the repository may be read by anybody, and works anywhere."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Put together here, so that this file does not hold what it looks for.
FORBIDDEN = {
    "the host of a package registry": r"pypi\." + r"org|registry\." + r"npmjs|python" + r"hosted\.org",
    "a path of one machine": r"(?<![\w.~-])/(root|work|Users)" + r"/\w|/home/(?!user\b)\w+" + r"/",
    "a private key": "-----BEGIN [A-Z ]*PRIVATE" + " KEY-----",
    "a token": r"\beyJ" + r"[\w-]{20,}\.[\w-]{20,}\.[\w-]{20,}",
    "an access key": r"\b(AKIA|ghp_|github_pat_|glpat-|sk-)" + r"[A-Za-z0-9_]{16,}",
}


def _files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - whichever git there is
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a checkout: nothing says what belongs to the repository")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.mark.parametrize("pattern", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_no_file_holds(pattern: str) -> None:
    found = []
    for path in _files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in re.finditer(pattern, text)]

    assert found == []


def test_the_lint_exceptions_of_the_service_say_why() -> None:
    bare = re.compile("# (noqa: [A-Z0-9, ]+|type: ignore" + r"(\[[\w, -]+\])?|pragma: no cover)$", re.MULTILINE)
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in _files()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in {"src", "migrations"}
        for match in bare.finditer(path.read_text(encoding="utf-8"))
    ]

    assert found == [], "say why behind each, as in `# noqa: S101 # reason`"
