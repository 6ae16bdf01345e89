"""Run a monitor once, decide whether a DAG continues after the run, and tell the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_datafold.api import monitors
from airflow_provider_datafold.exceptions import (
    DatafoldAlertError,
    DatafoldError,
    DatafoldJobCancelledError,
    DatafoldJobFailedError,
    DatafoldNotComparedError,
)
from airflow_provider_datafold.jobs.gate.figures import Figures
from airflow_provider_datafold.jobs.gate.report import cause_of, push, skips
from airflow_provider_datafold.jobs.once.start import start_once

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.watch import JobStatus


_PAGE_SIZE = 100
_LONGEST_REASON = 500


class Ending:
    """Decides at the end of a monitor run what a task returns or raises, and tells the verdict.

    :param on_alert: what to do on an alert: ``"fail"``, ``"skip"`` or ``"pass"``.
    :param on_skipped: what to do if Datafold has checked nothing: ``"pass"`` or ``"fail"``.
    """

    is_told = False
    """Whether the verdict was told."""

    def __init__(self, on_alert: str, on_skipped: str) -> None:
        self._on_alert, self._on_skipped = on_alert, on_skipped

    def decide(
        self, hook: JobHook, context: Context, ids: Mapping[str, Any], reading: JobStatus
    ) -> dict[str, Any]:
        """Tell the verdict of a monitor run, then let a DAG continue or stop it."""
        redactor = hook.redactor()
        result = summary(hook, ids, reading.answer)
        name = _name(ids)
        for warning in reading.answer.get("warnings") or ():
            hook.log.warning("%s: %s", name, redactor.excerpt(str(warning)))
        why = redactor.excerpt(str(reading.answer.get("error") or "Datafold does not say why"))
        outcome, reason, end = {
            "alert": ("alert", "ended with an alert", self._on_alert),
            "error": ("failed", f"failed: {why.rstrip('.')}", DatafoldJobFailedError),
            "cancelled": ("cancelled", "was cancelled at Datafold", DatafoldJobCancelledError),
            "skipped": (
                "not_compared",
                "was skipped at Datafold: nothing was checked",
                self._on_skipped,
            ),
            "learning": ("passes", "passes: the monitor is still learning what is normal", None),
            "ok": ("passes", "passes: ok", None),
        }.get(reading.status, ("failed", "ended in an unknown state", DatafoldJobFailedError))
        again = " A retry starts a new run." if end is DatafoldJobFailedError else ""
        see = f" See {result['url']}" if result["url"] else ""
        message = f"{name} {reason}.{again}{see}"
        if end == "fail":
            end = DatafoldAlertError if outcome == "alert" else DatafoldNotComparedError
        elif end == "skip":
            end = AirflowSkipException
        error = end(message) if isinstance(end, type) else None
        told = _tell(hook, context, ids, outcome, f"it {reason}", reading.answer, error)
        self.is_told = True
        if error is not None:
            if isinstance(error, DatafoldError):
                error.verdict = told
            raise error
        log = hook.log.warning if end == "pass" else hook.log.info
        log("%s", message)
        return result

    def give_up(
        self, hook: JobHook, context: Context, ids: Mapping[str, Any], error: BaseException
    ) -> None:
        """Tell that a run was not seen to its end, unless its verdict was told."""
        if self.is_told:
            return
        found, reason = cause_of(error)
        told = _tell(hook, context, ids, "failed", reason[:1].lower() + reason[1:], {}, error)
        self.is_told = True
        if found:
            found.verdict = told


def _tell(
    hook: JobHook,
    context: Context,
    ids: Mapping[str, Any],
    outcome: str,
    reason: str,
    answer: Mapping[str, Any],
    error: BaseException | None,
) -> dict[str, Any]:
    """Put a verdict into XCom, and return it. What cannot be read or stored is only a warning."""
    monitor_id, diff_id = ids["monitor_id"], answer.get("diff_id")
    # Not of a service that was given up: it may not answer before Airflow ends the task.
    name = _read(lambda: hook.get_monitor(monitor_id).get("name")) if answer else None
    verdict = {
        "kind": "monitor_run",
        "id": ids["run_id"],
        "monitor_id": monitor_id,
        "name": name if isinstance(name, str) else None,
        "url": data_diff_url(hook, answer),
        "outcome": outcome,
        "reason": reason[:_LONGEST_REASON],
        "skips": skips(context, error),
    }
    if outcome == "alert" and isinstance(diff_id, int):
        diff = _read(lambda: hook.get_data_diff(diff_id))
        if diff is not None:
            verdict["figures"] = Figures(diff, {}, {}).shown()
    push(context, verdict, _name(ids), hook.log)
    return verdict


def _read(call: Callable[[], Any]) -> Any:
    with suppress(DatafoldError):
        return call()
    return None


def _name(ids: Mapping[str, Any]) -> str:
    return f"Run {ids['run_id']} of monitor {ids['monitor_id']}"


def summary(hook: JobHook, ids: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a monitor run that a task returns."""
    return {
        **ids,
        "state": answer.get("state"),
        "diff_id": answer.get("diff_id"),
        "url": data_diff_url(hook, answer),
    }


def data_diff_url(hook: JobHook, answer: Mapping[str, Any]) -> str | None:
    """Return the address of a run's data diff, ``None`` if it has none."""
    diff_id = answer.get("diff_id")
    return hook.data_diff_url(diff_id) if isinstance(diff_id, int) else None


def run_once(hook: JobHook, monitor_id: int) -> int:
    """Run a monitor once, even if the response is lost."""
    newest = _newest_run(hook, monitor_id)

    def start() -> int | None:
        run_id = hook.call(monitors.RUN, monitor_id=monitor_id).get("run_id")
        return run_id if isinstance(run_id, int) else None

    def find() -> int | None:
        run_id = _newest_run(hook, monitor_id)
        return run_id if run_id > newest else None

    return start_once(hook, "monitor run", start, find)


def _newest_run(hook: JobHook, monitor_id: int) -> int:
    """Return the id of a monitor's newest run, 0 if there is none."""
    first = _runs(hook, monitor_id, 1)
    pages = first.get("total_pages")
    # The contract does not say whether the first or the last run in the list is the newest.
    last = _runs(hook, monitor_id, pages) if isinstance(pages, int) and pages > 1 else {}
    runs = [*(first.get("runs") or ()), *(last.get("runs") or ())]
    ids = (run.get("run_id") for run in runs if isinstance(run, dict))
    return max((run_id for run_id in ids if isinstance(run_id, int)), default=0)


def _runs(hook: JobHook, monitor_id: int, page: int) -> dict[str, Any]:
    return hook.call(monitors.LIST_RUNS, monitor_id=monitor_id, page=page, page_size=_PAGE_SIZE)
