"""Keys that stay with Datafold, encoded secrets, and unusual connections and schedules."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import logging
import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import requests

from airflow_provider_datafold import exceptions, retry_policy
from airflow_provider_datafold.connection.fetch import fetch_settings, fetch_settings_async
from airflow_provider_datafold.exceptions import (
    DatafoldConfigurationError,
    DatafoldError,
    DatafoldInputError,
    DatafoldServerError,
)
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator
from dev.faults.behaviours import answers
from dev.faults.server import FaultServer
from tests.conftest import API_KEY, TOKEN
from tests.drivers import UPDATE, Call, both

CONFIG: dict[str, Any] = {"token": TOKEN, "bindings": [], "indexing_cron": None}


@pytest.fixture
def serve(connect: Callable[..., None]) -> Callable[..., None]:
    def to(server: FaultServer, password: str = API_KEY, **extra: Any) -> None:
        host = f"http://127.0.0.1:{server.port}"
        connect("datafold_default", host=host, password=password, extra={"max_retries": 0, **extra})

    return to


# The key goes only to Datafold


def test_session_sends_nothing_to_another_host(serve: Any) -> None:
    with FaultServer([answers()]) as server, FaultServer([answers()]) as other:
        serve(server)
        with DatafoldHook() as hook:
            url = f"http://127.0.0.1:{server.port}"
            for wrong in (
                f"http://127.0.0.1:{other.port}/",
                f"http://127.0.0.1:{other.port}/{url}",
                f"http://localhost:{server.port}/",
                f"https://127.0.0.1:{server.port}/",
                f"{url}@127.0.0.1:{other.port}/",
                f"{url}.evil.test/",
                f"{url}0/",
            ):
                with pytest.raises((DatafoldConfigurationError, requests.RequestException)):
                    hook.get_conn().get(wrong, timeout=5)
            assert server.requests == other.requests == []
            assert hook.get_conn().get(f"{url}/a", timeout=5).status_code == 200
            assert hook.get_conn().get(f"{url}?a=b", timeout=5).status_code == 200
        assert all(request.headers["authorization"] for request in server.requests)
        assert other.requests == []


def test_session_sends_to_the_very_address_of_the_connection(connect: Any) -> None:
    connect("datafold_default", host="https://acme.io/datafold", password=API_KEY)
    with DatafoldHook() as hook:
        for url in ("https://acme.io/datafold", "https://acme.io/datafold?a=b"):
            prepared = hook.get_conn().prepare_request(requests.Request("GET", url))
            assert prepared.headers["Authorization"] == f"Key {API_KEY}"


@pytest.mark.parametrize(
    "url",
    [
        "https://eu.datafold.com.evil.test/",
        "https://eu.datafold.communism.test/",
        "https://eu.datafold.com@evil.test/",
        "https://eu.datafold.com:444/",
        "http://eu.datafold.com/",
        "https://us.datafold.com/",
    ],
)
def test_session_refuses_a_host_that_begins_with_the_same_letters(url: str, connect: Any) -> None:
    connect("datafold_default", host="https://eu.datafold.com", password=API_KEY)
    with (
        DatafoldHook() as hook,
        pytest.raises(DatafoldConfigurationError, match="sends it nowhere else"),
    ):
        # With an adapter that does not send, so that nothing leaves this machine.
        hook.get_conn().prepare_request(requests.Request("GET", url))


def test_datafolds_own_connection_is_none_of_hightouch(serve: Any, connect: Any) -> None:
    with FaultServer([answers()]) as server:
        serve(server)
        operator = DatafoldUpdateHightouchOperator(
            task_id="update",
            bi_datasource_id=7,
            bindings=[],
            indexing_cron=None,
            hightouch_conn_id="datafold_default",
        )
        with pytest.raises(DatafoldConfigurationError, match="password is Datafold's API key"):
            operator.execute({})
        assert server.requests == []


# Encoded secrets

KEY = "pl+nted/k&y<'\"\\ =~?0123456789"
SECRET = "pl+nted/t\u00f6ken&<'\"\\ %0123456789"


def encode(offset: int, last: bytes, text: str) -> str:
    """Return the base64 of a longer string that contains this one."""
    return base64.b64encode(b"abc"[:offset] + text.encode() + b"xyz", last).decode()


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "URL": lambda text: quote(text, safe=""),
    "URL with slashes": quote,
    "URL of a form": quote_plus,
    "URL in small letters": lambda text: re.sub(
        "%..", lambda found: found[0].lower(), quote(text, safe="")
    ),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "repr": lambda text: repr(text)[1:-1],
    "HTML": html.escape,
    "HTML without quotes": lambda text: html.escape(text, quote=False),
    **{f"base64 at {offset}": partial(encode, offset, b"+/") for offset in range(3)},
    **{f"URL-safe base64 at {offset}": partial(encode, offset, b"-_") for offset in range(3)},
}


def core(spelling: str, secret: str) -> str:
    """The part of an encoding that can only come from the secret."""
    written = SPELLINGS[spelling](secret)
    return written[8:-8] if "base64" in spelling else written


@both
@pytest.mark.parametrize("status", [200, 404, 422, 503])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_secret_in_another_spelling_is_redacted(
    call: Call, spelling: str, status: int, serve: Any, caplog: Any, capfd: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    write = SPELLINGS[spelling]
    # Longer texts are cut.
    texts = {"key": f"a {write(KEY)} b", "token": f"a {write(SECRET)} b"}
    for planted in (KEY, SECRET):
        text = f"a {write(planted)} b"
        detail: Any = [{"loc": ["body", text], "msg": text}] if status == 422 else text
        content = json.dumps({"detail": detail, text: text, "both": texts}).encode()
        with FaultServer([answers(status, content)]) as server:
            serve(server, KEY, max_retries=1)
            shown = []
            try:
                shown.append(
                    json.dumps(call(UPDATE, {**CONFIG, "token": SECRET}, bi_datasource_id=7))
                )
                assert status == 200
            except DatafoldError as error:
                shown += [str(error), *(part for pair in error.errors for part in pair)]
        shown += [record.getMessage() for record in caplog.records]
        shown += capfd.readouterr()
        assert "***" in shown[0]
        for text in shown:
            for read in (text, text.replace('\\"', '"').replace("\\\\", "\\")):
                assert core(spelling, planted) not in read


# One cap on a call


@both
def test_call_timeout_caps_the_retries(call: Call, serve: Any) -> None:
    with FaultServer([answers(503, b"{}", {"Retry-After": "5"})]) as server:
        serve(server, max_retries=100, call_timeout=3)
        with pytest.raises(DatafoldServerError):
            call(UPDATE, CONFIG, bi_datasource_id=7)
        assert len(server.requests) == 1


@both
def test_call_timeout_leaves_room_for_some(call: Call, serve: Any) -> None:
    with FaultServer([answers(500)]) as server:
        serve(server, max_retries=100, call_timeout=3)
        with pytest.raises(DatafoldServerError):
            call(UPDATE, CONFIG, bi_datasource_id=7)
        assert 2 <= len(server.requests) < 10


# Schedules and names


@both
@pytest.mark.parametrize(
    ("cron", "message"),
    [
        ("0 0 31 2 *", "must match at least one date"),
        ("0 0 30 2 *", "must match at least one date"),
        ("0 0 31 4,6,9,11 *", "must match at least one date"),
        ("*/99 * * * *", "minute step 99 is not in 1-59"),
        ("0 0 L * *", "day of month L is not in 1-31"),
        ("0 0 * * 5#3", "day of week '5#3' is not a number"),
        ("0 0 ? * *", "day of month '.' is not a number"),
        ("99 6 * * *", "minute 99 is not in 0-59"),
        ("0 24 * * *", "hour 24 is not in 0-23"),
        ("0 6 * * 8", "day of week 8 is not in 0-7"),
        ("H 6 * * *", "minute H is not in 0-59"),
        ("* * * * * *", "must be a cron expression of five fields"),
        ("@daily", "must be a cron expression of five fields"),
        ("0 6 * * \0", "day of week"),
    ],
)
def test_schedule_that_no_cron_keeps_is_refused(
    call: Call, cron: str, message: str, serve: Any
) -> None:
    with FaultServer([answers()]) as server:
        serve(server)
        with pytest.raises(DatafoldInputError, match=f"^indexing_cron: {message}"):
            call(UPDATE, {**CONFIG, "indexing_cron": cron}, bi_datasource_id=7)
        assert server.requests == []


@both
@pytest.mark.parametrize("cron", ["0 0 29 2 *", "0 0 31 * *", "*/5 1-6 * jan-mar mon,fri"])
def test_schedule_that_comes_due_is_sent(call: Call, cron: str, serve: Any) -> None:
    with FaultServer([answers()]) as server:
        serve(server)
        call(UPDATE, {**CONFIG, "indexing_cron": cron}, bi_datasource_id=7)
        assert json.loads(server.requests[0].body)["indexing_cron"] == cron


@both
@pytest.mark.parametrize("field", ["name", "workspace"])
def test_text_with_nul_is_refused(call: Call, field: str, serve: Any) -> None:
    with FaultServer([answers()]) as server:
        serve(server)
        with pytest.raises(DatafoldInputError, match=f"^{field}: must be a string without NUL"):
            call(UPDATE, {**CONFIG, field: "a\0b"}, bi_datasource_id=7)
        assert server.requests == []


# The extra


def fetch_in_a_loop(conn_id: str) -> Any:
    return asyncio.run(fetch_settings_async(conn_id))


fetchers = pytest.mark.parametrize(
    "fetch", [fetch_settings, fetch_in_a_loop], ids=["sync", "async"]
)


@fetchers
@pytest.mark.parametrize(
    ("name", "nearest"),
    [("max_retry", "max_retries"), ("time_out", "timeout"), ("verify", "verify_ssl")],
)
def test_unknown_extra_is_warned_of(fetch: Any, name: str, nearest: str, connect: Any) -> None:
    connect("datafold_default", password=API_KEY, extra={name: 1})
    assert fetch("datafold_default").warnings == (
        f"The extra of connection 'datafold_default' has a field that is not read: {name!r}; did "
        f"you mean {nearest!r}?",
    )


def test_hook_logs_the_warning(
    serve: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DatafoldHook, "log", logging.getLogger("hook"))
    with FaultServer([answers()]) as server, DatafoldHook() as hook:
        serve(server, max_retry=1)
        hook.list_integrations()
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "did you mean 'max_retries'?" in warnings[0]


@fetchers
@pytest.mark.parametrize("name", ["timeout", "call_timeout"])
@pytest.mark.parametrize(
    "value",
    ["1_0", "1e-320", 1e-320, "1e5", "nan", "inf", "-1", -1, 0, "0", 86_401, 10**400, True, False]
    + ["\u0661", "1.5.", "0x10", [], {}, "9" * 30],
)
def test_duration_that_is_odd_is_refused(fetch: Any, name: str, value: Any, connect: Any) -> None:
    connect("datafold_default", password=API_KEY, extra={name: value})
    with pytest.raises(DatafoldConfigurationError, match=f"field '{name}' must be a number"):
        fetch("datafold_default")


@fetchers
@pytest.mark.parametrize("value", ["1_0", 1.5, "1.5", -1, 101, 10**400, True, False, "\u0661", []])
def test_count_that_is_odd_is_refused(fetch: Any, value: Any, connect: Any) -> None:
    connect("datafold_default", password=API_KEY, extra={"max_retries": value})
    with pytest.raises(DatafoldConfigurationError, match="field 'max_retries' must be a whole"):
        fetch("datafold_default")


# When Airflow tries again

needs_policy = pytest.mark.skipif(
    retry_policy.DEFAULT_RETRY_POLICY is None, reason="Airflow has retry policies from 3.3 on"
)


@pytest.fixture
def own_delay() -> Any:
    """The context of a task that waits for an hour itself."""
    task = SimpleNamespace(
        retry_delay=timedelta(hours=1), retry_exponential_backoff=0, max_retry_delay=None
    )
    return {"task": task}


@needs_policy
@pytest.mark.parametrize(
    ("asked", "expected"), [(5, None), (3600, None), (3601, 3601), (7200, 7200)]
)
def test_waits_at_least_the_tasks_own_delay(asked: int, expected: Any, own_delay: Any) -> None:
    error = exceptions.DatafoldRateLimitError("x", retry_after=asked)
    policy: Any = retry_policy.DEFAULT_RETRY_POLICY
    decision = policy.evaluate(error, 1, 3, own_delay)
    delay = decision.retry_delay
    assert delay == (None if expected is None else timedelta(seconds=expected))


@needs_policy
def test_task_never_comes_back_sooner_than_it_asks(own_delay: Any) -> None:
    # Airflow's own decision, without a delay of the policy's, takes the task's.
    from airflow.sdk import RetryDecision

    policy: Any = retry_policy.DEFAULT_RETRY_POLICY
    for error in (exceptions.DatafoldServerError("x", retry_after=1), ValueError("x")):
        assert policy.evaluate(error, 1, 3, own_delay) == RetryDecision.default()


def test_final_error_is_one_that_airflow_asks_no_policy_about() -> None:
    from airflow.providers.common.compat.sdk import AirflowFailException

    assert issubclass(exceptions.DatafoldFinalError, AirflowFailException)
    assert not issubclass(exceptions.DatafoldTransientError, AirflowFailException)
