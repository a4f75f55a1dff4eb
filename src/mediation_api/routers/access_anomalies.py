"""Access anomalies: unusual reads in the access log, which a director or an auditor may ask about."""

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
from mediation_api.http.fields import Day, Open, OpenList, Out, parameter_broken
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut, ListQuery, Pages
from mediation_api.http.routes import Operation

router = APIRouter(prefix="/v1/access-anomalies", route_class=StrictRoute, tags=["access-log"])

_RULES: Final = "; ".join(f"`{rule.code}`: {rule.statement}" for rule in ANOMALY_RULES.rules)


class AnomalyListQuery(ListQuery):
    """The days to examine, in the office's time zone, and the rule to apply."""

    opened_on_from: Day | None = Field(None, description="The first day. Default: a week before `opened_on_before`.")
    opened_on_before: Day | None = Field(
        None, description=f"The day after the last. Default: tomorrow. At most {LONGEST_DAYS} days in all."
    )
    rule: AnomalyKind | None = Field(None, description=f"Only anomalies of this rule. Default: of all. {_RULES}.")


@dataclass(frozen=True, slots=True)
class AnomalyQuery:
    """A valid period, and the rule to apply; None for all rules."""

    period: Period
    rule: AnomalyKind | None


async def anomaly_query(query: Annotated[AnomalyListQuery, Query()], today: Today) -> AnomalyQuery:
    """Return the query with its defaults. Raises RequestValidationError if the period is empty or too long."""
    period = Period.of(query.opened_on_from, query.opened_on_before, today)
    if not period.is_sound:
        broken = parameter_broken(
            "period",
            "opened_on_from",
            "The period has 1 to {days} days and ends before `opened_on_before`, or today.",
            days=LONGEST_DAYS,
        )
        raise RequestValidationError([broken])
    return AnomalyQuery(period, query.rule)


class AccessAnomalyOut(Out):
    """What one rule observed about one person on one day. It states what was done, not why."""

    rule: Annotated[
        str, OpenList("AnomalyRule", tuple(rule.code for rule in ANOMALY_RULES.rules), "The rule that observed it.")
    ]
    rules_version: str = Field(
        examples=[ANOMALY_RULES.version], description="The edition of the rules that were applied."
    )
    opened_on: date = Field(description="The day, in the office's time zone.")
    by_role: Open[Role]
    by: str = Field(description="The subject of the token.")
    complaint_id: UUID | None = Field(description="The complaint that was opened; null for a rule about the whole day.")
    case_id: UUID | None = Field(description="The latest case of the complaint.")
    number: int = Field(description="How many reads; complaints for `many_in_a_day`, days for `closed_again`.")
    usual: int = Field(description="The number above which the rule reports.")
    purposes: Annotated[list[Open[Purpose]], Field(max_length=len(Purpose))] = Field(
        description="The purposes that the caller gave."
    )

    @classmethod
    def of(cls, anomaly: Anomaly) -> "AccessAnomalyOut":
        """Return the response about one anomaly."""
        return cls(
            rule=anomaly.rule,
            rules_version=ANOMALY_RULES.version,
            opened_on=anomaly.on,
            by_role=anomaly.role,
            by=anomaly.by,
            complaint_id=anomaly.complaint_id,
            case_id=anomaly.case_id,
            number=anomaly.number,
            usual=anomaly.usual,
            purposes=list(anomaly.purposes),
        )


class AccessAnomalyList(ListOut[AccessAnomalyOut]):
    """One page of access anomalies, the newest day first."""


@router.get("", summary="Access anomalies")
@Operation(
    "listAccessAnomalies",
    access=allow(office=(Role.DIRECTOR, Role.AUDITOR)),
    oauth_scope="audit:read",
    opens=LoggedObject.LIST,
    refusals=("period",),
    has_csv=True,
)
async def list_access_anomalies(
    query: Annotated[AnomalyQuery, Depends(anomaly_query)],
    pages: Pages,
    scope: LoggedScope,
    anomalies: AccessAnomalies,
    city: CityPolicy,
) -> AccessAnomalyList:
    """List unusual reads in the access log, according to a few rules. Reading this list is logged as well.

    Pages of lists are not counted. Reads of mandatory reports are not included; each report has its own access log.
    """
    page = await anomalies.list(scope, query.period, pages.request, rule=query.rule, policy=city)
    return pages.response(AccessAnomalyList, page, AccessAnomalyOut.of)
