"""What differs most, in words for a message. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_datafold.jobs.gate.figures import Figures, items, part, plain

_MOST_NAMES = 5


def explain(figures: Figures) -> list[str]:
    """Say what differs most, in a few short sentences without a full stop."""
    return [*_columns(figures), *_schema(figures.results), *_keys(figures.results)]


def _columns(figures: Figures) -> Iterator[str]:
    if worst := figures.differing_columns:
        yield f"values differ in {_listed(f'{name!r} ({plain(count)})' for name, count in worst)}"


def _schema(results: Mapping[str, Any]) -> Iterator[str]:
    schema = part(results, "schema")
    for side, names in enumerate(items(schema, "exclusive_columns"), 1):
        if names and isinstance(names, list):
            yield f"only side {side} has {_listed(map(repr, names))}"
    if types := items(schema, "column_type_differs"):
        yield f"other types: {_listed(map(repr, types))}"


def _keys(results: Mapping[str, Any]) -> Iterator[str]:
    keys = part(results, "pks")
    for key, words in (("dupes", "duplicate primary keys"), ("nulls", "null primary keys")):
        counts = items(keys, key)
        if any(counts):
            yield f"{words}: {' and '.join(map(str, counts))}"


def _listed(words: Any) -> str:
    found = list(words)
    more = len(found) - _MOST_NAMES
    return ", ".join(found[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
