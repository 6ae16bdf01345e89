"""A measured figure, and the contenders it has a value for."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")

OURS = "datafold"
BARE = "requests"
THEIRS = "http"
FLOOR = "floor"
SAME_FIELDS = "same fields"
ONE_FIELD = "one field"

NAMES = {
    OURS: "this provider",
    BARE: "`requests.put`",
    THEIRS: "`HttpOperator`",
    FLOOR: "the floor",
    SAME_FIELDS: "as many fields, no code",
    ONE_FIELD: "one field, no code",
}


@dataclass(frozen=True)
class Figure:
    """One thing that was measured.

    :param name: what it is; the key that a requirement names.
    :param unit: the unit of the values, empty for a plain number.
    :param values: the value by contender.
    :param floor: what the floor is here, empty where there is none.
    """

    name: str
    unit: str
    values: Mapping[str, float]
    floor: str = ""

    def shown(self, contender: str) -> str:
        """Show a value.

        :param contender: whose value.
        :return: three digits and the unit, empty where there is no value.
        """
        value = self.values.get(contender)
        if value is None:
            return ""
        return f"{f'{value:,.0f}' if value >= 100 else f'{value:.3g}'} {self.unit}".rstrip()

    def label(self, contender: str) -> str:
        """Name a contender.

        :param contender: whom.
        :return: the name, which for the floor is what the floor is here.
        """
        return self.floor if contender == FLOOR else NAMES[contender]


def interleave(ways: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Call each way in turn, A B C A B C, so that a noisy moment meets all of them.

    :param ways: what to call, by contender.
    :param rounds: how often; where it is more than once, a round comes before that does not
        count.
    :return: what each way gave, by contender.
    """
    for way in ways.values() if rounds > 1 else ():
        way()
    # What is there now is no garbage; to look through it again and again would take minutes.
    gc.collect()
    gc.freeze()
    found: dict[str, list[T]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(way())
    gc.unfreeze()
    return found


def medians(found: Mapping[str, list[float]]) -> dict[str, float]:
    """Give the median of each contender's values.

    :param found: what :func:`interleave` gives.
    :return: the median by contender.
    """
    return {name: median(values) for name, values in found.items()}


def stopwatch(way: Callable[[], object]) -> Callable[[], float]:
    """Make a stopwatch of a function.

    :param way: what to measure.
    :return: a function that calls it and gives the milliseconds that it took.
    """

    def watch() -> float:
        gc.collect()  # what another contender has left
        start = perf_counter()
        way()
        return (perf_counter() - start) * 1e3

    return watch
