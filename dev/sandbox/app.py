"""The sandbox's HTTP service: it passes each request through the same steps to its handler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from dev.sandbox import (
    audit_logs,
    bi,
    ci,
    contract,
    data_diffs,
    data_sources,
    explore,
    monitors,
    seen,
)
from dev.sandbox.contract import Operation
from dev.sandbox.disturbance import Disturbance
from dev.sandbox.journal import Change, Request as Seen
from dev.sandbox.pages import create_pages
from dev.sandbox.router import Later, Map, Route, Router
from dev.sandbox.state import State
from dev.sandbox.validation import Validation

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_SECTIONS = (bi, data_diffs, monitors, ci, data_sources, explore, audit_logs, seen)


def routes() -> dict[Operation, Route]:
    routers: list[Router] = [section.router for section in _SECTIONS]
    return {operation: router[operation] for router in routers for operation in router}


class Service:
    def __init__(self, api_key: str, state: State, disturbance: Disturbance) -> None:
        self._authorization = f"Key {api_key}"
        self._state = state
        self._disturbance = disturbance
        self._routes = routes()
        self._map = Map(self._routes)
        self._validations = {operation: Validation(operation) for operation in self._routes}

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        path = request.scope["raw_path"].decode("latin-1")
        delay = self._disturbance.delay(request.method, path, body)
        if not await _stays(request, delay.before):
            return Response(status_code=499)
        response = await self._serve(request, path, body)
        await _stays(request, delay.after)
        return response

    async def _serve(self, request: Request, path: str, body: bytes) -> Response:
        with self._state.lock:
            made = _made(lambda: self._answer(request, path, body))
        response = made if isinstance(made, Response) else await asyncio.to_thread(_made, made.work)
        with self._state.lock:
            self._state.requests.append(
                Seen(
                    method=request.method,
                    path=path,
                    headers=dict(request.headers),
                    body=body,
                    status=response.status_code,
                    query=request.url.query,
                    port=request.client.port if request.client else 0,
                )
            )
        return response

    def _answer(self, request: Request, path: str, body: bytes) -> Any:
        if refusal := self._disturbance.refusal():
            raise HTTPException(refusal, "Not now", {"Retry-After": "1"})
        found = self._map.find(request.method, path)
        if found is None:
            raise HTTPException(404, "Not Found")
        operation, values = found
        if request.headers.get("Authorization") != self._authorization:
            raise HTTPException(401, "Not authenticated")
        media_type = request.headers.get("Content-Type", "")
        validation = self._validations[operation]
        arguments = validation.arguments(values, request.query_params, body, media_type)
        route = self._routes[operation]
        answer = route.run(vars(self._state), arguments)
        if route.changes:
            self._note(operation, route, path, arguments, answer)
        return answer

    def _note(
        self, operation: Operation, route: Route, path: str, arguments: dict[str, Any], answer: Any
    ) -> None:
        section = route.handler.__module__.rpartition(".")[2]
        in_path = [value for name, value in arguments.items() if f"{{{name}}}" in operation.path]
        created = answer.get("id") if isinstance(answer, dict) else None
        number = in_path[0] if in_path else created
        action = route.handler.__name__
        self._state.changes.append(Change(section, action, number, operation.method, path))


def _made(make: Callable[[], Any]) -> Any:
    """Return a response, or what is going to make it."""
    try:
        answer = make()
    except HTTPException as error:
        return JSONResponse({"detail": error.detail}, error.status_code, error.headers)
    return answer if isinstance(answer, (Response, Later)) else JSONResponse(answer)


async def _stays(request: Request, seconds: float) -> bool:
    """Wait, and return whether the caller is still connected. A disconnect ends the wait."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while (left := deadline - loop.time()) > 0:
        if await request.is_disconnected():
            return False
        await asyncio.sleep(min(left, 0.1))
    return True


def create_app(api_key: str, state: State, disturbance: Disturbance) -> FastAPI:
    app = FastAPI(title="Sandbox of Datafold's API")
    # Serve the contract, not the document that FastAPI would generate.
    app.openapi = contract.document  # type: ignore[method-assign]
    # A page in a browser could let its own name lead to this address.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    service = Service(api_key, state, disturbance)
    app.add_route("/api/{rest:path}", service.answer, methods=_METHODS)
    app.include_router(create_pages(state))
    return app
