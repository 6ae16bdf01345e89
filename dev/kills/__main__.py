"""The test with real processes: ``make test-kill``.

Gates in an Airflow with scheduler, workers and triggerer wait for data diffs of the sandbox, which
takes three seconds to cancel one. The test kills processes and stops and clears tasks. For each
case it counts how many data diffs were made, and checks that none is left running. Two cases do the
same with runs of a monitor and of CI. Two more DAGs start when a monitor alerts: no alert may be
lost while triggerers are killed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from threading import Thread

from dev.kills.cases import CASES, ROUNDS, Case
from dev.kills.result import HEADER, Result
from dev.kills.scene import Scene
from dev.kills.service import Service
from dev.kills.watch import WatchCase
from dev.local_airflow.main import play
from dev.local_airflow.programs import Programs

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
    service = Service()

    def test(programs: Programs, home: Path) -> int:
        logs = programs.logs / "elsewhere"
        logs.mkdir()
        with Programs(logs, LONGEST_RUN) as elsewhere:
            return _run(programs, Scene(programs, elsewhere, home, service), set(chosen))

    return play("kills", LONGEST_RUN, service.sandbox, test)


def _run(programs: Programs, scene: Scene, chosen: set[str]) -> int:
    scene.start()
    print(f"Airflow started in {programs.seconds:.0f} s\n\n{HEADER}", flush=True)
    results: list[Result] = []

    def play_all(cases: Iterable[Case | WatchCase]) -> None:
        for case in cases:
            if case.name in chosen:
                results.append(case.play(scene))
                print(results[-1], flush=True)

    for lines in ROUNDS:
        threads = [Thread(target=play_all, args=[line], daemon=True) for line in lines]
        for thread in threads:
            thread.start()
        programs.until("the cases ended", lambda: not any(map(Thread.is_alive, threads)))  # noqa: B023
    passed = sum(result.is_right for result in results)
    print(f"\n{passed} passed, {len(results) - passed} failed in {programs.seconds:.0f} s")
    return 0 if passed == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
