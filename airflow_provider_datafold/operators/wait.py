"""The wait that operators and sensors share: they defer it, and go on with it in a worker."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.exceptions import AirflowRescheduleException

from airflow_provider_datafold import triggers
from airflow_provider_datafold.exceptions import (
    DatafoldError,
    DatafoldInputError,
    DatafoldStoppedError,
)
from airflow_provider_datafold.jobs import trouble
from airflow_provider_datafold.operators.base import HookUser, for_xcom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.job import Job
    from airflow_provider_datafold.jobs.watch import JobStatus

BRIEF = 3.0
"""Seconds from a job's start for which the worker itself looks at it before it defers."""

HOLD = 10.0
"""Seconds from a deferral in which the trigger does not fire: until then Airflow's scheduler may
not know of the deferral, and would fail a task that is resumed as one in a wrong state."""

_HANDED_OVER = ("ids", "since", "deadline", "is_taken_over", "tag", "is_doubtful")
"""Of a wait, what another process needs to continue it. It lives in users' databases."""


@dataclass(frozen=True)
class Wait:
    """A job that a task waits for.

    :param ids: the job's ids by name.
    :param since: when it was started, in seconds since the epoch.
    :param deadline: when to give up, in seconds since the epoch.
    :param is_taken_over: whether another try of the task started it.
    :param tag: the tag by which it is the task's; ``None`` if it has none.
    :param is_doubtful: whether there may be a second job with this tag.
    :param answer: the job as the API returned it, empty if that is not known.
    """

    ids: Mapping[str, Any]
    since: float
    deadline: float = math.inf
    is_taken_over: bool = False
    tag: str | None = None
    is_doubtful: bool = False
    answer: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def handed_over(self) -> dict[str, Any]:
        """Return what another process needs to continue, as plain JSON."""
        return {name: getattr(self, name) for name in _HANDED_OVER}


class JobWaiter(HookUser):
    """Waits for a job, in the worker or in the triggerer, with the same result."""

    deferrable: bool
    cancel_on_kill: bool = False
    execute: Callable[..., Any]
    defer: Callable[..., NoReturn]

    @property
    def job(self) -> Job:
        """The kind of job. Not a field of the class: a DAG file need not load the operations."""
        raise NotImplementedError

    def execute_complete(
        self,
        context: Context,
        event: Mapping[str, Any] | None = None,
        try_number: int | None = None,
        **wait: Any,
    ) -> Any:
        """Continue after the triggerer has waited; its event is a hint, so the job is read again.

        ``dag.test()`` passes only the event.
        """
        event = event if isinstance(event, Mapping) else {}
        # Airflow 3.0 passes the event of a failed try to the next try.
        if try_number not in (None, context["ti"].try_number):
            return self.execute(context)
        with self.attending(context) as hook:
            resumed = self._resumed(hook, event, wait)
            self.recall(context, resumed)
            self.check(hook)
            # Without its deadline, a wait that is deferred again and again would have no end.
            may_defer = self.deferrable and "deadline" in wait
            return self._go_on(hook, context, resumed, event, may_defer=may_defer)

    def check(self, hook: JobHook) -> None:
        """Check all arguments, before anything is sent."""
        raise NotImplementedError

    def recall(self, context: Context, wait: Wait) -> None:
        """Take up what the process that deferred the task knew of the job."""

    def ended(
        self, hook: JobHook, context: Context, ids: Mapping[str, Any], reading: JobStatus
    ) -> Any:
        """Return the task's return value, or raise the error that the job's end means."""
        raise NotImplementedError

    def gave_up(self, hook: JobHook, context: Context, error: Exception) -> None:
        """Leave the job, and tell of it, before the task fails or is skipped."""

    @contextmanager
    def attending(self, context: Context) -> Iterator[JobHook]:
        """Open the hook, and leave the job in order if the task ends without a result."""
        with self.open_hook() as hook:
            try:
                yield hook
            except (AirflowRescheduleException, DatafoldStoppedError):
                # A sensor that comes again; a stopped task, whose on_kill leaves the job.
                raise
            except Exception as error:
                try:
                    self.gave_up(hook, context, error)
                except DatafoldStoppedError:
                    raise
                except DatafoldError as other:
                    hook.log.warning("Could not tell of the end: %s.", other.summary)
                raise

    def _resumed(
        self, hook: JobHook, event: Mapping[str, Any], handed_over: Mapping[str, Any]
    ) -> Wait:
        job, ids = self.job, handed_over.get("ids", event.get("ids"))
        if not isinstance(ids, Mapping) or not ids.keys() >= {*job.needs}:
            raise DatafoldInputError(
                f"ids: must have {', '.join(job.needs)} of the {job.noun} that the task waits for, "
                f"but the task was resumed without. Nothing was sent. Clear the task to start "
                f"again."
            )
        now = time.time()
        known = {name: handed_over[name] for name in _HANDED_OVER if name in handed_over}
        if event.get("state") == trouble.DEADLINE:
            known["deadline"] = now
        elif "deadline" not in known:
            known["deadline"] = now + self._longest()
        return Wait(**{"since": now, **known, "ids": ids})

    def _go_on(
        self,
        hook: JobHook,
        context: Context,
        wait: Wait,
        event: Mapping[str, Any],
        *,
        may_defer: bool,
    ) -> Any:
        """Read the job once, and let the triggerer wait on if it has not ended."""
        state = event.get("state")
        if state == trouble.TROUBLE:
            hook.log.warning("The triggerer could not go on waiting: %s.", event.get("error"))
        if state == trouble.DEADLINE:
            return self._judge(hook, context, wait, self._watch(hook, wait))
        reading = hook.look(self.job, wait.ids, is_troubled=bool(event.get("is_lasting")))
        if not reading.has_ended and may_defer and _may_hold(wait, time.time()):
            if reading.was_seen:
                hook.log.info("The %s is %s. Deferring.", self.job.noun, reading.shown_status)
            self._defer(context, wait, max(trouble.AFTER_TROUBLE, reading.retry_after))
        if not reading.has_ended:
            reading = self._watch(hook, wait)
        return self._judge(hook, context, wait, reading)

    def _wait(self, hook: JobHook, context: Context, wait: Wait) -> JobStatus:
        """Wait in this worker while the job may be a brief one, and then in the triggerer."""
        brief = wait.since + BRIEF
        if not self.deferrable or not _may_hold(wait, max(brief, time.time())):
            return self._watch(hook, wait)
        reading = self._watch(hook, wait, until=brief)
        if reading.has_ended:
            return reading
        # A look may have taken long.
        if _may_hold(wait, time.time()):
            self._defer(context, wait, reading.retry_after)
        return self._watch(hook, wait)

    def _defer(self, context: Context, wait: Wait, pause: float) -> NoReturn:
        """Let the triggerer wait, and look again after the pause that Datafold or we want."""
        not_before = time.time() + max(HOLD, pause)
        self.defer(
            trigger=triggers.job.DatafoldJobTrigger(
                job=self.job.name,
                ids=dict(wait.ids),
                datafold_conn_id=self.datafold_conn_id,
                deadline=wait.deadline,
                since=wait.since,
                poll_interval=self._interval(),
                cancel_on_kill=self.cancel_on_kill,
                not_before=not_before,
            ),
            method_name="execute_complete",
            kwargs={"try_number": context["ti"].try_number, **wait.handed_over()},
        )

    def _watch(self, hook: JobHook, wait: Wait, **until: float) -> JobStatus:
        """Wait in this worker, to the job's end or until a moment."""
        return hook.wait(
            self.job,
            wait.ids,
            deadline=wait.deadline,
            since=wait.since,
            poll_interval=self._interval(),
            **until,
        )

    def _judge(self, hook: JobHook, context: Context, wait: Wait, reading: JobStatus) -> Any:
        return for_xcom(self.ended(hook, context, wait.ids, reading))

    def _interval(self) -> float | None:
        """Return the seconds between two polls; ``None`` to adapt to the time waited."""
        raise NotImplementedError

    def _longest(self) -> float:
        """Return the seconds that the job may take."""
        raise NotImplementedError


def _may_hold(wait: Wait, begin: float) -> bool:
    """Say whether a trigger has time to hold: otherwise the worker waits for what is left."""
    return begin + HOLD < wait.deadline
