"""The addresses that responses name.

The service does not know under which host and path a proxy publishes it: a city says so with the setting `public_url`,
such as `https://city.example/mediation`. The type of a problem is a URL under it. `Location` and `Link` are relative
references that begin with its path (RFC 3986 §4.2), so they lead to the same host as the request did.
"""

from urllib.parse import urlsplit

from fastapi import FastAPI, Request


def publish(app: FastAPI, public_url: str) -> None:
    """Set where the addresses in the responses of an application lie: a URL without a slash at its end, or nothing."""
    app.state.public_url = public_url
    app.state.public_path = urlsplit(public_url).path


def problem_type(request: Request, code: str) -> str:
    """Return the `type` of a problem: the address of the page about it."""
    return f"{request.app.state.public_url}/problems/{code}"


def public_reference(request: Request, path: str) -> str:
    """Return the reference to a path of the service, as it is seen from outside."""
    return f"{request.app.state.public_path}{path}"
