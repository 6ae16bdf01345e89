"""Answer a question in its own process. Callers see a job like one with a course."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, cast

from dev.comparison.question import STEPS, Question

_ROOT = Path(__file__).parents[2]


class Comparison:
    """Answers a question in a process that ends no later than the process that made this object.

    :param question: the question.
    """

    def __init__(self, question: Question) -> None:
        self.answer: dict[str, Any] | None = None
        """The answer, ``None`` before the end and after an error."""
        self.error: dict[str, Any] | None = None
        """The error, ``None`` if there is none."""
        self.finished_at: str | None = None
        """When the status became final, ``None`` before that."""
        self._step: int | None = None
        self._stopped: str | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dev.comparison"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._thread = threading.Thread(target=self._follow, args=(question,), daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def status(self) -> str:
        """The current status."""
        if self._stopped is not None:
            return self._stopped
        if self.ended:
            return "failed" if self.error else "done"
        return "waiting" if self._step is None else "processing"

    @property
    def ended(self) -> bool:
        """Whether the status is final."""
        return self.finished_at is not None

    @property
    def outcome(self) -> Mapping[str, Any]:
        """The result, empty before the end."""
        if self._stopped is not None:
            return {}
        return {"result": "error", "error": self.error} if self.error else self.answer or {}

    @property
    def progress(self) -> dict[str, Any]:
        """The progress."""
        done = STEPS if self.status == "done" else self._step or 0
        return {"version": "1", "completed_steps": done, "total_steps": STEPS}

    def read(self) -> str:
        """Return the status to a caller."""
        return self.status

    def wait(self, seconds: float) -> None:
        """Wait until it has ended.

        :param seconds: the longest time to wait.
        """
        self._thread.join(seconds)

    def stop(self, status: str) -> None:
        """End it at once, unless it has ended.

        :param status: the status from then on.
        """
        if not self.ended:
            self._stopped, self.finished_at = status, _now()
            self._process.kill()
            self._thread.join()

    def _follow(self, question: Question) -> None:
        process = self._process
        pipes = (process.stdin, process.stdout, process.stderr)
        asked, answers, complaints = cast("tuple[IO[bytes], IO[bytes], IO[bytes]]", pipes)
        # If the process ended before it got the question, the end of its output says why.
        with suppress(BrokenPipeError), process:
            with suppress(BrokenPipeError):
                pickle.dump(question, asked)
                # The pipe stays open: it closes when this process ends, which ends the other one.
                asked.flush()
            for line in answers:
                message = json.loads(line)
                self._step = message.get("step", self._step)
                self.answer, self.error = message.get("answer"), message.get("error")
                if "step" not in message:
                    self.finished_at = _now()
            complained = complaints.read().decode().splitlines()
        if not self.ended:
            last = complained[-1] if complained else f"It ended with {process.returncode}"
            self.error = {"error_type": "WorkerError", "error_value": last, "is_retryable": True}
            self.finished_at = _now()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()
