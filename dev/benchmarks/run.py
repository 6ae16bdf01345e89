"""One run of all measurements."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from dev.benchmarks import imports, serialize, update, waits
from dev.benchmarks.figure import Figure

PROCESSES, DAGS, UPDATES = 15, 11, 500
"""How many measurements of each a median is taken from."""


def measure_waits() -> Mapping[str, Figure]:
    """Measure the waits only.

    :return: the figures by name.
    """
    return {figure.name: figure for figure in _noted(waits.measure()[0])}


def measure() -> tuple[Mapping[str, Figure], Mapping[str, waits.Waits]]:
    """Measure everything, in some minutes.

    :return: the figures by name, and what was seen of the waits over https by contender.
    """
    figures = _noted(imports.measure(PROCESSES))
    figures += _noted(serialize.measure(DAGS))
    figures += _noted(update.measure(UPDATES))
    waited, seen = waits.measure()
    figures += _noted(waited)
    return {figure.name: figure for figure in figures}, seen


def _noted(figures: list[Figure]) -> list[Figure]:
    """Print the figures to standard error, because the run takes long."""
    for figure in figures:
        values = ", ".join(f"{figure.label(name)} {figure.shown(name)}" for name in figure.values)
        print(f"{figure.name}: {values.replace('`', '')}", file=sys.stderr, flush=True)
    return figures
