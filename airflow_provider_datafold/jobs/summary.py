"""One summary of gates, monitors' runs and what was left out, from their XComs and states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.exceptions import (
    DatafoldAlertError,
    DatafoldDifferenceError,
    DatafoldError,
    DatafoldInputError,
    DatafoldNotComparedError,
)
from airflow_provider_datafold.jobs.airflow_version import is_airflow
from airflow_provider_datafold.jobs.entry import HAS_ENDED, LEFT_OUT, SOURCES, VERDICT, Entry, Task

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_MOST_ROWS = 200
_MOST_LINES = 20
_MOST_NAMES = 5


class Summary:
    """What came of many tasks.

    :param tasks: the tasks.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        found = (entry for task in tasks for entry in task.entries())
        self.entries = sorted(found, key=lambda entry: entry.rank)
        self.left_out = [each for task in tasks for each in task.all_left_out()]
        self.unfinished = [each for task in tasks for each in task.unfinished()]
        counted = [entry.counts_as for entry in self.entries]
        self.passed, self.failed, self.skipped = map(counted.count, ("passed", "failed", "skipped"))

    @property
    def headline(self) -> str:
        """How many passed, in a sentence."""
        failed = f", {self.failed} did not" if self.failed else ""
        skipped = f", {_were(self.skipped)} skipped" if self.skipped else ""
        left_out = f"; {_were(len(self.left_out))} left out" if self.left_out else ""
        accepted = [entry.word for entry in self.entries].count("accepted")
        by_person = f" ({accepted} accepted by a person)" if accepted else ""
        return f"{self.passed} of {len(self.entries)} passed{by_person}{failed}{skipped}{left_out}."

    def table(self) -> str:
        """Return a row for each entry, the worst first, and what was left out."""
        return self._markdown(self.entries, _MOST_ROWS)

    def text(self) -> str:
        """Return a message for people about what did not simply pass."""
        odd = [entry for entry in self.entries if entry.word != "passes"]
        return self._markdown(odd, _MOST_LINES)

    def data(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "passed": self.passed,
            "failed": self.failed,
            "skipped": self.skipped,
            "left_out": len(self.left_out),
            "entries": [entry.data() for entry in self.entries[:_MOST_ROWS]],
        }

    def error(self, *, may_differ: bool, may_leave_out: bool) -> DatafoldError | None:
        """Return what must stop the DAG."""
        wrong = [
            entry
            for entry in self.entries
            if entry.counts_as == "failed" and not (may_differ and entry.is_different)
        ]
        said = [f"{entry.label} {entry.word}: {entry.reason}" for entry in wrong] + self.unfinished
        has_left_out = bool(self.left_out) and not may_leave_out
        if has_left_out:
            said += [f"{each['name']} left out: {each['reason']}" for each in self.left_out]
        if not self.passed + self.failed:
            said += ["nothing was compared"]
        if not said:
            return None
        names = "; ".join([*said[:_MOST_NAMES], *_more(said, _MOST_NAMES)])
        message = f"{self.headline} {names}. The log has all of them, with their links."
        is_whole = not (self.unfinished or has_left_out)
        if not (is_whole and wrong and all(entry.is_different for entry in wrong)):
            return DatafoldNotComparedError(message)
        differs = any(entry.outcome == "differs" for entry in wrong)
        return (DatafoldDifferenceError if differs else DatafoldAlertError)(message)

    def _markdown(self, entries: Sequence[Entry], most: int) -> str:
        """Return Markdown that reads well as plain text, too."""
        lines = [self.headline]
        if entries:
            lines += ["", *_table(entries[:most]), *_more(entries, most)]
        reasons: dict[str, list[str]] = {}
        for each in self.left_out:
            reasons.setdefault(_cell(each["reason"]), []).append(_code(each["name"]))
        if reasons:
            lines += ["", "Left out:"]
            lines += [f"- {reason}: {', '.join(names)}" for reason, names in reasons.items()]
        if self.unfinished:
            lines += ["", *map(_cell, self.unfinished)]
        return "\n".join(lines)


def summarize(
    context: Context, task_ids: Any, on_difference: Any, on_left_out: Any, log: Any
) -> dict[str, Any]:
    """Log a table, push a message, and stop the DAG if anything did not pass."""
    is_one = isinstance(task_ids, str) and isinstance(fields.literal(task_ids), str)
    names = fields.texts("task_ids", [task_ids] if is_one else task_ids)
    if not names:
        raise fields.input_error("task_ids", task_ids, "must name tasks, e.g. ['gate']")
    may_differ = fields.one_of("fail", "pass")("on_difference", on_difference) == "pass"
    may_leave_out = fields.one_of("warn", "fail")("on_left_out", on_left_out) == "warn"
    summary = read(context, names)
    (log.warning if summary.left_out else log.info)("%s", summary.table())
    ti, data = context["ti"], summary.data()
    ti.xcom_push(key="text", value=summary.text())
    error = summary.error(may_differ=may_differ, may_leave_out=may_leave_out)
    if error is not None:
        ti.xcom_push(key="return_value", value=data)
        raise error
    return data


def read(context: Context, task_ids: Sequence[str]) -> Summary:
    """Read what tasks of this DAG run left behind."""
    known = context["dag"].task_dict
    for task_id in task_ids:
        if task_id not in known:
            within = sorted(each for each in known if each.endswith(f".{task_id}"))
            hint = f" Did you mean {within[0]!r}?" if within else ""
            raise DatafoldInputError(f"task_ids: the DAG has no task {task_id!r}.{hint}")
    ti = context["ti"]
    own_group = known[ti.task_id].get_closest_mapped_task_group()
    return Summary([_read(ti, known[each], own_group) for each in dict.fromkeys(task_ids)])


def _read(ti: Any, task: Any, own_group: Any) -> Task:
    group = task.get_closest_mapped_task_group()
    states, operator = _states(ti, task.task_id), getattr(task, "task_type", None)
    is_alone = bool(group and own_group and group.group_id == own_group.group_id)
    if is_alone:
        states = {ti.map_index: states.get(ti.map_index)}
    told = partial(_told, ti, task.task_id, is_alone=is_alone)
    verdicts = {} if operator in SOURCES else told(VERDICT, states)
    untold = {index: state for index, state in states.items() if verdicts.get(index) is None}
    left_out = told(LEFT_OUT, untold) if any(each in HAS_ENDED for each in untold.values()) else {}
    # Airflow 2 has no other mark of a task that is mapped.
    is_mapped = hasattr(task, "expand_input") or group is not None
    return Task(task.task_id, is_mapped, states, verdicts, left_out, operator)


def _states(ti: Any, task_id: str) -> dict[int, str | None]:
    """Return the states of a task's instances by their map index."""
    if hasattr(ti, "get_task_states"):
        # For one task at a time: the key of `gate` with map index 1 is that of the task `gate_1`.
        found = ti.get_task_states(dag_id=ti.dag_id, task_ids=[task_id], run_ids=[ti.run_id])
        states = {
            -1 if key == task_id else int(key.removeprefix(f"{task_id}_")): state
            for key, state in found.get(ti.run_id, {}).items()
        }
    else:  # Airflow 2
        instances = ti.get_dagrun().get_task_instances()
        states = {each.map_index: each.state for each in instances if each.task_id == task_id}
    return {index: state and getattr(state, "value", state) for index, state in states.items()}


def _told(
    ti: Any, task_id: str, key: str, states: Mapping[int, str | None], *, is_alone: bool
) -> dict[int, Any]:
    """Return what instances told by their map index, with as few requests as possible.

    Airflow returns all at once only in the order of their indices, without these. If asked for a
    single one that is not there, Airflow 3 writes an error to the log.

    :param is_alone: whether these are not all instances.
    """

    def pull(index: int) -> Any:
        return ti.xcom_pull(task_ids=task_id, key=key, map_indexes=index)

    if not is_alone:
        all_told = ti.xcom_pull(task_ids=[task_id], key=key) or ()
        found = [told for told in all_told if told is not None]
        # Airflow 3.0 may return none of mapped tasks at once.
        if not found and is_airflow((3, 1)):
            return {}
        indexes = sorted(states)
        if found and len(found) < len(indexes):
            # Those that have none are hardly ever among the successful ones.
            indexes = [each for each in indexes if states[each] == "success" or pull(each)]
        if len(found) == len(indexes):
            return dict(zip(indexes, found, strict=True))
    return {index: pull(index) for index, state in states.items() if state in HAS_ENDED}


def _table(entries: Sequence[Entry]) -> list[str]:
    rows = [
        ("outcome", "what", "page", "reason"),
        *(
            (each.word, _code(each.label), _cell(each.url or ""), _cell(each.reason))
            for each in entries
        ),
    ]
    # Nobody sees where the last column ends.
    widths = [*(max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]), 0]
    lines = [" | ".join(map(str.ljust, row, widths)) for row in rows]
    lines.insert(1, " | ".join("-" * (width or len("reason")) for width in widths))
    return [f"| {line} |" for line in lines]


def _were(count: int) -> str:
    return f"{count} {'was' if count == 1 else 'were'}"


def _more(rows: Sequence[Any], most: int) -> list[str]:
    return [f"and {len(rows) - most} more"] if len(rows) > most else []


def _cell(text: Any) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{_cell(text.replace('`', ''))}`"
