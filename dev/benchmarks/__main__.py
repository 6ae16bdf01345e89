"""Measure everything, and write the page and the plot: ``python -m dev.benchmarks``."""

from __future__ import annotations

import argparse
import sys
import time

from dev.benchmarks import environment


def main() -> int:
    """Run the command.

    :return: exit code, 0 when every limit is kept, else 1.
    """
    parser = argparse.ArgumentParser(
        prog="python -m dev.benchmarks",
        description="Measure what the provider costs, and write docs/performance.md.",
    )
    parser.add_argument("--waits", action="store_true", help="only the waits; write nothing")
    arguments = parser.parse_args()
    start = time.monotonic()
    with environment.prepared():
        # Airflow reads its environment when it is imported.
        from dev.benchmarks import page, plot, requirement, run

        if arguments.waits:
            figures = run.measure_waits()
        else:
            figures, seen = run.measure()
            page.PATH.write_text(page.render(figures))
            plot.draw(seen)
            print(f"Wrote {page.PATH.name} and {plot.PATH.name}.")
    missed = requirement.missed(figures)
    print(f"Measured in {time.monotonic() - start:.0f} s.")
    for sentence in missed:
        print(sentence, file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
