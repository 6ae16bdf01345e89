"""A task's claim to one data diff: made once, even if the response or the worker is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.api import data_diffs
from airflow_provider_datafold.exceptions import DatafoldError, DatafoldStoppedError
from airflow_provider_datafold.jobs.once.ownership import Found, Owner, find_own, tags_of
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


class Claim:
    """The data diff of a task's run, from just before it is made until nothing of it can run.

    Its ``number`` is ``None`` as long as nobody knows it. It is doubtful if the service may have
    made a second one late.
    """

    def __init__(
        self, owner: Owner, number: int | None = None, *, is_doubtful: bool = False
    ) -> None:
        self.owner = owner
        self.number = number
        self.is_doubtful = is_doubtful
        self.is_taken_over = False
        self.may_run = True
        self._copies: set[int] = set()

    def take(
        self, hook: JobHook, request: Request, search: Search, *, may_cancel: bool = True
    ) -> Mapping[str, Any]:
        """Take over the data diff that the task already has, or make it."""
        diff = None
        if search is not Search.NOT:
            diff = self._take_over(hook, search, may_cancel=may_cancel)
        if diff is None:
            diff = self._make(hook, request)
        self.number = diff["id"]
        return diff

    def cancel(self, hook: JobHook) -> None:
        """Cancel the data diff; a cancel that is refused or comes too late is no error."""
        if self.number is None or not self.may_run:
            return
        try:
            hook.call(data_diffs.CANCEL, datadiff_id=self.number)
        except DatafoldError as error:
            hook.log.warning("Could not cancel the data diff: %s.", error.summary)
        else:
            hook.log.info("Asked Datafold to cancel the data diff.")
        # Not earlier: if the task is killed now, this request is aborted and another one is sent.
        self.end(hook, may_cancel=True)

    def end(self, hook: JobHook, *, may_cancel: bool) -> None:
        """Note that the data diff has ended, and cancel a second one, which appeared late."""
        self.may_run = False
        if may_cancel:
            self._cancel_second(hook)

    def cancel_after_stop(self, hook: JobHook, until: float) -> None:
        """Cancel what may run while the task is killed, even if nobody knows its id yet."""
        if not self.may_run:
            return
        if self.number is None:
            found = self._appearing(hook, until)
        else:
            _cancel_last(hook, self.number, until)
            found = self._read_after_stop(hook, until).running if self.is_doubtful else ()
        for number in found:
            if number != self.number:
                _cancel_last(hook, number, until)

    def _cancel_second(self, hook: JobHook) -> None:
        if not self.is_doubtful:
            return
        try:
            found = self._find(hook, Search.FULL).others(self.number)
        except DatafoldStoppedError:
            raise
        except DatafoldError as error:
            hook.log.warning("Could not look for a second data diff: %s.", error.summary)
            return
        for number in found:
            _cancel_left(hook, number)

    def _take_over(
        self, hook: JobHook, search: Search, *, may_cancel: bool
    ) -> Mapping[str, Any] | None:
        """Look for the data diff of an earlier try, and cancel those that nobody waits for."""
        found = self._find(hook, search)
        diff = found.taken
        if may_cancel:
            for number in (*found.earlier, *found.others(diff["id"] if diff else None)):
                _cancel_left(hook, number)
        self.is_taken_over = self.is_doubtful = diff is not None
        return diff

    def _make(self, hook: JobHook, request: Request) -> Mapping[str, Any]:
        tags = [*(request.body.get("tags") or ()), self.owner.tag]
        tagged = replace(request, body={**request.body, "tags": tags})

        def start() -> Mapping[str, Any] | None:
            diff: Mapping[str, Any] = hook.send(tagged)
            return diff if _may_answer(tagged.body, self.owner.tag, diff) else None

        def find_lost() -> Mapping[str, Any] | None:
            self.is_doubtful = True
            return self._find(hook, Search.FULL).taken

        return start_once(hook, "data diff", start, find_lost)

    def _find(self, hook: JobHook, search: Search) -> Found:
        found = find_own(self.owner, _newest(hook, self.owner, search))
        for number in found.copies:
            if number not in self._copies:
                self._copies.add(number)
                hook.log.info(
                    "Data diff %d has this task's tag, but was not made through the API: it is a "
                    "person's copy, and left alone.",
                    number,
                )
        return found

    def _appearing(self, hook: JobHook, until: float) -> tuple[int, ...]:
        """Return the data diffs that run, as soon as there are some; none if it has ended."""
        while until - time.monotonic() > _FOR_A_CANCEL:
            found = self._read_after_stop(hook, until - _FOR_A_CANCEL)
            if found.running or found.taken is not None:
                return found.running
            time.sleep(_SEARCH_PAUSE)
        return ()

    def _read_after_stop(self, hook: JobHook, until: float) -> Found:
        """Look among the newest data diffs; nothing is found if that fails."""
        left = until - time.monotonic()
        _, page_size = Search.FULL.value
        page: dict[str, Any] = {}
        if left > 0:
            with suppress(DatafoldError):
                page = hook.call_after_stop(
                    data_diffs.LIST, within=left, page=1, page_size=page_size, sort_order="desc"
                )
        return find_own(self.owner, _results(page))


def _may_answer(body: Mapping[str, Any], tag: str, diff: Mapping[str, Any]) -> bool:
    """Return whether a response can be the one to a creation.

    The tag is proof: nobody can have copied it yet. Without tags, a data source or a table's own
    name must not be another one; a service writes these in no other way.
    """
    if not isinstance(diff.get("id"), int):
        return False
    if tags := tags_of(diff):
        return tag in tags
    return all(
        _plain(body[name]) == _plain(diff[name])
        for name in ("data_source1_id", "data_source2_id", "table1", "table2")
        if body.get(name) and diff.get(name)
    )


def _plain(side: Any) -> str:
    """Return a data source's id, or the last part of a table's path."""
    name = side[-1] if isinstance(side, list) else side
    return str(name).strip('"`').casefold()


def _cancel_left(hook: JobHook, number: int) -> None:
    """Cancel a data diff for which no task waits; a cancel that is refused is no error."""
    try:
        hook.call(data_diffs.CANCEL, datadiff_id=number)
    except DatafoldStoppedError:
        raise
    except DatafoldError as error:
        hook.log.warning("Could not cancel data diff %d: %s.", number, error.summary)
    else:
        hook.log.info("Cancelled data diff %d of this task: nothing waits for it.", number)


def _cancel_last(hook: JobHook, number: int, until: float) -> None:
    """Cancel a data diff while the task is being killed."""
    within = until - time.monotonic()
    try:
        hook.call_after_stop(data_diffs.CANCEL, within=within, max_retries=None, datadiff_id=number)
    except DatafoldError as error:
        hook.log.warning("Could not cancel the data diff: %s.", error.summary)
    else:
        hook.log.info("Asked Datafold to cancel the data diff: the task was stopped.")


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
        if not diffs or _is_last(answer, page, page_size) or any(map(owner.is_from_before, diffs)):
            return


def _is_last(answer: Mapping[str, Any], page: int, page_size: int) -> bool:
    pages = answer.get("total_pages")
    # A service may return fewer a page than it was asked for.
    return page >= pages if isinstance(pages, int) else len(_results(answer)) < page_size


def _results(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    results = answer.get("results")
    found = results if isinstance(results, list) else ()
    return [diff for diff in found if isinstance(diff, dict)]
