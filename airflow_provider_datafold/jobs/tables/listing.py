"""The tables of a schema, as Datafold's queries show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """One of the two schemas.

    :param number: 1 or 2.
    :param data_source_id: the id of its data source.
    :param schema: the path of the schema.
    :param query: SQL that lists its tables; ``None`` for that of the data source's type.
    """

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
    """List the names of a schema's tables.

    :param hook: the hook to call.
    :param side: the schema.
    :return: each name once, sorted.
    :raises DatafoldInputError: no SQL is known for the data source, a name is blank, or there is
        no table.
    :raises DatafoldAnswerError: not all tables came back.
    :raises DatafoldError: a call failed.
    """
    rows = _rows(hook, side, side.query or _sql(hook, side))
    names = [_name(side, number, row) for number, row in enumerate(rows, 1)]
    if not names:
        raise DatafoldInputError(
            f"{'query' if side.query else 'schema'}{side.number}: Datafold shows no tables in "
            f"{side.place}. Check the spelling, where case matters, and the rights of its user. No "
            f"gate was started."
        )
    count = _count(hook, side, side.query) if side.query else rows[0][1]
    if isinstance(count, int) and len(rows) < count:
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


def _count(hook: JobHook, side: Side, sql: str) -> Any:
    """Count the rows of a query of the user's, which may not allow that."""
    counting = f"SELECT COUNT(*) AS TABLE_COUNT FROM (\n{sql.strip().rstrip(';')}\n) q"  # noqa: S608
    try:
        return _rows(hook, side, counting)[0][0]
    except (DatafoldRejectedError, DatafoldValidationError, IndexError) as error:
        hook.log.warning(
            "Could not count the rows of query%d (%s), so if Datafold has cut them, tables are "
            "missing here.",
            side.number,
            getattr(error, "summary", "no rows"),
        )
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
