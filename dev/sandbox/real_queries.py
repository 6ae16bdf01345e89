"""What was asked about the databases behind data sources."""

from __future__ import annotations

from typing import Any

from dev.comparison.comparison import Comparison
from dev.comparison.question import Question
from dev.sandbox.problem import problem
from dev.sandbox.validation import Refusal

_PATIENCE = 60.0
"""Seconds after which a query is stopped."""


class Comparisons(list[Comparison]):
    """All that was asked so far, each in a process of its own."""

    def start(self, question: Question) -> Comparison:
        """Start to answer a question."""
        self.append(Comparison(question))
        return self[-1]

    def ask(self, question: Question) -> dict[str, Any]:
        """Answer a question, while the caller waits."""
        asked = self.start(question)
        asked.wait(_PATIENCE)
        asked.stop("cancelled")
        if asked.answer is not None:
            return asked.answer
        message = asked.error["error_value"] if asked.error else f"It took over {_PATIENCE:g} s"
        raise Refusal([problem(("body",), "query_error", message, None)])

    def close(self) -> None:
        """Stop all that has not ended."""
        for asked in self:
            asked.stop("cancelled")
