"""The gate: decide whether a DAG continues after a data diff."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.api import data_diffs, fields
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
from airflow_provider_datafold.jobs.gate.figures import Figures
from airflow_provider_datafold.jobs.gate.limits import Limits
from airflow_provider_datafold.jobs.gate.verdict import Outcome, Verdict, describe_sample, judge
from airflow_provider_datafold.jobs.job import State

if TYPE_CHECKING:
    from airflow_provider_datafold.hooks.datafold import DatafoldHook
    from airflow_provider_datafold.jobs.watch import JobStatus
    from airflow_provider_datafold.redaction.redactor import Redactor

_ROWS = fields.between(0, fields.LARGEST)


class Gate:
    """Decides at the end of a data diff what a task returns or raises.

    :param arguments: values of :data:`~airflow_provider_datafold.jobs.gate.arguments.PASSING` by
        name, as Airflow rendered them.
    :raises DatafoldInputError: one of them is wrong.
    """

    verdict: Verdict | None = None
    """What it made of the data diff, for OpenLineage; ``None`` as long as there is no verdict."""

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
        )

    def decide(
        self, hook: DatafoldHook, datadiff_id: int, reading: JobStatus, given: Any = ()
    ) -> dict[str, Any]:
        """Let the DAG continue, or stop it.

        :param hook: reads the detailed results: to confirm a verdict, or to explain it.
        :param datadiff_id: the data diff's id, which the API's response may lack.
        :param reading: the data diff's end.
        :param given: the body of the data diff's creation, concealed: no message repeats its
            secrets. It may ask for a sample.
        :return: ``id``, ``status``, ``result``, ``url`` and ``diff_stats`` of the data diff.
        :raises AirflowSkipException: the sides differ, and ``on_difference`` is ``"skip"``.
        :raises DatafoldError: the DAG must not continue; the class says why.
        """
        diff, redactor = reading.answer, hook.redactor(given)
        name = f"Data diff {datadiff_id}"
        see = f"See {hook.data_diff_url(datadiff_id)}"
        _check_end(reading, name, see)
        sent = given if isinstance(given, Mapping) else {}
        if reading.state is State.FAILED:
            raise _failure(hook, datadiff_id, redactor)
        verdict, results = self._judge(hook, datadiff_id, diff, sent)
        if verdict.outcome is Outcome.UNCONFIRMED:
            status = redactor.text(fields.format_value((results or {}).get("status")))
            raise DatafoldTransientError(
                f"{name} is done, but its results, which have to confirm its figures, are not "
                f"complete (status {status}). A retry looks at them again. {see}"
            )
        if verdict.outcome is Outcome.FAILED:
            raise _failure(hook, datadiff_id, redactor)
        self.verdict = verdict
        reason = redactor.text(verdict.reason)
        if verdict.outcome is Outcome.PASSES:
            hook.log.info("%s passes: %s. %s", name, reason, see)
            return _returned(hook, datadiff_id, diff, results, sent)
        results = _results(hook, datadiff_id) if results is None else results
        details = _sentences(explain(results), redactor)
        if verdict.outcome is not Outcome.DIFFERS:
            raise DatafoldNotComparedError(f"{name}: {reason}. {details}{see}")
        message = f"{name} differs: {reason}. {details}{see}"
        if self._on_difference == "fail":
            raise DatafoldDifferenceError(message)
        if self._on_difference == "skip":
            from airflow.providers.common.compat.sdk import AirflowSkipException

            raise AirflowSkipException(message)
        hook.log.warning("%s", message)
        return _returned(hook, datadiff_id, diff, results, sent)

    def _judge(
        self, hook: DatafoldHook, datadiff_id: int, diff: Mapping[str, Any], sent: Mapping[str, Any]
    ) -> tuple[Verdict, Mapping[str, Any] | None]:
        """Return the verdict, and the results if it took them."""
        judge_with = partial(
            judge, diff, self.limits, may_be_empty=self._on_empty == "pass", sent=sent
        )
        verdict = judge_with()
        if verdict.outcome is not Outcome.UNCONFIRMED:
            return verdict, None
        results = _confirming_results(hook, datadiff_id)
        return judge_with(results=results), results


def summary(hook: DatafoldHook, datadiff_id: int, diff: Mapping[str, Any]) -> dict[str, Any]:
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


def _returned(
    hook: DatafoldHook,
    datadiff_id: int,
    diff: Mapping[str, Any],
    results: Mapping[str, Any] | None,
    sent: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what the task returns, which says in words if only a sample was compared."""
    returned = summary(hook, datadiff_id, diff)
    sample = describe_sample(Figures(diff, results, sent))
    if sample is not None:
        returned["diff_stats"] = {**(returned["diff_stats"] or {}), "sample": sample}
    return returned


def _check_end(reading: JobStatus, name: str, see: str) -> None:
    """Raise what it means if a data diff waits for a person or was cancelled."""
    if reading.state is State.BLOCKED:
        raise DatafoldWaitingForPersonError(
            f"{name} waits for a person ({reading.status}), so waiting longer will not help. "
            f"Confirm it or log in at Datafold, then wait for it with a "
            f"DatafoldDataDiffSensor. Or cancel it at Datafold and clear this task, which "
            f"starts a new one. {see}"
        )
    if reading.state is State.CANCELLED:
        raise DatafoldJobCancelledError(
            f"{name} was cancelled at Datafold, not by this task. Clear the task to start a "
            f"new one. {see}"
        )


def _sentences(reasons: Iterable[str], redactor: Redactor) -> str:
    return "".join(f"{redactor.excerpt(reason)}. " for reason in map(_capitalized, reasons))


def _failure(hook: DatafoldHook, datadiff_id: int, redactor: Redactor) -> DatafoldError:
    what, see = f"Data diff {datadiff_id} failed", f"See {hook.data_diff_url(datadiff_id)}"
    error = _results(hook, datadiff_id).get("error")
    error = error if isinstance(error, Mapping) else {}
    parts = [str(error[name]) for name in ("error_type", "error_value") if error.get(name)]
    why = redactor.excerpt(": ".join(parts)) or "Datafold does not say why"
    if error.get("is_retryable") is False:
        return DatafoldJobInvalidError(
            f"{what}, and Datafold says that a retry will not help: {why.rstrip('.')}. {see}"
        )
    return DatafoldJobFailedError(
        f"{what}: {why.rstrip('.')}. A retry starts a new data diff. {see}"
    )


def _results(hook: DatafoldHook, datadiff_id: int) -> Mapping[str, Any]:
    """Return the results of a data diff, empty if they cannot be read: they are only details."""
    try:
        return hook.call(data_diffs.GET_SUMMARY_RESULTS, datadiff_id=datadiff_id)
    except DatafoldError as error:
        hook.log.warning("Could not read the details of the data diff: %s.", error.summary)
        return {}


def _confirming_results(hook: DatafoldHook, datadiff_id: int) -> Mapping[str, Any]:
    """Return the results of a data diff that passes only if they agree.

    :raises DatafoldError: they cannot be read. A retry looks at the same data diff again.
    """
    try:
        return hook.call(data_diffs.GET_SUMMARY_RESULTS, datadiff_id=datadiff_id)
    except DatafoldError:
        hook.log.warning("Data diff %s does not pass before its results are read.", datadiff_id)
        raise


def _nullable(check: fields.Check, name: str, value: Any) -> Any:
    return None if fields.undo_none(value) is None else check(name, value)


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
