from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import requests
import tenacity
from airflow import __version__ as airflow_version

from airflow_provider_datafold import __version__, exceptions
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from tests.conftest import API_KEY, TOKEN

HOST = "https://datafold.acme.io"
PATH = "/api/v1/lineage/bi/hightouch/7/"
BINDINGS = [{"remoteId": "1", "boundIds": [1, 2]}]


@pytest.fixture(autouse=True)
def connection(connect: Any) -> None:
    connect("datafold_default", host=HOST, password=API_KEY)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Collect the seconds to wait instead of waiting."""
    seconds: list[float] = []
    monkeypatch.setattr(tenacity.nap.time, "sleep", seconds.append)
    return seconds


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Any:
    # Where Airflow sends a hook's messages differs between its versions.
    monkeypatch.setattr(DatafoldHook, "log", logging.getLogger("hook"))
    caplog.set_level(logging.DEBUG)
    return caplog


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
    told = [message for message in log.messages if "accepted" in message]
    where = f"was sent to {HOST} (Airflow connection 'datafold_default') and accepted."
    assert told == [f"{PATH}: indexing_cron '0 6 * * *' {where}"]
    log.clear()
    update(indexing_cron=None)
    assert f"{PATH}: no schedule {where}" in log.messages


@pytest.mark.parametrize("answer", [None, True, 7, "text", [], {"indexing_cron": "0 6 * * *"}])
def test_update_takes_any_answer(requests_mock: Any, log: Any, answer: Any) -> None:
    requests_mock.put(HOST + PATH, text=json.dumps(answer))
    assert update() == answer
    assert "WARNING" not in log.text


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
    assert "WARNING" not in log.text


def test_update_warns_of_what_was_not_taken_over(requests_mock: Any, log: Any) -> None:
    answer = {"name": "old", "indexing_cron": None, "bindings": BINDINGS, "workspace": "other"}
    requests_mock.put(HOST + PATH, json=answer)
    update(name="new")
    assert [record.getMessage() for record in log.records if record.levelname == "WARNING"] == [
        "indexing_cron was sent as '0 6 * * *', but Datafold answers None. Look at the "
        "integration in Datafold.",
        "name was sent as 'new', but Datafold answers 'old'. This call of its API can only "
        "update the schedule.",
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [("id", "7/../9"), ("bindings", None), ("indexing_cron", ""), ("name", []), ("token", " ")],
)
def test_update_checks_before_it_sends(requests_mock: Any, field: str, value: Any) -> None:
    with pytest.raises(exceptions.DatafoldInputError, match="Nothing was sent"):
        update(**{field: value})
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
    assert "is wrong, and is not shown because one of the values holds" in str(caught.value)
    assert str(caught.value).split(":")[0] in {
        "indexing_cron",
        "bindings[0].boundIds",
        "bi_datasource_id",
    }
    assert "planted" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_wrong_path_is_not_shown_when_it_holds_a_secret() -> None:
    with pytest.raises(exceptions.DatafoldInputError, match="^path: is wrong, and is not shown"):
        DatafoldHook().run("GET", API_KEY)


def test_secrets_are_registered_with_the_masker(requests_mock: Any, monkeypatch: Any) -> None:
    masked: list[str] = []
    monkeypatch.setattr("airflow_provider_datafold.hooks.datafold.mask_secret", masked.append)
    requests_mock.put(HOST + PATH, json={})
    update(token=f"{TOKEN}\n")
    assert sorted(masked) == sorted([API_KEY, TOKEN])


def test_run_knows_a_secret_by_its_field(requests_mock: Any, monkeypatch: Any) -> None:
    masked: list[str] = []
    monkeypatch.setattr("airflow_provider_datafold.hooks.datafold.mask_secret", masked.append)
    detail = [{"loc": ["body"], "msg": f"{TOKEN} is wrong"}]
    requests_mock.post(f"{HOST}/x", status_code=422, json={"detail": detail})
    with pytest.raises(exceptions.DatafoldValidationError) as caught:
        DatafoldHook().run("POST", "/x", json={"client_secret": TOKEN})
    assert caught.value.errors == (("body", "*** is wrong"),)
    assert TOKEN in masked
    assert requests_mock.last_request.json() == {"client_secret": TOKEN}


def test_reads(requests_mock: Any) -> None:
    requests_mock.get(f"{HOST}/api/v1/lineage/bi/", json=[{"id": 7}])
    requests_mock.get(f"{HOST}/api/v1/lineage/bi/7/", json={"id": 7})
    with DatafoldHook() as hook:
        assert hook.list_integrations() == [{"id": 7}]
        assert hook.get_integration("7") == {"id": 7}
        with pytest.raises(exceptions.DatafoldInputError, match="^bi_datasource_id: is 'x'"):
            hook.get_integration("x")
    assert [sent.body for sent in requests_mock.request_history] == [None, None]
    assert "Content-Type" not in requests_mock.last_request.headers


@pytest.mark.parametrize("call", ["get_integration", "sync_integration", "delete_integration"])
def test_calls_of_one_integration_check_its_id(requests_mock: Any, call: str) -> None:
    with pytest.raises(exceptions.DatafoldInputError, match="^bi_datasource_id: is '7/../9'"):
        getattr(DatafoldHook(), call)("7/../9")
    with pytest.raises(exceptions.DatafoldInputError, match="^bi_datasource_id: is wrong, and is"):
        getattr(DatafoldHook(), call)(API_KEY)
    assert requests_mock.request_history == []


@pytest.mark.parametrize(
    ("call", "method", "path"),
    [("sync_integration", "GET", "7/sync/"), ("delete_integration", "DELETE", "7/")],
)
def test_empty_answer_is_none(requests_mock: Any, call: str, method: str, path: str) -> None:
    url = f"{HOST}/api/v1/lineage/bi/{path}"
    answers = [{"status_code": 204}, {"text": ""}, {"text": "null"}, {"json": {"id": 7}}]
    requests_mock.register_uri(method, url, answers)
    with DatafoldHook() as hook:
        assert [getattr(hook, call)(" 7 ") for _ in answers] == [None, None, None, {"id": 7}]
        requests_mock.register_uri(method, url, text="<html>")
        with pytest.raises(exceptions.DatafoldAnswerError):
            getattr(hook, call)(7)


def test_empty_answer_to_another_call_is_none(requests_mock: Any) -> None:
    requests_mock.get(f"{HOST}/x", status_code=204)
    assert DatafoldHook().run("GET", "/x", may_be_empty=True) is None
    with pytest.raises(exceptions.DatafoldAnswerError):
        DatafoldHook().run("GET", "/x")


def test_sync_says_so_in_the_log(requests_mock: Any, log: Any) -> None:
    path = "/api/v1/lineage/bi/7/sync/"
    requests_mock.get(HOST + path, json=None)
    DatafoldHook().sync_integration(7)
    told = f"{path}: {HOST} (Airflow connection 'datafold_default') took the order to synchronize."
    assert told in log.messages


@pytest.mark.parametrize(("status", "calls"), [(500, 1), (503, 4), (429, 4)])
def test_sync_is_not_tried_again_like_a_read(
    requests_mock: Any, waits: Any, status: int, calls: int
) -> None:
    requests_mock.get(f"{HOST}/api/v1/lineage/bi/7/sync/", status_code=status)
    with pytest.raises(
        exceptions.DatafoldServerError if status > 429 else exceptions.DatafoldError
    ):
        DatafoldHook().sync_integration(7)
    assert requests_mock.call_count == calls


@pytest.mark.parametrize(("method", "idempotent", "calls"), [("POST", True, 4), ("PUT", False, 1)])
def test_caller_may_know_better_what_is_idempotent(
    requests_mock: Any, waits: Any, method: str, idempotent: bool, calls: int
) -> None:
    requests_mock.register_uri(method, f"{HOST}/x", status_code=500)
    with pytest.raises(exceptions.DatafoldServerError):
        DatafoldHook().run(method, "/x", idempotent=idempotent)
    assert requests_mock.call_count == calls


LOOKER = {"base_url": "https://l", "client_id": "c", "client_secret": f"{TOKEN}\n", "repo_id": "3"}


def test_create_sends_a_checked_body(requests_mock: Any, waits: Any) -> None:
    url = f"{HOST}/api/v1/lineage/bi/looker/"
    requests_mock.post(url, [{"status_code": 503}, {"json": {"id": 8, "client_secret": "x"}}])
    assert DatafoldHook().create_integration("looker", LOOKER) == {"id": 8, "client_secret": "***"}
    assert requests_mock.call_count == 2
    assert requests_mock.last_request.json() == {**LOOKER, "client_secret": TOKEN, "repo_id": 3}
    requests_mock.post(url, status_code=500)
    with pytest.raises(exceptions.DatafoldServerError):
        DatafoldHook().create_integration("looker", LOOKER)
    assert requests_mock.call_count == 3


@pytest.mark.parametrize(
    ("kind", "config", "said"),
    [
        ("tableu", {}, "kind: is 'tableu' (str); wanted: one of 'hightouch', "),
        (TOKEN, {"token": TOKEN}, "kind: is wrong, and is not shown because"),
        ("looker", {**LOOKER, "repo_id": None}, "repo_id: is None (NoneType); wanted: an integer"),
        ("looker", {**LOOKER, TOKEN: 1}, "config: is wrong, and is not shown because"),
        ("looker", {**LOOKER, "repo_id": [TOKEN]}, "repo_id: is wrong, and is not shown because"),
        ("looker", {}, "base_url: is missing"),
        ("dbt", None, "config: is of type NoneType"),
        ("mode", json.dumps({"token": TOKEN}), "config: is of type str"),
        ("mode", [("token", TOKEN)], "config: is of type list"),
        (
            "hightouch",
            {"token": "x", "bindings": [{"token": TOKEN}]},
            "bindings[0].remoteId: is wrong, and is not shown",
        ),
    ],
)
def test_config_is_checked_before_it_is_sent(
    requests_mock: Any, kind: str, config: Any, said: str
) -> None:
    with DatafoldHook() as hook:
        for call in (
            lambda: hook.create_integration(kind, config),
            lambda: hook.update_integration(kind, 7, config, only_if_changed=True),
        ):
            with pytest.raises(exceptions.DatafoldInputError) as caught:
                call()
            assert str(caught.value).startswith(said)
            assert "planted" not in str(caught.value)
    assert requests_mock.request_history == []


def test_a_config_may_hold_itself(requests_mock: Any) -> None:
    circular: list[Any] = []
    circular.append(circular)
    with pytest.raises(exceptions.DatafoldInputError, match="^config: holds itself. Nothing was"):
        update(bindings=circular)


def test_update_of_any_kind(requests_mock: Any, log: Any) -> None:
    url = f"{HOST}/api/v1/lineage/bi/dbt/7/"
    requests_mock.put(url, json={"ci_config_id": 5, "name": "old"})
    config = {"ci_config_id": 4, "name": "new"}
    with DatafoldHook() as hook:
        answer = hook.update_integration("dbt", 7, config)
    assert answer == {"ci_config_id": 5, "name": "old"}
    assert requests_mock.last_request.json() == config
    assert (
        f"/api/v1/lineage/bi/dbt/7/: a configuration without indexing_cron was sent to {HOST} "
        "(Airflow connection 'datafold_default') and accepted."
    ) in log.messages
    # Not "can only update the schedule": that is not said of dbt.
    assert [record.getMessage() for record in log.records if record.levelname == "WARNING"] == [
        "ci_config_id was sent as 4, but Datafold answers 5. Look at the integration in Datafold.",
        "name was sent as 'new', but Datafold answers 'old'. Look at the integration in Datafold.",
    ]


@pytest.mark.parametrize("cron", ["0 6 * * *", None])
def test_same_schedule_is_not_sent_again(requests_mock: Any, log: Any, cron: Any) -> None:
    read = {"indexing_cron": cron, "name": TOKEN}
    requests_mock.get(f"{HOST}/api/v1/lineage/bi/7/", json=read)
    answer = update(indexing_cron=cron and " 0 6  * * *", name="other", only_if_changed=True)
    assert answer["indexing_cron"] == cron
    assert [sent.method for sent in requests_mock.request_history] == ["GET"]
    schedule = "indexing_cron '0 6 * * *'" if cron else "no schedule"
    assert (
        f"{PATH}: {schedule} already, so nothing was sent to {HOST} (Airflow connection "
        "'datafold_default')."
    ) in log.messages


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


def test_second_attempt_is_named(requests_mock: Any, waits: Any, connect: Any) -> None:
    connect("datafold_default", host=HOST, password=API_KEY, extra={"max_retries": 1})
    requests_mock.get(f"{HOST}/x", status_code=500)
    with pytest.raises(exceptions.DatafoldServerError, match="This was attempt 2.$"):
        DatafoldHook().run("GET", "/x")


def test_empty_token_is_named() -> None:
    with pytest.raises(exceptions.DatafoldInputError, match="^token: is empty"):
        update(token="")


@pytest.mark.parametrize("path", ["x", "", "@evil.io/", "/a b", "/a\n", "/ü", "https://evil.io/"])
def test_run_takes_only_a_path(requests_mock: Any, path: str) -> None:
    with pytest.raises(exceptions.DatafoldInputError, match="^path: is "):
        DatafoldHook().run("GET", path)
    assert requests_mock.request_history == []


@pytest.mark.parametrize("body", [float("nan"), {"a": float("inf")}, {1, 2}, object()])
def test_run_refuses_what_is_no_json(requests_mock: Any, body: Any) -> None:
    with pytest.raises(exceptions.DatafoldInputError) as caught:
        DatafoldHook().run("POST", "/x", json=body)
    assert str(caught.value) == (
        "json: the body can't be written as JSON (NaN, Infinity, or a type that JSON does not "
        "have). Nothing was sent."
    )
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
    assert str(caught.value) == (
        f"PUT {PATH} on {HOST} (Airflow connection 'datafold_default'): 422, the request was "
        f"refused: body.name: no ***. Correct what it names."
    )
    assert caught.value.status_code == 422
    assert caught.value.method == "PUT"
    assert caught.value.path == PATH
    assert caught.value.errors == (("body.name", "no ***"),)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_error_has_no_secret_from_the_path(requests_mock: Any) -> None:
    requests_mock.get(f"{HOST}/{API_KEY}", status_code=404)
    with pytest.raises(exceptions.DatafoldNotFoundError) as caught:
        DatafoldHook().run("GET", f"/{API_KEY}")
    assert API_KEY not in str(caught.value)
    assert caught.value.path == "/***"


def test_passing_fault_is_tried_again(requests_mock: Any, waits: Any, log: Any) -> None:
    answers = [{"status_code": 503}, {"exc": requests.ConnectionError}, {"json": {"id": 7}}]
    requests_mock.put(HOST + PATH, answers)
    assert update() == {"id": 7}
    assert requests_mock.call_count == 3
    assert 0.375 <= waits[0] <= 0.625 < 0.75 <= waits[1] <= 1.25
    logged = [record.getMessage() for record in log.records if record.levelname == "WARNING"]
    assert logged == [
        f"Attempt 1 failed: 503, the service failed. Trying again in {waits[0]:.1f} s.",
        f"Attempt 2 failed: the connection broke before the whole answer was there. Trying again "
        f"in {waits[1]:.1f} s.",
    ]


def test_retries_come_to_an_end(requests_mock: Any, waits: Any) -> None:
    requests_mock.put(HOST + PATH, status_code=429, headers={"Retry-After": "7"})
    with pytest.raises(exceptions.DatafoldRateLimitError) as caught:
        update()
    assert requests_mock.call_count == 4
    assert len(waits) == 3
    assert all(7 <= seconds <= 7.5 for seconds in waits)
    assert caught.value.retry_after == 7
    assert str(caught.value).endswith("the service asks to wait 7 s. This was attempt 4.")


def test_no_retries_when_the_connection_says_so(
    requests_mock: Any, waits: Any, connect: Any
) -> None:
    connect("datafold_default", host=HOST, password=API_KEY, extra={"max_retries": 0})
    requests_mock.put(HOST + PATH, status_code=500)
    with pytest.raises(exceptions.DatafoldServerError) as caught:
        update()
    assert requests_mock.call_count == 1
    assert "This was attempt" not in str(caught.value)
    assert waits == []


def test_long_retry_after_is_left_to_airflow(requests_mock: Any, waits: Any) -> None:
    requests_mock.put(HOST + PATH, status_code=503, headers={"Retry-After": "3600"})
    with pytest.raises(exceptions.DatafoldServerError) as caught:
        update()
    assert (requests_mock.call_count, waits) == (1, [])
    assert caught.value.retry_after == 3600


@pytest.mark.parametrize(
    ("method", "status", "calls"),
    [("GET", 500, 4), ("PUT", 500, 4), ("DELETE", 500, 4), ("HEAD", 500, 4), ("OPTIONS", 500, 4)]
    + [("POST", 500, 1), ("PATCH", 500, 1), ("POST", 503, 4), ("POST", 429, 4), ("GET", 404, 1)],
)
def test_only_what_does_no_harm_is_sent_again(
    requests_mock: Any, waits: Any, method: str, status: int, calls: int
) -> None:
    requests_mock.register_uri(method, f"{HOST}/x", status_code=status)
    with pytest.raises(exceptions.DatafoldError):
        DatafoldHook().run(method, "/x")
    assert requests_mock.call_count == calls


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


def test_connection_says_how_to_send(requests_mock: Any, connect: Any, log: Any) -> None:
    extra = {"timeout": 5, "verify_ssl": False}
    connect("datafold_default", host=HOST, password=API_KEY, extra=extra)
    requests_mock.get(f"{HOST}/x", json=1)
    hook = DatafoldHook()
    hook.run("GET", "/x")
    hook.run("GET", "/x")
    assert requests_mock.last_request.timeout == 5
    assert requests_mock.last_request.verify is False
    warned = [record.getMessage() for record in log.records if record.levelname == "WARNING"]
    assert warned == 2 * [
        "verify_ssl of connection 'datafold_default' is off: whoever is on the way can read the "
        "API key."
    ]


def test_no_such_connection() -> None:
    with pytest.raises(exceptions.DatafoldConfigurationError, match="'nowhere'"):
        DatafoldHook("nowhere").list_integrations()


@pytest.mark.usefixtures("connections")
def test_connection_is_kept_alive(sandbox: Any) -> None:
    with DatafoldHook() as hook:
        ports = set()
        for _ in range(3):
            hook.get_integration(7)
            (pool,) = hook.get_conn().adapters["http://"].poolmanager.pools._container.values()
            ports.add(pool.num_connections)
    assert ports == {1}
    assert [request.status for request in sandbox.state.requests] == [200, 200, 200]


@pytest.mark.usefixtures("connections")
def test_update_over_a_real_socket(sandbox: Any) -> None:
    answer = update(indexing_cron=None)
    assert answer == sandbox.state.integrations[7]
    assert answer["indexing_cron"] is None
    (request,) = sandbox.state.requests
    assert json.loads(request.body)["token"] == TOKEN


@pytest.mark.usefixtures("connections")
def test_connection_test_says_that_all_is_well(sandbox: Any) -> None:
    assert DatafoldHook().test_connection() == (
        True,
        f"{sandbox.url}: Datafold accepts the API key and shows 15 integrations.",
    )


def test_connection_test_takes_any_answer(requests_mock: Any) -> None:
    requests_mock.get(f"{HOST}/api/v1/lineage/bi/", json={"some": "thing"})
    said = (True, f"{HOST}: Datafold accepts the API key.")
    assert DatafoldHook().test_connection() == said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"status_code": 401}, "401, the API key was refused."),
        ({"status_code": 403}, "403, the API key's user may not do this."),
        ({"status_code": 500}, "500, the service failed."),
        ({"status_code": 429, "headers": {"Retry-After": "9"}}, "429, too many requests."),
        (
            {"status_code": 404},
            "this is not a Datafold API (404, there is no such integration, or no Datafold API at "
            "this host).",
        ),
        (
            {"text": "<html>", "headers": {"Content-Type": "text/html"}},
            "this is not a Datafold API (200, but the answer is no JSON: text/html, 6 bytes).",
        ),
        (
            {"status_code": 302, "headers": {"Location": "https://login.acme.io/"}},
            "this is not a Datafold API (302, a redirect to login.acme.io).",
        ),
        (
            {"exc": requests.ConnectionError},
            "the connection broke before the whole answer was there.",
        ),
    ],
)
def test_connection_test_says_in_one_sentence_what_is_wrong(
    requests_mock: Any, waits: Any, answer: Any, said: str
) -> None:
    requests_mock.get(f"{HOST}/api/v1/lineage/bi/", **answer)
    assert DatafoldHook().test_connection() == (False, f"{HOST}: {said}")
    assert requests_mock.call_count == 1
    assert waits == []


def test_connection_test_says_what_is_wrong_with_the_connection(connect: Any) -> None:
    connect("datafold_default", host=HOST)
    assert DatafoldHook().test_connection() == (
        False,
        "Airflow connection 'datafold_default': field 'password' is empty; it has to be the API "
        "key.",
    )


def test_address_of_the_integrations_page() -> None:
    assert DatafoldHook().integrations_url == f"{HOST}/settings/integrations"
