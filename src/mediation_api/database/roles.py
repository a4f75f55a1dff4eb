"""Create the service's database roles (migrations/roles.sql)."""

from typing import Final

from pydantic import SecretStr

from mediation_api.database.engine import create_engine
from mediation_api.database.schema import migrations_folder
from mediation_api.settings import Settings

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
