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
import time
import traceback
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_datafold.api import bi
from airflow_provider_datafold.client import retry
from airflow_provider_datafold.client.loop import AsyncClient
from airflow_provider_datafold.connection.fetch import fetch_settings_async
from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator
from airflow_provider_datafold.redaction.redactor import mask
from airflow_provider_datafold.redaction.secret import Secret, conceal
from dev.faults import certificate, leak
from dev.faults.behaviours import INTEGRATION, answers
from dev.faults.fault import API_KEY, TOKEN, Fault, differences, name_of
from dev.faults.server import Door, FaultServer

WORKER = "worker"
LOOP = "event loop"
DRIVERS = (WORKER, LOOP)

_LONGEST = 40.0
"""Seconds after which a task hangs: less than a service that stalls, and more than it takes."""

_MOST_MEMORY = 50.0
"""MB, whatever the size of the response."""

_SCHEDULE: dict[str, Any] = {name: INTEGRATION[name] for name in ("bindings", "indexing_cron")}


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
        # Detects a log that is not captured or is masked: it would show no secret either.
        mask([Secret(leak.CANARY)])
        logging.getLogger("airflow.task").debug(leak.CANARY)
        retry._FIRST_WAIT = 0.15
        before, start = _peak(), time.monotonic()
        error, shown = None, ""
        try:
            shown = json.dumps(_update_by(driver))
        except Exception as raised:
            error = raised
            shown = "".join(traceback.format_exception(error)) + repr(vars(error))
        seconds, memory = time.monotonic() - start, _peak() - before
        requests = [request for request in server.requests if request.method != "CONNECT"]
        keys = {request.headers["authorization"] for request in requests}
        may_be_retried = error is not None and not isinstance(error, AirflowFailException)
        expected = {
            "ended": (name_of(error) if error else "", fault.error),
            "Airflow may retry": (may_be_retried, fault.may_be_retried),
            "requests": (len(requests), fault.arriving),
            "other keys": (keys - {f"Key {API_KEY}"}, set()),
            "requests elsewhere": (len(other.requests), 0),
            "retry_after": (getattr(error, "retry_after", None), fault.retry_after),
            "secrets": (leak.count(f"{log()} {shown}"), 0),
            f"says {fault.says!r}": (fault.says in str(error), True),
            f"took {seconds} s": (fault.no_sooner <= seconds < _LONGEST, True),
            f"took {memory} MB": (memory < _MOST_MEMORY, True),
        }
        if fault.connections is not None:
            expected["connections"] = (server.connections, fault.connections)
        return differences(expected)


def _update_by(driver: str) -> Any:
    if driver == LOOP:
        # asyncio.run would wait for a resolver that hangs. A triggerer's loop does not.
        return asyncio.new_event_loop().run_until_complete(_update({"token": TOKEN, **_SCHEDULE}))
    task = DatafoldUpdateHightouchOperator(task_id="updates", bi_datasource_id=7, **_SCHEDULE)
    # Without Airflow 2's wrapper, which only a task's process may call.
    return inspect.unwrap(type(task).execute)(task, {})


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
