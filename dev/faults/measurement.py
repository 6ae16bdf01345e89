"""Run one task under one fault, and measure the outcome.

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
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dev.faults import certificate, leak
from dev.faults.behaviours import INTEGRATION, answers
from dev.faults.fault import API_KEY, TOKEN, Fault
from dev.faults.server import Door, FaultServer

OURS = "datafold"
OURS_ASYNC = "datafold-async"
"""The same update in an event loop, as a trigger would send it."""
DRIVERS = (OURS, OURS_ASYNC)
THEIRS = "http"
TIMEOUT = 1.0

_PATH = "/api/v1/lineage/bi/hightouch/7/"


@dataclass(frozen=True)
class Measurement:
    """Hold the outcome of a task.

    :param ended: ``success``, the name of the exception's class, or empty if the task did not end
        in time.
    :param airflow_may_retry: whether the exception, if there is one, lets Airflow try again.
    :param seconds: how long the task took.
    :param requests: how many requests arrived at the service.
    :param connections: how many connections arrived at the service.
    :param elsewhere: how many requests arrived at the other host.
    :param memory: MB by which the process grew at its largest.
    :param secrets: how often a secret is in the ``log``, the ``exception``, the ``result`` and in
        requests to the ``other host``.
    :param retry_after: seconds that the exception passes on.
    :param message: what the exception says.
    """

    ended: str
    airflow_may_retry: bool
    seconds: float
    requests: int
    connections: int
    elsewhere: int
    memory: float
    secrets: dict[str, int] = field(default_factory=dict)
    retry_after: float | None = None
    message: str = ""


def prepare(operator: str) -> None:
    """Import what an operator needs, so that no run waits for it.

    :param operator: :data:`OURS`, :data:`OURS_ASYNC` or :data:`THEIRS`.
    """
    if operator in DRIVERS:
        import airflow.providers.common.compat.connection

        import airflow_provider_datafold.client.loop
        import airflow_provider_datafold.client.worker
        import airflow_provider_datafold.operators.bi  # noqa: F401
        from airflow_provider_datafold.connection.fetch import fetch_settings

        # Airflow before 3.2 imports half of itself for the first connection. This does not use an
        # event loop, whose threads would be missing after a fork.
        os.environ["AIRFLOW_CONN_ANY"] = json.dumps({"conn_type": "datafold", "password": API_KEY})
        fetch_settings("any")
        del os.environ["AIRFLOW_CONN_ANY"]
    else:
        import airflow.providers.http.operators.http  # noqa: F401
        from airflow.providers.common.compat.sdk import Connection

        # Airflow looks for its providers here, which takes a second.
        Connection(conn_id="http_default", conn_type="http").get_hook()  # type: ignore[no-untyped-call]


def run(fault: Fault, operator: str) -> Measurement:
    """Run a task under a fault.

    :param fault: the fault.
    :param operator: :data:`OURS`, :data:`OURS_ASYNC` or :data:`THEIRS`.
    :return: the outcome, at the latest when the fault's time is over.
    """
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
        host = fault.host or f"{'https' if fault.certificate else 'http'}://127.0.0.1:{{port}}"
        os.environ.update(
            {name: text.format(**names) for name, text in fault.environment.items()},
            **_connections(fault, host.format(**names), folder),
        )
        _know_only_this_machine(fault)
        log = leak.capture(Path(folder, "log"))
        task = _Task(_build(operator))
        task.run(fault.seconds)
        return Measurement(
            ended=task.ended,
            airflow_may_retry=task.airflow_may_retry,
            seconds=round(task.seconds, 2),
            requests=sum(request.method != "CONNECT" for request in server.requests),
            connections=server.connections,
            elsewhere=len(other.requests),
            memory=round(task.memory, 1),
            secrets={
                "log": leak.count(log()),
                "exception": leak.count(task.traceback),
                "result": leak.count(task.result),
                "other host": leak.count("".join(request.text for request in other.requests)),
            },
            retry_after=task.retry_after,
            message=task.message if not leak.count(task.message) else "",
        )


class _Task:
    """Make an update and record the outcome."""

    def __init__(self, update: Callable[[], Any]) -> None:
        self.ended = self.result = self.traceback = self.message = ""
        self.airflow_may_retry = False
        self.seconds = self.memory = 0.0
        self.retry_after: float | None = None
        self._update = update

    def run(self, seconds: float) -> None:
        """Wait for the end, but no longer than this."""
        thread = threading.Thread(target=self._run, daemon=True)
        before, start = _peak(), time.monotonic()
        thread.start()
        thread.join(seconds)
        self.seconds = time.monotonic() - start
        self.memory = _peak() - before

    def _run(self) -> None:
        from airflow.providers.common.compat.sdk import AirflowFailException

        from airflow_provider_datafold.redaction.masker import mask
        from airflow_provider_datafold.redaction.secret import Secret

        try:
            # Detects a log that is not captured or is masked: it would show no secret either.
            mask([Secret(leak.CANARY)])
            logging.getLogger("airflow.task").debug(leak.CANARY)
            result = self._update()
        except Exception as error:
            self.airflow_may_retry = not isinstance(error, AirflowFailException)
            self.traceback = "".join(traceback.format_exception(error)) + repr(vars(error))
            self.retry_after = getattr(error, "retry_after", None)
            self.message = str(error)
            self.ended = type(error).__name__
        else:
            self.result = result if isinstance(result, str) else json.dumps(result)
            self.ended = "success"


def _build(operator: str) -> Callable[[], Any]:
    schedule: dict[str, Any] = {name: INTEGRATION[name] for name in ("bindings", "indexing_cron")}
    if operator == OURS_ASYNC:
        # asyncio.run would wait for a resolver that hangs. A triggerer's loop does not.
        loop = asyncio.new_event_loop()
        return lambda: loop.run_until_complete(_update({"token": TOKEN, **schedule}))
    if operator == OURS:
        from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator

        ours = DatafoldUpdateHightouchOperator(task_id="ours", bi_datasource_id=7, **schedule)
        # Without Airflow 2's wrapper, which only the main thread may call.
        execute = inspect.unwrap(type(ours).execute)
        return lambda: execute(ours, {})

    from airflow.providers.http.operators.http import HttpOperator

    theirs = HttpOperator(
        task_id="theirs",
        method="PUT",
        endpoint=_PATH,
        headers={"Authorization": f"Key {API_KEY}", "Content-Type": "application/json"},
        data=json.dumps({"token": TOKEN, **schedule}),
    )
    return lambda: theirs.execute({})


async def _update(config: dict[str, Any]) -> Any:
    from airflow_provider_datafold.api import bi
    from airflow_provider_datafold.client.loop import AsyncClient
    from airflow_provider_datafold.connection.fetch import fetch_settings_async
    from airflow_provider_datafold.redaction.secret import conceal

    settings = await fetch_settings_async("datafold_default")
    async with AsyncClient(settings, "faults") as client:
        return await client.call(bi.UPDATE["hightouch"], conceal(config), bi_datasource_id=7)


def _connections(fault: Fault, host: str, folder: str) -> dict[str, str]:
    """Return connections that all have the same host, timeout and CA."""
    ca = f"{folder}/ca.pem" if fault.certificate else None
    ours = {"timeout": TIMEOUT, "ca_bundle": ca, **fault.extra}
    theirs = {"timeout": TIMEOUT, "verify": ours["ca_bundle"]}
    connections = {
        "datafold_default": {"conn_type": "datafold", "password": API_KEY, "host": host}
        | {"extra": ours},
        "hightouch_default": {"conn_type": "generic", "password": TOKEN},
        "http_default": {"conn_type": "http", "host": host, "extra": theirs},
    }
    return {f"AIRFLOW_CONN_{name.upper()}": json.dumps(connections[name]) for name in connections}


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
