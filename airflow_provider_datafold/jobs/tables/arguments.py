"""The arguments of the gates of a schema's tables. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.api.fields import is_template, names
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.tables.listing import Side
from airflow_provider_datafold.jobs.tables.pairing import Pair
from airflow_provider_datafold.redaction.secret import conceal, secrets_in

EVERY = "*"
"""Stands for all tables in the argument ``arguments``."""


def read_keys(field: str, value: Any) -> dict[str, list[str]]:
    """Check the keys of tables."""
    keys = {
        str(table): names(f"{field}[{table!r}]", columns)
        for table, columns in _mapping(field, value).items()
    }
    for table, columns in keys.items():
        if not columns:
            raise fields.input_error(f"{field}[{table!r}]", columns, "must name a column")
    return keys


def read_arguments(
    field: str, value: Any, allowed: Sequence[str], check: Callable[[Mapping[str, Any]], object]
) -> dict[str, dict[str, Any]]:
    """Check more arguments of gates."""
    given = {
        str(table): dict(fields.mapping(f"{field}[{table!r}]", more))
        for table, more in _mapping(field, value).items()
    }
    every = given.get(EVERY, {})
    merged = {table: every | more for table, more in given.items()}
    for table, more in merged.items():
        place = f"{field}[{table!r}]"
        for name in more:
            _check_name(place, name, allowed)
        if [*secrets_in(conceal(more.get("options")))]:
            raise DatafoldInputError(
                f"{place}: its options have a secret, which would land in XCom. Pass options to "
                f"the gate's partial() instead. Nothing was sent."
            )
        try:
            check(more)
        except DatafoldInputError as error:
            message = f"{place}: {error}"
        else:
            continue
        raise DatafoldInputError(message)
    return merged


def gate_arguments(
    pair: Pair, sides: Sequence[Side], key: Sequence[str], more: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments of a table's gate."""
    found: dict[str, Any] = {}
    for side, name in zip(sides, pair, strict=True):
        found[f"data_source{side.number}_id"] = side.data_source_id
        found[f"table{side.number}"] = [*side.schema, name]
    found |= {"pk_columns": [*key], **more}
    for name, value in found.items():
        if is_template(value):
            raise DatafoldInputError(
                f"Table {pair.first!r}: Airflow would take its {name} for a template, which can "
                f"read Airflow's connections: it contains '{{{{', '{{%' or '{{#'. Leave the table "
                f"out with exclude, or take that out of arguments. No gate was started."
            )
    return found


def _mapping(field: str, value: Any) -> Mapping[Any, Any]:
    return {} if fields.undo_none(value) is None else fields.mapping(field, value)


def _check_name(place: str, name: Any, allowed: Sequence[str]) -> None:
    if name in allowed:
        return
    near = fields.near(name, allowed)
    hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(allowed)}."
    raise DatafoldInputError(
        f"{place}: has no argument {fields.format_value(name)}; {hint} Tables, data sources and "
        f"keys come from the other arguments of the task. Nothing was sent."
    )
