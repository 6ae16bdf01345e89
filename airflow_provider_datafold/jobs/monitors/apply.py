"""Monitors as code: do what was planned, each creation once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldConflictError,
    DatafoldError,
    DatafoldNotFoundError,
    DatafoldPermissionError,
    DatafoldRateLimitError,
    DatafoldRejectedError,
    DatafoldStoppedError,
    DatafoldTransientError,
    DatafoldUnreachableError,
    DatafoldValidationError,
)
from airflow_provider_datafold.jobs.monitors import comparison, ownership
from airflow_provider_datafold.jobs.monitors.account import by_slug, read_account
from airflow_provider_datafold.jobs.monitors.problems import Problems

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.monitors.format import Wanted
    from airflow_provider_datafold.jobs.monitors.plan import Change, Plan

_REFUSALS = (
    DatafoldConflictError,
    DatafoldNotFoundError,
    DatafoldPermissionError,
    DatafoldRejectedError,
    DatafoldValidationError,
)
"""Errors that are about one monitor: the others are done nevertheless."""

_PAUSES = (0.0, 2.0, 5.0)
"""Seconds before each look for a monitor whose creation got no response."""


def apply_plan(hook: JobHook, plan: Plan) -> None:
    """Do what was planned; monitors are deleted only if all else went well.

    After an error, what was done stays; the next run does the rest.
    """
    problems = Problems(hook.redactor(), *_REFUSALS)
    for wanted in plan.created:
        with problems.collected(wanted.source, wanted.slug):
            plan.ids[wanted.slug] = _create(hook, plan, wanted)
            hook.log.info("Created the monitor %r.", wanted.slug)
    for verb, changes in (("Updated", plan.updated), ("Paused", plan.paused)):
        for change in changes:
            with problems.collected(*change.place):
                _change(hook, change)
                hook.log.info(
                    "%s monitor %d, %r: %s.", verb, change.monitor_id, change.slug, change.reason
                )
    if plan.created:
        with problems.collected():
            _keep_one_of_each(hook, plan)
    problems.raise_all("The others were done. No monitor was deleted for being in no file.")
    for slug, monitor_id in plan.deleted.items():
        with problems.collected(slug):
            # A person who wants to keep a monitor takes its tag off, perhaps a moment ago.
            if _lost_tag(hook, monitor_id, ownership.tags_of(plan.set_name, slug, "")[:1]):
                hook.log.warning(
                    "Monitor %d, %r, no longer has its tag, so it is not deleted.", monitor_id, slug
                )
                continue
            _delete(hook, monitor_id)
            hook.log.info("Deleted monitor %d, %r, which is in no file.", monitor_id, slug)
    problems.raise_all("All else was done.")


def _create(hook: JobHook, plan: Plan, wanted: Wanted) -> int:
    mark = comparison.fingerprint(wanted.kind, wanted.body)
    tags = ownership.tags_of(plan.set_name, wanted.slug, mark)
    body = {**wanted.body, "tags": [*wanted.body.get("tags", ()), *tags]}
    try:
        monitor_id = _new_id(plan, hook.send(replace(wanted.request, body=body)))
    except (DatafoldUnreachableError, DatafoldRateLimitError, DatafoldStoppedError):
        raise  # It was not created.
    except (DatafoldTransientError, DatafoldAnswerError) as error:
        hook.log.warning(
            "Could not create the monitor %r: %s. Checking whether it was created anyway.",
            wanted.slug,
            error.summary,
        )
        found = _appeared(hook, plan.set_name, wanted.slug)
        if found is None:
            raise
        return found
    if lost := _lost_tag(hook, monitor_id, tags):
        # The next run would not know it, and would create another one.
        try:
            _delete(hook, monitor_id)
        except DatafoldError as error:
            raise DatafoldAnswerError(
                f"{lost} Could not delete it: {error.summary}. Delete it in Datafold's app."
            ) from None
        raise DatafoldAnswerError(f"{lost} Deleted monitor {monitor_id} again.")
    return monitor_id


def _new_id(plan: Plan, answer: Mapping[str, Any]) -> int:
    monitor_id = answer.get("id")
    if not isinstance(monitor_id, int):
        raise DatafoldAnswerError("the response to the creation has no id")
    if monitor_id in plan.known:
        raise DatafoldAnswerError(
            f"the response to the creation names monitor {monitor_id}, which was there before. "
            f"Check the proxies and caches between Airflow and Datafold"
        )
    return monitor_id


def _appeared(hook: JobHook, set_name: str, slug: str) -> int | None:
    for pause in _PAUSES:
        hook.pause(pause)
        # If the account cannot be read either, that is the error: it, too, says to try again.
        if found := by_slug(read_account(hook), set_name).get(slug):
            return found[0].monitor_id
    return None


def _change(hook: JobHook, change: Change) -> None:
    # The mark of a pause is there before the pause, and goes after it: whatever stops the task in
    # between, the next run does the rest.
    if change.enabled:
        hook.toggle_monitor(change.monitor_id, enabled=True)
    if change.request is not None:
        hook.send(change.request)
        tags = filter(ownership.is_ours, change.request.body["tags"])
        if lost := _lost_tag(hook, change.monitor_id, tags):
            raise DatafoldAnswerError(f"{lost} Add it in Datafold's app.")
    if change.enabled is False:
        hook.toggle_monitor(change.monitor_id, enabled=False)


def _lost_tag(hook: JobHook, monitor_id: int, tags: Iterable[str]) -> str:
    """Return which of our tags a monitor lacks, empty if none."""
    with suppress(DatafoldNotFoundError):  # A run that overlaps may have deleted it.
        found = {str(tag).lower() for tag in hook.get_monitor(monitor_id).get("tags") or ()}
        for tag in tags:
            if tag not in found:
                return (
                    f"Datafold did not keep the tag {tag!r} on monitor {monitor_id}, without which "
                    f"no run knows it again."
                )
    return ""


def _keep_one_of_each(hook: JobHook, plan: Plan) -> None:
    """Delete what was created twice: two runs may overlap, and a lost request may arrive late.

    When the plan was made, no monitor had these tags. Each run that creates one looks afterwards,
    and all of them keep the oldest.
    """
    mine = by_slug(read_account(hook), plan.set_name)
    for wanted in plan.created:
        ids = sorted(monitor.monitor_id for monitor in mine.get(wanted.slug, ()))
        if ids:
            plan.ids[wanted.slug] = ids[0]
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
