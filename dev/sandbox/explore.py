"""The section Explore: which tables and columns are made from which."""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException

from dev.sandbox.data_sources import DataSources
from dev.sandbox.router import Router

_PATH = "/api/v1/explore/db/{data_connection_id}"
_TABLES = {
    "DB.PUBLIC.RAW": ["DB", "PUBLIC", "RAW"],
    'DB."www.my site".T': ["DB", "www.my site", "T"],
    "a/b": ["a/b"],
    "DB.PUBLIC.ORDERS": ["DB", "PUBLIC", "ORDERS"],
}
"""The parts of each table's path, by the path as a string. Each table is made from the one before,
and each column from that of the same name."""
_COLUMNS = {f"{path}.{name}": (path, name) for path in _TABLES for name in ("id", "amount")}

router = Router()


def _table(path: str) -> dict[str, Any]:
    parts = _TABLES[path]
    columns = [{"name": name} for table, name in _COLUMNS.values() if table == path]
    return {"type": "Table", "name": parts[-1], "path": parts, "columns": columns}


def _column(path: str, name: str) -> dict[str, Any]:
    table = {"name": _TABLES[path][-1], "path": _TABLES[path]}
    return {"type": "Column", "name": name, "table": table}


def _reached(path: str, direction: str, max_depth: int) -> list[str]:
    """Return the tables in a direction, nearest first."""
    tables = list(_TABLES) if direction == "downstreams" else [*reversed(_TABLES)]
    start = tables.index(path) + 1
    return tables[start : start + max_depth]


def _serve(direction: str) -> None:

    @router.handles("GET", f"{_PATH}/tables/{{table_path}}/{direction}")
    def tables(
        data_sources: DataSources, data_connection_id: int, table_path: str, max_depth: int
    ) -> Any:
        data_sources.sources.require(data_connection_id)
        if table_path not in _TABLES:
            raise HTTPException(404, "Table not found")
        return [_table(path) for path in _reached(table_path, direction, max_depth)]

    @router.handles("GET", f"{_PATH}/columns/{{column_path}}/{direction}")
    def columns(
        data_sources: DataSources,
        data_connection_id: int,
        column_path: str,
        max_depth: int,
        include_tabular_nodes: bool,
    ) -> Any:
        data_sources.sources.require(data_connection_id)
        if column_path not in _COLUMNS:
            raise HTTPException(404, "Column not found")
        table, name = _COLUMNS[column_path]
        found = _reached(table, direction, max_depth)
        shown = [_column(path, name) for path in found]
        return shown + ([_table(path) for path in found] if include_tabular_nodes else [])


_serve("upstreams")
_serve("downstreams")
