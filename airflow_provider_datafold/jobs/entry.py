"""What came of a task that checks data: the rule that the summary and the page share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_datafold.jobs.gate.figures import number, part

VERDICT, LEFT_OUT = "verdict", "left_out"
"""Keys in XCom."""

HAS_ENDED = ("success", "failed", "skipped")
"""The states in which a task has XComs of its own; in others they may be those of an earlier run,
which Airflow keeps until the task starts again."""

SOURCES = ("DatafoldTablesOperator", "DatafoldDbtModelsOperator")
"""The operators that return the arguments of gates, and check nothing themselves."""

DIFFERENCES = ("differs", "alert")
_OUTCOMES = (
    *("failed", "cancelled", "blocked", "not_compared", "empty"),
    *(*DIFFERENCES, "passes"),
)
"""The worst first: of what was not compared nobody knows anything."""

_ROWS = ("rows_added", "rows_removed", "diff_rows_count")
_TOLD = ("kind", "id", "monitor_id", "url", "table1", "table2")
_LONGEST_REASON = 200


@dataclass(frozen=True)
class Entry:
    """A gate or a monitor's run, or what should have been one.

    :param task_id: its task.
    :param map_index: its place among the mapped ones, -1 if it is not mapped.
    :param state: its state in Airflow.
    :param verdict: what it told; empty if it told nothing.
    :param is_empty_map: whether it stands for a mapped task without instances.
    """

    task_id: str
    map_index: int
    state: str | None
    verdict: Mapping[str, Any] = field(default_factory=dict)
    is_empty_map: bool = False

    @property
    def outcome(self) -> str | None:
        """The verdict's word, ``None`` if there is none that counts.

        That of a task which did not skip itself, but is skipped, is from before a clear.
        """
        is_old = self.state == "skipped" and not self.verdict.get("skips")
        said = self.verdict.get("outcome") if self.state in HAS_ENDED and not is_old else None
        return said if said in _OUTCOMES else None

    @property
    def counts_as(self) -> str:
        """Either ``"passed"``, ``"failed"`` or ``"skipped"``."""
        if self.is_empty_map:
            return "failed"
        if self.state == "success" and (self.outcome == "passes" or self._is_accepted):
            return "passed"
        if self.state == "skipped" and self.outcome is None:
            return "skipped"
        # Datafold skips a monitor's run that it thinks unnecessary. A gate is never unnecessary.
        is_monitor = self.verdict.get("kind") == "monitor_run"
        if is_monitor and self.outcome == "not_compared" and self.state != "failed":
            return "skipped"
        return "failed"

    @property
    def is_different(self) -> bool:
        """Whether it found a difference, or raised an alert, and nobody accepted it."""
        return self.outcome in DIFFERENCES and not self._is_accepted

    @property
    def label(self) -> str:
        """The new data's table or the monitor, or the task if that is not known."""
        if self.outcome:
            for name in ("table2", "table1", "name"):
                if self.verdict.get(name):
                    return str(self.verdict[name])
            if self.verdict.get("monitor_id"):
                return f"monitor {self.verdict['monitor_id']}"
        return f"{self.task_id}[{self.map_index}]" if self.map_index >= 0 else self.task_id

    @property
    def word(self) -> str:
        """What came of it, in one word."""
        if self.counts_as == "skipped":
            return "skipped"
        if self.is_empty_map:
            return "not_compared"
        if self.counts_as == "passed":
            return "accepted" if self._is_accepted else "passes"
        return "failed" if self.outcome in (None, "passes") else str(self.outcome)

    @property
    def reason(self) -> str:
        """Why, in one line."""
        if self.is_empty_map:
            return "no task ran: there was nothing to map, or a branch skipped it"
        if self.outcome is None:
            return f"no verdict: the task is {self.state or 'not started'}"
        if self.outcome == "passes" and self.state != "success":
            return f"its check passes, but the task is {self.state}"
        person = part(self.verdict, "accepted_by").get("name")
        by = f"accepted by {person}: " if self._is_accepted else ""
        return " ".join(f"{by}{self.verdict.get('reason')}".split())[:_LONGEST_REASON]

    @property
    def url(self) -> Any:
        """The page of its data diff, if it told one that counts."""
        return self.verdict.get("url") if self.outcome else None

    @property
    def rank(self) -> tuple[Any, ...]:
        """The worse, the smaller."""
        place = _OUTCOMES.index(self.outcome) if self.outcome else 0
        rows = sum(number(part(self.verdict, "figures").get(name)) or 0 for name in _ROWS)
        order = ("failed", "skipped", "passed").index(self.counts_as)
        return (order, place, -rows, self.task_id, self.map_index)

    def data(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        told = self.verdict if self.outcome else {}
        return {
            "task_id": self.task_id,
            "map_index": self.map_index,
            "state": self.state,
            "label": self.label,
            "outcome": self.word,
            "reason": self.reason,
            **{name: told.get(name) for name in _TOLD},
        }

    @property
    def _is_accepted(self) -> bool:
        """Whether a person accepted the difference."""
        return bool(self.state == "success" and self.verdict.get("accepted_by"))


@dataclass(frozen=True)
class Task:
    """What a task's instances left behind, by their map index.

    :param task_id: the task.
    :param is_mapped: whether Airflow expands it.
    :param states: the states of its instances.
    :param verdicts: what they told as ``verdict``.
    :param left_out: what they told as ``left_out``.
    :param operator: the name of its class.
    """

    task_id: str
    is_mapped: bool
    states: Mapping[int, str | None]
    verdicts: Mapping[int, Any]
    left_out: Mapping[int, Any]
    operator: str | None = None

    def entries(self) -> Iterator[Entry]:
        """Return those that check something, or should have."""
        states = {index: state for index, state in self.states.items() if state != "removed"}
        # Airflow shows a mapped task without instances as a skipped one that is not mapped.
        if not states or (self.is_mapped and states == {-1: "skipped"}):
            yield Entry(self.task_id, -1, states.get(-1), is_empty_map=self.is_mapped)
            return
        for index, state in states.items():
            told = self.verdicts.get(index)
            entry = Entry(self.task_id, index, state, told if isinstance(told, Mapping) else {})
            is_source = state == "success" and isinstance(self.left_out.get(index), list)
            if entry.outcome or not (is_source or self._tells_nothing(index)):
                yield entry

    def unfinished(self) -> Iterator[str]:
        """Say which task did not come to what it would have left out, or have compared."""
        for index, state in self.states.items():
            if state not in ("success", "skipped", "removed") and self._tells_nothing(index):
                yield f"{self.task_id} is {state}, so nobody knows what it would have compared"

    def _tells_nothing(self, index: int) -> bool:
        """Whether it is no gate, and was stopped, say, before it left anything out.

        What it left out before a clear is an old one if it is skipped now.
        """
        is_old = self.states[index] == "skipped"
        return self.operator in SOURCES and (is_old or not self.left_out.get(index))

    def all_left_out(self) -> Iterator[dict[str, str]]:
        """Return the name and the reason of each thing that was left out.

        No task of ours that leaves something out skips itself.
        """
        for index, state in self.states.items():
            told = self.left_out.get(index) if state in ("success", "failed") else None
            for each in told if isinstance(told, list) else ():
                if isinstance(each, Mapping):
                    yield {name: str(each.get(name)) for name in ("name", "reason")}
