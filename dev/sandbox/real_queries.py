"""Queries that really run: those of data sources with a database behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dev.comparison.comparison import Comparison
from dev.comparison.question import Question, Side
from dev.sandbox.problem import problem
from dev.sandbox.validation import Refusal

MOST_ROWS = 1000
"""How many rows a response has at most."""

_PATIENCE = 60.0
"""Seconds after which a query is stopped."""


class Queries:
    """Runs questions, each in a process of its own, while a caller waits."""

    def __init__(self) -> None:
        self.running: list[Comparison] = []
        """The questions that are not answered yet."""

    def ask(self, question: Question) -> dict[str, Any]:
        """Answer a question.

        :param question: the question.
        :raises Refusal: if there is no answer; the message says why.
        """
        asked = Comparison(question)
        self.running.append(asked)
        asked.wait(_PATIENCE)
        asked.stop("cancelled")
        self.running.remove(asked)
        if asked.answer is not None:
            return asked.answer
        message = asked.error["error_value"] if asked.error else f"It took over {_PATIENCE:g} s"
        raise Refusal([problem(("body",), "query_error", message, None)])

    def close(self) -> None:
        """Stop all queries."""
        for asked in list(self.running):
            asked.stop("cancelled")


def rows_of(address: str, query: str, params: Sequence[str] | None) -> Question:
    """Return the question for the first rows of a query.

    :param address: the database.
    :param query: the query.
    :param params: the values of its parameters.
    :raises Refusal: if it has parameters.
    """
    if params:
        message = "The sandbox does not support parameters of real queries"
        raise Refusal([problem(("body", "params"), "not_supported", message, params)])
    return Question(sides=[Side(address, query=query, limit=MOST_ROWS)], shows=True)


def columns_of(address: str, table: list[str]) -> Question:
    """Return the question for the columns of a table.

    :param address: the database.
    :param table: the table's name in parts.
    """
    return Question(sides=[Side(address, table=table, limit=0)], shows=True)


def key_of(address: str, table: list[str]) -> Question:
    """Return the question for the primary key of a table.

    :param address: the database.
    :param table: the table's name in parts.
    """
    # A comparison with itself infers the key.
    return Question(sides=[Side(address, table=table)] * 2, infers_keys=True)
