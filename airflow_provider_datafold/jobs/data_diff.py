"""The body of a data diff's creation, made from the arguments of a gate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.api.data_diffs import CREATE
from airflow_provider_datafold.api.operation import Request
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.gate.arguments import COMPARED
from airflow_provider_datafold.redaction.secret import conceal

_CREATE = replace(CREATE, body_name="options")
"""Named after the operator's argument, because what an error says of the body is about that."""

_SIDES = (("table1", "query1", "file1"), ("table2", "query2", "file2"))
_COLUMNS = ("pk_columns", "include_columns", "exclude_columns", "columns_to_compare")
_PART = r"""(?:"(?:[^"]|"")+"|`(?:[^`]|``)+`|[^."`\s][^."`]*)"""
_PARTS = re.compile(_PART)
_PATH = re.compile(rf"{_PART}(?:\.{_PART})*")
_TABLE = (
    "must be a list of path parts or a dotted string, e.g. ['DB', 'SCHEMA', 'TABLE'] or "
    "'DB.SCHEMA.TABLE' (quote a part that contains a dot: 'DB.\"my.table\"')"
)


def creation(arguments: Mapping[str, Any], options: Any) -> Request:
    """Make the request for a data diff's creation.

    :param arguments: values of :data:`~airflow_provider_datafold.jobs.gate.arguments.COMPARED` by
        name, as Airflow rendered them, concealed.
    :param options: the other fields by the API's names, or ``None``.
    :return: the request. Its body has no tag yet.
    :raises DatafoldInputError: a value is wrong, a side is missing or given twice, an option is
        unknown or is also an argument, a column's name is blank, or there are no primary keys.
    """
    options = _options(options)
    config = {name: arguments[name] for name in COMPARED}
    config = {
        name: _CHECKS.get(name, _as_it_is)(name, value)
        for name, value in config.items()
        if not _is_none(value)
    }
    config |= options
    for side in _SIDES:
        _check_side(side, config)
    request = _CREATE.request(conceal(config))
    _check_columns(request.body)
    if not request.body.get("pk_columns") and not request.body.get("infer_pk"):
        raise DatafoldInputError(
            "pk_columns: must name the columns that identify a row, e.g. ['id']; or let Datafold "
            "infer them with options={'infer_pk': True}. Nothing was sent."
        )
    return request


def table_path(field: str, value: Any) -> list[str]:
    """Check the path of a table.

    :param field: the field's name, for the error.
    :param value: a list of parts, such a list as JSON or as a Python literal, or a string with dots
        between the parts. In that string a part may be quoted with ``"`` or `````: dots inside the
        quotes do not separate parts, and the quote itself is doubled.
    :return: at least one part, none of them blank.
    :raises DatafoldInputError: the value is anything else.
    """
    # A table's name may look like another literal: 'true', or '1.5'.
    spelled = fields.literal(value)
    if isinstance(spelled, Sequence) and not isinstance(spelled, str):
        parts = fields.texts(field, spelled)
    elif isinstance(value, str) and not _is_other(spelled) and _PATH.fullmatch(value.strip()):
        parts = [_unquoted(part) for part in _PARTS.findall(value.strip())]
    else:
        parts = []
    if not parts or not all(part.strip() for part in parts):
        raise fields.input_error(field, value, _TABLE)
    return parts


def _is_other(spelled: Any) -> bool:
    return isinstance(spelled, (Mapping, set))


def _sql(field: str, value: Any) -> str:
    """Check a query, which a template may leave empty."""
    query = fields.text(field, value)
    if not query.strip():
        raise fields.input_error(field, value, "must be a SQL query")
    return query


def _as_it_is(field: str, value: Any) -> Any:
    return value


_CHECKS: Mapping[str, fields.Check] = {
    "data_source1_id": fields.positive_integer,
    "data_source2_id": fields.positive_integer,
    "table1": table_path,
    "table2": table_path,
    "query1": _sql,
    "query2": _sql,
}
"""Checks that are stricter than the contract's."""


def _unquoted(part: str) -> str:
    quote = part[0]
    if quote not in '"`':
        return part.strip()
    return part[1:-1].replace(quote * 2, quote)


def _options(value: Any) -> Mapping[str, Any]:
    options = {} if _is_none(value) else fields.mapping("options", value)
    for name in options:
        if name in COMPARED:
            raise DatafoldInputError(
                f"options: {name!r} is an argument of the operator: pass {name}=... instead. "
                f"Nothing was sent."
            )
    return {name: item for name, item in options.items() if not _is_none(item)}


def _check_side(side: tuple[str, ...], config: Mapping[str, Any]) -> None:
    given = [name for name in side if name in config]
    if len(given) != 1:
        table, query, file = side
        found = " and ".join(given) or "none"
        raise DatafoldInputError(
            f"{table}: pass exactly one of {table}, {query} and options[{file!r}]; found: {found}. "
            f"Nothing was sent."
        )


def _check_columns(config: Mapping[str, Any]) -> None:
    """Refuse blank names, which a template leaves behind where a variable is empty."""
    for field in _COLUMNS:
        for index, name in enumerate(config.get(field) or ()):
            if not name.strip():
                raise fields.input_error(f"{field}[{index}]", name, "must be a column's name")


def _is_none(value: Any) -> bool:
    return fields.undo_none(value) is None
