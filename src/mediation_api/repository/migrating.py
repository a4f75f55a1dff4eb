"""How Alembic finds the migrations. What serves does not migrate, and does not load it."""

from alembic.config import Config

from mediation_api.repository.database import migrations_folder


def migrations_config() -> Config:
    """Return Alembic's configuration for `migrations_folder`. The caller adds the settings as attribute."""
    config = Config()
    # Alembic expands % in what it is given.
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
