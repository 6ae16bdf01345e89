"""Queries that really run: those of data sources with a database behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dev.comparison.process import Process
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
        self.running: list[Process] = []
        """The processes of questions that are not answered yet."""

    def ask(self, question: Question) -> dict[str, Any]:
        """Answer a question.

        :param question: the question.
        :raises Refusal: if there is no answer; the message says why.
        """
        process = Process(question)
        self.running.append(process)
        try:
            process.wait(_PATIENCE)
            # Before it is stopped, which is an error of its own.
            error = process.error or {"error_value": f"It took over {_PATIENCE:g} s"}
        finally:
            process.stop()
            self.running.remove(process)
        if process.answer is not None:
            return process.answer
        message = error["error_value"]
        raise Refusal([problem(("body",), "query_error", message, None)])

    def close(self) -> None:
        """Stop all queries."""
        for process in list(self.running):
            process.stop()


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
    return Question(sides=[Side(address, query=query, limit=MOST_ROWS)], shows=MOST_ROWS)


def columns_of(address: str, table: list[str]) -> Question:
    """Return the question for the columns of a table.

    :param address: the database.
    :param table: the table's name in parts.
    """
    return Question(sides=[Side(address, table=table, limit=0)], shows=1)


def key_of(address: str, table: list[str]) -> Question:
    """Return the question for the primary key of a table.

    :param address: the database.
    :param table: the table's name in parts.
    """
    side = Side(address, table=table)
    # A comparison with itself infers the key.
    return Question(sides=[side, replace(side)], infers_keys=True)
