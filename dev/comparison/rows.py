"""Compare the rows of both sides."""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dev.comparison.columns import Pair
from dev.comparison.question import Question

Key = tuple[Any, ...]

_ROWS_SHOWN = 20
_CHARACTERS_SHOWN = 200


@dataclass(frozen=True)
class Keys:
    """The keys of a side, of which each should identify a row.

    :param rows: how many rows there are.
    :param nulls: how many of them have a null in their key.
    :param places: the row of each key without a null.
    """

    rows: int
    nulls: int = 0
    places: dict[Key, int] = field(default_factory=dict)

    @property
    def dupes(self) -> int:
        """How many rows repeat the key of another one."""
        return self.rows - self.nulls - len(self.places)

    @property
    def is_bad(self) -> bool:
        """Whether a key fails to identify its row."""
        return bool(self.nulls or self.dupes)


def find_keys(key: Sequence[Pair]) -> tuple[Keys, Keys]:
    """Return the keys of both sides.

    :param key: the columns of the key.
    """
    first, second = zip(*(pair.comparable() for pair in key), strict=True)
    return _keys(first), _keys(second)


def _keys(columns: Sequence[Sequence[Any]]) -> Keys:
    places: dict[Key, int] = {}
    nulls = 0
    for place, key in enumerate(zip(*columns, strict=True)):
        if None in key:
            nulls += 1
        else:
            places[key] = place
    return Keys(len(columns[0]), nulls, places)


class Rows:
    """The rows of both sides, side by side.

    :param question: the comparison.
    :param keys: the keys of the two sides.
    :param values: the columns to compare.
    """

    def __init__(self, question: Question, keys: tuple[Keys, Keys], values: list[Pair]) -> None:
        first, second = (side.places for side in keys)
        every = list(first | second)
        chosen = _sample(question, every, max(side.rows for side in keys))
        self.is_sampled = len(chosen) < len(every)
        self.removed = [key for key in chosen if key not in second]
        self.added = [key for key in chosen if key not in first]
        self.both = [key for key in chosen if key in first and key in second]
        places = [(first[key], second[key]) for key in self.both]
        self.different: dict[str, set[Key]] = {}
        """The keys of the rows whose values differ, by column."""
        self._pairs = {pair.name: pair.comparable() for pair in values}
        for pair in values:
            one, other = self._pairs[pair.name]
            differs = pair.difference(question)
            self.different[pair.name] = {
                key
                for key, (here, there) in zip(self.both, places, strict=True)
                if differs(one[here], other[there])
            }
        self.changed = set().union(*self.different.values())
        self._places = first, second

    @property
    def match_ratio(self) -> float:
        """The ratio of keys whose rows are equal on both sides."""
        total = len(self.removed) + len(self.added) + len(self.both)
        return (len(self.both) - len(self.changed)) / total if total else 1.0

    def first(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return the first rows that differ, with readable values.

        :param names: the names of the key's columns.
        :return: for each row ``how`` it differs, its ``key``, and its ``values`` on both sides.
        """
        found = [
            (key, how)
            for how, keys in (
                ("removed", self.removed),
                ("added", self.added),
                ("different", self.changed),
            )
            for key in keys
        ]
        shown = heapq.nsmallest(_ROWS_SHOWN, found, lambda row: [*map(_order, row[0])])
        return [
            {
                "how": how,
                "key": dict(zip(names, map(_shown, key), strict=True)),
                "values": {name: self._values(name, key) for name in self._pairs},
            }
            for key, how in shown
        ]

    def _values(self, name: str, key: Key) -> dict[str, Any]:
        first, second = (
            column[places[key]] if key in places else None
            for column, places in zip(self._pairs[name], self._places, strict=True)
        )
        is_on_both = all(key in places for places in self._places)
        differs = key in self.different[name] if is_on_both else first is not second
        return {"first": _shown(first), "second": _shown(second), "differs": differs}


def _sample(question: Question, keys: list[Key], rows: int) -> list[Key]:
    """Choose the keys to compare: the same keys in every run."""
    count = len(keys)
    if question.sample_ratio is not None:
        count = round(count * question.sample_ratio)
    if question.sample_rows is not None:
        count = min(count, question.sample_rows)
    if count == len(keys) or rows < question.sample_threshold:
        return keys
    return heapq.nsmallest(count, keys, lambda key: (zlib.crc32(repr(key).encode()), repr(key)))


def _order(value: Any) -> tuple[bool, Any]:
    is_text = not isinstance(value, (int, float))
    return is_text, str(value) if is_text else value


def _shown(value: Any) -> str | None:
    return None if value is None else str(value)[:_CHARACTERS_SHOWN]
