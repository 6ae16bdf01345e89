"""Decide whether a DAG continues after the test of a data source."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.exceptions import (
    DatafoldJobCancelledError,
    DatafoldJobFailedError,
    DatafoldWaitingForPersonError,
)
from airflow_provider_datafold.waiting.job import State

if TYPE_CHECKING:
    from airflow_provider_datafold.hooks.datafold import DatafoldHook
    from airflow_provider_datafold.waiting.watch import Reading


def conclude(hook: DatafoldHook, data_source_id: int, reading: Reading) -> list[Any]:
    """Let a DAG continue after a test, or stop it.

    :param hook: knows the secrets.
    :param data_source_id: the data source's id.
    :param reading: the test's end.
    :return: the results of the steps.
    :raises DatafoldError: the test did not pass; the class says why.
    """
    name = f"The test of data source {data_source_id}"
    results = reading.answer.get("results")
    results = results if isinstance(results, list) else []
    if reading.state is State.BLOCKED:
        raise DatafoldWaitingForPersonError(
            f"{name} waits for a person ({reading.status}), so waiting longer will not help. Log "
            f"in at Datafold, then clear this task."
        )
    if reading.state is State.CANCELLED:
        raise DatafoldJobCancelledError(f"{name} was cancelled at Datafold.")
    # A test that is done may have a failed step.
    failed = list(_failed(hook, results))
    if reading.state is State.FAILED or failed:
        steps = "; ".join(failed) or "Datafold does not say which step"
        raise DatafoldJobFailedError(
            f"{name} failed: {steps}. Fix the data source in Datafold; a retry tests it again."
        )
    hook.log.info("%s passes.", name)
    return results


def _failed(hook: DatafoldHook, results: list[Any]) -> Iterator[str]:
    redactor = hook.redactor()
    for step in results:
        if isinstance(step, Mapping) and step.get("status") == "failed":
            said = redactor.excerpt(_said(step.get("result"))).rstrip(".")
            yield f"step {redactor.excerpt(str(step.get('step')))!r} ({said})"


def _said(result: Any) -> str:
    """Return the text of a step's result, whose shape the contract does not document."""
    if isinstance(result, Mapping):
        for key in ("message", "error", "detail"):
            if isinstance(result.get(key), str):
                return str(result[key])
    if result is None:
        return "Datafold does not say why"
    return result if isinstance(result, str) else json.dumps(result)
