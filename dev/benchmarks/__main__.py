"""Measure everything, and write the page and the plots: ``python -m dev.benchmarks``."""

from __future__ import annotations

import argparse
import sys
import time

from dev.benchmarks import environment


def main() -> int:
    """Run the command.

    :return: exit code, 0 when every limit is kept, else 1.
    """
    argparse.ArgumentParser(
        prog="python -m dev.benchmarks",
        description="Measure what the provider costs, and write docs/performance.md.",
    ).parse_args()
    start = time.monotonic()
    with environment.prepared():
        # Airflow reads its environment when it is imported.
        from dev.benchmarks import page, plot, requirement, scatter
        from dev.benchmarks.run import measure

        measured = measure()
        page.PATH.write_text(page.render(measured.figures))
        plot.PATH.write_text(plot.render(measured.figures, measured.accepted))
        scatter.PATH.write_text(scatter.render(measured.waits))
    missed = requirement.missed(measured.figures)
    print(
        f"Wrote docs/{page.PATH.name}, docs/images/{plot.PATH.name} and "
        f"docs/images/{scatter.PATH.name} after {time.monotonic() - start:.0f} s."
    )
    for sentence in missed:
        print(sentence, file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
