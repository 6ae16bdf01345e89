from __future__ import annotations

import copy
import pickle
from datetime import datetime
from typing import Any

import pytest
import requests
from airflow.providers.common.compat.sdk import DAG, AirflowException
from requests_mock import ANY

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.links import DatafoldLink
from airflow_provider_datafold.operators import bi
from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator
from airflow_provider_datafold.retry_policy import DEFAULT_RETRY_POLICY
from tests.conftest import API_KEY, TOKEN
from tests.integrations import BINDINGS, KINDS, NOT_GIVEN

CRON = "0 6 * * *"

UPDATES = {kind.operator: name for name, kind in KINDS.items()}
"""The operators of all kinds."""


def least(kind: Any) -> dict[str, Any]:
    """The required arguments of an operator, without id and schedule."""
    return KINDS[UPDATES[kind]].arguments if kind in UPDATES else {}


def operator(kind: Any = DatafoldUpdateHightouchOperator, **more: Any) -> Any:
    arguments = {"bi_datasource_id": 7, "indexing_cron": CRON, **least(kind)}
    return kind(task_id="update", **{**arguments, **more})


def test_there_is_an_operator_for_each_kind() -> None:
    assert [operator.kind for operator in UPDATES] == list(KINDS)


@pytest.mark.parametrize("kind", UPDATES)
def test_all_but_secrets_is_templated(kind: Any) -> None:
    name = UPDATES[kind]
    secrets = KINDS[name].secrets
    conn_ids = {"datafold_conn_id"} | ({f"{name}_conn_id"} if secrets else set())
    templated = {"bi_datasource_id"} | set(KINDS[name].fields) - secrets | conn_ids
    assert set(kind.template_fields) == templated
    assert len(kind.template_fields) == len(templated)
    task = operator(kind)
    assert not (secrets | {"self", "kwargs", "__class__"}) & set(vars(task))
    assert set(getattr(kind, "template_fields_renderers", {}).values()) <= {"json"}


def test_lists_are_shown_as_such() -> None:
    assert DatafoldUpdateHightouchOperator.template_fields_renderers == {"bindings": "json"}
    assert bi.DatafoldUpdateLookerOperator.template_fields_renderers == {
        "project_ids": "json",
        "bindings": "json",
    }


@pytest.mark.parametrize("kind", UPDATES)
def test_defaults(kind: Any) -> None:
    task = operator(kind)
    name = UPDATES[kind]
    for field in set(KINDS[name].fields) - KINDS[name].secrets - {"indexing_cron", *least(kind)}:
        assert getattr(task, field) is (None if field == "bindings" else NOT_GIVEN)
    if KINDS[name].secrets:
        assert getattr(task, f"{name}_conn_id") == f"{name}_default"
    assert task.datafold_conn_id == "datafold_default"
    assert task.only_if_changed is False
    assert task.task_id == "update"


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        (kind, name)
        for kind in UPDATES
        for name in ("bi_datasource_id", "indexing_cron", *least(kind))
    ]
    + [(bi.DatafoldSyncIntegrationOperator, "bi_datasource_id")],
)
def test_required(kind: Any, missing: str) -> None:
    arguments = {"bi_datasource_id": 7, "indexing_cron": None, **least(kind)}
    del arguments[missing]
    with pytest.raises((TypeError, AirflowException), match=missing):
        kind(task_id="update", **arguments)


def test_what_is_not_given_stays_so_in_a_copy() -> None:
    task = operator()
    for copied in (task.name, copy.deepcopy(task).name, copy.copy(task).name):
        assert copied is NOT_GIVEN
    assert pickle.loads(pickle.dumps(NOT_GIVEN)) is NOT_GIVEN
    # As the rendered field in Airflow's pages.
    assert str(NOT_GIVEN) == "(not given)"


MINE = "https://acme.io"
OWN = [{"remoteId": "own", "boundIds": [5]}]
"""The bindings that the integration has."""


def keeps_bindings(kind: Any) -> bool:
    return UPDATES[kind] in ("hightouch", "looker")


@pytest.fixture(autouse=True)
def connected(connect: Any) -> None:
    for conn_id, host in (("datafold_default", ""), ("mine", MINE)):
        connect(conn_id, host=host, password=API_KEY)
    extra = {"token": "mode-token", "site_id": "site", "tenant_id": "tenant"}
    for conn_id in [*(f"{kind}_default" for kind in KINDS), "other"]:
        password = f"{TOKEN}\n" if conn_id != "other" else "other-token"
        fields = {"host": "bi.acme.io", "login": "who", "password": password, "extra": extra}
        connect(conn_id, conn_type="generic", **fields)


class Service:
    """Accepts every request.

    :param mock: what stands in for the network.
    """

    def __init__(self, mock: Any) -> None:
        self._mock = mock
        mock.register_uri(ANY, ANY, json={"id": 7, "bindings": OWN})

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [(request.method, request.url) for request in self._mock.request_history]

    @property
    def body(self) -> Any:
        """The body of the only request that has one."""
        (found,) = [request.json() for request in self._mock.request_history if request.body]
        return found


@pytest.fixture
def service(requests_mock: Any) -> Service:
    return Service(requests_mock)


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The sessions that were closed."""
    sessions: list[Any] = []
    monkeypatch.setattr(requests.Session, "close", lambda session: sessions.append(session))
    return sessions


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


@pytest.mark.parametrize("kind", UPDATES)
def test_execute_updates_and_closes_the_session(
    service: Service, closed: list[Any], kind: Any
) -> None:
    assert operator(kind).execute({})["id"] == 7
    assert service.body == {
        "indexing_cron": CRON,
        **least(kind),
        **FROM_CONNECTION[UPDATES[kind]],
        **({"bindings": OWN} if keeps_bindings(kind) else {}),
    }
    bi_url = "https://app.datafold.com/api/v1/lineage/bi"
    read = [("GET", f"{bi_url}/7/")] if keeps_bindings(kind) else []
    assert service.asked == [*read, ("PUT", f"{bi_url}/{UPDATES[kind]}/7/")]
    assert len(closed) == 1


@pytest.mark.parametrize("kind", UPDATES)
def test_an_argument_counts_before_the_connection(service: Service, kind: Any) -> None:
    found = KINDS[UPDATES[kind]]
    given = {name: value for name, value in found.fields.items() if name not in found.secrets}
    operator(kind, **given).execute({})
    connection = FROM_CONNECTION[UPDATES[kind]]
    assert service.body == {**given, **{field: connection[field] for field in found.secrets}}


@pytest.mark.parametrize("kind", UPDATES)
def test_only_if_changed(requests_mock: Any, kind: Any) -> None:
    found = KINDS[UPDATES[kind]]
    given = {name: value for name, value in found.fields.items() if name not in found.secrets}
    requests_mock.get(ANY, json=given)
    assert operator(kind, only_if_changed=True, **given).execute({}) == given
    assert [request.method for request in requests_mock.request_history] == ["GET"]


def test_execute_undoes_the_text_of_null(service: Service) -> None:
    operator(
        bindings=BINDINGS,
        indexing_cron="None",
        name="None",
        workspace="None",
        datafold_conn_id="mine",
        hightouch_conn_id="other",
    ).execute({})
    ((_, url),) = service.asked
    assert url.startswith(f"{MINE}/")
    nothing = {"indexing_cron": None, "name": None, "workspace": None}
    assert service.body == {**nothing, "bindings": BINDINGS, "token": "other-token"}


def test_what_can_not_be_null_is_shown_as_it_was_given(service: Service) -> None:
    with pytest.raises(exceptions.DatafoldInputError, match=r"repo_id: .*'None' \(str\)"):
        operator(bi.DatafoldUpdateLookerOperator, repo_id="None").execute({})
    assert service.asked == []


@pytest.mark.parametrize("nothing", [None, "None", " None\n"])
@pytest.mark.parametrize("kind", list(filter(keeps_bindings, UPDATES)))
def test_null_bindings_are_those_of_the_integration(
    service: Service, kind: Any, nothing: Any
) -> None:
    operator(kind, bindings=nothing).execute({})
    assert service.body["bindings"] == OWN
    assert [method for method, _ in service.asked] == ["GET", "PUT"]


def test_given_bindings_are_not_looked_up(service: Service) -> None:
    operator(bindings=BINDINGS).execute({})
    assert service.body["bindings"] == BINDINGS
    assert [method for method, _ in service.asked] == ["PUT"]


@pytest.mark.parametrize("nothing", [None, "None"])
def test_power_bi_can_do_without_a_connection(service: Service, nothing: Any) -> None:
    kind = bi.DatafoldUpdatePowerBIOperator
    operator(kind, powerbi_conn_id=nothing, client_id="None").execute({})
    assert service.body == {"indexing_cron": CRON, "client_id": None}


def test_an_attribute_never_becomes_a_secret(service: Service) -> None:
    task: Any = operator()
    task.token = "from the DAG's code"
    task.execute({})
    assert service.body["token"] == TOKEN


def test_sync(requests_mock: Any, closed: list[Any]) -> None:
    requests_mock.get("https://app.datafold.com/api/v1/lineage/bi/7/sync/", text="")
    task = bi.DatafoldSyncIntegrationOperator(task_id="sync", bi_datasource_id="7")
    assert set(task.template_fields) == {"bi_datasource_id", "datafold_conn_id"}
    assert task.task_id == "sync"
    assert task.execute({}) is None
    assert requests_mock.call_count == 1
    assert len(closed) == 1


def test_an_operator_says_what_it_calls() -> None:
    family = bi.DatafoldSyncIntegrationOperator.__mro__
    (base,) = [kind for kind in family if kind.__name__ == "DatafoldOperator"]
    task: Any = base(task_id="none")
    with pytest.raises(NotImplementedError):
        task.call(JobHook())


class TaskInstance:
    """Keeps what is pushed to XCom."""

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def test_execute_keeps_the_address_for_the_link(service: Service) -> None:
    ti = TaskInstance()
    operator(datafold_conn_id="mine").execute({"ti": ti})
    assert ti.pushed == {"datafold_url": f"{MINE}/settings/integrations"}


def test_missing_token_is_a_clear_error(connect: Any, service: Service) -> None:
    connect("hightouch_default", conn_type="generic")
    ti = TaskInstance()
    with pytest.raises(
        exceptions.DatafoldConfigurationError, match="'hightouch_default'.*'password'.*token"
    ):
        operator().execute({"ti": ti})
    assert service.asked == []
    # The link exists nevertheless.
    assert list(ti.pushed) == ["datafold_url"]


def test_the_session_is_closed_after_an_error(requests_mock: Any, closed: list[Any]) -> None:
    requests_mock.put(ANY, status_code=404)
    with pytest.raises(exceptions.DatafoldNotFoundError):
        operator(bindings=BINDINGS).execute({})
    assert len(closed) == 1


@pytest.mark.skipif(not DEFAULT_RETRY_POLICY, reason="Airflow has retry policies from 3.3 on")
def test_retry_policy_is_a_default(service: Service) -> None:
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


@pytest.mark.parametrize("kind", [*UPDATES, bi.DatafoldSyncIntegrationOperator])
def test_every_task_has_the_link(kind: Any) -> None:
    arguments = {"indexing_cron": CRON, **least(kind)} if kind in UPDATES else {}
    with DAG("d", schedule=None, start_date=datetime(2024, 1, 1)) as dag:
        task = kind(task_id="t", bi_datasource_id=7, **arguments)
        mapped = kind.partial(task_id="mapped", **arguments).expand(bi_datasource_id=[7, 8])

    # Airflow asks the mapped task, too, if one of its instances cannot be made.
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


@pytest.mark.parametrize("kind", UPDATES)
def test_every_field_can_be_mapped(kind: Any) -> None:
    fields = [name for name in kind.template_fields if name != "bi_datasource_id"]
    with DAG("d", schedule=None, start_date=datetime(2024, 1, 1)):
        mapped = kind.partial(task_id="t", bi_datasource_id=7).expand(
            **{name: [] for name in fields}
        )
    assert mapped.task_id == "t"
