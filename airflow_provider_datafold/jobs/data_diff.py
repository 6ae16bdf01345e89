"""The body of a data diff's creation, made from the arguments of a gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.api.data_diffs import CREATE
from airflow_provider_datafold.api.fields import names, table_path
from airflow_provider_datafold.api.operation import Request
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.gate.arguments import COMPARED
from airflow_provider_datafold.redaction.secret import conceal

_CREATE = replace(CREATE, body_name="options")
"""Named after the operator's argument, because what an error says of the body is about that."""

_SIDES = (("table1", "query1", "file1"), ("table2", "query2", "file2"))
_AVOIDING = ("infer_pk_avoid_names", "infer_pk_avoid_types")
_COLUMNS = ("pk_columns", "include_columns", "exclude_columns", "columns_to_compare")


def creation(arguments: Mapping[str, Any], options: Any) -> Request:
    """Make the request for a data diff's creation."""
    config = {name: arguments[name] for name in COMPARED} | _options(options)
    config = {
        name: _CHECKS[name](name, value) if name in _CHECKS else value
        for name, value in config.items()
        if not _is_none(value)
    }
    for side in _SIDES:
        _check_side(side, config)
    request = _CREATE.request(conceal(config))
    _check_key(request.body)
    return request


def _sql(field: str, value: Any) -> str:
    """Check a query, which a template may leave empty."""
    query = fields.text(field, value)
    if not query.strip():
        raise fields.input_error(field, value, "must be a SQL query")
    return query


_CHECKS: Mapping[str, fields.Check] = {
    "data_source1_id": fields.positive_integer,
    "data_source2_id": fields.positive_integer,
    "table1": table_path,
    "table2": table_path,
    "query1": _sql,
    "query2": _sql,
    **dict.fromkeys(_COLUMNS, names),
}
"""Checks that are stricter than the contract's."""


def _options(value: Any) -> dict[str, Any]:
    options = {} if _is_none(value) else dict(fields.mapping("options", value))
    for name in options:
        if name in COMPARED:
            raise DatafoldInputError(
                f"options: {name!r} is an argument of the operator: pass {name}=... instead. "
                f"Nothing was sent."
            )
    return options


def _check_side(side: tuple[str, ...], config: Mapping[str, Any]) -> None:
    given = [name for name in side if name in config]
    if len(given) != 1:
        table, query, file = side
        found = " and ".join(given) or "none"
        raise DatafoldInputError(
            f"{table}: pass exactly one of {table}, {query} and options[{file!r}]; found: {found}. "
            f"Nothing was sent."
        )


def _check_key(config: Mapping[str, Any]) -> None:
    """Refuse to infer a key where Datafold cannot, and to compare without one."""
    avoiding = [name for name in _AVOIDING if config.get(name)]
    if not config.get("infer_pk"):
        if avoiding:
            raise _unfit(avoiding[0], "needs infer_pk, too")
        if not config.get("pk_columns"):
            raise DatafoldInputError(
                "pk_columns: must name the columns that identify a row, e.g. ['id']. Within one "
                "data source, options={'infer_pk': True} lets Datafold infer them. Nothing was "
                "sent."
            )
        return
    if avoiding and config.get("pk_columns"):
        raise _unfit(avoiding[0], "cannot be used with pk_columns: then no key is inferred")
    if any(file in config for *_, file in _SIDES):
        raise _unfit("infer_pk", "does not work with files")
    is_one_source = config["data_source1_id"] == config["data_source2_id"]
    if not is_one_source and any(query not in config for _, query, _ in _SIDES):
        raise _unfit("infer_pk", "works across data sources only with a query on both sides")


def _unfit(option: str, why: str) -> DatafoldInputError:
    return DatafoldInputError(
        f"options: {option} {why}. Pass pk_columns instead; hook.guess_primary_key() looks for a "
        f"table's key. Nothing was sent."
    )


def _is_none(value: Any) -> bool:
    return fields.undo_none(value) is None
