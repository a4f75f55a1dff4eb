"""Imports: many complaints that an integration uploads at once, one a line.

Each line is filed as a single complaint is, by the same rules, and has the integration's own reference. A line whose
reference was filed before is already there: an upload that was interrupted is sent again, and nothing is filed twice.
"""

from dataclasses import dataclass
from typing import Final

from mediation_api.domain.errors import StateConflict
from mediation_api.domain.values import ImportState

MOST_LINES: Final = 100_000
"""How many lines an upload may have, empty ones included."""
BATCH_LINES: Final = 200
"""How many lines are filed in one transaction."""
BATCH_BYTES: Final = 1_048_576
"""The bytes after which a batch ends, however few lines it has: they are in memory at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """An import whose row is locked."""

    state: ImportState

    def require_running(self) -> None:
        """Raise StateConflict if it has finished, or was cancelled before: nothing is left to stop."""
        if self.state is not ImportState.RUNNING:
            raise StateConflict


def rest_seconds(took: float, share_percent: int) -> float:
    """Return how long to rest after work that took so many seconds, so that it fills this share of the time."""
    return took * (100 - share_percent) / share_percent
