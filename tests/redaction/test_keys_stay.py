"""Keys that stay with Datafold, and unusual connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import requests

from airflow_provider_datafold.connection.fetch import fetch_settings, fetch_settings_async
from airflow_provider_datafold.exceptions import (
    DatafoldConfigurationError,
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
