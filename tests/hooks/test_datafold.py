from __future__ import annotations

import copy
import json
import pickle
import traceback
from typing import Any

import pytest
import requests

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.hooks import datafold as hook_module
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from tests.conftest import API_KEY, TOKEN

HOST = "https://datafold.acme.io"
PATH = "/api/v1/lineage/bi/hightouch/7/"
BINDINGS = [{"remoteId": "1", "boundIds": [1, 2]}]


@pytest.fixture(autouse=True)
def connection(connect: Any) -> None:
    connect("datafold_default", host=HOST, password=API_KEY)


def update(**more: Any) -> Any:
    with DatafoldHook() as hook:
        arguments = {"token": TOKEN, "bindings": BINDINGS, "indexing_cron": "0 6 * * *", **more}
        return hook.update_hightouch_integration(arguments.pop("id", 7), **arguments)


def test_constructor_does_nothing() -> None:
    hook = DatafoldHook("no_such_connection")
    assert hook.datafold_conn_id == "no_such_connection"
    hook.close()


def test_names_that_airflow_knows() -> None:
    assert DatafoldHook().datafold_conn_id == DatafoldHook.default_conn_name == "datafold_default"
    assert DatafoldHook.conn_name_attr == "datafold_conn_id"
    assert DatafoldHook.conn_type == "datafold"
    assert DatafoldHook.hook_name == "Datafold"


def test_update_says_so_in_the_log(requests_mock: Any, log: Any) -> None:
    requests_mock.put(HOST + PATH, json={})
    update()
    (told,) = [message for message in log.messages if "accepted" in message]
    facts = ("7", "'0 6 * * *'", HOST, "'datafold_default'")
    assert [fact for fact in facts if fact not in told] == []
    log.clear()
    update(indexing_cron=None)
    (told,) = [message for message in log.messages if "accepted" in message]
    assert "schedule" in told


@pytest.mark.parametrize("answer", [None, True, 7, "text", [], {"indexing_cron": "0 6 * * *"}])
def test_update_takes_any_response(requests_mock: Any, log: Any, answer: Any) -> None:
    requests_mock.put(HOST + PATH, text=json.dumps(answer))
    assert update() == answer
    assert log.warnings == []


def test_update_replaces_echoed_secrets(requests_mock: Any, log: Any) -> None:
    answer = {"a": [{TOKEN: f"x {API_KEY}"}], "token": "another", "name": TOKEN}
    requests_mock.put(HOST + PATH, json=answer)
    assert update(token=f" {TOKEN}\n", name=TOKEN) == {
        "a": [{"***": "x ***"}],
        "token": "***",
        "name": "***",
    }
    assert requests_mock.last_request.json()["name"] == TOKEN
    assert TOKEN not in log.text
    assert API_KEY not in log.text
    assert log.warnings == []


def test_empty_response_to_another_call_is_none(requests_mock: Any) -> None:
    requests_mock.get(f"{HOST}/x", status_code=204)
    assert DatafoldHook().run("GET", "/x", may_be_empty=True) is None
    with pytest.raises(exceptions.DatafoldAnswerError):
        DatafoldHook().run("GET", "/x")


def test_sync_says_so_in_the_log(requests_mock: Any, log: Any) -> None:
    path = "/api/v1/lineage/bi/7/sync/"
    requests_mock.get(HOST + path, json=None)
    DatafoldHook().sync_integration(7)
    (told,) = [message for message in log.messages if f"{HOST} (" in message]
    assert "accepted the sync request" in told
    assert "7" in told
    assert "'datafold_default'" in told


@pytest.mark.parametrize("cron", ["0 6 * * *", None])
def test_same_schedule_is_not_sent_again(requests_mock: Any, log: Any, cron: Any) -> None:
    read = {"indexing_cron": cron, "name": TOKEN}
    requests_mock.get(f"{HOST}/api/v1/lineage/bi/7/", json=read)
    answer = update(indexing_cron=cron and " 0 6  * * *", name="other", only_if_changed=True)
    assert answer["indexing_cron"] == cron
    assert [sent.method for sent in requests_mock.request_history] == ["GET"]
    schedule = repr(cron) if cron else "schedule"
    (told,) = [message for message in log.messages if "nothing was sent" in message]
    facts = ("7", schedule, HOST, "'datafold_default'")
    assert [fact for fact in facts if fact not in told] == []


def test_airflow_is_told_the_secrets(requests_mock: Any, monkeypatch: Any) -> None:
    requests_mock.put(HOST + PATH, json={})
    told: list[Any] = []
    monkeypatch.setattr(hook_module, "mask", told.extend)

    update()

    assert {text for secret in told for text in secret.texts()} == {API_KEY, TOKEN}


def test_what_was_read_has_no_secret(requests_mock: Any) -> None:
    read = {"indexing_cron": None, "note": f"x {TOKEN}", "key": API_KEY}
    requests_mock.get(f"{HOST}/api/v1/lineage/bi/7/", json=read)
    answer = update(indexing_cron=None, only_if_changed=True)
    assert answer == {"indexing_cron": None, "note": "x ***", "key": "***"}


def test_error_tells_the_person_on_call_what_happened(requests_mock: Any) -> None:
    detail = [{"loc": ["body", "name"], "msg": f"no {TOKEN}", "input": TOKEN}]
    requests_mock.put(HOST + PATH, status_code=422, json={"detail": detail})
    with pytest.raises(exceptions.DatafoldValidationError) as caught:
        update()
    facts = (f"PUT {PATH}", HOST, "'datafold_default'", "422", "body.name", "no ***")
    assert [fact for fact in facts if fact not in str(caught.value)] == []
    assert caught.value.status_code == 422
    assert caught.value.method == "PUT"
    assert caught.value.path == PATH
    assert caught.value.errors == (("body.name", "no ***"),)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_one_session_for_all_calls(requests_mock: Any) -> None:
    hook = DatafoldHook()
    session = hook.get_conn()
    assert isinstance(session, requests.Session)
    assert hook.get_conn() is session
    hook.close()
    assert hook.get_conn() is not session


def test_session_is_closed_at_the_end(requests_mock: Any, monkeypatch: Any) -> None:
    closed: list[Any] = []
    monkeypatch.setattr(requests.Session, "close", lambda session: closed.append(session))
    with DatafoldHook() as hook:
        session = hook.get_conn()
    assert closed == [session]


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
    extra = {"timeout": 5, "verify_ssl": False}
    connect("datafold_default", host=HOST, password=API_KEY, extra=extra)
    requests_mock.get(f"{HOST}/x", json=1)
    hook = DatafoldHook()
    hook.run("GET", "/x")
    hook.run("GET", "/x")
    assert requests_mock.last_request.timeout == 5
    assert requests_mock.last_request.verify is False
    (warning,) = log.warnings
    assert "verify_ssl" in warning
    assert "'datafold_default'" in warning
    DatafoldHook().run("GET", "/x")
    assert log.warnings == [warning, warning]


def test_extra_field_that_is_not_read_is_warned_of(
    requests_mock: Any, connect: Any, log: Any
) -> None:
    extra = {"timeout": 5, "max_retry": 0, "colour": "red"}
    connect("datafold_default", host=HOST, password=API_KEY, extra=extra)
    requests_mock.get(f"{HOST}/x", json=1)
    hook = DatafoldHook()
    hook.run("GET", "/x")
    hook.run("GET", "/x")
    misspelt, unknown = log.warnings
    assert "'max_retry'" in misspelt
    assert "did you mean 'max_retries'?" in misspelt
    assert "'colour'" in unknown
    assert "did you mean" not in unknown
    assert "'datafold_default'" in unknown


def test_address_of_the_integrations_page() -> None:
    assert DatafoldHook().integrations_url == f"{HOST}/settings/integrations"
