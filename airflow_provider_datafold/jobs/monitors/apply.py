"""Monitors as code: do what was planned, each creation once."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldNotFoundError,
    DatafoldRateLimitError,
    DatafoldStoppedError,
    DatafoldTransientError,
    DatafoldUnreachableError,
)
from airflow_provider_datafold.jobs.monitors import comparison, ownership
from airflow_provider_datafold.jobs.monitors.account import by_slug, read_account

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.monitors.format import Wanted
    from airflow_provider_datafold.jobs.monitors.plan import Change, Plan

_PAUSES = (0.0, 2.0, 5.0)
"""Seconds before each look for a monitor whose creation got no response."""


def apply_plan(hook: JobHook, plan: Plan) -> None:
    """Do what was planned; monitors are deleted only if all else went well.

    :param hook: the hook to call.
    :param plan: the plan.
    :raises DatafoldError: a call failed. What was done before it stays; the next run does the rest.
    """
    for wanted in plan.created:
        _create(hook, plan.set_name, wanted)
        hook.log.info("Created the monitor %r.", wanted.slug)
    for change in plan.updated:
        _change(hook, change)
        hook.log.info("Updated monitor %d, %r: %s.", change.monitor_id, change.slug, change.reason)
    for change in plan.paused:
        _change(hook, change)
        hook.log.info("Paused monitor %d, %r, which is in no file.", change.monitor_id, change.slug)
    if plan.created:
        _keep_one_of_each(hook, plan)
    for slug, monitor_id in plan.deleted.items():
        _delete(hook, monitor_id)
        hook.log.info("Deleted monitor %d, %r, which is in no file.", monitor_id, slug)


def _create(hook: JobHook, set_name: str, wanted: Wanted) -> None:
    mark = comparison.fingerprint(wanted.kind, wanted.body)
    tags = ownership.tags_of(set_name, wanted.slug, mark)
    body = {**wanted.body, "tags": [*wanted.body.get("tags", ()), *tags]}
    try:
        hook.send(replace(wanted.request, body=body))
    except (DatafoldUnreachableError, DatafoldRateLimitError, DatafoldStoppedError):
        raise  # It was not created.
    except (DatafoldTransientError, DatafoldAnswerError) as error:
        hook.log.warning(
            "Could not create the monitor %r: %s. Checking whether it was created anyway.",
            wanted.slug,
            error.summary,
        )
        if not _appears(hook, set_name, wanted.slug):
            raise


def _appears(hook: JobHook, set_name: str, slug: str) -> bool:
    for pause in _PAUSES:
        hook.pause(pause)
        # If the account cannot be read either, that is the error: it, too, says to try again.
        if slug in by_slug(read_account(hook), set_name):
            return True
    return False


def _change(hook: JobHook, change: Change) -> None:
    if change.update is not None:
        hook.update_monitor(change.kind, change.monitor_id, change.update)
    if change.enabled is not None:
        hook.toggle_monitor(change.monitor_id, enabled=change.enabled)


def _keep_one_of_each(hook: JobHook, plan: Plan) -> None:
    """Delete what was created twice: two runs may overlap, and a lost request may arrive late.

    When the plan was made, no monitor had these tags. Each run that creates one looks afterwards,
    and all of them keep the oldest.
    """
    mine = by_slug(read_account(hook), plan.set_name)
    for wanted in plan.created:
        ids = sorted(monitor.monitor_id for monitor in mine.get(wanted.slug, ()))
        for monitor_id in ids[1:]:
            _delete(hook, monitor_id)
            hook.log.warning(
                "Deleted monitor %d: %r was created at the same time as monitor %d.",
                monitor_id,
                wanted.slug,
                ids[0],
            )


def _delete(hook: JobHook, monitor_id: int) -> None:
    # A run that overlaps may have deleted it.
    with suppress(DatafoldNotFoundError):
        hook.delete_monitor(monitor_id)
