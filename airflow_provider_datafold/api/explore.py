"""Explore: lineage of tables and columns."""

from __future__ import annotations

from typing import Any

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.api.caller import Caller
from airflow_provider_datafold.api.operation import Effect, Operation

_DATABASE = "/api/v1/explore/db/{data_connection_id}"
_DEPTH = {"max_depth": fields.between(1, 99)}


def _operation(path: str, name: str, **query: fields.Check) -> Operation[list[dict[str, Any]]]:
    return Operation(
        "GET",
        f"{_DATABASE}/{path}",
        Effect.READS,
        f"data connection or {name.removesuffix('_path')}",
        list,
        path_fields={name: fields.path_part},
        query={**_DEPTH, **query},
        is_classic=True,
    )


TABLE_UPSTREAMS = _operation("tables/{table_path}/upstreams", "table_path")
TABLE_DOWNSTREAMS = _operation("tables/{table_path}/downstreams", "table_path")
COLUMN_UPSTREAMS = _operation(
    "columns/{column_path}/upstreams", "column_path", include_tabular_nodes=fields.boolean
)
COLUMN_DOWNSTREAMS = _operation(
    "columns/{column_path}/downstreams", "column_path", include_tabular_nodes=fields.boolean
)


class ExploreMethods(Caller):
    """The hook's methods for lineage, which only Datafold Classic has."""

    def list_table_upstreams(
        self,
        data_connection_id: int | str,
        table_path: str,
        *,
        max_depth: int | str | None = None,
    ) -> list[dict[str, Any]]:
        """List the tables that a table is made from (``GET .../tables/{table_path}/upstreams``).

        :param data_connection_id: id of the data source, which this API calls a data connection.
        :param table_path: the table as Datafold writes it, e.g. ``DB."www.my site".T``. It may have
            any characters: they are quoted.
        :param max_depth: how many steps, from 1 to 99; by default 10.
        :return: a list of tables: ``name``, ``path``, ``columns``.
        """
        return self.call(
            TABLE_UPSTREAMS,
            data_connection_id=data_connection_id,
            table_path=table_path,
            max_depth=max_depth,
        )

    def list_table_downstreams(
        self,
        data_connection_id: int | str,
        table_path: str,
        *,
        max_depth: int | str | None = None,
    ) -> list[dict[str, Any]]:
        """List the tables made from a table (``GET .../tables/{table_path}/downstreams``).

        :param data_connection_id: as for :meth:`list_table_upstreams`.
        :param table_path: as for :meth:`list_table_upstreams`.
        :param max_depth: as for :meth:`list_table_upstreams`.
        :return: a list of tables: ``name``, ``path``, ``columns``.
        """
        return self.call(
            TABLE_DOWNSTREAMS,
            data_connection_id=data_connection_id,
            table_path=table_path,
            max_depth=max_depth,
        )

    def list_column_upstreams(
        self,
        data_connection_id: int | str,
        column_path: str,
        *,
        max_depth: int | str | None = None,
        include_tabular_nodes: bool | str | None = None,
    ) -> list[dict[str, Any]]:
        """List the columns that a column is made from (``GET .../{column_path}/upstreams``).

        :param data_connection_id: as for :meth:`list_table_upstreams`.
        :param column_path: the column as Datafold writes it, with any characters.
        :param max_depth: as for :meth:`list_table_upstreams`.
        :param include_tabular_nodes: whether to list tables, too; by default ``True``.
        :return: a list of columns (``name``, ``table``) and tables; ``type`` says which.
        """
        return self.call(
            COLUMN_UPSTREAMS,
            data_connection_id=data_connection_id,
            column_path=column_path,
            max_depth=max_depth,
            include_tabular_nodes=include_tabular_nodes,
        )

    def list_column_downstreams(
        self,
        data_connection_id: int | str,
        column_path: str,
        *,
        max_depth: int | str | None = None,
        include_tabular_nodes: bool | str | None = None,
    ) -> list[dict[str, Any]]:
        """List the columns made from a column (``GET .../columns/{column_path}/downstreams``).

        :param data_connection_id: as for :meth:`list_table_upstreams`.
        :param column_path: as for :meth:`list_column_upstreams`.
        :param max_depth: as for :meth:`list_table_upstreams`.
        :param include_tabular_nodes: as for :meth:`list_column_upstreams`.
        :return: a list of columns (``name``, ``table``) and tables; ``type`` says which.
        """
        return self.call(
            COLUMN_DOWNSTREAMS,
            data_connection_id=data_connection_id,
            column_path=column_path,
            max_depth=max_depth,
            include_tabular_nodes=include_tabular_nodes,
        )
