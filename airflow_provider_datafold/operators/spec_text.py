"""The text of a spec: JSON, a Python literal, or YAML that stays small when its aliases expand."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.exceptions import DatafoldInputError

if TYPE_CHECKING:
    from yaml import MappingNode, Node, SafeLoader

    from airflow_provider_datafold.redaction.redactor import Redactor

MOST_REPEATED = 500_000
"""How much the aliases of a YAML text may repeat: characters, and ten for each value."""

_PER_VALUE = 10
_NOT_LITERAL = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)
_STANDARD_TAGS = "tag:yaml.org,2002:"
_TAGS_OF_KEYS = {f"{_STANDARD_TAGS}merge", f"{_STANDARD_TAGS}value"}

_Refuse = Callable[[str, "int | None"], DatafoldInputError]
"""Makes the error for a problem and its line."""


def parse(text: str, redactor: Redactor) -> Any:
    """Parse the text of a spec.

    :param text: JSON, YAML, or a dictionary as Airflow renders it.
    :param redactor: knows the secrets.
    :return: what it says.
    :raises DatafoldInputError: it is none of these, or a mapping in it names a key twice; or it is
        YAML with a tag that does not stand for plain data, or with aliases that repeat more than
        :data:`MOST_REPEATED`. The error quotes no line, which may hold a secret.
    """

    def refuse(problem: str, line: int | None) -> DatafoldInputError:
        place = "" if line is None else f" (line {line})"
        return DatafoldInputError(f"spec: {redactor.excerpt(problem)}{place}. Nothing was sent.")

    for read in (_from_json, _from_literal):
        with suppress(*_NOT_LITERAL):
            if isinstance(spelled := read(text, refuse), Mapping):
                return spelled
    return _from_yaml(text, refuse)


def _from_json(text: str, refuse: _Refuse) -> Any:
    doubled: list[str] = []

    def merged(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        doubled.extend(key for key, _ in _doubled((key, 0) for key, _ in pairs))
        return dict(pairs)

    spelled = json.loads(text, object_pairs_hook=merged)
    if doubled:
        raise refuse(_twice(doubled[0]), _line_of(doubled[0], text))
    return spelled


def _line_of(doubled: str, text: str) -> int | None:
    """Return the line of a doubled key in JSON, which Python's parser can read, too."""
    with suppress(*_NOT_LITERAL):
        found = _doubled_in(_tree(text))
        return next(line for key, line in found if key == doubled)
    return None


def _from_literal(text: str, refuse: _Refuse) -> Any:
    tree = _tree(text)
    spelled = ast.literal_eval(tree)
    for key, line in _doubled_in(tree):
        raise refuse(_twice(key), line)
    return spelled


def _tree(text: str) -> ast.Expression:
    # In parentheses, because a template of several lines leaves an indent.
    return ast.parse(f"({text}\n)", mode="eval")


def _doubled_in(tree: ast.Expression) -> Iterator[tuple[Any, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            keys = (key for key in node.keys if isinstance(key, ast.Constant))
            yield from _doubled((key.value, key.lineno) for key in keys)


def _from_yaml(text: str, refuse: _Refuse) -> Any:
    # Slow to import, and needed only for files.
    import yaml

    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        # Before anything is constructed, because that expands the merge keys.
        _Nodes(loader, refuse).measure(node, 1)
        return loader.construct_document(node)
    # A date that does not exist is a ValueError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
    # Not raised in the handler, because the replaced error quotes the text.
    raise refuse("is neither valid YAML nor JSON", line)


class _Nodes:
    """Checks the nodes of a YAML text, of which an alias is the same node once more.

    :param loader: knows the tags.
    :param refuse: makes an error.
    """

    def __init__(self, loader: SafeLoader, refuse: _Refuse) -> None:
        self._loader = loader
        self._refuse = refuse
        self._sizes: dict[int, int | None] = {}
        self._repeated = 0

    def measure(self, node: Node, line: int) -> int:
        """Check a node and everything in it.

        :param node: the node.
        :param line: the line that refers to it.
        :return: how large it is where it is written out.
        """
        if id(node) in self._sizes:
            return self._measure_again(self._sizes[id(node)], line)
        self._sizes[id(node)] = None
        self._check_tag(node)
        size = _PER_VALUE
        if isinstance(node.value, str):
            size += len(node.value)
        else:
            size += sum(self.measure(part, line) for part, line in self._parts(node))
        self._sizes[id(node)] = size
        return size

    def _measure_again(self, size: int | None, line: int) -> int:
        if size is None:
            raise self._refuse("has an alias that stands for a value around it", line)
        self._repeated += size
        if self._repeated > MOST_REPEATED:
            raise self._refuse(f"has aliases that repeat over {MOST_REPEATED:,} characters", line)
        return size

    def _check_tag(self, node: Node) -> None:
        if node.tag not in self._loader.yaml_constructors and node.tag not in _TAGS_OF_KEYS:
            tag = node.tag.replace(_STANDARD_TAGS, "!!")
            problem = f"has the tag {tag!r}, which does not stand for plain data"
            raise self._refuse(problem, _line(node))

    def _parts(self, node: Node) -> Iterator[tuple[Node, int]]:
        """Return what is in a list or a mapping with the line that refers to it."""
        if node.id == "sequence":
            yield from ((part, _line(node)) for part in node.value)
            return
        for key, value in node.value:
            yield key, _line(key)
            yield value, _line(key)
        for key, line in _doubled(self._keys(node)):
            raise self._refuse(_twice(key), line)

    def _keys(self, node: MappingNode) -> Iterator[tuple[Any, int]]:
        for key, _ in node.value:
            if key.tag in _TAGS_OF_KEYS:
                yield key.value, _line(key)
            elif key.id == "scalar":
                # As Python has them: "yes" and "true" are the same key.
                yield self._loader.construct_object(key), _line(key)


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _doubled(keys: Iterable[tuple[Any, int]]) -> Iterator[tuple[Any, int]]:
    """Return the keys, and their lines, that were there before."""
    seen: set[Any] = set()
    for key, line in keys:
        if isinstance(key, Hashable):
            if key in seen:
                yield key, line
            seen.add(key)


def _twice(key: Any) -> str:
    return f"has the key {key!r} twice in one mapping"
