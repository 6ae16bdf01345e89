"""The cases: what happens to a gate, and the expected outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from threading import Thread

from dev.kills.gate import CaseError, Gate, wait_until
from dev.kills.load import break_next
from dev.kills.plan import LOAD, NEIGHBOUR, RETRIES, change_retries
from dev.kills.result import Result, trouble_of
from dev.kills.scene import Scene
from dev.kills.watch import WATCH_CASES, WatchCase

_YOUNGER = 150
_KEEPS_WHAT_IS_REPORTED = tuple(map(int, version("apache-airflow").split(".")[:2])) >= (3, 3)
"""Whether a restarted triggerer knows which alerts the previous one has reported."""


@dataclass(frozen=True)
class Case:
    """Something that happens to a gate.

    :param name: the name of the case, and the gate's DAG.
    :param act: makes it happen.
    :param diffs: how many data diffs there must be.
    :param cancelled: how many of them must be cancelled; all others must be done.
    :param state: the task's final state.
    """

    name: str
    act: Callable[[Gate], None]
    diffs: int = 1
    cancelled: int = 0
    state: str = "success"

    def play(self, scene: Scene) -> Result:
        """Play the case, and return its outcome.

        :param scene: Airflow and the service.
        """
        gate = Gate(scene, self.name)

        def statuses() -> Counter[str]:
            return Counter(map(gate.jobs.status, gate.diffs))

        def play() -> None:
            self.act(gate)
            # A cancel may still be in progress when Airflow has finished with the task.
            wait_until("its last data diff ended", lambda: not statuses()["processing"])

        trouble, found = trouble_of(play), statuses()
        diffs, cancelled, running = found.total(), found["cancelled"], found["processing"]
        states = sorted({str(task["state"]) for task in gate.tasks})
        is_value_right = self._is_value_right(gate)
        return Result(
            self.name,
            (diffs, cancelled, running, states) == (self.diffs, self.cancelled, 0, [self.state])
            and is_value_right,
            f"{diffs:5}{cancelled:11}{running:9}  {'/'.join(states):9}"
            f"{'right' if is_value_right else 'WRONG'}",
            trouble,
        )

    def _is_value_right(self, gate: Gate) -> bool:
        """Return whether XCom has the data diff that succeeded, and nothing otherwise."""
        values = gate.values()
        if self.state != "success":
            return values == [None] * len(values)
        found = [value["id"] if isinstance(value, dict) else None for value in values]
        # Mapped tasks may have started in any order.
        return sorted(map(str, found)) == sorted(map(str, gate.diffs[-len(values) :]))


def kill_worker(gate: Gate) -> None:
    """Kill the worker while it waits."""
    diff = gate.begin()
    gate.kill_worker()
    gate.go_on(diff)


def kill_worker_while_creating(gate: Gate) -> None:
    """Kill the worker after the service processed the creation and before it responds."""
    gate.start()
    diff = gate.wait_for_diff()
    gate.kill_worker()
    gate.go_on(diff)


def kill_worker_before_others(gate: Gate) -> None:
    """Kill the worker, then create more data diffs than a page shows."""
    diff = gate.begin()
    gate.kill_worker()
    gate.scene.service.add_strangers(_YOUNGER)
    gate.go_on(diff)


def kill_triggerer(gate: Gate) -> None:
    """Kill the triggerer, and start it again."""
    diff = gate.begin()
    gate.scene.kill_triggerer()
    gate.scene.start_triggerer()
    gate.go_on(diff)


def restart_triggerer(gate: Gate) -> None:
    """Restart the triggerer cleanly while a mapped gate waits."""
    gate.start()
    gate.wait_for_diff(2)
    for diff in gate.diffs:
        gate.wait_for_look(diff)
    gate.scene.stop_triggerer()
    gate.scene.start_triggerer()
    for diff in gate.diffs:
        gate.wait_for_look(diff)
        gate.scene.service.finish(diff)
    gate.wait_for_end()


def fail(gate: Gate) -> None:
    """Mark the task as failed while it waits."""
    gate.begin()
    gate.fail()
    gate.wait_for_end()


def fail_while_creating(gate: Gate) -> None:
    """Mark the task as failed after the service processed the creation and before it responds."""
    gate.start()
    gate.wait_for_diff()
    gate.fail()
    gate.wait_for_end()


def clear_after_end(gate: Gate) -> None:
    """Clear the task after it has succeeded."""
    gate.start()
    gate.finish(gate.wait_for_diff())
    # If the task were cleared while Airflow finishes the run, the run would stay finished.
    wait_until("its run ended", lambda: gate.run_state == "success")
    gate.clear()
    gate.finish(gate.wait_for_diff(2))


def clear(gate: Gate) -> None:
    """Clear the task while it waits."""
    gate.begin()
    gate.clear()
    gate.go_on(gate.wait_for_diff(2))


def clear_with_load(gate: Gate) -> None:
    """Clear load and gate after the worker was killed and the data diff ended as identical."""
    service = gate.scene.service
    diff = gate.begin()
    gate.kill_worker()
    wait_until("the data diff ended", lambda: service.status(diff) == "done")
    if gate.state != "running":
        raise CaseError("Airflow noticed too early that the worker is dead")
    break_next(gate.scene.home)
    gate.clear(LOAD)
    gate.wait_for_end()


def change_retries_and_clear(gate: Gate) -> None:
    """Change the number of retries in the DAG's file, and clear the task, during the run."""
    neighbour = Gate(gate.scene, gate.dag_id, NEIGHBOUR)
    gate.start()
    gate.finish(gate.wait_for_diff())
    change_retries(gate.dag_id, RETRIES + 1, gate.scene.home)
    wait_until("Airflow had read the DAG again", lambda: gate.retries == RETRIES + 1)
    gate.clear()
    gate.finish(gate.wait_for_diff(2))
    neighbour.finish(neighbour.wait_for_diff())


def run_in_two_airflows(gate: Gate) -> None:
    """Start the same run of the same DAG in two Airflows, and clear the task in one."""
    other = Thread(target=gate.scene.run_elsewhere, args=[gate.dag_id], daemon=True)
    other.start()
    there = gate.wait_for_diff()
    gate.start(gate.scene.run_id_elsewhere())
    gate.wait_for_look(gate.wait_for_diff(2))
    gate.clear()
    again = gate.wait_for_diff(3)
    gate.wait_for_look(there)
    gate.scene.service.finish(there)
    wait_until("the other Airflow's run ended", lambda: not other.is_alive())
    gate.finish(again)


def fire_at_once(gate: Gate) -> None:
    """Let the data diff end before the triggerer polls."""
    gate.start()
    gate.wait_for_end()


_EARLY = (
    (Case("worker_killed", kill_worker),),
    (Case("worker_killed_while_creating", kill_worker_while_creating),),
    (
        Case("failed_while_creating", fail_while_creating, 1, 1, "failed"),
        Case("worker_killed_150_younger", kill_worker_before_others),
    ),
    (Case("failed_while_running", fail, 1, 1, "failed"),),
    (Case("cleared_after_end", clear_after_end, 2),),
    # Airflow 3.0 never starts such a task again, whatever its operator.
    (Case("cleared_while_running", clear, 2, 1),),
    (Case("cleared_with_its_load", clear_with_load, 2, state="failed"),),
    # These stop the triggerer that all cases share.
    (
        Case("triggerer_killed", kill_triggerer),
        Case("triggerer_restarted", restart_triggerer, 2),
        *(WATCH_CASES if _KEEPS_WHAT_IS_REPORTED else ()),
    ),
)
_LATE = (
    (Case("retries_changed", change_retries_and_clear, 2),),
    (Case("failed_while_deferred", fail, 1, 1, "failed"),),
    (Case("cleared_while_deferred", clear, 2, 1),),
    (Case("two_airflows", run_in_two_airflows, 3, 1),),
    (Case("fires_at_once", fire_at_once, 6),),
)
ROUNDS: tuple[tuple[tuple[Case | WatchCase, ...], ...], ...] = (_EARLY, _LATE)
"""Rounds of parallel lines. The cases of a line run one after the other."""

CASES: Mapping[str, Case | WatchCase] = {
    case.name: case for lines in ROUNDS for line in lines for case in line
}
