"""The outcome of a case."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from dev.kills.cases import Case
from dev.kills.gate import Gate, trouble_of, wait_until
from dev.kills.scene import Scene

HEADER = f"{'':8}{'case':32}{'diffs':>5}{'cancelled':>11}{'running':>9}  {'task':9}XCom"


@dataclass(frozen=True)
class Result:
    """The outcome of a case.

    :param case: the case.
    :param statuses: how many data diffs have which status.
    :param states: the states of its tasks.
    :param is_value_right: whether XCom has the data diff that succeeded, and nothing otherwise.
    :param trouble: why the case did not end, empty if it did.
    """

    case: Case
    statuses: Counter[str]
    states: set[str]
    is_value_right: bool
    trouble: str

    @property
    def is_right(self) -> bool:
        """Whether the outcome is the expected one."""
        case = self.case
        return (
            not self.trouble
            and self.statuses.total() == case.diffs
            and (self.statuses["cancelled"], self.statuses["processing"]) == (case.cancelled, 0)
            and self.states == {case.state}
            and self.is_value_right
        )

    def __str__(self) -> str:
        line = (
            f"{'ok' if self.is_right else 'FAILED':8}{self.case.name:32}{self.statuses.total():5}"
            f"{self.statuses['cancelled']:11}{self.statuses['processing']:9}"
            f"  {'/'.join(sorted(self.states)):9}{'right' if self.is_value_right else 'WRONG'}"
        )
        return f"{line}\n        {self.trouble}" if self.trouble else line


def play_gate(case: Case, scene: Scene) -> Result:
    """Play a case, and return its outcome.

    :param case: the case.
    :param scene: Airflow and the service.
    """
    gate = Gate(scene, case.name)

    def statuses() -> Counter[str]:
        return Counter(map(scene.service.status, gate.diffs))

    def play() -> None:
        case.play(gate)
        # A cancel may still be in progress when Airflow has finished with the task.
        wait_until("its last data diff ended", lambda: not statuses()["processing"])

    trouble = trouble_of(play)
    states = {str(task["state"]) for task in gate.tasks}
    return Result(case, statuses(), states, _is_value_right(case, gate), trouble)


def _is_value_right(case: Case, gate: Gate) -> bool:
    values = gate.values()
    if case.state != "success":
        return values == [None] * len(values)
    found = [value["id"] if isinstance(value, dict) else None for value in values]
    # Mapped tasks may have started in any order.
    return sorted(map(str, found)) == sorted(map(str, gate.diffs[-len(values) :]))
