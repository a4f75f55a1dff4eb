"""Fixtures of the tests of commands; most are of `mediation-api audit`."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.promises.production import free_port

from mediation_api.settings import Settings


@pytest.fixture(autouse=True)
def _port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A free port for `serve`, which ends at a port that is taken: 8000 is, while `make run` runs."""
    monkeypatch.setenv("MEDIATION_PORT", str(free_port()))


@pytest.fixture
def owned(committed: Settings, as_owner: Callable[[Settings], Settings]) -> Settings:
    """The same database as its owner."""
    return as_owner(committed)


@pytest.fixture
def environment(committed: Settings, keys: Path) -> Mapping[str, str]:
    """What an operator has set: the service's own, who may read every event."""
    return {
        "MEDIATION_ENVIRONMENT": "dev",
        "MEDIATION_DATA_DIRECTORY": str(keys),
        "MEDIATION_DATABASE_URL": committed.database_url.get_secret_value(),
        "MEDIATION_ACCESS_CODE_SECRET": committed.access_code_secret.get_secret_value(),
        "MEDIATION_CURSOR_SECRET": committed.cursor_secret.get_secret_value(),
        "MEDIATION_SEARCH_SECRET": committed.search_secret.get_secret_value(),
        "MEDIATION_ENCRYPTION_KEYS": committed.encryption_keys.get_secret_value(),
    }
