"""`mediation-api settings`, `access` and `events`: the generated pages of docs/."""

import typer

from mediation_api.domain.access import access_page
from mediation_api.domain.event_kinds import events_page
from mediation_api.settings import markdown_table


def settings() -> None:
    """Print the table of all settings (docs/settings.md)."""
    typer.echo(markdown_table(), nl=False)


def access() -> None:
    """Print the table of who may do what (docs/access.md)."""
    from mediation_api.main import OPERATIONS

    typer.echo(access_page(OPERATIONS), nl=False)


def events() -> None:
    """Print the table of the kinds of events, and who sees them (docs/events.md)."""
    typer.echo(events_page(), nl=False)
