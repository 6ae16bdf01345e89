"""Run a comparison in its own process, and follow its progress."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, cast

from dev.comparison.question import Question

_ROOT = Path(__file__).parents[2]


class Process:
    """Answers a question in a process that ends no later than the process that made this object.

    :param question: the comparison.
    """

    def __init__(self, question: Question) -> None:
        self.step: int | None = None
        """The number of completed steps, ``None`` before the start."""
        self.answer: dict[str, Any] | None = None
        """The answer, ``None`` before the end and after an error."""
        self.error: dict[str, Any] | None = None
        """The error, ``None`` if there is none."""
        self.ended_at: str | None = None
        """When it ended, whenever somebody looks."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dev.comparison"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._thread = threading.Thread(target=self._follow, args=(question,), daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether there is an answer or an error."""
        return self.answer is not None or self.error is not None

    def wait(self, seconds: float) -> None:
        """Wait until it has ended.

        :param seconds: the longest time to wait.
        """
        self._thread.join(seconds)

    def stop(self) -> None:
        """Kill the process, and wait until it has ended."""
        self._process.kill()
        self._thread.join()

    def _follow(self, question: Question) -> None:
        process = self._process
        pipes = (process.stdin, process.stdout, process.stderr)
        asked, told, said = cast("tuple[IO[str], IO[str], IO[str]]", pipes)
        # If the process ended before it got the question, the end of its output says why.
        with suppress(BrokenPipeError), process:
            with suppress(BrokenPipeError):
                asked.write(question.dump() + "\n")
                # The pipe stays open: it closes when this process ends, which ends the other one.
                asked.flush()
            for line in told:
                message = json.loads(line)
                if "step" not in message:
                    self.ended_at = datetime.now(timezone.utc).isoformat()
                self.step = message.get("step", self.step)
                self.answer = message.get("answer")
                self.error = message.get("error")
            complaints = said.read().splitlines()
        if not self.ended:
            self.ended_at = datetime.now(timezone.utc).isoformat()
            last = complaints[-1] if complaints else f"It ended with {process.returncode}"
            self.error = {"error_type": "WorkerError", "error_value": last, "is_retryable": True}
