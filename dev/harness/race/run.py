"""The check of brief waits: sixty of them in a round, which defer and have no retry.

A task that defers ends in its worker. If its trigger fires before the scheduler has read that end,
the scheduler of a LocalExecutor takes the task for one that was killed, and fails it. Most jobs of
the sandbox have ended at the first look or soon after, while other processes keep the machine busy.
"""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from dev.harness.database import Database
from dev.harness.deployment import Deployment
from dev.harness.race.plan import CI_CONFIG_ID, COUNTS, DAG_ID, MONITOR
from dev.harness.report import report, texts
from dev.harness.service import Service
from dev.local_airflow.main import play
from dev.local_airflow.programs import Command, Programs
from dev.sandbox.course import Course, Step
from dev.sandbox.data_diffs import IDENTICAL
from dev.sandbox.disturbance import Disturbance

_DAGS = Path(__file__).parent / "dags"
_SETTINGS = {
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "AIRFLOW__CORE__PARALLELISM": "16",
}
_BUSY = os.cpu_count() or 1
"""How many processes keep the machine busy."""
_DONE, _LONGEST = 0.5, 12.0
"""Share of the jobs that have ended at the first look, and seconds that the others take."""
_TO_START, _ROUND = 180.0, 400.0
"""Seconds, also on a machine that does something else."""
_TASKS = "select task_id, map_index, state, start_date, end_date from task_instance where run_id = "
_MISMATCHES = "select count(*) from log where event = 'state mismatch'"
_DEFERRED = "Pausing task as DEFERRED"


class Wait(NamedTuple):
    """What became of a task."""

    succeeded: bool
    seconds: float
    """From its start to its end."""
    deferred: bool


class BriefService(Service):
    """A sandbox whose jobs take 0 to 12 s."""

    def __init__(self) -> None:
        super().__init__(Disturbance())
        dice, state = random.Random(7), self.state

        def steps(status: str) -> tuple[Step, ...]:
            seconds = 0.0 if dice.random() < _DONE else dice.uniform(0, _LONGEST)
            return (Step(status, reads=0, seconds=seconds),)

        state.data_diffs.courses.of = lambda _: replace(IDENTICAL, steps=steps("processing"))
        state.monitors.courses.of = lambda _: Course(steps("checking"), "ok")
        state.ci.courses.of = lambda _: Course(steps("processing"), "done")
        self.add_monitors(COUNTS[MONITOR])

    def made(self) -> Counter[tuple[str, str]]:
        """Count the jobs by what they are about: a table, a monitor, or a commit."""
        state = self.state
        with state.lock:
            return Counter(
                [
                    *(("table", str(diff["table2"])) for diff in state.data_diffs.diffs.values()),
                    *(("monitor", str(run["monitor_id"])) for run in state.monitors.runs.values()),
                    *(("commit", run["pr_sha"]) for run in state.ci.runs[CI_CONFIG_ID].values()),
                ]
            )


def main(rounds: int) -> int:
    """Run some rounds, and return the exit code."""
    service = BriefService()
    longest = _TO_START + rounds * _ROUND
    return play("race", longest, service.sandbox, partial(_run, rounds, service))


def _run(rounds: int, service: BriefService, programs: Programs, home: Path) -> int:
    airflow = Deployment(programs, home, _DAGS, service.sandbox, _SETTINGS)
    airflow.start("dag-processor", "scheduler", "triggerer")
    for number in range(_BUSY):
        programs.start(Command(f"busy-{number}", [sys.executable, "-c", "while True: pass"]))
    print(f"Airflow started in {programs.seconds:.0f} s; {_BUSY} processes are busy\n", flush=True)
    waits: list[Wait] = []
    twice = 0
    for number in range(1, rounds + 1):
        began, before = programs.seconds, service.made()
        airflow.trigger(DAG_ID, str(number))
        programs.until("the round ended", airflow.database.has_ended, every=1.0)
        found = list(_waits(airflow.database, programs.logs, str(number)))
        twice += sum(count - 1 for count in (service.made() - before).values())
        print(f"round {number}: {_failed(found)} of {len(found)} failed", end=", ")
        print(f"{programs.seconds - began:.0f} s", flush=True)
        waits += found
    mismatches = airflow.database.number(_MISMATCHES)
    print()
    return report(
        {
            "state mismatches": str(mismatches),
            "jobs made twice": str(twice),
            "did not defer": _shown(wait for wait in waits if not wait.deferred),
            "deferred": _shown(wait for wait in waits if wait.deferred),
        },
        {
            "each wait succeeded": len(waits) == rounds * sum(COUNTS.values())
            and not _failed(waits),
            "Airflow took no task for a killed one": not mismatches,
            "no job was made twice": not twice,
        },
    )


def _waits(database: Database, logs: Path, run_id: str) -> Iterable[Wait]:
    for task_id, index, state, start, end in database.query(f"{_TASKS}'{run_id}'"):
        folder = logs / "tasks" / f"dag_id={DAG_ID}" / f"run_id={run_id}" / f"task_id={task_id}"
        deferred = any(_DEFERRED in text for text in texts(folder / f"map_index={index}"))
        seconds = (end - start).total_seconds() if start and end else 0.0
        yield Wait(state == "success", seconds, deferred)


def _failed(waits: Iterable[Wait]) -> int:
    return sum(not wait.succeeded for wait in waits)


def _shown(waits: Iterable[Wait]) -> str:
    """Say of some waits how long they took; one that did not defer has its slot so long."""
    found = list(waits)
    seconds = [wait.seconds for wait in found] or [0.0]
    return (
        f"{len(found)}, of which {_failed(found)} failed; "
        f"median {median(seconds):.1f} s, at most {max(seconds):.1f} s"
    )
