"""A stopped task sends nothing more, and does not wait either."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trustme

from airflow_provider_datafold.exceptions import DatafoldStoppedError
from airflow_provider_datafold.jobs.hook import JobHook
from dev.faults.behaviours import FOR_EVER, answers, drips, head, says
from dev.faults.server import FaultServer
from tests.certificates import tls
from tests.conftest import API_KEY, ROOT, TOKEN
from tests.interruptions import at_each_line, on_signal
from tests.tunnel import Tunnel

PATIENCE = 12.0
"""Seconds within which a stopped call must end; without a stop it takes longer."""

busy = answers(503, b"{}", {"Retry-After": "25"})
silent = says(FOR_EVER)
drip = drips(head(200, {"Content-Length": "1000"}), b" " * 1000)


class NotEndedError(BaseException):
    """The call continued although it was stopped."""


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    """End a test that hangs."""

    def bark(*_: object) -> None:
        raise NotEndedError

    before = signal.signal(signal.SIGALRM, bark)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def hook(connect: Callable[..., None], bundle: str) -> Callable[[str], JobHook]:
    def make(host: str) -> JobHook:
        extra = {"ca_bundle": bundle, "timeout": 2 * PATIENCE}
        connect("datafold_default", host=host, password=API_KEY, extra=extra)
        return JobHook()

    return make


@pytest.mark.parametrize("act", [busy, silent, drip], ids=["pause", "silent", "drip"])
@pytest.mark.parametrize("before", [0, 1], ids=["new connection", "kept connection"])
def test_ends_at_once_and_sends_nothing_more(before: int, hook: Any, act: Any) -> None:
    with (
        FaultServer([answers()] * before + [act, answers()]) as server,
        hook(f"http://127.0.0.1:{server.port}") as stopped,
    ):
        for _ in range(before):
            stopped.get_integration(7)
        with (
            on_signal(stopped.stop, lambda: len(server.requests) > before),
            pytest.raises(DatafoldStoppedError, match="no further request was sent"),
        ):
            stopped.get_integration(7)
        for number in (8, 9):
            with pytest.raises(DatafoldStoppedError):
                stopped.get_integration(number)
            stopped.close()
        assert len(server.requests) == before + 1


@pytest.mark.parametrize(
    ("phase", "scheme"),
    [
        ("tunnel", "http"),
        *((phase, scheme) for phase in ("response", "kept") for scheme in ("direct", "https")),
    ],
)
def test_breaks_off_tls(
    phase: str, scheme: str, hook: Any, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = tls(authority, "127.0.0.1", "datafold.test")
    before = [answers()] if phase == "kept" else []
    is_tls = phase in ("response", "kept")
    service = FaultServer([*before, silent], reads=is_tls, tls=context if is_tls else None)
    with service, Tunnel(service.port, tls=context if scheme == "https" else None) as proxy:
        host = f"https://127.0.0.1:{service.port}"
        if scheme != "direct":
            host = "https://datafold.test"
            port = service.port if phase == "tunnel" else proxy.port
            monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://127.0.0.1:{port}")
        stopped = hook(host)
        for _ in before:
            stopped.get_integration(7)

        def is_under_way() -> bool:
            return len(service.requests) > len(before) if is_tls else service.connections > 0

        with on_signal(stopped.stop, is_under_way), pytest.raises(DatafoldStoppedError):
            stopped.get_integration(7)
        assert service.connections == 1


def test_what_is_stopped_while_it_connects_sends_nothing_afterwards(
    hook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo

    def look_up(*given: Any, **more: Any) -> Any:
        stopped.stop()
        return resolve(*given, **more)

    with FaultServer([answers()]) as server:
        stopped = hook(f"http://127.0.0.1:{server.port}")
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        with pytest.raises(DatafoldStoppedError):
            stopped.get_integration(7)
        assert server.requests == []


def test_an_error_of_a_handler_ends_a_request_at_once_and_shows_no_key(hook: Any) -> None:
    def interrupt() -> None:
        raise NotEndedError

    with FaultServer([silent]) as server:
        interrupted = hook(f"http://127.0.0.1:{server.port}")
        with (
            on_signal(interrupt, lambda: server.requests),
            pytest.raises(NotEndedError) as caught,
        ):
            interrupted.get_integration(7)
        assert len(server.requests) == 1
    for frame, _ in traceback.walk_tb(caught.tb):
        assert API_KEY not in repr(frame.f_locals)


def test_hook_that_is_stopped_before_it_is_used_sends_nothing(hook: Any) -> None:
    with FaultServer([answers()]) as server, hook(f"http://127.0.0.1:{server.port}") as stopped:
        stopped.stop()
        with pytest.raises(DatafoldStoppedError):
            stopped.get_integration(7)
        assert server.requests == []


TRACED = (
    *("client/worker.py", "client/sender.py", "client/exchange.py"),
    *("hooks/datafold.py", "jobs/hook.py"),
)


@pytest.mark.parametrize("first", [0, 1], ids=["new connection", "kept connection"])
def test_nothing_is_sent_after_it_wherever_it_comes(hook: Any, first: int) -> None:
    signal.setitimer(signal.ITIMER_REAL, 10 * PATIENCE)
    logging.getLogger("urllib3").setLevel(logging.WARNING)

    def requests_after(line: int, patience: float) -> int | None:
        """Stop a call at a line; say what arrived later, ``None`` where there is no such line."""
        lines, arrived = count(1), list[int]()

        def at(_: str) -> None:
            if next(lines) == line:
                stopped.stop()
                # Time for requests in progress to arrive.
                time.sleep(patience)
                arrived.append(len(server.requests))

        def do() -> None:
            with contextlib.suppress(DatafoldStoppedError):
                stopped.get_integration(7)

        with hook(f"http://127.0.0.1:{server.port}") as stopped:
            for _ in range(first):
                stopped.get_integration(7)
            server.requests.clear()
            at_each_line(do, at, TRACED)
        time.sleep(patience)
        return len(server.requests) - arrived[0] if arrived else None

    with FaultServer([answers()]) as server:
        found: list[int] = []
        while (after := requests_after(len(found) + 1, 0.01)) is not None:
            found.append(after)
        assert len(found) > 50
        suspects = [line for line, after in enumerate(found, 1) if after]
        assert [line for line in suspects if requests_after(line, 0.5)] == []


DAG_FILE = """
from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator

with DAG("stop", schedule=None, start_date=datetime(2024, 1, 1)) as dag:
    DatafoldUpdateHightouchOperator(
        task_id="update", bi_datasource_id=7, bindings=[], indexing_cron=None
    )

if __name__ == "__main__":
    dag.test()
"""


@pytest.mark.airflow
def test_terminated_task_sends_nothing_more(
    tmp_path: Path, airflow_database: None, connect: Any
) -> None:
    # Airflow's processes have time limits of their own below.
    signal.setitimer(signal.ITIMER_REAL, 0)
    file, output = tmp_path / "dag_to_stop.py", tmp_path / "output.txt"
    file.write_text(DAG_FILE)
    connect("hightouch_default", conn_type="http", password=TOKEN)
    pausing = answers(503, b"{}", {"Retry-After": "8"})
    with FaultServer([pausing]) as server, output.open("w") as stream:
        connect("datafold_default", host=f"http://127.0.0.1:{server.port}", password=API_KEY)
        task = subprocess.Popen(
            [sys.executable, str(file)],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path),
            },
            stdout=stream,
            stderr=stream,
        )
        try:
            end = time.monotonic() + 120
            while not server.requests and task.poll() is None and time.monotonic() < end:
                time.sleep(0.1)
            time.sleep(1)
            assert task.poll() is None, output.read_text()[-3000:]
            task.send_signal(signal.SIGTERM)
            task.wait(timeout=150)
        finally:
            task.kill()
            task.wait()
        assert len(server.requests) == 1
    # Airflow 2 itself ends the task, by an error that it raises in the signal's handler.
    said = output.read_text()
    assert "no further request was sent" in said or "Task received SIGTERM" in said
