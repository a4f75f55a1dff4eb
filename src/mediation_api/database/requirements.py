"""What `serve` requires of the database at its start. `mediation-api check` prints a line for each of these."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database.canaries import record_canaries, secrets_problem
from mediation_api.database.engine import create_engine
from mediation_api.database.key_rotation import keys_problem
from mediation_api.database.row_security import role_problem
from mediation_api.database.schema import schema_problem
from mediation_api.settings import Environment, Settings, SettingsError

Requirement: TypeAlias = Callable[[AsyncConnection], Awaitable[str | None]]
"""Returns what is wrong, as a text for operators; None if nothing is."""

ROLE: Final = "role"
REQUIREMENTS: Final[Mapping[str, Requirement]] = {
    ROLE: role_problem,
    "schema": schema_problem,
    "encryption keys": keys_problem,
    "secrets": secrets_problem,
}


async def require_usable(settings: Settings) -> None:
    """Check all of the requirements; that of the role not in development. Stores the canaries of new secrets.

    Raises:
        SettingsError: one of them is not met.
        sqlalchemy.exc.SQLAlchemyError: the database does not answer.
        OSError: the connection was refused.
    """
    engine = create_engine(settings).execution_options(isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            for name, problem_of in REQUIREMENTS.items():
                if name == ROLE and settings.environment is Environment.DEV:
                    continue
                if problem_of is secrets_problem:
                    await record_canaries(connection)  # before they are compared, by whichever process was first
                problem = await problem_of(connection)
                if problem is not None:
                    raise SettingsError(problem)
    finally:
        await engine.dispose()
