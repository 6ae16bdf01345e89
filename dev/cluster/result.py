"""What came of a plan: counts, and what must be true of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dev.cluster.logs import secrets, texts, verdicts
from dev.cluster.metadata import Metadata
from dev.cluster.plan import CHANGE, GATES, MONITOR, Key, Plan, cron_of, is_good
from dev.cluster.service import Service

MOST_REQUESTS = 2.0
"""Per schedule change."""


class Result:
    """Compares what came of a plan with the plan.

    :param plan: the plan.
    :param runs: how many DAG runs were asked for.
    :param metadata: Airflow's database.
    :param service: Datafold.
    :param folder: all logs.
    """

    def __init__(
        self, plan: Plan, runs: int, metadata: Metadata, service: Service, folder: Path
    ) -> None:
        self._plan = plan
        self._asked = plan.keys(runs)
        self._gates = plan.keys(runs, *GATES)
        self._monitors = plan.keys(runs, MONITOR)
        self._changes = plan.keys(runs, CHANGE)
        self._tasks = {task.key: task for task in metadata.tasks()}
        self._made, self._ends = service.diffs(), service.diff_statuses()
        self._started, self._left = service.runs(), service.runs_left()
        self._changed = service.changes()
        self._requests = service.statuses("PUT", "/api/v1/lineage/bi/").total()
        self._statuses = service.statuses()
        self._in_logs = secrets(texts(folder))
        self._in_tables = secrets(metadata.rows())
        dag = folder / "tasks" / f"dag_id={plan.dag_id}"
        self._verdicts = {task: verdicts(dag, task) for task in (*self._gates, *self._monitors)}

    def counts(self) -> dict[str, str]:
        """Return what is to be printed."""
        gates, monitors, changes = map(len, (self._gates, self._monitors, self._changes))
        answers = (f"{count} x {status}" for status, count in sorted(self._statuses.items()))
        return {
            "asked for": f"{gates} gates, {monitors} monitor runs, {changes} schedule changes",
            "done": f"{sum(map(self._is_done, self._asked))} of {len(self._asked)}",
            "data diffs made": f"{sum(map(len, self._made.values()))}",
            "data diffs cancelled": f"{self._ends['cancelled']}",
            "data diffs left running": f"{self._ends['processing']}",
            "monitor runs made": f"{sum(map(len, self._started.values()))}",
            "monitor runs left": f"{self._left}",
            "schedules changed": f"{sum(map(self._is_changed, self._changes))}",
            "tries": f"{sum(task.tries for task in self._tasks.values())}",
            "requests": f"{self._statuses.total()}: {', '.join(answers)}",
            "requests per change": f"{self._requests / changes:.2f}",
            "secrets": f"{self._in_logs[1]} in {self._in_logs[0]} logs, "
            f"{self._in_tables[1]} in {self._in_tables[0]} rows",
        }

    def criteria(self) -> dict[str, bool]:
        """Return what must be true, and whether it is."""
        judged = [verdict for task in self._monitors for verdict in self._verdicts[task]]
        return {
            "each task is in its right state": set(self._tasks) == set(self._asked)
            and all(map(self._is_done, self._asked)),
            "each gate made one data diff, and judged it rightly": all(
                self._verdicts[gate]
                == {(number, is_good(gate)) for number in self._made.get(gate, ())}
                and len(self._made.get(gate, ())) == 1
                for gate in self._gates
            ),
            "no data diff was cancelled, none is left running": set(self._ends) == {"done"},
            "each monitor task judged a run of its own rightly": len(judged) == len(set(judged))
            and all(map(self._is_judged, self._monitors)),
            "each monitor task made one run, none is left": self._left == 0
            and all(
                len(self._started.get(self._plan.monitor_of(task), ())) == 1
                for task in self._monitors
            ),
            "each schedule was changed": all(map(self._is_changed, self._changes)),
            f"at most {MOST_REQUESTS:g} requests per change": self._requests
            <= MOST_REQUESTS * len(self._changes),
            "no secret is in any log or table": all(
                places and not found for places, found in (self._in_logs, self._in_tables)
            ),
        }

    @property
    def refused(self) -> float:
        """Share of the requests that the service refused to serve."""
        return (self._statuses[429] + self._statuses[503]) / self._statuses.total()

    def _is_done(self, key: Key) -> bool:
        task = self._tasks.get(key)
        return task is not None and task.state == ("success" if is_good(key) else "failed")

    def _is_judged(self, monitor: Key) -> bool:
        started = self._started.get(self._plan.monitor_of(monitor), ())
        found = self._verdicts[monitor]
        return bool(found) and found <= {(number, is_good(monitor)) for number in started}

    def _is_changed(self, change: Key) -> bool:
        return (change.index + 1, cron_of(change)) in self._changed


def report(counts: Mapping[str, str], criteria: Mapping[str, bool]) -> int:
    """Print what came of a run.

    :param counts: what is to be printed.
    :param criteria: what must be true, and whether it is.
    :return: exit code, 0 when all is as it must be.
    """
    for name, count in counts.items():
        print(f"{name + ':':25}{count}")
    print()
    for criterion, is_met in criteria.items():
        print(f"{'ok' if is_met else 'FAILED':8}{criterion}")
    passed = sum(criteria.values())
    print(f"\n{passed} passed, {len(criteria) - passed} failed")
    return 0 if passed == len(criteria) else 1
