"""Runs of monitors that really count rows: those of data sources with a database behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dev.comparison.comparison import Comparison
from dev.comparison.question import Question, Side

Spec = dict[str, Any]

_STATES = {"waiting": "queued", "processing": "checking", "failed": "error"}


class Count(Comparison):
    """A run that really counts rows: a comparison of them with themselves.

    :param side: the table or query with the rows.
    :param least: the lower limit.
    :param most: the upper limit.
    """

    def __init__(self, side: Side, least: float, most: float) -> None:
        super().__init__(Question(sides=[side, side]))
        self._limits = least, most

    @property
    def status(self) -> str:
        """The current state."""
        found = super().status
        if found != "done" or self.answer is None:
            return _STATES.get(found, found)
        least, most = self._limits
        is_fine = least <= self.answer["diff_stats"]["table_a_row_count"] <= most
        return "ok" if is_fine else "alert"

    @property
    def outcome(self) -> Mapping[str, Any]:
        """The error, if there is one."""
        return {"error": self.error["error_value"]} if self.error else {}


def count(monitor: Spec, address: str) -> Count | None:
    """Start a run of a monitor, unless its kind follows a course.

    A test alerts if its query returns rows, a metric ``row_count`` outside of absolute thresholds.

    :param monitor: the monitor.
    :param address: the database of its data source.
    """
    metric, alert = monitor.get("metric") or {}, monitor.get("alert") or {"type": "absolute"}
    if monitor["monitor_type"] == "test" and monitor.get("query"):
        return Count(Side(address, query=monitor["query"]), least=0, most=0)
    if metric.get("metric") != "row_count" or not metric.get("table"):
        return None
    if alert["type"] != "absolute":
        return None
    least, most = alert.get("min"), alert.get("max")
    return Count(
        Side(address, table=metric["table"].split("."), filter=metric.get("filter")),
        least=-math.inf if least is None else least,
        most=math.inf if most is None else most,
    )
