"""The gate in one process: its requests, how it waits and resumes, and how it is stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_datafold.exceptions import (
    DatafoldConfigurationError,
    DatafoldDeadlineError,
    DatafoldError,
    DatafoldInputError,
    DatafoldJobCancelledError,
    DatafoldJobFailedError,
    DatafoldNotComparedError,
    DatafoldStoppedError,
)
from airflow_provider_datafold.jobs.gate.report import KEY, TEXT
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.jobs.once import ownership
from airflow_provider_datafold.jobs.once.ownership import owner_of
from airflow_provider_datafold.links import DatafoldDataDiffLink
from airflow_provider_datafold.operators import job
from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from dev.faults.behaviours import answer
from dev.faults.server import Call, Step, Then
from dev.sandbox.course import Course, Job, Step as OnTheWay
from dev.sandbox.data_diffs import DIFFERENT, IDENTICAL, done
from tests.conductor import Conductor, changed, lost
from tests.contexts import context_of
from tests.interruptions import on_signal
from tests.waits import NEVER, deferred, event_of, gate, sent, to_its_end

BODY = {
    "data_source1_id": 1,
    "data_source2_id": 1,
    "table1": ["A", "B"],
    "table2": ["A", "C"],
    "pk_columns": ["id"],
}
CANCELLED = Course((OnTheWay("processing"),), "cancelled")


def courses(sandbox: Any, *those: Course) -> None:
    sandbox.state.data_diffs.courses.coming.extend(those)


def status(sandbox: Any, number: int) -> str:
    found: str = sandbox.state.data_diffs.peek(number)["status"]
    return found


CREATE, LIST = "POST /datadiffs", "GET /datadiffs"
pytestmark = pytest.mark.usefixtures("connections")


@pytest.fixture
def _tells_of_each_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Airflow does from 3.2 on: before, a retry takes nothing over."""
    monkeypatch.setattr(ownership, "tells_of_each_clear", lambda: True)


takes_over = pytest.mark.usefixtures("_tells_of_each_clear")


# Its requests and its return value.


def test_returns_the_same_in_each_mode(sandbox: Any, log: Any) -> None:
    courses(sandbox, DIFFERENT, DIFFERENT)
    task = gate(on_difference="pass")
    context = context_of(task)
    first = task.execute(context)
    details = [f"GET /datadiffs/3/{end}" for end in ("summary_results", "summary")]
    assert sent(sandbox) == [CREATE, *["GET /datadiffs/3"] * 3, *details]
    task = gate(on_difference="pass", deferrable=True)
    other = context_of(task, run_id="other")
    found = deferred(task.execute, other)
    assert sent(sandbox) == [LIST, CREATE, "GET /datadiffs/4"]
    second = task.execute_complete(other, event_of(found.trigger), **found.kwargs)
    url = f"{sandbox.url}/datadiffs/3/overview"
    assert (first["id"], first["result"], first["url"]) == (3, "different", url)
    assert second == {**first, "id": 4, "url": url.replace("/3/", "/4/")}
    assert other["ti"].pushed[KEY]["id"] == 4
    assert context["ti"].pushed.keys() == {KEY, TEXT, DatafoldDataDiffLink.xcom_key}


def test_does_not_wait_where_that_is_not_asked_for(sandbox: Any) -> None:
    task = gate(wait_for_completion=False, deferrable=True)
    assert task.execute(context_of(task)) == {
        "id": 3,
        "status": "waiting",
        "result": None,
        "url": f"{sandbox.url}/datadiffs/3/overview",
        "diff_stats": None,
    }
    assert sent(sandbox) == [CREATE]
    task.on_kill()
    assert status(sandbox, 3) == "waiting"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"timeout": 0}, DatafoldInputError),
        ({"pk_columns": None}, DatafoldInputError),
        ({"on_difference": "stop"}, DatafoldInputError),
        ({"datafold_conn_id": "nowhere"}, DatafoldConfigurationError),
    ],
)
def test_checks_before_it_sends(
    sandbox: Any, arguments: dict[str, Any], error: type[Exception]
) -> None:
    task = gate(**arguments)
    with pytest.raises(error, match=r"Nothing was sent"):
        task.execute(context_of(task))
    task.on_kill()
    assert sent(sandbox) == []


# How long it waits.


@takes_over
def test_what_was_taken_over_has_the_rest_of_its_time(sandbox: Any) -> None:
    courses(sandbox, NEVER)
    task = gate(deferrable=True, timeout=3600)
    first = deferred(task.execute, context_of(task))
    made = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(minutes=30)
    sandbox.state.data_diffs.diffs[3]["created_at"] = made.isoformat()
    second = deferred(task.execute, context_of(task, try_number=2, max_tries=0))
    since = made.timestamp()
    wait = {"ids": {"datadiff_id": 3}, "since": since, "deadline": since + 3600}
    doubt = {"is_taken_over": True, "is_doubtful": True}
    assert second.kwargs.items() >= {**wait, **doubt}.items()
    assert first.kwargs["since"] > since
    # Datafold's clock may be ahead or unknown: neither changes the deadline.
    for made in ("2124-05-01T06:30:00Z", None):
        sandbox.state.data_diffs.diffs[3]["created_at"] = made
        third = deferred(task.execute, context_of(task, try_number=3))
        assert first.kwargs["since"] <= third.kwargs["since"] <= time.time()


# How it continues after the triggerer has waited.

DONE = {"state": "succeeded", "status": "done", "job": "data_diff", "ids": {"datadiff_id": 3}}


@pytest.mark.parametrize("event", [None, ["ids"], {"ids": "3"}, {"ids": {"other": 3}}])
def test_a_resume_that_names_no_data_diff_is_an_error(sandbox: Any, event: Any) -> None:
    task = gate(deferrable=True)
    with pytest.raises(DatafoldInputError, match="ids: must have datadiff_id of the data diff"):
        task.execute_complete(context_of(task), event)
    assert sent(sandbox) == []


@pytest.mark.parametrize("deferrable", [False, True])
def test_does_not_judge_what_has_the_tags_of_something_else(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    of_another = changed(tags=["seen"], status="done", result="identical")
    Conductor(monkeypatch, faults={"mine": {"read": [of_another, ...]}})
    with pytest.raises(DatafoldNotComparedError, match="Data diff 3 has tags, but not this task's"):
        to_its_end(gate(tags=["mine"], deferrable=deferrable))


def test_an_event_of_another_try_is_not_its_own(sandbox: Any) -> None:
    # Airflow 3.0 passes it to the next one.
    task = gate(deferrable=True)
    kwargs = deferred(task.execute, context_of(task)).kwargs
    sandbox.state.data_diffs.jobs[3].stop("failed")
    found = deferred(task.execute_complete, context_of(task, try_number=2), event=DONE, **kwargs)
    assert found.kwargs["ids"] == {"datadiff_id": 4}
    assert found.kwargs["try_number"] == 2


# One data diff for each verdict.


@pytest.mark.parametrize("arguments", [{"cancel_on_kill": False}, {"wait_for_completion": False}])
def test_what_must_not_cancel_leaves_what_an_earlier_generation_started(
    sandbox: Any, arguments: dict[str, Any]
) -> None:
    courses(sandbox, NEVER, IDENTICAL)
    task = gate(wait_for_completion=False)
    task.execute(context_of(task))
    task = gate(**arguments)
    assert task.execute(context_of(task, try_number=2, max_tries=1))["id"] == 4
    assert status(sandbox, 3) == "processing"


@pytest.mark.parametrize(("deferrable", "end"), [(False, "failed"), (True, "done")])
def test_a_second_one_that_appears_late_is_cancelled_before_the_verdict(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, deferrable: bool, end: str
) -> None:
    Conductor(monkeypatch, faults={"mine": {"create": [503]}})
    task = gate(deferrable=deferrable, tags=["mine"])
    context = context_of(task)
    courses(sandbox, Course((OnTheWay("processing"),), end, IDENTICAL.outcome), NEVER)
    # The creation that got 503 is carried out while the task waits for the second one.
    late: list[int] = []
    conclude = DatafoldRunDataDiffOperator.ended

    def ended(*given: Any) -> Any:
        tags = sandbox.state.data_diffs.peek(3)["tags"]
        late.append(sandbox.state.data_diffs.add({**BODY, "tags": tags}, Job(NEVER))["id"])
        return conclude(*given)

    monkeypatch.setattr(DatafoldRunDataDiffOperator, "ended", ended)
    with nullcontext() if end == "done" else pytest.raises(DatafoldJobFailedError):
        if deferrable:
            wait = deferred(task.execute, context)
            plain = json.loads(json.dumps(wait.kwargs))
            assert plain["tag"] == owner_of(context, task._request.body).tag
            # The run was cleared since; another process resumes the task.
            task = gate(deferrable=True, tags=["mine"])
            context["dag_run"].clear_number = 1
            task.execute_complete(context, event_of(wait.trigger), **plain)
        else:
            task.execute(context)
    assert [status(sandbox, number) for number in late] == ["cancelled"]
    assert status(sandbox, 3) == end


@pytest.mark.parametrize(
    ("error", "cancel_on_kill", "state"),
    [
        (DatafoldStoppedError, True, "cancelled"),
        (DatafoldStoppedError, False, "processing"),
        (DatafoldDeadlineError, True, "cancelled"),
    ],
)
def test_a_second_one_is_cancelled_with_the_first(
    sandbox: Any,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
    cancel_on_kill: bool,
    state: str,
) -> None:
    def wait(*asked: Any, **more: Any) -> None:
        tags = sandbox.state.data_diffs.peek(3)["tags"]
        sandbox.state.data_diffs.add({**BODY, "tags": tags}, Job(NEVER))
        raise error("no longer")

    Conductor(monkeypatch, faults={"mine": {"create": [503]}})
    monkeypatch.setattr(JobHook, "wait", wait)
    courses(sandbox, NEVER)
    task = gate(tags=["mine"], cancel_on_kill=cancel_on_kill)
    with pytest.raises(error):
        task.execute(context_of(task))
    task.on_kill()
    assert [status(sandbox, number) for number in (3, 4)] == [state, state]


def test_a_second_one_is_left_where_the_task_must_not_cancel(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Conductor(monkeypatch, faults={"mine": {"create": [lost]}})
    task = gate(tags=["mine"], cancel_on_kill=False)
    task.execute(context_of(task))
    assert sent(sandbox).count(LIST) == 1


# What fails between the creation and the wait.


@pytest.mark.parametrize(
    ("arguments", "fails", "state"),
    [
        ({}, "_watch", "cancelled"),
        ({"deferrable": True}, "_defer", "cancelled"),
        ({"cancel_on_kill": False}, "_watch", "processing"),
        ({"wait_for_completion": False}, "started", "processing"),
    ],
)
def test_whatever_fails_before_it_waits_leaves_nothing(
    sandbox: Any,
    monkeypatch: pytest.MonkeyPatch,
    arguments: dict[str, Any],
    fails: str,
    state: str,
) -> None:
    courses(sandbox, NEVER)
    task = gate(**arguments)
    monkeypatch.setattr(type(task), fails, lambda *_, **__: 1 / 0)
    context = context_of(task)
    with pytest.raises(ZeroDivisionError):
        task.execute(context)
    assert status(sandbox, 3) == state
    # It has a link before the first look.
    assert DatafoldDataDiffLink.xcom_key in context["ti"].pushed


def test_arguments_that_are_wrong_after_a_deferral_leave_nothing(sandbox: Any) -> None:
    courses(sandbox, NEVER)
    task = gate(deferrable=True)
    kwargs = deferred(task.execute, context_of(task)).kwargs
    # Another process resumes it, with what the DAG says by now.
    task = gate(deferrable=True, on_empty="never")
    with pytest.raises(DatafoldInputError, match="on_empty"):
        task.execute_complete(context_of(task), {"state": "trouble", "error": "KeyError"}, **kwargs)
    assert status(sandbox, 3) == "cancelled"


# Retries.


@takes_over
def test_what_was_taken_over_and_then_cancelled_is_replaced_once(sandbox: Any) -> None:
    # A task that is cleared while it runs may keep its generation.
    courses(sandbox, CANCELLED, CANCELLED, IDENTICAL)
    first, task = gate(wait_for_completion=False), gate()
    assert first.execute(context_of(first))["id"] == 3
    with pytest.raises(DatafoldJobCancelledError, match="Data diff 4 was cancelled"):
        task.execute(context_of(task, try_number=2))
    assert max(sandbox.state.data_diffs.diffs) == 4


SHOWN: dict[str, Any] = {
    "table1": ["PROD", "a", '"B"'],
    "query2": "SELECT * FROM (select 1 ...) AS q",
    "filter1": "(DAY = DATE '2024-05-01')",
    "pk_columns": ["LINE", '"id"'],
    "include_columns": None,
    "columns_to_compare": ["id", "Line", "amount"],
    "diff_tolerance": "0.5",
    "time_travel_point1": "2024-05-01T02:00:00+02:00",
    "source": None,
}
"""Quoted, folded, filled in, left out, in other types: as services show what they were sent."""


@takes_over
@pytest.mark.parametrize("deferrable", [False, True])
def test_a_retry_takes_over_what_is_shown_in_another_way(sandbox: Any, deferrable: bool) -> None:
    courses(sandbox, NEVER)
    asked: dict[str, Any] = {
        "table2": None,
        "query2": "select 1",
        "filter1": "day = '2024-05-01'",
        "pk_columns": ["id", "Line"],
        "include_columns": ["amount"],
        "options": {"diff_tolerance": 0.5, "time_travel_point1": "2024-05-01T00:00:00"},
    }
    task = gate(**asked, wait_for_completion=False)
    assert task.execute(context_of(task))["id"] == 3
    diff = sandbox.state.data_diffs.diffs[3]
    diff.update(SHOWN, tags=[tag.upper() for tag in diff["tags"]])
    sandbox.state.data_diffs.jobs[3] = Job(IDENTICAL)
    task = gate(**asked, deferrable=deferrable)
    assert to_its_end(task, context_of(task, try_number=2))["id"] == 3
    assert sent(sandbox).count(CREATE) == 1


# How it judges the end.


@pytest.mark.parametrize("deferrable", [False, True])
def test_tells_that_it_was_not_judged_in_time(sandbox: Any, deferrable: bool) -> None:
    courses(sandbox, NEVER)
    task = gate(deferrable=deferrable, timeout=0.1)
    context = context_of(task)
    with pytest.raises(DatafoldDeadlineError):
        to_its_end(task, context)
    told = context["ti"].pushed[KEY]
    assert (told["id"], told["outcome"], told["table1"]) == (3, "not_compared", "A.B")
    assert told["reason"].startswith("The data diff had not ended after ")
    assert status(sandbox, 3) == "cancelled"


def test_tells_nothing_of_a_data_diff_that_it_could_not_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Conductor(monkeypatch, faults={"mine": {"create": [403, ...]}})
    task = gate(tags=["mine"])
    context = context_of(task)
    with pytest.raises(DatafoldError):
        task.execute(context)
    assert context["ti"].pushed == {}


def test_a_limit_on_a_column_with_the_name_of_a_secret_is_one(sandbox: Any) -> None:
    courses(sandbox, DIFFERENT)
    limits = {"max_rows_added": 3, "max_rows_removed": 2}
    task = gate(max_values_different={"password": 7, "amount": None}, **limits)
    with pytest.raises(DatafoldNotComparedError, match="values different in 'password'"):
        task.execute(context_of(task))


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_sample_that_was_sent_is_no_count(sandbox: Any, deferrable: bool) -> None:
    # Neither the figures nor the data diff say that it was sampled.
    courses(sandbox, done("different", diff_rows_count=32, sampled=None))
    task = gate(deferrable=deferrable, options={"sampling_ratio": 0.05}, max_rows_different=50)
    with pytest.raises(DatafoldNotComparedError, match="only a sample was compared"):
        to_its_end(task)


# How it is stopped.

PATIENCE = 20.0
"""Seconds within which a stopped task must have ended."""


class Service:
    """A Datafold with a data diff that does not end; it answers some requests after seconds."""

    def __init__(self, create: float = 0.0, cancel: float = 0.0, *, lists: bool = True) -> None:
        self.seen: list[str] = []
        self.tags: list[str] = []
        self._create, self._cancel, self._lists = create, cancel, lists

    def __call__(self, call: Call) -> Iterable[Step]:
        assert call.request is not None
        path = call.request.target.partition("?")[0].removeprefix("/api/v1/datadiffs")
        self.seen.append(f"{call.request.method} {path}".strip())
        diff = {"id": 7, "status": "processing", "tags": self.tags}
        if call.request.method == "POST" and not path:
            self.tags = json.loads(call.request.body)["tags"]
            yield self._create
        elif not path:
            diff = {"results": [{**diff, "tags": self.tags}] if self._lists else []}
        elif path.endswith("/cancel"):
            yield self._cancel
        yield answer(200, json.dumps(diff).encode())
        yield Then.KEEP


@pytest.fixture
def serving(serve: Callable[..., Any]) -> Callable[..., Service]:
    def start(**how: Any) -> Service:
        service = Service(**how)
        serve(service, extra={"timeout": PATIENCE})
        return service

    return start


class TimeIsOver(BaseException):
    """What Airflow raises in a task whose execution_timeout is over, in our words."""


def time_is_over() -> None:
    raise TimeIsOver


def stopped(
    task: Any, when: Callable[[], object], error: type[BaseException] = DatafoldStoppedError
) -> None:
    """Stop a task while it executes: by a person, or because its time is over."""
    is_over = error is TimeIsOver
    with on_signal(time_is_over if is_over else task.on_kill, when), pytest.raises(error):
        task.execute(context_of(task))
    if is_over:
        # Airflow calls it when the task has ended.
        task.on_kill()


@pytest.mark.parametrize(
    ("arguments", "create", "when", "seen"),
    [
        ({"poll_interval": PATIENCE}, 0.0, "GET /7", ["POST", "GET /7", "POST /7/cancel"]),
        ({}, PATIENCE, "POST", ["POST", "GET", "POST /7/cancel"]),
        ({"cancel_on_kill": False}, PATIENCE, "POST", ["POST"]),
        ({"wait_for_completion": False}, PATIENCE, "POST", ["POST"]),
    ],
    ids=["waits", "creates", "must not cancel", "does not wait"],
)
@pytest.mark.parametrize("error", [DatafoldStoppedError, TimeIsOver])
def test_stopped_while_it(
    serving: Any,
    arguments: dict[str, Any],
    create: float,
    when: str,
    seen: list[str],
    error: type[BaseException],
) -> None:
    service = serving(create=create)
    stopped(gate(**arguments), lambda: when in service.seen, error)
    assert service.seen == seen


def test_killed_while_a_creation_is_pending_that_comes_to_nothing(
    serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "_LAST_SECONDS", 3.0)
    service = serving(create=PATIENCE, lists=False)
    stopped(gate(), lambda: service.seen)
    # It searched as long as there was time.
    assert set(service.seen) == {"POST", "GET"}
    assert service.seen.count("GET") > 1


def test_killed_while_it_cancels_at_the_deadline(serving: Any) -> None:
    service, cancel = serving(cancel=1.5), "POST /7/cancel"
    stopped(gate(timeout=0.1), lambda: cancel in service.seen, DatafoldDeadlineError)
    # The first one was aborted, possibly before it was processed.
    assert service.seen.count(cancel) == 2
