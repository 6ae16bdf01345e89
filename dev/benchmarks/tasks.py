"""What a whole task costs its worker, in fresh processes."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from dev.benchmarks import server, update
from dev.benchmarks.figure import FLOOR, OURS, THEIRS, Figure, interleave, medians

CPU = "a whole task, CPU"


def measure(rounds: int) -> list[Figure]:
    """Measure the CPU time, user and system, of a task with its supervisor.

    :param rounds: how many tasks of each kind.
    :return: the CPU time.
    """
    with server.running() as service:
        environment = os.environ | update.connections(service.url)
        ways = {name: partial(_cpu, name, environment) for name in (OURS, THEIRS, FLOOR)}
        found = interleave(ways, rounds)
    return [Figure(CPU, "ms", medians(found), "a task that does nothing")]


def _cpu(dag_id: str, environment: dict[str, str]) -> float:
    # The system adds a process's times to its parent's when it ends, so the task's are included.
    before = os.times()
    subprocess.run(
        [sys.executable, "-m", "dev.benchmarks.task_process", dag_id],
        check=True,
        capture_output=True,
        env=environment,
        cwd=Path(__file__).parents[2],
    )
    after = os.times()
    seconds = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    return seconds * 1e3
