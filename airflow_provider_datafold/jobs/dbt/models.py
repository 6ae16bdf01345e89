"""From the models of a dbt project to what is compared. Nothing here does I/O."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from os.path import expanduser, isfile
from typing import Any

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.dbt.files import metadata
from airflow_provider_datafold.jobs.dbt.key import IDENTIFIER, Key, find_key
from airflow_provider_datafold.jobs.dbt.manifest import Manifest, Model, Quoted
from airflow_provider_datafold.jobs.dbt.production import Production

BUILT = ("success", "partial success")
"""The statuses of a model that was built; the second one if some batches of a microbatch failed."""

SKIPPED = "skipped"
"""The status of a model after one that failed."""

_BUILDERS = ("build", "retry", "run")
"""The commands of dbt that build models. Others, such as compile, have results of models, too."""


@dataclass(frozen=True)
class Results:
    """The results of a run."""

    statuses: Mapping[str, str]
    relations: Mapping[str, str]


def read_results(argument: str, content: Mapping[str, Any]) -> Results:
    """Read the results of a run."""
    results = content.get("results")
    if not isinstance(results, list):
        raise DatafoldInputError(
            f"{argument}: has no 'results', so it is not the run_results.json of dbt. Nothing was "
            f"sent."
        )
    arguments = content.get("args")
    arguments = arguments if isinstance(arguments, Mapping) else {}
    command = arguments.get("which")
    if command is not None and command not in _BUILDERS:
        raise DatafoldInputError(
            f"{argument}: was written by 'dbt {command}', which builds no models. Keep the file "
            f"that dbt build or dbt run wrote, and pass that. Nothing was sent."
        )
    for flag in ("empty", "sample"):
        if arguments.get(flag):
            raise DatafoldInputError(
                f"{argument}: was written by 'dbt {command}' with --{flag}, which builds tables "
                f"without all of their rows. Build without it, and pass the files of that run. "
                f"Nothing was sent."
            )
    found = [result for result in results if isinstance(result, Mapping)]
    return Results(
        {str(result.get("unique_id")): str(result.get("status")).lower() for result in found},
        {
            str(result.get("unique_id")): str(result["relation_name"])
            for result in found
            if result.get("relation_name")
        },
    )


def check_tables(argument: str, results: Results, manifest: Manifest) -> None:
    """Refuse the results of a run that built other tables than the manifest names.

    Tables that were not built would be compared otherwise, and pass.
    """
    others = [
        f"{model.label} ({built}, not {model.relation})"
        for unique_id, built in sorted(results.relations.items())
        for model in [manifest.get(unique_id)]
        if model is not None and model.relation not in (None, built)
    ]
    if others:
        raise DatafoldInputError(
            f"{argument}: is of another run than the manifest, because other tables were built: "
            f"{fields.format_names(others)}. Pass both files of the run that built the models. "
            f"Nothing was sent."
        )


def are_of_one_run(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two files are of the same run of dbt, as far as they say."""
    ids = [metadata(content).get("invocation_id") for content in (one, other)]
    return None in ids or ids[0] == ids[1]


_OTHER = re.compile(
    r"\d\d:\d\d:\d\d|^(?:exposure|function|metric|saved_query|semantic_model|source|unit_test):"
)
"""A line of dbt's log, or what it lists that is not a model."""

_SELECTOR = re.compile(r"(?:tag|path|package):|[^/\\]*$")


def read_selectors(argument: str, value: Any) -> list[str] | str:
    """Check what is selected."""
    found = fields.literal(value)
    if isinstance(found, str):
        return fields.text(argument, found)
    selectors = fields.texts(argument, found)
    if not selectors:
        raise _unfit(argument, ["an empty list"])
    return selectors


def is_place(text: str) -> bool:
    """Return whether a string says where the lines of ``dbt ls`` are, instead of being them."""
    if "\n" in text or _OTHER.search(text):
        return False
    return isfile(expanduser(text)) or not _SELECTOR.match(text)


def of_list(text: str, other_names: Collection[str]) -> list[str]:
    """Return the models among the lines that ``dbt ls`` printed."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not _OTHER.search(line) and line not in other_names]


def select(
    models: Iterable[Model], selectors: Sequence[str] | None, excluded: Sequence[str] | None
) -> list[Model]:
    """Select models."""
    models = sorted(models, key=lambda model: model.unique_id)
    wanted, unwanted = _fitting(models, selectors or ()), _fitting(models, excluded or ())
    unfit = [fields.format_value(selector) for selector, found in wanted.items() if not found]
    if unfit:
        raise _unfit("select", unfit)
    chosen = {model.unique_id for model in models} if selectors is None else _all(wanted)
    chosen -= _all(unwanted)
    return [model for model in models if model.unique_id in chosen]


def _fitting(models: Sequence[Model], selectors: Iterable[str]) -> dict[str, set[str]]:
    """Return the unique ids of the models that fit, by selectors."""
    by_name = defaultdict(set)
    for model in models:
        for name in (model.name, model.label, model.fqn, model.unique_id):
            by_name[name].add(model.unique_id)
    return {
        selector: {model.unique_id for model in models if _fits(model, selector)}
        if ":" in selector
        else by_name[selector]
        for selector in selectors
    }


def _fits(model: Model, selector: str) -> bool:
    method, _, value = selector.partition(":")
    if method == "tag":
        return value in model.tags
    if method == "package":
        return value == model.package
    folder = value.replace("\\", "/").removeprefix("./").rstrip("/")
    return method == "path" and (model.file == folder or model.file.startswith(f"{folder}/"))


def _all(fitting: Mapping[str, set[str]]) -> set[str]:
    return set().union(*fitting.values())


def _unfit(argument: str, names: Sequence[str]) -> DatafoldInputError:
    return DatafoldInputError(
        f"{argument}: no model fits {fields.format_names(names)}. It takes names of models, "
        f"'tag:...', 'package:...', and 'path:...' from the project's folder. Nothing was sent."
    )


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
        settings = read_settings(model, limits) if model.has_table else Settings()
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
    return fields.format_names([model.label for model in models])


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
