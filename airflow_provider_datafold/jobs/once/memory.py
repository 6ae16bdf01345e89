"""What a task remembers of the job that it started, in the store that Airflow 3.3 gives each task.

Of all jobs only data diffs have tags. Whose another job is, only its task knows. The task's store
lives over retries and over clears, so what is kept there says whose it is, like a data diff's tag.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.exceptions import DatafoldNotFoundError
from airflow_provider_datafold.jobs.job import Job, State
from airflow_provider_datafold.jobs.once.ownership import owner_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.jobs.hook import JobHook

_KEY = "datafold_job"
"""Key in the task's store. It lives in users' databases."""


@dataclass(frozen=True)
class Known:
    """A job that an earlier try of a task started, and how the API shows it if it was read."""

    ids: Mapping[str, Any]
    since: float
    answer: Mapping[str, Any] = field(default_factory=dict)


class Memory:
    """Keeps which job a generation of a task's run has started; without a store, nothing.

    A store that fails is no error: the task then does what it does without one. If the task asks
    for something else than before, it is not the same job.
    """

    def __init__(self, hook: JobHook, context: Context, job: Job, asked: Mapping[str, Any]) -> None:
        self._hook = hook
        self._job = job
        self._store: Any = context.get("task_state_store")
        # Elsewhere the same ids are those of other jobs.
        self._owner = owner_of(context, {"host": hook.host, "job": job.name, **asked}).tag

    def recall(self, *, is_awaited: bool) -> Known | None:
        """Return the job that an earlier try of this generation started.

        If the task waits for its end, one that has come to nothing is left, and one that is gone is
        forgotten: a retry is to start another.
        """
        found = self._found()
        if found is None or not is_awaited:
            return found
        try:
            reading = self._hook.look(self._job, found.ids)
        except DatafoldNotFoundError as error:
            # A list that does not show it says too little: it may run.
            if error.status_code != 404:
                raise
            self._hook.log.warning(
                "The %s that an earlier try started is gone: %s. Starting another one.",
                self._job.noun,
                error.summary,
            )
            self.forget()
            return None
        if reading.state in (State.FAILED, State.CANCELLED):
            return None
        return replace(found, answer=reading.answer)

    def keep(self, ids: Mapping[str, Any]) -> float:
        """Keep which job was started just now, and return the time."""
        since = time.time()
        value = {"owner": self._owner, "ids": dict(ids), "since": since}
        self._use(
            lambda store: store.set(_KEY, value),
            f"keep the {self._job.noun}'s id in the task's store",
            "If the worker is lost, the next try starts another one",
        )
        return since

    def forget(self) -> None:
        """Forget the job: it was judged, and a retry is to start another."""
        self._use(
            lambda store: store.delete(_KEY),
            f"remove the {self._job.noun}'s id from the task's store",
            "A retry may judge the same one again",
        )

    def _found(self) -> Known | None:
        kept = self._use(
            lambda store: store.get(_KEY),
            f"read from the task's store whether an earlier try started the {self._job.noun}",
            "If one did, this try starts another one",
        )
        match kept:
            case {"owner": self._owner, "ids": dict() as ids, "since": float() as since}:
                # Another version of this package may have kept others.
                return Known(ids, since) if ids.keys() >= {*self._job.needs} else None
        return None

    def _use(self, call: Callable[[Any], Any], what: str, so: str) -> Any:
        if self._store is None:
            return None
        try:
            return call(self._store)
        except Exception as error:
            # Not its text: it may repeat a response of Airflow's API.
            self._hook.log.warning("Could not %s (%s). %s.", what, type(error).__name__, so)
        return None
