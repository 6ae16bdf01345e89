"""Airflow's plugin for the page. Each of Airflow's processes imports it, so it loads nothing."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowPlugin, conf

from airflow_provider_datafold import __version__

PREFIX = "/datafold"
IS_ON = bool(conf.getboolean("datafold", "page", fallback=False))


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request. Only the API server gets any, so only it loads the app."""
    from airflow_provider_datafold.page import endpoint

    await endpoint.app(scope, receive, send)


def _react_app(destination: str) -> dict[str, Any]:
    # Airflow 3.1 and 3.2 would look for a path without a slash beside their own scripts.
    path = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
    return {
        "name": "Datafold",
        "bundle_url": f"{path}{PREFIX}/page.js?{__version__}",
        "destination": destination,
        # No two may have the same.
        "url_route": f"datafold-{destination.replace('_', '-')}",
    }


class DatafoldPlugin(AirflowPlugin):
    """Adds a tab to the pages of DAGs and of their runs, from Airflow 3.1 on."""

    name = "datafold"
    fastapi_apps = [{"app": app, "url_prefix": PREFIX, "name": "Datafold"}] if IS_ON else []
    react_apps = [_react_app("dag"), _react_app("dag_run")] if IS_ON else []
