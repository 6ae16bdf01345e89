"""The tables of a schema, as Datafold's queries show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldInputError,
    DatafoldRejectedError,
    DatafoldValidationError,
)
from airflow_provider_datafold.jobs.tables.dialect import DIALECTS, listing

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.hook import JobHook

_MOST_PARTS = 2


@dataclass(frozen=True)
class Side:
    """One of the two schemas."""

    number: int
    data_source_id: int
    schema: Sequence[str]
    query: str | None

    @property
    def path(self) -> tuple[int | str, ...]:
        """What no other schema has."""
        return (self.data_source_id, *self.schema)

    @property
    def place(self) -> str:
        """The schema, for people."""
        return f"{'.'.join(self.schema)} of data source {self.data_source_id}"


def list_tables(hook: JobHook, side: Side) -> list[str]:
    """List the names of a schema's tables."""
    rows = _rows(hook, side, side.query or _sql(hook, side))
    names = [_name(side, number, row) for number, row in enumerate(rows, 1)]
    if not names:
        raise DatafoldInputError(
            f"{'query' if side.query else 'schema'}{side.number}: Datafold shows no tables in "
            f"{side.place}. Check the spelling, where case matters, and the rights of its user. No "
            f"gate was started."
        )
    count = _count(hook, side, rows)
    if count is None:
        hook.log.warning(
            "Could not count the tables in %s: if Datafold has cut their list, some are missing.",
            side.place,
        )
    elif len(rows) < count:
        raise DatafoldAnswerError(
            f"Datafold returned only {len(rows)} of the {count} tables in {side.place}: it cuts "
            f"long responses. Pass query{side.number} with SQL for fewer of them, and use several "
            f"tasks. No gate was started."
        )
    return sorted({*names})


def _name(side: Side, number: int, row: Sequence[Any]) -> str:
    if row and isinstance(row[0], str) and row[0].strip():
        return row[0]
    raise DatafoldInputError(
        f"query{side.number}: row {number} has no table's name in its first column. No gate was "
        f"started."
    )


def _sql(hook: JobHook, side: Side) -> str:
    kind = hook.get_data_source_summary(side.data_source_id).get("type")
    dialect = DIALECTS.get(str(kind))
    if dialect is None:
        raise DatafoldInputError(
            f"query{side.number}: no SQL is known that lists the tables of data source "
            f"{side.data_source_id}, whose type is {kind!r}. Pass query{side.number}, SQL whose "
            f"first column is the table's name. No gate was started."
        )
    if len(side.schema) > _MOST_PARTS or any("\\" in part for part in side.schema):
        raise DatafoldInputError(
            f"schema{side.number}: must be a schema, or a database and a schema, without "
            f"backslashes: not {list(side.schema)}. No gate was started."
        )
    return listing(dialect, side.schema)


def _count(hook: JobHook, side: Side, rows: list[list[Any]]) -> int | None:
    """Return how many tables there are; a query of the user's may not allow to count them."""
    found: Any = rows
    # Whatever is no number is no count.
    with suppress(
        DatafoldRejectedError, DatafoldValidationError, IndexError, TypeError, ValueError
    ):
        if side.query:
            sql = side.query.strip().rstrip(";")
            found = _rows(hook, side, f"SELECT COUNT(*) AS TABLE_COUNT FROM (\n{sql}\n) q")  # noqa: S608
        return int(found[0][-1])
    return None


def _rows(hook: JobHook, side: Side, sql: str) -> list[list[Any]]:
    """Return the rows of a query, each in the order of its columns."""
    answer = hook.query_data_source(side.data_source_id, sql)
    rows, columns = answer.get("rows"), answer.get("columns")
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise DatafoldAnswerError(
            f"The response to the query for the tables in {side.place} has no list 'rows'."
        )
    order = [str(each.get("name")) for each in columns or () if isinstance(each, Mapping)]
    return [
        [row[name] for name in order] if order and {*order} <= row.keys() else [*row.values()]
        for row in rows
    ]
