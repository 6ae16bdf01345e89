"""When the hook itself retries, how often, and how long it waits.

The waits are real. A test of how long one is asks the log, and stops there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.client.retry import parse_retry_after, wait
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.faults.behaviours import answers, asks_to_wait, says
from dev.faults.server import Door
from tests.conftest import API_KEY
from tests.integrations import KINDS
from tests.relay import Relay
from tests.sending import announced, ask, failure

ONCE_MORE = {"max_retries": 1}
BUSY = answers(503)
OK = answers(200, b'{"id": 7}')


def waits(log: Any) -> list[float]:
    return [
        float(seconds)
        for message in log.warnings
        for seconds in re.findall(r"Retrying in ([\d.]+) s", message)
    ]


def test_passing_fault_is_tried_again(serve: Any, log: Any) -> None:
    server = serve(BUSY, says(), OK, extra={"max_retries": 2})
    assert ask() == {"id": 7}
    assert len(server.requests) == 3
    assert len({(request.target, request.body) for request in server.requests}) == 1
    first, second = log.warnings
    assert "Attempt 1 failed: 503, " in first
    assert "Attempt 2 failed: " in second
    assert "connection broke" in second


def test_default_retries_come_to_an_end(serve: Any, connect: Any, log: Any) -> None:
    server = serve(answers(500))
    connect("datafold_default", host=f"http://127.0.0.1:{server.port}", password=API_KEY)
    error = failure(exceptions.DatafoldServerError)
    assert len(server.requests) == 4
    assert "attempt 4" in str(error)
    # About half a second, then twice as long each time, with jitter.
    first, second, third = waits(log)
    assert 0.3 <= first <= 0.7 <= second <= 1.3 <= third <= 2.5


@pytest.mark.parametrize(
    ("attempt", "jitter", "seconds"),
    [
        (1, 0.0, 0.375),
        (1, 0.5, 0.5),
        (1, 1.0, 0.625),
        (2, 0.0, 0.75),
        (3, 1.0, 2.5),
        (6, 0.5, 16.0),
        (7, 0.5, 30.0),
        (1_000, 0.0, 30.0),
    ],
)
def test_wait_is_doubled_each_time(attempt: int, jitter: float, seconds: float) -> None:
    assert wait(attempt, None, jitter) == seconds


NOW = datetime(2024, 1, 31, 6, 0, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("1", 1.0),
        ("0.25", 0.25),
        ("Wed, 31 Jan 2024 06:00:01 GMT", 1.0),
        ("Wed, 31 Jan 2024 06:00:00 GMT", None),
        ("0", None),
        ("", None),
        (None, None),
    ],
)
def test_the_shortest_wait_that_is_asked_for(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOW) == seconds


@pytest.mark.parametrize("retries", [1, "1"])
def test_last_attempt_is_named(serve: Any, retries: Any) -> None:
    server = serve(answers(500), extra={"max_retries": retries})
    assert "attempt 2" in str(failure(exceptions.DatafoldServerError))
    assert len(server.requests) == 2


def test_no_retries_when_the_connection_says_so(serve: Any, log: Any) -> None:
    server = serve(answers(500), extra={"max_retries": 0})
    assert "attempt" not in str(failure(exceptions.DatafoldServerError))
    assert len(server.requests) == 1
    assert waits(log) == []


@pytest.mark.parametrize(
    ("asked", "least"), [("7", 7), (" 7 ", 7), ("1.5", 1.5), ("0.5", 0.5), ("30", 30)]
)
def test_waits_as_asked(serve: Any, log: Any, asked: str, least: float) -> None:
    server = serve(answers(503, b"", {"Retry-After": asked}), extra=ONCE_MORE)
    # Not all tasks at the same moment.
    assert least <= announced() <= least + 0.5
    assert len(server.requests) == 1


def test_waits_until_the_date_that_is_asked_for(serve: Any, log: Any) -> None:
    serve(asks_to_wait(429, 20), extra=ONCE_MORE)
    assert 10 < announced() <= 20.5


@pytest.mark.parametrize("asked", ["0", "-5", "soon", "Thu, 01 Jan 2026 03:04:15 GMT"])
def test_waits_as_usual_when_nothing_sensible_is_asked(serve: Any, log: Any, asked: str) -> None:
    serve(answers(503, b"", {"Retry-After": asked}), extra=ONCE_MORE)
    assert 0.3 <= announced() <= 0.7


@pytest.mark.parametrize("status", [429, 503, 500])
@pytest.mark.parametrize("asked", ["30.1", "3600"])
def test_long_wait_is_left_to_airflow(serve: Any, status: int, asked: str) -> None:
    server = serve(answers(status, b"", {"Retry-After": asked}), extra=ONCE_MORE)
    with pytest.raises(exceptions.DatafoldTransientError) as caught:
        ask()
    assert len(server.requests) == 1
    assert caught.value.retry_after == float(asked)


def test_is_tried_again_after_just_the_wait_asked_for(serve: Any) -> None:
    server = serve(answers(429, b"", {"Retry-After": "0.1"}), OK, extra=ONCE_MORE)
    assert ask() == {"id": 7}
    assert len(server.requests) == 2


# What may be sent twice.


def would_repeat(call: Callable[[], Any]) -> bool:
    """Return whether the hook would send a request again: stop it when it says so."""
    try:
        announced(call)
    except exceptions.DatafoldError:
        return False
    return True


def request(method: str, **more: Any) -> Callable[[], Any]:
    return lambda: ask(method, "/x", None, **more)


@pytest.mark.parametrize(
    ("call", "status", "again"),
    [(request(method), 500, True) for method in ("GET", "PUT", "DELETE", "HEAD", "OPTIONS")]
    + [(request(method), 500, False) for method in ("POST", "PATCH")]
    + [(request(method), status, True) for method in ("POST", "PATCH") for status in (429, 503)]
    + [(request("get"), 500, True), (request("GET"), 404, False), (request("PUT"), 408, True)]
    + [(request("PUT"), 401, False), (request("PUT"), 302, False), (request("POST"), 408, False)]
    + [
        # The caller may override that.
        (request("POST", idempotent=True), 500, True),
        (request("PUT", idempotent=False), 500, False),
        (request("PUT", idempotent=False), 503, True),
    ]
    + [
        (lambda: DatafoldHook().sync_integration(7), 500, False),
        (lambda: DatafoldHook().sync_integration(7), 503, True),
        (lambda: DatafoldHook().sync_integration(7), 429, True),
        (lambda: DatafoldHook().get_integration(7), 500, True),
        (lambda: DatafoldHook().delete_integration(7), 500, True),
        (lambda: DatafoldHook().create_integration("dbt", KINDS["dbt"].required), 500, False),
        (lambda: DatafoldHook().create_integration("dbt", KINDS["dbt"].required), 503, True),
        # What it started can be found, so it is not sent again after 503.
        (lambda: DatafoldHook().run_monitor(7), 503, False),
        (lambda: DatafoldHook().run_monitor(7), 429, True),
        (lambda: DatafoldHook().update_integration("dbt", 7, KINDS["dbt"].required), 500, True),
    ],
)
def test_only_what_does_no_harm_is_sent_again(
    serve: Any, log: Any, call: Any, status: int, again: bool
) -> None:
    server = serve(answers(status), extra=ONCE_MORE)
    assert would_repeat(call) is again
    assert len(server.requests) == 1


@pytest.mark.parametrize(("method", "again"), [("PUT", True), ("POST", False)])
@pytest.mark.parametrize("act", [says(), says(10.0)], ids=["broken", "silent"])
def test_what_may_have_been_taken_is_not_sent_again(
    serve: Any, log: Any, act: Any, method: str, again: bool
) -> None:
    server = serve(act, extra={**ONCE_MORE, "timeout": 0.2})
    assert would_repeat(request(method)) is again
    assert len(server.requests) == 1


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_what_never_went_out_is_sent_again(serve: Any, log: Any, method: str) -> None:
    serve(OK, door=Door.CLOSED, extra=ONCE_MORE)
    assert would_repeat(request(method))


def test_post_is_sent_again_when_it_was_not_taken(serve: Any) -> None:
    server = serve(BUSY, OK, extra=ONCE_MORE)
    assert ask("POST") == {"id": 7}
    assert [seen.method for seen in server.requests] == ["POST", "POST"]


def test_the_connection_is_kept_for_the_next_attempt(serve: Any, connect: Any) -> None:
    server = serve(BUSY, OK)
    with Relay(server.port) as relay:
        connect("datafold_default", host=relay.url, password=API_KEY, extra=ONCE_MORE)
        assert ask() == {"id": 7}
    assert relay.connections == 1
