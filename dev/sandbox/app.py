"""The sandbox's HTTP API, as Datafold's contract describes it."""

from __future__ import annotations

import html
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any, Literal, get_args

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, SecretStr

from dev.sandbox import state as states

_AUTHORIZATION = APIKeyHeader(name="Authorization", auto_error=False)


class Binding(BaseModel):
    """The contract's ``DataSourceBinding``."""

    remoteId: str  # noqa: N815 - the contract's name
    boundIds: list[int]  # noqa: N815 - the contract's name


class Config(BaseModel):
    """What the configurations of all kinds have."""

    indexing_cron: str | None = None
    name: str | None = None


class HightouchConfig(Config):
    """The contract's ``HighTouchDataSourceConfig``."""

    token: SecretStr
    bindings: list[Binding]
    workspace: str | None = None


class LookerConfig(Config):
    """The contract's ``LookerDataSourceConfig``."""

    base_url: str
    client_id: str
    client_secret: SecretStr
    repo_id: int
    project_ids: list[str] = []
    bindings: list[Binding] = []


class ModeConfig(Config):
    """The contract's ``ModeDataSourceConfig``."""

    token: SecretStr
    password: SecretStr
    workspace: str = ""


class TableauConfig(Config):
    """The contract's ``TableauDataSourceConfig``."""

    server_url: str
    site_id: str
    token_name: str
    token_value: SecretStr


class PowerBIConfig(Config):
    """The contract's ``PowerBIDataSourceConfig``."""

    auth_type: Literal["delegated", "service_principal"] | None = None
    tenant_id: str | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None


class DbtConfig(Config):
    """The contract's ``DbtDataSourceConfig``."""

    ci_config_id: int


_CONFIGS: dict[str, type[Config]] = {
    "hightouch": HightouchConfig,
    "looker": LookerConfig,
    "mode": ModeConfig,
    "tableau": TableauConfig,
    "powerbi": PowerBIConfig,
    "dbt": DbtConfig,
}
_ONLY_SCHEDULE = {"hightouch", "looker", "mode", "tableau"}
"""The kinds of which the contract says that an update "can only update the schedule"."""


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


def public(config: Config) -> dict[str, Any]:
    """Give a configuration without its secrets.

    :param config: what was sent.
    :return: its other fields.
    """
    secrets = {
        name
        for name, field in type(config).model_fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    }
    return config.model_dump(exclude=secrets)


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

    def note(action: str, integration: dict[str, Any]) -> None:
        with state.lock:
            state.audit.append(
                states.Entry(action, integration["id"], integration["indexing_cron"])
            )

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

    @app.get("/api/v1/lineage/bi/{bi_datasource_id}/sync/", dependencies=guarded)
    def sync_integration(bi_datasource_id: int) -> None:
        note("sync", integration(bi_datasource_id))

    # Some versions of FastAPI take `-> None` for a body, which a 204 may not have.
    @app.delete(
        "/api/v1/lineage/bi/{bi_datasource_id}/",
        dependencies=guarded,
        status_code=204,
        response_model=None,
    )
    def delete_integration(bi_datasource_id: int) -> None:
        note("delete", integration(bi_datasource_id))
        del state.integrations[bi_datasource_id]

    def add_kind(kind: str, config_type: type[Config]) -> None:
        """Serve the two operations of a kind."""

        def create(config: Config) -> dict[str, Any]:
            with state.lock:
                number = max(state.integrations, default=0) + 1
                created = {"id": number, "type": kind, **public(config)}
                state.integrations[number] = created
            note("create", created)
            return created

        def update(bi_datasource_id: int, config: Config) -> dict[str, Any]:
            updated = integration(bi_datasource_id)
            if updated["type"] != kind:
                raise HTTPException(404, "Integration not found")
            changes = public(config)
            if kind in _ONLY_SCHEDULE:
                changes = {"indexing_cron": changes["indexing_cron"]}
            with state.lock:
                updated.update(changes)
            note("update", updated)
            return updated

        path = f"/api/v1/lineage/bi/{kind}/"
        for call in (create, update):
            call.__annotations__["config"] = config_type
            call.__name__ += f"_{kind}"
        app.post(path, dependencies=guarded)(create)
        app.put(path + "{bi_datasource_id}/", dependencies=guarded)(update)

    for kind, config_type in _CONFIGS.items():
        add_kind(kind, config_type)

    @app.get("/sandbox/audit")
    def show_audit() -> list[dict[str, Any]]:
        """Show what was changed or set going so far, as Datafold's audit log would."""
        with state.lock:
            return [asdict(entry) for entry in state.audit]

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
        columns = ("id", "type", "name", "indexing_cron")
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(shown.get(name)))}" for name in columns)
            for shown in integrations
        )
        heads = "".join(f"<th>{name}" for name in columns)
        return f"<!doctype html><title>Integrations</title><table><tr>{heads}{rows}</table>"

    return app
