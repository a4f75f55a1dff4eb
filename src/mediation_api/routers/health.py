"""Health: whether the process lives, whether it can serve, and which version it is."""

from importlib.metadata import version as installed_version
from typing import Literal

from fastapi import APIRouter, Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from mediation_api.domain.access import EVERYBODY
from mediation_api.http.dependencies import Context, Scope
from mediation_api.http.fields import Out
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.problems import log_unavailable
from mediation_api.http.routes import Operation

router = APIRouter(prefix="/health", route_class=StrictRoute, tags=["health"])


class HealthOut(Out):
    """All is well; otherwise the answer is a problem document."""

    status: Literal["ok"]


class VersionOut(Out):
    """The version of the service."""

    version: str


@router.get("/live", summary="Is the process alive")
@Operation("live", access=EVERYBODY, scope=None, uses_database=False, always_answered=True)
async def get_live(_reached: Scope) -> HealthOut:
    """The process answers. Nothing else is looked at: a restart would mend nothing else."""
    return HealthOut(status="ok")


@router.get("/ready", summary="Can it serve")
@Operation("ready", access=EVERYBODY, scope=None, always_answered=True)
async def get_ready(service: Context, _reached: Scope, request: Request) -> HealthOut:
    """The database answers and its migrations are at head; otherwise 503."""
    try:
        can_serve = await service.database.ready()
    except (SQLAlchemyError, OSError) as away:
        log_unavailable(request, None, away)
        raise HTTPException(503) from None
    if not can_serve:
        log_unavailable(request, "schema-or-role")
        raise HTTPException(503)
    return HealthOut(status="ok")


@router.get("/version", summary="The version")
@Operation("version", access=EVERYBODY, scope=None, uses_database=False)
async def get_version(_reached: Scope) -> VersionOut:
    """The version of the service that answers."""
    return VersionOut(version=installed_version("mediation-api"))
