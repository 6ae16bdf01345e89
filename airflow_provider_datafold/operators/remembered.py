"""The shared part of the operators whose jobs have no tags, so that only Airflow can keep them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold import jobs
from airflow_provider_datafold.exceptions import DatafoldError
from airflow_provider_datafold.operators.job import DatafoldJobOperator
from airflow_provider_datafold.operators.wait import Wait

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.once.memory import Memory
    from airflow_provider_datafold.jobs.watch import JobStatus


class DatafoldRememberedJobOperator(DatafoldJobOperator):
    """Starts a job, and goes on with it in the task's next try if a worker is lost.

    Airflow keeps the job's ids from 3.3 on. With an older Airflow, the next try starts another job.
    """

    _asked: Mapping[str, Any]
    """What the job is started with, as it was checked."""

    def claim(self, hook: JobHook, context: Context, *, force_new: bool = False) -> Wait:
        """Start the job, or take over the one that an earlier try started."""
        memory = self._memory(hook, context)
        known = memory.recall(is_awaited=self.wait_for_completion)
        if known is None:
            ids = self.begin(hook)
            return Wait(ids, memory.keep(ids))
        shown = ", ".join(f"{name} {number}" for name, number in known.ids.items())
        self.log.info("Took over the %s that an earlier try started: %s.", self.job.noun, shown)
        return Wait(known.ids, known.since, is_taken_over=True, answer=known.answer)

    def begin(self, hook: JobHook) -> Mapping[str, Any]:
        """Start the job, and return its ids by name."""
        raise NotImplementedError

    def _judge(self, hook: JobHook, context: Context, wait: Wait, reading: JobStatus) -> Any:
        try:
            return super()._judge(hook, context, wait, reading)
        except DatafoldError:
            self._memory(hook, context).forget()
            raise

    def _memory(self, hook: JobHook, context: Context) -> Memory:
        return jobs.once.memory.Memory(hook, context, self.job, self._asked)
