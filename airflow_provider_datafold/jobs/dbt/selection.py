"""Which models of a dbt project are meant. Nothing here does I/O."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from os.path import expanduser, isfile
from typing import Any

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.dbt.manifest import Model

_OTHER = re.compile(
    r"\d\d:\d\d:\d\d|^(?:exposure|function|metric|saved_query|semantic_model|source|unit_test):"
)
"""A line of dbt's log, or what it lists that is not a model."""

_SELECTOR = re.compile(r"(?:tag|path|package):|[^/\\]*$")

_MOST_SHOWN = 10
"""Of a project with a thousand models."""


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


def shown(names: Sequence[str]) -> str:
    """Return names for an error or the log."""
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return ", ".join(names[:_MOST_SHOWN]) + more


def _unfit(argument: str, names: Sequence[str]) -> DatafoldInputError:
    return DatafoldInputError(
        f"{argument}: no model fits {shown(names)}. It takes names of models, 'tag:...', "
        f"'package:...', and 'path:...' from the project's folder. Nothing was sent."
    )
