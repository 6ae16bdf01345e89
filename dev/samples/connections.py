"""The connections that the example DAGs need."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dev.sandbox import Sandbox


def connections_to(
    sandbox: Sandbox, warehouse: Path | None = None, hightouch_token: str | None = None
) -> dict[str, dict[str, Any]]:
    """Return the connections, by their ids."""
    url = urlsplit(sandbox.url)
    datafold = {
        "conn_type": "datafold",
        "description": "The sandbox, which stands in for Datafold",
        # Apart, as in the form: Airflow 3.3.2 tests no connection without a port.
        "host": f"{url.scheme}://{url.hostname}",
        "port": url.port,
        "password": sandbox.api_key,
    }
    hightouch = {
        "conn_type": "generic",
        "description": "Hightouch's API token as the password",
        "password": hightouch_token or secrets.token_urlsafe(),
    }
    found: dict[str, dict[str, Any]] = {
        "datafold_default": datafold,
        "hightouch_default": hightouch,
    }
    if warehouse is not None:
        description = "The warehouse that the examples load"
        where = {"conn_type": "sqlite", "description": description, "host": str(warehouse)}
        found["warehouse_default"] = where
    return found


def in_environment(connections: Mapping[str, Any]) -> dict[str, str]:
    """Return connections as environment variables."""
    return {f"AIRFLOW_CONN_{name.upper()}": json.dumps(each) for name, each in connections.items()}
