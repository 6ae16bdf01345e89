"""The gate: whether a DAG goes on after a data diff."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.api import data_diffs, fields
from airflow_provider_datafold.exceptions import (
    DatafoldDifferenceError,
    DatafoldError,
    DatafoldJobCancelledError,
    DatafoldJobFailedError,
    DatafoldJobInvalidError,
    DatafoldNotComparedError,
    DatafoldWaitingForPersonError,
)
from airflow_provider_datafold.waiting.job import State
from airflow_provider_datafold.waiting.verdict import Limits, Outcome, explain, judge

if TYPE_CHECKING:
    from airflow_provider_datafold.hooks.datafold import DatafoldHook
    from airflow_provider_datafold.redaction.redactor import Redactor
    from airflow_provider_datafold.waiting.watch import Reading

ARGUMENTS = (
    "on_difference",
    "max_rows_added",
    "max_rows_removed",
    "max_rows_different",
    "min_match_ratio",
    "allow_schema_changes",
    "on_empty",
)
"""The arguments of an operator or a sensor that say what passes."""

_ROWS = fields.between(0, 2**63 - 1)


class Gate:
    """Decides by the end of a data diff what a task returns or raises.

    :param arguments: values of :data:`ARGUMENTS` by name, as Airflow rendered them.
    :raises DatafoldInputError: one of them is wrong.
    """

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
        self, hook: DatafoldHook, datadiff_id: int, reading: Reading, given: Any = ()
    ) -> dict[str, Any]:
        """Let the DAG go on, or stop it.

        :param hook: reads what differs, where that is worth a request.
        :param datadiff_id: the data diff's id, which the API may leave out.
        :param reading: the data diff's end.
        :param given: what the data diff was created with, concealed: no message repeats a secret
            in it.
        :return: ``id``, ``status``, ``result``, ``url`` and ``diff_stats`` of the data diff.
        :raises AirflowSkipException: it differs, and ``on_difference`` says to skip.
        :raises DatafoldError: the DAG must not go on; the class says why.
        """
        diff, redactor = reading.answer, hook.redactor(given)
        name = f"Data diff {datadiff_id}"
        see = f"See {hook.data_diff_url(datadiff_id)}"
        if reading.state is State.BLOCKED:
            raise DatafoldWaitingForPersonError(
                f"{name} waits for a person ({reading.status}), which no wait mends: confirm it or "
                f"log in at Datafold. Then a DatafoldDataDiffSensor with its id goes on with it; "
                f"this task, cleared, cancels it and starts a new one. {see}"
            )
        if reading.state is State.CANCELLED:
            raise DatafoldJobCancelledError(
                f"{name} was cancelled at Datafold, by nobody in this task. Clear the task for a "
                f"new one. {see}"
            )
        verdict = judge(diff, self.limits)
        if reading.state is State.FAILED or verdict.outcome is Outcome.FAILED:
            error = _results(hook, datadiff_id).get("error")
            raise _failure(error, redactor, f"{name} failed", see)
        reason = redactor.text(verdict.reason)
        passes = verdict.outcome is Outcome.PASSES or (
            verdict.outcome is Outcome.EMPTY and self._on_empty == "pass"
        )
        if passes:
            hook.log.info("%s passes: %s. %s", name, reason, see)
            return summary(hook, datadiff_id, diff)
        details = _sentences(explain(_results(hook, datadiff_id)), redactor)
        if verdict.outcome is not Outcome.DIFFERS:
            raise DatafoldNotComparedError(f"{name}: {reason}. {details}{see}")
        message = f"{name} differs: {reason}. {details}{see}"
        if self._on_difference == "fail":
            raise DatafoldDifferenceError(message)
        if self._on_difference == "skip":
            from airflow.providers.common.compat.sdk import AirflowSkipException

            raise AirflowSkipException(message)
        hook.log.warning("%s", message)
        return summary(hook, datadiff_id, diff)


def summary(hook: DatafoldHook, datadiff_id: int, diff: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a task returns of a data diff.

    :param hook: knows the host.
    :param datadiff_id: the data diff's id.
    :param diff: the data diff as the API shows it.
    :return: ``id``, ``status``, ``result``, ``url`` and ``diff_stats``.
    """
    return {
        "id": datadiff_id,
        "status": diff.get("status"),
        "result": diff.get("result"),
        "url": hook.data_diff_url(datadiff_id),
        "diff_stats": diff.get("diff_stats"),
    }


def _sentences(reasons: Iterable[str], redactor: Redactor) -> str:
    return "".join(f"{redactor.shown(reason)}. " for reason in map(_capitalized, reasons))


def _failure(error: Any, redactor: Redactor, what: str, see: str) -> DatafoldError:
    error = error if isinstance(error, Mapping) else {}
    parts = [str(error[name]) for name in ("error_type", "error_value") if error.get(name)]
    why = redactor.shown(": ".join(parts)) or "Datafold does not say why"
    if error.get("is_retryable") is False:
        return DatafoldJobInvalidError(
            f"{what}, and Datafold says that a retry will not help: {why.rstrip('.')}. {see}"
        )
    return DatafoldJobFailedError(f"{what}: {why.rstrip('.')}. A retry starts a new one. {see}")


def _results(hook: DatafoldHook, datadiff_id: int) -> Mapping[str, Any]:
    """Return the results of a data diff, which make a message better and nothing else."""
    try:
        return hook.call(data_diffs.GET_SUMMARY_RESULTS, datadiff_id=datadiff_id)
    except DatafoldError as error:
        hook.log.warning("Could not read what differs: %s.", error.summary)
        return {}


def _nullable(check: fields.Check, name: str, value: Any) -> Any:
    return None if fields.undo_none(value) is None else check(name, value)


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
