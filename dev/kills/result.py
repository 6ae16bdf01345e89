"""The outcome of a case."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from dev.kills.cases import Case
from dev.kills.gate import Gate
from dev.kills.scene import Scene


@dataclass(frozen=True)
class Result:
    """The outcome of a case.

    :param case: the case.
    :param diffs: how many data diffs there are.
    :param cancelled: how many were cancelled.
    :param running: how many still run.
    :param states: the states of its tasks.
    :param is_value_right: whether XCom has the data diff that succeeded, and nothing otherwise.
    :param trouble: why the case did not end, empty if it did.
    """

    case: Case
    diffs: int
    cancelled: int
    running: int
    states: tuple[str | None, ...]
    is_value_right: bool
    trouble: str

    @property
    def is_right(self) -> bool:
        """Whether the outcome is the expected one."""
        case = self.case
        return (
            not self.trouble
            and (self.diffs, self.cancelled, self.running) == (case.diffs, case.cancelled, 0)
            and set(self.states) == {case.state}
            and self.is_value_right
        )

    def __str__(self) -> str:
        states = "/".join(sorted({str(state) for state in self.states}))
        line = (
            f"{'ok' if self.is_right else 'FAILED':8}{self.case.title:44}{self.diffs:5}"
            f"{self.cancelled:11}{self.running:9}  {states:9}"
            f"{'right' if self.is_value_right else 'WRONG'}"
        )
        return f"{line}\n        {self.trouble}" if self.trouble else line


HEADER = f"{'':8}{'case':44}{'jobs':>5}{'cancelled':>11}{'running':>9}  {'task':9}XCom"


def play(case: Case, scene: Scene) -> Result:
    """Play a case, and return its outcome.

    :param case: the case.
    :param scene: Airflow and the service.
    """
    gate, trouble = Gate(scene, case.dag_id), ""
    try:
        case.play(gate)
        # A cancel may still be in progress when Airflow has finished with the task.
        gate.until("its last data diff ended", lambda: not _statuses(gate)["processing"])
    except Exception as error:
        trouble = f"{type(error).__name__}: {error}"
    statuses = _statuses(gate)
    return Result(
        case,
        diffs=statuses.total(),
        cancelled=statuses["cancelled"],
        running=statuses["processing"],
        states=tuple(task.state for task in gate.tasks),
        is_value_right=_is_value_right(case, gate),
        trouble=trouble,
    )


def _statuses(gate: Gate) -> Counter[str]:
    return Counter(map(gate.jobs.status, gate.diffs))


def _is_value_right(case: Case, gate: Gate) -> bool:
    values = gate.values()
    if case.state != "success":
        return values == [None] * len(values)
    # A run of a monitor or of CI has another name for its id.
    found = [
        value.get("id", value.get("run_id")) if isinstance(value, dict) else None
        for value in values
    ]
    # Mapped tasks may have started in any order.
    return sorted(map(str, found)) == sorted(map(str, gate.diffs[-len(values) :]))
