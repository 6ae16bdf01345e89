"""The section Explore: which tables and columns are made from which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import HTTPException

from dev.sandbox.router import Router

if TYPE_CHECKING:
    from dev.sandbox.state import State

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
        """Return a table as callers see it.

        :param path: its path as a string.
        """
        parts, names = self.tables[path]
        columns = [{"name": name} for name in names]
        return {"type": "Table", "name": parts[-1], "path": parts, "columns": columns}

    def column(self, path: str) -> dict[str, Any]:
        """Return a column as callers see it.

        :param path: its path as a string.
        """
        table = self.columns()[path]
        parts, _ = self.tables[table]
        name = path.removeprefix(f"{table}.")
        return {"type": "Column", "name": name, "table": {"name": parts[-1], "path": parts}}


def reached(edges: list[tuple[str, str]], start: str, max_depth: int) -> list[str]:
    """Return all nodes that can be reached along the edges, nearest first.

    :param edges: pairs of source and target.
    :param start: the first node, which is not part of the result.
    :param max_depth: the most edges to follow in a row.
    """
    found = {start: None}
    front = [start]
    for _ in range(max_depth):
        front = [other for one, other in edges if one in front and other not in found]
        found |= dict.fromkeys(front)
    return list(found)[1:]


def _backwards(edges: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(other, one) for one, other in edges]


def _tables(
    state: State, source: int, path: str, edges: list[tuple[str, str]], max_depth: int
) -> Any:
    state.data_sources.sources.require(source)
    if path not in state.explore.tables:
        raise HTTPException(404, "Table not found")
    return [state.explore.table(found) for found in reached(edges, path, max_depth)]


def _columns(
    state: State,
    source: int,
    path: str,
    edges: list[tuple[str, str]],
    max_depth: int,
    include_tabular_nodes: bool,
) -> Any:
    state.data_sources.sources.require(source)
    columns = state.explore.columns()
    if path not in columns:
        raise HTTPException(404, "Column not found")
    found = reached(edges, path, max_depth)
    shown = [state.explore.column(column) for column in found]
    if include_tabular_nodes:
        shown += [state.explore.table(table) for table in {columns[each]: 0 for each in found}]
    return shown


@router.handles("GET", _PATH + "/tables/{table_path}/upstreams")
def table_upstreams(state: State, data_connection_id: int, table_path: str, max_depth: int) -> Any:
    """List the tables that a table is made from."""
    edges = _backwards(state.explore.of_tables())
    return _tables(state, data_connection_id, table_path, edges, max_depth)


@router.handles("GET", _PATH + "/tables/{table_path}/downstreams")
def table_downstreams(
    state: State, data_connection_id: int, table_path: str, max_depth: int
) -> Any:
    """List the tables that are made from a table."""
    edges = state.explore.of_tables()
    return _tables(state, data_connection_id, table_path, edges, max_depth)


@router.handles("GET", _PATH + "/columns/{column_path}/upstreams")
def column_upstreams(
    state: State,
    data_connection_id: int,
    column_path: str,
    max_depth: int,
    include_tabular_nodes: bool,
) -> Any:
    """List the columns that a column is made from."""
    edges = _backwards(state.explore.edges)
    return _columns(state, data_connection_id, column_path, edges, max_depth, include_tabular_nodes)


@router.handles("GET", _PATH + "/columns/{column_path}/downstreams")
def column_downstreams(
    state: State,
    data_connection_id: int,
    column_path: str,
    max_depth: int,
    include_tabular_nodes: bool,
) -> Any:
    """List the columns that are made from a column."""
    edges = state.explore.edges
    return _columns(state, data_connection_id, column_path, edges, max_depth, include_tabular_nodes)
