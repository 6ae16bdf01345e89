"""A traceback with local variables shows no secret in any frame of the package."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import os
import signal
import ssl
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from traceback import walk_stack
from types import SimpleNamespace
from typing import Any

import pytest
import trustme

import airflow_provider_datafold
from airflow_provider_datafold import exceptions
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator
from airflow_provider_datafold.sensors.data_diffs import DatafoldDataDiffSensor
from airflow_provider_datafold.sensors.monitors import DatafoldMonitorRunSensor
from dev.faults.behaviours import FOR_EVER, LOGIN_PAGE, answer, says
from dev.faults.server import Behaviour, Call as Asked, Door, FaultServer, Step, Then
from tests.certificates import tls
from tests.conftest import API_KEY, TOKEN
from tests.drivers import UPDATE, call_async
from tests.interruptions import at_each_line, on_signal
from tests.redaction.test_secret_names import echoes

HERE = str(Path(__file__).parents[1])
PACKAGE = str(Path(airflow_provider_datafold.__file__).parent)


SERVED: dict[str, tuple[str, Behaviour]] = {
    "302": ("DatafoldRedirectError", echoes(302)),
    "404": ("DatafoldNotFoundError", echoes(404)),
    "422": ("DatafoldValidationError", echoes(422)),
    "429": ("DatafoldRateLimitError", echoes(429)),
    "page with secrets": (
        "DatafoldAnswerError",
        lambda asked: [answer(200, LOGIN_PAGE + (asked.request.body if asked.request else b""))],
    ),
    "closed": ("DatafoldConnectionError", says()),
    "silent": ("DatafoldTimeoutError", says(FOR_EVER)),
}
"""Ways to cause an error: its name, and a service."""

Attempt = Callable[..., Any]
"""Makes an update, with the planted token and optionally with other fields."""


def config(**more: Any) -> dict[str, Any]:
    return {"token": TOKEN, "bindings": [], "indexing_cron": None, **more}


def by_hook(**more: Any) -> Any:
    with DatafoldHook() as hook:
        return hook.update_integration("hightouch", 7, config(**more))


def by_method(**more: Any) -> Any:
    with DatafoldHook() as hook:
        return hook.update_hightouch_integration(7, **config(**more))


def by_free_request(**more: Any) -> Any:
    with DatafoldHook() as hook:
        return hook.run("PUT", "/a", {"token": TOKEN, **more})


def by_operator(**more: Any) -> Any:
    given = {"bindings": [], "indexing_cron": None, **more}
    given.pop("token", None)
    operator = DatafoldUpdateHightouchOperator(task_id="update", bi_datasource_id=7, **given)
    return operator.execute({})


def by_client(**more: Any) -> Any:
    return call_async(UPDATE, config(**more), bi_datasource_id=7)


ATTEMPTS = {
    "hook": by_hook,
    "method": by_method,
    "run": by_free_request,
    "operator": by_operator,
    "async": by_client,
}
with_each_driver = pytest.mark.parametrize("attempt", [by_hook, by_client], ids=["hook", "async"])


@pytest.fixture
def served(serve: Any, connect: Any) -> Callable[..., FaultServer]:
    """Connect to a service, with the planted key and token."""
    connect("hightouch_default", conn_type="generic", password=TOKEN)

    def start(act: Behaviour, extra: Any = None, **more: Any) -> Any:
        return serve(act, extra={"timeout": 1, **(extra or {})}, **more)

    return start


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and all that a report of it shows: no context that an error suppresses."""
    pending: list[Any] = [error]
    seen: set[int] = set()
    while pending:
        found = pending.pop()
        if isinstance(found, BaseException) and id(found) not in seen:
            seen.add(id(found))
            context = None if found.__suppress_context__ else found.__context__
            pending += [found.__cause__, context, *found.args]
            pending += vars(found).values()
            yield found


def shown(error: BaseException) -> str:
    """Everything that tracebacks with local variables show, except the frames of the tests."""
    texts: list[str] = []
    for found in chain(error):
        for frame, _ in traceback.walk_tb(found.__traceback__):
            if not frame.f_code.co_filename.startswith(HERE):
                texts += map(repr, list(frame.f_locals.values()))
        texts += [str(found), repr(found), repr(vars(found))]
    return "\n".join(texts)


def secrets_in(text: str) -> list[str]:
    """The lines of a string that show a secret."""
    return [line for line in text.splitlines() if API_KEY in line or TOKEN in line]


def raised(attempt: Attempt, of: type[BaseException] = Exception) -> BaseException:
    try:
        attempt()
    except of as error:
        return error
    pytest.fail("nothing was raised")


def check(attempt: Attempt, kind: str) -> None:
    error = raised(attempt)
    assert type(error).__name__ == kind
    assert secrets_in(shown(error)) == []


@pytest.mark.parametrize(
    ("attempt", "case"),
    [
        *((way, case) for case in SERVED for way in ("hook", "async")),
        *((way, "422") for way in ("method", "run", "operator")),
    ],
)
def test_error_of_a_service(case: str, attempt: str, served: Any) -> None:
    kind, act = SERVED[case]
    server = served(act)
    check(ATTEMPTS[attempt], kind)
    assert any(TOKEN in request.text for request in server.requests)
    assert any(API_KEY in request.text for request in server.requests)


@with_each_driver
def test_no_connection_can_be_made(attempt: Attempt, served: Any) -> None:
    served(says(), {"timeout": 30}, door=Door.CLOSED)
    check(attempt, "DatafoldUnreachableError")
    served(says(), {"timeout": 30}, tls=tls(trustme.CA()))
    check(attempt, "DatafoldCertificateError")


@with_each_driver
@pytest.mark.parametrize(
    "fields",
    [
        None,
        {"host": f"https://user:{API_KEY}@127.0.0.1"},
        {"extra": {"timeout": API_KEY}},
        {"extra": f'{{"token": "{API_KEY}"'},
    ],
)
def test_connection_that_is_wrong(
    fields: Any, attempt: Attempt, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(says())
    name = "AIRFLOW_CONN_DATAFOLD_DEFAULT"
    if fields is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, json.dumps({**json.loads(os.environ[name]), **fields}))
    check(attempt, "DatafoldConfigurationError")


def wrong_with(text: str) -> dict[Attempt, dict[str, Any]]:
    """Return wrong fields for each way, each with a string in them."""
    return {
        by_hook: {"indexing_cron": f"* * * * {text}"},
        by_method: {"bindings": text},
        by_free_request: {"name": text, "more": {1, 2}},
        by_operator: {"bindings": [{"remoteId": text, "boundIds": [text]}]},
        by_client: {"name": [text]},
    }


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_field_that_is_wrong(attempt: Attempt, served: Any) -> None:
    served(says())
    wrong = wrong_with("text")[attempt]
    check(lambda: attempt(**wrong), "DatafoldInputError")
    # The message shows no secret either, where somebody put one into the field.
    wrong = wrong_with(TOKEN)[attempt]
    texts = [f"{error} {vars(error)}" for error in chain(raised(lambda: attempt(**wrong)))]
    assert secrets_in("\n".join(texts)) == []


@pytest.mark.parametrize(
    "wrong",
    [{"token": value} for value in ([TOKEN], {"token": TOKEN}, "", TOKEN.encode())]
    + [{"name": value} for value in (float("nan"), {1}, "\ud800")],
)
def test_secret_or_body_that_cannot_be_written(wrong: Any, served: Any) -> None:
    served(says())
    attempt = by_hook if "token" in wrong else by_free_request
    check(lambda: attempt(**wrong), "DatafoldInputError")


def test_hook_that_was_stopped(served: Any) -> None:
    served(echoes(200))
    with JobHook() as hook:
        hook.stop()
        check(lambda: hook.run("PUT", "/a", {"token": TOKEN}), "DatafoldStoppedError")


@with_each_driver
def test_error_while_the_caller_handles_one(attempt: Attempt, served: Any) -> None:
    served(says())

    def within() -> None:
        try:
            raise ssl.SSLError("x")
        except ssl.SSLError:
            attempt()

    check(within, "DatafoldConnectionError")


DIFF = {"id": 9, "status": "done", "result": "different", "kind": "in_db", "diff_stats": {}}
ENDS: dict[str, dict[str, Any]] = {
    "DatafoldDifferenceError": DIFF | {"diff_stats": {"diff_rows_count": 7}},
    "DatafoldWaitingForPersonError": DIFF | {"status": "needs_confirmation"},
    "DatafoldJobFailedError": DIFF | {"status": "failed"},
    "DatafoldDeadlineError": DIFF | {"status": "processing"},
    "DatafoldAlertError": {"id": 8, "monitor_id": 7, "diff_id": None, "state": "alert"},
}
"""Ways in which a job ends or keeps running."""


@pytest.mark.parametrize("kind", ENDS)
def test_end_of_a_job(kind: str, served: Any) -> None:
    def act(asked: Asked) -> Iterable[Step]:
        assert asked.request is not None
        sent = str(asked.request.headers)
        error = {"error_type": sent, "error_value": sent, "is_retryable": True}
        return [answer(200, json.dumps({"error": error, **ENDS[kind]}).encode()), Then.KEEP]

    server = served(act)
    sensor = (
        DatafoldMonitorRunSensor(task_id="a", monitor_id=7, run_id=8)
        if kind == "DatafoldAlertError"
        else DatafoldDataDiffSensor(task_id="a", datadiff_id=9, poke_interval=0.1, timeout=0.1)
    )
    context: Any = {"ti": SimpleNamespace(try_number=1, xcom_push=lambda **pushed: None)}
    check(lambda: sensor.execute(context), kind)
    assert any(API_KEY in request.text for request in server.requests)


class Interrupted(BaseException):
    """Raised in the handler of a signal, as Airflow does when a task's time is over."""


def interrupt() -> None:
    # An event loop swallows what is raised in a callback.
    if any(each.f_code is asyncio.Handle._run.__code__ for each, _ in walk_stack(None)):
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    else:
        raise Interrupted


def half(asked: Asked) -> Iterable[Step]:
    """Return half of what was sent, and stop."""
    content = next(iter(echoes(200)(asked)))
    assert isinstance(content, bytes)
    return [content[: len(content) // 2], FOR_EVER]


@with_each_driver
@pytest.mark.parametrize(
    "act", [says(FOR_EVER), half, echoes(503)], ids=["silent", "half", "pause"]
)
def test_task_that_is_interrupted(attempt: Attempt, act: Behaviour, served: Any) -> None:
    server = served(act, extra={"timeout": 30, "max_retries": 9})
    with on_signal(interrupt, lambda: server.requests):
        error = raised(attempt, Interrupted)
    assert secrets_in(shown(error)) == []


CLIENT = tuple(str(path) for path in Path(PACKAGE, "client").glob("*.py"))


@pytest.mark.whole
@pytest.mark.parametrize("attempt", [by_operator, by_client], ids=["operator", "async"])
@pytest.mark.parametrize("status", [200, 422])
def test_task_that_is_interrupted_anywhere_in_the_client(
    attempt: Attempt, status: int, served: Any
) -> None:
    served(echoes(status), extra={"timeout": 30})
    places: list[str] = []
    with contextlib.suppress(exceptions.DatafoldError):
        at_each_line(attempt, places.append, CLIENT)
    assert len(set(places)) > 100
    leaks = {}
    for place in dict.fromkeys(places):
        if found := shown_if_interrupted(attempt, place):
            leaks[place] = found[:2]
    assert leaks == {}


def shown_if_interrupted(attempt: Attempt, place: str) -> list[str]:
    """Raise at a line of the client, as a signal handler may, and search for secrets."""

    def at(reached: str) -> None:
        if reached == place:
            sys.settrace(None)
            raise Interrupted

    try:
        # What is set in a context is not always put back: the next line may not be reached.
        contextvars.copy_context().run(at_each_line, attempt, at, CLIENT)
    except Interrupted as error:
        return secrets_in(shown(error))
    except Exception:
        return []
    return []
