"""One run of all measurements."""

from __future__ import annotations

import sys

from benchmarks import imports, parsing, rate_limit, tasks, updates
from benchmarks.figure import Figure


def measure() -> tuple[dict[str, Figure], list[float]]:
    """Measure everything, in about two minutes.

    :return: the figures by name, and when each update was accepted under the rate limit.
    """
    figures = _noted(imports.measure(rounds=15))
    figures += _noted(parsing.measure(rounds=11))
    figures += _noted(updates.measure(rounds=500))
    figures += _noted(tasks.measure(rounds=5))
    limited, accepted = rate_limit.measure()
    figures += _noted(limited)
    return {figure.name: figure for figure in figures}, accepted


def _noted(figures: list[Figure]) -> list[Figure]:
    """Show on standard error how far the run is."""
    for figure in figures:
        values = ", ".join(f"{name} {value:.3g}" for name, value in figure.values.items())
        print(f"{figure.name}: {values} {figure.unit}", file=sys.stderr, flush=True)
    return figures
