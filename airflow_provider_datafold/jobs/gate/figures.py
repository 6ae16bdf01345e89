"""The evidence about a data diff that is done: what was asked for, and what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf
from typing import Any

from airflow_provider_datafold.api.fields import format_value

SIDES = ("first side", "second side")
ROWS = tuple(f"rows on the {side}" for side in SIDES)
"""The counts of the tables. With a filter they may be of all rows."""

ROWS_IN_RESULTS = tuple(f"{rows} in the results" for rows in ROWS)
DIFFERENCES = ("rows added", "rows removed", "rows different")

_STATS = {
    "rows_added": "rows added",
    "rows_removed": "rows removed",
    "diff_rows_count": "rows different",
    "match_ratio": "match ratio",
    "diff_schema": "schema differences",
    "table_a_row_count": ROWS[0],
    "table_b_row_count": ROWS[1],
}
"""The figures in ``diff_stats`` that a verdict shows, and their names in words."""

_UNSHOWN_STATS = {
    "errors": "errors",
    "diff_null_pks": "null primary keys",
    "diff_duplicate_pks": "duplicate primary keys",
}
_RESULTS = {
    ("values", "total_rows"): "rows compared",
    ("values", "rows_with_differences"): "rows different in the results",
    ("values", "values_with_differences"): "values different",
    ("values", "compared_columns"): "columns compared",
    ("values", "columns_with_differences"): "columns with differences",
    ("schema", "column_type_mismatches"): "columns of another type",
}
"""The figures in ``summary_results``."""

_PAIRS = {
    ("pks", "total_rows"): ROWS_IN_RESULTS,
    ("pks", "exclusives"): ("rows removed in the results", "rows added in the results"),
    ("pks", "dupes"): tuple(f"duplicate primary keys on the {side}" for side in SIDES),
    ("pks", "nulls"): tuple(f"null primary keys on the {side}" for side in SIDES),
    ("schema", "columns_mismatched"): tuple(f"columns only on the {side}" for side in SIDES),
    ("schema", "column_counts"): tuple(f"columns on the {side}" for side in SIDES),
}
"""The pairs of figures in ``summary_results``: one for each side."""

_KEYS = (
    *("null primary keys", "duplicate primary keys"),
    *_PAIRS["pks", "nulls"],
    *_PAIRS["pks", "dupes"],
)
_ALONE, _RETYPED = _PAIRS["schema", "columns_mismatched"], "columns of another type"
_FILTERS = (
    *("filter1", "filter2", "time_column", "time_interval_start", "time_interval_end"),
    *("time_travel_point1", "time_travel_point2"),
)
_SAMPLES = ("sampling_ratio", "sampling_max_rows")
_SAMPLES_WITH_DEFAULTS = ("sampling_tolerance", "sampling_confidence")
READY = ("done", "success")
"""The statuses of ``summary_results`` that have figures."""

ROUNDING = 1e-6
"""By how much a column of one side lowers the match score at least: it is one of 2n + 1 columns,
and no database has half a million. Less is rounding."""


class Figures:
    """What a data diff measured. A figure is ``None`` where Datafold does not say it.

    :param diff: the data diff.
    :param results: its ``summary_results``; empty if there are none.
    :param sent: the body of its creation; empty if that is not known.
    """

    def __init__(
        self, diff: Mapping[str, Any], results: Mapping[str, Any], sent: Mapping[str, Any]
    ) -> None:
        self.diff, self.results, self.sent = diff, results, sent
        self.result = diff.get("result")
        # A service may fill in defaults, which say nothing of what the task asked for.
        self._asked = sent or diff
        self._ready = results if results.get("status") in READY else {}
        self._choice = _Choice(self._asked)
        self._found = dict(self._read())

    def __getitem__(self, name: str) -> float | None:
        """Return a figure by its name in words."""
        return number(self._found[name])

    def say(self, *names: str) -> str:
        """Return figures with their names."""
        return ", ".join(f"{name} {plain(self[name])}" for name in names)

    def shown(self) -> dict[str, float | None]:
        """Return the documented figures by the API's names."""
        return {field: self[name] for field, name in _STATS.items()}

    @property
    def impossible(self) -> str | None:
        """A figure that cannot be, in words."""
        found = self._found.items()
        wrong = ((name, value) for name, value in found if not _is_possible(value))
        return next((f"{name} is {format_value(value)}" for name, value in wrong), None)

    @property
    def has_results(self) -> bool:
        """Whether the ``summary_results`` say something about the rows."""
        return any(isinstance(self._ready.get(name), Mapping) for name in ("pks", "values"))

    @property
    def is_across(self) -> bool:
        """Whether the sides are in two databases."""
        return self.diff.get("kind") == "cross_db"

    @property
    def is_filtered(self) -> bool:
        """Whether the counts of the tables may be of rows that were not compared."""
        return any(self._asked.get(name) is not None for name in _FILTERS)

    @property
    def is_sampled(self) -> bool:
        """Whether only some rows were compared, as far as is known."""
        said = part(self.diff, "diff_stats").get("sampled")
        # Only a sample has estimates for the whole tables.
        if said is True or any(column.get("values_different_estimate") for column in self.columns):
            return True
        names = (*_SAMPLES, *_SAMPLES_WITH_DEFAULTS) if self.sent else _SAMPLES
        return said is not False and any(self._asked.get(name) is not None for name in names)

    @property
    def is_cut(self) -> bool:
        """Whether the search for differences may have ended at a limit."""
        if not self.is_across:
            return False
        limits = {**self.diff, **self.sent}
        most = number(limits.get("per_column_diff_limit"))
        counts = [count for _, count in self.differing_columns]
        if self.values_different is None:
            counts.append(self["rows different"] or 0)
        if most is not None and max(counts, default=0) >= most:
            return True
        rows, most = self._known(ROWS), number(limits.get("download_limit"))
        # All rows of both sides may be downloaded, and no others.
        is_all = len(rows) == len(SIDES) and not self.is_filtered
        return most is not None and not (is_all and sum(rows) < most)

    @property
    def has_bad_keys(self) -> bool:
        """Whether some primary keys are null or not unique, so that they do not pair rows."""
        return any(self[name] for name in _KEYS)

    @property
    def differences(self) -> dict[str, float | None]:
        """How many rows differ, as far as both answers prove.

        ``diff_stats`` may count fewer than the results. ``rows_with_differences`` may count the
        rows of one side, too.
        """
        added, removed = (
            max(self._known((name, f"{name} in the results")), default=None)
            for name in ("rows added", "rows removed")
        )
        different, shown = self["rows different"], self["rows different in the results"]
        # In each row that differs, a value does.
        shown = 0 if self["values different"] == 0 else shown
        if different is not None and shown is not None:
            different = max(different, shown - (added or 0) - (removed or 0))
        found = (added, removed, shown if different is None else different)
        return dict(zip(DIFFERENCES, found, strict=True))

    @property
    def counted(self) -> Iterator[str]:
        """The names of the figures that count a difference."""
        names = (*DIFFERENCES, *(f"{name} in the results" for name in DIFFERENCES))
        names += ("values different", "columns with differences")
        yield from (name for name in names if self[name])

    @property
    def rows(self) -> dict[str, float]:
        """How many rows the compared sides have, as far as it is certain, the best source first.

        With a filter, the tables' own counts may be of all rows.
        """
        for names in (ROWS_IN_RESULTS, *([] if self.is_filtered else [ROWS])):
            if found := {name: n for name in names if (n := self[name]) is not None}:
                return found
        return {}

    @property
    def may_have_rows(self) -> bool:
        """Whether a figure says that there are rows to compare, if only before a filter."""
        return any(self._known((*ROWS_IN_RESULTS, *ROWS))) or any(self.counted)

    @property
    def rows_known(self) -> Iterator[str]:
        """The names of the figures that prove that there are rows to compare."""
        tables = () if self.is_filtered else ROWS
        yield from (name for name in (*ROWS_IN_RESULTS, *tables) if self[name])
        yield from self.counted

    @property
    def compared_no_column(self) -> bool:
        """Whether no column was compared though a side has more than its keys."""
        keys = items(self.diff, "pk_columns") or items(self.sent, "pk_columns")
        sides = self._known(_PAIRS["schema", "column_counts"])
        has_more = max(sides, default=0) > len(keys)
        return self["columns compared"] == 0 and has_more and not self._choice.is_made

    @property
    def is_one_sided(self) -> bool:
        """Whether one side has no rows, and the other has some."""
        counts = [*self.rows.values()]
        return len(counts) == len(SIDES) and any(counts) and not all(counts)

    @property
    def schema_changes(self) -> float | None:
        """How many columns the schemas differ in; ``None`` where nobody measured it.

        Of what was chosen, only columns that are named can be told from the others.
        """
        choice = self._choice
        # Two databases honestly have other types.
        retyped = [] if self.is_across else self.retyped
        if choice.is_made:
            changed = [*map(choice.misses, self._exclusive), *map(choice.includes, retyped)]
            return sum(changed) or None
        measured = self["schema differences"]
        found = self._known(_ALONE if self.is_across else (*_ALONE, _RETYPED))
        if self.is_across:
            # 0 says nothing.
            measured = max((measured or 0) - max(self[_RETYPED] or 0, len(self.retyped)), 0) or None
        if measured is not None:
            found.append(measured)
        if self._lacks_a_column and not any(found):
            return 1
        return max(found, default=None)

    @property
    def columns(self) -> list[Mapping[str, Any]]:
        """The statistics of each column that was compared."""
        found = items(part(self._ready, "values"), "columns_diff_stats")
        return [column for column in found if isinstance(column, Mapping)]

    @property
    def differing_columns(self) -> list[tuple[str, float]]:
        """Each column whose values differ, and in how many rows, the most first."""
        found = [(name, count) for name, count in self._counts.items() if count]
        return sorted(found, key=lambda pair: -pair[1])

    @property
    def values_different(self) -> dict[str, float] | None:
        """How many values of each column differ, ``None`` unless all that differ are told."""
        sure = self.differences
        if sure["rows different"] == 0 and not part(self._ready, "values"):
            return {}
        differ, told = self["columns with differences"], self.differing_columns
        if differ is None or differ > len(told):
            return None
        alone = (sure["rows added"] or 0) + (sure["rows removed"] or 0)
        # In each row that differs, a value does.
        if (sure["rows different"] or 0) - alone > sum(count for _, count in told):
            return None
        return self._counts

    @property
    def _counts(self) -> dict[str, float]:
        found = {
            str(each.get("column_name")): each.get("values_different") for each in self.columns
        }
        return {name: n for name, count in found.items() if (n := number(count)) is not None}

    @property
    def _exclusive(self) -> list[str]:
        sides = items(part(self._ready, "schema"), "exclusive_columns")
        return [str(name) for names in sides if isinstance(names, list) for name in names]

    @property
    def retyped(self) -> list[str]:
        """The columns whose type differs, as far as they are named."""
        return list(map(str, items(part(self._ready, "schema"), "column_type_differs")))

    @property
    def _lacks_a_column(self) -> bool:
        """Whether the match score is below 1 although no row differs.

        By its published formula that means columns of one side. It is 0 if there are no rows.
        """
        ratio = self["match ratio"]
        is_equal = self.result == "identical" or all(self[name] == 0 for name in DIFFERENCES)
        is_below = ratio is not None and 0 < ratio < 1 - ROUNDING
        return is_below and is_equal and not (any(self.counted) or self.has_bad_keys)

    def _known(self, names: tuple[str, ...]) -> list[float]:
        return [figure for figure in map(self.__getitem__, names) if figure is not None]

    def _read(self) -> Iterator[tuple[str, Any]]:
        stats = part(self.diff, "diff_stats")
        for field, name in (_STATS | _UNSHOWN_STATS).items():
            yield name, stats.get(field)
        for (section, field), name in _RESULTS.items():
            yield name, part(self._ready, section).get(field)
        for (section, field), names in _PAIRS.items():
            pair = items(part(self._ready, section), field)
            yield from zip(names, [*pair, None, None], strict=False)
        for column in self.columns:
            name = f"values different in {format_value(column.get('column_name'))}"
            yield name, column.get("values_different")


class _Choice:
    """The columns that a data diff was asked to compare.

    :param asked: what it was asked for.
    """

    def __init__(self, asked: Mapping[str, Any]) -> None:
        taken = items(asked, "include_columns") or items(asked, "columns_to_compare")
        self._taken = _folded(taken)
        # As the contract says, it is ignored beside columns to include.
        self._left = frozenset() if taken else _folded(items(asked, "exclude_columns"))
        pairs = items(asked, "column_mapping")
        self._mapped = _folded([name for pair in pairs if isinstance(pair, list) for name in pair])

    @property
    def is_made(self) -> bool:
        return bool(self._left or self._taken or self._mapped)

    def includes(self, name: str) -> bool:
        folded = name.casefold()
        return folded not in self._left and (not self._taken or folded in self._taken)

    def misses(self, name: str) -> bool:
        """Whether it lacks a column of one side; a mapped one has another name on the other."""
        return self.includes(name) and name.casefold() not in self._mapped


def number(value: Any) -> float | None:
    """Return a number, ``None`` for anything else."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number else None


def plain(value: float | None) -> str:
    """Return a figure in words."""
    if value is None:
        return "not measured"
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def part(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object in an answer, an empty one for anything else."""
    found = whole.get(name)
    return found if isinstance(found, Mapping) else {}


def items(whole: Mapping[str, Any], name: str) -> list[Any]:
    """Return a list in an answer, an empty one for anything else."""
    found = whole.get(name)
    return list(found) if isinstance(found, (list, tuple)) else []


def _is_possible(value: Any) -> bool:
    found = number(value)
    return value is None or (found is not None and 0 <= found < inf)


def _folded(names: list[Any]) -> frozenset[str]:
    return frozenset(str(name).casefold() for name in names)
