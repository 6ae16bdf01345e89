"""Names in place of ids, in each operator and sensor that takes them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.operators.ci import DatafoldUploadCIChangesOperator
from airflow_provider_datafold.operators.data_sources import DatafoldTestDataSourceOperator
from airflow_provider_datafold.operators.dbt import DatafoldDbtModelsOperator
from airflow_provider_datafold.operators.monitors import (
    DatafoldRunMonitorOperator,
    DatafoldToggleMonitorOperator,
)
from airflow_provider_datafold.sensors.monitors import DatafoldMonitorRunSensor
from tests.contexts import context_of
from tests.dbt import artifact
from tests.waits import gate, sent, to_its_end

pytestmark = pytest.mark.usefixtures("connections")

SOURCES, MONITORS = "GET /data_sources", "GET /monitors"
WAITS: dict[str, Any] = {"task_id": "task", "poll_interval": 0.01}


def monitor_run(name: Any, **more: Any) -> Any:
    return DatafoldRunMonitorOperator(monitor_id=name, **WAITS, **more)


def source_test(name: Any, **more: Any) -> Any:
    return DatafoldTestDataSourceOperator(data_source_id=name, **WAITS, **more)


def toggle(name: Any) -> Any:
    return DatafoldToggleMonitorOperator(task_id="task", monitor_id=name, enabled=False)


def models(name: Any) -> Any:
    return DatafoldDbtModelsOperator(
        task_id="task",
        manifest=artifact("staging"),
        production_manifest=artifact("production"),
        data_source_id=name,
        missing_pk="skip",
    )


WAITING = [
    (lambda name, **more: gate(data_source1_id=name, **more), 1, "warehouse", SOURCES),
    (lambda name, **more: gate(data_source2_id=name, **more), 2, "LAKE", SOURCES),
    (monitor_run, 2, "orders GROW", MONITORS),
    (source_test, 2, "Lake", SOURCES),
]
OTHERS = [
    (toggle, 1, "Orders are copied", MONITORS),
    (models, 2, "Lake", SOURCES),
]


@pytest.mark.parametrize(
    ("make", "number", "name", "lists", "more"),
    [
        *((*row, {"deferrable": True}) for row in WAITING),
        *((*row, {}) for row in [WAITING[0], *OTHERS]),
    ],
)
def test_a_name_is_looked_up_once_a_task_and_an_id_costs_nothing(
    make: Any, number: int, name: str, lists: str, more: Any, sandbox: Any
) -> None:
    results = []
    for given in (number, str(number), name):
        sandbox.state.reset()
        to_its_end(make(given, **more))
        bodies = [each.body for each in sandbox.state.requests if each.body]
        results.append((sent(sandbox), bodies))
    by_id, by_digits, (by_name, bodies) = results
    assert lists not in by_id[0]
    assert by_id == by_digits
    by_name.remove(lists)
    assert (by_name, bodies) == by_id


def test_two_names_are_looked_up_together(sandbox: Any) -> None:
    to_its_end(gate(data_source1_id="Warehouse", data_source2_id="Lake", deferrable=True))
    assert sent(sandbox).count(SOURCES) == 1


def test_a_sensor_looks_a_name_up_once(sandbox: Any) -> None:
    run_id = sandbox.state.monitors.start(2)
    given: Any = {"monitor_id": "Orders grow", "run_id": run_id, "poke_interval": 0.01}
    sensor = DatafoldMonitorRunSensor(task_id="sensor", deferrable=True, **given)
    assert to_its_end(sensor)["monitor_id"] == 2
    assert sent(sandbox).count(MONITORS) == 1


@pytest.mark.parametrize(("make", "number", "name", "lists"), [*WAITING, *OTHERS])
def test_an_unknown_name_starts_nothing(
    make: Any, number: int, name: str, lists: str, sandbox: Any
) -> None:
    task = make(f"{name}s")
    with pytest.raises(DatafoldInputError, match=r"is called '.*s'; did you mean '.*' \(id \d\)"):
        task.execute(context_of(task))
    assert sent(sandbox) == [lists]


@pytest.mark.parametrize(
    "make",
    [
        gate,
        partial(monitor_run, 7),
        partial(
            DatafoldUploadCIChangesOperator, task_id="ci", ci_config_id=1, pr_number=2, changes=[]
        ),
    ],
)
def test_native_rendering_makes_no_numbers(make: Any) -> None:
    with DAG("names", schedule=None, render_template_as_native_obj=True) as dag:
        task = make(dag=dag)
    given = ["2024_01", {"a": ("1.50", "None")}, "{{ a }}", "{{ 7 }}", "a{{ a }}", "{{ [a] }}"]
    assert task.render_template(given, {"a": "2024_01"}) == [
        *(*given[:2], "2024_01", "7", "a2024_01", ["2024_01"]),
    ]
