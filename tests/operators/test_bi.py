from __future__ import annotations

import copy
import pickle
from datetime import datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowException

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.omitted import OMITTED
from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator
from airflow_provider_datafold.retry_policy import DEFAULT_RETRY_POLICY
from tests.conftest import API_KEY, TOKEN

BINDINGS = [{"remoteId": "1", "boundIds": [1, 2]}]


def operator(**more: Any) -> DatafoldUpdateHightouchOperator:
    arguments = {"bi_datasource_id": 7, "bindings": BINDINGS, "indexing_cron": "0 6 * * *"}
    return DatafoldUpdateHightouchOperator(task_id="update", **{**arguments, **more})


def test_all_but_airflows_own_is_templated() -> None:
    assert set(DatafoldUpdateHightouchOperator.template_fields) == {
        "bi_datasource_id",
        "bindings",
        "indexing_cron",
        "name",
        "workspace",
        "datafold_conn_id",
        "hightouch_conn_id",
    }
    assert DatafoldUpdateHightouchOperator.template_fields_renderers == {"bindings": "json"}


def test_defaults() -> None:
    task = operator()
    assert task.name is task.workspace is OMITTED
    assert task.datafold_conn_id == "datafold_default"
    assert task.hightouch_conn_id == "hightouch_default"


@pytest.mark.parametrize("missing", ["bi_datasource_id", "bindings", "indexing_cron"])
def test_required(missing: str) -> None:
    arguments = {"bi_datasource_id": 7, "bindings": BINDINGS, "indexing_cron": None}
    del arguments[missing]
    with pytest.raises((TypeError, AirflowException), match=missing):
        DatafoldUpdateHightouchOperator(task_id="update", **arguments)


def test_what_is_omitted_stays_omitted_in_a_copy() -> None:
    assert copy.deepcopy(OMITTED) is OMITTED
    assert pickle.loads(pickle.dumps(OMITTED)) is OMITTED
    assert str(OMITTED) == "(not sent)"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, connect: Any) -> list[Any]:
    """What the operator asks of the hook."""
    for conn_id, host in (("datafold_default", ""), ("mine", "https://acme.io")):
        connect(conn_id, host=host, password=API_KEY)
    connect("hightouch_default", conn_type="generic", password=f"{TOKEN}\n")
    connect("other", conn_type="generic", password="other-token")
    seen: list[Any] = []

    def update(hook: DatafoldHook, *arguments: Any, **named: Any) -> str:
        seen.append((hook.datafold_conn_id, arguments, named))
        return "the integration"

    monkeypatch.setattr(DatafoldHook, "update_hightouch_integration", update)
    monkeypatch.setattr(DatafoldHook, "close", lambda hook: seen.append("closed"))
    return seen


def test_execute_calls_the_hook_and_closes_it(calls: list[Any]) -> None:
    assert operator().execute({}) == "the integration"
    arguments = {
        "token": TOKEN,
        "bindings": BINDINGS,
        "indexing_cron": "0 6 * * *",
        "name": OMITTED,
        "workspace": OMITTED,
    }
    assert calls == [("datafold_default", (7,), arguments), "closed"]


def test_execute_undoes_the_text_of_null(calls: list[Any]) -> None:
    operator(
        indexing_cron="None",
        name="None",
        workspace="None",
        datafold_conn_id="mine",
        hightouch_conn_id="other",
    ).execute({})
    (conn_id, _, named), _ = calls
    assert conn_id == "mine"
    assert named["token"] == "other-token"
    assert named["indexing_cron"] is named["name"] is named["workspace"] is None


def test_execute_keeps_the_address_for_the_link(calls: list[Any]) -> None:
    class TaskInstance:
        def __init__(self) -> None:
            self.pushed: dict[str, Any] = {}

        def xcom_push(self, key: str, value: Any) -> None:
            self.pushed[key] = value

    ti = TaskInstance()
    operator(datafold_conn_id="mine").execute({"ti": ti})
    assert ti.pushed == {"datafold_url": "https://acme.io/settings/integrations"}


def test_missing_token_is_a_clear_error(connect: Any, calls: list[Any]) -> None:
    connect("hightouch_default", conn_type="generic")
    with pytest.raises(
        exceptions.DatafoldConfigurationError,
        match="'hightouch_default': field 'password' is empty; it has to be the Hightouch API tok",
    ):
        operator().execute({})
    assert calls == ["closed"]


@pytest.mark.skipif(not DEFAULT_RETRY_POLICY, reason="Airflow has retry policies from 3.3 on")
def test_retry_policy_is_a_default() -> None:
    mine = type(DEFAULT_RETRY_POLICY)()
    assert operator().retry_policy is DEFAULT_RETRY_POLICY
    assert operator(retry_policy=None).retry_policy is DEFAULT_RETRY_POLICY
    assert operator(retry_policy=mine).retry_policy is mine
    with DAG(
        "d", schedule=None, start_date=datetime(2024, 1, 1), default_args={"retry_policy": mine}
    ):
        assert operator().retry_policy is mine
        mapped = DatafoldUpdateHightouchOperator.partial(
            task_id="mapped", bindings=BINDINGS, indexing_cron=None
        ).expand(bi_datasource_id=[1])
        assert mapped.retry_policy is mine


def test_two_parses_of_a_dag_are_the_same() -> None:
    from airflow.serialization.serialized_objects import SerializedDAG

    def serialized() -> Any:
        with DAG("d", schedule=None, start_date=datetime(2024, 1, 1)) as dag:
            operator()
            DatafoldUpdateHightouchOperator.partial(
                task_id="mapped", bindings=BINDINGS, indexing_cron=None
            ).expand(bi_datasource_id=[1, 2])
        try:
            from airflow.serialization.serialized_objects import DagSerialization
        except ImportError:
            return SerializedDAG.to_dict(dag)
        return DagSerialization.to_dict(dag)

    assert serialized() == serialized()
    assert "(not sent)" in str(serialized())
    assert "object at 0x" not in str(serialized())
