"""A comparison that goes on in a process of its own, seen from the one that wants to know."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

from dev.comparison.question import Question

_ROOT = Path(__file__).parents[2]


class Process:
    """Answers a question in a process that ends with this object's owner at the latest.

    :param question: what is to be compared.
    """

    def __init__(self, question: Question) -> None:
        self.step: int | None = None
        """How many steps are done, ``None`` before the start."""
        self.answer: dict[str, Any] | None = None
        """What was found, ``None`` until then and after an error."""
        self.error: dict[str, Any] | None = None
        """What went wrong, ``None`` if nothing did."""
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

    def stop(self) -> None:
        """Kill the process, and come back when it is gone."""
        self._process.kill()
        self._thread.join()

    def _follow(self, question: Question) -> None:
        process = self._process
        pipes = (process.stdin, process.stdout, process.stderr)
        asked, told, said = cast("tuple[IO[str], IO[str], IO[str]]", pipes)
        # If the process has ended before it was asked, the end of the output says why.
        with suppress(BrokenPipeError), process:
            with suppress(BrokenPipeError):
                asked.write(question.dump() + "\n")
                # Left open: when this process ends, that closes it, and so the other one ends.
                asked.flush()
            for line in told:
                message = json.loads(line)
                self.step = message.get("step", self.step)
                self.answer = message.get("answer")
                self.error = message.get("error")
            complaints = said.read().splitlines()
        if not self.ended:
            last = complaints[-1] if complaints else f"It ended with {process.returncode}"
            self.error = {"error_type": "WorkerError", "error_value": last, "is_retryable": True}
