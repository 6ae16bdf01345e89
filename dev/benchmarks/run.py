"""One run of all measurements."""

from __future__ import annotations

import sys

from dev.benchmarks import imports, parsing, rate_limit, tasks, updates
from dev.benchmarks.figure import Figure

PROCESSES, DAGS, UPDATES, TASKS = 15, 11, 500, 5
"""How many measurements of each a median is taken from."""


def measure() -> tuple[dict[str, Figure], list[float]]:
    """Measure everything, in about two minutes.

    :return: the figures by name, and when each update was accepted under the rate limit.
    """
    figures = _noted(imports.measure(PROCESSES))
    figures += _noted(parsing.measure(DAGS))
    figures += _noted(updates.measure(UPDATES))
    figures += _noted(tasks.measure(TASKS))
    limited, accepted = rate_limit.measure()
    figures += _noted(limited)
    return {figure.name: figure for figure in figures}, accepted


def _noted(figures: list[Figure]) -> list[Figure]:
    """Print the figures to standard error, because the run takes long."""
    for figure in figures:
        values = ", ".join(f"{figure.label(name)} {figure.shown(name)}" for name in figure.values)
        print(f"{figure.name}: {values.replace('`', '')}", file=sys.stderr, flush=True)
    return figures
