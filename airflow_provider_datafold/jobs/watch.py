"""One wait for a job, whoever carries it: a conversation that ends when the job does.

It sends nothing by itself: a task's thread carries it, or a triggerer's event loop. A sensor looks
once at a time instead.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from logging import Logger
from typing import Any

from airflow_provider_datafold.api.fields import format_value
from airflow_provider_datafold.client.conversation import Conversation, Pause, converse
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import DatafoldDeadlineError, DatafoldNotFoundError
from airflow_provider_datafold.jobs.job import MOST_PAGES, PAGE_SIZE, Job, State
from airflow_provider_datafold.jobs.trouble import PASSING, REFUSAL_PAUSE, REFUSALS, Trouble
from airflow_provider_datafold.redaction.redactor import guarded

_FIRST_PAUSE = 2.0
_SHORTEST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_SHARE = 7
"""An end is noticed late by a seventh of the wait at most, and a fourteenth on average."""

_PROGRESS_EVERY = 60.0


@dataclass(frozen=True)
class JobStatus:
    """A job as it was read.

    :param state: what its status means; a status that nobody knows is not an end.
    :param status: the status itself.
    :param answer: the job as the API shows it.
    :param is_known: whether the status is one that this package knows.
    :param was_seen: whether the look succeeded; if not, nothing says that the job has ended.
    :param retry_after: seconds for which Datafold wants no other request.
    """

    state: State
    status: Any
    answer: Mapping[str, Any]
    is_known: bool = True
    was_seen: bool = True
    retry_after: float = 0.0

    @property
    def has_ended(self) -> bool:
        """Whether there is nothing to wait for any more."""
        return self.state is not State.RUNNING

    @property
    def has_succeeded(self) -> bool:
        """Whether the job did its work."""
        return self.state is State.SUCCEEDED

    @property
    def was_cancelled(self) -> bool:
        """Whether someone cancelled the job."""
        return self.state is State.CANCELLED

    @property
    def shown_status(self) -> str:
        """The status, fit for a log."""
        return str(self.status) if self.is_known else format_value(self.status)


@dataclass(frozen=True)
class PollInterval:
    """How often to look.

    :param interval: seconds between two looks; ``None`` to look often at first and, the longer it
        takes, the less often: after two seconds, then after a seventh of the time waited, at least
        a second, 30 at most.
    """

    interval: float | None = None

    def pause(self, waited: float, jitter: float) -> float:
        """Return the seconds until the next look."""
        if self.interval is not None:
            return self.interval
        pause = max(waited / _SHARE, _SHORTEST_PAUSE)
        if waited < _SHORTEST_PAUSE:
            pause = _FIRST_PAUSE
        return min(pause, _LONGEST_PAUSE) * (0.9 + jitter / 5)


def look(job: Job, ids: Mapping[str, Any], settings: Settings, log: Logger) -> Conversation:
    """Look at a job once."""
    read = _find if job.is_read_from_pages else _read
    answer = yield from read(job, ids, settings, log)
    status = answer.get(job.status)
    state = job.state_of(status)
    return JobStatus(state or State.RUNNING, status, answer, is_known=state is not None)


def _read(
    job: Job, ids: Mapping[str, Any], settings: Settings, log: Logger, **place: int
) -> Conversation:
    values = {**job.values(ids), **place}
    request = guarded(lambda: job.read.request(**values), settings.api_key, values)
    return (yield from converse(request, settings, log, max_retries=0))


def _find(job: Job, ids: Mapping[str, Any], settings: Settings, log: Logger) -> Conversation:
    """Read the pages of a list until the one with the job."""
    count = 0
    for _ in range(MOST_PAGES):
        page = yield from _read(job, ids, settings, log, limit=PAGE_SIZE, offset=count)
        for found in page:
            if isinstance(found, dict) and found.get("id") == ids["run_id"]:
                return found
        # Not a short one: a service may give less than it is asked for.
        if not page:
            break
        count += len(page)
    raise _not_listed(job, ids, settings, count)


def _not_listed(
    job: Job, ids: Mapping[str, Any], settings: Settings, count: int
) -> DatafoldNotFoundError:
    operation, path = job.read, job.read.request(**job.values(ids)).path
    reason = (
        f"{job.noun} {ids['run_id']} is not among the {count} runs listed. Datafold said that it "
        f"was started, so its result is unknown, and a retry would start another one. Check in "
        f"Datafold whether the run is there and how it ended, and whether the pull request's "
        f"number is right; then clear the task, which starts a new run."
    )
    return DatafoldNotFoundError(
        f"{operation.method} {path} on {settings.place}: {reason}",
        reason=reason,
        status_code=200,
        method=operation.method,
        path=path,
    )


def look_surely(
    job: Job,
    ids: Mapping[str, Any],
    settings: Settings,
    log: Logger,
    *,
    is_troubled: bool = False,
    clock: Callable[[], float] = time.time,
) -> Conversation:
    """Look at a job for someone who comes again later, and may remember nothing by then.

    So a refusal is looked at again in here, until it is known what it means.
    """
    trouble = Trouble(is_lasting=is_troubled)
    while True:
        try:
            reading = yield from look(job, ids, settings, log)
        except (*PASSING, *REFUSALS) as error:
            if trouble.is_final(error, clock()):
                raise
            log.warning("Could not check the %s: %s.", job.noun, error.summary)
            is_refused = isinstance(error, REFUSALS)
        else:
            return reading
        if not is_refused:
            return JobStatus(
                State.RUNNING, None, {}, was_seen=False, retry_after=trouble.pause(usual=0.0)
            )
        yield Pause(trouble.pause(REFUSAL_PAUSE))


def watch(
    job: Job,
    ids: Mapping[str, Any],
    settings: Settings,
    log: Logger,
    *,
    deadline: float,
    interval: PollInterval,
    until: float = math.inf,
    since: float | None = None,
    trouble: Trouble | None = None,
    clock: Callable[[], float] = time.time,
    jitter: Callable[[], float] = random.random,
) -> Conversation:
    """Wait until a job ends, or until a moment after which another process waits for it."""
    trouble = trouble or Trouble()
    told_at = clock()
    begin = told_at if since is None else since
    unknown: set[str] = set()
    while True:
        try:
            reading = yield from look(job, ids, settings, log)
        except (*PASSING, *REFUSALS) as error:
            now = clock()
            if trouble.is_final(error, now):
                raise
            log.warning("Could not check the %s: %s. Still waiting.", job.noun, error.summary)
        else:
            now = clock()
            trouble.end()
            if reading.has_ended:
                return reading
            if not reading.is_known and reading.shown_status not in unknown:
                unknown.add(reading.shown_status)
                log.warning("Status %s is unknown: still waiting.", reading.shown_status)
            if now - told_at >= _PROGRESS_EVERY:
                told_at = now
                progress = _progress(reading.answer)
                log.info("The %s is %s%s.", job.noun, reading.shown_status, progress)
            # A thousand waits would keep a thousand responses through their pauses.
            del reading
        if now >= deadline:
            break
        asked = trouble.pause(0.0)
        if now + asked >= until:
            return JobStatus(State.RUNNING, None, {}, was_seen=False, retry_after=asked)
        pause = trouble.pause(interval.pause(now - begin, jitter()))
        yield Pause(min(pause, deadline - now, until - now))
    # Raised out here: in a handler it would carry the error of the last look.
    raise DatafoldDeadlineError(
        f"The {job.noun} had not ended after {now - begin:.0f} s, the limit that the task's "
        f"'timeout' and 'execution_timeout' set. Give it more time, or less to do."
    )


def _progress(answer: Mapping[str, Any]) -> str:
    progress = answer.get("diff_progress")
    if not isinstance(progress, Mapping):
        return ""
    done, total = progress.get("completed_steps"), progress.get("total_steps")
    return f" ({done} of {total} steps)" if isinstance(done, int) and isinstance(total, int) else ""
