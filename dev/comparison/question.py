"""What is asked for.

A question is the body of a request for a data diff, in the API's words, with ``address1`` and
``address2``: the path of a DuckDB or SQLite file, or the URL of a PostgreSQL database. Without the
second, it asks for the rows of the first side, up to a ``limit``, or for some ``fields`` of them.
A ``delay`` is in seconds.
"""

from __future__ import annotations

from typing import Any

Question = dict[str, Any]


def is_url(address: str) -> bool:
    return address.startswith(("postgresql://", "postgres://"))


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def select(question: Question, place: int) -> str:
    table, query, where = (question.get(f"{name}{place}") for name in ("table", "query", "filter"))
    # What we did not write is on lines of its own, because it may end with a comment.
    source = (
        ".".join(map(quoted, table))
        if table
        else f"(\n{(query or '').strip().rstrip(';')}\n) as query"
    )
    condition = f" where (\n{where}\n)" if where else ""
    limit = f" limit {question['limit']}" if "limit" in question else ""
    return f"select {question.get('fields', '*')} from {source}{condition}{limit}"
