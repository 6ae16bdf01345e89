"""The section Explore: which tables and columns are made from which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import HTTPException

from dev.sandbox.data_sources import DataSources
from dev.sandbox.router import Router

_PATH = "/api/v1/explore/db/{data_connection_id}"

router = Router()


class Lineage:
    """Tables, their columns, and the lineage between them.

    A table has a path as a text, such as ``DB."www.my site".T``; a column has its table's path, a
    dot and its name.
    """

    def __init__(self) -> None:
        self.tables: dict[str, tuple[list[str], list[str]]] = {
            "DB.PUBLIC.RAW": (["DB", "PUBLIC", "RAW"], ["id", "amount"]),
            'DB."www.my site".T': (["DB", "www.my site", "T"], ["id", "amount"]),
            "a/b": (["a/b"], ["id", "100%"]),
            "DB.PUBLIC.ORDERS": (["DB", "PUBLIC", "ORDERS"], ["id", "amount"]),
        }
        """The parts of the path and the columns of a table, by its path as a string."""
        self.edges = [
            ("DB.PUBLIC.RAW.id", 'DB."www.my site".T.id'),
            ("DB.PUBLIC.RAW.amount", 'DB."www.my site".T.amount'),
            ('DB."www.my site".T.id', "a/b.id"),
            ('DB."www.my site".T.amount', "a/b.100%"),
            ("a/b.id", "DB.PUBLIC.ORDERS.id"),
        ]
        """Pairs of columns: the first is a source of the second."""

    def columns(self) -> dict[str, str]:
        """Return the table of each column, both as strings."""
        return {
            f"{table}.{name}": table for table, (_, names) in self.tables.items() for name in names
        }

    def of_tables(self) -> list[tuple[str, str]]:
        """Return the pairs of tables: the first is a source of the second."""
        columns = self.columns()
        return list({(columns[one], columns[other]): None for one, other in self.edges})

    def table(self, path: str) -> dict[str, Any]:
        """Return a table as callers see it."""
        parts, names = self.tables[path]
        columns = [{"name": name} for name in names]
        return {"type": "Table", "name": parts[-1], "path": parts, "columns": columns}

    def column(self, path: str) -> dict[str, Any]:
        """Return a column as callers see it."""
        table = self.columns()[path]
        parts, _ = self.tables[table]
        name = path.removeprefix(f"{table}.")
        return {"type": "Column", "name": name, "table": {"name": parts[-1], "path": parts}}


def reached(edges: list[tuple[str, str]], start: str, max_depth: int) -> list[str]:
    """Return all nodes that can be reached along the edges, nearest first."""
    found = {start: None}
    front = [start]
    for _ in range(max_depth):
        front = [other for one, other in edges if one in front and other not in found]
        found |= dict.fromkeys(front)
    return list(found)[1:]


def _backwards(edges: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(other, one) for one, other in edges]


def _tables(explore: Lineage, path: str, edges: list[tuple[str, str]], max_depth: int) -> Any:
    if path not in explore.tables:
        raise HTTPException(404, "Table not found")
    return [explore.table(found) for found in reached(edges, path, max_depth)]


def _columns(
    explore: Lineage, path: str, edges: list[tuple[str, str]], max_depth: int, with_tables: bool
) -> Any:
    columns = explore.columns()
    if path not in columns:
        raise HTTPException(404, "Column not found")
    found = reached(edges, path, max_depth)
    shown = [explore.column(column) for column in found]
    if with_tables:
        shown += [explore.table(table) for table in {columns[each]: 0 for each in found}]
    return shown


def _serve(
    direction: str, turned: Callable[[list[tuple[str, str]]], list[tuple[str, str]]]
) -> None:
    """Serve the two operations of a direction."""

    @router.handles("GET", f"{_PATH}/tables/{{table_path}}/{direction}")
    def tables(
        explore: Lineage,
        data_sources: DataSources,
        data_connection_id: int,
        table_path: str,
        max_depth: int,
    ) -> Any:
        data_sources.sources.require(data_connection_id)
        return _tables(explore, table_path, turned(explore.of_tables()), max_depth)

    @router.handles("GET", f"{_PATH}/columns/{{column_path}}/{direction}")
    def columns(
        explore: Lineage,
        data_sources: DataSources,
        data_connection_id: int,
        column_path: str,
        max_depth: int,
        include_tabular_nodes: bool,
    ) -> Any:
        data_sources.sources.require(data_connection_id)
        edges = turned(explore.edges)
        return _columns(explore, column_path, edges, max_depth, include_tabular_nodes)


_serve("upstreams", _backwards)
_serve("downstreams", list)
