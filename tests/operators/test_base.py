"""What operators and sensors share."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datafold.operators.base import DatafoldOperator, HookUser
from airflow_provider_datafold.operators.bi import DatafoldSyncIntegrationOperator
from airflow_provider_datafold.sensors.data_diffs import DatafoldDataDiffSensor
from airflow_provider_datafold.sensors.job import DatafoldJobSensor


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
