"""The JSON on the pages has the keys that operators return and push, because users copy them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_datafold.sensors.data_diffs import DatafoldDataDiffSensor
from airflow_provider_datafold.sensors.monitors import DatafoldMonitorRunSensor
from dev.sandbox.course import Course, Job
from dev.sandbox.data_diffs import DIFFERENT
from dev.sandbox.moment import now
from dev.sandbox.monitors import run_course
from tests import documents
from tests.conftest import ROOT
from tests.contexts import context_of

DIFF = {"data_source1_id": 1, "data_source2_id": 1, "pk_columns": ["id"]} | {
    f"table{side}": ["DB", schema, "ORDERS"] for side, schema in ((1, "PUBLIC"), (2, "STAGING"))
}


def shown(page: str, sandbox: Any) -> list[Any]:
    text = (ROOT / "docs" / page).read_text()
    text = text.replace("https://app.datafold.com", sandbox.url)
    return [json.loads(block) for block in documents.blocks_in(text, "json")]


def results(task: Any) -> list[Any]:
    """Return what the task returns, and its verdict."""
    context = context_of(task)
    return [task.execute(context), context["ti"].pushed["verdict"]]


@pytest.mark.usefixtures("connections")
def test_what_a_gate_returns(sandbox: Any) -> None:
    sandbox.state.data_diffs.add(DIFF, Job(Course((), "done", DIFFERENT.outcome)))
    gate = DatafoldDataDiffSensor(task_id="gate", datadiff_id=3, on_difference="pass")
    pages = shown("data_diffs.md", sandbox) + shown("gate_verdicts.md", sandbox)
    assert results(gate) == pages


@pytest.mark.usefixtures("connections")
def test_what_a_monitor_run_returns(sandbox: Any) -> None:
    numbers = [sandbox.state.data_diffs.add(DIFF, Job(DIFFERENT))["id"] for _ in range(7)]
    monitors = sandbox.state.monitors
    monitors.jobs[1] = Job(Course((), "alert", run_course("alert", diff_id=numbers[-1]).outcome))
    monitors.runs[1] = {"run_id": 1, "monitor_id": 4, "started_at": now()}
    check = DatafoldMonitorRunSensor(task_id="check", monitor_id=4, run_id=1, on_alert="pass")
    value, verdict = results(check)
    page_value, page_verdict = shown("monitors.md", sandbox)[:2]
    assert value == page_value
    # The page shows one figure of many.
    assert page_verdict.pop("figures").keys() <= verdict.pop("figures").keys()
    assert verdict == page_verdict
