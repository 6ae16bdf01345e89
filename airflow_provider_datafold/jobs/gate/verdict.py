"""What a data diff that is done proves. Nothing here does I/O.

docs/gate_verdicts.md says of each rule why it holds. What is merely odd is a doubt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from airflow_provider_datafold.api.fields import format_value
from airflow_provider_datafold.jobs.gate.figures import SIDES, Figures, plain
from airflow_provider_datafold.jobs.gate.limits import Check, Limits, checks

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
    :param checks: the figures and limits that assertions are about.
    """

    outcome: Outcome
    reason: str
    assertions: tuple[tuple[str, bool], ...] = field(default=_NOTHING, compare=False)
    checks: Mapping[str, Check] = field(default_factory=dict, compare=False)


def judge(figures: Figures, limits: Limits, *, may_be_empty: bool = False) -> Verdict:
    """Judge a data diff that is done."""
    if figures.result == "error":
        return Verdict(Outcome.FAILED, "the comparison failed", ())
    if figures.result not in ("identical", "different", "empty"):
        unknown = f"the result is {format_value(figures.result)}"
        return _not_compared(_NOT_COMPARED.get(str(figures.result), unknown))
    if wrong := _contradiction(figures, limits):
        return _not_compared(f"Datafold's answer contradicts itself: {wrong}")
    if figures.result == "different" and not limits.are_given:
        return Verdict(Outcome.DIFFERS, _differences(figures), (("identical", False),))
    if nothing := _nothing(figures):
        if known := next(figures.rows_known, None):
            return _not_compared(f"{nothing}, but {figures.say(known)}")
        if not may_be_empty:
            return Verdict(Outcome.EMPTY, "there are no rows to compare")
        if figures.schema_changes and not limits.allow_schema_changes:
            return Verdict(Outcome.DIFFERS, "schema changed")
        return Verdict(Outcome.PASSES, "there are no rows to compare")
    if unproven := _unproven(figures, limits):
        return _not_compared(unproven)
    return _by_limits(figures, limits)


def describe_sample(figures: Figures) -> str | None:
    """Say that only a sample was compared, e.g. ``"a sample of 500 rows"``."""
    if not figures.is_sampled:
        return None
    rows = figures["rows compared"]
    return (
        "a sample" if rows is None else f"a sample of {plain(rows)} row{'' if rows == 1 else 's'}"
    )


def _contradiction(figures: Figures, limits: Limits) -> str | None:
    result = f"the result is {figures.result!r}"
    if figures.impossible:
        return figures.impossible
    if figures["errors"]:
        return f"{result}, but {figures.say('errors')}"
    if figures.results.get("status") == "failed":
        return f"{result}, but the status of its results is 'failed'"
    if limits.min_match_ratio is not None and (figures["match ratio"] or 0) > 1:
        return figures.say("match ratio")
    if figures.result == "different":
        return None
    if counted := next(figures.counted, None):
        return f"{result}, but {figures.say(counted)}"
    if figures.is_one_sided and not figures.is_sampled:
        return f"{result}, but {figures.say(*figures.rows)}"
    return None


def _nothing(figures: Figures) -> str | None:
    """Say that nothing was compared, as far as is known. Results may list only what differs."""
    rows, counts = figures["rows compared"], [*figures.rows.values()]
    is_identical = figures.result == "identical"
    if figures.result == "empty":
        return "the result is 'empty'"
    # One side may be empty, unless both are equal.
    if counts and not any(counts) and (is_identical or len(counts) == len(SIDES)):
        return "no row was counted"
    if rows == 0 and not (figures.is_sampled or figures.may_have_rows):
        return "no row was compared"
    if is_identical and figures["match ratio"] == 0 and not any(counts):
        return "match ratio 0"
    if figures.compared_no_column and (rows or is_identical):
        return "no column was compared"
    return None


def _unproven(figures: Figures, limits: Limits) -> str | None:
    """Say why the figures do not prove what the limits ask for."""
    is_identical = figures.result == "identical"
    if limits.needs_counts and figures.has_bad_keys:
        return "some primary keys are null or duplicated, so the counts of rows say nothing"
    if figures.is_sampled and (limits.names_counts if is_identical else limits.needs_counts):
        return (
            f"{_SAMPLED}, which says nothing about how many rows of the tables differ: use "
            f"min_match_ratio as the only limit, or do not sample"
        )
    if figures.is_sampled and figures["rows compared"] == 0:
        return f"{_SAMPLED}, and it holds no rows"
    if figures.is_cut and not is_identical:
        return (
            "the search for differences may have ended early, so there may be more: leave out "
            "per_column_diff_limit and download_limit"
        )
    if limits.min_match_ratio is not None and figures.is_one_sided:
        return "no row is on both sides, so the match ratio says nothing"
    return None


def _by_limits(figures: Figures, limits: Limits) -> Verdict:
    found = checks(figures, limits)
    in_sample = " in a sample" if figures.is_sampled else ""
    told = {f"{check.figure} {check.limit}{in_sample}": check for check in found}
    assertions = tuple(
        (text, check.found is not None and check.is_within) for text, check in told.items()
    )
    if figures.result == "identical":
        assertions = ((f"identical{in_sample}", True), *assertions)
    unmeasured = [check.name for check in found if check.found is None]
    beyond = [check.words for check in found if not check.is_within]
    if unmeasured:
        reason = f"Datafold did not measure what there is a limit for: {', '.join(unmeasured)}"
        return Verdict(Outcome.NOT_COMPARED, reason, assertions, told)
    if beyond:
        reason = f"{', '.join(beyond)}{_sample_note(figures)}"
        return Verdict(Outcome.DIFFERS, reason, assertions, told)
    within = ", ".join(check.words for check in found)
    reason = "identical" if figures.result == "identical" else f"within the limits: {within}"
    sample = describe_sample(figures)
    reason = f"{reason}, in {sample}" if sample else reason
    return Verdict(Outcome.PASSES, reason, assertions, told)


def _not_compared(reason: str) -> Verdict:
    return Verdict(Outcome.NOT_COMPARED, reason)


def _differences(figures: Figures) -> str:
    found = figures.say("rows added", "rows removed", "rows different", "match ratio")
    changed = ", schema changed" if figures.schema_changes else ""
    return f"{found}{changed}{_sample_note(figures)}"


def _sample_note(figures: Figures) -> str:
    return f" ({_SAMPLED})" if figures.is_sampled else ""
