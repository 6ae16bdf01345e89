"""What a DAG of 1,000 operators costs to serialize, which Airflow does at each parse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from dev.benchmarks import update
from dev.benchmarks.figure import (
    EMPTY,
    FLOOR,
    OURS,
    THEIRS,
    Figure,
    interleave,
    medians,
    stopwatch,
)

SERIALIZE = "1,000 operators, serialize"
_FIELDS: dict[str, Any] = {
    name: f"{{{{ params.{name} }}}}" for name in ("bi_datasource_id", "bindings", "indexing_cron")
}


def measure(rounds: int, operators: int = 1000) -> list[Figure]:
    """Measure serializing.

    :param rounds: how many times each DAG is serialized.
    :param operators: how many operators a DAG has.
    :return: the time.
    """
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.serialization.serialized_objects import DagSerialization

    from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator as Ours

    kinds: dict[str, Callable[..., Any]] = {
        OURS: partial(Ours, **_FIELDS),
        THEIRS: update.their_operator,
        FLOOR: without_code(),
        EMPTY: EmptyOperator,
    }
    ways = {
        name: stopwatch(partial(DagSerialization.to_dict, _build(kind, operators)))
        for name, kind in kinds.items()
    }
    found = medians(interleave(ways, rounds))
    return [Figure(SERIALIZE, "ms", found, "an operator without code")]


def without_code() -> Callable[..., Any]:
    """Return an operator class with the template fields of this provider's, and nothing else.

    :return: the class, which takes a task's id.
    """
    from airflow.sdk import BaseOperator

    from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator as Ours

    ours = Ours(task_id="update", **_FIELDS)
    fields = {name: getattr(ours, name) for name in Ours.template_fields}
    return type("WithoutCode", (BaseOperator,), {"template_fields": tuple(fields), **fields})


def _build(kind: Callable[..., Any], operators: int) -> Any:
    from airflow.sdk import DAG

    with DAG("benchmark", schedule=None, start_date=datetime(2024, 1, 1)) as dag:
        for number in range(operators):
            kind(task_id=f"task_{number}")
    return dag
