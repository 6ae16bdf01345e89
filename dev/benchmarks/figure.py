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
EMPTY = "empty"
DBT = "dbt"
DBT_SHIPPED = "dbt shipped"

NAMES = {
    OURS: "this provider",
    BARE: "`requests.put`",
    THEIRS: "`HttpOperator`",
    FLOOR: "the floor",
    EMPTY: "`EmptyOperator`",
    DBT: "`dbt-cloud`, every 2 s",
    DBT_SHIPPED: "`dbt-cloud` as shipped",
}


@dataclass(frozen=True)
class Figure:
    """A measured figure.

    :param name: its name, by which a requirement refers to it.
    :param unit: the unit of the values, empty for a plain number.
    :param values: the value by contender.
    :param floor: what the floor is here, empty where there is none.
    """

    name: str
    unit: str
    values: Mapping[str, float]
    floor: str = ""

    def shown(self, contender: str) -> str:
        """Return a value as text.

        :param contender: the contender whose value it is.
        :return: three digits and the unit, empty where there is no value.
        """
        value = self.values.get(contender)
        if value is None:
            return ""
        return f"{f'{value:,.0f}' if value >= 100 else f'{value:.3g}'} {self.unit}".rstrip()

    def label(self, contender: str) -> str:
        """Return the name of a contender.

        :param contender: the contender.
        :return: the name; for the floor, what the floor is here.
        """
        return self.floor if contender == FLOOR else NAMES[contender]


def interleave(ways: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Call each way in turn, A B C A B C, so that a noisy moment meets all of them.

    :param ways: the functions to call, by contender.
    :param rounds: how many rounds count; more than one are preceded by a round that does not.
    :return: what each function returned, by contender.
    """
    for way in ways.values() if rounds > 1 else ():
        way()
    # Airflow's modules are no garbage; searching them again each time takes minutes.
    gc.collect()
    gc.freeze()
    found: dict[str, list[T]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(way())
    gc.unfreeze()
    return found


def medians(found: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the median of each contender's values.

    :param found: the result of :func:`interleave`.
    :return: the median by contender.
    """
    return {name: median(values) for name, values in found.items()}


def stopwatch(way: Callable[[], object]) -> Callable[[], float]:
    """Return a function that measures another.

    :param way: the function to measure.
    :return: a function that calls it and returns the milliseconds that it took.
    """

    def watch() -> float:
        gc.collect()  # else one contender would pay for what another has left
        start = perf_counter()
        way()
        return (perf_counter() - start) * 1e3

    return watch
