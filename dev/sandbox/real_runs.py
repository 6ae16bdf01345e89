"""Runs of monitors that really count rows: those of data sources with a database behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dev.comparison.comparison import Comparison
from dev.comparison.question import Question

Spec = dict[str, Any]

_STATES = {"waiting": "queued", "processing": "checking", "failed": "error"}


class Count(Comparison):
    """A run that alerts unless the rows that are asked for are as many as they may be."""

    def __init__(self, question: Question, least: float, most: float) -> None:
        self._limits = least, most
        super().__init__({**question, "fields": "count(*) as number"})

    @property
    def status(self) -> str:
        if self.answer is None:
            return _STATES.get(super().status, super().status)
        least, most = self._limits
        return "ok" if least <= self.answer["rows"][0]["number"] <= most else "alert"

    @property
    def outcome(self) -> Mapping[str, Any]:
        return {"error": self.error["error_value"]} if self.error else {}


def count(monitor: Spec, address: str) -> Count | None:
    """Start a run of a monitor, unless its kind follows a course.

    A test alerts if its query returns rows, a metric ``row_count`` outside of absolute thresholds.
    """
    metric, alert = monitor.get("metric") or {}, monitor.get("alert") or {"type": "absolute"}
    if monitor["monitor_type"] == "test" and monitor.get("query"):
        return Count({"address1": address, "query1": monitor["query"]}, least=0, most=0)
    is_count = metric.get("metric") == "row_count" and metric.get("table")
    if not is_count or alert["type"] != "absolute":
        return None
    question = {"table1": metric["table"].split("."), "filter1": metric.get("filter")}
    least, most = alert.get("min"), alert.get("max")
    return Count(
        {"address1": address, **question},
        least=-math.inf if least is None else least,
        most=math.inf if most is None else most,
    )
