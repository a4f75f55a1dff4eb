"""The service with a clock that is wrong by as many seconds as the file CLOCK_OFFSET says."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi import FastAPI

from mediation_api.main import create_app
from mediation_api.settings import settings_from_environment


def application() -> FastAPI:
    """Create the application."""
    offset = Path(os.environ["CLOCK_OFFSET"])

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=int(offset.read_text(encoding="utf-8")))

    return create_app(settings_from_environment(), clock=clock)
