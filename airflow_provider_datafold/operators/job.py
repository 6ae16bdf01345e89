"""The shared part of the operators that start a job at Datafold and wait for it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from airflow.providers.common.compat.sdk import conf

from airflow_provider_datafold import triggers
from airflow_provider_datafold.api.fields import positive_number
from airflow_provider_datafold.exceptions import (
    DatafoldError,
    DatafoldInputError,
    DatafoldStoppedError,
)
from airflow_provider_datafold.jobs.trouble import AFTER_TROUBLE, DEADLINE, TROUBLE
from airflow_provider_datafold.operators.base import DatafoldOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.job import Job
    from airflow_provider_datafold.jobs.watch import JobStatus

DEFAULT_DEFERRABLE = bool(conf.getboolean("operators", "default_deferrable", fallback=False))
DEFAULT_TIMEOUT = timedelta(hours=24)
_LAST_SECONDS = 4.0
"""Time for the cancel when a task is killed: Airflow 3 ends the process after five seconds."""


class Start(NamedTuple):
    """A job that was started or taken over.

    :param ids: the job's ids by name.
    :param answer: the job as the API returned it.
    :param since: when it was started, in seconds since the epoch.
    :param is_taken_over: whether another try of the task started it.
    :param twin_tag: the tag of further jobs that may have been started with it; ``None`` if there
        are none.
    """

    ids: Mapping[str, Any]
    answer: Mapping[str, Any]
    since: float
    is_taken_over: bool = False
    twin_tag: str | None = None


class Wait(NamedTuple):
    """A wait for a job, as plain JSON: it may continue in another process.

    :param ids: the job's ids by name.
    :param since: when the job was started, in seconds since the epoch.
    :param deadline: when to give up, in seconds since the epoch.
    :param is_taken_over: whether another try of the task started the job.
    :param twin_tag: the tag of further jobs that may have been started with it; ``None`` if there
        are none.
    """

    ids: Mapping[str, Any]
    since: float
    deadline: float
    is_taken_over: bool
    twin_tag: str | None = None


class DatafoldJobOperator(DatafoldOperator):
    """Starts a job and waits for it, in the worker or in the triggerer, with the same result.

    The constructor of each kind's operator takes these parameters, too:

    :param wait_for_completion: whether to wait for the end and to judge it.
    :param deferrable: whether to wait in the triggerer, which takes no worker slot; by default as
        Airflow's ``[operators] default_deferrable`` says.
    :param poll_interval: time between two polls, in seconds or as a
        :class:`~datetime.timedelta`; by default 2 s at first, then a seventh of the time waited,
        at least 1 s and at most 30.
    :param timeout: how long the job may take, in seconds or as a :class:`~datetime.timedelta`; 24
        hours by default. The task's ``execution_timeout`` counts, too.
    """

    wait_for_completion: bool
    deferrable: bool
    poll_interval: float | timedelta | None
    timeout: float | timedelta
    cancel_on_kill: bool = False
    """Whether to cancel the job when the task is stopped, when its time is over, and when waiting
    fails for good. The API cancels data diffs only, so only their operator has this argument."""

    _ids: Mapping[str, Any] | None = None
    """The ids of the job, as long as it may be running."""

    @property
    def job(self) -> Job:
        """The kind of job. Not a field of the class: a DAG file need not load the operations."""
        raise NotImplementedError

    def execute(self, context: Context) -> Any:
        """Start the job, and wait for its end unless ``wait_for_completion`` is ``False``.

        :param context: Airflow's task context.
        :return: the job's result; it lands in XCom.
        """
        with self.open_hook() as hook, self._leaving_nothing(hook, context):
            begin = time.time()
            self.check(hook)
            return self._go_on(hook, context, self.start(hook, context), begin)

    def execute_complete(
        self,
        context: Context,
        event: Mapping[str, Any] | None = None,
        try_number: int | None = None,
        **wait: Any,
    ) -> Any:
        """Continue after the triggerer has waited.

        :param context: Airflow's task context.
        :param event: the trigger's event. The worker reads the job itself, so that both modes have
            the same result.
        :param try_number: the try that deferred.
        :param wait: the fields of :class:`Wait`. ``dag.test()`` passes only the event.
        :return: the job's result; it lands in XCom.
        :raises DatafoldInputError: neither says which job it is.
        """
        event = event if isinstance(event, Mapping) else {}
        # Airflow 3.0 passes the event of a failed try to the next try.
        if try_number not in (None, context["ti"].try_number):
            return self.execute(context)
        with self.open_hook() as hook, self._leaving_nothing(hook, context):
            self.check(hook)
            resumed = self._resumed(event, wait)
            self.recall(context, resumed)
            if event.get("state") == TROUBLE:
                return self._look_for_triggerer(hook, context, resumed, event)
            return self._finish(hook, context, resumed)

    def check(self, hook: JobHook) -> None:
        """Check all arguments, before anything is sent.

        :param hook: the hook of the task's connection.
        :raises DatafoldInputError: an argument is wrong.
        """
        self._timeout()
        self._interval()

    def start(self, hook: JobHook, context: Context, *, force_new: bool = False) -> Start:
        """Start the job, or take over the one that an earlier try started.

        :param hook: the hook to call.
        :param context: Airflow's task context.
        :param force_new: whether the job was cancelled, so that another is needed.
        """
        raise NotImplementedError

    def started(self, hook: JobHook, start: Start) -> Any:
        """Return the task's return value if the task does not wait.

        :param hook: the hook to call.
        :param start: the job.
        """
        raise NotImplementedError

    def ended(
        self, hook: JobHook, context: Context, ids: Mapping[str, Any], reading: JobStatus
    ) -> Any:
        """Return the task's return value, or raise the error that the job's end means.

        :param hook: the hook to call.
        :param context: Airflow's task context.
        :param ids: the job's ids.
        :param reading: the job's end.
        """
        raise NotImplementedError

    def recall(self, context: Context, wait: Wait) -> None:
        """Take up what the process that started the job knew of it.

        :param context: Airflow's task context.
        :param wait: what it handed over.
        """

    def gave_up(self, hook: JobHook, context: Context, error: Exception) -> None:
        """Tell of the job before the task fails, or is skipped.

        :param hook: the hook of the task's connection.
        :param context: Airflow's task context.
        :param error: why.
        """

    def on_kill(self) -> None:
        """Send nothing more when the task is stopped, except the cancel of the job."""
        super().on_kill()
        if self._hook is not None and self.cancel_on_kill and self.wait_for_completion:
            self.cancel_after_stop(self._hook, time.monotonic() + _LAST_SECONDS)

    def cancel_after_stop(self, hook: JobHook, until: float) -> None:
        """Cancel the job when the task is being killed.

        :param hook: a hook that was stopped.
        :param until: when Airflow may kill the process, by the monotonic clock.
        """
        job = self.job
        if self._ids is None or job.cancel is None:
            return
        try:
            hook.call_after_stop(
                job.cancel,
                within=until - time.monotonic(),
                max_retries=None,
                **job.values(self._ids),
            )
        except DatafoldError as error:
            self.log.warning("Could not cancel the %s: %s.", job.noun, error.summary)
        else:
            self.log.info("Asked Datafold to cancel the %s: the task was stopped.", job.noun)

    def _go_on(self, hook: JobHook, context: Context, start: Start, begin: float) -> Any:
        if not self.wait_for_completion:
            return self.started(hook, start)
        deadline = min(start.since + self._timeout(), begin + self._execution_seconds())
        wait = Wait(start.ids, start.since, deadline, start.is_taken_over, start.twin_tag)
        if self._has_ended(start):
            # If a trigger fires at once, Airflow may lose its event, and with it a try.
            return self._finish(hook, context, wait)
        return self._wait(hook, context, wait)

    def _has_ended(self, start: Start) -> bool:
        job = self.job
        return job.is_end(start.answer.get(job.status))

    def _wait(self, hook: JobHook, context: Context, wait: Wait, *, not_before: float = 0.0) -> Any:
        if self.deferrable:
            self._defer(context, wait, not_before)
        return self._finish(hook, context, wait)

    def _defer(self, context: Context, wait: Wait, not_before: float) -> NoReturn:
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
            kwargs={"try_number": context["ti"].try_number, **wait._asdict()},
        )

    def _resumed(self, event: Mapping[str, Any], wait: Mapping[str, Any]) -> Wait:
        job, ids = self.job, wait.get("ids", event.get("ids"))
        needed = (*job.asks, "run_id") if job.is_listed else job.asks
        if not isinstance(ids, Mapping) or not ids.keys() >= {*needed}:
            raise DatafoldInputError(
                f"ids: must have {', '.join(needed)} of the {job.noun} that the task waits for, "
                f"but the task was resumed without. Nothing was sent. Clear the task to start "
                f"again."
            )
        now = time.time()
        left = 0.0 if event.get("state") == DEADLINE else self._timeout()
        return Wait(
            ids=ids,
            since=wait.get("since", now),
            deadline=wait.get("deadline", now + left),
            is_taken_over=wait.get("is_taken_over", False),
            twin_tag=wait.get("twin_tag"),
        )

    def _look_for_triggerer(
        self, hook: JobHook, context: Context, wait: Wait, event: Mapping[str, Any]
    ) -> Any:
        """Look once in place of the triggerer, which cannot, and let it wait on."""
        self.log.warning("The triggerer could not go on waiting: %s.", event.get("error"))
        self._ids = wait.ids
        reading = hook.look(self.job, wait.ids, is_troubled=bool(event.get("is_lasting")))
        if reading.has_ended:
            return self._conclude(hook, context, wait, reading)
        pause = max(AFTER_TROUBLE, reading.retry_after)
        return self._wait(hook, context, wait, not_before=time.time() + pause)

    def _finish(self, hook: JobHook, context: Context, wait: Wait) -> Any:
        """Wait in this worker, which takes no time if the triggerer has waited."""
        self._ids = wait.ids
        reading = hook.wait(
            self.job,
            wait.ids,
            deadline=wait.deadline,
            since=wait.since,
            poll_interval=self._interval(),
        )
        return self._conclude(hook, context, wait, reading)

    def _conclude(self, hook: JobHook, context: Context, wait: Wait, reading: JobStatus) -> Any:
        self._ids = None
        # No task cancels what has no cancel.
        if reading.was_cancelled and wait.is_taken_over and self.job.cancel:
            # A task that is cleared while it runs may keep its tag. Then its old process cancels
            # the job that the new one has taken over.
            self.log.warning(
                "Another try of this task cancelled the %s. Starting a new one.", self.job.noun
            )
            start = self.start(hook, context, force_new=True)
            again = Wait(start.ids, start.since, wait.deadline, False, start.twin_tag)
            return self._wait(hook, context, again)
        return self.ended(hook, context, wait.ids, reading)

    @contextmanager
    def _leaving_nothing(self, hook: JobHook, context: Context) -> Iterator[None]:
        """Cancel the job if anything fails for which the task no longer waits for it."""
        try:
            yield
        except DatafoldStoppedError:
            # Then on_kill cancels it.
            raise
        except Exception as error:
            if self._ids is not None and self.wait_for_completion:
                self._cancel(hook, self._ids)
            self.gave_up(hook, context, error)
            raise

    def _cancel(self, hook: JobHook, ids: Mapping[str, Any]) -> None:
        """Cancel the job; a cancel that is refused or comes too late is no error."""
        job = self.job
        if not self.cancel_on_kill or job.cancel is None:
            return
        try:
            hook.call(job.cancel, **job.values(ids))
        except DatafoldError as error:
            self.log.warning("Could not cancel the %s: %s.", job.noun, error.summary)
        else:
            self.log.info("Asked Datafold to cancel the %s.", job.noun)
        # Not earlier: if the task is killed now, this request is aborted and on_kill sends another.
        self._ids = None

    def _execution_seconds(self) -> float:
        """Return the seconds that this try may take, with time left for a cancel."""
        if self.execution_timeout is None:
            return float("inf")
        seconds = self.execution_timeout.total_seconds()
        return max(seconds - 10.0, 0.9 * seconds)

    def _timeout(self) -> float:
        return _seconds("timeout", self.timeout)

    def _interval(self) -> float | None:
        interval = self.poll_interval
        return None if interval is None else _seconds("poll_interval", interval)


def _seconds(field: str, duration: Any) -> float:
    if isinstance(duration, timedelta):
        duration = duration.total_seconds()
    return float(positive_number(field, duration))
