"""Half an hour of gates, monitor runs and schedule changes.

One Airflow does them again and again, against a sandbox that refuses five per cent of the calls.
Memory and open files of the workers, the triggerer and a hook are compared, first quarter against
last, and nothing may be lost. A shorter soak leaves docs/reliability.md as it is.
"""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from dev.faults.page import PATH, with_last_section
from dev.harness import page
from dev.harness.cluster import DAGS
from dev.harness.deployment import Deployment
from dev.harness.growth import Part, Watch
from dev.harness.hook import READS
from dev.harness.metadata import Metadata
from dev.harness.plan import SOAK
from dev.harness.result import Result, report
from dev.harness.service import PlannedService
from dev.local_airflow.programs import Programs
from dev.sandbox.disturbance import Disturbance

MINUTES = 30.0
_EVERY = 30.0
"""Seconds between the starts of two DAG runs."""
_FLAKY = 0.05
_TO_START_AND_END = 900.0
"""Seconds at most, besides the minutes asked for."""
_SETTINGS = {"AIRFLOW__CORE__EXECUTOR": "LocalExecutor", "AIRFLOW__CORE__PARALLELISM": "4"}


class Test:
    """What ``python -m dev.harness soak`` runs, for so many minutes."""

    def __init__(self, minutes: float) -> None:
        self._minutes = minutes
        self.longest = 60 * minutes + _TO_START_AND_END
        self.service = PlannedService(SOAK, Disturbance(flaky=_FLAKY))

    def run(self, programs: Programs, home: Path) -> int:
        """Run the soak, and return the exit code."""
        service, minutes = self.service, self._minutes
        airflow = Deployment(programs, home, DAGS, service.sandbox, _SETTINGS)
        metadata = Metadata(airflow.database)
        watch = Watch(_start(airflow))
        airflow.trigger(SOAK.dag_id, "1")
        # The first tasks of all import what later ones share.
        programs.until("the first DAG run ended", metadata.has_ended, every=1.0)
        print(
            f"Airflow is warm after {programs.seconds:.0f} s; {minutes:g} minutes to go", flush=True
        )

        def wait_until(moment: float) -> None:
            def is_over() -> bool:
                watch.look()
                return time.monotonic() >= moment

            programs.until("the next DAG run was due", is_over)

        run, begin = 1, time.monotonic()
        end = begin + 60 * minutes
        while (due := begin + run * _EVERY) < end:
            run += 1
            airflow.trigger(SOAK.dag_id, str(run))
            wait_until(due)
        growths = watch.growths()
        programs.until("the DAG runs ended", metadata.has_ended, every=1.0)

        result = Result(SOAK, run, metadata, service, programs.logs)
        reads = service.statuses("GET", READS)[200]
        counts = {**result.counts(), "reads of the hook": f"{reads}"}
        figures = {name: f"{first}; then {last}" for name, (first, last) in growths.items()}
        exit_code = report(
            {**counts, **figures, "seconds": f"{programs.seconds:.0f}"},
            {
                **result.criteria(),
                "the service refused 5 % of the requests": result.refused > 0.8 * _FLAKY,
                **{f"{name}: memory and files flat": growths[name].is_flat for name in growths},
            },
        )
        if not exit_code and minutes >= MINUTES:
            section = page.render(minutes, counts, growths)
            PATH.write_text(with_last_section(PATH.read_text(), section))
            print(f"Wrote {PATH.name}.")
        return exit_code


def _start(airflow: Deployment) -> dict[str, Part]:
    """Start everything, and return what calls Datafold, or has tasks that do so, by name."""
    parts = airflow.start("dag-processor", "scheduler", "triggerer")
    hook = airflow.programs.start(airflow.python("hook", "dev.harness.hook"))
    scheduler = psutil.Process(parts["scheduler"].pid)
    return {
        # The processes that the scheduler started: not their own children.
        "workers": lambda: [child.pid for child in scheduler.children()],
        "triggerer": parts["triggerer"].pids,
        "hook": lambda: [hook.pid],
    }
