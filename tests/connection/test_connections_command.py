"""``airflow connections test`` prints what the hook says of a connection."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("airflow_database")]


def test_wrong_key(sandbox: Any) -> None:
    connection = {"conn_type": "datafold", "host": sandbox.url, "password": "planted-other-key"}
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
    assert f"{sandbox.url}: 401, the API key was refused." in done.stdout
    assert "planted-other-key" not in done.stdout
