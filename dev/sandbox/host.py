"""Refuse requests for other hosts, which a foreign page in a browser could send."""

from __future__ import annotations

import re

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?", re.IGNORECASE)


class LoopbackOnly:
    """Serves requests that name the loopback address as their host.

    The sandbox listens on that address only, but a page could let its own name lead to it, and
    then read everything that needs no key.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if _LOOPBACK.fullmatch(Headers(scope=scope).get("host", "")):
            await self._app(scope, receive, send)
        else:
            detail = "The sandbox serves requests for localhost and 127.0.0.1 only"
            await JSONResponse({"detail": detail}, 421)(scope, receive, send)
