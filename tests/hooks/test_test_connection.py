"""The message of the form's Test button."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_datafold.hooks.datafold import DatafoldHook
from tests.conftest import API_KEY

HOST = "https://datafold.acme.io"
ASKED = "/api/v1/data_sources"
"""The request that the button sends."""


@pytest.fixture(autouse=True)
def connection(connect: Any) -> None:
    connect("datafold_default", host=HOST, password=API_KEY)


@pytest.mark.usefixtures("connections")
def test_all_is_well(sandbox: Any) -> None:
    works, told = DatafoldHook().test_connection()
    assert works
    assert told.startswith(sandbox.url)
    assert "accepts the API key" in told
    assert f"{len(sandbox.state.data_sources.sources)} data sources" in told
    (request,) = sandbox.state.requests
    assert (request.method, request.path) == ("GET", ASKED)


def test_no_data_source_will_do(requests_mock: Any) -> None:
    requests_mock.get(HOST + ASKED, json=[])
    works, told = DatafoldHook().test_connection()
    assert works
    assert told == f"{HOST}: Datafold accepts the API key and shows 0 data sources."


NO_API = "this is not a Datafold API"


@pytest.mark.parametrize(
    ("answer", "facts"),
    [
        ({"status_code": 401}, ["401", "API key", "Put a valid one into the connection"]),
        ({"status_code": 403}, ["403", "API key", "Ask for the permission in Datafold"]),
        ({"status_code": 500}, ["500", "Try again later"]),
        ({"status_code": 429, "headers": {"Retry-After": "9"}}, ["429", "wait 9 s"]),
        ({"status_code": 404}, ["404", NO_API]),
        (
            {"text": "<html>", "headers": {"Content-Type": "text/html"}},
            ["200", "text/html", NO_API],
        ),
        *[
            ({"text": value}, ["200", "not a list", NO_API])
            for value in ('{"some": "thing"}', "null", "0", '""', "true")
        ],
        ({"status_code": 204}, ["204", NO_API]),
        (
            {"status_code": 302, "headers": {"Location": "https://login.acme.io/"}},
            ["302", "login.acme.io", NO_API],
        ),
        ({"exc": requests.ConnectionError}, ["connection broke", "Try again later"]),
    ],
)
def test_it_says_what_is_wrong_and_what_to_do(requests_mock: Any, answer: Any, facts: Any) -> None:
    requests_mock.get(HOST + ASKED, **answer)
    works, told = DatafoldHook().test_connection()
    assert not works
    assert [fact for fact in [HOST, *facts] if fact not in told] == []
    assert (NO_API in told) is (NO_API in facts) is ("Check the connection's host" in told)
    assert told.endswith(".")
    assert len(told) < 300
    # A user is waiting.
    assert requests_mock.call_count == 1


def test_plain_http_behind_a_host_without_a_scheme(connect: Any, sandbox: Any) -> None:
    host = sandbox.url.removeprefix("http://")
    connect("datafold_default", host=host, password=API_KEY)
    works, told = DatafoldHook().test_connection()
    assert not works
    assert told.startswith(f"https://{host}: the TLS handshake failed (")
    assert "begin the connection's host with http://" in told


def test_wrong_connection(connect: Any, requests_mock: Any) -> None:
    connect("datafold_default", host=HOST)
    works, told = DatafoldHook().test_connection()
    assert not works
    assert "'datafold_default'" in told
    assert "'password'" in told
    assert "it must be the API key" in told
    assert requests_mock.request_history == []


def test_no_connection() -> None:
    works, told = DatafoldHook("nowhere").test_connection()
    assert not works
    assert "'nowhere'" in told
