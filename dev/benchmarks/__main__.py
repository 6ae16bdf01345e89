"""Measure everything, and write the page and the plot: ``python -m dev.benchmarks``."""

from __future__ import annotations

import argparse
import sys
import time

from dev.benchmarks import surroundings


def main() -> int:
    """Run the command.

    :return: exit code, 0 when every requirement holds.
    """
    argparse.ArgumentParser(
        prog="python -m dev.benchmarks",
        description="Measure what the provider costs, and write docs/performance.md.",
    ).parse_args()
    start = time.monotonic()
    with surroundings.prepared():
        # Airflow may not be imported before.
        from dev.benchmarks import page, plot, requirement
        from dev.benchmarks.run import measure

        figures, accepted = measure()
        page.PATH.write_text(page.render(figures))
        plot.PATH.write_text(plot.render(figures, accepted))
    failures = requirement.failures(figures)
    print(
        f"Wrote docs/{page.PATH.name} and docs/images/{plot.PATH.name} after "
        f"{time.monotonic() - start:.0f} s."
    )
    if not failures:
        print("Each limit holds, or is missed by others as well, as the page says.")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
