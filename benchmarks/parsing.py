"""What a DAG of 1,000 operators costs to build and to serialize."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from benchmarks import update
from benchmarks.figure import FLOOR, OURS, THEIRS, Figure, interleave, medians, stopwatch

BUILD = "1,000 operators, build"
SERIALIZE = "1,000 operators, serialize"
SERIALIZE_SAME = "the same, against the same fields"

_SAME = "same fields"


def measure(rounds: int, operators: int = 1000) -> list[Figure]:
    """Measure both.

    :param rounds: how many DAGs of each kind.
    :param operators: how many operators a DAG has.
    :return: time to build and time to serialize.
    """
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.serialization.serialized_objects import DagSerialization

    def timed(way: Callable[[Any], object]) -> dict[str, float]:
        ways = {name: partial(way, thing) for name, thing in things.items()}
        return medians(interleave({name: stopwatch(way) for name, way in ways.items()}, rounds))

    things: dict[str, Any] = {
        OURS: update.our_operator,
        THEIRS: update.their_operator,
        FLOOR: EmptyOperator,
        _SAME: _blank_operator(),
    }
    build = timed(lambda kind: _build(kind, operators))
    things = {name: _build(kind, operators) for name, kind in things.items()}
    serialize = timed(DagSerialization.to_dict)
    same = serialize.pop(_SAME)
    del build[_SAME]
    return [
        Figure(BUILD, "ms", build, "`EmptyOperator`"),
        Figure(SERIALIZE, "ms", serialize, "`EmptyOperator`"),
        Figure(SERIALIZE_SAME, "ms", {OURS: serialize[OURS], FLOOR: same}, "no code"),
    ]


def _blank_operator() -> Callable[..., Any]:
    """Make an operator with this provider's fields, and nothing else."""
    from airflow.sdk import BaseOperator

    from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator

    ours = update.our_operator()
    fields = {name: getattr(ours, name) for name in ours.template_fields}
    blank = type(
        "Blank",
        (BaseOperator,),
        {"template_fields": DatafoldUpdateHightouchOperator.template_fields, **fields},
    )
    return lambda task_id: blank(task_id=task_id)


def _build(kind: Callable[..., Any], operators: int) -> Any:
    from airflow.sdk import DAG

    with DAG("benchmark", schedule=None, start_date=datetime(2024, 1, 1)) as dag:
        for number in range(operators):
            kind(task_id=f"task_{number}")
    return dag
