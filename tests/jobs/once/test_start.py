"""Something is started once, even if the response is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldConnectionError,
    DatafoldError,
    DatafoldPermissionError,
    DatafoldRateLimitError,
    DatafoldServerError,
    DatafoldStoppedError,
    DatafoldTimeoutError,
    DatafoldUnreachableError,
)
from airflow_provider_datafold.jobs.ci_run import trigger_once
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.jobs.monitor_run import run_once
from airflow_provider_datafold.jobs.once import start as once
from tests.conftest import API_KEY, Log
from tests.pull_request import PULL_REQUEST

PAUSES = (0.0, 2.0, 5.0)
LAST_PAUSES = (*PAUSES, 8.0)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The hook's pauses, which take no time."""
    made: list[float] = []
    monkeypatch.setattr(JobHook, "pause", lambda _, seconds: made.append(seconds))
    return made


@pytest.fixture
def hook(connect: Callable[..., None], sandbox: Any, pauses: list[float]) -> Iterator[JobHook]:
    connect("datafold_default", host=sandbox.url, password=API_KEY, extra={"max_retries": 2})
    with JobHook() as hook:
        yield hook


class Script:
    """Returns, or raises, one value after another; the last one stays."""

    def __init__(self, *script: Any) -> None:
        self._script = list(script)
        self.count = 0

    def __call__(self) -> Any:
        self.count += 1
        said = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(said, Exception):
            raise said
        return said


NO_RESPONSE = DatafoldTimeoutError("No response")


@pytest.mark.parametrize(
    "lost",
    [
        NO_RESPONSE,
        DatafoldConnectionError("It broke"),
        DatafoldServerError("500"),
        DatafoldAnswerError("No JSON"),
        None,
    ],
)
def test_what_gets_no_response_is_found(lost: Any, hook: JobHook) -> None:
    start, find = Script(lost), Script(None, None, None, 6)
    assert once.start_once(hook, "thing", start, find) == 6
    assert (start.count, find.count) == (1, 4)


def test_what_was_not_started_is_an_error(hook: JobHook, pauses: list[float]) -> None:
    start, find = Script(NO_RESPONSE), Script(None)
    with pytest.raises(DatafoldTimeoutError) as caught:
        once.start_once(hook, "thing", start, find, jitter=lambda: 0.5)
    assert caught.value is NO_RESPONSE
    assert (start.count, find.count) == (1, len(LAST_PAUSES))
    # A service behind a proxy may take some seconds to start it.
    assert pauses == [0.5, *LAST_PAUSES]


BUSY = DatafoldServerError("503", status_code=503)
BUSY_FOR_30_SECONDS = DatafoldServerError("503", status_code=503, retry_after=30.0)
BUSY_FOR_LONG = DatafoldServerError("503", status_code=503, retry_after=31.0)


@pytest.mark.parametrize(
    ("script", "tries", "paused"),
    [
        # Each time it looks first.
        ([BUSY, BUSY_FOR_30_SECONDS, 5], 3, [0.5, *PAUSES, 30.0, *PAUSES]),
        # No more often than the connection says.
        ([BUSY], 3, [0.5, *PAUSES, 1.0, *PAUSES, 2.0, *LAST_PAUSES]),
        # A long wait is left to Airflow.
        ([BUSY_FOR_LONG], 1, [30.0, *LAST_PAUSES]),
    ],
)
def test_what_is_not_found_after_503_is_started_again(
    hook: JobHook, pauses: list[float], script: list[Any], tries: int, paused: list[float]
) -> None:
    start, find = Script(*script), Script(None)
    with nullcontext() if script[-1] == 5 else pytest.raises(DatafoldServerError):
        assert once.start_once(hook, "thing", start, find, jitter=lambda: 0.5) == 5
    assert start.count == tries
    assert pauses == paused


def test_a_call_timeout_ends_the_attempts(
    connect: Callable[..., None],
    sandbox: Any,
    pauses: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect("hasty", host=sandbox.url, password=API_KEY, extra={"call_timeout": 30})
    moments = iter([0.0, 29.0, 31.0])
    monkeypatch.setattr(once, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    start, find = Script(BUSY), Script(None)
    with JobHook("hasty") as hook, pytest.raises(DatafoldServerError):
        once.start_once(hook, "thing", start, find)
    assert start.count == 2


@pytest.mark.parametrize(
    "then", [DatafoldServerError("500", status_code=500), DatafoldRateLimitError("429")]
)
def test_an_error_after_a_503_leaves_open_whether_it_was_started(
    then: DatafoldError, hook: JobHook
) -> None:
    start = Script(BUSY, then)
    assert once.start_once(hook, "thing", start, Script(*[None] * 6, 7)) == 7
    assert start.count == 2
    with pytest.raises(type(then)):
        once.start_once(hook, "thing", Script(BUSY, then), Script(None))


def test_a_look_that_fails_is_made_again(hook: JobHook, log: Log) -> None:
    start, find = Script(NO_RESPONSE), Script(DatafoldAnswerError("?"), 6)
    assert once.start_once(hook, "thing", start, find) == 6
    assert (start.count, find.count) == (1, 2)
    assert log.warnings == [
        "Could not start the thing: No response. Checking whether it was started anyway.",
        "Could not look for the thing: ?.",
    ]


def test_looks_that_fail_do_not_hide_why_the_start_failed(hook: JobHook) -> None:
    with pytest.raises(DatafoldTimeoutError):
        once.start_once(hook, "thing", Script(NO_RESPONSE), Script(DatafoldAnswerError("?")))


@pytest.mark.parametrize(
    "error",
    [
        DatafoldUnreachableError("Could not connect"),
        DatafoldRateLimitError("429"),
        DatafoldStoppedError("Stopped"),
        DatafoldPermissionError("403"),
    ],
)
def test_what_cannot_have_been_started_is_not_looked_for(
    error: DatafoldError, hook: JobHook
) -> None:
    start, find = Script(error), Script(5)
    with pytest.raises(type(error)):
        once.start_once(hook, "thing", start, find)
    assert (start.count, find.count) == (1, 0)


def test_a_stop_ends_the_search(hook: JobHook) -> None:
    hook.stop()
    with pytest.raises(DatafoldStoppedError):
        once.start_once(hook, "thing", Script(NO_RESPONSE), lambda: hook.get_monitor(4))


# Monitors' runs and CI runs, which have no tags.


def start(hook: JobHook, name: str) -> int:
    return run_once(hook, 4) if name == "run_monitor" else trigger_once(hook, 2, **PULL_REQUEST)


def make(sandbox: Any, name: str, count: int) -> None:
    """Let there be runs from before."""
    for _ in range(count):
        if name == "run_monitor":
            sandbox.state.monitors.start(4)
        else:
            sandbox.state.ci.add(2, PULL_REQUEST)


def started(sandbox: Any) -> list[int]:
    return [*sandbox.state.monitors.runs, *sandbox.state.ci.runs[2]]


@pytest.mark.parametrize(
    ("name", "is_reversed"), [("run_monitor", False), ("run_monitor", True), ("trigger_ci", False)]
)
@pytest.mark.parametrize(("count", "is_taken"), [(0, True), (1, False), (130, True)])
def test_a_lost_response(
    name: str,
    is_reversed: bool,
    count: int,
    is_taken: bool,
    hook: JobHook,
    sandbox: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make(sandbox, name, count)
    real, runs_of = JobHook.call, type(sandbox.state.monitors).runs_of
    if is_reversed:
        # The oldest runs may come first.
        monkeypatch.setattr(
            type(sandbox.state.monitors), "runs_of", lambda *asked: runs_of(*asked)[::-1]
        )

    def call(self: JobHook, operation: Any, *body: Any, **values: Any) -> Any:
        if operation.method == "POST":
            if is_taken:
                real(self, operation, *body, **values)
            raise NO_RESPONSE
        return real(self, operation, *body, **values)

    monkeypatch.setattr(JobHook, "call", call)
    if is_taken:
        assert start(hook, name) == started(sandbox)[-1]
    else:
        with pytest.raises(DatafoldTimeoutError):
            start(hook, name)
    assert len(started(sandbox)) == count + is_taken


@pytest.mark.parametrize("name", ["run_monitor", "trigger_ci"])
@pytest.mark.parametrize(
    "listed",
    [
        {},
        {"runs": None, "total_pages": 3},
        {"runs": ["nonsense", {}, {"run_id": "x"}], "total_pages": "x"},
    ],
)
def test_a_list_that_says_little(
    name: str, listed: Any, hook: JobHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = listed.get("runs") or []
    answers = {"LIST_RUNS": listed if name == "run_monitor" else runs}

    def call(self: JobHook, operation: Any, *body: Any, **values: Any) -> Any:
        return answers["LIST_RUNS"] if operation.method == "GET" else {"ci_run_id": None}

    monkeypatch.setattr(JobHook, "call", call)
    with pytest.raises(DatafoldAnswerError, match="its response does not identify it"):
        start(hook, name)
