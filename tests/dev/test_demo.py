"""The demo: what it prints, and that it cleans up."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.whole


def start(temporary: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "dev.scripts.demo"],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )


def left(temporary: Path, printed: str) -> list[str]:
    """Return what is left of the home, the sandbox and the processes in the home."""
    found = [str(path) for path in temporary.iterdir()]
    (port,) = re.findall(r"at http://127\.0\.0\.1:(\d+)", printed)
    with socket.socket() as client:
        if client.connect_ex(("127.0.0.1", int(port))) == 0:
            found.append(f"port {port}")
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended in the meantime
            if process.environ().get("AIRFLOW_HOME", "").startswith(f"{temporary}/"):
                found.append(f"{process.pid}: {process.cmdline()}")
    return found


def test_shows_a_schedule_that_changes_and_a_gate_that_opens_and_closes(tmp_path: Path) -> None:
    demo = start(tmp_path)
    printed, _ = demo.communicate(timeout=300)
    assert demo.returncode == 0, printed
    before, returned = re.findall(r"indexing_cron: \"(.*)\"", printed)
    assert (before, returned) == ("0 0 * * *", "30 5 * * 1-5")
    assert f"indexing_cron: {before!r} -> {returned!r}" in printed
    for line in (
        "data diff: different, rows_added 25, rows_removed 0, diff_rows_count 0, match_ratio 0.975",
        "published: 975 -> 1000 payments",
        "data diff: different, rows_added 0, rows_removed 1, diff_rows_count 37, match_ratio 0.962",
        "stopped: 1000 -> 1000 payments",
        "8 of 9 passed, 1 did not; 4 were left out.",
    ):
        assert f"  {line}\n" in printed
    assert left(tmp_path, printed) == []
