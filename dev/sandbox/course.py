"""How the jobs at Datafold go: through which statuses, and to which end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Clock = Callable[[], float]


@dataclass(frozen=True)
class Step:
    """A status on the way.

    :param status: the API's name for it.
    :param reads: how many times at least a caller sees it.
    :param seconds: how long at least it lasts, ``math.inf`` for a job that never ends.
    """

    status: str
    reads: int = 1
    seconds: float = 0.0


@dataclass(frozen=True)
class Course:
    """What a job goes through.

    :param steps: the statuses before the end.
    :param end: the last status, which stays.
    :param outcome: what the job has at its end, by the section's names for it.
    """

    steps: tuple[Step, ...]
    end: str
    outcome: Mapping[str, Any] = field(default_factory=dict)


class Job:
    """Something that is going on.

    :param course: what it goes through.
    :param clock: tells the time in seconds.
    """

    def __init__(self, course: Course, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._steps = deque(course.steps)
        self._end = course.end
        self._outcome = course.outcome
        self._enter()

    @property
    def status(self) -> str:
        """The status now; looking at it is no read."""
        self._go_on(reading=False)
        return self._steps[0].status if self._steps else self._end

    @property
    def ended(self) -> bool:
        """Whether the status stays as it is."""
        self._go_on(reading=False)
        return not self._steps

    @property
    def progress(self) -> dict[str, Any] | None:
        """How far it has come, which a course does not say."""
        return None

    @property
    def outcome(self) -> Mapping[str, Any]:
        """What the job has brought, which is nothing before the end."""
        return self._outcome if self.ended else {}

    def read(self) -> str:
        """Return the status to a caller, who then has seen it once more."""
        self._go_on(reading=True)
        self._reads += 1
        return self.status

    def stop(self, status: str) -> None:
        """End at once, unless it has ended.

        :param status: the status from then on.
        """
        if not self.ended:
            self._steps.clear()
            self._end = status
            self._outcome = {}

    def _go_on(self, *, reading: bool) -> None:
        while self._steps and self._is_over(self._steps[0]):
            # What a caller saw last stays until the next read, so that it can still be stopped.
            if self._steps[0].reads and not reading:
                return
            self._steps.popleft()
            self._enter()

    def _enter(self) -> None:
        self._reads = 0
        self._entered = self._clock()

    def _is_over(self, step: Step) -> bool:
        return self._reads >= step.reads and self._clock() - self._entered >= step.seconds


class Courses:
    """The courses of the jobs of one kind.

    :param default: the course of a job unless another one was set.
    """

    def __init__(self, default: Course) -> None:
        self.default = default
        self.coming: deque[Course] = deque()
        """The courses of the next jobs, one each."""

    def start(self) -> Job:
        """Set the next job going."""
        return Job(self.coming.popleft() if self.coming else self.default)
