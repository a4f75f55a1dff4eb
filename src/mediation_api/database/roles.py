"""The roles of the server that the service needs (migrations/roles.sql), and whether it connects as a safe one."""

from typing import Final

from pydantic import SecretStr

from mediation_api.database.engine import create_engine, migrations_folder
from mediation_api.database.row_security import privilege_problem
from mediation_api.settings import Settings, SettingsError

SERVICE: Final = "mediation_service"
"""What the service connects as, itself or through a login that is a member of it."""
PARTY: Final = "mediation_party"
"""What the service becomes to read what a party is shown."""


def roles_sql() -> str:
    """The SQL that makes the roles, for an administrator. Running it again changes nothing."""
    return (migrations_folder() / "roles.sql").read_text(encoding="utf-8")


async def make_roles(settings: Settings, administrator_url: str) -> None:
    """Make the roles on the server of an administrator's address, unless they exist.

    Raises:
        sqlalchemy.exc.DBAPIError: the address is not an administrator's.
    """
    engine = create_engine(settings.model_copy(update={"database_url": SecretStr(administrator_url)}))
    try:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(roles_sql())
    finally:
        await engine.dispose()


async def require_safe_role(settings: Settings) -> None:
    """Hold the role of the settings' address against what the second wall needs.

    Raises:
        SettingsError: it is none to serve as.
        sqlalchemy.exc.SQLAlchemyError: the database does not answer.
        OSError: nothing listens there.
    """
    engine = create_engine(settings)
    try:
        async with engine.connect() as connection:
            problem = await privilege_problem(connection)
    finally:
        await engine.dispose()
    if problem is not None:
        raise SettingsError(f"MEDIATION_DATABASE_URL: {problem}: serve as {SERVICE} (`mediation-api roles` makes it)")
