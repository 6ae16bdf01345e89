"""The rows of the two sides, joined by their keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from dev.comparison.columns import Pair
from dev.comparison.question import Question
from dev.comparison.workspace import Workspace

SIDES = ("one", "other")
"""The tables of the two sides."""

_ROWS_SHOWN = 20
_CHARACTERS_SHOWN = 200


class Keys(NamedTuple):
    """A side's rows, those with a null in their key, other keys, and rows that repeat one."""

    rows: int
    nulls: int
    distinct: int
    dupes: int


def count_keys(space: Workspace, key: Sequence[Pair]) -> list[Keys]:
    """Return the keys of both sides."""
    found = []
    for place, table in enumerate(SIDES):
        fields = [pair.sides[place] for pair in key]
        null = " or ".join(f"{field} is null" for field in fields) or "true"
        ((rows, nulls, distinct),) = space.run(
            f"select count(*), count(*) filter ({null}),"
            f" count(distinct ({', '.join(fields) or 'null'})) filter (not ({null})) from {table}"
        )
        dupes = rows - nulls - distinct
        found.append(Keys(rows, nulls, distinct, dupes) if key else Keys(rows, 0, 0, 0))
    return found


def join(space: Workspace, question: Question, key: Sequence[Pair], values: Sequence[Pair]) -> None:
    """Make a table of the rows of both sides, whose keys identify them."""
    fields = [f"coalesce({', '.join(pair.sides)}) as k{place}" for place, pair in enumerate(key)]
    for place, pair in enumerate(values):
        one, other = pair.sides
        fields += [f"{one} as x{place}, {other} as y{place}, {pair.differs(question)} as d{place}"]
    differs = " or ".join(f"d{place}" for place, _ in enumerate(values)) or "false"
    one, other = key[0].sides
    how = f"when {other} is null then 'removed' when {one} is null then 'added'"
    fields += [f"case {how} when {differs} then 'different' end as how"]
    same = " and ".join(" = ".join(pair.sides) for pair in key)
    source = f"{SIDES[0]} full join {SIDES[1]} on {same}"
    space.run(f"create table joined as select {', '.join(fields)} from {source}")


def count_rows(space: Workspace, values: Sequence[Pair]) -> tuple[int, ...]:
    """Return how many joined rows there are, removed, added, different, and in each column."""
    wanted = [
        *("true", "how = 'removed'", "how = 'added'", "how = 'different'"),
        *(f"how = 'different' and d{place}" for place, _ in enumerate(values)),
    ]
    counts = (f"count(*) filter ({condition})" for condition in wanted)
    return space.run(f"select {', '.join(counts)} from joined")[0]


def first_rows(
    space: Workspace, key: Sequence[Pair], values: Sequence[Pair]
) -> list[dict[str, Any]]:
    """Return how the first rows differ, their keys, and their values on both sides as text."""
    keys = [f"k{place}" for place, _ in enumerate(key)]
    cells = (
        f"{{first: {_text('x', place)}, second: {_text('y', place)}, differs: d{place}}}"
        for place, _ in enumerate(values)
    )
    shown = ", ".join(["how", *(_text("k", place) for place, _ in enumerate(key)), *cells])
    return [
        {
            "how": how,
            "key": {pair.name: text for pair, text in zip(key, row, strict=False)},
            "values": {pair.name: cell for pair, cell in zip(values, row[len(key) :], strict=True)},
        }
        for how, *row in space.run(
            f"select {shown} from joined where how is not null"
            f" order by {', '.join(keys)} limit {_ROWS_SHOWN}"
        )
    ]


def _text(letter: str, place: int) -> str:
    return f"left({letter}{place}::varchar, {_CHARACTERS_SHOWN})"
