"""Health: liveness, readiness and version."""

import asyncio
from importlib.metadata import version as installed_version
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import Field
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
    """The check succeeded. A failure is a problem document."""

    status: Literal["ok"] = Field(description="Always `ok`.")


class VersionOut(Out):
    """The version of the service."""

    version: str = Field(description="The version of the service.")


@router.get("/live", summary="Liveness")
@Operation("getLiveness", access=EVERYBODY, oauth_scope=None, uses_database=False, always_answered=True)
async def get_liveness(_scope: Scope) -> HealthOut:
    """Return 200 if the process responds. Nothing else is checked, since a restart would fix nothing else."""
    return HealthOut(status="ok")


@router.get("/ready", summary="Readiness")
@Operation("getReadinessOfService", access=EVERYBODY, oauth_scope=None, always_answered=True)
async def get_readiness_of_service(service: Context, _scope: Scope, request: Request) -> HealthOut:
    """Return 200 if the service can answer requests; otherwise 503.

    The database is reachable, its role safe, its migrations complete; the identity provider's keys could be read.
    """
    try:
        # Together, since each waits for another machine.
        has_keys, can_serve = await asyncio.gather(service.verifier.has_keys(), service.database.ready())
    except (SQLAlchemyError, OSError) as error:
        log_unavailable(request, None, error)
        raise HTTPException(503) from None
    if not can_serve:
        log_unavailable(request, "schema-role-or-secrets")
        raise HTTPException(503)
    if not has_keys:
        log_unavailable(request, "identity-provider")
        raise HTTPException(503)
    return HealthOut(status="ok")


@router.get("/version", summary="Version")
@Operation("getVersion", access=EVERYBODY, oauth_scope=None, uses_database=False)
async def get_version(_scope: Scope) -> VersionOut:
    """Return the version of the service."""
    return VersionOut(version=installed_version("mediation-api"))
