"""From the models of a dbt project to what is compared. Nothing here does I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.dbt.key import Key, find_key
from airflow_provider_datafold.jobs.dbt.manifest import Model
from airflow_provider_datafold.jobs.dbt.production import Production
from airflow_provider_datafold.jobs.dbt.results import BUILT
from airflow_provider_datafold.jobs.dbt.settings import Limits, Settings, read_settings

NOT_IN_RESULTS = "not built (not in run_results)"
"""Why a model is left out that the results of the run do not have."""

Rename = Callable[[str], str]
"""Turns a name in the project into the warehouse's."""

_TEMPLATE = re.compile(r"\{[{%#]")


@dataclass(frozen=True)
class Comparison:
    """A model that is compared.

    :param model: the model.
    :param published: the path of its published table.
    :param settings: what its meta says.
    :param key: the columns that identify a row, ``None`` if Datafold infers them.
    """

    model: Model
    published: tuple[str, ...]
    settings: Settings
    key: Key | None


@dataclass(frozen=True)
class Choice:
    """What is compared, and what is not.

    :param compared: what is compared, by the models' unique ids.
    :param left_out: models by the reason for which they are left out.
    """

    compared: Sequence[Comparison]
    left_out: Mapping[str, Sequence[Model]]

    @property
    def summary(self) -> str:
        """Both in one line."""
        left_out = "; ".join(
            f"{reason}: {', '.join(model.label for model in models)}"
            for reason, models in self.left_out.items()
        )
        count = len(self.compared) + sum(map(len, self.left_out.values()))
        others = f" Left out: {left_out}." if left_out else ""
        return f"Comparing {len(self.compared)} of {count} models.{others}"


def select(models: Iterable[Model], selectors: Sequence[str] | None) -> list[Model]:
    """Select models.

    :param models: all models.
    :param selectors: names, ``tag:...`` and ``path:...``; ``None`` for all models.
    :return: the models that fit any of them, in the order of their unique ids.
    :raises DatafoldInputError: a selector fits no model.
    """
    models = sorted(models, key=lambda model: model.unique_id)
    if selectors is None:
        return models
    fitting = {
        selector: {model.unique_id for model in models if _fits(model, selector)}
        for selector in selectors
    }
    unfit = [selector for selector, found in fitting.items() if not found]
    if unfit or not fitting:
        raise DatafoldInputError(
            f"select: no model fits {', '.join(map(repr, unfit)) or 'an empty list'}. It takes "
            f"names of models, 'tag:...', and 'path:...' from the project's folder. Nothing was "
            f"sent."
        )
    chosen = set().union(*fitting.values())
    return [model for model in models if model.unique_id in chosen]


def choose(
    models: Iterable[Model],
    production: Production,
    statuses: Mapping[str, str] | None,
    limits: Limits,
    *,
    tag: str,
    missing_key: str,
) -> Choice:
    """Choose what is compared, and with what.

    :param models: the models, as :func:`select` returns them.
    :param production: knows the published tables.
    :param statuses: the statuses of a run by unique id, ``None`` if all models were built.
    :param limits: the limits that a gate has.
    :param tag: the tag that marks a primary key.
    :param missing_key: what to do about models without a key: ``"fail"``, ``"skip"`` or
        ``"infer"``.
    :return: what is compared, and what is left out.
    :raises DatafoldInputError: something in the project is wrong; the error names the models.
    """
    left_out: dict[str, list[Model]] = {}
    kept: list[tuple[Model, Settings]] = []
    for model in models:
        settings = read_settings(model, limits)
        if reason := _reason(model, settings, statuses):
            left_out.setdefault(reason, []).append(model)
        else:
            kept.append((model, settings))
    production.check(model for model, _ in kept)
    compared = []
    for model, settings in kept:
        published = production.table(model)
        if published is None:
            left_out.setdefault("new, so nothing is published", []).append(model)
            continue
        key = find_key(model, tag)
        if key is None and missing_key == "skip":
            left_out.setdefault("no primary key", []).append(model)
        else:
            compared.append(Comparison(model, published, settings, key))
    keyless = [comparison.model for comparison in compared if comparison.key is None]
    if keyless and missing_key == "fail":
        raise _keyless(keyless, tag)
    return Choice(compared, left_out)


def check_sides(argument: str, compared: Iterable[Comparison], rename: Rename) -> None:
    """Refuse to compare a table with itself, which is always equal.

    :param argument: the argument that says where models are published, for the error.
    :param compared: what is compared.
    :param rename: turns a name in the project into the warehouse's.
    :raises DatafoldInputError: both sides are the same table at the same time.
    """
    same = [
        comparison.model.label
        for comparison in compared
        if [*map(rename, comparison.published)] == [*map(rename, comparison.model.table)]
        and comparison.settings.prod_time_travel == comparison.settings.pr_time_travel
    ]
    if same:
        raise DatafoldInputError(
            f"{argument}: says that these models are published where they were built, so that each "
            f"table would be compared with itself: {', '.join(same)}. Pass the manifest of what "
            f"was built as manifest, and where it will be published as production_manifest or "
            f"production."
        )


def gate_arguments(comparison: Comparison, data_source_id: int, rename: Rename) -> dict[str, Any]:
    """Return the arguments of a gate.

    :param comparison: what is compared.
    :param data_source_id: the data source of both sides.
    :param rename: turns a name in the project into the warehouse's.
    :return: arguments of ``DatafoldRunDataDiffOperator``, plain JSON.
    :raises DatafoldInputError: one of them would be a template.
    """
    settings = comparison.settings
    options = settings.options
    if settings.time_column:
        options["time_column"] = rename(settings.time_column)
    if comparison.key is None:
        options["infer_pk"] = True
    arguments = {
        "data_source1_id": data_source_id,
        "data_source2_id": data_source_id,
        "table1": [*map(rename, comparison.published)],
        "table2": [*map(rename, comparison.model.table)],
        "pk_columns": _key(comparison, rename),
        "filter1": settings.filter,
        "filter2": settings.filter,
        **_columns(settings, rename),
        "options": options or None,
    }
    found = {name: each for name, each in arguments.items() if each is not None} | {**settings.gate}
    for name, value in found.items():
        _refuse_template(comparison.model, name, value)
    return found


def ci_change(comparison: Comparison, rename: Rename) -> dict[str, Any]:
    """Return a change of a pull request for Datafold's CI.

    :param comparison: what is compared.
    :param rename: turns a name in the project into the warehouse's.
    :return: an entry of the ``changes`` of ``DatafoldUploadCIChangesOperator``, plain JSON.
    """
    change = {
        "prod": _dotted(map(rename, comparison.published)),
        "pr": _dotted(map(rename, comparison.model.table)),
        "pk": _key(comparison, rename),
        **_columns(comparison.settings, rename),
    }
    return {name: each for name, each in change.items() if each is not None}


def _fits(model: Model, selector: str) -> bool:
    method, colon, value = selector.partition(":")
    if not colon:
        return selector in (model.name, model.label)
    if method == "tag":
        return value in model.tags
    folder = value.replace("\\", "/").removeprefix("./").rstrip("/")
    return method == "path" and (model.file == folder or model.file.startswith(f"{folder}/"))


def _reason(model: Model, settings: Settings, statuses: Mapping[str, str] | None) -> str | None:
    """Return why a model is left out, ``None`` if it is not."""
    if not model.is_enabled:
        return "disabled"
    if model.materialized == "ephemeral":
        return "ephemeral"
    if settings.never_diff:
        return "never_diff"
    status = BUILT if statuses is None else statuses.get(model.unique_id)
    if status is None:
        return NOT_IN_RESULTS
    return None if status == BUILT else f"not built ({status})"


def _keyless(models: Sequence[Model], tag: str) -> DatafoldInputError:
    return DatafoldInputError(
        f"manifest: these models have no primary key: "
        f"{', '.join(model.label for model in models)}. Name its columns under {tag!r} in each "
        f"model's meta, or test that they are unique; or pass missing_pk='skip', or 'infer' to let "
        f"Datafold find them. Nothing was sent."
    )


def _key(comparison: Comparison, rename: Rename) -> list[str] | None:
    return None if comparison.key is None else [*map(rename, comparison.key.columns)]


def _columns(settings: Settings, rename: Rename) -> dict[str, list[str]]:
    chosen = {
        "include_columns": settings.include_columns,
        "exclude_columns": settings.exclude_columns,
    }
    return {name: [*map(rename, columns)] for name, columns in chosen.items() if columns}


def _refuse_template(model: Model, name: str, value: Any) -> None:
    """Refuse what Airflow would render when it maps a gate: a template can read connections."""
    if _TEMPLATE.search(str(value)):
        raise DatafoldInputError(
            f"model {model.label!r}: Airflow would take what the project gives for {name} for a "
            f"template, which can read Airflow's connections: it contains '{{{{', '{{%' or '{{#'. "
            f"Take that out of the project."
        )


def _dotted(path: Iterable[str]) -> str:
    """Join a path with dots, with quotes around a part that contains one."""
    return ".".join(f'"{part}"' if "." in part else part for part in path)
