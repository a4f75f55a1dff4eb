"""Nothing but auth/tokens.py verifies a token, and it does so in one place (docs/threat-model.md)."""

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
# keys.py prepares keys (jose.jwk), tokens.py signs and verifies (jose.jws). The rest knows nothing of python-jose.
ALLOWED = {
    "mediation_api/auth/identity_provider.py": {"jose.jwk", "jose.backends.base.Key"},
    "mediation_api/auth/tokens.py": {"jose.jws"},
}


def imported_from_jose(source: str) -> set[str]:
    """Every name of python-jose that a module gets hold of, at whatever depth, and calls by name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names):
                found |= {name.name for name in names if name.name.split(".")[0] == "jose"}
            case ast.ImportFrom(module=str(module), names=names) if module.split(".")[0] == "jose":
                found |= {f"{module}.{name.name}" for name in names}
            case _:
                continue
    return found


def verifications(source: str) -> int:
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return sum(
        ast.unparse(call) in {"jws.verify", "jwt.decode", "jose.jws.verify", "jose.jwt.decode"} for call in calls
    )


def test_python_jose_is_known_to_two_files_and_its_decoder_to_none() -> None:
    found = {}
    for path in sorted(SRC.rglob("*.py")):
        names = imported_from_jose(path.read_text())
        if names:
            found[path.relative_to(SRC).as_posix()] = names
    assert found == ALLOWED


def test_a_signature_is_verified_in_one_place_only() -> None:
    found = {
        path.relative_to(SRC).as_posix(): count
        for path in SRC.rglob("*.py")
        if (count := verifications(path.read_text()))
    }
    assert found == {"mediation_api/auth/tokens.py": 1}


@pytest.mark.parametrize(
    "source",
    [
        "from jose import jwt\njwt.decode(t, k)",
        "import jose.jwt\njose.jwt.decode(t, k)",
        "def f():\n    from jose import jwt as other\n    return other.decode(t, k)",
        "from jose.jwt import decode\ndecode(t, k)",
        "import jose\njose.jwt.decode(t, k)",
        "from jose import *",
    ],
)
def test_this_guard_sees_a_second_door(source: str) -> None:
    assert imported_from_jose(source)


def test_no_other_library_for_tokens_is_about() -> None:
    for path in SRC.rglob("*.py"):
        roots = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert not roots & {"jwt", "authlib", "joserfc", "jwcrypto", "ecdsa", "rsa"}, path
