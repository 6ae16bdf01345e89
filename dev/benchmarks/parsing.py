"""What a DAG of 1,000 operators costs to build and to serialize."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any
from unittest import mock

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

BUILD = "1,000 operators, build"
BUILD_LITERAL = "the same, `bindings` a list in the DAG's code"
SERIALIZE = "1,000 operators, serialize"
_LITERAL = "literal"
_FIELDS: dict[str, Any] = {
    name: f"{{{{ params.{name} }}}}" for name in ("bi_datasource_id", "bindings", "indexing_cron")
}
SETTING = ("AIRFLOW__CORE__MAX_TEMPLATED_FIELD_LENGTH", "4096")
"""Airflow's default, as an environment variable."""
SERIALIZE_SET = f"the same, `{SETTING[0]}` set"


def measure(rounds: int, operators: int = 1000) -> list[Figure]:
    """Measure building and serializing.

    :param rounds: how many DAGs of each kind.
    :param operators: how many operators a DAG has.
    :return: the time to build and the time to serialize.
    """
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.serialization.serialized_objects import DagSerialization

    from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator as Ours

    def timed(way: Callable[[Any], object], things: Mapping[str, Any]) -> dict[str, float]:
        ways = {name: stopwatch(partial(way, thing)) for name, thing in things.items()}
        return medians(interleave(ways, rounds))

    kinds: dict[str, Callable[..., Any]] = {
        OURS: partial(Ours, **_FIELDS),
        THEIRS: update.their_operator,
    }
    literal = partial(Ours, **{**_FIELDS, "bindings": update.SCHEDULE["bindings"]})
    build = timed(
        lambda kind: _build(kind, operators),
        {**kinds, FLOOR: EmptyOperator, _LITERAL: literal},
    )
    built_literal = build.pop(_LITERAL)
    all_kinds = {**kinds, FLOOR: without_code(), EMPTY: EmptyOperator}
    dags = {name: _build(kind, operators) for name, kind in all_kinds.items()}
    serialize = timed(DagSerialization.to_dict, dags)
    with mock.patch.dict(os.environ, [SETTING]):
        fast = timed(DagSerialization.to_dict, {name: dags[name] for name in kinds})
    return [
        Figure(BUILD, "ms", build, "`EmptyOperator`"),
        Figure(BUILD_LITERAL, "ms", {OURS: built_literal, FLOOR: build[FLOOR]}, "`EmptyOperator`"),
        Figure(SERIALIZE, "ms", serialize, "an operator without code"),
        Figure(SERIALIZE_SET, "ms", fast),
    ]


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
