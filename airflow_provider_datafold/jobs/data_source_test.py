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
from airflow_provider_datafold.jobs.job import State

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.watch import JobStatus

_PASSED = (
    ["ok"],
    ["success"],
    ["ok", "success"],
    # So says a healthy data source for whose type Datafold has no lineage downloader.
    ["ok", "skipped"],
)
_SKIPPED = (["skip"], ["skipped"], ["skip", "skipped"])
"""What the results of a good step say in lower case. Anything else is unknown, or contradicts
itself."""
_MOST_SHOWN = 5


def conclude(hook: JobHook, data_source_id: int, reading: JobStatus) -> list[Any]:
    """Let a DAG continue after a test, or stop it."""
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
    # Datafold reports a failed step in its result: the step, and often the test, are "done".
    failed = [step for step in results if not _has_passed(step, or_was_skipped=True)]
    if reading.state is State.FAILED or failed:
        raise DatafoldJobFailedError(
            f"{name} failed: {_shown(hook, failed)}. Fix the data source in Datafold; a retry "
            f"tests it again."
        )
    if not any(_has_passed(step) for step in results):
        found = "every step was skipped" if results else "its response has no steps"
        raise DatafoldJobFailedError(
            f"{name} is done, but {found}, so it is not certain that Datafold can read the data "
            f"source. Test it in Datafold; a retry tests it again."
        )
    hook.log.info("%s passes.", name)
    return results


def _has_passed(step: Any, *, or_was_skipped: bool = False) -> bool:
    """Return whether a step is done, and its result, if it has one, is good."""
    if not isinstance(step, Mapping) or step.get("status") != "done":
        return False
    result = step.get("result")
    if result is None or (isinstance(result, str) and result.lower() == "ok"):
        return True
    said = [word.lower() if isinstance(word, str) else word for word in _said(result)]
    return said in _PASSED or (or_was_skipped and said in _SKIPPED)


def _said(result: Any) -> list[Any]:
    """Return the code and the outcome in a step's result, as far as it has them."""
    if not isinstance(result, Mapping):
        return []
    return [result[key] for key in ("code", "outcome") if result.get(key) is not None]


def _shown(hook: JobHook, failed: list[Any]) -> str:
    steps = list(_complaints(hook, failed[:_MOST_SHOWN]))
    if len(failed) > _MOST_SHOWN:
        steps.append(f"and {len(failed) - _MOST_SHOWN} more")
    return "; ".join(steps) or "Datafold does not say which step"


def _complaints(hook: JobHook, failed: list[Any]) -> Iterator[str]:
    redactor = hook.redactor()
    for step in failed:
        if isinstance(step, Mapping):
            reason = redactor.excerpt(_reason(step)).rstrip(".")
            yield f"step {redactor.excerpt(str(step.get('step')))!r} ({reason})"
        else:
            yield "a step that is not an object"


def _reason(step: Mapping[str, Any]) -> str:
    """Return what Datafold says of a step that has not passed."""
    status, result = step.get("status"), step.get("result")
    words = [str(word) for word in (status, *_said(result)) if word != "done"]
    return ": ".join(filter(None, [", ".join(words), _message(result)]))


def _message(result: Any) -> str:
    """Return the text of a step's result, whose shape the contract does not document."""
    if isinstance(result, Mapping):
        for key in ("message", "error", "detail"):
            if isinstance(result.get(key), str):
                return str(result[key])
    if result is None:
        return "Datafold does not say why"
    return result if isinstance(result, str) else json.dumps(result)
