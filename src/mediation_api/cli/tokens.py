"""`mediation-api token check`: whether a token of the identity provider is accepted, and why not."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import typer

from mediation_api.cli.output import fail, one_line_errors, say
from mediation_api.settings import settings_from_environment

if TYPE_CHECKING:
    from mediation_api.auth.identity_provider import KeysUnavailable
    from mediation_api.domain.access import Actor

_MAX_INPUT: Final = 65_536
_NO_CONNECTION: Final = "There is no connection from here; MEDIATION_TOKEN_JWKS_PROXY may name a proxy."
_NO_JWKS: Final = "What is there is no JWKS."
_HINTS: Final = {
    "ConnectError": _NO_CONNECTION,
    "ConnectTimeout": _NO_CONNECTION,
    "TimeoutError": _NO_CONNECTION,
    "ProxyError": "The proxy in MEDIATION_TOKEN_JWKS_PROXY refused.",
    "SSLCertVerificationError": "Name the authority of its certificate in MEDIATION_TOKEN_JWKS_CA_FILE.",
    "ValueError": _NO_JWKS,
    "JSONDecodeError": _NO_JWKS,
}
"""What may help, by why the keys could not be read."""

token = typer.Typer(help="Access tokens of the identity provider.", no_args_is_help=True)


@token.command("check")
def token_check() -> None:
    """Read a token from standard input, and say whether `serve` would accept it.

    Prints the role, the subject and the scopes, or which claim is wrong, what was expected and what was found. Exits
    with 0 if the token is accepted, 1 if it is refused, and 2 if that cannot be said.
    """
    from mediation_api.auth.identity_provider import KeysUnavailable
    from mediation_api.auth.tokens import TokenRefused, Verifier

    with one_line_errors():
        verifier, text = Verifier.of(settings_from_environment()), _standard_input()
        try:
            actor = asyncio.run(verifier.check(text, datetime.now(UTC)))
        except KeysUnavailable as unavailable:
            fail(why_unavailable(unavailable))
        except TokenRefused as refusal:
            say(f"Refused ({refusal.fault}): {refusal.words}.")
            raise typer.Exit(1) from None
        for line in _description(actor):
            say(line)


def why_unavailable(unavailable: "KeysUnavailable") -> str:
    """Return in words why the identity provider's keys could not be read, and what may help."""
    hint = _HINTS.get(unavailable.reason, "")
    return f"The keys at MEDIATION_TOKEN_JWKS could not be read: {unavailable.reason}. {hint}".rstrip()


def _standard_input() -> str:
    """Return the token: an argument would be seen by other users of the machine, and kept in the shell's history."""
    stream = typer.get_binary_stream("stdin")
    if stream.isatty():
        typer.echo("Paste the token, and end with Ctrl-D on a line of its own.", err=True)
    text = stream.read(_MAX_INPUT).decode("ascii", errors="replace").strip()
    return text.removeprefix("Bearer ").lstrip()


def _description(actor: "Actor") -> list[str]:
    from mediation_api.domain.access import TOKEN_SCOPES, Role

    is_integration = actor.role is Role.INTEGRATION
    scopes = ", ".join(sorted(actor.scopes or ())) or (
        "none, so nothing is allowed" if is_integration else "none, so all that the role allows"
    )
    lines = [
        "Accepted.",
        f"Role: {actor.role}",
        f"Subject: {actor.subject}",
        f"Employee number: {'none' if actor.employee_number is None else 'present'}",
        f"Scopes: {scopes}",
    ]
    unknown = sorted((actor.scopes or frozenset()) - TOKEN_SCOPES)
    if unknown:
        lines.append(f"Each request is refused (unknown-scope) for {', '.join(unknown)}, which does not exist.")
    return lines
