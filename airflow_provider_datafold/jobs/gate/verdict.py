"""What the result of a data diff means for a gate. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from airflow_provider_datafold.api.fields import format_value
from airflow_provider_datafold.jobs.gate import contradictions
from airflow_provider_datafold.jobs.gate.figures import Figures, plain
from airflow_provider_datafold.jobs.gate.limits import Limits, checks

_NOT_COMPARED = {
    "missing-pks": "a side lacks primary key columns",
    "bad-pks": "primary keys are null or not unique",
    "None": "Datafold gives no result",
}
_NOTHING = (("compared", False),)
"""What is asserted where nothing was compared."""

_SAMPLED = "only a sample was compared"


class Outcome(str, Enum):
    """What a gate makes of a data diff."""

    PASSES = "passes"
    UNCONFIRMED = "unconfirmed"
    """It passes if its ``summary_results`` agree, which are not read or not ready yet."""
    DIFFERS = "differs"
    EMPTY = "empty"
    NOT_COMPARED = "not_compared"
    FAILED = "failed"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class Verdict:
    """What came of a data diff.

    :param outcome: for the gate.
    :param reason: why, in one line without a full stop.
    :param assertions: what was asserted, e.g. ``"rows_added <= 5"``, and whether it holds.
    """

    outcome: Outcome
    reason: str
    assertions: tuple[tuple[str, bool], ...] = field(default=_NOTHING, compare=False)


def judge(
    diff: Mapping[str, Any],
    limits: Limits,
    *,
    may_be_empty: bool = False,
    sent: Mapping[str, Any] | None = None,
    results: Mapping[str, Any] | None = None,
) -> Verdict:
    """Judge a data diff that is done.

    :param diff: the data diff as the API shows it.
    :param limits: by how much the sides may differ.
    :param may_be_empty: whether it passes without any rows.
    :param sent: the body of the data diff's creation, if that is known: it may ask for a sample.
    :param results: the data diff's ``summary_results``. As long as they do not have what they
        must have to confirm anything, what needs them to pass is :attr:`Outcome.UNCONFIRMED`.
    :return: the verdict.
    """
    figures = Figures(diff, results, sent)
    match figures.result:
        case "identical" | "different" | "empty" if wrong := _first(contradictions.of_any(figures)):
            return _contradiction(wrong)
        case "identical":
            return _judge_identical(figures, limits, may_be_empty)
        case "different" if limits.are_given:
            return _judge_by_limits(figures, limits, may_be_empty)
        case "different":
            return Verdict(Outcome.DIFFERS, _differences(figures), (("identical", False),))
        case "empty":
            return _judge_empty(figures, may_be_empty)
        case "error":
            return Verdict(Outcome.FAILED, "the comparison failed", ())
        case result:
            reason = _NOT_COMPARED.get(str(result), f"the result is {format_value(result)}")
            return Verdict(Outcome.NOT_COMPARED, reason)


def describe_sample(figures: Figures) -> str | None:
    """Say that only a sample was compared, and of how many rows.

    :param figures: the figures of a data diff, with its results if they were read.
    :return: such as ``"a sample of 500 rows"``; ``None`` unless it was sampled.
    """
    if not figures.is_sampled:
        return None
    rows = figures["rows compared"]
    return (
        "a sample" if rows is None else f"a sample of {plain(rows)} row{'' if rows == 1 else 's'}"
    )


def _judge_empty(figures: Figures, may_be_empty: bool) -> Verdict:
    if wrong := _first(contradictions.of_empty(figures)):
        return _contradiction(wrong)
    outcome = Outcome.PASSES if may_be_empty else Outcome.EMPTY
    return Verdict(outcome, "there are no rows to compare")


def _judge_identical(figures: Figures, limits: Limits, may_be_empty: bool) -> Verdict:
    if wrong := _first(contradictions.of_identical(figures, limits)):
        return _contradiction(wrong)
    if figures.has_no_rows:
        return _judge_empty(figures, may_be_empty)
    if limits.needs_counts and figures.has_bad_keys:
        return _bad_keys()
    if figures.compared_all:
        return Verdict(Outcome.PASSES, "identical", (("identical", True),))
    if figures.is_sampled and limits.names_counts:
        return _sampled_counts()
    return _confirm(figures, "identical", (("identical", True),))


def _judge_by_limits(figures: Figures, limits: Limits, may_be_empty: bool) -> Verdict:
    if wrong := _first(contradictions.of_different(figures, limits)):
        return _contradiction(wrong)
    if limits.needs_counts and figures.has_bad_keys:
        return _bad_keys()
    if limits.needs_counts and figures.is_sampled:
        return _sampled_counts()
    found = checks(figures, limits)
    assertions = tuple(
        (check.assertion, check.found is not None and check.is_within) for check in found
    )
    if figures.has_no_rows:
        assertions = _NOTHING
    unmeasured = [check.name for check in found if check.found is None]
    beyond = [check.words for check in found if not check.is_within]
    if unmeasured:
        reason = f"Datafold did not measure what there is a limit for: {', '.join(unmeasured)}"
        return Verdict(Outcome.NOT_COMPARED, reason, assertions)
    if beyond:
        return Verdict(Outcome.DIFFERS, f"{', '.join(beyond)}{_notes(figures)}", assertions)
    if limits.min_match_ratio is not None and figures.shares_no_row:
        reason = "no row is on both sides, so the match ratio says nothing"
        return Verdict(Outcome.NOT_COMPARED, reason)
    if figures.has_no_rows and not may_be_empty:
        return _judge_empty(figures, may_be_empty)
    within = ", ".join(check.words for check in found)
    return _confirm(figures, f"within the limits: {within}{_schema_note(figures)}", assertions)


def _confirm(figures: Figures, reason: str, assertions: tuple[tuple[str, bool], ...]) -> Verdict:
    """Pass what the results agree with."""
    if not figures.can_confirm:
        return Verdict(Outcome.UNCONFIRMED, reason)
    if not figures.is_sampled:
        return Verdict(Outcome.PASSES, reason, assertions)
    rows = figures["rows compared"]
    if not rows:
        why = "Datafold does not say of how many rows" if rows is None else "it holds no rows"
        return Verdict(Outcome.NOT_COMPARED, f"{_SAMPLED}, and {why}")
    of_sample = tuple((f"{assertion} in a sample", holds) for assertion, holds in assertions)
    return Verdict(Outcome.PASSES, f"{reason}, in {describe_sample(figures)}", of_sample)


def _contradiction(wrong: str) -> Verdict:
    return Verdict(Outcome.NOT_COMPARED, f"Datafold's answer contradicts itself: {wrong}")


def _bad_keys() -> Verdict:
    reason = "some primary keys are null or doubled, so the counts of rows say nothing"
    return Verdict(Outcome.NOT_COMPARED, reason)


def _sampled_counts() -> Verdict:
    return Verdict(
        Outcome.NOT_COMPARED,
        f"{_SAMPLED}, which says nothing about how many rows of the tables differ: use "
        f"min_match_ratio as the only limit, or do not sample",
    )


def _differences(figures: Figures) -> str:
    found = figures.say("rows added", "rows removed", "rows different", "match ratio")
    is_changed = figures["schema differences"] and not figures.is_across
    return f"{found}{', schema changed' if is_changed else ''}{_notes(figures)}"


def _notes(figures: Figures) -> str:
    return f"{_schema_note(figures)}{f' ({_SAMPLED})' if figures.is_sampled else ''}"


def _schema_note(figures: Figures) -> str:
    return " (across databases the schema is not judged)" if figures.is_across else ""


def _first(found: Iterator[str]) -> str | None:
    return next(found, None)
