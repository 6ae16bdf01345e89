"""Answers a question in a thread of its own. Callers see a job like one with a course."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from dev.comparison.answer import answer
from dev.comparison.question import Question
from dev.comparison.workspace import ReadError, Workspace


class Comparison:
    """Answers a question, which can be stopped at any time."""

    def __init__(self, question: Question) -> None:
        self.answer: dict[str, Any] | None = None
        self.error: dict[str, Any] | None = None
        self.finished_at: str | None = None
        """When the status became final, ``None`` before that."""
        self._end = "processing"
        self._space = Workspace(question)
        self.thread = threading.Thread(target=self._answer, args=[question], daemon=True)
        self.thread.start()

    @property
    def status(self) -> str:
        return self._end

    @property
    def ended(self) -> bool:
        return self.finished_at is not None

    @property
    def outcome(self) -> Mapping[str, Any]:
        """The result, empty before the end."""
        return {"result": "error", "error": self.error} if self.error else self.answer or {}

    def read(self) -> str:
        return self.status

    def stop(self, status: str) -> None:
        """End it at once with a status, unless it has ended."""
        self._finish(status)
        # Again and again: one may come between two queries. Who waits for a lock ends later.
        for _ in range(40):
            if self.thread.is_alive():
                self._space.stop()
                self.thread.join(0.05)

    def _answer(self, question: Question) -> None:
        try:
            found = answer(question, self._space)
            self._space.stopped.wait(question.get("delay", 0.0))
            self._finish("done", found)
        except ReadError as error:
            said = {"error_type": error.kind, "error_value": str(error)}
            self._finish("failed", error={**said, "is_retryable": error.is_retryable})

    def _finish(self, status: str, answer: Any = None, error: Any = None) -> None:
        if not self.ended:
            self.answer, self.error, self._end = answer, error, status
            self.finished_at = datetime.now(timezone.utc).isoformat()
