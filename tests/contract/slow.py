"""The application, with a pause between the commit and the answer: who kills it then, kills it at the worst moment."""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mediation_api.main import app_from_environment

SECONDS: Final = 0.5


class Slow:
    """Keeps each answer back for a moment."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""

        async def later(message: Message) -> None:
            if message["type"] == "http.response.start":
                await asyncio.sleep(SECONDS)
            await send(message)

        await self.app(scope, receive, later)


def application() -> ASGIApp:
    """Make the application of the environment's settings, and slow it down."""
    return Slow(app_from_environment())
