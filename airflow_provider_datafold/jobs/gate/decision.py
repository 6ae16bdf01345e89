"""The gate: decide whether a DAG continues after a data diff."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_datafold.api import data_diffs, fields
from airflow_provider_datafold.api.operation import Operation
from airflow_provider_datafold.exceptions import (
    DatafoldDifferenceError,
    DatafoldError,
    DatafoldJobCancelledError,
    DatafoldJobFailedError,
    DatafoldJobInvalidError,
    DatafoldNotComparedError,
    DatafoldNotFoundError,
    DatafoldPermissionError,
    DatafoldWaitingForPersonError,
)
from airflow_provider_datafold.jobs.gate.approval import Approval, check_airflow
from airflow_provider_datafold.jobs.gate.figures import READY, Figures, part
from airflow_provider_datafold.jobs.gate.limits import Limits
from airflow_provider_datafold.jobs.gate.report import Report, cause_of
from airflow_provider_datafold.jobs.gate.verdict import Outcome, Verdict, describe_sample, judge
from airflow_provider_datafold.jobs.job import State

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.watch import JobStatus

_ROWS = fields.optional(fields.between(0, fields.LARGEST))
_PAUSES = (0.0, 1.0, 3.0)
"""Seconds before each read of the detailed results, until they are ready."""


class Gate:
    """Decides at the end of a data diff what a task returns or raises.

    :param arguments: values of :data:`~airflow_provider_datafold.jobs.gate.arguments.PASSING` by
        name, as Airflow rendered them.
    :param approval: asks people about a difference; ``None`` where nobody may be asked.
    :raises DatafoldInputError: one of them is wrong.
    """

    verdict: Verdict | None = None
    """What came of the data diff; ``None`` as long as that was not told."""

    def __init__(self, arguments: Mapping[str, Any], approval: Approval | None = None) -> None:
        ways = ("fail", "skip", "pass", *(["ask"] if approval else []))
        self._on_difference = fields.one_of(*ways)("on_difference", arguments["on_difference"])
        self._approval = approval if self._on_difference == "ask" else None
        if self._approval:
            check_airflow()
        self._on_empty = fields.one_of("fail", "pass")("on_empty", arguments["on_empty"])
        rows = ("max_rows_added", "max_rows_removed", "max_rows_different")
        allowed = arguments["allow_schema_changes"]
        self.limits = Limits(
            **{name: _ROWS(name, arguments[name]) for name in rows},
            min_match_ratio=fields.optional(fields.share)(
                "min_match_ratio", arguments["min_match_ratio"]
            ),
            allow_schema_changes=fields.boolean("allow_schema_changes", allowed),
            max_values_different=fields.optional(_columns)(
                "max_values_different", arguments["max_values_different"]
            ),
        )

    @property
    def severity(self) -> str:
        """Whether what does not hold stops the DAG, in OpenLineage's words."""
        is_judged = self.verdict and self.verdict.outcome in (Outcome.PASSES, Outcome.DIFFERS)
        return "warn" if is_judged and self._on_difference == "pass" else "error"

    def decide(
        self,
        hook: JobHook,
        context: Context,
        datadiff_id: int,
        reading: JobStatus,
        given: Any = (),
    ) -> dict[str, Any]:
        """Let the DAG continue, or stop it. In any case tell the verdict first."""
        results = _results(hook, datadiff_id) if reading.has_succeeded else {}
        report = _report(hook, context, datadiff_id, reading.answer, results, given)
        self.verdict, error = self._decide(report, reading)
        told = report.tell(self.verdict, error)
        if error is None:
            return _returned(report)
        if self._approval and self.verdict.outcome is Outcome.DIFFERS:
            self._approval.ask(
                context,
                verdict=told,
                text=report.text(told),
                message=str(error),
                returned=_returned(report),
            )
        if isinstance(error, DatafoldError):
            error.verdict = told
        raise error

    def give_up(
        self,
        hook: JobHook,
        context: Context,
        datadiff_id: int,
        error: BaseException,
        given: Any = (),
    ) -> None:
        """Tell that a data diff was not judged, unless its verdict was told."""
        if self.verdict is not None:
            return
        found, reason = cause_of(error)
        self.verdict = Verdict(Outcome.NOT_COMPARED, reason, ())
        told = _report(hook, context, datadiff_id, {}, {}, given).tell(self.verdict, error)
        if found is not None:
            found.verdict = told

    def _decide(self, report: Report, reading: JobStatus) -> _Decision:
        match reading.state:
            case State.BLOCKED:
                return _blocked(report, reading.status)
            case State.CANCELLED:
                return _cancelled(report)
            case State.FAILED:
                return _failed(report)
        verdict = judge(report.figures, self.limits, may_be_empty=self._on_empty == "pass")
        match verdict.outcome:
            case Outcome.FAILED:
                return _failed(report)
            case Outcome.PASSES:
                reason = report.redactor.text(verdict.reason)
                report.hook.log.info("%s passes: %s. %s", report.name, reason, report.see)
                return verdict, None
            case _:
                return verdict, self._stop(report, verdict)

    def _stop(self, report: Report, verdict: Verdict) -> Exception | None:
        """Say why the DAG stops, unless it may go on with a difference."""
        details = report.details()
        details += _own_words(report, f"{verdict.reason}. {details}")
        said = "".join(f"{report.redactor.excerpt(sentence)}. " for sentence in details)
        message = f"{report.redactor.text(verdict.reason)}. {said}{report.see}"
        if verdict.outcome is not Outcome.DIFFERS:
            return DatafoldNotComparedError(f"{report.name}: {message}")
        message = f"{report.name} differs: {message}"
        if self._on_difference in ("fail", "ask"):
            return DatafoldDifferenceError(message)
        if self._on_difference == "skip":
            return AirflowSkipException(message)
        report.hook.log.warning("%s", message)
        return None


_Decision = tuple[Verdict, "Exception | None"]
"""What came of the data diff, and what stops the DAG."""


def summary(hook: JobHook, datadiff_id: int, diff: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a data diff that a task returns."""
    return {
        "id": datadiff_id,
        "status": diff.get("status"),
        "result": diff.get("result"),
        "url": hook.data_diff_url(datadiff_id),
        "diff_stats": diff.get("diff_stats"),
    }


def _report(
    hook: JobHook,
    context: Context,
    datadiff_id: int,
    diff: Mapping[str, Any],
    results: Mapping[str, Any],
    given: Any,
) -> Report:
    sent = given if isinstance(given, Mapping) else {}
    return Report(hook, context, datadiff_id, Figures(diff, results, sent), hook.redactor(given))


def _results(hook: JobHook, datadiff_id: int) -> Mapping[str, Any]:
    """Read the detailed results, which may be ready a moment later; empty if Datafold refuses."""
    results: dict[str, Any] = {}
    for pause in _PAUSES:
        hook.pause(pause)
        try:
            results = hook.call(data_diffs.GET_SUMMARY_RESULTS, datadiff_id=datadiff_id)
        except (DatafoldPermissionError, DatafoldNotFoundError) as error:
            hook.log.warning("Could not read the detailed results: %s.", error.summary)
            return {}
        if results.get("status") in (*READY, "failed"):
            break
    return results


def _returned(report: Report) -> dict[str, Any]:
    """Return what the task returns, which says in words if only a sample was compared."""
    returned = summary(report.hook, report.datadiff_id, report.figures.diff)
    sample = describe_sample(report.figures)
    if sample is not None:
        returned["diff_stats"] = {**(returned["diff_stats"] or {}), "sample": sample}
    return returned


def _blocked(report: Report, status: Any) -> _Decision:
    verdict = Verdict(Outcome.BLOCKED, f"it waits for a person ({status})", ())
    return verdict, DatafoldWaitingForPersonError(
        f"{report.name} waits for a person ({status}), so waiting longer will not help. Confirm it "
        f"or log in at Datafold, then wait for it with a DatafoldDataDiffSensor. Or cancel it at "
        f"Datafold and clear this task, which starts a new one. {report.see}"
    )


def _cancelled(report: Report) -> _Decision:
    verdict = Verdict(Outcome.CANCELLED, "it was cancelled at Datafold, not by this task", ())
    return verdict, DatafoldJobCancelledError(
        f"{report.name} was cancelled at Datafold, not by this task. Clear the task to start a "
        f"new one. {report.see}"
    )


def _failed(report: Report) -> _Decision:
    results = report.figures.results or _details(report, data_diffs.GET_SUMMARY_RESULTS)
    error = part(results, "error")
    words = ": ".join(str(error[name]) for name in ("error_type", "error_value") if error.get(name))
    own = _own_words(report, words)
    # Datafold's words for it, wherever they are.
    found = [report.redactor.excerpt(text).rstrip(".") for text in (words, *own) if text]
    why = ". ".join(found) or "Datafold does not say why"
    verdict = Verdict(Outcome.FAILED, why, ())
    if error.get("is_retryable") is False:
        message = f"{report.name} failed, and Datafold says that a retry will not help: {why}."
        return verdict, DatafoldJobInvalidError(f"{message} {report.see}")
    message = f"{report.name} failed: {why}. A retry starts a new data diff."
    return verdict, DatafoldJobFailedError(f"{message} {report.see}")


def _own_words(report: Report, known: str) -> list[str]:
    """Return what Datafold itself says about a data diff, unless that is known."""
    found = _details(report, data_diffs.GET_SUMMARY)
    said = [found.get(name) for name in ("error", "feedback")]
    texts = [text.strip().rstrip(".") for text in said if isinstance(text, str)]
    return [f"Datafold says: {text}" for text in dict.fromkeys(texts) if text not in known]


def _details(report: Report, operation: Operation[dict[str, Any]]) -> Mapping[str, Any]:
    """Return an answer about a data diff, empty if it cannot be read: it only has details."""
    try:
        return report.hook.call(operation, datadiff_id=report.datadiff_id)
    except DatafoldError as error:
        report.hook.log.warning("Could not read the details of the data diff: %s.", error.summary)
        return {}


def _columns(name: str, value: Any) -> dict[str, int | None]:
    """Check the limits of columns, by their names."""
    return {
        fields.text(name, column): _ROWS(f"{name}[{fields.format_value(column)}]", most)
        for column, most in fields.mapping(name, value).items()
    }
