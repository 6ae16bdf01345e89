"""By how much two sides may differ. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from airflow_provider_datafold.api.fields import format_value, near
from airflow_provider_datafold.jobs.gate.figures import ROUNDING, Figures, plain

_ROWS = {
    "rows added": ("rows_added", "max_rows_added"),
    "rows removed": ("rows_removed", "max_rows_removed"),
    "rows different": ("diff_rows_count", "max_rows_different"),
}
"""The limits on counts: the figure's name in words and in the API, and the limit's."""


@dataclass(frozen=True)
class Limits:
    """By how much two sides may differ.

    Without any of these they must be identical. Once one is given, each of the first three that is
    not given is 0, unless ``min_match_ratio`` is given, which then stands for it;
    ``max_values_different`` stands for ``max_rows_different``.

    :param max_rows_added: rows that only the second side has.
    :param max_rows_removed: rows that only the first side has.
    :param max_rows_different: rows that both sides have, with other values.
    :param min_match_ratio: share of values that are equal, from 0 to 1.
    :param allow_schema_changes: whether columns may be added, removed or of another type.
    :param max_values_different: the columns that may differ, and in how many rows; ``None`` for any
        number. No other column may differ.
    """

    max_rows_added: int | None = None
    max_rows_removed: int | None = None
    max_rows_different: int | None = None
    min_match_ratio: float | None = None
    allow_schema_changes: bool = False
    max_values_different: Mapping[str, int | None] | None = None

    @property
    def are_given(self) -> bool:
        """Whether anything may differ at all."""
        return self != Limits()

    @property
    def names_counts(self) -> bool:
        """Whether one of the limits on counts is given."""
        names = (*(name for _, name in _ROWS.values()), "max_values_different")
        return any(getattr(self, name) is not None for name in names)

    @property
    def needs_counts(self) -> bool:
        """Whether the verdict depends on counts of rows, and not on the match ratio alone."""
        return self.names_counts or self.min_match_ratio is None

    def has_other_than(self, name: str) -> bool:
        """Say whether another limit stands for this limit on a count, if it is not given."""
        is_of_values = name == "max_rows_different" and self.max_values_different is not None
        return is_of_values or self.min_match_ratio is not None


@dataclass(frozen=True)
class Check:
    """A figure beside its limit.

    :param name: what it is.
    :param found: the figure, ``None`` where it was not measured.
    :param is_within: whether it is within the limit.
    :param words: both in words.
    :param figure: the API's name for the figure.
    :param limit: such as ``"<= 5"``.
    :param column: the one column that it is about.
    """

    name: str
    found: float | None
    is_within: bool
    words: str
    figure: str
    limit: str
    column: str | None = None


def checks(figures: Figures, limits: Limits) -> list[Check]:
    """Hold the figures of a data diff against the limits; what is identical has no counts."""
    found = []
    if figures.result != "identical":
        found += [*_row_checks(figures, limits), *_column_checks(figures, limits)]
    return [*found, *_ratio_checks(figures, limits), *_schema_checks(figures, limits)]


def _row_checks(figures: Figures, limits: Limits) -> Iterator[Check]:
    for name, found in figures.differences.items():
        stat, argument = _ROWS[name]
        limit = getattr(limits, argument)
        if limit is None and limits.has_other_than(argument):
            continue
        most = limit or 0
        words = f"{name} {plain(found)} (at most {most})"
        yield Check(name, found, (found or 0) <= most, words, stat, f"<= {most}")


def _column_checks(figures: Figures, limits: Limits) -> Iterator[Check]:
    allowed = limits.max_values_different
    if allowed is None:
        return
    columns = figures.values_different
    for name, most in allowed.items():
        if most is not None and columns != {}:
            where = f"values different in {format_value(name)}"
            found = (columns or {}).get(name)
            yield Check(
                f"{where}{_hint(name, columns or ())}",
                found,
                (found or 0) <= most,
                f"{where} {plain(found)} (at most {most})",
                "values_different",
                f"<= {most} in {format_value(name)}",
                name,
            )
    rest = [count for name, count in (columns or {}).items() if name not in allowed]
    others = None if columns is None else sum(rest)
    yield Check(
        "values different in each column",
        others,
        not others,
        f"values different in other columns {plain(others)} (at most 0)",
        "values_different",
        "= 0 in other columns",
    )


def _hint(name: str, columns: Iterable[str]) -> str:
    """Name the column that may be meant by one that was not compared."""
    meant = [each for each in near(name, columns) if each != name]
    return f" (did you mean {format_value(meant[0])}?)" if meant else ""


def _ratio_checks(figures: Figures, limits: Limits) -> Iterator[Check]:
    least, ratio = limits.min_match_ratio, figures["match ratio"]
    if least is None or (ratio is None and figures.result == "identical"):
        return
    words = f"match ratio {plain(ratio)} (at least {least:g})"
    rounding = ROUNDING if figures.result == "identical" else 0
    is_within = (ratio or 0) + rounding >= least
    yield Check("match ratio", ratio, is_within, words, "match_ratio", f">= {least:g}")


def _schema_checks(figures: Figures, limits: Limits) -> Iterator[Check]:
    changes = figures.schema_changes
    if changes is not None and not limits.allow_schema_changes:
        words = "schema changed" if changes else "schema unchanged"
        yield Check("schema", changes, not changes, words, "diff_schema", "= 0")
