"""Make many runs at once, each in its own process and with its own deadline."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from dev.faults import wait_measurement
from dev.faults.fault import Fault
from dev.faults.measurement import OURS, THEIRS, Measurement, prepare, run
from dev.faults.table import FAULTS
from dev.faults.wait import MODES, Wait
from dev.faults.wait_measurement import Waited
from dev.faults.wait_table import WAITS

Run = tuple[str, str]
"""Name of the fault; name of the operator, or the mode."""

Found = Measurement | Waited

_AT_ONCE = 20
"""Most runs spend their time waiting."""

_ROWS: dict[str, Fault | Wait] = {
    **{fault.name: fault for fault in FAULTS},
    **{wait.name: wait for wait in WAITS},
}
_GRACE = 90.0
_LONGEST = 300.0
_FOREIGN = ("AIRFLOW", "REQUESTS_", "CURL_", "SSL_")


def measure(runs: Iterable[Run]) -> dict[Run, Measurement]:
    """Measure faults with a temporary Airflow home, outside this process.

    :param runs: which faults, with which operator.
    :return: the outcome of each; a run that broke is missing.
    """
    return {key: Measurement(**found) for key, found in _measure(runs)}


def measure_waits(runs: Iterable[Run]) -> dict[Run, Waited]:
    """Measure faults while tasks wait, in the same way.

    :param runs: which faults, in which mode.
    :return: the outcome of each; a run that broke is missing.
    """
    return {key: Waited(**found) for key, found in _measure(runs)}


def _measure(runs: Iterable[Run]) -> Iterator[tuple[Run, dict[str, Any]]]:
    with tempfile.TemporaryDirectory(prefix="datafold-faults-") as home:
        results = Path(home, "results.jsonl")
        subprocess.run(  # noqa: S603 - this package's own code
            [sys.executable, "-m", "dev.faults.processes", results],
            input=json.dumps(list(runs)).encode(),
            env=_environment(home),
            cwd=Path(__file__).parents[2],
            # Airflow writes here. Runs that break report to standard error.
            stdout=subprocess.DEVNULL,
            timeout=_LONGEST,
            check=True,
        )
        lines = map(json.loads, results.read_text().splitlines())
        yield from (((name, operator), found) for name, operator, found in lines)


def _environment(home: str) -> dict[str, str]:
    mine = {
        name: value
        for name, value in os.environ.items()
        if not (name.startswith(_FOREIGN) or name.lower().endswith("_proxy"))
    }
    return mine | {
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
        # Airflow's own masking would hide what an operator leaks.
        "AIRFLOW__LOGGING__MIN_LENGTH_MASKED_SECRET": "10000",
        "NETRC": str(Path(home, "no-netrc")),
    }


def _run(runs: Iterable[Run], at_once: int) -> Iterator[tuple[Run, Found]]:
    waiting = deque(runs)
    running: dict[Connection, tuple[Run, BaseProcess, float]] = {}
    while waiting or running:
        while waiting and len(running) < at_once:
            name, operator = key = waiting.popleft()
            receiver, process = _start(name, operator)
            deadline = time.monotonic() + _ROWS[name].seconds + _GRACE
            running[receiver] = (key, process, deadline)
        ready = wait(list(running), timeout=1)
        for receiver in [receiver for receiver in running if receiver in ready]:
            (name, operator), process, _ = running.pop(receiver)
            try:
                found = receiver.recv()
            except EOFError:
                found = "killed, because it did not end"
            if isinstance(found, Found):
                yield (name, operator), found
            else:
                print(f"{name} ({operator}): {found}", file=sys.stderr)
            process.kill()
            process.join()
        for _, process, deadline in running.values():
            if time.monotonic() > deadline:
                process.kill()


def _start(name: str, operator: str) -> tuple[Connection, BaseProcess]:
    # Forked, because importing Airflow takes longer than most runs. If a module must be missing,
    # the modules that would have imported it must not be loaded either.
    fork, spawn = multiprocessing.get_context("fork"), multiprocessing.get_context("spawn")
    receiver, sender = fork.Pipe(duplex=False)
    make = spawn.Process if _lacks(name) else fork.Process
    process: BaseProcess = make(target=_work, args=(name, operator, sender))
    process.start()
    sender.close()
    return receiver, process


def _work(name: str, operator: str, sender: Connection) -> None:
    row = _ROWS[name]
    try:
        if lacks := _lacks(name):
            sys.modules.update(dict.fromkeys(lacks))  # type: ignore[arg-type]
            prepare(operator)
        sender.send(
            wait_measurement.follow(row, operator) if isinstance(row, Wait) else run(row, operator)
        )
    except Exception:
        # Sent to the parent, because the run may already have replaced standard error.
        sender.send(traceback.format_exc())


def _is_heavy(name: str, operator: str) -> bool:
    row = _ROWS[name]
    return operator == THEIRS and isinstance(row, Fault) and row.heavy


def _lacks(name: str) -> Sequence[str]:
    row = _ROWS[name]
    return row.without if isinstance(row, Fault) else ()


def _main() -> None:
    runs: list[Run] = [(fault, operator) for fault, operator in json.load(sys.stdin)]
    for operator in {operator for _, operator in runs}:
        prepare(OURS if operator in MODES else operator)
        if operator in MODES:
            wait_measurement.prepare()
    heavy = [key for key in runs if _is_heavy(*key)]
    light = [key for key in runs if key not in heavy]
    with Path(sys.argv[1]).open("w") as results:
        for (fault, operator), found in chain(_run(light, _AT_ONCE), _run(heavy, 1)):
            print(json.dumps([fault, operator, asdict(found)]), file=results)


if __name__ == "__main__":
    _main()
