"""One run of all measurements."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dev.benchmarks import imports, parsing, rate_limit, tasks, updates, waits
from dev.benchmarks.figure import Figure

PROCESSES, DAGS, UPDATES, TASKS = 15, 11, 500, 5
"""How many measurements of each a median is taken from."""


@dataclass(frozen=True)
class Measured:
    """What one run has measured.

    :param figures: the figures by name.
    :param accepted: when each update was accepted under the rate limit, in seconds.
    :param waits: what was seen of the waits over https by contender.
    """

    figures: Mapping[str, Figure]
    accepted: Sequence[float]
    waits: Mapping[str, waits.Waits]


def measure() -> Measured:
    """Measure everything, in about ten minutes.

    :return: what was measured.
    """
    figures = _noted(imports.measure(PROCESSES))
    figures += _noted(parsing.measure(DAGS))
    figures += _noted(updates.measure(UPDATES))
    figures += _noted(tasks.measure(TASKS))
    limited, accepted = rate_limit.measure()
    figures += _noted(limited)
    waited, seen = waits.measure()
    figures += _noted(waited)
    return Measured({figure.name: figure for figure in figures}, accepted, seen)


def _noted(figures: list[Figure]) -> list[Figure]:
    """Print the figures to standard error, because the run takes long."""
    for figure in figures:
        values = ", ".join(f"{figure.label(name)} {figure.shown(name)}" for name in figure.values)
        print(f"{figure.name}: {values.replace('`', '')}", file=sys.stderr, flush=True)
    return figures
