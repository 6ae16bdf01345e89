"""What became of the plan: counts, and what must be true of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from dev.faults import leak
from dev.harness import plan
from dev.harness.metadata import Metadata
from dev.harness.plan import Key
from dev.harness.service import CHECKING, PlannedService

MOST_REQUESTS = 2.0
"""Per schedule change."""

_VERDICTS = re.compile(
    r"(?:Data diff|Run) (\d+)(?: of monitor \d+)? (passes|differs|ended with an alert)\b"
)


def secrets(texts: Iterable[str]) -> tuple[int, int]:
    """Return how many texts there are, and how many of the planted secrets are in them."""
    counts = [leak.count(text) for text in texts]
    return len(counts), sum(counts)


def texts(folder: Path) -> Iterable[str]:
    return (path.read_text(errors="replace") for path in folder.rglob("*.log"))


def verdicts(logs: Path, task: Key) -> set[tuple[int, bool]]:
    """Return the jobs that a task has judged, and whether it let them pass, from the run's logs."""
    folder = logs / f"task_id={task.task_id}" / f"map_index={task.index}"
    return {
        (int(number), verdict == "passes")
        for text in texts(folder)
        for number, verdict in _VERDICTS.findall(text)
    }


class Result:
    """Compares what became of the plan with it; a folder has all logs."""

    def __init__(self, metadata: Metadata, service: PlannedService, folder: Path) -> None:
        self._asked, self._gates = plan.keys(), plan.keys(*plan.GATES)
        self._monitors, self._changes = plan.keys(plan.MONITOR), plan.keys(plan.CHANGE)
        self._tasks = {task.key: task for task in metadata.tasks()}
        self._changed = service.changes()
        self._diffs, self._runs = service.diffs(), service.runs()
        self._ends = Counter(end for made in self._diffs.values() for end in made.values())
        self._left = sum(made[run] == CHECKING for made in self._runs.values() for run in made)
        self._requests = service.statuses("PUT", "/api/v1/lineage/bi/.*").total()
        self._statuses = service.statuses()
        self._in_logs = secrets(texts(folder))
        self._in_tables = secrets(metadata.rows())
        run = folder / "tasks" / f"dag_id={plan.DAG_ID}" / f"run_id={plan.RUN_ID}"
        self._verdicts = {task: verdicts(run, task) for task in (*self._gates, *self._monitors)}

    def counts(self) -> dict[str, str]:
        answers = (f"{count} x {status}" for status, count in sorted(self._statuses.items()))
        diffs = (f"{count} {status}" for status, count in sorted(self._ends.items()))
        return {
            "asked for": ", ".join(f"{plan.COUNTS[name]} {name}s" for name in plan.COUNTS),
            "done": f"{sum(map(self._is_done, self._asked))} of {len(self._asked)}",
            "data diffs": ", ".join(diffs),
            "monitor runs": f"{sum(map(len, self._runs.values()))}, {self._left} left",
            "schedules changed": f"{sum(map(self._is_changed, self._changes))}",
            "tries": f"{sum(task.tries for task in self._tasks.values())}",
            "requests": f"{self._statuses.total()}: {', '.join(answers)}",
            "requests per change": f"{self._requests / len(self._changes):.2f}",
            "secrets": f"{self._in_logs[1]} in {self._in_logs[0]} logs, "
            f"{self._in_tables[1]} in {self._in_tables[0]} rows",
        }

    def criteria(self) -> dict[str, bool]:
        """Return what must be true, and whether it is."""
        judged = [verdict for task in self._monitors for verdict in self._verdicts[task]]
        return {
            "each task is in its right state": self._tasks.keys() == set(self._asked)
            and all(map(self._is_done, self._asked)),
            "each gate made one data diff, and judged it rightly": all(
                map(self._is_judged_once, self._gates)
            ),
            "no data diff was cancelled, none is left running": set(self._ends) == {"done"},
            "each monitor task judged a run of its own rightly": len(judged) == len(set(judged))
            and all(map(self._is_judged, self._monitors)),
            "each monitor task made one run, none is left": self._left == 0
            and {number: len(runs) for number, runs in self._runs.items()}
            == {plan.monitor_of(task.index): 1 for task in self._monitors},
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
        return task is not None and task.state == ("success" if plan.is_good(key) else "failed")

    def _is_judged_once(self, gate: Key) -> bool:
        made = self._diffs.get(gate, {})
        return len(made) == 1 and self._verdicts[gate] == {(*made, plan.is_good(gate))}

    def _is_judged(self, monitor: Key) -> bool:
        made = self._runs.get(plan.monitor_of(monitor.index), ())
        found = self._verdicts[monitor]
        return bool(found) and found <= {(number, plan.is_good(monitor)) for number in made}

    def _is_changed(self, change: Key) -> bool:
        return (change.index + 1, plan.cron_of(change.index)) in self._changed


def report(counts: Mapping[str, str], criteria: Mapping[str, bool]) -> int:
    """Print counts, and criteria with whether they are met; return the exit code."""
    for name, count in counts.items():
        print(f"{name + ':':25}{count}")
    print()
    for criterion, is_met in criteria.items():
        print(f"{'ok' if is_met else 'FAILED':8}{criterion}")
    passed = sum(criteria.values())
    print(f"\n{passed} passed, {len(criteria) - passed} failed")
    return 0 if passed == len(criteria) else 1
