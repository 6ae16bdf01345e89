"""What all operators and sensors share."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator
from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from airflow_provider_datafold.sensors.data_diffs import DatafoldDataDiffSensor


@pytest.mark.parametrize(
    "kind", [DatafoldUpdateHightouchOperator, DatafoldRunDataDiffOperator, DatafoldDataDiffSensor]
)
def test_a_mapped_task_has_airflows_defaults(kind: Any) -> None:
    with DAG("d", schedule=None, start_date=datetime(2024, 1, 1)):
        mapped = kind.partial(task_id="t").expand(datafold_conn_id=["a", "b"])

    assert mapped.inlets == mapped.outlets == []
