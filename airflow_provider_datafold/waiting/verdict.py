"""What the result of a data diff means for a gate. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from airflow_provider_datafold.api.fields import format_value

_MOST_NAMES = 5
_NOT_COMPARED = {
    "missing-pks": "a side lacks primary key columns",
    "bad-pks": "primary keys are null or not unique",
    "None": "Datafold gives no result",
}
_NOTHING = (("compared", False),)
"""What is asserted where nothing was compared."""


class Outcome(Enum):
    """What a gate makes of a data diff that is done."""

    PASSES = auto()
    DIFFERS = auto()
    EMPTY = auto()
    NOT_COMPARED = auto()
    FAILED = auto()


@dataclass(frozen=True)
class Verdict:
    """What came of a data diff.

    :param outcome: for the gate.
    :param reason: why, in one line without a full stop.
    :param assertions: what was asserted, e.g. ``"rows_added <= 5"``, and whether it holds.
    """

    outcome: Outcome
    reason: str
    assertions: tuple[tuple[str, bool], ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Limits:
    """By how much two sides may differ.

    Without any of these they must be identical. Once one is given, each of the first three that is
    not given is 0, unless ``min_match_ratio`` is given, which then stands for it.

    :param max_rows_added: rows that only the second side has.
    :param max_rows_removed: rows that only the first side has.
    :param max_rows_different: rows that both sides have, with other values.
    :param min_match_ratio: share of values that are equal, from 0 to 1.
    :param allow_schema_changes: whether columns may be added, removed or of another type.
    """

    max_rows_added: int | None = None
    max_rows_removed: int | None = None
    max_rows_different: int | None = None
    min_match_ratio: float | None = None
    allow_schema_changes: bool = False

    @property
    def are_given(self) -> bool:
        """Whether anything may differ at all."""
        return self != Limits()


def judge(diff: Mapping[str, Any], limits: Limits) -> Verdict:
    """Judge a data diff that is done.

    :param diff: the data diff as the API shows it.
    :param limits: by how much the sides may differ.
    :return: the verdict.
    """
    match diff.get("result"):
        case "identical":
            return Verdict(Outcome.PASSES, "identical", (("identical", True),))
        case "empty":
            return Verdict(Outcome.EMPTY, "there are no rows to compare", _NOTHING)
        case "error":
            return Verdict(Outcome.FAILED, "the comparison failed")
        case "different" if limits.are_given:
            return _judge_by_limits(diff, limits)
        case "different":
            return Verdict(Outcome.DIFFERS, _figures(diff), (("identical", False),))
        case result:
            reason = _NOT_COMPARED.get(str(result), f"the result is {format_value(result)}")
            return Verdict(Outcome.NOT_COMPARED, reason, _NOTHING)


@dataclass(frozen=True)
class _Check:
    """A figure beside its limit.

    :param name: what it is.
    :param found: the figure, ``None`` where it was not measured.
    :param is_within: whether it is within the limit.
    :param words: both in words.
    :param assertion: the limit by the API's name for the figure.
    """

    name: str
    found: float | None
    is_within: bool
    words: str
    assertion: str


def _judge_by_limits(diff: Mapping[str, Any], limits: Limits) -> Verdict:
    checks = [
        *_row_checks(diff, limits),
        *_ratio_checks(diff, limits),
        *_schema_checks(diff, limits),
    ]
    assertions = tuple(
        (check.assertion, check.found is not None and check.is_within) for check in checks
    )
    unmeasured = [check.name for check in checks if check.found is None]
    beyond = [check.words for check in checks if not check.is_within]
    if unmeasured:
        reason = f"Datafold did not measure what there is a limit for: {', '.join(unmeasured)}"
        return Verdict(Outcome.NOT_COMPARED, reason, assertions)
    note = _schema_note(diff)
    if beyond:
        return Verdict(Outcome.DIFFERS, f"{', '.join(beyond)}{note}", assertions)
    within = ", ".join(check.words for check in checks)
    return Verdict(Outcome.PASSES, f"within the limits: {within}{note}", assertions)


def _row_checks(diff: Mapping[str, Any], limits: Limits) -> Iterator[_Check]:
    figures = {
        "rows added": ("rows_added", limits.max_rows_added),
        "rows removed": ("rows_removed", limits.max_rows_removed),
        "rows different": ("diff_rows_count", limits.max_rows_different),
    }
    for name, (stat, limit) in figures.items():
        if limit is None and limits.min_match_ratio is not None:
            continue
        most, found = limit or 0, _stat(diff, stat)
        words = f"{name} {_plain(found)} (at most {most})"
        yield _Check(name, found, (found or 0) <= most, words, f"{stat} <= {most}")


def _ratio_checks(diff: Mapping[str, Any], limits: Limits) -> Iterator[_Check]:
    least = limits.min_match_ratio
    if least is not None:
        ratio = _stat(diff, "match_ratio")
        # A percentage would be above any limit.
        ratio = None if ratio is None or ratio > 1 else ratio
        words = f"match ratio {_plain(ratio)} (at least {least:g})"
        is_within = (ratio or 0) >= least
        yield _Check("match ratio", ratio, is_within, words, f"match_ratio >= {least:g}")


def _schema_checks(diff: Mapping[str, Any], limits: Limits) -> Iterator[_Check]:
    if not (limits.allow_schema_changes or _is_across(diff)):
        changed = _stat(diff, "diff_schema")
        words = "schema changed" if changed else "schema unchanged"
        yield _Check("schema", changed, not changed, words, "diff_schema = 0")


def _figures(diff: Mapping[str, Any]) -> str:
    names = {
        "rows_added": "rows added",
        "rows_removed": "rows removed",
        "diff_rows_count": "rows different",
        "match_ratio": "match ratio",
    }
    found = [f"{name} {_plain(_stat(diff, field))}" for field, name in names.items()]
    if _stat(diff, "diff_schema") and not _is_across(diff):
        found.append("schema changed")
    return f"{', '.join(found)}{_schema_note(diff)}"


def _schema_note(diff: Mapping[str, Any]) -> str:
    return " (across databases the schema is not judged)" if _is_across(diff) else ""


def _is_across(diff: Mapping[str, Any]) -> bool:
    return diff.get("kind") == "cross_db"


def _stat(diff: Mapping[str, Any], field: str) -> float | None:
    return _number(_part(diff, "diff_stats").get(field))


def _number(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number else None


def _plain(value: float | None) -> str:
    if value is None:
        return "not measured"
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def explain(results: Mapping[str, Any]) -> list[str]:
    """Say what differs most, out of a data diff's results.

    :param results: what ``summary_results`` shows.
    :return: a few short sentences without a full stop.
    """
    return [*_columns(results), *_schema(results), *_keys(results)]


def _columns(results: Mapping[str, Any]) -> Iterator[str]:
    stats = _list(_part(results, "values"), "columns_diff_stats")
    columns = [stat for stat in stats if isinstance(stat, Mapping)]
    counts = [(_number(stat.get("values_different")) or 0, stat) for stat in columns]
    worst = sorted((pair for pair in counts if pair[0]), key=lambda pair: -pair[0])
    if worst:
        names = [f"{stat.get('column_name')!r} ({_plain(count)})" for count, stat in worst]
        yield f"values differ in {_listed(names)}"


def _schema(results: Mapping[str, Any]) -> Iterator[str]:
    schema = _part(results, "schema")
    for side, names in enumerate(_list(schema, "exclusive_columns"), 1):
        if names and isinstance(names, list):
            yield f"only side {side} has {_listed(map(repr, names))}"
    if types := _list(schema, "column_type_differs"):
        yield f"other types: {_listed(map(repr, types))}"


def _keys(results: Mapping[str, Any]) -> Iterator[str]:
    keys = _part(results, "pks")
    for key, words in (("dupes", "doubled primary keys"), ("nulls", "null primary keys")):
        counts = _list(keys, key)
        if any(counts):
            yield f"{words}: {' and '.join(map(str, counts))}"


def _part(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = whole.get(name)
    return part if isinstance(part, Mapping) else {}


def _list(whole: Mapping[str, Any], name: str) -> list[Any]:
    part = whole.get(name)
    return part if isinstance(part, list) else []


def _listed(words: Any) -> str:
    found = list(words)
    more = len(found) - _MOST_NAMES
    return ", ".join(found[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
