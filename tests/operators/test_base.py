"""What operators and sensors share."""

from __future__ import annotations

import json
from datetime import datetime
from inspect import signature
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, XCom

from airflow_provider_datafold.exceptions import DatafoldAnswerError, DatafoldStoppedError
from airflow_provider_datafold.links import DatafoldDataDiffLink, DatafoldLink
from airflow_provider_datafold.operators import bi, ci, data_diffs, data_sources, dbt, monitors
from airflow_provider_datafold.operators.base import DatafoldOperator
from airflow_provider_datafold.operators.job import DatafoldJobOperator
from airflow_provider_datafold.operators.remembered import DatafoldRememberedJobOperator
from airflow_provider_datafold.sensors import data_diffs as of_data_diffs, monitors as of_runs
from airflow_provider_datafold.sensors.job import DatafoldJobSensor
from dev.faults.behaviours import answers
from dev.sandbox.course import Course
from tests.waits import to_its_end

HOW = {
    *("only_if_changed", "deferrable", "wait_for_completion", "cancel_on_kill"),
    *("poll_interval", "poke_interval", "timeout", "approvers", "approval_timeout"),
}
"""Arguments that say how it works, and are not rendered."""
KINDS = [
    kind
    for module in (bi, ci, data_diffs, data_sources, dbt, monitors, of_data_diffs, of_runs)
    for kind in vars(module).values()
    if getattr(kind, "__module__", "") == module.__name__ and "__init__" in vars(kind)
]


def sync(**more: Any) -> Any:
    return bi.DatafoldSyncIntegrationOperator(task_id="sync", bi_datasource_id=7, **more)


@pytest.mark.parametrize(
    ("kind", "argument"),
    [
        (bi.DatafoldSyncIntegrationOperator, "bi_datasource_id"),
        (of_data_diffs.DatafoldDataDiffSensor, "datadiff_id"),
    ],
)
def test_a_mapped_task_has_the_defaults_of_airflow(kind: Any, argument: str) -> None:
    # Airflow would wrap a constructor of a base class, too.
    with DAG("mapped", schedule=None, start_date=datetime(2024, 1, 1)):
        task = kind.partial(task_id="mapped").expand(**{argument: [1, 2]})
    assert task.inlets == task.outlets == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_argument_that_says_what_is_rendered(kind: Any) -> None:
    parameters = signature(kind).parameters.values()
    # Airflow 2 has a method dry_run, so that this argument is kept by another name.
    names = {
        each.name.replace("dry_run", "is_dry_run")
        for each in parameters
        if each.kind is each.KEYWORD_ONLY
    }
    assert {*kind.template_fields} - HOW == names - HOW


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        (ci.DatafoldUploadCIChangesOperator, {"changes": "json"}),
        (monitors.DatafoldApplyMonitorsOperator, {"spec": "yaml"}),
        (dbt.DatafoldDbtModelsOperator, {"production": "json"}),
        (bi.DatafoldUpdateHightouchOperator, {"bindings": "json"}),
        (bi.DatafoldUpdateLookerOperator, {"project_ids": "json", "bindings": "json"}),
        (
            data_diffs.DatafoldRunDataDiffOperator,
            {"options": "json", **dict.fromkeys(("query1", "query2", "filter1", "filter2"), "sql")},
        ),
    ],
)
def test_how_rendered_fields_are_shown(kind: Any, shown: dict[str, str]) -> None:
    assert kind.template_fields_renderers == shown
    # Airflow would put the content of a file in the place of its path.
    assert kind.template_ext == ()


def test_only_the_arguments_of_a_constructor_are_stored() -> None:
    assert not {"self", "kwargs", "__class__"} & vars(sync()).keys()
    # Airflow's sensor keeps these two in seconds.
    sensor = of_runs.DatafoldMonitorRunSensor(task_id="t", monitor_id=4, run_id=7)
    assert (sensor.timeout, sensor.poke_interval) == (86_400.0, 60.0)


@pytest.mark.parametrize("kind", KINDS)
def test_airflows_own_arguments_reach_airflow(kind: Any) -> None:
    # The last parameter stands for those of Airflow.
    *own, _ = signature(kind).parameters.values()
    given = {each.name: "1" for each in own if each.default is each.empty}
    with DAG("own", schedule=None, start_date=datetime(2024, 1, 1)) as dag:
        task = kind(task_id="t", owner="me", **given)
    assert (dag.get_task("t"), task.owner) == (task, "me")


@pytest.mark.parametrize("kind", KINDS)
def test_their_links(kind: Any) -> None:
    has_diff = kind.__name__ in (
        *("DatafoldRunDataDiffOperator", "DatafoldRunMonitorOperator"),
        *("DatafoldDataDiffSensor", "DatafoldMonitorRunSensor"),
    )
    wanted = [DatafoldDataDiffLink] * has_diff + [DatafoldLink] * (kind.__module__ == bi.__name__)
    assert [*map(type, kind.operator_extra_links)] == wanted


@pytest.mark.parametrize(
    ("kind", "calls"),
    [
        (DatafoldOperator, {"call": 1}),
        (DatafoldJobOperator, {"job": 0, "claim": 2, "started": 2, "ended": 4}),
        (DatafoldRememberedJobOperator, {"begin": 1}),
        (DatafoldJobSensor, {"job": 0, "check": 1, "ids": 0, "ended": 4}),
    ],
)
def test_a_subclass_says_what_is_left_to_it(kind: Any, calls: dict[str, int]) -> None:
    for name, count in calls.items():
        with pytest.raises(NotImplementedError):
            getattr(kind(task_id="t"), name)(*[None] * count)


@pytest.mark.parametrize(
    ("field", "is_kept"),
    [
        ({"__type": "datetime", "__var": 1.0}, False),
        ({"__type": "dict", "__var": {"a": 1}}, False),
        ({"__classname__": "builtins.tuple", "__data__": [1], "__version__": 1}, False),
        ({"__id__": 1}, False),
        ({"__type": "a", "__data__": {"b": [1]}, "__version__": 2}, True),
        ({"__var": [{"__version__": "3"}]}, True),
    ],
)
def test_what_comes_out_of_xcom_is_what_datafold_returned(
    field: Any, is_kept: bool, serve: Any
) -> None:
    found = {"id": 7, "of": [{"a user": field}]}
    serve(answers(200, json.dumps(found).encode()))
    if is_kept:
        stored = XCom.serialize_value(sync().execute({}))
        assert XCom.deserialize_value(SimpleNamespace(value=stored)) == found
    else:
        with pytest.raises(DatafoldAnswerError, match=r"XCom takes for the type of an object"):
            sync().execute({})


def test_a_job_returns_nothing_that_xcom_reads_as_an_object(
    connections: None, sandbox: Any
) -> None:
    step: dict[str, Any] = {"step": "connection", "status": "done", "result": None}
    step["more"] = {"__type": "a", "__var": 1}
    sandbox.state.data_sources.courses.default = Course((), "done", {"results": [step]})
    task = data_sources.DatafoldTestDataSourceOperator(
        task_id="test", data_source_id=2, poll_interval=0.01, deferrable=False
    )
    with pytest.raises(DatafoldAnswerError, match="'__type'"):
        to_its_end(task)


def test_a_task_that_is_stopped_sends_nothing_more(connections: None, sandbox: Any) -> None:
    task = sync()
    with task.open_hook() as hook:
        hook.get_integration(7)
        task.on_kill()
        with pytest.raises(DatafoldStoppedError):
            hook.get_integration(7)
    # Even if it was stopped before it began.
    with pytest.raises(DatafoldStoppedError):
        task.execute({})
    assert len(sandbox.state.requests) == 1
