"""From the models of a dbt project to what is compared. Nothing here does I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.dbt.key import IDENTIFIER, Key, find_key
from airflow_provider_datafold.jobs.dbt.manifest import Model, Quoted
from airflow_provider_datafold.jobs.dbt.production import Production
from airflow_provider_datafold.jobs.dbt.results import BUILT, SKIPPED
from airflow_provider_datafold.jobs.dbt.selection import shown
from airflow_provider_datafold.jobs.dbt.settings import Limits, Settings, read_settings

NEW = "new, so nothing is published"
REMOVED = "removed"
NO_KEY = "no primary key"
NOT_IN_RESULTS = "not built (not in run_results)"
"""Why models are left out."""

Rename = Callable[[str], str]
"""Turns a name in the project into the warehouse's."""


@dataclass(frozen=True)
class Comparison:
    """A model that is compared."""

    model: Model
    published: tuple[str, ...]
    settings: Settings
    key: Key | None


@dataclass(frozen=True)
class Choice:
    """What is compared, and what is not."""

    compared: Sequence[Comparison]
    left_out: Mapping[str, Sequence[Model]]

    @property
    def summary(self) -> str:
        """Both in one line."""
        left_out = "; ".join(
            f"{reason}: {_names(models)}" for reason, models in self.left_out.items()
        )
        count = len(self.compared) + sum(map(len, self.left_out.values()))
        others = f" Left out: {left_out}." if left_out else ""
        return f"Comparing {len(self.compared)} of {count} models.{others}"

    @property
    def warnings(self) -> Iterator[str]:
        """What nobody expected: a task after the gates may publish these models all the same."""
        for reason, models in self.left_out.items():
            if reason == NOT_IN_RESULTS:
                yield (
                    f"Not in run_results, so not compared: {_names(models)}. A task after the "
                    f"gates may publish them all the same. After 'dbt retry', leave run_results "
                    f"out."
                )
            elif reason.startswith("not built") and SKIPPED not in reason:
                yield f"N{reason[1:]}, so not compared: {_names(models)}."

    @property
    def entries(self) -> list[dict[str, str]]:
        """What is left out, as it lands in XCom."""
        return [
            {"name": model.label, "reason": reason}
            for reason, models in self.left_out.items()
            for model in models
        ]

    def check(self, production: Production, tag: str, missing_key: str) -> None:
        """Refuse models that must not be left out, and those whose tables nobody knows."""
        keyless = self.left_out.get(NO_KEY)
        if keyless and missing_key == "fail":
            raise _keyless(keyless, tag)
        production.check(comparison.model for comparison in self.compared)


def choose(
    models: Iterable[Model],
    production: Production,
    statuses: Mapping[str, str] | None,
    limits: Limits,
    *,
    tag: str,
    missing_key: str,
) -> Choice:
    """Choose what is compared, and with what."""
    left_out: defaultdict[str, list[Model]] = defaultdict(list)
    kept, removed, compared = [], [], []
    for model in models:
        if model.unique_id in production.removed:
            removed.append(model)
            continue
        settings = read_settings(model, limits)
        if reason := _reason(model, settings, statuses):
            left_out[reason].append(model)
        else:
            kept.append((model, settings))
    for model, settings in kept:
        published = production.table(model)
        if published is None:
            left_out[NEW].append(model)
            continue
        key = find_key(model, tag)
        if key is None and missing_key != "infer":
            left_out[NO_KEY].append(model)
        else:
            compared.append(Comparison(model, published, settings, key))
    return Choice(compared, {**left_out, **({REMOVED: removed} if removed else {})})


def check_sides(argument: str, compared: Iterable[Comparison]) -> None:
    """Refuse to compare a table with itself, which is always equal."""
    same = [
        comparison.model
        for comparison in compared
        if _are_same(comparison.published, comparison.model.table)
        and _instant(comparison.settings.prod_time_travel)
        == _instant(comparison.settings.pr_time_travel)
    ]
    if same:
        raise DatafoldInputError(
            f"{argument}: says that these models are published where they were built, so that each "
            f"table would be compared with itself: {_names(same)}. Pass the manifest of what "
            f"was built as manifest, and where it will be published as production_manifest or "
            f"production."
        )


def _instant(moment: int | str | None) -> float | datetime | str | None:
    """Return the same for each way to write a moment; ``None`` for now."""
    text = "" if moment is None else str(moment).strip().casefold()
    with suppress(ValueError):
        return float(text) or None
    return None if text in ("", "now") else fields.moment(text) or text


def gate_arguments(comparison: Comparison, data_source_id: int, rename: Rename) -> dict[str, Any]:
    """Return the arguments of a gate."""
    settings = comparison.settings
    options = settings.options
    if settings.time_column:
        (options["time_column"],) = _renamed([settings.time_column], comparison, rename)
    if comparison.key is None:
        options["infer_pk"] = True
    arguments = {
        "data_source1_id": data_source_id,
        "data_source2_id": data_source_id,
        "table1": _path(comparison.published, rename),
        "table2": _path(comparison.model.table, rename),
        "pk_columns": comparison.key and _renamed(comparison.key.columns, comparison, rename),
        "filter1": settings.filter,
        "filter2": settings.filter,
        **_columns(comparison, rename),
        "options": options or None,
    }
    found = {name: each for name, each in arguments.items() if each is not None} | {**settings.gate}
    for name, value in found.items():
        _refuse_template(comparison.model, name, value)
    return found


def ci_change(comparison: Comparison, rename: Rename) -> dict[str, Any]:
    """Return a change of a pull request for Datafold's CI."""
    change = {
        "prod": _dotted(_path(comparison.published, rename)),
        "pr": _dotted(_path(comparison.model.table, rename)),
        "pk": comparison.key and _renamed(comparison.key.columns, comparison, rename),
        **_columns(comparison, rename),
    }
    return {name: each for name, each in change.items() if each is not None}


def _reason(model: Model, settings: Settings, statuses: Mapping[str, str] | None) -> str | None:
    """Return why a model is left out, ``None`` if it is not."""
    if not model.is_enabled:
        return "disabled"
    if model.materialized == "ephemeral":
        return "ephemeral"
    if model.is_external:
        return "of another project"
    if settings.never_diff:
        return "never_diff"
    if statuses is None:
        return None
    status = statuses.get(model.unique_id)
    if status is None:
        return NOT_IN_RESULTS
    return None if status in BUILT else f"not built ({status})"


def _names(models: Iterable[Model]) -> str:
    return shown([model.label for model in models])


def _keyless(models: Sequence[Model], tag: str) -> DatafoldInputError:
    return DatafoldInputError(
        f"manifest: these models have no primary key: "
        f"{', '.join(model.label for model in models)}. Name its columns under {tag!r} in each "
        f"model's meta, or test that they are unique; or pass missing_pk='skip', or 'infer' to let "
        f"Datafold find them. Nothing was sent."
    )


def _columns(comparison: Comparison, rename: Rename) -> dict[str, list[str]]:
    chosen = {
        "include_columns": comparison.settings.include_columns,
        "exclude_columns": comparison.settings.exclude_columns,
    }
    return {
        name: _renamed(columns, comparison, rename) for name, columns in chosen.items() if columns
    }


def _path(table: Iterable[str], rename: Rename) -> list[str]:
    return [str(part) if isinstance(part, Quoted) else rename(part) for part in table]


def _renamed(columns: Iterable[str], comparison: Comparison, rename: Rename) -> list[str]:
    """Rename columns, except those that are quoted, because the project says so or they must be."""
    quoted = comparison.model.quoted_columns
    return [
        str(name)
        if isinstance(name, Quoted) or name in quoted or not IDENTIFIER.fullmatch(name)
        else rename(name)
        for name in columns
    ]


def _refuse_template(model: Model, name: str, value: Any) -> None:
    """Refuse what Airflow would render when it maps a gate: a template can read connections."""
    if fields.is_template(value):
        raise DatafoldInputError(
            f"model {model.label!r}: Airflow would take what the project gives for {name} for a "
            f"template, which can read Airflow's connections: it contains '{{{{', '{{%' or '{{#'. "
            f"Take that out of the project."
        )


def upper(name: str) -> str:
    """Return a name in upper case as warehouses do, which keep the number of letters."""
    return "".join(each if len(each.upper()) > 1 else each.upper() for each in name)


def _are_same(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two paths name one table: if case counts, or which database it is, nobody knows."""
    length = min(len(one), len(other))
    return [*map(str.lower, one[-length:])] == [*map(str.lower, other[-length:])]


def _dotted(path: Iterable[str]) -> str:
    """Join a path with dots, with quotes around a part that has a dot or a quote."""
    return ".".join(
        '"{}"'.format(part.replace('"', '""')) if {".", '"'} & {*part} else part for part in path
    )
