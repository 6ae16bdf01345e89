from __future__ import annotations

import copy
import json
import pickle
import traceback
from typing import Any

import pytest
import requests
from airflow import __version__ as airflow_version

from airflow_provider_datafold import __version__, exceptions
from airflow_provider_datafold.hooks import datafold as hook_module
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from tests.conftest import API_KEY, TOKEN
from tests.relay import Relay

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


def test_update_sends_what_the_contract_asks_for(requests_mock: Any) -> None:
    requests_mock.put(HOST + PATH, json={"id": 7})
    assert update(name="n", workspace=None) == {"id": 7}
    (sent,) = requests_mock.request_history
    assert sent.json() == {
        "token": TOKEN,
        "bindings": BINDINGS,
        "indexing_cron": "0 6 * * *",
        "name": "n",
        "workspace": None,
    }
    assert sent.headers["Authorization"] == f"Key {API_KEY}"
    assert sent.headers["Content-Type"] == "application/json"
    assert sent.headers["Accept"] == "application/json"
    assert sent.headers["User-Agent"] == (
        f"airflow-provider-datafold/{__version__} apache-airflow/{airflow_version}"
    )
    assert sent.timeout == 30
    assert sent.verify is not False


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


def test_update_warns_of_what_was_not_taken_over(requests_mock: Any, log: Any) -> None:
    answer = {"name": "old", "indexing_cron": None, "bindings": BINDINGS, "workspace": "other"}
    requests_mock.put(HOST + PATH, json=answer)
    update(name="new")
    schedule, name = log.warnings
    assert [part for part in ("indexing_cron", "'0 6 * * *'", "None") if part not in schedule] == []
    assert [part for part in ("name", "'new'", "'old'") if part not in name] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("id", "7/../9"), ("bindings", 7), ("indexing_cron", ""), ("name", []), ("token", " ")],
)
def test_update_checks_before_it_sends(requests_mock: Any, field: str, value: Any) -> None:
    with pytest.raises(exceptions.DatafoldInputError, match="Nothing was sent") as caught:
        update(**{field: value})
    assert field in str(caught.value)
    assert requests_mock.request_history == []


@pytest.mark.parametrize(
    "values",
    [
        {"indexing_cron": f"{'x' * 55}{TOKEN}"},
        {"indexing_cron": API_KEY},
        {"bindings": [{"remoteId": None, "boundIds": TOKEN}]},
        {"id": (TOKEN.encode(),)},
        {"id": 0, "name": TOKEN},
    ],
)
def test_wrong_value_is_not_shown_when_it_may_hold_a_secret(values: Any) -> None:
    with pytest.raises(exceptions.DatafoldInputError) as caught:
        update(**values)
    assert "not shown" in str(caught.value)
    assert str(caught.value).split(":")[0] in {
        "indexing_cron",
        "bindings[0].boundIds",
        "bi_datasource_id",
    }
    assert "planted" not in "".join(traceback.format_exception(caught.value, limit=0))


def test_reads(requests_mock: Any) -> None:
    requests_mock.get(f"{HOST}/api/v1/lineage/bi/", json=[{"id": 7}])
    requests_mock.get(f"{HOST}/api/v1/lineage/bi/7/", json={"id": 7})
    with DatafoldHook() as hook:
        assert hook.list_integrations() == [{"id": 7}]
        assert hook.get_integration("7") == {"id": 7}
        with pytest.raises(exceptions.DatafoldInputError, match="bi_datasource_id: .*'x'"):
            hook.get_integration("x")
    assert [sent.body for sent in requests_mock.request_history] == [None, None]
    assert "Content-Type" not in requests_mock.last_request.headers


@pytest.mark.parametrize("call", ["get_integration", "sync_integration", "delete_integration"])
def test_calls_of_one_integration_check_its_id(requests_mock: Any, call: str) -> None:
    with pytest.raises(exceptions.DatafoldInputError, match="bi_datasource_id: .*'7/../9'"):
        getattr(DatafoldHook(), call)("7/../9")
    with pytest.raises(exceptions.DatafoldInputError, match="bi_datasource_id: ") as caught:
        getattr(DatafoldHook(), call)(API_KEY)
    assert API_KEY not in str(caught.value)
    assert requests_mock.request_history == []


@pytest.mark.parametrize(
    ("call", "method", "path"),
    [("sync_integration", "GET", "7/sync/"), ("delete_integration", "DELETE", "7/")],
)
def test_empty_response_is_none(requests_mock: Any, call: str, method: str, path: str) -> None:
    url = f"{HOST}/api/v1/lineage/bi/{path}"
    answers = [{"status_code": 204}, {"text": ""}, {"text": "null"}, {"json": {"id": 7}}]
    requests_mock.register_uri(method, url, answers)
    with DatafoldHook() as hook:
        assert [getattr(hook, call)(" 7 ") for _ in answers] == [None, None, None, {"id": 7}]
        requests_mock.register_uri(method, url, text="<html>")
        with pytest.raises(exceptions.DatafoldAnswerError):
            getattr(hook, call)(7)


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


LOOKER = {"base_url": "https://l", "client_id": "c", "client_secret": f"{TOKEN}\n", "repo_id": "3"}


def test_create_sends_a_checked_body(requests_mock: Any) -> None:
    url = f"{HOST}/api/v1/lineage/bi/looker/"
    requests_mock.post(url, json={"id": 8, "client_secret": "x"})
    assert DatafoldHook().create_integration("looker", LOOKER) == {"id": 8, "client_secret": "***"}
    assert requests_mock.last_request.json() == {**LOOKER, "client_secret": TOKEN, "repo_id": 3}


@pytest.mark.parametrize(
    ("kind", "config", "field", "said"),
    [
        ("tableu", {}, "kind", "'tableu'"),
        (TOKEN, {"token": TOKEN}, "kind", "not shown"),
        ("looker", {**LOOKER, "repo_id": None}, "repo_id", "None"),
        ("looker", {**LOOKER, TOKEN: 1}, "config", "not shown"),
        ("looker", {**LOOKER, "repo_id": [TOKEN]}, "repo_id", "not shown"),
        ("looker", {}, "base_url", "missing"),
        ("dbt", None, "config", "NoneType"),
        ("mode", json.dumps({"token": TOKEN}), "password", "missing"),
        ("mode", f"{TOKEN}", "config", "str"),
        ("mode", [("token", TOKEN)], "config", "list"),
        (
            "hightouch",
            {"token": "x", "bindings": [{"token": TOKEN}]},
            "bindings[0]",
            "has no 'remoteId' (found: 'token')",
        ),
    ],
)
def test_config_is_checked_before_it_is_sent(
    requests_mock: Any, kind: str, config: Any, field: str, said: str
) -> None:
    with DatafoldHook() as hook:
        for call in (
            lambda: hook.create_integration(kind, config),
            lambda: hook.update_integration(kind, 7, config, only_if_changed=True),
        ):
            with pytest.raises(exceptions.DatafoldInputError) as caught:
                call()
            assert str(caught.value).startswith(f"{field}: ")
            assert said in str(caught.value)
            assert "Nothing was sent" in str(caught.value)
            assert "planted" not in "".join(traceback.format_exception(caught.value, limit=0))
    assert requests_mock.request_history == []


def test_a_config_may_hold_itself(requests_mock: Any) -> None:
    circular: list[Any] = []
    circular.append(circular)
    with pytest.raises(exceptions.DatafoldInputError, match="Nothing was sent"):
        update(bindings=circular)
    assert requests_mock.request_history == []


def test_update_of_any_kind(requests_mock: Any, log: Any) -> None:
    url = f"{HOST}/api/v1/lineage/bi/dbt/7/"
    requests_mock.put(url, json={"ci_config_id": 5, "name": "old"})
    config = {"ci_config_id": 4, "name": "new"}
    with DatafoldHook() as hook:
        answer = hook.update_integration("dbt", 7, config)
    assert answer == {"ci_config_id": 5, "name": "old"}
    assert requests_mock.last_request.json() == config
    (told,) = [message for message in log.messages if "accepted" in message]
    assert "without indexing_cron" in told
    # No hint that only the schedule changes: that does not apply to dbt.
    assert len(log.warnings) == 2
    assert "schedule" not in " ".join(log.warnings)


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


@pytest.mark.parametrize(
    "read", [{"indexing_cron": "0 7 * * *"}, {"indexing_cron": None}, {"id": 7}, [], None, "text"]
)
def test_another_schedule_is_sent(requests_mock: Any, read: Any) -> None:
    requests_mock.get(f"{HOST}/api/v1/lineage/bi/7/", text=json.dumps(read))
    requests_mock.put(HOST + PATH, json={"id": 7})
    assert update(only_if_changed=True) == {"id": 7}
    assert [sent.method for sent in requests_mock.request_history] == ["GET", "PUT"]


DBT = {"ci_config_id": 4, "indexing_cron": "0 6 * * *", "name": None}


@pytest.mark.parametrize(
    ("read", "calls"),
    [
        (DBT, ["GET"]),
        ({**DBT, "more": 1}, ["GET"]),
        ({**DBT, "ci_config_id": 5}, ["GET", "PUT"]),
        ({**DBT, "indexing_cron": None}, ["GET", "PUT"]),
        ({"indexing_cron": "0 6 * * *"}, ["GET", "PUT"]),
    ],
)
def test_what_else_an_update_would_change_counts(requests_mock: Any, read: Any, calls: Any) -> None:
    requests_mock.get(f"{HOST}/api/v1/lineage/bi/7/", json=read)
    requests_mock.put(f"{HOST}/api/v1/lineage/bi/dbt/7/", json={})
    with DatafoldHook() as hook:
        hook.update_integration("dbt", 7, DBT, only_if_changed=True)
    assert [sent.method for sent in requests_mock.request_history] == calls


def test_a_secret_is_not_compared(requests_mock: Any) -> None:
    read = {"auth_type": "delegated", "indexing_cron": None}
    requests_mock.get(f"{HOST}/api/v1/lineage/bi/7/", json=read)
    config = {**read, "client_secret": TOKEN}
    with DatafoldHook() as hook:
        assert hook.update_integration("powerbi", 7, config, only_if_changed=True) == read


def test_no_schedule_asked_for_is_none_to_compare(requests_mock: Any) -> None:
    requests_mock.get(f"{HOST}/api/v1/lineage/bi/7/", json={"indexing_cron": None})
    requests_mock.put(f"{HOST}/api/v1/lineage/bi/dbt/7/", json={"id": 7})
    with DatafoldHook() as hook:
        config = {"ci_config_id": 4}
        assert hook.update_integration("dbt", 7, config, only_if_changed=True) == {"id": 7}


def test_run_sends_any_json(requests_mock: Any) -> None:
    requests_mock.register_uri("PATCH", f"{HOST}/x", json={"key": API_KEY})
    assert DatafoldHook().run("patch", "/x", json=[1, None]) == {"key": "***"}
    assert requests_mock.last_request.json() == [1, None]
    assert requests_mock.last_request.method == "PATCH"
    DatafoldHook().run("PATCH", "/x")
    assert requests_mock.last_request.body is None


@pytest.mark.parametrize("body", [float("nan"), {"a": float("inf")}, {1, 2}, object()])
def test_run_refuses_what_is_no_json(requests_mock: Any, body: Any) -> None:
    with pytest.raises(exceptions.DatafoldInputError) as caught:
        DatafoldHook().run("POST", "/x", json=body)
    assert "JSON" in str(caught.value)
    assert "Nothing was sent" in str(caught.value)
    circular: list[Any] = []
    circular.append(circular)
    with pytest.raises(exceptions.DatafoldInputError):
        DatafoldHook().run("POST", "/x", json=circular)
    assert requests_mock.request_history == []


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


def test_session_authenticates_by_itself(requests_mock: Any) -> None:
    requests_mock.get(f"{HOST}/x", json=1)
    DatafoldHook().get_conn().get(f"{HOST}/x")
    assert requests_mock.last_request.headers["Authorization"] == f"Key {API_KEY}"


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


def test_connection_is_kept_alive_and_closed(sandbox: Any, connect: Any) -> None:
    with Relay(sandbox.port) as relay:
        connect("datafold_default", host=relay.url, password=API_KEY)
        with DatafoldHook() as hook:
            for _ in range(3):
                hook.get_integration(7)
            assert relay.connections == 1
            hook.close()
            hook.get_integration(7)
        assert relay.connections == 2
    assert [request.status for request in sandbox.state.requests] == [200] * 4


@pytest.mark.usefixtures("connections")
def test_update_over_a_real_socket(sandbox: Any) -> None:
    answer = update(indexing_cron=None)
    assert answer == sandbox.state.integrations[7]
    assert answer["indexing_cron"] is None
    (request,) = sandbox.state.requests
    assert json.loads(request.body)["token"] == TOKEN


def test_address_of_the_integrations_page() -> None:
    assert DatafoldHook().integrations_url == f"{HOST}/settings/integrations"
