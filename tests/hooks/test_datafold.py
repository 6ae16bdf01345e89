"""The hook: what Airflow sees of it, its session, its log, any request, and the Test button."""

from __future__ import annotations

import copy
import pickle
import traceback
from typing import Any

import pytest
import requests

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.omitted import OMITTED
from tests.conftest import API_KEY, TOKEN

HOST = "https://datafold.acme.io"


@pytest.fixture(autouse=True)
def connection(connect: Any) -> None:
    connect("datafold_default", host=HOST, password=API_KEY)


def test_constructor_does_nothing() -> None:
    hook = DatafoldHook("no_such_connection")
    assert hook.datafold_conn_id == "no_such_connection"
    hook.close()


def test_names_that_airflow_knows() -> None:
    assert DatafoldHook().datafold_conn_id == DatafoldHook.default_conn_name == "datafold_default"
    assert DatafoldHook.conn_name_attr == "datafold_conn_id"
    assert DatafoldHook.conn_type == "datafold"
    assert DatafoldHook.hook_name == "Datafold"


def test_empty_response_to_another_call_is_none(requests_mock: Any) -> None:
    requests_mock.get(f"{HOST}/x", status_code=204)
    assert DatafoldHook().run("GET", "/x", may_be_empty=True) is None
    with pytest.raises(exceptions.DatafoldAnswerError):
        DatafoldHook().run("GET", "/x")


def test_one_session_for_all_calls(requests_mock: Any) -> None:
    hook = DatafoldHook()
    session = hook.get_conn()
    assert isinstance(session, requests.Session)
    assert hook.get_conn() is session
    hook.close()
    assert hook.get_conn() is not session


def test_connection_is_read_once(requests_mock: Any, monkeypatch: Any) -> None:
    requests_mock.get(f"{HOST}/x", json=1)
    hook = DatafoldHook()
    hook.run("GET", "/x")
    monkeypatch.delenv("AIRFLOW_CONN_DATAFOLD_DEFAULT")
    hook.close()
    assert hook.run("GET", "/x") == 1


def test_a_copy_reads_the_connection_itself(requests_mock: Any) -> None:
    requests_mock.get(f"{HOST}/api/v1/lineage/bi/7/", json={"id": 7})
    hook = DatafoldHook()
    hook.get_integration(7)

    pickled = pickle.dumps(hook)

    assert API_KEY.encode() not in pickled
    for other in (pickle.loads(pickled), copy.deepcopy(hook)):
        assert other.datafold_conn_id == hook.datafold_conn_id
        assert other.get_integration(7) == {"id": 7}
        assert other.get_conn() is not hook.get_conn()


def test_connection_says_how_to_send(requests_mock: Any, connect: Any, log: Any) -> None:
    extra = {"timeout": 5, "verify_ssl": False, "colour": "red"}
    connect("datafold_default", host=HOST, password=API_KEY, extra=extra)
    requests_mock.get(f"{HOST}/x", json=1)
    hook = DatafoldHook()
    hook.run("GET", "/x")
    hook.run("GET", "/x")
    assert requests_mock.last_request.timeout == 5
    assert requests_mock.last_request.verify is False
    unknown, verify = log.warnings
    assert "verify_ssl" in verify
    assert "'datafold_default'" in verify
    assert "a field that is not read: 'colour'" in unknown
    assert "did you mean" not in unknown
    DatafoldHook().run("GET", "/x")
    assert log.warnings == [unknown, verify] * 2


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("https://acme.io:8443/", "https://acme.io:8443"),
        ("acme.io", "https://acme.io"),
        (None, "https://app.datafold.com"),
    ],
)
def test_its_addresses(connect: Any, given: str | None, base: str) -> None:
    connect("acme", host=given, password=API_KEY)
    hook = DatafoldHook("acme")
    assert hook.data_diff_url(7) == f"{base}/datadiffs/7/overview"
    assert hook.integrations_url == f"{base}/settings/integrations"


# What is sent.


@pytest.mark.usefixtures("connections")
def test_any_request_can_be_sent(sandbox: Any) -> None:
    with DatafoldHook() as hook:
        assert hook.run("get", "/api/v1/datadiffs?page=1&page_size=2")["page"] == 1
        assert hook.run("PUT", "/api/v1/monitors/1/toggle", {"enabled": True})["id"] == 1
    assert [
        (request.method, request.path, request.query, request.body)
        for request in sandbox.state.requests
    ] == [
        ("GET", "/api/v1/datadiffs", "page=1&page_size=2", b""),
        ("PUT", "/api/v1/monitors/1/toggle", "", b'{"enabled": true}'),
    ]


def test_what_was_given_stays_as_it_is(requests_mock: Any) -> None:
    requests_mock.post(f"{HOST}/api/v1/datadiffs", json={"id": 1})
    sources = {"data_source1_id": 1, "data_source2_id": 2}
    given = {**sources, "table1": ("a",), "column_rules": [{"equal_if": 1}], "query1": OMITTED}
    before = {**given, "column_rules": [{"equal_if": 1}]}
    DatafoldHook().create_data_diff(given)
    assert given == before


SOURCE = {"type": "pg", "name": [f"x {TOKEN} y"]}
OPTIONS = {"host": "h", "user": "u", "dbname": "d", "password": TOKEN}


@pytest.mark.parametrize(
    ("call", "arguments", "field"),
    [
        ("create_data_diff", ({API_KEY: 1},), "config"),
        ("list_table_upstreams", (1, [API_KEY]), "table_path"),
        ("create_data_source", ({**SOURCE, "options": OPTIONS},), "name"),
        ("run", ("GET", f"/a/../{API_KEY}"), "path"),
    ],
)
def test_a_wrong_value_is_shown_without_its_secrets(
    requests_mock: Any, call: str, arguments: Any, field: str
) -> None:
    with pytest.raises(exceptions.DatafoldInputError) as caught:
        getattr(DatafoldHook(), call)(*arguments)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert str(caught.value).startswith(f"{field}: ")
    assert "***" in shown
    assert API_KEY not in shown
    assert TOKEN not in shown
    assert requests_mock.request_history == []


# The Test button of the form.

ASKED = "/api/v1/data_sources"
"""The request that the button sends."""


@pytest.mark.usefixtures("connections")
def test_the_button_says_that_all_is_well(sandbox: Any) -> None:
    sandbox.state.data_sources.sources.clear()
    said = f"{sandbox.url}: Datafold accepts the API key and shows 0 data sources."
    assert DatafoldHook().test_connection() == (True, said)
    (request,) = sandbox.state.requests
    assert (request.method, request.path) == ("GET", ASKED)


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
        ({"text": '{"some": "thing"}'}, ["200", "not a list", NO_API]),
        ({"status_code": 204}, ["204", NO_API]),
        (
            {"status_code": 302, "headers": {"Location": "https://login.acme.io/"}},
            ["302", "login.acme.io", NO_API],
        ),
        ({"exc": requests.ConnectionError}, ["connection broke", "Try again later"]),
    ],
)
def test_the_button_says_what_is_wrong_and_what_to_do(
    requests_mock: Any, answer: Any, facts: Any
) -> None:
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


def test_the_button_tells_a_wrong_connection(connect: Any, requests_mock: Any) -> None:
    connect("datafold_default", host=HOST)
    works, told = DatafoldHook().test_connection()
    assert not works
    assert "'datafold_default'" in told
    assert "it must be the API key" in told
    assert requests_mock.request_history == []
