"""Measure the faults, write or check the page: ``python -m dev.faults [--check | --ours]``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping

from dev.faults import page
from dev.faults.measurement import DRIVERS, OURS, THEIRS, Measurement
from dev.faults.outcome import differences
from dev.faults.processes import Run, measure, measure_waits
from dev.faults.section import Waits
from dev.faults.table import FAULTS
from dev.faults.wait_measurement import differences as wait_differences
from dev.faults.wait_table import WAITS


def main() -> int:
    """Run the command.

    :return: exit code, 0 if all outcomes are as declared and, with ``--check``, as on the page.
    """
    parser = argparse.ArgumentParser(
        prog="python -m dev.faults",
        description="Measure how tasks end under faults, and write docs/reliability.md.",
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--check", action="store_true", help="compare with the page, write nothing")
    only.add_argument("--ours", action="store_true", help="leave HttpOperator and the page out")
    arguments = parser.parse_args()
    carriers = DRIVERS if arguments.ours else (*DRIVERS, THEIRS)
    runs = [(fault.name, carrier) for carrier in carriers for fault in FAULTS]
    wait_runs = [(wait.name, mode) for wait in WAITS for mode in wait.modes]
    print(f"Measuring {len(FAULTS)} faults with {len(carriers)} clients...", flush=True)
    start = time.monotonic()
    measurements = measure(runs)
    print(f"Measured in {time.monotonic() - start:.0f} s.")
    print(f"Measuring {len(WAITS)} faults in {len(wait_runs)} waits...", flush=True)
    start = time.monotonic()
    waits = measure_waits(wait_runs)
    print(f"Measured in {time.monotonic() - start:.0f} s.")

    failures = [f"{name} ({by}): broke" for name, by in runs if (name, by) not in measurements]
    failures += [f"{name} ({by}): broke" for name, by in wait_runs if (name, by) not in waits]
    is_complete = not failures
    failures += _differences(measurements)
    failures += (wrong := list(_wait_differences(waits)))
    if is_complete and not arguments.ours:
        new = page.render(measurements, waits)
        failures += _compare(new) if arguments.check else []
        if not (arguments.check or failures):
            page.PATH.write_text(new)
            print(f"Wrote {page.PATH.name}.")
    for driver in DRIVERS:
        print(_summary(driver, measurements))
    print(f"waiting: {len(waits) - len(wrong)} of {len(wait_runs)} waits as declared.")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def _differences(measurements: Mapping[Run, Measurement]) -> Iterator[str]:
    for fault in FAULTS:
        for driver in DRIVERS:
            if found := measurements.get((fault.name, driver)):
                for difference in differences(fault, found):
                    yield f"{fault} ({driver}): {difference}"


def _wait_differences(waits: Waits) -> Iterator[str]:
    for wait in WAITS:
        for mode in wait.modes:
            found = waits.get((wait.name, mode))
            if found and (differing := list(wait_differences(wait, mode, found))):
                yield f"{wait} ({mode}): {'; '.join(differing)}"


def _compare(new: str) -> list[str]:
    return list(page.changes(_old(), new))


def _old() -> str:
    return page.PATH.read_text() if page.PATH.exists() else ""


def _summary(driver: str, measurements: Mapping[Run, Measurement]) -> str:
    found = [(fault, measurements.get((fault.name, driver))) for fault in FAULTS]
    held = sum(not list(differences(fault, of)) for fault, of in found if of)
    most = max((of.memory for _, of in found if of), default=0.0)
    name = "in a worker" if driver == OURS else "in an event loop"
    return f"{name}: {held} of {len(FAULTS)} faults as declared, at most {most:.0f} MB."


if __name__ == "__main__":
    sys.exit(main())
