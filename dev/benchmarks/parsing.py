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
    FLOOR,
    ONE_FIELD,
    OURS,
    SAME_FIELDS,
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
    """Measure both.

    :param rounds: how many DAGs of each kind.
    :param operators: how many operators a DAG has.
    :return: time to build and time to serialize.
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
        FLOOR: EmptyOperator,
    }
    ours = kinds[OURS](task_id="update")
    blanks = {
        SAME_FIELDS: _blank_operator({name: getattr(ours, name) for name in ours.template_fields}),
        ONE_FIELD: _blank_operator({"bi_datasource_id": ours.bi_datasource_id}),
    }
    literal = partial(Ours, **{**_FIELDS, "bindings": update.SCHEDULE["bindings"]})
    build = timed(lambda kind: _build(kind, operators), {**kinds, _LITERAL: literal})
    built_literal = build.pop(_LITERAL)
    dags = {name: _build(kind, operators) for name, kind in (kinds | blanks).items()}
    serialize = timed(DagSerialization.to_dict, dags)
    with mock.patch.dict(os.environ, [SETTING]):
        fast = timed(DagSerialization.to_dict, {name: dags[name] for name in kinds})
    return [
        Figure(BUILD, "ms", build, "`EmptyOperator`"),
        Figure(BUILD_LITERAL, "ms", {OURS: built_literal, FLOOR: build[FLOOR]}, "`EmptyOperator`"),
        Figure(SERIALIZE, "ms", serialize, "`EmptyOperator`"),
        Figure(SERIALIZE_SET, "ms", fast, "`EmptyOperator`"),
    ]


def _blank_operator(fields: Mapping[str, Any]) -> Callable[..., Any]:
    """Make an operator that has template fields, and nothing else."""
    from airflow.sdk import BaseOperator

    return type("Blank", (BaseOperator,), {"template_fields": tuple(fields), **fields})


def _build(kind: Callable[..., Any], operators: int) -> Any:
    from airflow.sdk import DAG

    with DAG("benchmark", schedule=None, start_date=datetime(2024, 1, 1)) as dag:
        for number in range(operators):
            kind(task_id=f"task_{number}")
    return dag
