"""What lives in users' databases while a deferred task waits for an upgrade of this package.

A name in here is never changed: a trigger, an event or a link of an older release must still work.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from airflow_provider_datafold.links import DatafoldDataDiffLink, DatafoldLink
from airflow_provider_datafold.operators.job import DatafoldJobOperator, Wait
from airflow_provider_datafold.sensors.job import DatafoldJobSensor
from airflow_provider_datafold.triggers.job import DatafoldJobTrigger
from airflow_provider_datafold.waiting.job import JOBS, State
from airflow_provider_datafold.waiting.watch import DEADLINE, TROUBLE

NEEDED = {
    "job": "data_diff",
    "ids": {"datadiff_id": 7},
    "datafold_conn_id": "datafold_default",
    "deadline": 1.0,
}
OPTIONAL = {"since": 0.5, "poll_interval": 2.0, "cancel_on_kill": True}


def test_trigger_keeps_its_place_and_its_fields() -> None:
    classpath, kwargs = DatafoldJobTrigger(**NEEDED, **OPTIONAL).serialize()
    assert classpath == "airflow_provider_datafold.triggers.job.DatafoldJobTrigger"
    assert kwargs == NEEDED | OPTIONAL


@pytest.mark.parametrize("missing", OPTIONAL)
def test_trigger_of_an_older_release_is_made(missing: str) -> None:
    kept = {name: value for name, value in OPTIONAL.items() if name != missing}
    _, kwargs = DatafoldJobTrigger(**NEEDED, **kept).serialize()
    assert kwargs.pop(missing) == {"cancel_on_kill": False}.get(missing)
    assert kwargs == NEEDED | kept


def test_kinds_of_job_keep_their_names_and_ids() -> None:
    assert {name: job.asks for name, job in JOBS.items()} == {
        "data_diff": ("datadiff_id",),
        "monitor_run": ("monitor_id", "run_id"),
        "data_source_test": ("job_id",),
        "ci_run": ("ci_config_id", "pr_num"),
    }


def test_events_keep_their_states() -> None:
    assert [state.value for state in State] == [
        "running",
        "succeeded",
        "failed",
        "cancelled",
        "blocked",
    ]
    assert (DEADLINE, TROUBLE) == ("deadline", "trouble")


def test_methods_that_a_deferred_task_resumes_with_take_what_was_stored() -> None:
    parameters = inspect.signature(DatafoldJobOperator.resume).parameters
    assert {"context", "event", "try_number"} <= set(parameters)
    assert list(Wait.__dataclass_fields__) == ["ids", "since", "deadline", "is_taken_over"]
    parameters = inspect.signature(DatafoldJobSensor.resume).parameters
    assert list(parameters) == ["self", "context", "event", "try_number", "since", "deadline"]


@pytest.mark.parametrize(
    ("link", "name", "key"),
    [
        (DatafoldLink, "Datafold", "datafold_url"),
        (DatafoldDataDiffLink, "Datafold data diff", "datafold_data_diff_url"),
    ],
)
def test_links_keep_their_names_and_keys(link: Any, name: str, key: str) -> None:
    assert (link.name, link.xcom_key) == (name, key)


@pytest.mark.parametrize("missing", ["since", "deadline", "is_taken_over", "try_number"])
def test_event_is_enough_to_resume(missing: str, connections: None, sandbox: Any) -> None:
    from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator

    # The sandbox's first data diff is done, and identical.
    gate = DatafoldRunDataDiffOperator(
        task_id="gate",
        data_source1_id=1,
        data_source2_id=1,
        table1="A.B",
        table2="A.C",
        pk_columns=["id"],
    )
    stored = {
        "try_number": 1,
        "ids": {"datadiff_id": 1},
        "since": 0.0,
        "deadline": 4e9,
        "is_taken_over": False,
    }
    del stored[missing]

    class TI:
        try_number = 1

    event = {"state": "succeeded", "status": "done", "job": "data_diff", "ids": {"datadiff_id": 1}}
    result = gate.resume({"ti": TI()}, event, **stored)  # type: ignore[arg-type]
    assert (result["id"], result["result"]) == (1, "identical")
