"""Measure the faults, and write or check the page: ``python -m dev.faults [--check]``."""

from __future__ import annotations

import argparse
import sys
import time

from dev.faults import page
from dev.faults.laboratory import measure
from dev.faults.table import FAULTS
from dev.faults.trial import OURS, OURS_ASYNC, THEIRS
from dev.faults.verdict import differences


def main() -> int:
    """Run the command.

    :return: exit code, 0 when all is as declared and, with ``--check``, as on the page.
    """
    parser = argparse.ArgumentParser(
        prog="python -m dev.faults",
        description="Measure what comes of a task on a bad day, and write docs/reliability.md.",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing, compare with the page instead"
    )
    check = parser.parse_args().check
    print(f"Measuring {len(FAULTS)} faults three times...", flush=True)
    start = time.monotonic()
    trials = [(fault.name, operator) for operator in (OURS, OURS_ASYNC, THEIRS) for fault in FAULTS]
    measurements = measure(trials)
    print(f"Measured in {time.monotonic() - start:.0f} s.")

    failures = [f"{trial[0]} ({trial[1]}): broke" for trial in trials if trial not in measurements]
    for fault in FAULTS:
        for operator in (OURS, OURS_ASYNC):
            if found := measurements.get((fault.name, operator)):
                failures += [f"{fault} ({operator}): {said}" for said in differences(fault, found)]
    if len(measurements) == len(trials):
        text = page.render(measurements)
        if check:
            failures += page.changes(page.PATH.read_text() if page.PATH.exists() else "", text)
        elif not failures:
            page.PATH.parent.mkdir(exist_ok=True)
            page.PATH.write_text(text)
            print(f"Wrote {page.PATH.name}.")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
