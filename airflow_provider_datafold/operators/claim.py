"""Make the data diff of a task once, even if the response or the worker is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.api import data_diffs
from airflow_provider_datafold.exceptions import DatafoldError, DatafoldStoppedError
from airflow_provider_datafold.operators.once import start_once
from airflow_provider_datafold.waiting.ownership import Choice, Owner, choose

if TYPE_CHECKING:
    from airflow_provider_datafold.hooks.datafold import DatafoldHook

_FOR_A_CANCEL = 1.5
_SEARCH_PAUSE = 0.3
"""Seconds, while a task is being killed."""


class Search(Enum):
    """How far to look for a data diff that the task already has: how many pages, of which size."""

    NOT = (0, 0)
    BRIEF = (1, 20)
    """For a task that was started twice, seconds apart."""
    FULL = (10, 100)


@dataclass(frozen=True)
class Claim:
    """The data diff of a task's run.

    :param diff: the data diff as the API shows it.
    :param is_taken_over: whether an earlier try made it.
    """

    diff: Mapping[str, Any]
    is_taken_over: bool


def claim(hook: DatafoldHook, owner: Owner, config: Mapping[str, Any], search: Search) -> Claim:
    """Take over the data diff that the task already has, or make it.

    :param hook: the hook to call.
    :param owner: the task's run.
    :param config: the body of the creation.
    :param search: how far to look first.
    :return: the data diff, and whether it was taken over.
    :raises DatafoldError: it could not be made.
    """
    choice = find(hook, owner, search)
    cancel_left(hook, choice)
    if choice.taken is not None:
        return Claim(choice.taken, is_taken_over=True)
    config = {**config, "tags": [*(config.get("tags") or ()), owner.tag]}

    def start() -> Mapping[str, Any] | None:
        diff = hook.call(data_diffs.CREATE, config)
        return diff if isinstance(diff.get("id"), int) else None

    def find_lost() -> Mapping[str, Any] | None:
        return find(hook, owner, Search.FULL).taken

    return Claim(start_once(hook, "data diff", start, find_lost), is_taken_over=False)


def find(hook: DatafoldHook, owner: Owner, search: Search) -> Choice:
    """Look for the data diffs of a task's run.

    :param hook: the hook to call.
    :param owner: the task's run.
    :param search: how far to look.
    :return: the one to take over, and those to cancel.
    """
    return choose(owner, _newest(hook, owner, *search.value))


def find_after_stop(hook: DatafoldHook, owner: Owner, until: float) -> Mapping[str, Any] | None:
    """Look for a data diff that is being created while the task is being killed.

    :param hook: a hook that was stopped.
    :param owner: the task's run.
    :param until: when Airflow may kill the process, by the monotonic clock.
    :return: its ids, ``None`` if it did not appear.
    """
    _, page_size = Search.FULL.value
    while (left := until - time.monotonic() - _FOR_A_CANCEL) > 0:
        with suppress(DatafoldError):
            answer = hook.call_after_stop(
                data_diffs.LIST, within=left, page=1, page_size=page_size, sort_order="desc"
            )
            if found := choose(owner, _results(answer)).taken:
                return {"datadiff_id": found["id"]}
        time.sleep(_SEARCH_PAUSE)
    return None


def cancel_left(hook: DatafoldHook, choice: Choice) -> None:
    """Cancel the data diffs for which no task waits any more.

    :param hook: the hook to call.
    :param choice: the result of :func:`find`.
    """
    for number in choice.left:
        try:
            hook.call(data_diffs.CANCEL, datadiff_id=number)
        except DatafoldStoppedError:
            raise
        except DatafoldError as error:
            hook.log.warning("Could not cancel data diff %d: %s.", number, error.summary)
        else:
            hook.log.info("Cancelled data diff %d, which this task left running earlier.", number)


def _newest(
    hook: DatafoldHook, owner: Owner, pages: int, page_size: int
) -> Iterator[Mapping[str, Any]]:
    """Read data diffs, newest first, until they are too old to be the owner's."""
    for page in range(1, pages + 1):
        answer = hook.call(data_diffs.LIST, page=page, page_size=page_size, sort_order="desc")
        diffs = _results(answer)
        yield from diffs
        if len(diffs) < page_size or any(owner.precedes(diff) for diff in diffs):
            return


def _results(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    results = answer.get("results")
    return [diff for diff in results or () if isinstance(diff, dict)]
