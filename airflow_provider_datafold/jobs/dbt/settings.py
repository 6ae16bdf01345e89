"""What the meta of a dbt model says about its data diff. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.dbt.manifest import Model


@dataclass(frozen=True)
class Limits:
    """The arguments of a gate that a model may set."""

    names: Sequence[str]
    check: Callable[[Mapping[str, Any]], object]


@dataclass(frozen=True)
class Settings:
    """What a model sets for its data diff."""

    filter: str | None = None
    include_columns: list[str] | None = None
    exclude_columns: list[str] | None = None
    time_column: str | None = None
    prod_time_travel: int | str | None = None
    pr_time_travel: int | str | None = None
    never_diff: bool = False
    diff_tolerance: int | float | None = None
    slim_diff: object = None
    gate: Mapping[str, Any] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    @property
    def options(self) -> dict[str, Any]:
        """The options of a data diff, without ``time_column``, which names a column."""
        found = {
            "time_travel_point1": self.prod_time_travel,
            "time_travel_point2": self.pr_time_travel,
            "diff_tolerance": self.diff_tolerance,
        }
        return {name: each for name, each in found.items() if each is not None}

    @property
    def are_only_columns(self) -> bool:
        """Whether there is nothing but a choice of columns."""
        return not (self.gate or self.options or self.filter or self.time_column)


def read_settings(model: Model, limits: Limits) -> Settings:
    """Read what a model sets under ``datafold`` in its meta."""
    datafold = _object(model, "datafold", model.meta.get("datafold"))
    datadiff = _object(model, "datafold.datadiff", datafold.get("datadiff"))
    gate = _object(model, "datafold.gate", datafold.get("gate"))
    _check_limits(model, gate, limits)
    given = {name: value for name, value in datadiff.items() if value not in (None, [])}
    found = {
        name: check(_place(model, f"datafold.datadiff.{name}"), given[name])
        for name, check in _CHECKS.items()
        if name in given
    }
    places = [
        *(f"datafold.{name}" for name in datafold),
        *(f"datafold.datadiff.{n}" for n in given),
    ]
    known = [
        *("datafold.datadiff", "datafold.gate"),
        *(f"datafold.datadiff.{name}" for name in _CHECKS),
        *(f"datafold.gate.{name}" for name in limits.names),
    ]
    ignored = tuple(_hinted(place, known) for place in places if place not in known)
    return Settings(**found, gate=gate, ignored=ignored)


def _hinted(place: str, known: Sequence[str]) -> str:
    """Add to an unknown setting the one that may have been meant."""
    name = place.rpartition(".")[2]
    names = {each.rpartition(".")[2]: each for each in reversed(known)}
    nearest = fields.near(name, names)
    return f"{place} (did you mean {names[nearest[0]]!r}?)" if nearest else place


def _moment(name: str, value: Any) -> int | str:
    """Check a moment in time, or a list of one: what form it has depends on the warehouse."""
    if isinstance(value, list):
        if len(value) != 1:
            raise fields.input_error(name, value, "must be one moment")
        (value,) = value
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number else fields.text(name, value)


def _tolerance(name: str, value: Any) -> int | float:
    found = fields.number(name, value)
    if found < 0:
        raise fields.input_error(name, value, "must be a number from 0 on")
    return found


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "filter": fields.text,
    "include_columns": fields.texts,
    "exclude_columns": fields.texts,
    "time_column": fields.text,
    "prod_time_travel": _moment,
    "pr_time_travel": _moment,
    "never_diff": fields.boolean,
    "diff_tolerance": _tolerance,
    "slim_diff": lambda _, value: value,
}


def _check_limits(model: Model, gate: Mapping[str, Any], limits: Limits) -> None:
    for name in gate:
        if name not in limits.names:
            nearest = fields.near(name, limits.names)
            others = f"its limits are {', '.join(limits.names)}."
            hint = f"did you mean {nearest[0]!r}?" if nearest else others
            raise DatafoldInputError(
                f"{_place(model, 'datafold.gate')}: the gate has no limit "
                f"{fields.format_value(name)}; {hint} Nothing was sent."
            )
    try:
        limits.check(gate)
    except DatafoldInputError as error:
        message = f"{_place(model, 'datafold.gate')}: {error}"
    else:
        return
    raise DatafoldInputError(message)


def _object(model: Model, name: str, value: Any) -> Mapping[str, Any]:
    return fields.mapping(_place(model, name), {} if value is None else value)


def _place(model: Model, name: str) -> str:
    return f"model {model.label!r}: {name} in its meta"
