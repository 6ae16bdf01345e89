"""The sandbox's HTTP API, as Datafold's contract describes it."""

from __future__ import annotations

import html
import random
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import APIKeyHeader
from pydantic import BaseModel

from sandbox import state as states

_AUTHORIZATION = APIKeyHeader(name="Authorization", auto_error=False)


class Binding(BaseModel):
    """The contract's ``DataSourceBinding``."""

    remoteId: str  # noqa: N815 - the contract's name
    boundIds: list[int]  # noqa: N815 - the contract's name


class HightouchConfig(BaseModel):
    """The contract's ``HighTouchDataSourceConfig``."""

    token: str
    bindings: list[Binding]
    indexing_cron: str | None = None
    name: str | None = None
    workspace: str | None = None


class Weather:
    """How well the service is today.

    :param flaky: share of calls, from 0 to 1, that are answered with 429 or 503 at random.
    :param rate: calls a second that are let through, the rest is answered with 429; 0 for no
        limit.
    :param seed: seed of the random numbers, so that a run can be repeated.
    """

    def __init__(self, flaky: float = 0.0, rate: float = 0.0, seed: int = 0) -> None:
        self._flaky = flaky
        self._rate = rate
        self._random = random.Random(seed)  # noqa: S311 - nothing secret
        # One at least, or a rate below one would let nothing through.
        self._most = self._tokens = max(1.0, rate)
        self._seen = time.monotonic()

    def refusal(self) -> int | None:
        """Say what to answer to the next call: a status, or ``None`` to let it through."""
        if self._rate:
            now = time.monotonic()
            self._tokens = min(self._most, self._tokens + (now - self._seen) * self._rate)
            self._seen = now
            if self._tokens < 1:
                return 429
            self._tokens -= 1
        if self._random.random() < self._flaky:
            return self._random.choice((429, 503))
        return None


def create_app(api_key: str, state: states.State, weather: Weather) -> FastAPI:
    """Make the service.

    :param api_key: the key that callers have to know.
    :param state: what the service works on.
    :param weather: how well the service is.
    :return: an ASGI application.
    """

    def authenticate(authorization: Annotated[str | None, Depends(_AUTHORIZATION)]) -> None:
        if authorization != f"Key {api_key}":
            raise HTTPException(401, "Not authenticated")

    def integration(bi_datasource_id: int) -> dict[str, Any]:
        if bi_datasource_id not in state.integrations:
            raise HTTPException(404, "Integration not found")
        return state.integrations[bi_datasource_id]

    app = FastAPI(title="Sandbox of Datafold's BI API", description=states.ASSUMPTION)
    guarded = [Depends(authenticate)]

    @app.middleware("http")
    async def record(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        if not request.url.path.startswith("/api/"):
            return await call_next(request)
        body = await request.body()
        response: Response
        if refusal := weather.refusal():
            response = JSONResponse(
                {"detail": "Not now"}, status_code=refusal, headers={"Retry-After": "1"}
            )
        else:
            response = await call_next(request)
        with state.lock:
            state.requests.append(
                states.Request(
                    method=request.method,
                    path=request.url.path,
                    headers=dict(request.headers),
                    body=body,
                    status=response.status_code,
                )
            )
        return response

    @app.get("/api/v1/lineage/bi/", dependencies=guarded)
    def list_integrations() -> list[dict[str, Any]]:
        return list(state.integrations.values())

    @app.get("/api/v1/lineage/bi/{bi_datasource_id}/", dependencies=guarded)
    def get_integration(bi_datasource_id: int) -> dict[str, Any]:
        return integration(bi_datasource_id)

    @app.put("/api/v1/lineage/bi/hightouch/{bi_datasource_id}/", dependencies=guarded)
    def update_hightouch(bi_datasource_id: int, config: HightouchConfig) -> dict[str, Any]:
        updated = integration(bi_datasource_id)
        with state.lock:
            # "It can only update the schedule."
            updated["indexing_cron"] = config.indexing_cron
        return updated

    @app.get("/sandbox/requests")
    def list_requests() -> list[dict[str, Any]]:
        """Show the calls so far, without what was in them."""
        with state.lock:
            return [
                {"method": seen.method, "path": seen.path, "status": seen.status}
                for seen in state.requests
            ]

    @app.get("/settings/integrations", response_class=HTMLResponse)
    def show_integrations() -> str:
        """Show to people what there is; the provider's link leads here."""
        integrations = list(state.integrations.values())
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(cell))}" for cell in integration.values())
            for integration in integrations
        )
        heads = "".join(f"<th>{html.escape(field)}" for field in next(iter(integrations), {}))
        return f"<!doctype html><title>Integrations</title><table><tr>{heads}{rows}</table>"

    return app
