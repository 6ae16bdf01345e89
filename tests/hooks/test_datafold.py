"""The hook: what Airflow sees of it, its session, its log, any request, and the Test button."""

from __future__ import annotations

import copy
import pickle
from functools import partial
from typing import Any

import pytest
import requests

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.omitted import OMITTED
from tests.conftest import API_KEY, TOKEN
from tests.sending import failure

HOST = "https://datafold.acme.io"


@pytest.fixture(autouse=True)
def connection(connect: Any) -> None:
    connect("datafold_default", host=HOST, password=API_KEY)


def test_names_that_airflow_knows() -> None:
    assert DatafoldHook().datafold_conn_id == DatafoldHook.default_conn_name == "datafold_default"
    assert DatafoldHook.conn_name_attr == "datafold_conn_id"
    assert (DatafoldHook.conn_type, DatafoldHook.hook_name) == ("datafold", "Datafold")
    # Nothing is read or opened before it is used.
    DatafoldHook("no_such_connection").close()


def test_empty_response_to_another_call_is_none(requests_mock: Any) -> None:
    requests_mock.get(f"{HOST}/x", status_code=204)
    assert DatafoldHook().run("GET", "/x", may_be_empty=True) is None
    with pytest.raises(exceptions.DatafoldAnswerError):
        DatafoldHook().run("GET", "/x")


def test_one_session_and_one_reading_of_the_connection(
    requests_mock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests_mock.get(f"{HOST}/x", json=1)
    hook = DatafoldHook()
    session = hook.get_conn()
    assert isinstance(session, requests.Session)
    monkeypatch.delenv("AIRFLOW_CONN_DATAFOLD_DEFAULT")
    assert hook.get_conn() is session
    hook.close()
    assert hook.get_conn() is not session
    assert hook.run("GET", "/x") == 1


def test_a_copy_reads_the_connection_itself(requests_mock: Any) -> None:
    requests_mock.get(f"{HOST}/x", json=1)
    hook = DatafoldHook()
    hook.run("GET", "/x")
    pickled = pickle.dumps(hook)
    assert API_KEY.encode() not in pickled
    for other in (pickle.loads(pickled), copy.deepcopy(hook)):
        assert other.datafold_conn_id == hook.datafold_conn_id
        assert other.run("GET", "/x") == 1
        assert other.get_conn() is not hook.get_conn()


def test_connection_says_how_to_send(requests_mock: Any, connect: Any, log: Any) -> None:
    extra = {"timeout": 5, "verify_ssl": False, "colour": "red"}
    connect("datafold_default", host=HOST, password=API_KEY, extra=extra)
    requests_mock.get(f"{HOST}/x", json=1)
    hook = DatafoldHook()
    hook.run("GET", "/x")
    hook.run("GET", "/x")
    assert (requests_mock.last_request.timeout, requests_mock.last_request.verify) == (5, False)
    unknown, verify = log.warnings
    assert "verify_ssl" in verify
    assert "'datafold_default'" in verify
    assert "a field that is not read: 'colour'" in unknown


# What is sent.


@pytest.mark.usefixtures("connections")
def test_any_request_can_be_sent(sandbox: Any) -> None:
    with DatafoldHook() as hook:
        assert hook.run("get", "/api/v1/datadiffs?page=1&page_size=2")["page"] == 1
        assert hook.run("PUT", "/api/v1/monitors/1/toggle", {"enabled": True})["id"] == 1
    read, change = sandbox.state.requests
    assert (read.method, read.query, read.body) == ("GET", "page=1&page_size=2", b"")
    assert (change.method, change.body) == ("PUT", b'{"enabled": true}')


def test_what_was_given_stays_as_it_is(requests_mock: Any) -> None:
    requests_mock.post(f"{HOST}/api/v1/datadiffs", json={"id": 1})
    sources = {"data_source1_id": 1, "data_source2_id": 2}
    given = {**sources, "table1": ("a",), "column_rules": [{"equal_if": 1}], "query1": OMITTED}
    before = {**given, "column_rules": [{"equal_if": 1}]}
    DatafoldHook().create_data_diff(given)
    assert given == before


@pytest.mark.parametrize(
    ("method", "arguments", "field"),
    [
        ("create_data_diff", ({API_KEY: 1},), "config"),
        ("create_data_source", ({"type": "pg", "name": [TOKEN], "token": TOKEN},), "name"),
        ("list_table_upstreams", (1, [API_KEY]), "table_path"),
        ("run", ("GET", f"/a/../{API_KEY}"), "path"),
    ],
)
def test_a_wrong_value_is_shown_without_its_secrets(
    requests_mock: Any, method: str, arguments: Any, field: str
) -> None:
    call = partial(getattr(DatafoldHook(), method), *arguments)
    error = failure(exceptions.DatafoldInputError, call)
    assert str(error).startswith(f"{field}: ")
    assert "***" in str(error)
    assert requests_mock.request_history == []


# The Test button of the form.

ASKED = "/api/v1/data_sources"


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
        ({"status_code": 429, "headers": {"Retry-After": "9"}}, ["429", "wait 9 s"]),
        ({"status_code": 404}, ["404", NO_API]),
        ({"text": "<html>"}, ["200, but the response is not JSON", NO_API]),
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


def test_the_button_tells_a_wrong_connection(connect: Any, requests_mock: Any) -> None:
    connect("datafold_default", host=HOST)
    works, told = DatafoldHook().test_connection()
    assert not works
    assert "'datafold_default'" in told
    assert "it must be the API key" in told
    assert requests_mock.request_history == []
