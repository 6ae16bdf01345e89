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
from functools import partial
from logging import Logger
from typing import Any

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.api.fields import format_value
from airflow_provider_datafold.client.conversation import Conversation, Pause, converse
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldDeadlineError,
    DatafoldStoppedError,
    DatafoldTransientError,
)
from airflow_provider_datafold.waiting.job import Job, State

_FIRST_PAUSE = 2.0
_SHORTEST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_SHARE = 7
"""An end is noticed late by a seventh of the wait at most, and a fourteenth on average."""

_PROGRESS_EVERY = 60.0
DEADLINE = "deadline"
TROUBLE = "trouble"
"""What a trigger says instead of a job's state when its wait ended before the job."""

PASSING = (DatafoldTransientError, DatafoldAnswerError)
"""Errors of a look after which the wait goes on. A proxy's page that says 200 passes like a 503."""

LONGEST_TROUBLE = 3600.0
"""Seconds that every look at a job may fail in a row before the wait gives up."""


def is_lasting(event: Mapping[str, Any]) -> bool:
    """Say whether a trigger fired because no look at the job succeeded for an hour.

    :param event: what the trigger says.
    """
    error = getattr(exceptions, str(event.get("error")), None)
    return isinstance(error, type) and issubclass(error, PASSING)


@dataclass(frozen=True)
class Reading:
    """A job as it was read.

    :param state: what its status means; a status that nobody knows is not an end.
    :param status: the status itself.
    :param answer: the job as the API shows it.
    :param is_known: whether the status is one that this package knows.
    """

    state: State
    status: Any
    answer: Mapping[str, Any]
    is_known: bool = True

    @property
    def has_ended(self) -> bool:
        """Whether there is nothing to wait for any more."""
        return self.state is not State.RUNNING

    @property
    def shown_status(self) -> str:
        """The status, fit for a log."""
        return str(self.status) if self.is_known else format_value(self.status)


@dataclass(frozen=True)
class Rhythm:
    """How often to look.

    :param interval: seconds between two looks; ``None`` to look often at first and, the longer it
        takes, the less often: after two seconds, then after a seventh of the time waited, at least
        a second, 30 at most.
    """

    interval: float | None = None

    def pause(self, waited: float, jitter: float) -> float:
        """Return the seconds until the next look.

        :param waited: seconds since the wait began.
        :param jitter: a random number from 0 to 1, so that many waits do not look at once.
        """
        if self.interval is not None:
            return self.interval
        pause = max(waited / _SHARE, _SHORTEST_PAUSE)
        if waited < _SHORTEST_PAUSE:
            pause = _FIRST_PAUSE
        return min(pause, _LONGEST_PAUSE) * (0.9 + jitter / 5)


def look(job: Job, ids: Mapping[str, Any], settings: Settings, log: Logger) -> Conversation:
    """Look at a job once.

    :param job: its kind.
    :param ids: its ids.
    :param settings: of the connection to use.
    :param log: for :func:`~airflow_provider_datafold.client.conversation.converse`.
    :return: a :class:`Reading`.
    :raises DatafoldError: that failed.
    """
    make_request = partial(job.read.request, **job.values(ids))
    answer = yield from converse(make_request, settings, log, max_retries=0)
    answer = job.find(answer, ids)
    status = answer.get(job.status)
    state = job.state_of(status)
    return Reading(state or State.RUNNING, status, answer, is_known=state is not None)


def watch(
    job: Job,
    ids: Mapping[str, Any],
    settings: Settings,
    log: Logger,
    *,
    deadline: float,
    rhythm: Rhythm,
    since: float | None = None,
    is_troubled: bool = False,
    clock: Callable[[], float] = time.time,
    jitter: Callable[[], float] = random.random,
) -> Conversation:
    """Wait until a job ends.

    :param job: its kind.
    :param ids: its ids.
    :param settings: of the connection to use.
    :param log: where to tell of the job's progress, and of looks that failed.
    :param deadline: when to give up, in seconds since the epoch: the wait may be resumed elsewhere.
    :param rhythm: how often to look.
    :param since: when the wait began, in seconds since the epoch; by default now.
    :param is_troubled: whether no look has succeeded for an hour already, so that the first one
        decides.
    :param clock: seconds since the epoch.
    :param jitter: a random number from 0 to 1.
    :return: the :class:`Reading` of its end.
    :raises DatafoldDeadlineError: the job still runs at the deadline.
    :raises DatafoldError: no look succeeded for an hour, or one failed for good.
    """
    told_at = clock()
    begin = told_at if since is None else since
    trouble_since = -math.inf if is_troubled else None
    unknown: set[str] = set()
    while True:
        asked = 0.0
        try:
            reading = yield from look(job, ids, settings, log)
        except PASSING as error:
            now = clock()
            trouble_since = now if trouble_since is None else trouble_since
            if isinstance(error, DatafoldStoppedError) or now - trouble_since > LONGEST_TROUBLE:
                raise
            asked = error.retry_after or 0.0
            log.warning("Could not check the %s: %s. Still waiting.", job.noun, error.summary)
        else:
            now, trouble_since = clock(), None
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
        yield Pause(min(max(rhythm.pause(now - begin, jitter()), asked), deadline - now))
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
