"""Let a task wait for a job under one fault, and compare the outcome with what is declared.

Like :mod:`faults.update` it changes its process permanently and needs its own.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import os
import signal
import tempfile
import threading
import traceback
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.client import retry
from airflow_provider_datafold.jobs import trouble
from airflow_provider_datafold.jobs.once import start
from airflow_provider_datafold.operators import wait as waits
from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from airflow_provider_datafold.operators.monitors import DatafoldRunMonitorOperator
from airflow_provider_datafold.sensors.data_diffs import DatafoldDataDiffSensor
from airflow_provider_datafold.sensors.monitors import DatafoldMonitorRunSensor
from dev.faults import certificate, leak
from dev.faults.fault import API_KEY, differences, name_of
from dev.faults.job_service import MONITOR, JobService, listens_first
from dev.faults.server import FaultServer
from dev.faults.wait import DATA_DIFF, SENSOR_DEFERRED, SENSORS, TRIGGERER, Kind, Place, Wait

_INTERVAL = 0.05


def run(wait: Wait, mode: str) -> list[str]:
    """Let a task wait; return a sentence for each difference from what is declared."""
    service = JobService(wait, mode)
    with (
        tempfile.TemporaryDirectory(prefix="datafold-faults-") as folder,
        FaultServer(
            [service], tls=certificate.make_context("good" if wait.is_tls else "", Path(folder))
        ) as server,
    ):
        if wait.is_refused and not listens_first(wait, mode):
            server.refuse()
        _connect(wait, server.port, folder)
        _shorten(wait)
        log = leak.capture(Path(folder, "log"))
        logging.getLogger("airflow.task").debug(leak.CANARY)
        said: list[str] = []
        first = _end(lambda: _try(wait, mode, 1, service), said)
        retried = None
        final = (exceptions.DatafoldFinalError, exceptions.DatafoldStoppedError)
        may_retry = first is not None and not isinstance(first, final)
        if may_retry:
            service.recover()
            retried = _end(lambda: _try(wait, mode, 2, service), said)
        is_mine = mode not in SENSORS
        expected = {
            "ended": (name_of(first) if first else "", wait.error),
            "Airflow may retry": (may_retry, wait.may_be_retried),
            "the retry": (retried, None),
            "jobs made": (service.count(), wait.made if is_mine else 1),
            "jobs cancelled": (service.count("cancelled"), wait.cancelled if is_mine else 0),
            "cancels": (service.counts[Kind.CANCEL], wait.cancels if is_mine else 0),
            "requests that came too early": (service.early, 0),
            "secrets": (sum(map(leak.count, [log(), *said])), 0),
        }
        if is_mine:
            expected["jobs left running"] = (service.running, wait.left)
        return differences(expected)


def _end(work: Callable[[], Any], said: list[str]) -> Exception | None:
    """Return the error with which a try ended, and record its result or error."""
    try:
        said.append(json.dumps(work()))
    except Exception as error:
        said.append("".join(traceback.format_exception(error)) + repr(vars(error)))
        return error
    return None


def _try(wait: Wait, mode: str, number: int, service: JobService) -> Any:
    """Do what Airflow does with one try of a task."""
    task, context = _task(wait, mode), _context(number)
    context["task"] = task
    is_killed = wait.place is Place.KILL
    if is_killed and mode != TRIGGERER:
        _kill_when_waited_for(service, task)
    # Without Airflow 2's wrapper, which only a task's process may call.
    resume = inspect.unwrap(type(task).execute)
    arguments: dict[str, Any] = {}
    while True:
        try:
            return resume(task, context, **arguments)
        except TaskDeferred as deferral:
            _, fields = deferral.trigger.serialize()
            trigger = type(deferral.trigger)(**json.loads(json.dumps(fields)))
            event = asyncio.run(_trigger(trigger, service if is_killed else None))
            if is_killed:
                raise exceptions.DatafoldStoppedError("A person stopped the task") from None
            # Airflow usually resumes a task in another process.
            task = context["task"] = _task(wait, mode)
            resume = getattr(type(task), deferral.method_name)
            arguments = {"event": event, **json.loads(json.dumps(deferral.kwargs))}


async def _trigger(trigger: Any, service: JobService | None) -> Any:
    """Run a trigger to its event, or stop it as Airflow 3.3 does while it waits."""
    if service is None:
        async for event in trigger.run():
            return json.loads(json.dumps(event.payload))
        raise RuntimeError("The trigger did not fire.")

    async def run() -> None:
        async for _ in trigger.run():
            pass

    running = asyncio.ensure_future(run())
    await asyncio.to_thread(service.is_waited_for.wait)
    await trigger.on_kill()
    running.cancel()
    await asyncio.wait([running])
    return None


def _kill_when_waited_for(service: JobService, task: Any) -> None:
    signal.signal(signal.SIGTERM, lambda *_: task.on_kill())

    def kill() -> None:
        service.is_waited_for.wait()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=kill, daemon=True).start()


def _task(wait: Wait, mode: str) -> Any:
    shared: dict[str, Any] = {
        "task_id": "waits",
        "retries": 1,
        "timeout": wait.timeout,
        "deferrable": mode in (TRIGGERER, SENSOR_DEFERRED),
        ("poke_interval" if mode in SENSORS else "poll_interval"): _INTERVAL,
    }
    if mode in SENSORS:
        if wait.job == DATA_DIFF:
            return DatafoldDataDiffSensor(datadiff_id=1, **shared)
        return DatafoldMonitorRunSensor(monitor_id=MONITOR, run_id=1, **shared)
    if wait.job != DATA_DIFF:
        return DatafoldRunMonitorOperator(monitor_id=MONITOR, **shared)
    sides: dict[str, Any] = {
        "data_source1_id": 1,
        "data_source2_id": 1,
        "table1": "A.B.C",
        "table2": "A.B.D",
    }
    return DatafoldRunDataDiffOperator(**sides, pk_columns=["id"], **shared)


def _context(try_number: int) -> dict[str, Any]:
    names = {"dag_id": "dag", "task_id": "waits", "run_id": "manual__1", "map_index": -1}
    ti = SimpleNamespace(**names, try_number=try_number, max_tries=1, xcom_push=lambda **_: None)
    run = SimpleNamespace(start_date=datetime(2024, 1, 1, tzinfo=timezone.utc))
    return {"ti": ti, "dag_run": run}


def _connect(wait: Wait, port: int, folder: str) -> None:
    host = f"{'https' if wait.is_tls else 'http'}://127.0.0.1:{port}"
    bundle = f"{folder}/ca.pem" if wait.is_tls else None
    extra = {"timeout": wait.answers_within, "ca_bundle": bundle}
    fields = {"conn_type": "datafold", "host": host, "password": API_KEY, "extra": extra}
    os.environ["AIRFLOW_CONN_DATAFOLD_DEFAULT"] = json.dumps(fields)


def _shorten(wait: Wait) -> None:
    retry._FIRST_WAIT = 0.15
    waits.BRIEF = waits.HOLD = 0.0
    start._PAUSES, start._LAST_PAUSES = (0.0, 0.2, 0.4), (0.4,)
    trouble.LONGEST_REFUSAL, trouble.REFUSAL_PAUSE, trouble.AFTER_TROUBLE = 0.5, _INTERVAL, 0.1
    if wait.longest_trouble is not None:
        trouble.LONGEST_TROUBLE = wait.longest_trouble
