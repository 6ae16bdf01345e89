"""The hook of our own operators: it also waits for jobs, and can be stopped."""

from __future__ import annotations

import math
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
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.jobs.job import Job
from airflow_provider_datafold.jobs.watch import JobStatus, PollInterval, look_surely, watch
from airflow_provider_datafold.redaction.redactor import Checked, Redactor
from airflow_provider_datafold.redaction.secret import concealed

if TYPE_CHECKING:
    from airflow_provider_datafold.client.worker import Client

Item = TypeVar("Item")
Done = TypeVar("Done")


class JobHook(DatafoldHook):
    """Calls Datafold for a task that may start a job, wait for it, and be stopped meanwhile."""

    _is_stopped = False
    _helpers: Sequence[JobHook] = ()
    """Hooks that work for this one, in threads."""

    @concealed
    def checked(self, check: Callable[..., Checked], *given: Any) -> Checked:
        """Run a check of what is going to be sent."""
        return self._guarded(partial(check, *given), *given)

    def send(self, request: Request) -> Any:
        """Send a request that an operation has made."""
        return self._send(request)

    def redactor(self, *given: Any) -> Redactor:
        """Make a redactor that knows the API key and the secrets in concealed values."""
        return self._redactor(*given)

    @property
    def host(self) -> str:
        """The host that calls go to, with its port if it has one."""
        return urlsplit(self._settings.base_url).netloc

    def look(self, job: Job, ids: Mapping[str, Any], *, is_troubled: bool = False) -> JobStatus:
        """Look at a job once, or for a minute if Datafold says 403 or 404."""
        conversation = look_surely(job, ids, self._settings, self.log, is_troubled=is_troubled)
        reading: JobStatus = self._open().run(conversation)
        return reading

    def wait(
        self,
        job: Job,
        ids: Mapping[str, Any],
        *,
        deadline: float,
        until: float = math.inf,
        since: float | None = None,
        poll_interval: float | None = None,
    ) -> JobStatus:
        """Wait until a job ends, or a moment comes; a temporary error does not end the wait."""
        conversation = watch(
            job,
            ids,
            self._settings,
            self.log,
            deadline=deadline,
            until=until,
            since=since,
            interval=PollInterval(poll_interval),
        )
        reading: JobStatus = self._open().run(conversation)
        return reading

    def pause(self, seconds: float) -> None:
        """Do nothing for a while; :meth:`stop` ends that at once."""
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
        """Do something for each item, for several at a time."""
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
        """Say whether the connection allows another attempt at something."""
        longest = self._settings.call_timeout
        return attempt <= self._settings.max_retries and (longest is None or seconds < longest)

    def _open(self) -> Client:
        client = super()._open()
        if self._is_stopped:
            client.stop()
        return client
