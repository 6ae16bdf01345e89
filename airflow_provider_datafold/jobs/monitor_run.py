"""Run a monitor once, and decide whether a DAG continues after the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_datafold.api import monitors
from airflow_provider_datafold.exceptions import (
    DatafoldAlertError,
    DatafoldJobCancelledError,
    DatafoldJobFailedError,
)
from airflow_provider_datafold.jobs.once.start import start_once

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.watch import JobStatus


_PAGE_SIZE = 100


def conclude(
    hook: JobHook, ids: Mapping[str, Any], reading: JobStatus, on_alert: str
) -> dict[str, Any]:
    """Let a DAG continue after a monitor run, or stop it.

    :param hook: knows the host and the secrets.
    :param ids: ``monitor_id`` and ``run_id``.
    :param reading: the run's end.
    :param on_alert: what to do on an alert.
    :return: ``monitor_id``, ``run_id``, ``state``, ``diff_id`` and ``url``.
    :raises AirflowSkipException: it ended with an alert, and ``on_alert`` is ``"skip"``.
    :raises DatafoldAlertError: it ended with an alert.
    :raises DatafoldJobFailedError: the run failed at Datafold.
    :raises DatafoldJobCancelledError: someone cancelled the run.
    """
    redactor = hook.redactor()
    result = summary(hook, ids, reading.answer)
    name = f"Run {ids['run_id']} of monitor {ids['monitor_id']}"
    see = f" See {result['url']}" if result["url"] else ""
    for warning in reading.answer.get("warnings") or ():
        hook.log.warning("%s: %s", name, redactor.excerpt(str(warning)))
    match reading.status:
        case "alert":
            _on_alert(hook, f"{name} ended with an alert.{see}", on_alert)
        case "error":
            why = redactor.excerpt(str(reading.answer.get("error") or "Datafold does not say why"))
            raise DatafoldJobFailedError(
                f"{name} failed: {why.rstrip('.')}. A retry starts a new run.{see}"
            )
        case "cancelled":
            raise DatafoldJobCancelledError(f"{name} was cancelled at Datafold.{see}")
        case "skipped":
            hook.log.warning("%s was skipped at Datafold: nothing was checked.", name)
        case "learning":
            hook.log.info("%s passes: the monitor is still learning what is normal.", name)
        case status:
            hook.log.info("%s passes: %s.%s", name, status, see)
    return result


def summary(hook: JobHook, ids: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a monitor run that a task returns.

    :param hook: knows the host.
    :param ids: ``monitor_id`` and ``run_id``.
    :param answer: the run as the API returns it.
    :return: ``monitor_id``, ``run_id``, ``state``, ``diff_id``, and ``url``: the address of the
        run's data diff, ``None`` if it has none.
    """
    return {
        **ids,
        "state": answer.get("state"),
        "diff_id": answer.get("diff_id"),
        "url": data_diff_url(hook, answer),
    }


def data_diff_url(hook: JobHook, answer: Mapping[str, Any]) -> str | None:
    """Return the address of a run's data diff, ``None`` if it has none.

    :param hook: knows the host.
    :param answer: the run as the API returns it.
    """
    diff_id = answer.get("diff_id")
    return hook.data_diff_url(diff_id) if isinstance(diff_id, int) else None


def _on_alert(hook: JobHook, message: str, on_alert: str) -> None:
    if on_alert == "fail":
        raise DatafoldAlertError(message)
    if on_alert == "skip":
        raise AirflowSkipException(message)
    hook.log.warning("%s", message)


def run_once(hook: JobHook, monitor_id: int) -> int:
    """Run a monitor once, even if the response is lost.

    :param hook: the hook to call.
    :param monitor_id: the monitor's id.
    :return: the run's id.
    :raises DatafoldError: the monitor could not be run.
    """
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
