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
    # What these measure is published nowhere, so they only have to be possible.
    "diff_pks": ("diff_pks", _AMOUNT),
    "diff_rows": ("diff_rows", _AMOUNT),
    "diff_rows_number": ("diff_rows_number", _AMOUNT),
    "diff_values": ("diff_values", _AMOUNT),
}
"""The figures in a data diff's ``diff_stats``: their names in words, and their ranges."""

_RESULTS = {
    ("values", "total_rows"): "rows compared",
    ("values", "rows_with_differences"): "rows different in the results",
    ("values", "values_with_differences"): "values different",
    ("values", "total_values"): "values compared",
    ("values", "compared_columns"): "columns compared",
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
        self._results = {} if results is None else results
        self._raw = dict(self._read())
        self.has_results = results is not None

    def __getitem__(self, name: str) -> float | None:
        """Return a figure by its name in words."""
        return number(self._raw[name][0])

    def say(self, *names: str) -> str:
        """Return figures with their names, fit for a message."""
        return ", ".join(f"{name} {plain(self[name])}" for name in names)

    def impossible(self) -> Iterator[str]:
        """Say which figures cannot be, e.g. a count below zero."""
        stats = self._diff.get("diff_stats")
        if not (stats is None or isinstance(stats, Mapping)):
            yield f"diff_stats is {format_value(stats)}, but must be an object"
        for name, (value, allowed) in self._raw.items():
            if not (value is None or _is_in(value, allowed)):
                yield f"{name} is {format_value(value)}, but must be {allowed.words}"
        if not (self._sampled is None or isinstance(self._sampled, bool)):
            yield f"sampled is {format_value(self._sampled)}, but must be true or false"

    @property
    def result(self) -> Any:
        """Datafold's own word for the result."""
        return self._diff.get("result")

    @property
    def results_status(self) -> Any:
        """The status of ``summary_results``."""
        return self._results.get("status")

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
    def has_bad_keys(self) -> bool:
        """Whether some primary keys are null or doubled, so that rows cannot be paired by them."""
        return any(self[name] for name in _KEYS)

    @property
    def chooses_columns(self) -> bool:
        """Whether only some columns were compared, or some under other names."""
        return any(self._diff.get(name) for name in _CHOOSES_COLUMNS)

    @property
    def reads_only_differences(self) -> bool:
        """Whether the algorithm compares checksums, and then only rows that may differ."""
        return str(self._diff.get("algorithm")).startswith("hash")

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
        return 0 in (self.rows_in_common, self["rows compared"], *(self[name] for name in ROWS))

    @property
    def columns(self) -> float | None:
        """The most columns that a ratio of equal values may count."""
        compared, keys = self["columns compared"], self._diff.get("pk_columns")
        if compared is None or not isinstance(keys, list):
            return None
        sides = (self[f"columns on the {side}"] for side in SIDES)
        return max(compared + len(keys), *(count or 0 for count in sides))

    @property
    def _sampled(self) -> Any:
        return part(self._diff, "diff_stats").get("sampled")

    @property
    def _has_estimates(self) -> bool:
        """Whether there are estimates for the whole tables, which only a sample needs."""
        columns = items(part(self._results, "values"), "columns_diff_stats")
        return any(
            column.get("values_different_estimate") is not None
            for column in columns
            if isinstance(column, Mapping)
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
