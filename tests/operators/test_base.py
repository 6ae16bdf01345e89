"""What operators and sensors share."""

from __future__ import annotations

import traceback
from datetime import datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datafold.api.fields import positive_integer
from airflow_provider_datafold.exceptions import DatafoldInputError, DatafoldStoppedError
from airflow_provider_datafold.operators.base import DatafoldOperator, HookUser
from airflow_provider_datafold.operators.bi import DatafoldSyncIntegrationOperator
from airflow_provider_datafold.sensors.data_diffs import DatafoldDataDiffSensor
from airflow_provider_datafold.sensors.job import DatafoldJobSensor
from tests.conftest import API_KEY


@pytest.mark.parametrize(
    ("kind", "argument"),
    [
        (DatafoldSyncIntegrationOperator, "bi_datasource_id"),
        (DatafoldDataDiffSensor, "datadiff_id"),
    ],
)
def test_a_mapped_task_has_the_defaults_of_airflow(kind: Any, argument: str) -> None:
    with DAG("mapped", schedule=None, start_date=datetime(2024, 1, 1)):
        task = kind.partial(task_id="mapped").expand(**{argument: [1, 2]})
    assert task.inlets == task.outlets == []


@pytest.mark.parametrize("kind", [DatafoldOperator, DatafoldJobSensor])
def test_a_class_has_no_constructor_for_airflow_to_wrap(kind: Any) -> None:
    assert "__init__" not in vars(kind)


@pytest.mark.parametrize("kind", [DatafoldOperator, DatafoldJobSensor])
def test_a_stop_reaches_the_hook(kind: Any) -> None:
    assert kind.on_kill is HookUser.on_kill


def test_a_task_that_is_stopped_sends_nothing_more(connections: None, sandbox: Any) -> None:
    task = DatafoldSyncIntegrationOperator(task_id="sync", bi_datasource_id=7)
    with task.open_hook() as hook:
        hook.get_integration(7)
        task.on_kill()
        with pytest.raises(DatafoldStoppedError):
            hook.get_integration(7)
    # Even if it was stopped before it began.
    with pytest.raises(DatafoldStoppedError):
        task.execute({})
    assert len(sandbox.state.requests) == 1


def test_an_argument_with_a_secret_is_refused_without_it(connections: None) -> None:
    task = DatafoldDataDiffSensor(task_id="wait", datadiff_id=API_KEY)
    with task.open_hook() as hook, pytest.raises(DatafoldInputError, match="datadiff_id") as caught:
        task.checked(hook, datadiff_id=positive_integer)
    assert API_KEY not in "".join(traceback.format_exception(caught.value))
