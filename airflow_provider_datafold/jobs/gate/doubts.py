"""What is odd about a data diff, and proves nothing: an honest service may say it of good data."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_datafold.api.fields import format_value
from airflow_provider_datafold.jobs.gate.figures import DIFFERENCES, ROWS, Figures, plain


def doubts(figures: Figures) -> list[str]:
    """Return each doubt in words."""
    status = figures.results.get("status")
    if figures.result not in ("identical", "different") or status == "failed":
        return []
    if not figures.has_results:
        state = f"have only the status {format_value(status)}" if status else "could not be read"
        return [f"its detailed results {state}, so only its own figures decide", *_rows(figures)]
    return [*_rows(figures), *_results(figures), *_columns(figures), *_types(figures)]


def _rows(figures: Figures) -> Iterator[str]:
    """Compare the counts of the tables, which change while they are compared."""
    if figures.is_filtered or figures.is_sampled or figures.has_bad_keys:
        return
    names = () if figures.result == "identical" else ("rows added", "rows removed")
    found = figures.differences
    grown = [found[name] if name in names else 0 for name in DIFFERENCES[:2]]
    first, second = (figures[name] for name in ROWS)
    if first is None or second is None or None in grown:
        return
    if second - first != (grown[0] or 0) - (grown[1] or 0):
        yield f"the counts do not add up: {figures.say(*ROWS, *names)}"
    is_counted = figures.schema_changes or figures.retyped or any(figures.counted)
    if figures.result == "different" and not is_counted:
        yield "the result is 'different', but no difference was counted"


def _results(figures: Figures) -> Iterator[str]:
    for name in DIFFERENCES:
        other = f"{name} in the results"
        if None not in (figures[name], figures[other]) and figures[name] != figures[other]:
            yield figures.say(name, other)


def _columns(figures: Figures) -> Iterator[str]:
    """Compare the counts of the columns with their totals."""
    told = [count for _, count in figures.differing_columns]
    for total, found in (("values different", sum(told)), ("columns with differences", len(told))):
        if figures[total] not in (None, found):
            yield f"{figures.say(total)}, but {plain(found)} by the counts of each column"


def _types(figures: Figures) -> Iterator[str]:
    """Name the columns of other types in two databases, which no verdict judges."""
    if figures.is_across and (names := figures.retyped):
        yield f"the two databases have other types for {', '.join(map(format_value, names))}"
