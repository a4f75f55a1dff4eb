"""The service without what keeps connections for withdrawals: the control of starvation.py.

Withdrawals come from the parties' pool, a caller may hold all of it, and a statement may run longer than others wait.
"""

from dataclasses import replace

from fastapi import FastAPI

from mediation_api.database.engine import Database, create_engine
from mediation_api.main import app_from_environment
from mediation_api.settings import settings_from_environment


def app() -> FastAPI:
    """Make the application."""
    settings = settings_from_environment()
    made = app_from_environment()
    parties = create_engine(settings, pool_size=settings.party_pool_size)
    made.state.service = replace(made.state.service, database=Database(create_engine(settings), parties))
    return made
