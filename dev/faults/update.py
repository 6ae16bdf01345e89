"""Make one update under one fault, and compare the outcome with what the table declares.

A run changes its process permanently (environment, name resolution, standard output), so it needs
its own; :mod:`faults.processes` starts it.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import os
import resource
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_datafold.api import bi
from airflow_provider_datafold.client import retry
from airflow_provider_datafold.client.loop import AsyncClient
from airflow_provider_datafold.connection.fetch import fetch_settings_async
from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator
from airflow_provider_datafold.redaction.masker import mask
from airflow_provider_datafold.redaction.secret import Secret, conceal
from dev.faults import certificate, leak
from dev.faults.behaviours import INTEGRATION, answers
from dev.faults.fault import API_KEY, TOKEN, Fault, differences
from dev.faults.server import Door, FaultServer

WORKER = "worker"
LOOP = "event loop"
DRIVERS = (WORKER, LOOP)

_LONGEST = 40.0
"""Seconds after which a task hangs: less than a service that stalls, and more than it takes."""

_MOST_MEMORY = 50.0
"""MB, whatever the size of the response."""


def run(fault: Fault, driver: str) -> list[str]:
    """Run a task under a fault; return a sentence for each difference from what is declared."""
    with (
        tempfile.TemporaryDirectory(prefix="datafold-faults-") as folder,
        FaultServer([answers()]) as other,
        FaultServer([answers()], door=Door.CLOSED) as closed,
        FaultServer(
            fault.behaviours,
            reads=fault.reads,
            door=fault.door,
            tls=certificate.make_context(fault.certificate, Path(folder)),
            elsewhere=f"http://localhost:{other.port}",
        ) as server,
    ):
        names = {"port": server.port, "closed_port": closed.port, "folder": folder}
        _connect(fault, names)
        _know_only_this_machine(fault)
        log = leak.capture(Path(folder, "log"))
        task = _Task(_build(driver))
        task.run()
        requests = [request for request in server.requests if request.method != "CONNECT"]
        expected = {
            "ended": (task.ended, fault.error or "success"),
            "Airflow may retry": (task.may_be_retried, fault.may_be_retried),
            "requests": (len(requests), fault.arriving),
            "requests elsewhere": (len(other.requests), 0),
            "retry_after": (task.retry_after, fault.retry_after),
            "secrets": (leak.count(f"{log()} {task.traceback} {task.result}"), 0),
        }
        if fault.connections is not None:
            expected["connections"] = (server.connections, fault.connections)
        return [*differences(expected), *_limits(fault, task)]


def _limits(fault: Fault, task: _Task) -> Iterator[str]:
    if fault.says not in task.message:
        yield f"does not say {fault.says!r}"
    if task.seconds < fault.no_sooner:
        yield f"waited {task.seconds} s, declared: {fault.no_sooner} s"
    if task.memory > _MOST_MEMORY:
        yield f"took {task.memory} MB"


class _Task:
    """Make an update and record the outcome."""

    def __init__(self, update: Callable[[], Any]) -> None:
        self.ended = self.result = self.traceback = self.message = ""
        self.may_be_retried = False
        self.seconds = self.memory = 0.0
        self.retry_after: float | None = None
        self._update = update

    def run(self) -> None:
        """Wait for the end, if there is one."""
        thread = threading.Thread(target=self._run, daemon=True)
        before, start = _peak(), time.monotonic()
        thread.start()
        thread.join(_LONGEST)
        self.seconds = time.monotonic() - start
        self.memory = _peak() - before

    def _run(self) -> None:
        try:
            # Detects a log that is not captured or is masked: it would show no secret either.
            mask([Secret(leak.CANARY)])
            logging.getLogger("airflow.task").debug(leak.CANARY)
            result = self._update()
        except Exception as error:
            self.may_be_retried = not isinstance(error, AirflowFailException)
            self.traceback = "".join(traceback.format_exception(error)) + repr(vars(error))
            self.retry_after = getattr(error, "retry_after", None)
            self.message = str(error)
            self.ended = type(error).__name__
        else:
            self.result = json.dumps(result)
            self.ended = "success"


def _build(driver: str) -> Callable[[], Any]:
    retry._FIRST_WAIT = 0.15
    schedule: dict[str, Any] = {name: INTEGRATION[name] for name in ("bindings", "indexing_cron")}
    if driver == LOOP:
        # asyncio.run would wait for a resolver that hangs. A triggerer's loop does not.
        loop = asyncio.new_event_loop()
        return lambda: loop.run_until_complete(_update({"token": TOKEN, **schedule}))

    task = DatafoldUpdateHightouchOperator(task_id="updates", bi_datasource_id=7, **schedule)
    # Without Airflow 2's wrapper, which only the main thread may call.
    execute = inspect.unwrap(type(task).execute)
    return lambda: execute(task, {})


async def _update(config: dict[str, Any]) -> Any:
    settings = await fetch_settings_async("datafold_default")
    async with AsyncClient(settings, "faults") as client:
        return await client.call(bi.UPDATE["hightouch"], conceal(config), bi_datasource_id=7)


def _connect(fault: Fault, names: dict[str, Any]) -> None:
    host = fault.host or f"{'https' if fault.certificate else 'http'}://127.0.0.1:{{port}}"
    extra: dict[str, Any] = {"timeout": fault.timeout}
    if fault.certificate and fault.ca_bundle:
        extra["ca_bundle"] = fault.ca_bundle.format(**names)
    ours = {"conn_type": "datafold", "password": API_KEY, "host": host.format(**names)}
    token = {"conn_type": "generic", "password": TOKEN}
    os.environ.update(
        {name: text.format(**names) for name, text in fault.environment.items()},
        AIRFLOW_CONN_DATAFOLD_DEFAULT=json.dumps({**ours, "extra": extra}),
        AIRFLOW_CONN_HIGHTOUCH_DEFAULT=json.dumps(token),
    )


def _know_only_this_machine(fault: Fault) -> None:
    """Resolve only this machine's names, so that not even a DNS query leaves it."""
    resolve = socket.getaddrinfo
    addresses = {"127.0.0.1": 1, "localhost": 1, "datafold.test": fault.addresses}

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name != "127.0.0.1":
            time.sleep(fault.resolver)
        if not addresses.get(name):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve("127.0.0.1", *args, **kwargs) * addresses[name]

    socket.getaddrinfo = getaddrinfo


def _peak() -> float:
    """Return this process's peak memory in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
