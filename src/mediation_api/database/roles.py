"""Create the service's database roles (migrations/roles.sql), and check that the service connects as a safe one."""

from typing import Final

from pydantic import SecretStr

from mediation_api.database.engine import create_engine, migrations_folder
from mediation_api.database.row_security import privilege_problem
from mediation_api.settings import Settings, SettingsError

SERVICE: Final = "mediation_service"
"""The role of the service. It connects as this role, or as a login that is a member of it."""
PARTY: Final = "mediation_party"
"""The role that the service sets to read on behalf of a party (database/row_security.py)."""


def roles_sql() -> str:
    """Return the SQL that creates the roles, for an administrator. It may be run again."""
    return (migrations_folder() / "roles.sql").read_text(encoding="utf-8")


async def make_roles(settings: Settings, administrator_url: str) -> None:
    """Create the roles on the server of `administrator_url`, unless they exist.

    Raises:
        sqlalchemy.exc.DBAPIError: the user of the URL may not create roles.
    """
    engine = create_engine(settings.model_copy(update={"database_url": SecretStr(administrator_url)}))
    try:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(roles_sql())
    finally:
        await engine.dispose()


async def require_safe_role(settings: Settings) -> None:
    """Check that row security is enforced on the role of the database URL.

    Raises:
        SettingsError: it is not, or the role cannot become `mediation_party`.
        sqlalchemy.exc.SQLAlchemyError: the database does not answer.
        OSError: the connection was refused.
    """
    engine = create_engine(settings)
    try:
        async with engine.connect() as connection:
            problem = await privilege_problem(connection)
    finally:
        await engine.dispose()
    if problem is not None:
        raise SettingsError(
            f"MEDIATION_DATABASE_URL: {problem}; connect as {SERVICE}, which the SQL of `mediation-api roles` creates"
        )
