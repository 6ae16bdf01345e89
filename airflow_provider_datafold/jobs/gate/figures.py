"""The figures of a data diff, read from the API's answers. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from airflow_provider_datafold.api.fields import LARGEST, format_value

SIDES = ("first side", "second side")
ROWS = tuple(f"rows on the {side}" for side in SIDES)
"""The names of the tables' counts."""

_ASKS_FOR_SAMPLE = (
    "sampling_ratio",
    "sampling_max_rows",
    "sampling_tolerance",
    "sampling_confidence",
)
"""Fields of a data diff. ``sampling_threshold`` alone asks for no sample."""

_CHOOSES_COLUMNS = ("include_columns", "columns_to_compare", "exclude_columns", "column_mapping")
"""Fields of a data diff. Whether its figures and its results count the other columns is unknown."""


class _Range(NamedTuple):
    """The values that a figure may have.

    :param words: the range in words.
    :param holds: whether a number is in it.
    """

    words: str
    holds: Callable[[float], bool]


# Infinity and NaN are in none of them.
_COUNT = _Range("a whole number, 0 or more", lambda n: 0 <= n <= LARGEST and n == int(n))
_SHARE = _Range("a number from 0 to 1", lambda n: 0 <= n <= 1)
_AMOUNT = _Range("a number, 0 or more", lambda n: 0 <= n <= LARGEST)

_STATS = {
    "rows_added": ("rows added", _COUNT),
    "rows_removed": ("rows removed", _COUNT),
    "diff_rows_count": ("rows different", _COUNT),
    "match_ratio": ("match ratio", _SHARE),
    "diff_schema": ("schema differences", _AMOUNT),
    "table_a_row_count": (ROWS[0], _COUNT),
    "table_b_row_count": (ROWS[1], _COUNT),
    "errors": ("errors", _COUNT),
    "diff_null_pks": ("null primary keys", _AMOUNT),
    "diff_duplicate_pks": ("doubled primary keys", _AMOUNT),
    # What these measure is published nowhere, so any possible number will do.
    "diff_pks": ("diff_pks", _AMOUNT),
    "diff_rows": ("diff_rows", _AMOUNT),
    "diff_rows_number": ("diff_rows_number", _AMOUNT),
    "diff_values": ("diff_values", _AMOUNT),
}
"""The figures in a data diff's ``diff_stats``: their names in words, and their ranges."""

_SHOWN = (
    "rows_added",
    "rows_removed",
    "diff_rows_count",
    "match_ratio",
    "diff_schema",
    "table_a_row_count",
    "table_b_row_count",
)
"""The figures that are documented."""

_RESULTS = {
    ("values", "total_rows"): "rows compared",
    ("values", "rows_with_differences"): "rows different in the results",
    ("values", "values_with_differences"): "values different",
    ("values", "total_values"): "values compared",
    ("values", "compared_columns"): "columns compared",
    ("values", "columns_with_differences"): "columns with differences",
    ("schema", "column_type_mismatches"): "columns of another type",
}
"""The figures in ``summary_results``."""

_PAIRS = {
    ("pks", "exclusives"): ("rows removed in the results", "rows added in the results"),
    ("pks", "dupes"): tuple(f"doubled primary keys on the {side}" for side in SIDES),
    ("pks", "nulls"): tuple(f"null primary keys on the {side}" for side in SIDES),
    ("schema", "columns_mismatched"): tuple(f"columns only on the {side}" for side in SIDES),
    ("schema", "column_counts"): tuple(f"columns on the {side}" for side in SIDES),
}
"""The pairs of figures in ``summary_results``: one for each side."""

_NAMED_ONLY = tuple(f"columns named only on the {side}" for side in SIDES)
_NAMED_TYPES = "columns named with another type"

NAMED_COLUMNS = {
    _NAMED_ONLY[0]: _PAIRS["schema", "columns_mismatched"][0],
    _NAMED_ONLY[1]: _PAIRS["schema", "columns_mismatched"][1],
    _NAMED_TYPES: _RESULTS["schema", "column_type_mismatches"],
}
"""How many columns ``summary_results`` lists by name, and the counts of the same columns."""

_SECTIONS = ("pks", "values", "schema")
_LISTS = (
    *_PAIRS,
    ("values", "columns_diff_stats"),
    ("schema", "exclusive_columns"),
    ("schema", "column_type_differs"),
)
"""The lists in ``summary_results`` that are read."""

_READY = ("done", "success")
"""The statuses of ``summary_results`` that are final."""

_KEYS = (
    "null primary keys",
    "doubled primary keys",
    *_PAIRS["pks", "nulls"],
    *_PAIRS["pks", "dupes"],
)


class Figures:
    """What a data diff measured. A figure is ``None`` where the API does not say it.

    :param diff: the data diff as the API shows it.
    :param results: its ``summary_results``, ``None`` as long as they were not read.
    :param sent: the body of its creation, if that is known.
    """

    def __init__(
        self,
        diff: Mapping[str, Any],
        results: Mapping[str, Any] | None = None,
        sent: Mapping[str, Any] | None = None,
    ) -> None:
        self._diff, self._sent = diff, sent or {}
        self.results_status = (results or {}).get("status")
        # As long as they are not final, their figures say nothing.
        self._results = results if results and self.results_status in _READY else {}
        self._raw = dict(self._read())

    def __getitem__(self, name: str) -> float | None:
        """Return a figure by its name in words."""
        return number(self._raw[name][0])

    def say(self, *names: str) -> str:
        """Return figures with their names, fit for a message."""
        return ", ".join(f"{name} {plain(self[name])}" for name in names)

    def shown(self) -> dict[str, float | None]:
        """Return the documented figures by the API's names."""
        return {field: self[_STATS[field][0]] for field in _SHOWN}

    def impossible(self) -> Iterator[str]:
        """Say which figures cannot be, e.g. a count below zero."""
        yield from _wrong_type(self._diff, "diff_stats", Mapping, "an object")
        for section in _SECTIONS:
            yield from _wrong_type(self._results, section, Mapping, "an object")
        for section, field in _LISTS:
            yield from _wrong_type(part(self._results, section), field, list, "a list")
        for name, (value, allowed) in self._raw.items():
            if not (value is None or _is_in(value, allowed)):
                yield f"{name} is {format_value(value)}, but must be {allowed.words}"
        stats = part(self._diff, "diff_stats")
        yield from _wrong_type(stats, "sampled", bool, "true or false")

    @property
    def result(self) -> Any:
        """Datafold's own word for the result."""
        return self._diff.get("result")

    @property
    def can_confirm(self) -> bool:
        """Whether there are ``summary_results`` that say something about the rows."""
        return any(isinstance(self._results.get(name), Mapping) for name in ("pks", "values"))

    @property
    def is_across(self) -> bool:
        """Whether the sides are in two databases, where Datafold does not measure the schema."""
        return self._diff.get("kind") == "cross_db"

    @property
    def is_sampled(self) -> bool:
        """Whether only some rows were compared, as far as is known."""
        if self._has_estimates or self._sampled is True:
            return True
        asked = (body.get(name) for body in (self._diff, self._sent) for name in _ASKS_FOR_SAMPLE)
        return self._sampled is None and any(value is not None for value in asked)

    @property
    def compared_all(self) -> bool:
        """Whether Datafold says itself that it is no sample."""
        return self._sampled is False and not self.is_sampled

    @property
    def has_bad_keys(self) -> bool:
        """Whether some primary keys are null or doubled, so that rows cannot be paired by them."""
        return any(self[name] for name in _KEYS)

    @property
    def chooses_columns(self) -> bool:
        """Whether only some columns were compared, or some under other names."""
        return any(self._diff.get(name) for name in _CHOOSES_COLUMNS)

    @property
    def reads_only_differences(self) -> bool:
        """Whether it may read only the rows that may differ, e.g. after comparing checksums.

        Then the rows compared are those that were read. Across databases nobody knows.
        """
        return self.is_across or str(self._diff.get("algorithm")).startswith("hash")

    @property
    def has_no_rows(self) -> bool:
        """Whether both sides are empty, as far as they were counted."""
        counted = [self[name] for name in ROWS if self[name] is not None]
        return bool(counted) and not any(counted)

    @property
    def rows_in_common(self) -> float | None:
        """The rows that are on both sides, by the counts of the tables."""
        if self.is_sampled or self.has_bad_keys:
            return None
        changes = ("rows removed", "rows added")
        sides = [subtract(self[r], self[c]) for r, c in zip(ROWS, changes, strict=True)]
        return min((rows for rows in sides if rows is not None), default=None)

    @property
    def shares_no_row(self) -> bool:
        """Whether there was no row to compare with another."""
        compared = None if self.reads_only_differences else self["rows compared"]
        return 0 in (self.rows_in_common, compared, *(self[name] for name in ROWS))

    @property
    def highest_ratio(self) -> float | None:
        """The highest ratio of equal values that is possible: it counts every column."""
        rows = self.rows_in_common if self.reads_only_differences else self["rows compared"]
        columns, different = self.columns, self["values different"]
        if different is None or not rows or not columns:
            return None
        # One division, so that it rounds as a limit such as 0.999 does.
        return (rows * columns - different) / (rows * columns)

    @property
    def columns(self) -> float | None:
        """The most columns that a ratio of equal values may count."""
        compared, keys = self["columns compared"], self._diff.get("pk_columns")
        if compared is None or not isinstance(keys, list):
            return None
        sides = (self[f"columns on the {side}"] for side in SIDES)
        return max(compared + len(keys), *(count or 0 for count in sides))

    @property
    def column_differences(self) -> Iterator[tuple[Any, float]]:
        """Each column that was measured: its name, and how many of its values differ."""
        yield from differing_columns(self._results)

    @property
    def values_different(self) -> dict[str, float] | None:
        """How many values of each column differ, ``None`` unless all columns are known."""
        stats = part(self._results, "values").get("columns_diff_stats")
        totals = (self["values different"], self["columns with differences"])
        if not isinstance(stats, list) or None in totals:
            return None
        found: dict[str, float] = {}
        for column in stats:
            column = column if isinstance(column, Mapping) else {}
            name, count = column.get("column_name"), number(column.get("values_different"))
            if not isinstance(name, str) or name in found or count is None:
                return None
            if not _COUNT.holds(count):
                return None
            found[name] = count
        return found

    @property
    def needs_no_values(self) -> bool:
        """Whether no row differs, and no values are shown either."""
        return self["rows different"] == 0 and self._results.get("values") is None

    @property
    def _sampled(self) -> Any:
        return part(self._diff, "diff_stats").get("sampled")

    @property
    def _has_estimates(self) -> bool:
        """Whether there are estimates for the whole tables, which only a sample needs.

        ``is_sampled`` in ``materialized_results`` says nothing of that: it is about the tables that
        Datafold stores the results in, which it samples by itself, unless the data diff sets
        ``materialize_without_sampling``.
        """
        return any(
            column.get("values_different_estimate") is not None
            for column in column_stats(self._results)
        )

    def _read(self) -> Iterator[tuple[str, tuple[Any, _Range]]]:
        stats = part(self._diff, "diff_stats")
        for field, (name, allowed) in _STATS.items():
            yield name, (stats.get(field), allowed)
        for (section, field), name in _RESULTS.items():
            yield name, (part(self._results, section).get(field), _COUNT)
        for (section, field), names in _PAIRS.items():
            pair = items(part(self._results, section), field)
            for name, value in zip(names, [*pair, None, None], strict=False):
                yield name, (value, _COUNT)
        schema = part(self._results, "schema")
        sides = items(schema, "exclusive_columns")
        for name, names in zip(_NAMED_ONLY, [*sides, None, None], strict=False):
            yield name, (_length(names), _COUNT)
        yield _NAMED_TYPES, (_length(schema.get("column_type_differs")), _COUNT)


def differing_columns(results: Mapping[str, Any]) -> Iterator[tuple[Any, float]]:
    """Find how many values of each column differ.

    :param results: what ``summary_results`` shows.
    :return: the name of each column that was measured, and the number.
    """
    for column in column_stats(results):
        count = number(column.get("values_different"))
        if count is not None:
            yield column.get("column_name"), count


def subtract(figure: float | None, other: float | None) -> float | None:
    """Subtract a figure from another, if both are known."""
    return None if figure is None or other is None else figure - other


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
    return found if isinstance(found, list) else []


def _is_in(value: Any, allowed: _Range) -> bool:
    found = number(value)
    return found is not None and allowed.holds(found)


def column_stats(results: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Return the statistics of each column.

    :param results: what ``summary_results`` shows.
    """
    for column in items(part(results, "values"), "columns_diff_stats"):
        if isinstance(column, Mapping):
            yield column


def _length(names: Any) -> Any:
    """Return how many names there are; what is no list stays, and is no count either."""
    return len(names) if isinstance(names, list) else names


def _wrong_type(whole: Mapping[str, Any], name: str, kind: type, words: str) -> Iterator[str]:
    value = whole.get(name)
    if not (value is None or isinstance(value, kind)):
        yield f"{name} is {format_value(value)}, but must be {words}"
