from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import requests
from airflow.providers.common.compat.sdk import DAG
from airflow.serialization import serialized_objects
from requests_mock import ANY

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.operators import bi
from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator
from tests.conftest import API_KEY, TOKEN
from tests.contexts import context_of
from tests.integrations import BINDINGS, KINDS

CRON = "0 6 * * *"
MINE = "https://acme.io"
OWN = [{"remoteId": "own", "boundIds": [5]}]
"""The bindings that the integration has."""
URL = "https://app.datafold.com/api/v1/lineage/bi"


def operator(kind: str = "hightouch", **more: Any) -> Any:
    arguments = {"bi_datasource_id": 7, "indexing_cron": CRON, **KINDS[kind].arguments}
    return KINDS[kind].operator(task_id="update", **{**arguments, **more})


@pytest.fixture(autouse=True)
def _connected(connect: Any) -> None:
    for conn_id, host in (("datafold_default", ""), ("mine", MINE)):
        connect(conn_id, host=host, password=API_KEY)
    extra = {"token": TOKEN, "site_id": "site", "tenant_id": "tenant"}
    for conn_id in [*(f"{kind}_default" for kind in KINDS), "other"]:
        password = f"{TOKEN}\n" if conn_id != "other" else "other-token"
        fields = {"host": "bi.acme.io", "login": "who", "password": password, "extra": extra}
        connect(conn_id, conn_type="generic", **fields)


class Service:
    """Accepts every request."""

    def __init__(self, mock: Any) -> None:
        mock.register_uri(ANY, ANY, json={"id": 7, "bindings": OWN})
        self._sent = mock.request_history

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [(request.method, request.url) for request in self._sent]

    @property
    def body(self) -> Any:
        """The body of the only request that has one."""
        (found,) = [request.json() for request in self._sent if request.body]
        return found


@pytest.fixture
def service(requests_mock: Any) -> Service:
    return Service(requests_mock)


@pytest.mark.parametrize("kind", KINDS)
def test_an_update(service: Service, kind: str) -> None:
    secrets = KINDS[kind].secrets
    given = {name: value for name, value in KINDS[kind].fields.items() if name not in secrets}
    assert operator(kind, **given).execute({})["id"] == 7
    # Its arguments count before the connection: tests/jobs/test_integration.py.
    assert service.body == {**given, **dict.fromkeys(secrets, TOKEN)}
    assert service.asked == [("PUT", f"{URL}/{kind}/7/")]


@pytest.mark.parametrize("nothing", [{}, {"bindings": " None\n"}])
def test_what_is_not_given(service: Service, nothing: Any) -> None:
    task = operator(**nothing)
    # An attribute never becomes a secret.
    task.token = "from the DAG's code"
    task.execute({})
    assert service.body == {"indexing_cron": CRON, "token": TOKEN, "bindings": OWN}


def test_only_if_changed(requests_mock: Any) -> None:
    given = {"indexing_cron": CRON, "name": "Ours"}
    requests_mock.get(ANY, json={**given, **KINDS["dbt"].arguments})
    assert operator("dbt", only_if_changed=True, **given).execute({})["name"] == "Ours"
    assert [request.method for request in requests_mock.request_history] == ["GET"]


def test_execute_undoes_the_text_of_null(service: Service) -> None:
    nothing = dict.fromkeys(("indexing_cron", "name", "workspace"), "None")
    other = {"datafold_conn_id": "mine", "hightouch_conn_id": "other"}
    operator(bindings=BINDINGS, **nothing, **other).execute({})
    assert service.asked == [("PUT", f"{MINE}/api/v1/lineage/bi/hightouch/7/")]
    null = dict.fromkeys(nothing)
    assert service.body == {**null, "bindings": BINDINGS, "token": "other-token"}


def test_what_can_not_be_null_is_shown_as_it_was_given(service: Service) -> None:
    with pytest.raises(exceptions.DatafoldInputError, match=r"repo_id: .*'None' \(str\)"):
        operator("looker", repo_id="None").execute({})
    assert service.asked == []


@pytest.mark.parametrize("nothing", [None, "None"])
def test_power_bi_can_do_without_a_connection(service: Service, nothing: Any) -> None:
    operator("powerbi", powerbi_conn_id=nothing, client_id="None").execute({})
    assert service.body == {"indexing_cron": CRON, "client_id": None}


def test_sync_closes_the_session(requests_mock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    requests_mock.get(f"{URL}/7/sync/", text=lambda *_: order.append("sent") or "")
    monkeypatch.setattr(requests.Session, "close", lambda _: order.append("closed"))
    task = bi.DatafoldSyncIntegrationOperator(task_id="sync", bi_datasource_id="7")
    assert task.execute({}) is None
    # Before it, too, because a kept connection may have ended.
    assert order == ["closed", "sent", "closed"]


def test_missing_token_is_a_clear_error(connect: Any, service: Service) -> None:
    connect("hightouch_default", conn_type="generic")
    task = operator(datafold_conn_id="mine")
    context = context_of(task)
    missing = "'hightouch_default'.*'password'.*token"
    with pytest.raises(exceptions.DatafoldConfigurationError, match=missing):
        task.execute(context)
    assert service.asked == []
    # The link exists nevertheless.
    assert context["ti"].pushed == {"datafold_url": f"{MINE}/settings/integrations"}


def parsed() -> Any:
    with DAG("d", schedule=None, start_date=datetime(2024, 1, 1)) as dag:
        operator()
        DatafoldUpdateHightouchOperator.partial(
            task_id="mapped", bindings=BINDINGS, indexing_cron=None
        ).expand(bi_datasource_id=[1, 2])
    # What Airflow keeps of it.
    name = (
        "DagSerialization" if hasattr(serialized_objects, "DagSerialization") else "SerializedDAG"
    )
    return getattr(serialized_objects, name).to_dict(dag)


def test_two_parses_of_a_dag_are_the_same() -> None:
    first = parsed()
    assert first == parsed()
    assert "(not given)" in str(first)
    assert "object at 0x" not in str(first)
    # Airflow asks the mapped task, too, if one of its instances cannot be made.
    for kept in first["dag"]["tasks"]:
        assert "atafold" in str(kept["__var"]["_operator_extra_links"])
