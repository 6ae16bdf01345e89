"""The soak: ``make soak``, which installs what it needs. It takes half an hour.

One Airflow does gates, monitor runs and schedule changes again and again, against a sandbox that
refuses five per cent of the calls. Memory and open files of the workers, the triggerer and a hook
are compared, first quarter against last, and nothing may be lost.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from dev.cluster.metadata import Metadata
from dev.cluster.result import Result, report
from dev.cluster.service import Service
from dev.faults.page import PATH
from dev.local_airflow import ROOT
from dev.local_airflow.programs import ProgramError, Programs
from dev.sandbox.disturbance import Disturbance
from dev.soak import page
from dev.soak.deployment import Deployment
from dev.soak.hook import READS
from dev.soak.plan import EVERY, SOAK
from dev.soak.watch import Growth, Watch

LOGS = ROOT / "build" / "soak"
MINUTES = 30.0
FLAKY = 0.05
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
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    print(f"All programs write their logs to {LOGS.relative_to(ROOT)}\n")
    programs = Programs(LOGS, 60 * minutes + _TO_START_AND_END)
    programs.obey_signals()
    service = Service(SOAK, Disturbance(flaky=FLAKY))
    with tempfile.TemporaryDirectory(prefix="datafold-soak-") as home, service.sandbox, programs:
        try:
            return _run(programs, Path(home), service, minutes)
        except ProgramError as error:
            print(f"\n{programs.last_lines()}\n\n{error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nInterrupted. All processes have been stopped.", file=sys.stderr)
            return 130


def _run(programs: Programs, home: Path, service: Service, minutes: float) -> int:
    deployment = Deployment(programs, home, service.sandbox)
    metadata = Metadata(deployment.database)
    watch = Watch(deployment.start())
    deployment.ask(1)
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
        deployment.ask(run)
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
        PATH.write_text(page.with_section(PATH.read_text(), page.render(minutes, counts, growths)))
        print(f"Wrote {PATH.name}.")
    return exit_code


def _figure(growth: Growth) -> str:
    (memory, more_memory), (files, more_files) = growth.memory, growth.files
    return (
        f"{growth.processes[0]}, then {growth.processes[1]} processes, "
        f"{memory:.1f}, then {more_memory:.1f} MB, {files}, then {more_files} files"
    )


if __name__ == "__main__":
    sys.exit(main())
