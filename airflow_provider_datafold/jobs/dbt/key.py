"""The columns that identify a row of a dbt model. Nothing here does I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.jobs.dbt.manifest import Model, Quoted

_TOKEN = re.compile(
    r"""
    (?P<literal> '(?:[^']|'')*' | \d+(?:\.\d+)? )
    | "(?P<quoted>(?:[^"]|"")+)"
    | `(?P<ticked>[^`]+)`
    | (?P<function> concat(?:_ws)? (?=\s*\() )
    | (?P<type> (?: \bas\s+ | :: \s* ) [^\W\d][\w$]* )
    | (?P<other> [^\W\d][\w$]* (?=\s*[(.]) )
    | (?P<bare> [^\W\d][\w$]* )
    | (?P<glue> \|\| | [,()] )
    | (?P<unknown> \S )
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_QUOTED = re.compile(r'"(?:[^"]|"")+"|`[^`]+`')
IDENTIFIER = re.compile(r"[^\W\d][\w$]*")


@dataclass(frozen=True)
class Key:
    """The columns that identify a row."""

    columns: tuple[str, ...]
    origin: str


def find_key(model: Model, tag: str) -> Key | None:
    """Find the key of a model."""
    quoted = model.quoted_columns
    for origin, find in _WAYS.items():
        columns: dict[str, str] = {}
        for name in find(model, tag):
            columns.setdefault(name if name in quoted else name.lower(), name)
        if columns:
            return Key(tuple(columns.values()), origin)
    return None


def split(expression: str, known: Iterable[str] = ()) -> list[str]:
    """Find the columns in a SQL expression, such as ``id || '-' || kind`` or ``concat(a, b)``."""
    spellings = {name.lower(): name for name in known}
    whole = expression.strip()
    if _QUOTED.fullmatch(whole):
        return [_unquoted(whole, spellings)]
    if whole.lower() in spellings:
        return [spellings[whole.lower()]]
    tokens = list(_TOKEN.finditer(expression))
    concatenates = _concatenates(tokens)
    names = []
    for token in tokens:
        found = token["bare"] or token["ticked"] or token["quoted"] or ""
        name = found.replace('""', '"')
        is_sure = concatenates and (token["ticked"] or IDENTIFIER.fullmatch(name))
        if is_sure or name.lower() in spellings:
            names.append(_unquoted(token[0], spellings))
        # What may be a column, too, makes the others a part of a key. BigQuery also puts strings,
        # such as a dash, into double quotes.
        elif re.search(r"\w", name):
            return []
    return list(dict.fromkeys(names))


def _unquoted(name: str, spellings: Mapping[str, str]) -> str:
    """Return a name without its quotes, and in the project's spelling unless they keep its case."""
    if name.startswith('"'):
        return Quoted(name[1:-1].replace('""', '"'))
    name = name.strip("`")
    return spellings.get(name.lower(), name)


def _concatenates(tokens: Sequence[re.Match[str]]) -> bool:
    """Whether an expression does nothing but concatenate columns and constants."""
    if any(token["type"] or token["other"] or token["unknown"] for token in tokens):
        return False
    # Two words side by side are a type, a collation or the like.
    is_glue = [bool(token["glue"] or token["function"]) for token in tokens]
    return all(one or two for one, two in pairwise(is_glue))


def _from_meta(model: Model, tag: str) -> list[str]:
    value = model.meta.get(tag)
    if _is_off(value):
        return []
    if isinstance(value, str):
        return split(value, _names(model))
    names = value if isinstance(value, list) else []
    if names and all(isinstance(name, str) and name.strip() for name in names):
        return [split(name)[0] if _QUOTED.fullmatch(name) else name for name in names]
    raise fields.input_error(
        f"model {model.label!r}: {tag!r} in its meta",
        value,
        "must be a list of columns, e.g. ['id']",
    )


def _from_columns_meta(model: Model, tag: str) -> list[str]:
    return [column.name for column in model.columns if not _is_off(column.meta.get(tag) or None)]


def _is_off(value: Any) -> bool:
    """Whether a tag is not there, or is false, which takes back what the folder's meta has."""
    return value is None or str(value).strip().lower() == "false"


def _from_columns_tags(model: Model, tag: str) -> list[str]:
    return [column.name for column in model.columns if tag in column.tags]


def _from_primary_key(model: Model, tag: str) -> Sequence[str]:
    # dbt takes them from a set, in any order.
    order = _names(model)
    key = sorted(
        _split_all(model.primary_key, model),
        key=lambda name: order.index(name) if name in order else len(order),
    )
    keys = _tested_keys(model)
    # What a test quotes is not quoted in dbt's own.
    spellings = {name: name for tested in keys for name in tested}
    key = [spellings.get(name, name) for name in key]
    is_constraint = set(key) <= set(_from_constraints(model, tag))
    if is_constraint or any(set(tested) <= set(key) for tested in keys):
        return key
    # Of columns that are unique only together, dbt names those that are also tested for nulls. And
    # it takes a test for proof that is disabled, or leaves rows out.
    return [] if keys or model.tests.has_unproven else key


def _from_tests(model: Model, tag: str) -> Sequence[str]:
    return next(iter(_tested_keys(model)), [])


def _from_unique_key(model: Model, tag: str) -> list[str]:
    return _split_all(model.unique_key, model)


def _from_constraints(model: Model, tag: str) -> list[str]:
    for kind in ("primary_key", "unique"):
        for constraint in model.constraints:
            columns = constraint.get("columns")
            if constraint.get("type") == kind and isinstance(columns, list) and columns:
                return _split_all(map(str, columns), model)
        if columns := [column.name for column in model.columns if kind in column.constraints]:
            return columns if kind == "primary_key" else columns[:1]
    return []


_WAYS: dict[str, Callable[[Model, str], Sequence[str]]] = {
    "the model's meta": _from_meta,
    "the columns' meta": _from_columns_meta,
    "the columns' tags": _from_columns_tags,
    "dbt's primary_key": _from_primary_key,
    "tests": _from_tests,
    "unique_key": _from_unique_key,
    "constraints": _from_constraints,
}
"""Where a project says what a key is, and how to find it there. The first that has one counts."""


def _tested_keys(model: Model) -> list[list[str]]:
    """Return the keys that tests of uniqueness show, those without nulls first."""
    keys = [_split_all(columns, model) for columns in model.tests.unique]
    return sorted(filter(None, keys), key=lambda key: not set(key) <= model.tests.not_null)


def _split_all(expressions: Iterable[str], model: Model) -> list[str]:
    """Find the columns of all expressions. If one has none, the others are no key."""
    found = [split(expression, _names(model)) for expression in expressions]
    return [name for names in found for name in names] if all(found) else []


def _names(model: Model) -> list[str]:
    return [column.name for column in model.columns]
