"""Make the data diff of a task once, even if the response or the worker is lost."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.api import data_diffs
from airflow_provider_datafold.exceptions import DatafoldError, DatafoldStoppedError
from airflow_provider_datafold.jobs.once.ownership import Choice, Owner, choose, running
from airflow_provider_datafold.jobs.once.start import start_once

if TYPE_CHECKING:
    from airflow_provider_datafold.api.operation import Request
    from airflow_provider_datafold.jobs.hook import JobHook

_FOR_A_CANCEL = 1.5
_SEARCH_PAUSE = 0.3
"""Seconds, while a task is being killed."""

_MOST_PAGES = 40
"""Enough for a full search where a service returns as few as 25 data diffs a page."""


class Search(Enum):
    """How far to look for a data diff that the task already has: how many, and how many a page."""

    NOT = (0, 0)
    BRIEF = (100, 100)
    """For a task that was started twice, seconds apart: one page, because each of a thousand mapped
    gates reads it."""
    FULL = (1000, 100)


@dataclass(frozen=True)
class Claim:
    """The data diff of a task's run.

    :param diff: the data diff as the API shows it.
    :param is_taken_over: whether an earlier try made it.
    :param is_doubtful: whether there may be another one, which the service made late.
    """

    diff: Mapping[str, Any]
    is_taken_over: bool = False
    is_doubtful: bool = False


def claim(
    hook: JobHook, owner: Owner, request: Request, search: Search, *, may_cancel: bool = True
) -> Claim:
    """Take over the data diff that the task already has, or make it.

    :param hook: the hook to call.
    :param owner: the task's run, and what it asks for.
    :param request: asks for it, without the tag.
    :param search: how far to look first.
    :param may_cancel: whether to cancel those for which no task waits any more.
    :return: the data diff, and where it is from.
    :raises DatafoldError: it could not be made.
    """
    choice = find(hook, owner, search)
    if may_cancel:
        for number in choice.left:
            cancel_left(hook, number)
    if choice.taken is not None:
        return Claim(choice.taken, is_taken_over=True, is_doubtful=True)
    tags = [*(request.body.get("tags") or ()), owner.tag]
    tagged = replace(request, body={**request.body, "tags": tags})
    is_doubtful = False

    def start() -> Mapping[str, Any] | None:
        diff: Mapping[str, Any] = hook.send(tagged)
        return diff if isinstance(diff.get("id"), int) and owner.may_have_made(diff) else None

    def find_lost() -> Mapping[str, Any] | None:
        nonlocal is_doubtful
        is_doubtful = True
        return find(hook, owner, Search.FULL).taken

    diff = start_once(hook, "data diff", start, find_lost)
    return Claim(diff, is_doubtful=is_doubtful)


def find(hook: JobHook, owner: Owner, search: Search) -> Choice:
    """Look for the data diffs of a task's run.

    :param hook: the hook to call.
    :param owner: the task's run.
    :param search: how far to look.
    :return: the one to take over, and those to cancel.
    """
    return choose(owner, _newest(hook, owner, search))


def find_after_stop(hook: JobHook, owner: Owner, until: float) -> tuple[int, ...]:
    """Look for a data diff that is being created while the task is being killed.

    :param hook: a hook that was stopped.
    :param owner: the task's run.
    :param until: when Airflow may kill the process, by the monotonic clock.
    :return: the ids of those that run; none if it did not appear, or has ended.
    """
    while until - time.monotonic() > _FOR_A_CANCEL:
        diffs = _read_after_stop(hook, until - _FOR_A_CANCEL)
        if found := running(owner, diffs):
            return found
        if choose(owner, diffs).taken is not None:
            break
        time.sleep(_SEARCH_PAUSE)
    return ()


def find_others_after_stop(
    hook: JobHook, owner: Owner, number: int, until: float
) -> tuple[int, ...]:
    """Look once for further data diffs of the task while it is being killed.

    :param hook: a hook that was stopped.
    :param owner: the task's run.
    :param number: the data diff that is known.
    :param until: when Airflow may kill the process, by the monotonic clock.
    :return: the ids of the others that run.
    """
    return _others(owner, _read_after_stop(hook, until), number)


def cancel_others(hook: JobHook, owner: Owner, number: int) -> None:
    """Cancel further data diffs of a task that appeared after it had looked for them.

    :param hook: the hook to call.
    :param owner: the task's run.
    :param number: the data diff that is known.
    """
    try:
        found = _others(owner, _newest(hook, owner, Search.FULL), number)
    except DatafoldStoppedError:
        raise
    except DatafoldError as error:
        hook.log.warning("Could not look for a second data diff: %s.", error.summary)
        return
    for other in found:
        cancel_left(hook, other)


def cancel_left(hook: JobHook, number: int) -> None:
    """Cancel a data diff for which no task waits; a cancel that is refused is no error.

    :param hook: the hook to call.
    :param number: its id.
    """
    try:
        hook.call(data_diffs.CANCEL, datadiff_id=number)
    except DatafoldStoppedError:
        raise
    except DatafoldError as error:
        hook.log.warning("Could not cancel data diff %d: %s.", number, error.summary)
    else:
        hook.log.info("Cancelled data diff %d of this task: nothing waits for it.", number)


def _others(owner: Owner, diffs: Iterable[dict[str, Any]], number: int) -> tuple[int, ...]:
    return tuple(found for found in running(owner, diffs) if found != number)


def _newest(hook: JobHook, owner: Owner, search: Search) -> Iterator[dict[str, Any]]:
    """Read data diffs, newest first, until they are too old to be the owner's."""
    most, page_size = search.value
    count = 0
    for page in range(1, _MOST_PAGES + 1):
        if count >= most:
            return
        answer = hook.call(data_diffs.LIST, page=page, page_size=page_size, sort_order="desc")
        diffs = _results(answer)
        yield from diffs
        count += len(diffs)
        if not diffs or _is_last(answer, page, page_size) or any(map(owner.precedes, diffs)):
            return


def _is_last(answer: Mapping[str, Any], page: int, page_size: int) -> bool:
    pages = answer.get("total_pages")
    # A service may return fewer a page than it was asked for.
    return page >= pages if isinstance(pages, int) else len(_results(answer)) < page_size


def _read_after_stop(hook: JobHook, until: float) -> list[dict[str, Any]]:
    """Read the newest data diffs while the task is being killed; none if that fails."""
    left = until - time.monotonic()
    _, page_size = Search.FULL.value
    if left <= 0:
        return []
    with suppress(DatafoldError):
        answer = hook.call_after_stop(
            data_diffs.LIST, within=left, page=1, page_size=page_size, sort_order="desc"
        )
        return _results(answer)
    return []


def _results(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    results = answer.get("results")
    found = results if isinstance(results, list) else ()
    return [diff for diff in found if isinstance(diff, dict)]
