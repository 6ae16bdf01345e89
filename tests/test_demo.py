"""The demo: what it shows, and that it leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


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
    """What is still there of the home, the sandbox and the processes that work in the home."""
    found = [str(path) for path in temporary.iterdir()]
    (port,) = re.findall(r"at http://127\.0\.0\.1:(\d+)", printed)
    with socket.socket() as client:
        if client.connect_ex(("127.0.0.1", int(port))) == 0:
            found.append(f"port {port}")
    needle = f"AIRFLOW_HOME={temporary}/".encode()
    for environ in Path("/proc").glob("[0-9]*/environ"):
        if needle in read(environ):
            found.append(f"{environ.parent}: {read(environ.parent / 'cmdline')!r}")
    return found


def read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def test_shows_the_schedule_before_and_after(tmp_path: Path) -> None:
    demo = start(tmp_path)
    printed, _ = demo.communicate(timeout=300)
    assert demo.returncode == 0, printed
    before, returned, now = re.findall(r"indexing_cron: \"(.*)\"", printed)
    assert (before, returned, now) == ("0 0 * * *", "30 5 * * 1-5", "30 5 * * 1-5")
    assert (ROOT / "build" / "demo" / "airflow.log").stat().st_size > 0
    assert "build/demo/airflow.log" in printed
    assert len(printed.splitlines()) < 40
    assert left(tmp_path, printed) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_cleans_up_when_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    demo = start(tmp_path)
    assert demo.stdout is not None
    printed = ""
    while "$ airflow dags test" not in printed:
        line = demo.stdout.readline()
        assert line, printed
        printed += line
    demo.send_signal(number)
    rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert "Interrupted; everything that was started is stopped." in rest
    assert left(tmp_path, printed) == []
