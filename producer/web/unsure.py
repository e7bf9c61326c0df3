"""Says in the answer to an act that the disk of the state store may not have it."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from producer.web.pages.changed import UNSURE
from shared.runtime.unsure_acts import PERHAPS_NOT_ON_DISK, told_to

#: The header of such an answer; its text is the sentence in English.
HEADER: Final = "Mailhaul-Unsure"


class ActsTold:
    """ASGI middleware that tells of acts which the disk may not have.

    The page reads it from the request (`producer.web.pages.changed`), a program from the header.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, and completes its answer."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        unsure = scope[UNSURE] = list[bool]()

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and unsure:
                MutableHeaders(scope=message)[HEADER] = PERHAPS_NOT_ON_DISK.says()
            await send(message)

        with told_to(lambda: unsure.append(True)):
            await self._app(scope, receive, told)
