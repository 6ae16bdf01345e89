"""Which tables of two schemas belong together. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from airflow_provider_datafold.exceptions import DatafoldInputError


class Pair(NamedTuple):
    """A table on both sides."""

    first: str
    second: str


class Pairing(NamedTuple):
    """The tables of both sides."""

    pairs: list[Pair]
    alone: tuple[list[str], list[str]]


def select(
    names: Sequence[str], include: Sequence[str] | None, exclude: Sequence[str] | None
) -> list[str]:
    """Select tables."""
    return [
        name
        for name in names
        if (include is None or any(_fits(name, each) for each in include))
        and not any(_fits(name, each) for each in exclude or ())
    ]


def check_include(include: Sequence[str] | None, names: Iterable[str]) -> None:
    """Refuse what selects nothing."""
    if include is None:
        return
    unfit = [each for each in include if not any(_fits(name, each) for name in names)]
    if unfit or not include:
        shown = ", ".join(map(repr, unfit)) or "an empty list"
        raise DatafoldInputError(
            f"include: no table on either side fits {shown}. No gate was started."
        )


def pair(first: Iterable[str], second: Iterable[str]) -> Pairing:
    """Pair the tables of both sides: those with equal names, then those equal without case."""
    both = {*first} & {*second}
    pairs = [Pair(name, name) for name in both]
    sides = [_folded(each for each in names if each not in both) for names in (first, second)]
    shared = sides[0].keys() & sides[1].keys()
    unclear = [
        f"{', '.join(sides[0][name])} on side 1, {', '.join(sides[1][name])} on side 2"
        for name in sorted(shared)
        if len(sides[0][name]) + len(sides[1][name]) > len(Pair._fields)
    ]
    if unclear:
        raise DatafoldInputError(
            f"These tables differ only by case, so it is not clear which ones belong together: "
            f"{'; '.join(unclear)}. Exclude them. No gate was started."
        )
    pairs += [Pair(sides[0][name][0], sides[1][name][0]) for name in shared]
    one, other = (
        sorted(each for name in side.keys() - shared for each in side[name]) for side in sides
    )
    return Pairing(sorted(pairs), (one, other))


class ByTable:
    """What an argument says of single tables, whose names' case is ignored."""

    def __init__(self, field: str, given: Mapping[str, Any], names: Iterable[str]) -> None:
        known, spelled = _folded({*names}), _folded(given)
        unknown = [name for name in given if name.casefold() not in known]
        if unknown:
            raise DatafoldInputError(
                f"{field}: no table on either side is called {', '.join(map(repr, unknown))}. No "
                f"gate was started."
            )
        for folded, found in spelled.items():
            if len(found) > 1 and not {*found} <= {*known[folded]}:
                raise DatafoldInputError(
                    f"{field}: {', '.join(map(repr, found))} name one table. No gate was started."
                )
        self._given = given
        self._spelled = spelled

    def of(self, pair: Pair) -> Any:
        """Return the value for a table, ``None`` if it has none."""
        found = self._spelled.get(pair.first.casefold(), [])
        exact = [name for name in found if name in pair]
        return next((self._given[name] for name in (*exact, *found)), None)


def _folded(names: Iterable[str]) -> dict[str, list[str]]:
    """Return names by what they are without case."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(name.casefold(), []).append(name)
    return found


def _fits(name: str, pattern: str) -> bool:
    name, pattern = name.casefold(), pattern.casefold()
    # A name may have what is special in a pattern.
    return name == pattern or fnmatchcase(name, pattern)
