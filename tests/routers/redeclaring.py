"""Changing what an operation declares, for a test that shows what the declaration does."""

from dataclasses import replace
from typing import Any

import pytest
from fastapi.routing import APIRoute

from mediation_api.http.routes import declared
from mediation_api.main import ROUTES


def redeclare(operation: str, patch: pytest.MonkeyPatch, **changes: Any) -> None:  # noqa: ANN401 - any of its fields
    """Let the route of an operation declare something else."""
    attributes = _attributes(operation)
    patch.setitem(attributes, "operation", replace(attributes["operation"], **changes))


def undeclare(operation: str, patch: pytest.MonkeyPatch) -> None:
    """Let the route of an operation declare nothing."""
    patch.delitem(_attributes(operation), "operation")


def _attributes(operation: str) -> dict[str, Any]:
    """The attributes of the function of an operation's route."""
    endpoints = (route.endpoint for route in ROUTES if isinstance(route, APIRoute))
    (found,) = (each for each in endpoints if (row := declared(each)) is not None and row.id == operation)
    return found.__dict__
