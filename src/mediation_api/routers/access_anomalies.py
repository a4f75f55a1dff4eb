"""What was unusual about who opened what: for a director or an auditor to ask about."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.exceptions import RequestValidationError
from pydantic import Field

from mediation_api.domain.access import Role, allow
from mediation_api.domain.access_anomalies import ANOMALY_RULES, LONGEST_DAYS, Anomaly, AnomalyKind, Period
from mediation_api.domain.access_log import LoggedObject, Purpose
from mediation_api.http.dependencies import AccessAnomalies, CityPolicy, LoggedScope, Today
from mediation_api.http.fields import Day, Out, rule
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, ListQuery, Pages
from mediation_api.http.routes import Operation

router = APIRouter(prefix="/v1/access-anomalies", route_class=StrictRoute, tags=["access-log"])

_RULES: Final = "; ".join(f"`{rule.code}`: {rule.statement}" for rule in ANOMALY_RULES.rules)


class AnomalyListQuery(ListQuery):
    """Which days of the office's calendar, and what to look for."""

    since: Day | None = Field(None, description="The first day; without it, the seventh up to `until`.")
    until: Day | None = Field(None, description=f"The last day, at most {LONGEST_DAYS} in all; without it, today.")
    rule: AnomalyKind | None = Field(None, description=f"What this rule observed. {_RULES}.")


@dataclass(frozen=True, slots=True)
class AnomalyQuery:
    """The days that are looked at, and the rule whose observations are wanted; of all unless named."""

    period: Period
    rule: AnomalyKind | None


async def asked_for(wanted: Annotated[AnomalyListQuery, Query()], today: Today) -> AnomalyQuery:
    """What is asked for. Too many days, or none, is a 422."""
    period = Period.of(wanted.since, wanted.until, today)
    if not period.is_sound:
        text = f"A report looks at one to {LONGEST_DAYS} days, up to today unless `until` says otherwise."
        raise RequestValidationError([{"type": rule("period"), "loc": ("query", "since"), "msg": text}])
    return AnomalyQuery(period, wanted.rule)


class AccessAnomalyOut(Out):
    """What one rule observed of one person on one day. It says what was done, and nothing of why."""

    rule: str = Field(examples=["no_part"], description="What was observed.")
    rules_version: str = Field(examples=[ANOMALY_RULES.version])
    on: date = Field(description="The day, in the office's time zone.")
    by_role: Role
    by: str = Field(description="The subject of the token.")
    complaint_id: UUID | None = Field(description="What was opened; null where the rule looks at the whole day.")
    case_id: UUID | None = Field(description="Its newest case.")
    number: int = Field(description="How often; of `many_in_a_day` complaints, and of `closed_again` days.")
    usual: int = Field(description="Up to where the rule says nothing.")
    purposes: list[Purpose] = Field(description="What it was opened for, as the caller said.")

    @classmethod
    def of(cls, seen: Anomaly) -> "AccessAnomalyOut":
        """The answer of one observation."""
        return cls(
            rule=seen.rule,
            rules_version=ANOMALY_RULES.version,
            on=seen.on,
            by_role=seen.role,
            by=seen.by,
            complaint_id=seen.complaint_id,
            case_id=seen.case_id,
            number=seen.number,
            usual=seen.usual,
            purposes=list(seen.purposes),
        )


class AccessAnomalyList(ListOut[AccessAnomalyOut]):
    """One page of what was unusual, the newest day first."""


@router.get("", summary="Unusual readings")
@Operation(
    "listAccessAnomalies",
    access=allow(office=(Role.DIRECTOR, Role.AUDITOR)),
    scope="audit:read",
    opens=LoggedObject.LIST,
)
async def list_access_anomalies(
    asked: Annotated[AnomalyQuery, Depends(asked_for)],
    pages: Pages,
    scope: LoggedScope,
    unusual: AccessAnomalies,
    city: CityPolicy,
) -> AccessAnomalyList:
    """Who opened what they seem to have no part in, by a few rules. That this was looked at is written down as well.

    Pages of lists count for none, and whoever opened a mandatory report stands with the report alone.
    """
    page = await unusual.list(scope, asked.period, pages.request, rule=asked.rule, policy=city)
    return pages.response(AccessAnomalyList, page, AccessAnomalyOut.of)
