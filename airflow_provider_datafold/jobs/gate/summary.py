"""One summary of many gates, from their verdicts and their states in Airflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.exceptions import (
    DatafoldDifferenceError,
    DatafoldError,
    DatafoldInputError,
    DatafoldNotComparedError,
)
from airflow_provider_datafold.jobs.gate.figures import number, part
from airflow_provider_datafold.jobs.gate.report import KEY
from airflow_provider_datafold.jobs.gate.verdict import Outcome

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_MOST_ROWS = 200
_MOST_LINES = 20
_MOST_NAMES = 5
_LONGEST_REASON = 200
_HAS_RUN = ("success", "failed", "skipped")
"""The states in which a task has a verdict of its own; in others it may be that of an earlier run,
which Airflow keeps until the task starts again."""

_ORDER = (
    *(Outcome.FAILED, Outcome.CANCELLED, Outcome.BLOCKED, Outcome.NOT_COMPARED, Outcome.EMPTY),
    *(Outcome.DIFFERS, Outcome.PASSES),
)
_DIFFERENCES = ("rows_added", "rows_removed", "diff_rows_count")


@dataclass(frozen=True)
class Row:
    """A gate that ran, or should have.

    :param task_id: its task.
    :param map_index: its place among the mapped ones, -1 if it is not mapped.
    :param state: its state in Airflow.
    :param verdict: what it told; empty if it told nothing.
    """

    task_id: str
    map_index: int
    state: str | None
    verdict: Mapping[str, Any]

    @property
    def outcome(self) -> Outcome | None:
        """The verdict's word, ``None`` if there is none that counts."""
        said = self.verdict.get("outcome") if self.state in _HAS_RUN else None
        return next((each for each in _ORDER if each.value == said), None)

    @property
    def is_passed(self) -> bool:
        """Whether both the verdict and Airflow say so."""
        return self.state == "success" and self.outcome is Outcome.PASSES

    @property
    def is_skipped(self) -> bool:
        """Whether Airflow skipped it."""
        return self.state == "skipped"

    @property
    def is_different(self) -> bool:
        """Whether its sides differ by more than its limits allow."""
        return self.outcome is Outcome.DIFFERS

    @property
    def label(self) -> str:
        """The new data's table, or the task if that is not known."""
        table = self.verdict.get("table2") or self.verdict.get("table1")
        place = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return str(table) if table and self.outcome else f"{self.task_id}{place}"

    @property
    def word(self) -> str:
        """What came of it, in one word."""
        if self.is_skipped:
            return "skipped"
        is_known = self.outcome is not None and (self.is_passed or self.outcome != Outcome.PASSES)
        return self.outcome.value if self.outcome and is_known else "failed"

    @property
    def reason(self) -> str:
        """Why, in one line."""
        reason = str(self.verdict.get("reason"))[:_LONGEST_REASON]
        if self.outcome is Outcome.PASSES and not self.is_passed:
            return f"its data diff passes, but the task is {self.state}"
        if self.outcome is not None:
            return reason
        return f"no verdict: the task is {self.state or 'not started'}"

    @property
    def url(self) -> Any:
        """The page of its data diff, if it told one that counts."""
        return self.verdict.get("url") if self.outcome else None

    @property
    def rank(self) -> tuple[Any, ...]:
        """The worse, the smaller."""
        place = _ORDER.index(self.outcome) if self.outcome else 0
        rows = sum(number(part(self.verdict, "figures").get(name)) or 0 for name in _DIFFERENCES)
        return (self.is_passed, self.is_skipped, place, -rows, self.task_id, self.map_index)

    def data(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        told = self.verdict if self.outcome else {}
        return {
            "task_id": self.task_id,
            "map_index": self.map_index,
            "state": self.state,
            "outcome": self.word,
            "reason": self.reason,
            **{name: told.get(name) for name in ("id", "url", "table1", "table2")},
        }


class Summary:
    """What came of many gates.

    :param rows: the gates.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = sorted(rows, key=lambda row: row.rank)
        self.passed = sum(row.is_passed for row in rows)
        self.skipped = sum(row.is_skipped for row in rows)
        self.failed = len(rows) - self.passed - self.skipped

    @property
    def headline(self) -> str:
        """How many passed, in a sentence without a full stop."""
        count = len(self.rows)
        gates = f"{count} gate{'' if count == 1 else 's'}"
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} of {gates} passed, {self.failed} did not{skipped}"

    def table(self) -> str:
        """Return a line for each gate, the worst first."""
        cells = [(row.word, row.label, row.reason, row.url or "") for row in self.rows[:_MOST_ROWS]]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = (
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in cells
        )
        return "\n".join([f"{self.headline}.", *lines, *_more(self.rows[_MOST_ROWS:])])

    def text(self) -> str:
        """Return a message for people, in Markdown that reads well as plain text, too."""
        wrong = [row for row in self.rows if not row.is_passed]
        lines = (
            f"- `{row.label.replace('`', '')}` {row.word}: {row.reason} {row.url or ''}".rstrip()
            for row in wrong[:_MOST_LINES]
        )
        return "\n".join([f"{self.headline}.", *lines, *_more(wrong[_MOST_LINES:])])

    def data(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        counts = {"passed": self.passed, "failed": self.failed, "skipped": self.skipped}
        return {**counts, "gates": [row.data() for row in self.rows[:_MOST_ROWS]]}

    def error(self, *, may_differ: bool) -> DatafoldError | None:
        """Return what must stop the DAG.

        :param may_differ: whether differences stop nothing.
        """
        wrong = [row for row in self.rows if _stops(row) and not (may_differ and row.is_different)]
        if not wrong:
            return None
        names = "; ".join(f"{row.label} {row.word}: {row.reason}" for row in wrong[:_MOST_NAMES])
        more = "".join(f"; {words}" for words in _more(wrong[_MOST_NAMES:]))
        message = f"{self.headline}: {names}{more}. The log has all of them, with their data diffs."
        if all(row.is_different for row in wrong):
            return DatafoldDifferenceError(message)
        return DatafoldNotComparedError(message)


def summarize(context: Context, gates: Any, on_difference: Any, log: Any) -> dict[str, Any]:
    """Log a table of gates, push a message, and stop the DAG if a gate did not pass.

    :param context: Airflow's task context.
    :param gates: the ids of their tasks, as Airflow rendered them.
    :param on_difference: ``"fail"`` or ``"pass"``, as Airflow rendered it.
    :param log: the logger of the task, whose type differs between versions of Airflow.
    :return: the numbers of gates, and the gates.
    :raises AirflowSkipException: each gate was skipped.
    :raises DatafoldError: a gate did not pass, or an argument is wrong.
    """
    names = fields.texts("gates", gates)
    if not names:
        raise fields.input_error("gates", gates, "must name the gates' tasks, e.g. ['gate']")
    may_differ = fields.one_of("fail", "pass")("on_difference", on_difference) == "pass"
    summary = read(context, names)
    log.info("%s", summary.table())
    ti, data = context["ti"], summary.data()
    ti.xcom_push(key="text", value=summary.text())
    error = summary.error(may_differ=may_differ)
    if error is not None:
        ti.xcom_push(key="return_value", value=data)
        raise error
    if summary.skipped == len(summary.rows):
        raise AirflowSkipException(f"{summary.headline}. Nothing was compared.")
    return data


def read(context: Context, gates: Sequence[str]) -> Summary:
    """Read the states and verdicts of gates in this DAG run.

    :param context: Airflow's task context.
    :param gates: the ids of their tasks.
    :raises DatafoldInputError: the DAG has no such task.
    """
    known = sorted(context["dag"].task_ids)
    for gate in gates:
        if gate not in known:
            within = [each for each in known if each.endswith(f".{gate}")]
            hint = f" Did you mean {within[0]!r}?" if within else ""
            raise DatafoldInputError(f"gates: the DAG has no task {gate!r}.{hint}")
    ti = context["ti"]
    return Summary([row for gate in dict.fromkeys(gates) for row in _rows(ti, gate)])


def _rows(ti: Any, gate: str) -> Iterator[Row]:
    states = _states(ti, gate) or {-1: None}
    verdicts = _verdicts(ti, gate, states)
    for index, state in states.items():
        if state != "removed":
            told = verdicts.get(index)
            yield Row(gate, index, state, told if isinstance(told, Mapping) else {})


def _states(ti: Any, gate: str) -> dict[int, str | None]:
    """Return the states of a task's instances by their map index."""
    if hasattr(ti, "get_task_states"):
        # For one task at a time: the key of `gate` with map index 1 is that of the task `gate_1`.
        found = ti.get_task_states(dag_id=ti.dag_id, task_ids=[gate], run_ids=[ti.run_id])
        states = {
            -1 if key == gate else int(key.removeprefix(f"{gate}_")): state
            for key, state in found.get(ti.run_id, {}).items()
        }
    else:  # Airflow 2
        instances = ti.get_dagrun().get_task_instances()
        states = {each.map_index: each.state for each in instances if each.task_id == gate}
    return {index: state and getattr(state, "value", state) for index, state in states.items()}


def _verdicts(ti: Any, gate: str, states: Mapping[int, str | None]) -> dict[int, Any]:
    """Return the verdicts by map index, with as few requests as possible.

    Airflow returns all at once only in the order of their indices, without these.
    """

    def pull(index: int) -> Any:
        return ti.xcom_pull(task_ids=gate, key=KEY, map_indexes=index)

    found = [each for each in ti.xcom_pull(task_ids=[gate], key=KEY) or () if each is not None]
    indexes = sorted(states)
    if len(found) < len(indexes):
        # Those that have none are hardly ever among the successful ones.
        some = [each for each in indexes if found or states[each] in _HAS_RUN]
        indexes = [each for each in some if states[each] == "success" or pull(each) is not None]
    if len(found) == len(indexes):
        return dict(zip(indexes, found, strict=True))
    # Airflow 3.0 may return none of mapped tasks at once.
    return {index: pull(index) for index, state in states.items() if state in _HAS_RUN}


def _stops(row: Row) -> bool:
    """Say whether a gate did not pass. Skipped as its DAG wants, it was not asked."""
    return not row.is_passed and (not row.is_skipped or row.is_different)


def _more(rows: Sequence[Row]) -> list[str]:
    return [f"and {len(rows)} more"] if rows else []
