"""The courses of Datafold's jobs: their statuses and their end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

Clock = Callable[[], float]


@dataclass(frozen=True)
class Step:
    """A status before the end.

    :param status: the API's name for it.
    :param reads: the least number of times that a caller sees it.
    :param seconds: the least time that it lasts, ``math.inf`` for a job that never ends.
    """

    status: str
    reads: int = 1
    seconds: float = 0.0


@dataclass(frozen=True)
class Course:
    """The statuses and the end of a job.

    :param steps: the statuses before the end.
    :param end: the final status.
    :param outcome: the fields that the job has at its end, by the section's names.
    """

    steps: tuple[Step, ...]
    end: str
    outcome: Mapping[str, Any] = field(default_factory=dict)


class Job:
    """A job that follows a course.

    :param course: the course.
    :param clock: returns the time in seconds.
    """

    def __init__(self, course: Course, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._steps = deque(course.steps)
        self._end = course.end
        self._outcome = course.outcome
        self._started, self._started_at = clock(), datetime.now(timezone.utc)
        self._enter(self._started)

    @property
    def status(self) -> str:
        """The current status; this does not count as a read."""
        self._go_on(reading=False)
        return self._steps[0].status if self._steps else self._end

    @property
    def ended(self) -> bool:
        """Whether the status is final."""
        self._go_on(reading=False)
        return not self._steps

    @property
    def finished_at(self) -> str | None:
        """When the status became final, ``None`` before that."""
        if not self.ended:
            return None
        return (self._started_at + timedelta(seconds=self._entered - self._started)).isoformat()

    @property
    def outcome(self) -> Mapping[str, Any]:
        """The job's result, empty before the end."""
        return self._outcome if self.ended else {}

    def read(self) -> str:
        """Return the status to a caller, and count that as a read."""
        self._go_on(reading=True)
        self._reads += 1
        return self.status

    def stop(self, status: str) -> None:
        """End the job at once, unless it has ended."""
        if not self.ended:
            self._steps.clear()
            self._enter(self._clock())
            self._end = status
            self._outcome = {}

    def _go_on(self, *, reading: bool) -> None:
        while self._steps and self._is_over(self._steps[0]):
            # The last status that a caller saw stays until the next read: the job can still stop.
            if self._steps[0].reads and not reading:
                return
            step = self._steps.popleft()
            # A step that only takes time ended then, not when somebody looks.
            self._enter(self._clock() if step.reads else self._entered + step.seconds)

    def _enter(self, moment: float) -> None:
        self._reads = 0
        self._entered = moment

    def _is_over(self, step: Step) -> bool:
        return self._reads >= step.reads and self._clock() - self._entered >= step.seconds


class Courses:
    """The courses of the jobs of one kind.

    :param default: the course of a job for which no other course is set.
    """

    def __init__(self, default: Course) -> None:
        self.default = default
        self.coming: deque[Course] = deque()
        """The courses of the next jobs, one each."""

    def start(self) -> Job:
        """Start the next job."""
        return Job(self.coming.popleft() if self.coming else self.default)
