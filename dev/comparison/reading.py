"""Read the rows of one side, and return them as the API does."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import duckdb

from dev.comparison import source
from dev.comparison.question import Question


def read(question: Question) -> dict[str, Any]:
    """Read the first rows of a side.

    :param question: a question with one side, and the number of rows to show.
    :return: ``columns`` and ``rows`` as the API has them.
    :raises ReadError: if the side cannot be read.
    """
    connection = duckdb.connect()
    (table,) = source.copy(connection, question.sides, lambda number: None)
    found = connection.execute(f"select * from {table.name} limit {question.shows}").fetchall()
    names = [column.name for column in table.columns]
    columns = [
        {"name": column.name, "number": place, "type": column.declared}
        for place, column in enumerate(table.columns)
    ]
    rows = [dict(zip(names, map(_plain, row), strict=True)) for row in found]
    return {"columns": columns, "rows": rows}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
