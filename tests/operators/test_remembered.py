"""Jobs without a tag after a lost worker: only the task's store still knows them."""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_datafold.exceptions import (
    DatafoldAlertError,
    DatafoldConflictError,
    DatafoldJobCancelledError,
    DatafoldJobFailedError,
    DatafoldNotFoundError,
)
from airflow_provider_datafold.jobs.once import ownership
from airflow_provider_datafold.operators.ci import (
    DatafoldTriggerCIOperator,
    DatafoldUploadCIChangesOperator,
)
from airflow_provider_datafold.operators.data_sources import DatafoldTestDataSourceOperator
from airflow_provider_datafold.operators.monitors import DatafoldRunMonitorOperator
from dev.sandbox import Sandbox
from dev.sandbox.course import Course, Job, Step
from tests.conftest import API_KEY, Log
from tests.contexts import Store, context_of
from tests.pull_request import CHANGES, PULL_REQUEST
from tests.waits import changes, deferred, sent, to_its_end


@dataclass(frozen=True)
class Kind:
    """A kind of job: where the sandbox keeps it, what starts it, and how it goes and ends."""

    section: str
    operator: Any
    given: dict[str, Any]
    way: str
    end: Course
    id_name: str = "run_id"

    def task(self, **arguments: Any) -> Any:
        usual = {"poll_interval": 0.01, "deferrable": False}
        return self.operator(task_id="job", **{**usual, **self.given, **arguments})

    def lose(self, sandbox: Any, store: Store) -> TaskDeferred:
        """Lose a worker after it has started a job that goes on."""
        way = Course((Step(self.way, seconds=math.inf),), "")
        getattr(sandbox.state, self.section).courses.default = way
        task = self.task(deferrable=True)
        return deferred(task.execute, context_of(task, store=store))

    def end_all(self, sandbox: Any, end: Course | None = None) -> None:
        """End all jobs now, and those to come at once."""
        section, end = getattr(sandbox.state, self.section), end or self.end
        section.courses.default = end
        section.jobs.update(dict.fromkeys(section.jobs, Job(end)))

    def retry(
        self, store: Store | None, number: int = 2, *, given: Any = None, **context: Any
    ) -> Any:
        """Let another try of the task come to its end, and return the id of its job."""
        task = self.task(**(given or {}))
        context = context_of(task, try_number=number, store=store, **context)
        return to_its_end(task, context)[self.id_name]


PASSED = {"results": [{"step": "connection", "status": "done", "result": None}]}
OK, DONE = Course((), "ok"), Course((), "done")
MONITOR = Kind("monitors", DatafoldRunMonitorOperator, {"monitor_id": 4}, "checking", OK)
WAITS = {"ci_config_id": 2, **PULL_REQUEST, "wait_for_completion": True}
CI = Kind("ci", DatafoldTriggerCIOperator, WAITS, "processing", DONE)
TESTED = Course((), "done", PASSED)
SOURCE = {"data_source_id": 2}
TEST = Kind("data_sources", DatafoldTestDataSourceOperator, SOURCE, "processing", TESTED, "job_id")


@pytest.fixture(autouse=True)
def _connected(connections: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of these send to the sandbox. An Airflow that has a store counts each clear."""
    monkeypatch.setattr(ownership, "tells_of_each_clear", lambda: True)


@pytest.fixture
def store() -> Store:
    """The store of a task that has kept nothing yet."""
    return Store()


@pytest.mark.parametrize("kind", [MONITOR, CI, TEST], ids=["monitor", "CI", "test"])
@pytest.mark.parametrize("try_number", [1, 2], ids=["started twice", "next try"])
def test_the_job_of_a_lost_worker_is_taken_over(
    kind: Kind, try_number: int, sandbox: Any, store: Store, task_log: Log
) -> None:
    kind.lose(sandbox, store)
    kind.end_all(sandbox)

    assert kind.retry(store, try_number) == 1
    assert len(changes(sandbox)) == 1
    (told,) = (text for text in task_log.messages if text.startswith("Took over the "))
    assert told.endswith(f"{kind.id_name} 1.")


def test_a_job_that_goes_on_has_the_time_that_was_left(sandbox: Any, store: Store) -> None:
    lost = MONITOR.lose(sandbox, store)
    task = MONITOR.task(deferrable=True)
    found = deferred(task.execute, context_of(task, store=store))
    (_, fields), (_, fields_before) = found.trigger.serialize(), lost.trigger.serialize()
    assert fields.pop("not_before") >= fields_before.pop("not_before")
    assert fields == fields_before
    assert lost.kwargs == {**found.kwargs, "is_taken_over": False}
    assert found.kwargs["is_taken_over"]
    assert len(changes(sandbox)) == 1


@pytest.mark.parametrize("other", [{"clear_number": 1}, {"given": {"monitor_id": 3}}], ids=repr)
def test_another_generation_starts_its_own(
    other: dict[str, Any], sandbox: Any, store: Store
) -> None:
    MONITOR.lose(sandbox, store)
    MONITOR.end_all(sandbox)
    assert MONITOR.retry(store, **other) == 2
    assert len(changes(sandbox)) == 2


def test_another_host_has_other_jobs(sandbox: Any, store: Store, connect: Any) -> None:
    MONITOR.lose(sandbox, store)
    with Sandbox(api_key=API_KEY) as other:
        connect("datafold_default", host=other.url, password=API_KEY)
        MONITOR.end_all(other)
        MONITOR.retry(store)
        assert len(changes(other)) == 1


@pytest.mark.parametrize("end", ["error", "cancelled"])
def test_what_came_to_nothing_is_started_again(end: str, sandbox: Any, store: Store) -> None:
    MONITOR.lose(sandbox, store)
    MONITOR.end_all(sandbox, Course((), end))
    sandbox.state.monitors.courses.default = MONITOR.end
    assert MONITOR.retry(store) == 2


def test_who_cancels_the_job_later_cancels_the_task(sandbox: Any, store: Store) -> None:
    MONITOR.lose(sandbox, store)
    task = MONITOR.task(deferrable=True)
    context = context_of(task, try_number=2, store=store)
    wait = deferred(task.execute, context)
    MONITOR.end_all(sandbox, Course((), "cancelled"))
    with pytest.raises(DatafoldJobCancelledError):
        task.execute_complete(context, None, **wait.kwargs)
    assert len(changes(sandbox)) == 1


# What was judged.


@pytest.mark.parametrize(
    ("end", "error"),
    [
        ("error", DatafoldJobFailedError),
        # Airflow itself does not retry it, but a policy of the user's may.
        ("alert", DatafoldAlertError),
    ],
)
def test_a_retry_of_what_was_judged_starts_another(
    end: str, error: type[Exception], sandbox: Any, store: Store
) -> None:
    MONITOR.end_all(sandbox, Course((), end))
    with pytest.raises(error):
        MONITOR.retry(store, 1)
    MONITOR.end_all(sandbox)
    assert MONITOR.retry(store) == 2


def test_what_has_passed_is_not_started_again(sandbox: Any, store: Store) -> None:
    # The worker may be lost before Airflow knows.
    MONITOR.end_all(sandbox)
    assert [MONITOR.retry(store, number) for number in (1, 2)] == [1, 1]
    assert len(changes(sandbox)) == 1
    # Without a store nobody knows.
    assert MONITOR.retry(None) == 2


def test_a_job_that_is_gone_is_forgotten(sandbox: Any, store: Store, log: Log) -> None:
    MONITOR.lose(sandbox, store)
    sandbox.state.monitors.runs.clear()
    sandbox.state.monitors.courses.default = MONITOR.end
    MONITOR.retry(store)
    assert len(changes(sandbox)) == 2
    (told,) = (text for text in log.warnings if " is gone: " in text)
    assert told.startswith("The monitor run that an earlier try started is gone: 404, ")


def test_a_run_that_is_not_listed_is_an_error(sandbox: Any, store: Store) -> None:
    # Its result is unknown, and nothing says that it does not run.
    CI.lose(sandbox, store)
    sandbox.state.ci.runs[2].clear()
    with pytest.raises(DatafoldNotFoundError):
        CI.retry(store)
    assert len(changes(sandbox)) == 1


# Tasks that do not wait.


def test_who_does_not_wait_does_not_look(sandbox: Any, store: Store) -> None:
    CI.lose(sandbox, store)
    CI.end_all(sandbox, Course((), "failed"))
    sent(sandbox)
    task = CI.task(wait_for_completion=False)
    returned = task.execute(context_of(task, try_number=2, store=store))
    assert returned == {"ci_config_id": 2, "run_id": 1, "status": None}
    assert sent(sandbox) == []


def test_changes_are_uploaded_once(sandbox: Any, store: Store) -> None:
    number = sandbox.state.ci.add(2, PULL_REQUEST)

    def upload(**arguments: Any) -> Any:
        given = {"ci_config_id": 2, "pr_number": 8, "changes": CHANGES, "poll_interval": 0.01}
        task = DatafoldUploadCIChangesOperator(task_id="job", **{**given, **arguments})
        return to_its_end(task, context_of(task, store=store))

    first = upload()
    # By now no run of the pull request is active, so it accepts no upload.
    CI.end_all(sandbox)
    assert upload() == first
    assert first["run_id"] == number
    assert len(changes(sandbox)) == 1
    with pytest.raises(DatafoldConflictError):
        upload(changes=CHANGES[:0])


# A store that does not work.


@pytest.mark.parametrize(
    ("broken", "end", "warning", "jobs"),
    [
        (
            "get",
            "ok",
            "Could not read from the task's store whether an earlier try started the ",
            2,
        ),
        (
            "set",
            "ok",
            "Could not keep the monitor run's id in the task's store (RuntimeError). ",
            2,
        ),
        ("delete", "alert", "Could not remove the monitor run's id from the task's store ", 1),
    ],
)
def test_a_store_that_fails_is_a_warning(
    broken: str, end: str, warning: str, jobs: int, sandbox: Any, store: Store, log: Log
) -> None:
    store.broken = {broken}
    MONITOR.end_all(sandbox, Course((), end))
    for number in (1, 2):
        with nullcontext() if end == "ok" else pytest.raises(DatafoldAlertError):
            MONITOR.retry(store, number)
    assert all(said.startswith(warning) for said in log.warnings)
    assert len(log.warnings) == 2
    assert len(changes(sandbox)) == jobs


@pytest.mark.parametrize("kept", ['"x"', '{"owner": "x", "ids": {}, "since": 1.0}', None])
def test_what_somebody_else_has_kept_is_nothing(
    kept: str | None, sandbox: Any, store: Store
) -> None:
    MONITOR.lose(sandbox, store)
    # Another version of this package may have kept fewer ids.
    own = json.loads(store.kept["datafold_job"])
    del own["ids"]["run_id"]
    store.kept["datafold_job"] = kept or json.dumps(own)
    MONITOR.end_all(sandbox)
    assert MONITOR.retry(store) == 2
