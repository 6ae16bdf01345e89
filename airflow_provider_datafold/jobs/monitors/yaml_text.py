"""Read YAML and JSON that people wrote: nothing in it runs, explodes, or ends up in a traceback."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import yaml

from airflow_provider_datafold.api.fields import format_value
from airflow_provider_datafold.exceptions import DatafoldInputError

if TYPE_CHECKING:
    from airflow_provider_datafold.redaction.secret import Secret

_MOST_REPEATED = 10_000
"""The most nodes that aliases and merge keys may repeat."""

_MERGE = "tag:yaml.org,2002:merge"
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_ANOTHER = re.compile(r"[-+]?0[0-9_]|.*:")
"""YAML 1.1 reads ``012`` as 10, and ``1:30`` as 90."""


def read(field: str, text: Secret) -> Any:
    """Read a document in YAML or JSON.

    It is wrapped: a file may hold a secret, and the errors of both parsers quote it.
    """
    value, reason = _parsed(text)
    if reason:
        # Not raised where the text was parsed: frames there, and the parser's error, show it.
        raise DatafoldInputError(f"{field}: {reason}. Nothing was sent.")
    return value


class _DoubledKeyError(ValueError):
    """An object in JSON has a key twice."""


def _parsed(text: Secret) -> tuple[Any, str]:
    """Return the value, and what is wrong with the text, if anything is."""
    try:
        return json.loads(text.reveal(), object_pairs_hook=_unique), ""
    except _DoubledKeyError as error:
        return None, str(error)
    except (ValueError, RecursionError):
        return _parsed_yaml(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in pairs:
        if key in found:
            raise _DoubledKeyError(f"has the key {format_value(key)} twice")
        found[key] = item
    return found


def _parsed_yaml(text: Secret) -> tuple[Any, str]:
    try:
        loader = yaml.SafeLoader(text.reveal())
        root = loader.get_single_node()
        # PyYAML repeats what is merged while it makes the value, so it is too late to look after.
        reason = "" if root is None else _refusal(root)
        return (None, reason) if reason or root is None else (loader.construct_document(root), "")
    # Its constructors raise what int() raises, or a dictionary, or a date.
    except Exception as error:
        mark = getattr(error, "problem_mark", None)
        return None, "is neither valid YAML nor JSON" + (_line(mark) if mark else "")


def _line(mark: yaml.Mark) -> str:
    return f" (line {mark.line + 1})"


def _refusal(root: yaml.Node) -> str:
    """Return why a document is not made into a value; empty if it is."""
    sizes: dict[int, int] = {}
    if _size(root, sizes) - len(sizes) > _MOST_REPEATED:
        return f"its YAML aliases repeat more than {_MOST_REPEATED:,} values, or contain themselves"
    return next((reason for node in _nodes(root, set()) if (reason := _fault(node))), "")


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Count the nodes of a value as if each alias were a copy."""
    if id(node) not in sizes:
        sizes[id(node)] = _MOST_REPEATED + 1  # What an alias inside of it finds: too many.
        sizes[id(node)] = 1 + sum(_size(child, sizes) for child in _children(node))
    return sizes[id(node)]


def _nodes(node: yaml.Node, seen: set[int]) -> Iterator[yaml.Node]:
    if id(node) not in seen:
        seen.add(id(node))
        yield node
        for child in _children(node):
            yield from _nodes(child, seen)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node.value, str):
        return []
    # A mapping has pairs of nodes.
    return [each for item in node.value for each in (item if isinstance(item, tuple) else (item,))]


def _fault(node: yaml.Node) -> str:
    if node.tag not in yaml.SafeLoader.yaml_constructors and node.tag != _MERGE:
        return f"has a YAML tag that is not allowed{_line(node.start_mark)}"
    if node.tag in _NUMBERS and _ANOTHER.match(node.value):
        return (
            f"has a number with a leading 0 or a colon, which YAML reads as another one"
            f"{_line(node.start_mark)}. Write it without, or quote it"
        )
    seen = set()
    for item in node.value:
        key = item[0] if isinstance(item, tuple) else None
        if key is not None and isinstance(key.value, str):
            if (key.tag, key.value) in seen:
                return f"has the key {format_value(key.value)} twice{_line(key.start_mark)}"
            seen.add((key.tag, key.value))
    return ""
