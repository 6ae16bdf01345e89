"""The kinds of job that Datafold runs, and what their states mean. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from airflow_provider_datafold.api import ci, data_diffs, data_sources, monitors
from airflow_provider_datafold.api.operation import Operation

PAGE_SIZE = 100
MOST_PAGES = 10
"""Of a list, so that no service can make a task read without end."""


class State(str, Enum):
    """What a job's status means for whoever waits."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    """The job did its work; what it found is another matter."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"
    """It waits for a person, so waiting longer will not help."""


@dataclass(frozen=True)
class Job:
    """A kind of job.

    :param name: short and stable: triggers are kept in users' databases by it.
    :param noun: what messages call it.
    :param read: the operation that shows it.
    :param status: the field with its status.
    :param states: what each known status means; one that nobody knows is not an end.
    :param cancel: the operation that cancels it, ``None`` where there is none.
    :param asks: the names of the ids that ``read`` and ``cancel`` take.
    :param is_read_from_pages: whether ``read`` lists runs, page by page, and the job is the one of
        them whose id is ``run_id``.
    """

    name: str
    noun: str
    read: Operation[Any]
    status: str
    states: Mapping[str, State]
    asks: tuple[str, ...]
    cancel: Operation[Any] | None = None
    is_read_from_pages: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        """The names of all ids by which it is known."""
        return (*self.asks, "run_id") if self.is_read_from_pages else self.asks

    def values(self, ids: Mapping[str, Any]) -> dict[str, Any]:
        """Return what :attr:`read` and :attr:`cancel` must be given."""
        return {name: ids[name] for name in self.asks}

    def state_of(self, status: Any) -> State | None:
        """Return what a status means, ``None`` where nobody knows it."""
        return self.states.get(status) if isinstance(status, str) else None

    def is_end(self, status: Any) -> bool:
        """Return whether a status is known to be an end."""
        return self.state_of(status) not in (None, State.RUNNING)


_JOB_STATUS = {
    "needs_confirmation": State.BLOCKED,
    "needs_authentication": State.BLOCKED,
    "waiting": State.RUNNING,
    "queued": State.RUNNING,
    "processing": State.RUNNING,
    "done": State.SUCCEEDED,
    "failed": State.FAILED,
    "cancelled": State.CANCELLED,
}

DATA_DIFF = Job(
    "data_diff",
    "data diff",
    data_diffs.GET,
    "status",
    _JOB_STATUS,
    ("datadiff_id",),
    cancel=data_diffs.CANCEL,
)
MONITOR_RUN = Job(
    "monitor_run",
    "monitor run",
    monitors.GET_RUN,
    "state",
    {
        "created": State.RUNNING,
        "queued": State.RUNNING,
        "checking": State.RUNNING,
        "ok": State.SUCCEEDED,
        "alert": State.SUCCEEDED,
        "learning": State.SUCCEEDED,
        "skipped": State.SUCCEEDED,
        "error": State.FAILED,
        "cancelled": State.CANCELLED,
    },
    ("monitor_id", "run_id"),
)
DATA_SOURCE_TEST = Job(
    "data_source_test",
    "test of a data source",
    data_sources.GET_TEST,
    "status",
    _JOB_STATUS,
    ("job_id",),
)
CI_RUN = Job(
    "ci_run",
    "CI run",
    ci.LIST_RUNS,
    "status",
    # Free text by the contract; these are the ends that are known.
    {"done": State.SUCCEEDED, "failed": State.FAILED, "cancelled": State.CANCELLED}
    | dict.fromkeys(("waiting", "queued", "processing"), State.RUNNING),
    ("ci_config_id", "pr_num"),
    is_read_from_pages=True,
)

JOBS = {job.name: job for job in (DATA_DIFF, MONITOR_RUN, DATA_SOURCE_TEST, CI_RUN)}
"""By their names."""
