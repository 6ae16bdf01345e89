"""The summary in a real Airflow, and the events of a gate's assets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dev.sandbox.course import Course
from dev.sandbox.data_diffs import DIFFERENT, IDENTICAL, done
from tests.conftest import AIRFLOW, HOME
from tests.dags.runs import execute, reserialize, source_of

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("connections")]


def mapped(count: int) -> str:
    ways = [{"table1": "A", "table2": f"DB.T{number}"} for number in range(count)]
    return f"""
gates = Gate.partial(task_id="gate", **TABLELESS).expand_kwargs({ways!r})
summarize = DatafoldSummarizeOperator(task_id="summarize", task_ids=["gate"])
gates >> summarize
"""


def test_mapped_gates_are_summarized(run_tasks: Any, sandbox: Any) -> None:
    courses = [IDENTICAL, DIFFERENT, Course((), "cancelled"), IDENTICAL]
    sandbox.state.data_diffs.courses.coming.extend(courses)

    run = run_tasks(mapped(len(courses)))

    assert run.state == "failed"
    found = run.xcom("summarize")
    assert [found[name] for name in ("passed", "failed", "skipped")] == [2, 2, 0]
    rows = {row["table2"]: (row["state"], row["outcome"]) for row in found["entries"]}
    ends = [("failed", "cancelled"), ("failed", "differs"), *[("success", "passes")] * 2]
    assert sorted(rows.values()) == ends
    assert {*rows} == {f"DB.T{number}" for number in range(4)}
    text = run.xcom("summarize", "text")
    assert text.startswith("2 of 4 passed, 2 did not.\n\n| outcome")


def test_gates_in_a_group_and_one_that_did_not_run(run_tasks: Any, sandbox: Any) -> None:
    sandbox.state.data_diffs.courses.coming.extend([IDENTICAL, DIFFERENT])
    tasks = """
lone = Gate(task_id="lone", **LEAST)
with TaskGroup("group") as group:
    lone >> Gate(task_id="first", **LEAST) >> Gate(task_id="second", **LEAST)
summary = DatafoldSummarizeOperator(
    task_id="summarize", task_ids=["group.first", "group.second", "lone"]
)
[group, lone] >> summary
"""
    run = run_tasks(tasks)

    found = run.xcom("summarize")
    assert run.state == "failed"
    assert (found["passed"], found["failed"]) == (1, 2)
    rows = {row["task_id"]: (row["state"], row["outcome"]) for row in found["entries"]}
    assert rows == {
        "group.first": ("failed", "differs"),
        "group.second": ("upstream_failed", "failed"),
        "lone": ("success", "passes"),
    }


def test_a_gate_that_skips_itself_is_told_one_that_a_branch_skips_is_not(
    run_tasks: Any, sandbox: Any
) -> None:
    sandbox.state.data_diffs.courses.default = DIFFERENT
    tasks = """
@task.branch
def branch():
    return ["own"]
Gate(task_id="own", on_difference="skip", **LEAST)
other = Gate(task_id="other", **LEAST)
branch() >> [dag.get_task("own"), other] >> DatafoldSummarizeOperator(
    task_id="summarize", task_ids=["own", "other"]
)
"""
    run = run_tasks(tasks)
    assert run.states["own"] == run.states["other"] == "skipped"
    found = run.xcom("summarize")
    assert (found["passed"], found["failed"], found["skipped"]) == (0, 1, 1)
    assert [row["outcome"] for row in found["entries"]] == ["differs", "skipped"]


def test_what_was_left_out_an_empty_map_and_a_mapped_group(run_tasks: Any) -> None:
    tasks = """
@task
def models(ti=None):
    ti.xcom_push(key="left_out", value=[{"name": "notes", "reason": "no primary key"}])
    return []
@task_group
def copy(number):
    gate = Gate(task_id="gate", **{**LEAST, "table2": "DB.T{{ ti.map_index }}"})
    gate >> DatafoldSummarizeOperator(task_id="own", task_ids="copy.gate")
none = Gate.partial(task_id="none", **TABLELESS).expand_kwargs(models())
groups = copy.expand(number=[0, 1])
summary = DatafoldSummarizeOperator(
    task_id="summarize", task_ids=["models", "none", "copy.gate"]
)
[groups, none] >> summary
"""
    run = run_tasks(tasks)
    assert run.state == "failed"
    assert (
        run.xcom("summarize", "text")
        == """\
2 of 3 passed, 1 did not; 1 was left out.

| outcome      | what   | page | reason |
| ------------ | ------ | ---- | ------ |
| not_compared | `none` |      | no task ran: there was nothing to map, or a branch skipped it |

Left out:
- no primary key: `notes`"""
    )
    for index in (0, 1):
        found = run.xcom(f"copy.own[{index}]")
        assert [entry["label"] for entry in found["entries"]] == [f"DB.T{index}"]


def test_gates_that_pass_let_the_dag_go_on(run_tasks: Any) -> None:
    run = run_tasks(mapped(1) + 'summarize >> give("published")')
    assert run.state == "success"
    assert run.xcom("summarize", "text") == "1 of 1 passed."


def test_the_event_of_an_asset_has_the_figures(run_file: Any, sandbox: Any, tmp_path: Any) -> None:
    sandbox.state.data_diffs.courses.default = done("different", rows_added=3)
    source, dag_id = source_of("""
    for mode in ("worker", "triggerer"):
        outlets = [Asset(f"warehouse://verdict/{mode}")]
        deferrable = mode == "triggerer"
        Gate(task_id=mode, outlets=outlets, max_rows_added=3, deferrable=deferrable, **LEAST)
    """)
    file = tmp_path / "events.py"
    file.write_text(source)
    # Airflow 2.11 stores no event of an asset that it does not know.
    reserialize(file)
    run = run_file(source, dag_id)
    assert run.state == "success"
    sql = (
        "SELECT uri, asset_event.extra FROM asset_event JOIN asset ON asset.id = asset_id "
        "WHERE uri LIKE 'warehouse://verdict/%'"
    )
    if AIRFLOW < (3,):
        sql = sql.replace("asset", "dataset")
    events = dict(execute(HOME / "airflow.db", sql))
    for mode in ("worker", "triggerer"):
        told = run.xcom(mode, "verdict")
        assert told["outcome"] == "passes"
        extra = json.loads(events[f"warehouse://verdict/{mode}"])
        names = ("id", "url", "figures")
        assert [extra[name] for name in names] == [told[name] for name in names]
