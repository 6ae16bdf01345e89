"""The test of killed processes, and of tasks that people stop and clear.

Gates in an Airflow with scheduler, workers and triggerer wait for data diffs of the sandbox, which
takes three seconds to cancel one. The test kills processes and stops and clears tasks. For each
case it counts how many data diffs were made, and checks that none is left running. Two cases do the
same with runs of a monitor and of CI. Two more DAGs start when a monitor alerts: no alert may be
lost while triggerers are killed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from pathlib import Path
from threading import Thread

from dev.harness.kills.cases import CASES, ROUNDS, Case
from dev.harness.kills.scene import Scene
from dev.harness.kills.service import ControlledService
from dev.harness.kills.watch import WatchCase
from dev.local_airflow.main import play
from dev.local_airflow.programs import Programs


def main(chosen: Collection[str]) -> int:
    """Play some of the cases, and return the exit code, 0 if all passed."""
    service = ControlledService()
    return play("kills", 600, service.sandbox, partial(_run, chosen, service))


def _run(
    chosen: Collection[str], service: ControlledService, programs: Programs, home: Path
) -> int:
    scene = Scene(programs, home, service)
    scene.start_with({name for name, case in CASES.items() if isinstance(case, Case)})
    print(f"Airflow started in {programs.seconds:.0f} s\n", flush=True)
    passed: list[str] = []

    def play_all(cases: Iterable[Case | WatchCase]) -> None:
        for case in cases:
            if case.name not in chosen:
                continue
            try:
                print(f"{'ok':8}{case.name:32}{case.play(scene)}", flush=True)
                passed.append(case.name)
            except Exception as error:
                print(f"{'FAILED':8}{case.name:32}{type(error).__name__}: {error}", flush=True)

    for lines in ROUNDS:
        threads = [Thread(target=play_all, args=[line], daemon=True) for line in lines]
        for thread in threads:
            thread.start()
        programs.until("the cases ended", lambda: not any(map(Thread.is_alive, threads)))  # noqa: B023
    failed = len(chosen) - len(passed)
    print(f"\n{len(passed)} passed, {failed} failed in {programs.seconds:.0f} s")
    return 1 if failed else 0
