"""The cases: what happens to a gate, and the expected outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from signal import SIGTERM
from threading import Thread

from dev.harness.kills import plan
from dev.harness.kills.gate import CaseError, Gate, wait_until
from dev.harness.kills.scene import Scene
from dev.harness.kills.watch import WATCH_CASES, WatchCase

_YOUNGER = 150
_TO_STOP = 60.0
"""Seconds that a cluster gives a triggerer to stop."""
_HAS_STORES = tuple(map(int, version("apache-airflow").split(".")[:2])) >= (3, 3)
"""Whether a restarted triggerer knows which alerts the previous one has reported, and a task's next
try which run the one before has started."""


@dataclass(frozen=True)
class Case:
    """Something that happens to a gate."""

    name: str
    steps: tuple[Callable[[Gate], None], ...]
    jobs: int = 1  # that there must be
    cancelled: int = 0  # all others must be done
    state: str = "success"

    def play(self, scene: Scene) -> str:
        gate = Gate(scene, self.name)

        def statuses() -> Counter[str]:
            return Counter(map(gate.jobs.status, gate.ids))

        for step in self.steps:
            step(gate)
        # A cancel may still be in progress when Airflow has finished with the task.
        wait_until("its last job ended", lambda: not statuses()["processing"])
        jobs, cancelled = statuses().total(), statuses()["cancelled"]
        states = sorted({str(task["state"]) for task in gate.tasks})
        found = f"{jobs} jobs, {cancelled} cancelled, task {'/'.join(states)}"
        if (jobs, cancelled, states) != (self.jobs, self.cancelled, [self.state]):
            raise CaseError(found)
        if not self._is_value_right(gate):
            raise CaseError(f"{found}; XCom has {gate.values()}")
        return found

    def _is_value_right(self, gate: Gate) -> bool:
        """Return whether XCom has the job that succeeded, and nothing otherwise."""
        values = gate.values()
        if self.state != "success":
            return values == [None] * len(values)
        # A run of a monitor or of CI has another name for its id.
        found = [value and value.get("id", value.get("run_id")) for value in values]
        # Mapped tasks may have started in any order.
        return sorted(map(str, found)) == sorted(map(str, gate.ids[-len(values) :]))


def add_younger(gate: Gate) -> None:
    """Create more data diffs than a page shows."""
    gate.scene.service.add_strangers(_YOUNGER)


def restart_cleanly(gate: Gate) -> None:
    """Restart the triggerer as a cluster does, while both tasks of a mapped gate wait."""
    wait_until("it had two jobs", lambda: len(gate.ids) == 2)
    for number in gate.ids:
        gate.wait_for_look(number)
    gate.scene.triggerer.stop(SIGTERM, _TO_STOP)
    gate.scene.start_triggerer()
    for number in gate.ids:
        gate.wait_for_look(number)
        gate.jobs.finish(number)


def clear_with_load(gate: Gate) -> None:
    """Clear load and gate after the data diff of a dead worker has ended as identical."""
    wait_until("the data diff ended", lambda: gate.jobs.status(gate.job) == "done")
    if [task["state"] for task in gate.tasks] != ["running"]:
        raise CaseError("Airflow noticed too early that the worker is dead")
    plan.switch_on(plan.LOAD_BREAKS, gate.scene.home)
    gate.clear(plan.LOAD)


def change_retries(gate: Gate) -> None:
    """Change the number of retries in the DAG's file, during the run."""
    plan.switch_on(plan.ONE_MORE_RETRY, gate.scene.home)
    task = f"dags/{gate.dag_id}/tasks/{gate.task_id}"
    wait_until("it was read", lambda: int(gate.scene.get(task)["retries"]) == plan.RETRIES + 1)


def finish_neighbour(gate: Gate) -> None:
    """Let the other task of the DAG end, which keeps the run going."""
    neighbour = Gate(gate.scene, gate.dag_id, plan.NEIGHBOUR)
    neighbour.wait_for_job()
    neighbour.finish()


def run_in_two_airflows(gate: Gate) -> None:
    """Start the same run of the same DAG in two Airflows, and clear the task in one."""
    other = Thread(target=gate.scene.run_elsewhere, args=[gate.dag_id], daemon=True)
    other.start()
    gate.wait_for_job()
    there = gate.job
    gate.start(gate.scene.run_id_elsewhere())
    gate.wait_for_job()
    gate.wait_for_look()
    gate.clear()
    gate.wait_for_job()
    gate.wait_for_look(there)
    gate.jobs.finish(there)
    wait_until("the other Airflow's run ended", lambda: not other.is_alive())
    gate.finish()


_MARK_FAILED = (Gate.begin, Gate.fail, Gate.wait_for_end)
_CLEAR = (Gate.begin, Gate.clear, Gate.wait_for_job, Gate.go_on)
_CLEAR_ENDED = (Gate.wait_for_run, Gate.clear, Gate.wait_for_job, Gate.finish)
_KILL_WORKER = (Gate.begin, Gate.kill_worker, Gate.go_on)

_RUNS = tuple(
    (Case(name, (*_KILL_WORKER, *_CLEAR_ENDED), 2),) for name in (plan.MONITOR_RUN, plan.CI_RUN)
)
_EARLY = (
    (Case("worker_killed", _KILL_WORKER),),
    *(_RUNS if _HAS_STORES else ()),
    (
        # The service has processed the creation, and not responded yet; in the next case, too.
        Case(
            "worker_killed_while_creating",
            (Gate.start, Gate.wait_for_job, Gate.kill_worker, Gate.go_on),
        ),
    ),
    (
        Case(
            "failed_while_creating",
            (Gate.start, Gate.wait_for_job, Gate.fail, Gate.wait_for_end),
            cancelled=1,
            state="failed",
        ),
        Case("worker_killed_150_younger", (Gate.begin, Gate.kill_worker, add_younger, Gate.go_on)),
    ),
    (Case("failed_while_running", _MARK_FAILED, cancelled=1, state="failed"),),
    (Case("cleared_after_end", (Gate.start, Gate.wait_for_job, Gate.finish, *_CLEAR_ENDED), 2),),
    # Airflow 3.0 never starts such a task again, whatever its operator.
    (Case("cleared_while_running", _CLEAR, 2, cancelled=1),),
    (
        Case(
            "cleared_with_its_load",
            (Gate.begin, Gate.kill_worker, clear_with_load, Gate.wait_for_end),
            2,
            state="failed",
        ),
    ),
    # These stop the triggerer that all cases share.
    (
        Case("triggerer_killed", (Gate.begin, Gate.restart_triggerer, Gate.go_on)),
        Case("triggerer_restarted", (Gate.start, restart_cleanly, Gate.wait_for_end), 2),
        *(WATCH_CASES if _HAS_STORES else ()),
    ),
)
_LATE = (
    (
        Case(
            plan.RETRIES_CHANGED,
            (
                *(Gate.start, Gate.wait_for_job, Gate.finish, change_retries),
                *(Gate.clear, Gate.wait_for_job, Gate.finish, finish_neighbour),
            ),
            2,
        ),
    ),
    (Case("failed_while_deferred", _MARK_FAILED, cancelled=1, state="failed"),),
    (Case("cleared_while_deferred", _CLEAR, 2, cancelled=1),),
    (Case("two_airflows", (run_in_two_airflows,), 3, cancelled=1),),
    # The data diffs end before the triggerer polls.
    (Case("fires_at_once", (Gate.start, Gate.wait_for_end), 6),),
)
ROUNDS: tuple[tuple[tuple[Case | WatchCase, ...], ...], ...] = (_EARLY, _LATE)
"""Rounds of parallel lines. The cases of a line run one after the other."""

CASES: Mapping[str, Case | WatchCase] = {
    case.name: case for lines in ROUNDS for line in lines for case in line
}
