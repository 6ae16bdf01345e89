"""The hook of our own operators: it also waits for jobs, and can be stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from airflow_provider_datafold.api.operation import Operation, Request, Returned
from airflow_provider_datafold.client.conversation import converse, pause
from airflow_provider_datafold.client.failure import stopped
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.jobs.job import Job
from airflow_provider_datafold.jobs.watch import JobStatus, PollInterval, look_surely, watch
from airflow_provider_datafold.redaction.frames import concealed
from airflow_provider_datafold.redaction.guard import Checked
from airflow_provider_datafold.redaction.redactor import Redactor

if TYPE_CHECKING:
    from airflow_provider_datafold.client.worker import Client

Item = TypeVar("Item")
Done = TypeVar("Done")

_STEP = 0.1
"""Seconds after which a pause sees a stop."""


class JobHook(DatafoldHook):
    """Calls Datafold for a task that may start a job, wait for it, and be stopped meanwhile."""

    _is_stopped = False
    _helpers: Sequence[JobHook] = ()
    """Hooks that work for this one, in threads."""

    @concealed
    def checked(self, check: Callable[..., Checked], *given: Any) -> Checked:
        """Run a check of what is going to be sent.

        :param check: takes the values, concealed.
        :param given: the values.
        :return: what the check returns.
        :raises DatafoldInputError: a value is wrong. The message shows no secret.
        """
        return self._checked(partial(check, *given), *given)

    def send(self, request: Request) -> Any:
        """Send a request that an operation has made.

        :param request: the request.
        :return: as for :meth:`call`.
        :raises DatafoldError: as for :meth:`call`.
        """
        return self._send(request)

    def redactor(self, *given: Any) -> Redactor:
        """Make a redactor that knows the API key and the secrets in concealed values.

        :param given: the values.
        :return: the redactor.
        """
        return self._redactor(*given)

    @property
    def host(self) -> str:
        """The host that calls go to, with its port if it has one.

        :raises DatafoldConfigurationError: the Airflow connection is missing or wrong.
        """
        return urlsplit(self._settings.base_url).netloc

    def look(self, job: Job, ids: Mapping[str, Any], *, is_troubled: bool = False) -> JobStatus:
        """Look at a job once, or for a minute if Datafold says 403 or 404.

        :param job: its kind, e.g. :data:`~airflow_provider_datafold.jobs.job.DATA_DIFF`.
        :param ids: its ids by name, e.g. ``{"datadiff_id": 7}``.
        :param is_troubled: whether looks have failed for too long already, so that this one
            decides.
        :return: its state; that of a job which runs if only a temporary error came back.
        :raises DatafoldError: it failed for good.
        """
        conversation = look_surely(job, ids, self._settings, self.log, is_troubled=is_troubled)
        reading: JobStatus = self._open().run(conversation)
        return reading

    def wait(
        self,
        job: Job,
        ids: Mapping[str, Any],
        *,
        deadline: float,
        since: float | None = None,
        poll_interval: float | None = None,
    ) -> JobStatus:
        """Wait until a job ends; a temporary error does not end the wait.

        :param job: its kind, e.g. :data:`~airflow_provider_datafold.jobs.job.DATA_DIFF`.
        :param ids: its ids by name, e.g. ``{"datadiff_id": 7}``.
        :param deadline: when to give up, in seconds since the epoch.
        :param since: when the wait began, in seconds since the epoch; by default now.
        :param poll_interval: seconds between two looks; by default 2 at first, then a
            seventh of the time waited, at least 1 and at most 30.
        :return: its state at the end.
        :raises DatafoldDeadlineError: it still runs at the deadline.
        :raises DatafoldError: no look succeeded for an hour, all were refused for a minute, or one
            failed for good.
        """
        conversation = watch(
            job,
            ids,
            self._settings,
            self.log,
            deadline=deadline,
            since=since,
            interval=PollInterval(poll_interval),
        )
        reading: JobStatus = self._open().run(conversation)
        return reading

    def pause(self, seconds: float) -> None:
        """Do nothing for a while; :meth:`stop` ends that at once.

        :param seconds: how long.
        """
        self._open().run(pause(seconds))

    def stop(self) -> None:
        """Send nothing more: end a pause, abort a request that is under way.

        For an operator's ``on_kill``. Every call then raises
        :class:`~airflow_provider_datafold.exceptions.DatafoldStoppedError`.
        """
        self._is_stopped = True
        for helper in self._helpers:
            helper.stop()
        if self._client is not None:
            self._client.stop()

    def each(
        self, do: Callable[[JobHook, Item], Done], items: Sequence[Item], *, at_once: int
    ) -> list[Done]:
        """Do something for each item, for several at a time.

        :param do: takes a hook and an item; a hook is only in one thread at a time.
        :param items: the items.
        :param at_once: how many at a time, at most.
        :return: what it returns for each.
        :raises DatafoldError: it failed for one; then the others are stopped.
        """
        idle: SimpleQueue[JobHook] = SimpleQueue()

        def turn(item: Item) -> Done:
            helper = idle.get()
            try:
                return do(helper, item)
            finally:
                idle.put(helper)

        self._helpers = [self._helper() for _ in items[:at_once]]
        with ExitStack() as stack:
            for helper in self._helpers:
                idle.put(stack.enter_context(helper))
            threads = stack.enter_context(ThreadPoolExecutor(at_once))
            try:
                return [*threads.map(turn, items)]
            except BaseException:
                for helper in self._helpers:
                    helper.stop()
                raise

    def _helper(self) -> JobHook:
        """Make a hook for another thread, which need not ask Airflow for the connection."""
        helper = JobHook(self.datafold_conn_id)
        helper._settings, helper._is_stopped = self._settings, self._is_stopped
        return helper

    def call_after_stop(
        self,
        operation: Operation[Returned],
        *,
        within: float,
        max_retries: int | None = 0,
        **values: Any,
    ) -> Returned:
        """Call an operation once more when the task is being stopped.

        It works after :meth:`stop`, over a connection of its own.

        :param operation: what is asked for.
        :param within: seconds that a request may take, and after which none is sent again.
        :param max_retries: how often to try again; ``None`` for what the connection says.
        :param values: the fields of path and query by name.
        :return: as for :meth:`call`.
        :raises DatafoldError: as for :meth:`call`.
        """
        request = self.checked(lambda values: operation.request(**values), values)
        timeout = min(within, self._settings.timeout)
        settings = replace(self._settings, timeout=timeout, call_timeout=within)
        client = self._make_client(settings)
        try:
            conversation = converse(request, settings, self.log, max_retries=max_retries)
            returned: Returned = client.run(conversation)
            return returned
        finally:
            client.close()

    def may_retry(self, attempt: int, seconds: float) -> bool:
        """Say whether the connection allows another attempt at something.

        :param attempt: number of the attempt that failed, from 1.
        :param seconds: how long all attempts have taken.
        """
        longest = self._settings.call_timeout
        return attempt <= self._settings.max_retries and (longest is None or seconds < longest)

    def _rest(self, seconds: float) -> None:
        # There is no client yet, whose pauses a stop ends.
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._is_stopped:
                raise stopped()
            time.sleep(min(left, _STEP))

    def _open(self) -> Client:
        client = super()._open()
        if self._is_stopped:
            client.stop()
        return client
