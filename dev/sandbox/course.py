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
    """A status before the end."""

    status: str
    reads: int = 1  # the least number of times that a caller sees it
    seconds: float = 0.0  # the least time that it lasts


@dataclass(frozen=True)
class Course:
    """The statuses and the end of a job."""

    steps: tuple[Step, ...]
    end: str
    outcome: Mapping[str, Any] = field(default_factory=dict)


class Job:
    """A job that follows a course."""

    def __init__(self, course: Course, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._steps = deque(course.steps)
        self._end = course.end
        self._outcome = course.outcome
        self._started, self._started_at = clock(), datetime.now(timezone.utc)
        self._enter(self._started)

    @property
    def status(self) -> str:
        self._go_on(reading=False)
        return self._steps[0].status if self._steps else self._end

    @property
    def ended(self) -> bool:
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
    """The courses of the jobs of one kind."""

    def __init__(self, default: Course) -> None:
        self.default = default
        self.coming: deque[Course] = deque()
        """The courses of the next jobs, one each."""
        self.of: Callable[[Any], Course | None] = lambda asked: None
        """Returns the course of a job, given what asks for it; ``None`` for the default."""

    def start(self, asked: Any = None) -> Job:
        return Job(self.coming.popleft() if self.coming else self.of(asked) or self.default)
