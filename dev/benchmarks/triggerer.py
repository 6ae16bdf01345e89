"""An event loop with many waits, in a process of its own: ``python -m dev.benchmarks.triggerer``.

It starts the triggers one after the other, as Airflow's triggerer does, and prints what it saw.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dev.benchmarks import jobs
from dev.benchmarks.environment import silenced
from dev.benchmarks.figure import OURS

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

_LOOK_EVERY = 0.02
"""Seconds between two looks at the loop's lag and at the memory."""

_DAY = 86_400.0


class _Probe:
    """Notes how late the event loop is, and how much memory the process has at most."""

    def __init__(self) -> None:
        import psutil

        self._memory: Callable[[], Any] = psutil.Process().memory_info
        gc.collect()
        self._before = self._memory().rss
        self._most = self._before
        self.lag = 0.0

    async def look(self) -> None:
        while True:
            wanted = time.perf_counter() + _LOOK_EVERY
            await asyncio.sleep(_LOOK_EVERY)
            self.lag = max(self.lag, time.perf_counter() - wanted)
            self._most = max(self._most, self._memory().rss)

    @property
    def megabytes(self) -> float:
        return float(self._most - self._before) / 1e6


async def _wait(make: Callable[[int], BaseTrigger], count: int) -> dict[str, Any]:
    await _end_of(make(jobs.WARM_UP))
    probe = _Probe()
    looking = asyncio.create_task(probe.look())
    cpu = time.process_time()
    waiting = []
    for number in range(1, count + 1):
        waiting.append(asyncio.create_task(_end_of(make(number))))
        await asyncio.sleep(0)
    noticed = await asyncio.gather(*waiting)
    cpu = time.process_time() - cpu
    looking.cancel()
    return {"noticed": noticed, "lag": probe.lag, "megabytes": probe.megabytes, "cpu": cpu}


async def _end_of(trigger: BaseTrigger) -> float:
    """Return when a trigger fired, by the clock that all processes share."""
    async for event in trigger.run():
        noticed: float = time.monotonic()
        payload = event.payload
        if payload.get("state", payload.get("status")) not in ("succeeded", "success"):
            raise RuntimeError(f"A wait did not end well: {payload}")
        return noticed
    raise RuntimeError("A trigger did not fire.")


def _ours(number: int, interval: float | None) -> BaseTrigger:
    from airflow_provider_datafold.triggers.job import DatafoldJobTrigger

    now = time.time()
    return DatafoldJobTrigger(
        "data_diff",
        {"datadiff_id": number},
        "datafold_default",
        deadline=now + _DAY,
        since=now,
        poll_interval=interval,
        cancel_on_kill=True,
    )


def _theirs(number: int, interval: float | None) -> BaseTrigger:
    from airflow.providers.dbt.cloud.triggers.dbt import DbtCloudRunJobTrigger

    trigger: BaseTrigger = DbtCloudRunJobTrigger(
        conn_id="dbt_cloud_default",
        run_id=number,
        end_time=time.time() + _DAY,
        poll_interval=interval or 0,
        account_id=1,
    )
    return trigger


def _allow_http() -> None:
    """Let dbt Cloud's hook use plain http, for which it has no setting."""
    from airflow.providers.dbt.cloud.hooks.dbt import DbtCloudHook

    make = DbtCloudHook.get_request_url_params

    def make_plain(*arguments: Any, **more: Any) -> tuple[str, dict[str, Any]]:
        url, query = make(*arguments, **more)
        return url.replace("https://", "http://", 1), query

    DbtCloudHook.get_request_url_params = staticmethod(make_plain)  # type: ignore[method-assign]


def main() -> int:
    """Run the command.

    :return: exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m dev.benchmarks.triggerer")
    parser.add_argument("contender")
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--interval", type=float)
    parser.add_argument("--plain", action="store_true")
    arguments = parser.parse_args()
    make = _ours if arguments.contender == OURS else _theirs
    with silenced():
        if make is _theirs and arguments.plain:
            _allow_http()
        found = asyncio.run(_wait(lambda number: make(number, arguments.interval), arguments.jobs))
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
