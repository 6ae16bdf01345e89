"""``airflow connections test`` prints what the hook says of a connection."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import API_KEY

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("airflow_database")]


def said_of(host: str, key: str = API_KEY) -> str:
    connection = {"conn_type": "datafold", "host": host, "password": key}
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "connections", "test", "tested"],
        env={
            **os.environ,
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW_CONN_TESTED": json.dumps(connection),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert key not in done.stdout.replace("MaskSecret", "")
    return done.stdout


def test_right_key(sandbox: Any) -> None:
    assert "Connection success!" in said_of(sandbox.url)
    assert [request.status for request in sandbox.state.requests] == [200]


def test_wrong_key(sandbox: Any) -> None:
    assert f"{sandbox.url}: 401, the API key was refused." in said_of(sandbox.url, "other-key")
