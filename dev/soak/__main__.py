"""The soak: ``make soak``, which installs what it needs. It takes half an hour.

One Airflow does gates, monitor runs and schedule changes again and again, against a sandbox that
refuses five per cent of the calls. Memory and open files of the workers, the triggerer and a hook
are compared, first quarter against last, and nothing may be lost.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import psutil

from dev.cluster.metadata import Metadata
from dev.cluster.plan import SOAK
from dev.cluster.result import Result, report
from dev.cluster.service import Service
from dev.faults.fault import TOKEN
from dev.faults.page import PATH, with_last_section
from dev.local_airflow import TestedAirflow, connections_to
from dev.local_airflow.main import play
from dev.local_airflow.programs import Programs
from dev.sandbox.disturbance import Disturbance
from dev.soak import page
from dev.soak.hook import READS
from dev.soak.watch import Growth, Part, Watch

MINUTES = 30.0
EVERY = 30.0
"""Seconds between the starts of two DAG runs."""
FLAKY = 0.05
_WORKERS = 4
_TO_START_AND_END = 900.0
"""Seconds at most, besides the minutes asked for."""


def main() -> int:
    """Run the soak.

    :return: exit code, 0 when all is as it must be.
    """
    parser = argparse.ArgumentParser(prog="python -m dev.soak", description=__doc__)
    parser.add_argument(
        "minutes",
        nargs="?",
        type=float,
        default=MINUTES,
        help=f"{MINUTES:g} by default; with fewer {PATH.name} stays as it is",
    )
    minutes = parser.parse_args().minutes
    service = Service(SOAK, Disturbance(flaky=FLAKY))
    return play(
        "soak",
        60 * minutes + _TO_START_AND_END,
        service.sandbox,
        lambda programs, home: _run(programs, home, service, minutes),
    )


def _run(programs: Programs, home: Path, service: Service, minutes: float) -> int:
    settings = {
        **connections_to(service.sandbox, TOKEN),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(_WORKERS),
    }
    airflow = TestedAirflow(programs, home, "soak", settings)
    metadata = Metadata(airflow.database)
    watch = Watch(_start(programs, airflow))
    airflow.trigger(SOAK.dag_id, "1")
    # The first tasks of all import what later ones share.
    programs.until("the first DAG run ended", metadata.has_ended, every=1.0)
    print(f"Airflow is warm after {programs.seconds:.0f} s; {minutes:g} minutes to go", flush=True)

    def wait_until(moment: float) -> None:
        def is_over() -> bool:
            watch.look()
            return time.monotonic() >= moment

        programs.until("the next DAG run was due", is_over)

    run, begin = 1, time.monotonic()
    end = begin + 60 * minutes
    while (due := begin + run * EVERY) < end:
        run += 1
        airflow.trigger(SOAK.dag_id, str(run))
        wait_until(due)
    growths = watch.growths()
    programs.until("the DAG runs ended", metadata.has_ended, every=1.0)

    result = Result(SOAK, run, metadata, service, programs.logs)
    counts = {
        **result.counts(),
        "reads of the hook": f"{service.statuses('GET', READS)[200]}",
    }
    figures = {name: _figure(growth) for name, growth in growths.items()}
    exit_code = report(
        {**counts, **figures, "seconds": f"{programs.seconds:.0f}"},
        {
            **result.criteria(),
            "the service refused 5 % of the requests": result.refused > 0.8 * FLAKY,
            **{f"{name}: memory and files flat": growths[name].is_flat for name in growths},
        },
    )
    if not exit_code and minutes >= MINUTES:
        section = page.render(minutes, counts, growths)
        PATH.write_text(with_last_section(PATH.read_text(), section))
        print(f"Wrote {PATH.name}.")
    return exit_code


def _start(programs: Programs, airflow: TestedAirflow) -> dict[str, Part]:
    """Start everything, and return what calls Datafold, or has tasks that do so, by name."""
    parts = airflow.start("dag-processor", "scheduler", "triggerer")
    hook = programs.start(airflow.python("hook", "dev.soak.hook"))
    scheduler = psutil.Process(parts["scheduler"].pid)
    return {
        # The processes that the scheduler started: not their own children.
        "workers": lambda: [child.pid for child in scheduler.children()],
        "triggerer": parts["triggerer"].pids,
        "hook": lambda: [hook.pid],
    }


def _figure(growth: Growth) -> str:
    (memory, more_memory), (files, more_files) = growth.memory, growth.files
    return (
        f"{growth.processes[0]}, then {growth.processes[1]} processes, "
        f"{memory:.1f}, then {more_memory:.1f} MB, {files}, then {more_files} files"
    )


if __name__ == "__main__":
    sys.exit(main())
