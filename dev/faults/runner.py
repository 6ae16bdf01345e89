"""Run many trials at once, each in a process of its own and within a time of its own."""

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
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import chain
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from dev.faults.fault import Fault
from dev.faults.run import THEIRS, Measurement, prepare, run
from dev.faults.table import FAULTS

Trial = tuple[str, str]
"""Name of the fault, name of the operator."""

_AT_ONCE = 20
"""Most trials spend their time waiting."""

_FAULTS = {fault.name: fault for fault in FAULTS}
_GRACE = 40.0
_LONGEST = 300.0
_FOREIGN = ("AIRFLOW", "REQUESTS_", "CURL_", "SSL_")


def measure(trials: Iterable[Trial]) -> dict[Trial, Measurement]:
    """Run trials in a throw-away Airflow home, away from this process.

    :param trials: which faults, with which operator.
    :return: what became of each; a trial that broke is missing.
    """
    with tempfile.TemporaryDirectory(prefix="datafold-faults-") as home:
        results = Path(home, "results.jsonl")
        subprocess.run(  # noqa: S603 - this package's own code
            [sys.executable, "-m", "dev.faults.runner", results],
            input=json.dumps(list(trials)).encode(),
            env=_environment(home),
            cwd=Path(__file__).parents[2],
            # Airflow's; what goes wrong with a trial is told on the other one.
            stdout=subprocess.DEVNULL,
            timeout=_LONGEST,
            check=True,
        )
        lines = map(json.loads, results.read_text().splitlines())
        return {(fault, operator): Measurement(**found) for fault, operator, found in lines}


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
        # Airflow's own masking would hide what an operator lets slip.
        "AIRFLOW__LOGGING__MIN_LENGTH_MASKED_SECRET": "10000",
        "NETRC": str(Path(home, "no-netrc")),
    }


def _run(trials: Iterable[Trial], at_once: int) -> Iterator[tuple[Trial, Measurement]]:
    waiting = deque(trials)
    running: dict[Connection, tuple[Trial, BaseProcess, float]] = {}
    while waiting or running:
        while waiting and len(running) < at_once:
            name, operator = trial = waiting.popleft()
            fault = _FAULTS[name]
            receiver, process = _start(fault, operator)
            running[receiver] = (trial, process, time.monotonic() + fault.seconds + _GRACE)
        ready = wait(list(running), timeout=1)
        for receiver in [receiver for receiver in running if receiver in ready]:
            (name, operator), process, _ = running.pop(receiver)
            try:
                found = receiver.recv()
            except EOFError:
                found = "killed, as it did not end"
            if isinstance(found, Measurement):
                yield (name, operator), found
            else:
                print(f"{name} ({operator}): {found}", file=sys.stderr)
            process.kill()
            process.join()
        for _, process, deadline in running.values():
            if time.monotonic() > deadline:
                process.kill()


def _start(fault: Fault, operator: str) -> tuple[Connection, BaseProcess]:
    # Forked, because to import Airflow takes longer than most trials do; but where a module must
    # be missing, what would have used it must not be there either.
    fork, spawn = multiprocessing.get_context("fork"), multiprocessing.get_context("spawn")
    receiver, sender = fork.Pipe(duplex=False)
    make = spawn.Process if fault.without else fork.Process
    process: BaseProcess = make(target=_work, args=(fault.name, operator, sender))
    process.start()
    sender.close()
    return receiver, process


def _work(name: str, operator: str, sender: Connection) -> None:
    fault = _FAULTS[name]
    try:
        sys.modules.update(dict.fromkeys(fault.without))  # type: ignore[arg-type]
        if fault.without:
            prepare(operator)
        sender.send(run(fault, operator))
    except Exception:
        # Sent, because the trial may have taken standard error away already.
        sender.send(traceback.format_exc())


def _main() -> None:
    trials: list[Trial] = [(fault, operator) for fault, operator in json.load(sys.stdin)]
    for operator in {operator for _, operator in trials}:
        prepare(operator)
    heavy = [trial for trial in trials if trial[1] == THEIRS and _FAULTS[trial[0]].heavy]
    light = [trial for trial in trials if trial not in heavy]
    with Path(sys.argv[1]).open("w") as results:
        for (fault, operator), found in chain(_run(light, _AT_ONCE), _run(heavy, 1)):
            print(json.dumps([fault, operator, asdict(found)]), file=results)


if __name__ == "__main__":
    _main()
