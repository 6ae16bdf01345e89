"""Runs of monitors that really count rows: those of data sources with a database behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dev.comparison.question import Question, Side
from dev.sandbox.real_diffs import Comparison

Spec = dict[str, Any]

_STATES = {"waiting": "queued", "processing": "checking", "cancelled": "cancelled"}


@dataclass(frozen=True)
class Expectation:
    """The number of rows without an alert.

    :param side: the table or query with the rows.
    :param least: the lower limit.
    :param most: the upper limit.
    """

    side: Side
    least: float = 0
    most: float = math.inf


def expectation(monitor: Spec, address: str) -> Expectation | None:
    """Return what a run of a monitor counts, ``None`` if its kind follows a course.

    A test alerts if its query returns rows, a metric ``row_count`` outside of absolute thresholds.

    :param monitor: the monitor.
    :param address: the database of its data source.
    """
    metric, alert = monitor.get("metric") or {}, monitor.get("alert") or {"type": "absolute"}
    if monitor["monitor_type"] == "test" and monitor.get("query"):
        return Expectation(Side(address, query=monitor["query"]), most=0)
    if metric.get("metric") != "row_count" or not metric.get("table"):
        return None
    if alert["type"] != "absolute":
        return None
    least, most = alert.get("min"), alert.get("max")
    return Expectation(
        Side(address, table=metric["table"].split("."), filter=metric.get("filter")),
        least=-math.inf if least is None else least,
        most=math.inf if most is None else most,
    )


class Count:
    """A run that really counts rows. Callers see a job like one with a course.

    :param expected: what it counts, and when it alerts.
    """

    def __init__(self, expected: Expectation) -> None:
        self._expected = expected
        # A comparison with itself counts the rows.
        self._comparison = Comparison(Question(sides=[expected.side, expected.side]))

    @property
    def status(self) -> str:
        """The current state."""
        match self._comparison.status:
            case "done":
                rows = self._comparison.outcome["diff_stats"]["table_a_row_count"]
                return "ok" if self._expected.least <= rows <= self._expected.most else "alert"
            case "failed":
                return "error"
            case status:
                return _STATES[status]

    @property
    def outcome(self) -> Mapping[str, Any]:
        """The error, if there is one."""
        error = self._comparison.outcome.get("error")
        return {"error": error["error_value"]} if error else {}

    def read(self) -> str:
        """Return the state to a caller."""
        return self.status

    def stop(self, status: str) -> None:
        """End the run at once, unless it has ended.

        :param status: the state from then on.
        """
        self._comparison.stop(status)
