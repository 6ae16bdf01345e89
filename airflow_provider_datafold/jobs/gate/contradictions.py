"""Where the figures of a data diff contradict its result, or each other. Nothing here does I/O.

Each function yields contradictions in words, each with the two figures. A figure that was not
measured contradicts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_datafold.api.fields import format_value
from airflow_provider_datafold.jobs.gate.figures import (
    NAMED_COLUMNS,
    ROWS,
    Figures,
    plain,
    subtract,
)
from airflow_provider_datafold.jobs.gate.limits import Limits

_DIFFERENCES = ("rows added", "rows removed", "rows different")
_ANY_DIFFERENCE = (
    *_DIFFERENCES,
    *(f"{name} in the results" for name in _DIFFERENCES),
    "values different",
)
_COMMON = (*ROWS, "rows added", "rows removed")
"""What says how many rows are on both sides."""

_ROUNDING = 0.001
"""How far a match ratio may be from the exact one: nobody knows whether Datafold rounds it."""


def of_any(figures: Figures) -> Iterator[str]:
    """Find contradictions in a data diff with any result."""
    yield from figures.impossible()
    if figures["errors"]:
        yield f"{_result(figures)}, but {figures.say('errors')}"
    if figures["rows compared"] and figures["columns compared"] and figures["values compared"] == 0:
        yield f"{figures.say('rows compared')}, but {figures.say('values compared')}"
    values = figures["values different"]
    for name, count in figures.column_differences:
        if values is not None and count > values:
            column = f"{plain(count)} of them in the column {format_value(name)}"
            yield f"{figures.say('values different')}, but {column}"
    if figures.results_status == "failed":
        yield f"{_result(figures)}, but the status of its results is 'failed'"


def of_empty(figures: Figures) -> Iterator[str]:
    """Find contradictions in a data diff without rows."""
    names = (*ROWS, *_ANY_DIFFERENCE, "null primary keys", "doubled primary keys")
    yield from _none_of(figures, names, _result(figures))


def of_identical(figures: Figures, limits: Limits) -> Iterator[str]:
    """Find contradictions in a data diff that says ``identical``."""
    yield from _none_of(figures, _ANY_DIFFERENCE, _result(figures))
    first, second = (figures[name] for name in ROWS)
    # A sample may be identical where the tables are not, which a ratio may allow.
    if not (figures.is_sampled and limits.min_match_ratio is not None) and _differ(first, second):
        yield f"{_result(figures)}, but {figures.say(*ROWS)}"
    schema = figures["schema differences"]
    if schema and limits.judges_schema(figures):
        yield f"{_result(figures)}, but {figures.say('schema differences')}"
    yield from _of_schema(figures, limits)
    # Datafold's score counts the cells of a column that only one side has as not equal, and across
    # databases nothing else tells of such a column.
    is_of_columns = schema or (figures.is_across and _says_no_difference(figures))
    is_of_nothing = is_of_columns or figures.has_no_rows
    if not is_of_nothing and figures["match ratio"] not in (None, 1):
        yield f"{_result(figures)}, but {figures.say('match ratio')}"


def of_different(figures: Figures, limits: Limits) -> Iterator[str]:
    """Find contradictions in a data diff that says ``different``."""
    if not (figures.is_sampled or figures.has_bad_keys):
        yield from _of_counts(figures)
        yield from _of_no_difference(figures, limits)
        yield from _of_both_counts(figures)
    if limits.max_values_different is not None:
        yield from _of_columns(figures)
    yield from _of_ratio(figures, limits)
    yield from _of_schema(figures, limits)


def _of_counts(figures: Figures) -> Iterator[str]:
    first, second = (figures[name] for name in ROWS)
    for change, side in zip(("rows removed", "rows added"), ROWS, strict=True):
        yield from _at_most(figures, change, figures[side], figures.say(side))
    added, removed = figures["rows added"], figures["rows removed"]
    left = subtract(first, removed)
    if left is not None and added is not None and _differ(second, left + added):
        made = figures.say(ROWS[0], "rows added", "rows removed")
        yield f"{figures.say(ROWS[1])}, but {made}, which makes {plain(left + added)}"
    common = figures.rows_in_common
    words = f"rows on both sides {plain(common)} by the other counts"
    yield from _at_most(figures, "rows different", _with_exclusive(figures, common), words)


def _of_no_difference(figures: Figures, limits: Limits) -> Iterator[str]:
    """Look for a difference that the result may mean: of rows, of the schema, or of the ratio."""
    is_schema_equal = figures["schema differences"] == 0 and not figures.is_across
    ratio = figures["match ratio"]
    if ratio not in (None, 1) and limits.min_match_ratio is not None:
        return
    if is_schema_equal and _says_no_difference(figures):
        names = (*_DIFFERENCES, "schema differences")
        yield f"{_result(figures)}, but {figures.say(*names)}"


def _of_both_counts(figures: Figures) -> Iterator[str]:
    """Compare ``diff_stats`` with the results, which may count fewer differences, but not more.

    A limit holds for the higher count, because it is on that of ``diff_stats``.
    """
    for name in _DIFFERENCES:
        missed = subtract(figures[f"{name} in the results"], figures[name])
        if missed is not None and missed > 0:
            yield f"{figures.say(name)}, but {figures.say(f'{name} in the results')}"
    values = figures["values different"]
    said = figures.say("values different")
    if figures["rows different"] == 0 and values:
        yield f"{figures.say('rows different')}, but {said}"
    for name in ("rows different", "rows different in the results"):
        yield from _at_most(figures, name, _with_exclusive(figures, values), said)
    compared, common = figures["rows compared"], figures.rows_in_common
    most, said = _with_exclusive(figures, compared), figures.say("rows compared")
    yield from _at_most(figures, "rows different", most, said)
    missing = None if figures.reads_only_differences else subtract(common, compared)
    if missing is not None and missing > 0:
        said = figures.say(*_COMMON)
        yield f"{figures.say('rows compared')}, but {said}"


def _of_columns(figures: Figures) -> Iterator[str]:
    """Compare the counts of the columns with their totals: a column that is left out may differ."""
    columns = figures.values_different
    if columns is None:
        return
    differing = [count for count in columns.values() if count]
    for total, found in (
        ("values different", sum(differing)),
        ("columns with differences", len(differing)),
    ):
        if figures[total] != found:
            yield f"{figures.say(total)}, but {plain(found)} by the counts of each column"


def _of_ratio(figures: Figures, limits: Limits) -> Iterator[str]:
    """Compare the match ratio with the values that differ."""
    ratio, highest = figures["match ratio"], figures.highest_ratio
    if limits.min_match_ratio is None or ratio is None or not figures["values different"]:
        return
    if ratio == 1:
        yield f"{figures.say('match ratio')}, but {figures.say('values different')}"
    if highest is not None and ratio > highest + _ROUNDING:
        rows = _COMMON if figures.reads_only_differences else ("rows compared",)
        found = figures.say("values different", *rows, "columns compared")
        yield f"{figures.say('match ratio')}, but {found}"


def _of_schema(figures: Figures, limits: Limits) -> Iterator[str]:
    if not limits.judges_schema(figures) or figures.chooses_columns:
        return
    if figures["schema differences"] == 0:
        names = (*NAMED_COLUMNS.values(), *NAMED_COLUMNS)
        yield from _none_of(figures, names, figures.say("schema differences"))
    for named, count in NAMED_COLUMNS.items():
        if figures[count] == 0:
            yield from _none_of(figures, (named,), figures.say(count))


def _with_exclusive(figures: Figures, rows: float | None) -> float | None:
    """Add the rows that only one side has: the rows different may or may not include them."""
    added, removed = figures["rows added"], figures["rows removed"]
    return None if rows is None or added is None or removed is None else rows + added + removed


def _says_no_difference(figures: Figures) -> bool:
    return all(figures[name] == 0 for name in _DIFFERENCES)


def _at_most(figures: Figures, name: str, most: float | None, words: str) -> Iterator[str]:
    found = figures[name]
    if found is not None and most is not None and found > most:
        yield f"{figures.say(name)}, but {words}"


def _none_of(figures: Figures, names: tuple[str, ...], unless: str) -> Iterator[str]:
    for name in names:
        if figures[name]:
            yield f"{unless}, but {figures.say(name)}"


def _differ(first: float | None, second: float | None) -> bool:
    return first is not None and second is not None and first != second


def _result(figures: Figures) -> str:
    return f"the result is {figures.result!r}"
