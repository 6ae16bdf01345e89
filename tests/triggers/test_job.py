"""The trigger, in an event loop and over real sockets."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from airflow_provider_datafold import __version__
from airflow_provider_datafold.client import loop
from airflow_provider_datafold.connection.fetch import fetch_settings_async
from airflow_provider_datafold.exceptions import DatafoldConfigurationError, DatafoldTransientError
from airflow_provider_datafold.jobs import trouble
from airflow_provider_datafold.jobs.job import DATA_DIFF, MONITOR_RUN, State
from airflow_provider_datafold.jobs.trouble import DEADLINE
from airflow_provider_datafold.jobs.watch import JobStatus, PollInterval
from airflow_provider_datafold.triggers import job as job_module
from airflow_provider_datafold.triggers.job import DatafoldJobTrigger
from dev.faults.behaviours import answer
from dev.faults.server import Call, Step
from dev.sandbox.course import Course, Step as OnTheWay
from tests.waits import NEVER, add_diff

PATIENCE = 20.0
AGENT = f"airflow-provider-datafold/{__version__}"
pytestmark = pytest.mark.usefixtures("connections")


def trigger(number: int = 3, **more: Any) -> DatafoldJobTrigger:
    fields = {
        "job": "data_diff",
        "ids": {"datadiff_id": number},
        "datafold_conn_id": "datafold_default",
        "deadline": time.time() + 60,
        "poll_interval": 0.01,
        "cancel_on_kill": True,
    }
    made = DatafoldJobTrigger(**{**fields, **more})
    made.task_instance = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1)
    return made


async def events(waiting: DatafoldJobTrigger) -> list[Any]:
    return [event.payload async for event in waiting.run()]


def fired(waiting: DatafoldJobTrigger) -> dict[str, Any]:
    """The one event of a trigger."""
    (payload,) = asyncio.run(events(waiting))
    # Airflow keeps it in its database.
    assert json.loads(json.dumps(payload)) == payload
    found: dict[str, Any] = payload
    return found


def status(sandbox: Any, number: int) -> str:
    found: str = sandbox.state.data_diffs.peek(number)["status"]
    return found


ASKED_FOR = {"job": "data_diff", "ids": {"datadiff_id": 3}}


def test_fires_once_at_the_end(sandbox: Any) -> None:
    # What each status means: tests/jobs/test_job.py.
    number = add_diff(sandbox, Course((OnTheWay("waiting"), OnTheWay("processing")), "failed"))
    assert fired(trigger(number)) == {"state": "failed", "status": "failed", **ASKED_FOR}
    assert [request.path for request in sandbox.state.requests] == ["/api/v1/datadiffs/3"] * 3


def test_fires_at_the_deadline(sandbox: Any) -> None:
    number = add_diff(sandbox, NEVER)
    assert fired(trigger(number, deadline=time.time() + 0.1)) == {
        "state": "deadline",
        "error": "DatafoldDeadlineError",
        **ASKED_FOR,
    }
    # The worker polls once more, and cancels.
    assert status(sandbox, number) == "processing"


@pytest.mark.parametrize(
    ("more", "error", "is_lasting"),
    [
        ({"ids": {"datadiff_id": 99}}, "DatafoldNotFoundError", True),
        ({"datafold_conn_id": "nowhere"}, "DatafoldConfigurationError", False),
        ({"datafold_conn_id": "revoked"}, "DatafoldAuthenticationError", False),
        ({"job": "dance"}, "KeyError", False),
        ({"ids": {}}, "KeyError", False),
        ({"deadline": "soon"}, "TypeError", False),
    ],
    ids=repr,
)
def test_trouble_is_an_event_and_never_a_stack_trace(
    sandbox: Any, connect: Any, more: dict[str, Any], error: str, is_lasting: bool
) -> None:
    connect("revoked", host=sandbox.url, password="another")
    add_diff(sandbox, NEVER)
    found = fired(trigger(**more))
    asked_for = {name: more.get(name, value) for name, value in ASKED_FOR.items()}
    assert found == {"state": "trouble", "error": error, "is_lasting": is_lasting, **asked_for}


def failing(monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> list[float]:
    """Let the first look-ups of the connection fail. Returns the pauses, which take no time."""
    script, slept = [*errors], list[float]()
    fetch = job_module.fetch_settings_async

    async def fetch_settings_async(conn_id: str) -> Any:
        if script:
            raise script.pop(0)
        return await fetch(conn_id)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(job_module, "fetch_settings_async", fetch_settings_async)
    # Only the trigger's own pauses: the sandbox has an event loop, too.
    mine = SimpleNamespace(**{**vars(asyncio), "sleep": sleep})
    monkeypatch.setattr(job_module, "asyncio", mine)
    return slept


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DatafoldTransientError("No answer. Nothing was sent."), "No answer"),
        (DatafoldConfigurationError("There is no such connection."), "There is no such connection"),
        (RuntimeError("planted-secret"), "RuntimeError"),
    ],
    ids=repr,
)
def test_trouble_of_its_own_passes_like_a_failed_look(
    sandbox: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    said: str,
) -> None:
    monkeypatch.setattr(trouble, "LONGEST_REFUSAL", 60.0)
    failing(monkeypatch, *[error] * 3)
    assert fired(trigger(add_diff(sandbox)))["state"] == "succeeded"
    assert caplog.text.count(f"Could not check the data_diff: {said}. Still waiting.") == 3
    assert "planted-secret" not in caplog.text


@pytest.mark.parametrize(
    ("error", "limit", "state"),
    [
        (DatafoldTransientError("No answer"), 3600.0, "trouble"),
        (RuntimeError(), 60.0, "trouble"),
        (RuntimeError(), 7200.0, "deadline"),
    ],
    ids=repr,
)
def test_trouble_of_its_own_has_an_end(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, limit: float, state: str
) -> None:
    monkeypatch.setattr(trouble, "LONGEST_REFUSAL", 60.0 if state == "trouble" else limit)
    monkeypatch.setattr(trouble, "REFUSAL_PAUSE", 15.0)
    now = time.time()
    end = now + (95.0 if state == "deadline" else 86_400.0)
    slept = failing(monkeypatch, *[error] * 100_000)
    monkeypatch.setattr(time, "time", lambda: now + sum(slept))
    assert fired(trigger(deadline=end, poll_interval=10.0))["state"] == state
    least, most = (95.0, 95.0) if state == "deadline" else (limit + 1, limit + 10.0)
    assert least <= round(sum(slept)) <= most


def test_does_not_look_before_it_may(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slept = failing(monkeypatch)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    fired(trigger(add_diff(sandbox), not_before=now + 600, deadline=now + 900))
    fired(trigger(add_diff(sandbox), not_before=now + 600, deadline=now + 50))
    fired(trigger(add_diff(sandbox), not_before=now - 5))
    assert [seconds for seconds in slept if seconds > 1] == [600.0, 50.0]


def test_what_the_wait_is_asked_for(connections: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def watch(job: Any, ids: Any, settings: Any, log: Any, **how: Any) -> Any:
        assert isinstance(how.pop("trouble"), trouble.Trouble)
        seen.extend((job, ids, how))
        return JobStatus(State.BLOCKED, "needs_confirmation", {})
        yield

    monkeypatch.setattr(job_module, "watch", watch)
    assert fired(trigger(deadline=5.0, since=2.0, poll_interval=3.0))["state"] == "blocked"
    ids = {"datadiff_id": 3}
    assert seen == [DATA_DIFF, ids, {"deadline": 5.0, "since": 2.0, "interval": PollInterval(3.0)}]


def test_polls_take_turns_and_a_cancel_does_not(sandbox: Any) -> None:
    waiting = trigger(add_diff(sandbox, NEVER), deadline=time.time() + 0.5)

    async def wait_while_others_poll() -> None:
        async with loop.AsyncClient(await fetch_settings_async("datafold_default"), AGENT):
            (pool,) = loop._pools.values()
            pool._patient = asyncio.Semaphore(0)
            # It has no turn before its deadline.
            assert [event["state"] for event in await events(waiting)] == [DEADLINE]
            assert sandbox.state.requests == []
            await waiting.on_kill()

    asyncio.run(wait_while_others_poll())
    (request,) = sandbox.state.requests
    assert request.path.endswith("/cancel")
    assert request.headers["user-agent"] == AGENT


# How it is stopped.

STATES = {"r": {"t": "failed", "t_0": "deferred", "u": None}, "s": {"t": "running"}}
each_task = pytest.mark.parametrize(
    ("run_id", "task_id", "map_index", "state"),
    [
        ("r", "t", -1, "failed"),
        ("r", "t", 0, "deferred"),
        ("r", "t", 1, None),
        ("r", "u", -1, None),
        ("q", "t", -1, None),
    ],
)


@each_task
def test_asks_airflow_3_for_the_state_of_its_task(
    monkeypatch: pytest.MonkeyPatch, run_id: str, task_id: str, map_index: int, state: Any
) -> None:
    runner = pytest.importorskip("airflow.sdk.execution_time.task_runner")
    asked: list[Any] = []
    monkeypatch.setattr(
        runner.RuntimeTaskInstance, "get_task_states", lambda **names: asked.append(names) or STATES
    )
    ti = SimpleNamespace(dag_id="d", task_id=task_id, run_id=run_id, map_index=map_index)
    assert job_module._state_of(ti) == state
    names = {"dag_id": "d", "task_ids": [task_id], "run_ids": [run_id], "map_index": map_index}
    assert asked == [names]


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A database with Airflow's table of tasks, of which two differ in one name at most."""
    from airflow.models import TaskInstance

    # Without keys: those of other tables are none of our business.
    columns = [sqlalchemy.Column(each.name, each.type) for each in TaskInstance.__table__.columns]
    table = sqlalchemy.Table(TaskInstance.__tablename__, sqlalchemy.MetaData(), *columns)
    engine = sqlalchemy.create_engine("sqlite://", poolclass=StaticPool)
    table.create(engine)
    rows = [
        ("d", "r", "t", -1, "failed"),
        ("d", "r", "t", 0, "deferred"),
        ("d", "r", "u", -1, None),
        ("d", "s", "t", -1, "running"),
        ("e", "r", "t", -1, "running"),
    ]
    names = ("dag_id", "run_id", "task_id", "map_index", "state")
    with engine.begin() as connection:
        connection.execute(table.insert(), [dict(zip(names, row, strict=True)) for row in rows])
    monkeypatch.setattr("airflow.utils.session.create_session", lambda: Session(engine))
    monkeypatch.setitem(sys.modules, "airflow.sdk.execution_time.task_runner", None)
    yield
    engine.dispose()


@each_task
@pytest.mark.usefixtures("database")
def test_asks_airflow_2s_database_for_the_state_of_its_task(
    run_id: str, task_id: str, map_index: int, state: Any
) -> None:
    ti = SimpleNamespace(dag_id="d", task_id=task_id, run_id=run_id, map_index=map_index)
    found = job_module._state_of(ti)
    assert (found and str(found)) == state


class Service:
    """Datafold with a data diff that does not end, slow to cancel it.

    :param seconds: before a cancel is answered.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seen: list[str] = []
        self.ended: list[str] = []
        self._seconds = seconds

    def __call__(self, call: Call) -> Iterable[Step]:
        assert call.request is not None
        name = f"{call.request.method} {call.request.target.removeprefix('/api/v1/datadiffs')}"
        self.seen.append(name)
        is_cancel = call.request.method == "POST"
        if is_cancel:
            yield self._seconds
        body = json.dumps({"id": 3, "status": "cancelled" if is_cancel else "processing"})
        yield answer(200, body.encode())
        self.ended.append(name)


CANCEL = "POST /3/cancel"


@pytest.fixture
def serving(serve: Callable[..., Any]) -> Callable[..., Service]:
    def start(**how: Any) -> Service:
        service = Service(**how)
        serve(service, extra={"timeout": PATIENCE})
        return service

    return start


def state_is(monkeypatch: pytest.MonkeyPatch, state: Any) -> list[Any]:
    """Set the state of the task that Airflow returns."""
    asked: list[Any] = []

    def state_of(task_instance: Any) -> Any:
        asked.append(task_instance.task_id)
        if isinstance(state, Exception):
            raise state
        return state

    monkeypatch.setattr(job_module, "_state_of", state_of)
    return asked


async def _until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < end:
        await asyncio.sleep(0.01)


async def _cancel_again_and_again(waiting: asyncio.Task[Any]) -> None:
    """What Airflow does with a trigger that does not end."""
    end = time.monotonic() + PATIENCE
    while not waiting.done() and time.monotonic() < end:
        waiting.cancel()
        await asyncio.sleep(0.05)


def stop(waiting: DatafoldJobTrigger, service: Service, *, kill: bool = False) -> list[str]:
    """Stop a trigger that waits, and return the tasks that it leaves in the event loop."""

    async def main() -> list[str]:
        before = asyncio.all_tasks()
        running = asyncio.ensure_future(events(waiting))
        await _until(lambda: service.seen)
        if kill:
            killing = asyncio.ensure_future(waiting.on_kill())
            await asyncio.sleep(0)
            await asyncio.gather(_cancel_again_and_again(killing), _cancel_again_and_again(running))
        else:
            await _cancel_again_and_again(running)
        assert running.cancelled()
        # Closing a connection takes another iteration of the loop, and the service knows a little
        # later than we do that it has answered.
        await _until(lambda: not asyncio.all_tasks() - before)
        await _until(lambda: service.ended.count(CANCEL) == service.seen.count(CANCEL))
        return [str(task) for task in asyncio.all_tasks() - before]

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("has_on_kill", "cancels", "state", "is_asked", "is_cancelled"),
    [
        *((False, True, state, True, True) for state in ("failed", "success", "scheduled", None)),
        # The triggerer restarts, or Airflow does not say.
        (False, True, "deferred", True, False),
        (False, True, RuntimeError("no such service"), True, False),
        # A sensor's.
        (False, False, "failed", False, False),
        # From 3.3 on only on_kill cancels.
        (True, True, "failed", False, False),
    ],
    ids=str,
)
def test_a_trigger_that_airflow_cancels(
    serving: Any,
    monkeypatch: pytest.MonkeyPatch,
    has_on_kill: bool,
    cancels: bool,
    state: Any,
    is_asked: bool,
    is_cancelled: bool,
) -> None:
    monkeypatch.setattr(job_module, "_HAS_ON_KILL", has_on_kill)
    service = serving(seconds=0.5 if state == "failed" else 0.0)
    asked = state_is(monkeypatch, state)
    assert stop(trigger(cancel_on_kill=cancels), service) == []
    assert asked == ["t"] * is_asked
    assert service.seen.count(CANCEL) == is_cancelled
    # It completed, although Airflow cancelled the trigger many times meanwhile.
    assert service.ended.count(CANCEL) == is_cancelled


@pytest.mark.parametrize("knows", [True, False])
def test_a_triggerer_that_shuts_down_asks_only_where_it_must(
    serving: Any, monkeypatch: pytest.MonkeyPatch, knows: bool
) -> None:
    monkeypatch.setattr(job_module, "_HAS_ON_KILL", False)
    # Before Python 3.11, it is unknown what else is cancelled.
    knows = knows and sys.version_info >= (3, 11)
    monkeypatch.setattr(job_module, "_KNOWS_WHAT_IS_CANCELLED", knows)
    service = serving()
    asked = state_is(monkeypatch, "deferred")

    async def main() -> None:
        # The event loop closes while they wait.
        running = [asyncio.ensure_future(events(trigger())) for _ in range(2)]
        await _until(lambda: len(service.seen) >= len(running))

    asyncio.run(main())
    assert asked == ([] if knows else ["t", "t"])
    assert CANCEL not in service.seen


def test_on_kill_cancels_however_often_airflow_cancels_it(
    serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_module, "_HAS_ON_KILL", True)
    service = serving(seconds=0.5)
    assert stop(trigger(), service, kill=True) == []
    assert service.seen.count(CANCEL) == 1
    assert CANCEL in service.ended


# A sensor's, and a kind that knows no cancel.
@pytest.mark.parametrize("more", [{"cancel_on_kill": False}, {"job": MONITOR_RUN.name}], ids=repr)
def test_on_kill_leaves_what_it_may_not_cancel(
    sandbox: Any, caplog: pytest.LogCaptureFixture, more: dict[str, Any]
) -> None:
    asyncio.run(trigger(**more).on_kill())
    assert sandbox.state.requests == []
    assert "Could not cancel" not in caplog.text


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"ids": {"datadiff_id": 99}}, "Could not cancel the data diff: 404"),
        ({"datafold_conn_id": "nowhere"}, "Could not cancel the data diff: There is no Airflow"),
        ({"job": "dance"}, "Could not cancel the job of a stopped task: KeyError."),
    ],
    ids=repr,
)
def test_a_cancel_that_fails_is_a_line_in_the_log(
    sandbox: Any, caplog: pytest.LogCaptureFixture, more: dict[str, Any], text: str
) -> None:
    asyncio.run(trigger(**more).on_kill())
    assert text in caplog.text


def test_a_cancel_has_an_end(
    serving: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(job_module, "_TO_CANCEL", 0.2)
    service = serving(seconds=5.0)
    asyncio.run(trigger().on_kill())
    assert service.seen == [CANCEL]
    assert "Could not cancel the job of a stopped task: TimeoutError." in caplog.text


def test_a_loop_that_closes_ends_the_cancel(serving: Any) -> None:
    service = serving(seconds=5.0)

    async def main() -> None:
        killing = asyncio.ensure_future(trigger().on_kill())
        await _until(lambda: service.seen)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await killing

    asyncio.run(main())
    assert service.seen == [CANCEL]
