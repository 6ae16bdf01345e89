"""Answers a question in its own process. Callers see a job like one with a course."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dev.comparison.question import STEPS, Question

_ROOT = Path(__file__).parents[2]


class Comparison:
    """Answers a question in a process that ends no later than the process that made this object."""

    def __init__(self, question: Question) -> None:
        self.answer: dict[str, Any] | None = None
        self.error: dict[str, Any] | None = None
        self.finished_at: str | None = None
        """When the status became final, ``None`` before that."""
        self._end: str | None = None
        self._step: int | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dev.comparison"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        self._thread = threading.Thread(target=self._follow, args=(question,), daemon=True)
        self._thread.start()

    @property
    def status(self) -> str:
        """The current status."""
        return self._end or ("waiting" if self._step is None else "processing")

    @property
    def ended(self) -> bool:
        """Whether the status is final."""
        return self.finished_at is not None

    @property
    def outcome(self) -> Mapping[str, Any]:
        """The result, empty before the end."""
        return {"result": "error", "error": self.error} if self.error else self.answer or {}

    @property
    def progress(self) -> dict[str, Any]:
        """The progress."""
        return {"version": "1", "completed_steps": self._step or 0, "total_steps": STEPS}

    def read(self) -> str:
        """Return the status to a caller."""
        return self.status

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, or for so many seconds."""
        self._thread.join(seconds)

    def stop(self, status: str) -> None:
        """End it at once with a status, unless it has ended."""
        self._finish(status)
        self._process.kill()
        self._thread.join()

    def _follow(self, question: Question) -> None:
        process = self._process
        # If the process ends before it gets the question, its output ends, too.
        with suppress(BrokenPipeError), process:
            assert process.stdin is not None  # noqa: S101 - for mypy, as the next
            assert process.stdout is not None  # noqa: S101
            with suppress(BrokenPipeError):
                # The pipe stays open: it closes when this process ends, which ends the other one.
                print(json.dumps(question), file=process.stdin, flush=True)
            for line in process.stdout:
                message = json.loads(line)
                if "step" in message:
                    self._step = message["step"]
                else:
                    self._finish(**message)
        value = f"The process of the comparison ended with {process.returncode}"
        error = {"error_type": "WorkerError", "error_value": value, "is_retryable": True}
        self._finish("failed", error=error)

    def _finish(self, status: str, answer: Any = None, error: Any = None) -> None:
        if not self.ended:
            self._end, self.answer, self.error = status, answer, error
            self.finished_at = datetime.now(timezone.utc).isoformat()
