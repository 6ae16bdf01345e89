"""Measure the faults, write or check the page: ``python -m dev.faults [--check | --ours]``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping

from dev.faults import page
from dev.faults.outcome import differences
from dev.faults.run import DRIVERS, OURS, THEIRS, Measurement
from dev.faults.runner import Trial, measure
from dev.faults.table import FAULTS


def main() -> int:
    """Run the command.

    :return: exit code, 0 when all is as declared and, with ``--check``, as on the page.
    """
    parser = argparse.ArgumentParser(
        prog="python -m dev.faults",
        description="Measure what becomes of a task that meets a fault, and write the page.",
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--check", action="store_true", help="write nothing, compare with the page")
    only.add_argument("--ours", action="store_true", help="only our two drivers, without the page")
    arguments = parser.parse_args()
    carriers = DRIVERS if arguments.ours else (*DRIVERS, THEIRS)
    trials = [(fault.name, carrier) for carrier in carriers for fault in FAULTS]
    print(f"Measuring {len(FAULTS)} faults with {len(carriers)} clients...", flush=True)
    start = time.monotonic()
    measurements = measure(trials)
    print(f"Measured in {time.monotonic() - start:.0f} s.")

    failures = [f"{name} ({by}): broke" for name, by in trials if (name, by) not in measurements]
    failures += _differences(measurements)
    if len(measurements) == len(trials) and not arguments.ours:
        failures += _compare(measurements) if arguments.check else []
        if not (arguments.check or failures):
            page.PATH.write_text(page.render(measurements))
            print(f"Wrote {page.PATH.name}.")
    for driver in DRIVERS:
        print(_summary(driver, measurements))
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def _differences(measurements: Mapping[Trial, Measurement]) -> Iterator[str]:
    for fault in FAULTS:
        for driver in DRIVERS:
            if found := measurements.get((fault.name, driver)):
                for difference in differences(fault, found):
                    yield f"{fault} ({driver}): {difference}"


def _compare(measurements: Mapping[Trial, Measurement]) -> list[str]:
    old = page.PATH.read_text() if page.PATH.exists() else ""
    return list(page.changes(old, page.render(measurements)))


def _summary(driver: str, measurements: Mapping[Trial, Measurement]) -> str:
    found = [(fault, measurements.get((fault.name, driver))) for fault in FAULTS]
    held = sum(not list(differences(fault, of)) for fault, of in found if of)
    most = max((of.memory for _, of in found if of), default=0.0)
    name = "sync driver" if driver == OURS else "async driver"
    return f"{name}: {held} of {len(FAULTS)} faults as declared, at most {most:.0f} MB."


if __name__ == "__main__":
    sys.exit(main())
