from __future__ import annotations

import copy
import pickle
from datetime import datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowException
from airflow_provider_datafold.kinds import KINDS
from airflow_provider_datafold.omitted import OMITTED

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.links import DatafoldLink
from airflow_provider_datafold.operators import bi
from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator
from airflow_provider_datafold.retry_policy import DEFAULT_RETRY_POLICY
from tests.conftest import API_KEY, TOKEN

BINDINGS = [{"remoteId": "1", "boundIds": [1, 2]}]


CRON = "0 6 * * *"

LEAST: dict[type[bi.DatafoldUpdateOperator], dict[str, Any]] = {
    bi.DatafoldUpdateHightouchOperator: {"bindings": BINDINGS},
    bi.DatafoldUpdateLookerOperator: {"repo_id": 3},
    bi.DatafoldUpdateModeOperator: {},
    bi.DatafoldUpdateTableauOperator: {},
    bi.DatafoldUpdatePowerBIOperator: {},
    bi.DatafoldUpdateDbtOperator: {"ci_config_id": 4},
}
"""The operators of all kinds, with what each has to be given beside id and schedule."""


def operator(
    kind: type[bi.DatafoldUpdateOperator] = DatafoldUpdateHightouchOperator, **more: Any
) -> bi.DatafoldUpdateOperator:
    arguments = {"bi_datasource_id": 7, "indexing_cron": CRON, **LEAST[kind]}
    return kind(task_id="update", **{**arguments, **more})


def test_there_is_an_operator_for_each_kind() -> None:
    assert [kind.kind for kind in LEAST] == list(KINDS)


@pytest.mark.parametrize("kind", LEAST)
def test_all_but_secrets_is_templated(kind: Any) -> None:
    declared = KINDS[kind.kind].fields
    secrets = {field.name for field in declared if field.secret}
    conn_ids = {"datafold_conn_id"} | ({f"{kind.kind}_conn_id"} if secrets else set())
    templated = {"bi_datasource_id"} | {field.name for field in declared} - secrets | conn_ids
    assert set(kind.template_fields) == templated
    assert len(kind.template_fields) == len(templated)
    task = operator(kind)
    assert not secrets & set(vars(task))
    assert set(getattr(kind, "template_fields_renderers", {}).values()) <= {"json"}


def test_lists_are_shown_as_such() -> None:
    assert DatafoldUpdateHightouchOperator.template_fields_renderers == {"bindings": "json"}
    assert bi.DatafoldUpdateLookerOperator.template_fields_renderers == {
        "project_ids": "json",
        "bindings": "json",
    }


@pytest.mark.parametrize("kind", LEAST)
def test_defaults(kind: Any) -> None:
    task = operator(kind)
    for field in KINDS[kind.kind].fields:
        if not field.secret and field.name not in ("indexing_cron", *LEAST[kind]):
            assert getattr(task, field.name) is OMITTED
        if field.secret:
            assert getattr(task, f"{kind.kind}_conn_id") == f"{kind.kind}_default"
    assert task.datafold_conn_id == "datafold_default"
    assert task.only_if_changed is False


@pytest.mark.parametrize(
    ("kind", "missing"),
    [(kind, name) for kind in LEAST for name in ("bi_datasource_id", "indexing_cron", *LEAST[kind])]
    + [(bi.DatafoldSyncIntegrationOperator, "bi_datasource_id")],
)
def test_required(kind: Any, missing: str) -> None:
    arguments = {"bi_datasource_id": 7, "indexing_cron": None, **LEAST.get(kind, {})}
    del arguments[missing]
    with pytest.raises((TypeError, AirflowException), match=missing):
        kind(task_id="update", **arguments)


def test_what_is_omitted_stays_omitted_in_a_copy() -> None:
    assert copy.deepcopy(OMITTED) is OMITTED
    assert pickle.loads(pickle.dumps(OMITTED)) is OMITTED
    assert str(OMITTED) == "(not given)"
    assert repr(OMITTED) == "OMITTED"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, connect: Any) -> list[Any]:
    """What the operator asks of the hook."""
    for conn_id, host in (("datafold_default", ""), ("mine", "https://acme.io")):
        connect(conn_id, host=host, password=API_KEY)
    extra = {"token": "mode-token", "site_id": "site", "tenant_id": "tenant"}
    for conn_id in [*(f"{kind}_default" for kind in KINDS), "other"]:
        password = f"{TOKEN}\n" if conn_id != "other" else "other-token"
        fields = {"host": "bi.acme.io", "login": "who", "password": password, "extra": extra}
        connect(conn_id, conn_type="generic", **fields)
    seen: list[Any] = []

    def update(hook: DatafoldHook, *arguments: Any, **named: Any) -> str:
        seen.append((hook.datafold_conn_id, *arguments, named))
        return "the integration"

    monkeypatch.setattr(DatafoldHook, "update_integration", update)
    monkeypatch.setattr(DatafoldHook, "close", lambda hook: seen.append("closed"))
    return seen


FROM_CONNECTION: dict[str, dict[str, Any]] = {
    "hightouch": {"token": TOKEN},
    "looker": {"base_url": "https://bi.acme.io", "client_id": "who", "client_secret": TOKEN},
    "mode": {"token": "mode-token", "password": TOKEN},
    "tableau": {
        "server_url": "https://bi.acme.io",
        "site_id": "site",
        "token_name": "who",
        "token_value": TOKEN,
    },
    "powerbi": {"tenant_id": "tenant", "client_id": "who", "client_secret": TOKEN},
    "dbt": {},
}


@pytest.mark.parametrize("kind", LEAST)
def test_execute_calls_the_hook_and_closes_it(calls: list[Any], kind: Any) -> None:
    assert operator(kind).execute({}) == "the integration"
    config = {"indexing_cron": CRON, **LEAST[kind], **FROM_CONNECTION[kind.kind]}
    named = {"only_if_changed": False}
    assert calls == [("datafold_default", kind.kind, 7, config, named), "closed"]


@pytest.mark.parametrize("kind", LEAST)
def test_an_argument_counts_before_the_connection(calls: list[Any], kind: Any) -> None:
    secrets = {field.name for field in KINDS[kind.kind].fields if field.secret}
    given = {
        field.name: f"given {field.name}"
        for field in KINDS[kind.kind].fields
        if field.name not in secrets
    }
    operator(kind, only_if_changed=True, **given).execute({})
    (_, _, _, config, named), _ = calls
    connection = FROM_CONNECTION[kind.kind]
    assert config == {**given, **{field: connection[field] for field in secrets}}
    assert named == {"only_if_changed": True}


def test_execute_undoes_the_text_of_null(calls: list[Any]) -> None:
    operator(
        indexing_cron="None",
        name="None",
        workspace="None",
        bindings="None",
        datafold_conn_id="mine",
        hightouch_conn_id="other",
    ).execute({})
    (conn_id, _, _, config, _), _ = calls
    assert conn_id == "mine"
    nothing = {"indexing_cron": None, "name": None, "workspace": None}
    # That can't be null, and the error is to show what was given.
    assert config == {**nothing, "bindings": "None", "token": "other-token"}


@pytest.mark.parametrize("nothing", [None, "None"])
def test_power_bi_can_do_without_a_connection(calls: list[Any], nothing: Any) -> None:
    kind = bi.DatafoldUpdatePowerBIOperator
    operator(kind, powerbi_conn_id=nothing, client_id="None").execute({})
    assert calls[0][3] == {"indexing_cron": CRON, "client_id": None}


def test_an_attribute_never_becomes_a_secret(calls: list[Any]) -> None:
    task: Any = operator()
    task.token = "from the DAG's code"
    task.execute({})
    assert calls[0][3]["token"] == TOKEN


def test_sync_calls_the_hook(calls: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DatafoldHook, "sync_integration", lambda hook, number: calls.append(number))
    task = bi.DatafoldSyncIntegrationOperator(task_id="sync", bi_datasource_id="7")
    assert set(task.template_fields) == {"bi_datasource_id", "datafold_conn_id"}
    assert task.execute({}) is None
    assert calls == ["7", "closed"]


def test_an_operator_says_what_it_calls() -> None:
    task = bi.DatafoldOperator(task_id="none")
    with pytest.raises(NotImplementedError):
        task.call(DatafoldHook())


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
        match="'hightouch_default': field 'password' is empty; it has to be Hightouch's token",
    ):
        operator().execute({})
    assert calls == ["closed"]


@pytest.mark.skipif(not DEFAULT_RETRY_POLICY, reason="Airflow has retry policies from 3.3 on")
def test_retry_policy_is_a_default(calls: list[Any]) -> None:
    task = operator()
    assert task.retry_policy is None
    task.execute({})
    assert task.retry_policy is DEFAULT_RETRY_POLICY
    mine = type(DEFAULT_RETRY_POLICY)()
    defaults = {"retry_policy": mine}
    with DAG("d", schedule=None, start_date=datetime(2024, 1, 1), default_args=defaults):
        task = operator()
        task.execute({})
        assert task.retry_policy is mine


def serialized(dag: DAG) -> Any:
    """What Airflow keeps of a DAG."""
    try:
        from airflow.serialization.serialized_objects import DagSerialization
    except ImportError:
        from airflow.serialization.serialized_objects import SerializedDAG

        return SerializedDAG.to_dict(dag)
    return DagSerialization.to_dict(dag)


def test_two_parses_of_a_dag_are_the_same() -> None:
    def parsed() -> Any:
        with DAG("d", schedule=None, start_date=datetime(2024, 1, 1)) as dag:
            operator()
            DatafoldUpdateHightouchOperator.partial(
                task_id="mapped", bindings=BINDINGS, indexing_cron=None
            ).expand(bi_datasource_id=[1, 2])
        return serialized(dag)

    assert parsed() == parsed()
    assert "(not given)" in str(parsed())
    assert "object at 0x" not in str(parsed())


@pytest.mark.parametrize("kind", [*LEAST, bi.DatafoldSyncIntegrationOperator])
def test_every_task_has_the_link(kind: Any) -> None:
    arguments = {"indexing_cron": CRON, **LEAST[kind]} if kind in LEAST else {}
    with DAG("d", schedule=None, start_date=datetime(2024, 1, 1)) as dag:
        task = kind(task_id="t", bi_datasource_id=7, **arguments)
        mapped = kind.partial(task_id="mapped", **arguments).expand(bi_datasource_id=[7, 8])

    # Airflow asks the mapped task as well, when one of its instances can't be made.
    for owner in (kind, task, mapped):
        (link,) = owner.operator_extra_links
        assert isinstance(link, DatafoldLink)
        assert link.name == "Datafold"
    for kept in serialized(dag)["dag"]["tasks"]:
        assert kept["__var"]["_operator_extra_links"] in (
            {"Datafold": "datafold_url"},
            [{"airflow_provider_datafold.links.DatafoldLink": {}}],  # Airflow 2.11
        )


def test_a_subclass_may_have_more_links() -> None:
    parent = DatafoldUpdateHightouchOperator
    mine = DatafoldLink()

    class Mine(parent):  # type: ignore[misc,valid-type]
        operator_extra_links = (*parent.operator_extra_links, mine)

    class Other(parent):  # type: ignore[misc,valid-type]
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.operator_extra_links = (mine,)

    arguments = {"task_id": "t", "bi_datasource_id": 7, "indexing_cron": None, "bindings": []}
    assert Mine(**arguments).operator_extra_links[1] is mine
    assert Other(**arguments).operator_extra_links == (mine,)


def test_default_args_reach_every_parameter() -> None:
    defaults = {"datafold_conn_id": "mine", "hightouch_conn_id": "other", "indexing_cron": None}
    with DAG("d", schedule=None, start_date=datetime(2024, 1, 1), default_args=defaults):
        task = DatafoldUpdateHightouchOperator(task_id="t", bi_datasource_id=7, bindings=[])
    assert (task.datafold_conn_id, task.hightouch_conn_id) == ("mine", "other")
    assert task.indexing_cron is None


@pytest.mark.parametrize("kind", LEAST)
def test_every_field_can_be_mapped(kind: Any) -> None:
    fields = [name for name in kind.template_fields if name != "bi_datasource_id"]
    with DAG("d", schedule=None, start_date=datetime(2024, 1, 1)):
        mapped = kind.partial(task_id="t", bi_datasource_id=7).expand(
            **{name: [] for name in fields}
        )
    assert mapped.task_id == "t"
