"""What is on its way out: one entry for each operation, from which the contract and the headers of its answers follow.

Source: RFC 9745 (Deprecation), RFC 8594 (Sunset); the policy is in openapi/CHANGELOG.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from types import MappingProxyType
from typing import Final, TypeAlias

NOTICE: Final = timedelta(days=184)
"""Six months, whichever they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deprecation:
    """An operation that goes. `told_at` is where it is announced, and what replaces it."""

    since: date
    sunset: date
    told_at: str

    def __post_init__(self) -> None:
        """Raise ValueError: that is too soon for those who have built on it."""
        if self.sunset < self.since + NOTICE:
            raise ValueError("an operation is served for six months after it was deprecated, at least")

    def headers(self) -> dict[str, str]:
        """What each answer of the operation says."""
        return {
            "Deprecation": f"@{int(_begin(self.since).timestamp())}",
            "Sunset": format_datetime(_begin(self.sunset), usegmt=True),
            "Link": f'<{self.told_at}>; rel="deprecation"',
        }


Deprecations: TypeAlias = Mapping[str, Deprecation]

DEPRECATED: Final[Deprecations] = MappingProxyType({})
"""By the name of the route's function. Nothing is deprecated; an entry stays until the operation has gone."""


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
