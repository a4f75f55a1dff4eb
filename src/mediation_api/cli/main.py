"""The command line `mediation-api`: one module for each group of commands.

Commands import their dependencies when they run, so that printing a token does not load the server.
"""

import gc
from importlib.metadata import version as installed_version
from importlib.util import find_spec

import typer

from mediation_api.cli import check, data, database, documents, imports, serve, worker
from mediation_api.cli.audit import audit
from mediation_api.cli.keys import keys
from mediation_api.cli.output import say
from mediation_api.cli.tokens import token
from mediation_api.logs import configure

app = typer.Typer(
    name="mediation-api",
    help="Mediation of complaints about police officers, as a REST service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Run the command line."""
    configure()
    gc.set_threshold(serve.OBJECTS_PER_COLLECTION)
    app()


def version() -> None:
    """Print the version."""
    say(installed_version("mediation-api"))


app.command()(check.check)
app.command()(serve.serve)
app.command()(worker.worker)
app.command()(database.migrate)
app.command()(database.roles)
app.command()(data.retention)
app.command("import")(imports.import_complaints)
app.add_typer(audit, name="audit")
app.add_typer(keys, name="keys")
app.add_typer(token, name="token")
app.command()(documents.settings)
app.command()(documents.access)
app.command()(documents.events)
app.command()(version)
if find_spec("mediation_api.dev"):  # in a checkout; a wheel does not contain the development commands
    from mediation_api.cli import dev

    for command in (dev.dev, dev.seed, dev.openapi):
        app.command()(command)
    token.callback(invoke_without_command=True)(dev.token)
