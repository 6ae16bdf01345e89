"""The trigger that waits for a job of any kind."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_provider_datafold import USER_AGENT, client
from airflow_provider_datafold.connection.fetch import fetch_settings_async
from airflow_provider_datafold.exceptions import DatafoldDeadlineError, DatafoldError
from airflow_provider_datafold.jobs.job import JOBS
from airflow_provider_datafold.jobs.trouble import DEADLINE, PASSING, REFUSALS, TROUBLE, Trouble
from airflow_provider_datafold.jobs.watch import PollInterval, watch

if TYPE_CHECKING:
    from airflow_provider_datafold.api.operation import Operation

_log = logging.getLogger(__name__)

_TO_CANCEL = 15.0
"""Seconds that a cancel may take."""

_TO_ASK = 30.0
"""Seconds that the question for the task's state may take: Airflow 3.0 to 3.2 build an API for the
first one, which takes 5 s on a machine that has nothing else to do."""

_FIELDS = (
    "job",
    "ids",
    "datafold_conn_id",
    "deadline",
    "since",
    "poll_interval",
    "cancel_on_kill",
    "not_before",
)
_HAS_ON_KILL = hasattr(BaseTrigger, "on_kill")
_KNOWS_WHAT_IS_CANCELLED = hasattr(asyncio.Task, "cancelling")
"""From Python 3.11 on."""


class DatafoldJobTrigger(BaseTrigger):
    """Waits for a job, and fires once: when it ended, or when the wait cannot go on.

    The event holds ids and state only; the worker reads the result again.

    :param job: the kind of job, by its name in :data:`~airflow_provider_datafold.jobs.job.JOBS`.
    :param ids: its ids.
    :param datafold_conn_id: id of the Airflow connection to Datafold.
    :param deadline: when to give up, in seconds since the epoch.
    :param since: when the wait began, in seconds since the epoch.
    :param poll_interval: seconds between two looks; ``None`` for an adaptive interval.
    :param cancel_on_kill: whether to cancel the job when a person stops the task.
    :param not_before: when to look first, in seconds since the epoch.
    """

    def __init__(
        self,
        job: str,
        ids: dict[str, Any],
        datafold_conn_id: str,
        deadline: float,
        since: float | None = None,
        poll_interval: float | None = None,
        cancel_on_kill: bool = False,
        not_before: float = 0.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.job = job
        self.ids = ids
        self.datafold_conn_id = datafold_conn_id
        self.deadline = deadline
        self.since = since
        self.poll_interval = poll_interval
        self.cancel_on_kill = cancel_on_kill
        self.not_before = not_before

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what a triggerer makes the trigger of."""
        return f"{__name__}.{type(self).__name__}", {name: getattr(self, name) for name in _FIELDS}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire once."""
        try:
            event = await self._wait()
        except asyncio.CancelledError:
            # From 3.3 on Airflow calls on_kill itself.
            if self.cancel_on_kill and not _HAS_ON_KILL and not _is_shutting_down():
                await _finish(self._cancel_if_stopped())
            raise
        except Exception as error:
            # Never a stack trace: the worker looks for itself and says what is wrong.
            event = _trouble(error)
        yield TriggerEvent({**event, "job": self.job, "ids": self.ids})  # type: ignore[no-untyped-call]

    async def on_kill(self) -> None:
        """Cancel the job when a person stops the task (Airflow 3.3 and later)."""
        if self.cancel_on_kill:
            await _finish(self._cancel())

    async def _wait(self) -> dict[str, Any]:
        """Wait for the event. What fails in here passes as a failed look does."""
        begin = time.time()
        await asyncio.sleep(max(0.0, min(self.not_before, self.deadline) - begin))
        interval, trouble = PollInterval(self.poll_interval), Trouble()
        while True:
            try:
                return await self._watch(interval, trouble)
            except Exception as error:
                now = time.time()
                if trouble.is_final(error, now):
                    return _trouble(error)
                # The text of a foreign error may show a secret.
                said = error.summary if isinstance(error, DatafoldError) else type(error).__name__
            if now >= self.deadline:
                return _deadline()
            _log.warning("Could not check the %s: %s. Still waiting.", self.job, said)
            usual = interval.pause(now - (self.since or begin), jitter=random.random())  # noqa: S311
            pause = trouble.pause(usual)
            await asyncio.sleep(min(pause, self.deadline - now))

    async def _watch(self, interval: PollInterval, trouble: Trouble) -> dict[str, Any]:
        """Look at the job until the wait is over, and return the event."""
        settings = await fetch_settings_async(self.datafold_conn_id)
        conversation = watch(
            JOBS[self.job],
            self.ids,
            settings,
            _log,
            deadline=self.deadline,
            since=self.since,
            interval=interval,
            trouble=trouble,
        )
        try:
            async with client.loop.AsyncClient(
                settings, USER_AGENT, waits_until=self.deadline
            ) as driver:
                reading = await driver.run(conversation)
        except DatafoldDeadlineError:
            return _deadline()
        except DatafoldError as error:
            # The others are final with the first look.
            return _trouble(error, is_lasting=isinstance(error, (*PASSING, *REFUSALS)))
        return {"state": reading.state.value, "status": reading.status}

    async def _cancel_if_stopped(self) -> None:
        if await self._is_stopped():
            await self._cancel()

    async def _cancel(self) -> None:
        """Cancel the job; a cancel that is refused or comes too late is no error."""
        job = JOBS[self.job]
        if job.cancel is None:
            return
        try:
            await asyncio.wait_for(self._send(job.cancel, job.values(self.ids)), _TO_CANCEL)
        except DatafoldError as error:
            _log.warning("Could not cancel the %s: %s.", job.noun, error.summary)

    async def _send(self, operation: Operation[Any], values: Mapping[str, Any]) -> None:
        """Call an operation before all others that wait for their turn."""
        settings = await fetch_settings_async(self.datafold_conn_id)
        async with client.loop.AsyncClient(settings, USER_AGENT, is_urgent=True) as driver:
            await driver.call(operation, **values)

    async def _is_stopped(self) -> bool:
        """Ask whether a person stopped the task: a triggerer that restarts cancels, too."""
        question = sync_to_async(partial(_state_of, self.task_instance))
        state = await asyncio.wait_for(question(), _TO_ASK)
        # A task that is being cleared has none, and one whose DAG run was deleted has no state
        # either: only a restart leaves it deferred.
        return str(state) != "deferred"


def _deadline() -> dict[str, Any]:
    return {"state": DEADLINE, "error": DatafoldDeadlineError.__name__}


def _trouble(error: Exception, *, is_lasting: bool = False) -> dict[str, Any]:
    """Return the event of a wait that the worker must look after.

    :param error: what ended it.
    :param is_lasting: whether looks have failed for too long, so that the worker's look decides.
    """
    return {"state": TROUBLE, "error": type(error).__name__, "is_lasting": is_lasting}


def _is_shutting_down() -> bool:
    """Say whether all that runs here is being cancelled: then no person has stopped this task.

    Airflow 3.2 would not answer the question for its state any more, and the thread that asks
    would keep the triggerer from ending.
    """
    if not _KNOWS_WHAT_IS_CANCELLED:
        return False
    others = asyncio.all_tasks() - {asyncio.current_task()}
    return all(task.cancelling() for task in others)


def _state_of(task_instance: Any) -> Any:
    """Ask Airflow for the state of a task."""
    names = {"dag_id": task_instance.dag_id, "map_index": task_instance.map_index}
    try:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
    except ImportError:  # Airflow 2
        from airflow.models import TaskInstance
        from airflow.utils.session import create_session

        with create_session() as session:
            query = session.query(TaskInstance.state).filter_by(
                **names, task_id=task_instance.task_id, run_id=task_instance.run_id
            )
            return query.scalar()
    states = RuntimeTaskInstance.get_task_states(
        **names, task_ids=[task_instance.task_id], run_ids=[task_instance.run_id]
    )
    found = states.get(task_instance.run_id, {})
    name = task_instance.task_id
    if task_instance.map_index >= 0:
        name = f"{name}_{task_instance.map_index}"
    return found.get(name)


async def _finish(work: Any) -> None:
    """Do something to its end, though Airflow cancels a trigger again and again meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with suppress(asyncio.CancelledError, Exception):
            await asyncio.shield(task)
    # Asked of the task itself: the last cancel may have come together with its end.
    if not task.cancelled() and (error := task.exception()):
        _log.warning("Could not cancel the job of a stopped task: %s.", type(error).__name__)
