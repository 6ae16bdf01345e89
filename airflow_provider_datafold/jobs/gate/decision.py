"""The gate: decide whether a DAG continues after a data diff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
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
    DatafoldTransientError,
    DatafoldWaitingForPersonError,
)
from airflow_provider_datafold.jobs.gate.explanation import explain
from airflow_provider_datafold.jobs.gate.figures import Figures, part
from airflow_provider_datafold.jobs.gate.limits import Limits
from airflow_provider_datafold.jobs.gate.report import Report
from airflow_provider_datafold.jobs.gate.verdict import Outcome, Verdict, describe_sample, judge
from airflow_provider_datafold.jobs.job import State

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.watch import JobStatus

_ROWS = fields.between(0, fields.LARGEST)


class Gate:
    """Decides at the end of a data diff what a task returns or raises.

    :param arguments: values of :data:`~airflow_provider_datafold.jobs.gate.arguments.PASSING` by
        name, as Airflow rendered them.
    :raises DatafoldInputError: one of them is wrong.
    """

    verdict: Verdict | None = None
    """What came of the data diff; ``None`` as long as that was not told."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._on_difference = fields.one_of("fail", "skip", "pass")(
            "on_difference", arguments["on_difference"]
        )
        self._on_empty = fields.one_of("fail", "pass")("on_empty", arguments["on_empty"])
        rows = ("max_rows_added", "max_rows_removed", "max_rows_different")
        allowed = arguments["allow_schema_changes"]
        self.limits = Limits(
            **{name: _nullable(_ROWS, name, arguments[name]) for name in rows},
            min_match_ratio=_nullable(
                fields.share, "min_match_ratio", arguments["min_match_ratio"]
            ),
            allow_schema_changes=fields.boolean("allow_schema_changes", allowed),
            max_values_different=_nullable(
                _columns, "max_values_different", arguments["max_values_different"]
            ),
        )

    def decide(
        self,
        hook: JobHook,
        context: Context,
        datadiff_id: int,
        reading: JobStatus,
        given: Any = (),
    ) -> dict[str, Any]:
        """Let the DAG continue, or stop it. In any case tell the verdict first.

        :param hook: reads the detailed results: to confirm a verdict, or to explain it.
        :param context: Airflow's task context, which takes the verdict.
        :param datadiff_id: the data diff's id, which the API's response may lack.
        :param reading: the data diff's end.
        :param given: the body of the data diff's creation, concealed: no message repeats its
            secrets. It may ask for a sample.
        :return: ``id``, ``status``, ``result``, ``url`` and ``diff_stats`` of the data diff.
        :raises AirflowSkipException: the sides differ, and ``on_difference`` is ``"skip"``.
        :raises DatafoldError: the DAG must not continue; the class says why.
        """
        report = _report(hook, context, datadiff_id, reading.answer, given)
        decision = self._decide(report, reading)
        self._tell(report, decision.verdict, decision.results)
        if decision.error is not None:
            raise decision.error
        return _returned(report, decision.results)

    def give_up(
        self,
        hook: JobHook,
        context: Context,
        datadiff_id: int,
        error: BaseException,
        given: Any = (),
    ) -> None:
        """Tell that a data diff was not judged, unless its verdict was told.

        :param hook: knows the host.
        :param context: Airflow's task context.
        :param datadiff_id: the data diff's id.
        :param error: why.
        :param given: the body of the data diff's creation, concealed.
        """
        if self.verdict is not None:
            return
        causes = (error, error.__cause__, error.__context__)
        found = next((each for each in causes if isinstance(each, DatafoldError)), None)
        reason = found.summary if found else f"the task ended with {type(error).__name__}"
        report = _report(hook, context, datadiff_id, {}, given)
        self._tell(report, Verdict(Outcome.NOT_COMPARED, reason, ()))

    def _tell(
        self, report: Report, verdict: Verdict, results: Mapping[str, Any] | None = None
    ) -> None:
        self.verdict = verdict
        report.tell(verdict, results)

    def _decide(self, report: Report, reading: JobStatus) -> _Decision:
        match reading.state:
            case State.BLOCKED:
                return _blocked(report, reading.status)
            case State.CANCELLED:
                return _cancelled(report)
            case State.FAILED:
                return _failed(report)
        verdict, results = self._judge(report)
        match verdict.outcome:
            case Outcome.UNCONFIRMED:
                return _unconfirmed(report, results or {})
            case Outcome.FAILED:
                return _failed(report)
            case Outcome.PASSES:
                reason = report.redactor.text(verdict.reason)
                report.hook.log.info("%s passes: %s. %s", report.name, reason, report.see)
                return _Decision(verdict, results)
            case _:
                return self._stop(report, verdict, results)

    def _judge(self, report: Report) -> tuple[Verdict, Mapping[str, Any] | None]:
        """Return the verdict, and the results if it took them."""
        may_be_empty = self._on_empty == "pass"
        judge_with = partial(
            judge, report.diff, self.limits, may_be_empty=may_be_empty, sent=report.sent
        )
        verdict = judge_with()
        if verdict.outcome is not Outcome.UNCONFIRMED:
            return verdict, None
        results = _confirming_results(report)
        return judge_with(results=results), results

    def _stop(
        self, report: Report, verdict: Verdict, results: Mapping[str, Any] | None
    ) -> _Decision:
        """Stop the DAG, unless it may go on with a difference, and say why."""
        results = _details(report, data_diffs.GET_SUMMARY_RESULTS) if results is None else results
        details = [_capitalized(reason) for reason in explain(results)]
        details += _own_words(report, f"{verdict.reason}. {details}")
        said = "".join(f"{report.redactor.excerpt(sentence)}. " for sentence in details)
        message = f"{report.redactor.text(verdict.reason)}. {said}{report.see}"
        decide = partial(_Decision, verdict, results)
        if verdict.outcome is not Outcome.DIFFERS:
            return decide(DatafoldNotComparedError(f"{report.name}: {message}"))
        message = f"{report.name} differs: {message}"
        if self._on_difference == "fail":
            return decide(DatafoldDifferenceError(message))
        if self._on_difference == "skip":
            return decide(AirflowSkipException(message))
        report.hook.log.warning("%s", message)
        return decide()


@dataclass(frozen=True)
class _Decision:
    """What a gate decides.

    :param verdict: what came of the data diff.
    :param results: its ``summary_results``, if they were read.
    :param error: what stops the DAG, ``None`` to let it go on.
    """

    verdict: Verdict
    results: Mapping[str, Any] | None = None
    error: Exception | None = None


def summary(hook: JobHook, datadiff_id: int, diff: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a data diff that a task returns.

    :param hook: knows the host.
    :param datadiff_id: the data diff's id.
    :param diff: the data diff as the API returns it.
    :return: ``id``, ``status``, ``result``, ``url`` and ``diff_stats``.
    """
    return {
        "id": datadiff_id,
        "status": diff.get("status"),
        "result": diff.get("result"),
        "url": hook.data_diff_url(datadiff_id),
        "diff_stats": diff.get("diff_stats"),
    }


def _report(
    hook: JobHook, context: Context, datadiff_id: int, diff: Mapping[str, Any], given: Any
) -> Report:
    sent = given if isinstance(given, Mapping) else {}
    return Report(hook, context, datadiff_id, diff, sent, hook.redactor(given))


def _returned(report: Report, results: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the task returns, which says in words if only a sample was compared."""
    returned = summary(report.hook, report.datadiff_id, report.diff)
    sample = describe_sample(Figures(report.diff, results, report.sent))
    if sample is not None:
        returned["diff_stats"] = {**(returned["diff_stats"] or {}), "sample": sample}
    return returned


def _blocked(report: Report, status: Any) -> _Decision:
    error = DatafoldWaitingForPersonError(
        f"{report.name} waits for a person ({status}), so waiting longer will not help. Confirm it "
        f"or log in at Datafold, then wait for it with a DatafoldDataDiffSensor. Or cancel it at "
        f"Datafold and clear this task, which starts a new one. {report.see}"
    )
    verdict = Verdict(Outcome.BLOCKED, f"it waits for a person ({status})", ())
    return _Decision(verdict, error=error)


def _cancelled(report: Report) -> _Decision:
    error = DatafoldJobCancelledError(
        f"{report.name} was cancelled at Datafold, not by this task. Clear the task to start a "
        f"new one. {report.see}"
    )
    verdict = Verdict(Outcome.CANCELLED, "it was cancelled at Datafold, not by this task", ())
    return _Decision(verdict, error=error)


def _unconfirmed(report: Report, results: Mapping[str, Any]) -> _Decision:
    status = report.redactor.text(fields.format_value(results.get("status")))
    error = DatafoldTransientError(
        f"{report.name} is done, but its results, which have to confirm its figures, are not "
        f"complete (status {status}). A retry looks at them again. {report.see}"
    )
    reason = f"its results, which have to confirm its figures, are not complete (status {status})"
    return _Decision(Verdict(Outcome.NOT_COMPARED, reason, ()), error=error)


def _failed(report: Report) -> _Decision:
    error = part(_details(report, data_diffs.GET_SUMMARY_RESULTS), "error")
    words = ": ".join(str(error[name]) for name in ("error_type", "error_value") if error.get(name))
    own = _own_words(report, words)
    # Datafold's words for it, wherever they are.
    found = [report.redactor.excerpt(text).rstrip(".") for text in (words, *own) if text]
    why = ". ".join(found) or "Datafold does not say why"
    decide = partial(_Decision, Verdict(Outcome.FAILED, why, ()), None)
    if error.get("is_retryable") is False:
        message = f"{report.name} failed, and Datafold says that a retry will not help: {why}."
        return decide(DatafoldJobInvalidError(f"{message} {report.see}"))
    message = f"{report.name} failed: {why}. A retry starts a new data diff."
    return decide(DatafoldJobFailedError(f"{message} {report.see}"))


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


def _confirming_results(report: Report) -> Mapping[str, Any]:
    """Return the results of a data diff that passes only if they agree.

    :raises DatafoldError: they cannot be read. A retry looks at the same data diff again.
    """
    try:
        return report.hook.call(data_diffs.GET_SUMMARY_RESULTS, datadiff_id=report.datadiff_id)
    except DatafoldError:
        report.hook.log.warning("%s does not pass before its results are read.", report.name)
        raise


def _nullable(check: fields.Check, name: str, value: Any) -> Any:
    return None if fields.undo_none(value) is None else check(name, value)


def _columns(name: str, value: Any) -> dict[str, int | None]:
    """Check the limits of columns, by their names."""
    return {
        fields.text(name, column): _nullable(_ROWS, f"{name}[{fields.format_value(column)}]", most)
        for column, most in fields.mapping(name, value).items()
    }


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
