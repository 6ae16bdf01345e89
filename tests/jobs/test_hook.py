"""The hook of our own operators: looks, waits, pauses, calls after a stop."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from airflow_provider_datafold.api import data_diffs
from airflow_provider_datafold.client import retry
from airflow_provider_datafold.exceptions import (
    DatafoldDeadlineError,
    DatafoldServerError,
    DatafoldStoppedError,
)
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.jobs.job import DATA_DIFF, State
from dev.sandbox.course import Course, Step
from tests.conductor import Conductor
from tests.conftest import API_KEY, Log
from tests.waits import NEVER, add_diff, sent

IDS = {"datadiff_id": 3}
READ, CANCEL = "GET /datadiffs/3", "POST /datadiffs/3/cancel"


@pytest.fixture
def hook(connections: None) -> JobHook:
    return JobHook()


def test_a_look_that_fails_for_the_moment_is_not_made_again(
    hook: JobHook, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Conductor(monkeypatch, faults={"mine": {"read": [503, ...]}})
    add_diff(sandbox, NEVER)
    reading = hook.look(DATA_DIFF, IDS)
    assert (reading.has_ended, reading.was_seen) == (False, False)
    with pytest.raises(DatafoldServerError):
        hook.look(DATA_DIFF, IDS, is_troubled=True)
    assert sent(sandbox) == [READ] * 2


def test_a_wait(hook: JobHook, sandbox: Any, monkeypatch: pytest.MonkeyPatch, log: Log) -> None:
    Conductor(monkeypatch, faults={"mine": {"read": [503]}})
    add_diff(sandbox, Course((Step("processing"),), "done"))
    reading = hook.wait(DATA_DIFF, IDS, deadline=time.time() + 9, poll_interval=0.01)
    assert reading.state is State.SUCCEEDED
    assert sent(sandbox) == [READ] * 3
    (warning,) = log.warnings
    assert warning.startswith("Could not check the data diff: 503")


def test_a_wait_that_began_elsewhere_is_over(hook: JobHook, sandbox: Any) -> None:
    add_diff(sandbox, NEVER)
    now = time.time()
    with pytest.raises(DatafoldDeadlineError, match="had not ended after 100 s"):
        hook.wait(DATA_DIFF, IDS, deadline=now, since=now - 100)


def test_a_pause(hook: JobHook) -> None:
    begin = time.monotonic()
    hook.pause(0.05)
    assert time.monotonic() - begin >= 0.05
    hook.stop()
    pausing = threading.Thread(target=hook.pause, args=[60], daemon=True)
    pausing.start()
    pausing.join(30)
    assert not pausing.is_alive()


# After a stop.


def test_a_call_after_a_stop(hook: JobHook, sandbox: Any) -> None:
    add_diff(sandbox, NEVER)
    hook.get_data_diff(3)
    hook.stop()
    with pytest.raises(DatafoldStoppedError):
        hook.get_data_diff(3)
    cancelled = hook.call_after_stop(data_diffs.CANCEL, within=2.0, **IDS)
    assert cancelled == {"id": 3, "status": "cancelled"}
    assert sent(sandbox) == [READ, CANCEL]


@pytest.mark.parametrize(("how", "count"), [({}, 1), ({"max_retries": None}, 3)])
def test_how_often_it_is_tried_after_a_stop(
    hook: JobHook, sandbox: Any, connect: Any, monkeypatch: pytest.MonkeyPatch, how: Any, count: int
) -> None:
    monkeypatch.setattr(retry, "_FIRST_WAIT", 0.0)
    connect("datafold_default", host=sandbox.url, password=API_KEY, extra={"max_retries": 2})
    Conductor(monkeypatch, faults={"mine": {"cancel": [503, ...]}})
    add_diff(sandbox, NEVER)
    with pytest.raises(DatafoldServerError):
        hook.call_after_stop(data_diffs.CANCEL, within=9.0, **IDS, **how)
    assert sent(sandbox) == [CANCEL] * count


@pytest.mark.parametrize(("within", "timeout"), [(2.0, 2.0), (9.0, 5.0)])
def test_how_long_it_may_take_after_a_stop(
    sandbox: Any, connect: Any, monkeypatch: pytest.MonkeyPatch, within: float, timeout: float
) -> None:
    add_diff(sandbox, NEVER)
    connect("datafold_default", host=sandbox.url, password=API_KEY, extra={"timeout": 5})
    made: list[Any] = []
    make = JobHook._make_client
    monkeypatch.setattr(
        JobHook, "_make_client", lambda self, given: (made.append(given), make(self, given))[1]
    )
    JobHook().call_after_stop(data_diffs.CANCEL, within=within, **IDS)
    assert [(each.timeout, each.call_timeout) for each in made] == [(timeout, within)]


def test_its_host(connect: Any) -> None:
    connect("acme", host="https://acme.io:8443/", password=API_KEY)
    assert JobHook("acme").host == "acme.io:8443"
