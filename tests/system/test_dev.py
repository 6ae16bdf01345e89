"""``make dev``: what it starts, and that it stops everything at Ctrl-C."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, expect

from tests.conftest import ROOT
from tests.dev.test_demo import left
from tests.system.window import visit

pytestmark = pytest.mark.ui


def test_starts_and_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, any_browser: Browser
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    dev = subprocess.Popen(
        [sys.executable, "-u", "-m", "dev.scripts.dev"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )
    printed = ""
    try:
        assert dev.stdout is not None
        while "Ctrl-C" not in printed:
            line = dev.stdout.readline()
            assert line, printed
            printed += line
        (airflow,) = re.findall(r"Airflow +(http\S+),", printed)
        (sandbox,) = re.findall(r"Sandbox +(http\S+) ", printed)
        assert "<title>Airflow" in requests.get(airflow, timeout=30).text
        found = {entry["connection_id"]: entry for entry in connections(airflow)}
        saved = found["datafold_default"]
        assert f"{saved['host']}:{saved['port']}" == sandbox
        assert "hightouch_default" in found
        with visit(any_browser, "make_dev") as page:
            page.goto(f"{airflow}/connections")
            row = page.get_by_role("row").filter(has_text="datafold_default")
            row.get_by_role("button", name="Test Connection").click()
            expect(page.get_by_text(f"{sandbox}: Datafold accepts the API key")).to_be_visible()
    finally:
        dev.send_signal(signal.SIGINT)
        printed += dev.communicate(timeout=60)[0]
    assert dev.returncode == 0, printed
    assert "All processes have been stopped." in printed
    assert left(tmp_path, f"at {sandbox}") == left(tmp_path, f"at {airflow}") == []


def connections(airflow: str) -> list[dict[str, Any]]:
    token = requests.get(f"{airflow}/auth/token", timeout=30).json()["access_token"]
    answer = requests.get(
        f"{airflow}/api/v2/connections",
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    found: list[dict[str, Any]] = answer.json()["connections"]
    return found
