"""The test with real processes: ``make test-kill``.

Gates in an Airflow with scheduler, workers and triggerer wait for data diffs of the sandbox, which
takes three seconds to cancel one. The test kills processes and stops and clears tasks. For each
case it counts how many data diffs were made, and checks that none is left running. Two cases do the
same with runs of a monitor and of CI. Two more DAGs start when a monitor alerts: no alert may be
lost while triggerers are killed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

from dev.kills.cases import CASES, ROUNDS, Case
from dev.kills.result import HEADER, Result, play
from dev.kills.scene import Scene
from dev.kills.service import Service
from dev.kills.watch import WatchCase, WatchResult, play_watch
from dev.local_airflow import ROOT
from dev.local_airflow.programs import ProgramError, Programs

LOGS = ROOT / "build" / "kills"
LONGEST_RUN = 600.0


def main() -> int:
    """Run the test.

    :return: exit code, 0 if all cases passed.
    """
    parser = argparse.ArgumentParser(prog="python -m dev.kills", description=__doc__)
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help=f"default: all of {', '.join(CASES)}"
    )
    chosen = parser.parse_args().cases or list(CASES)
    if unknown := [name for name in chosen if name not in CASES]:
        parser.error(f"unknown case: {', '.join(unknown)}")
    shutil.rmtree(LOGS, ignore_errors=True)
    (LOGS / "elsewhere").mkdir(parents=True)
    print(f"All programs write their logs to {LOGS.relative_to(ROOT)}\n")
    programs = Programs(LOGS, LONGEST_RUN)
    programs.obey_signals()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="datafold-kills-")))
        service = Service()
        stack.enter_context(service.sandbox)
        elsewhere = stack.enter_context(Programs(LOGS / "elsewhere", LONGEST_RUN))
        stack.enter_context(programs)
        try:
            results = _run(programs, Scene(programs, elsewhere, home, service), set(chosen))
        except ProgramError as error:
            print(f"\n{programs.last_lines()}\n\n{error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nInterrupted. All processes have been stopped.", file=sys.stderr)
            return 130
    passed = sum(result.is_right for result in results)
    print(f"\n{passed} passed, {len(results) - passed} failed in {programs.seconds:.0f} s")
    return 0 if passed == len(chosen) else 1


def _run(programs: Programs, scene: Scene, chosen: set[str]) -> list[Result | WatchResult]:
    scene.start()
    print(f"Airflow started in {programs.seconds:.0f} s\n\n{HEADER}", flush=True)
    results: list[Result | WatchResult] = []

    def play_all(cases: Iterable[Case | WatchCase]) -> None:
        for case in cases:
            if case.name in chosen:
                results.append(_play(case, scene))
                print(results[-1], flush=True)

    for lines in ROUNDS:
        threads = [Thread(target=play_all, args=[line], daemon=True) for line in lines]
        for thread in threads:
            thread.start()
        programs.until("the cases ended", lambda: not any(map(Thread.is_alive, threads)))  # noqa: B023
    return results


def _play(case: Case | WatchCase, scene: Scene) -> Result | WatchResult:
    return play_watch(case, scene) if isinstance(case, WatchCase) else play(case, scene)


if __name__ == "__main__":
    sys.exit(main())
