"""The summary in a real Airflow, and the events of a gate's assets."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__ as airflow_version

from dev.sandbox.course import Course
from dev.sandbox.data_diffs import DIFFERENT, IDENTICAL, done
from tests.conftest import HOME
from tests.dags.test_example_dags import reserialize
from tests.gates import DAG_FILE, LEAST
from tests.modes import MODES

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("connections")]

HEAD = f"""
from airflow.providers.common.compat.sdk import Asset, TaskGroup, task, task_group

from airflow_provider_datafold.operators.summary import DatafoldSummarizeOperator

ERRORS, PARAMS, NATIVE, LEAST = "/dev/null", {{}}, False, {LEAST!r}
"""


def source(dag_id: str, tasks: str) -> str:
    body = "".join(f"    {line}\n" for line in tasks.strip().splitlines())
    return f"from __future__ import annotations\n{HEAD}DAG_ID = {dag_id!r}\n{DAG_FILE}{body}"


def pulled(run: Any, key: str = "return_value") -> Any:
    return run.get_task_instance("summarize").xcom_pull("summarize", key=key)


def mapped(count: int, **more: Any) -> str:
    tables = [f"DB.STAGING.T{number:03}" for number in range(count)]
    ids = {name: value for name, value in LEAST.items() if name != "table2"} | more
    return f"""
gates = Gate.partial(task_id="gate", **{ids!r}).expand(table2={tables!r})
gates >> DatafoldSummarizeOperator(task_id="summarize", task_ids=["gate"])
"""


@pytest.mark.parametrize("mode", MODES)
def test_mapped_gates_are_summarized(run_dag: Any, sandbox: Any, mode: str) -> None:
    courses = [IDENTICAL, DIFFERENT, Course((), "cancelled"), IDENTICAL]
    sandbox.state.data_diffs.courses.coming.extend(courses)
    tasks = mapped(len(courses), deferrable=mode == "triggerer")

    run = run_dag(source("summary", tasks), "summary")

    assert run.state == "failed"
    found = pulled(run)
    assert {name: found[name] for name in ("passed", "failed", "skipped")} == {
        "passed": 2,
        "failed": 2,
        "skipped": 0,
    }
    rows = {row["table2"]: (row["state"], row["outcome"]) for row in found["entries"]}
    assert sorted(rows.values()) == [
        ("failed", "cancelled"),
        ("failed", "differs"),
        *[("success", "passes")] * 2,
    ]
    assert {*rows} == {f"DB.STAGING.T{number:03}" for number in range(4)}
    assert pulled(run, "text").startswith("2 of 4 passed, 2 did not.\n\n| outcome")


def test_gates_in_a_group_and_one_that_did_not_run(run_dag: Any, sandbox: Any) -> None:
    sandbox.state.data_diffs.courses.coming.extend([IDENTICAL, DIFFERENT])
    tasks = """
lone = Gate(task_id="lone", **LEAST)
with TaskGroup("group") as group:
    gate("first")
    group.children["group.first"] >> Gate(task_id="second", **LEAST)
lone >> group.children["group.first"]
summary = DatafoldSummarizeOperator(
    task_id="summarize", task_ids=["group.first", "group.second", "lone"]
)
[group, lone] >> summary
"""
    run = run_dag(source("grouped", tasks), "grouped")

    found = pulled(run)
    assert run.state == "failed"
    assert (found["passed"], found["failed"]) == (1, 2)
    rows = {row["task_id"]: (row["state"], row["outcome"]) for row in found["entries"]}
    assert rows == {
        "group.first": ("failed", "differs"),
        "group.second": ("upstream_failed", "failed"),
        "lone": ("success", "passes"),
    }


def test_what_was_left_out_an_empty_map_and_a_mapped_group(run_dag: Any) -> None:
    tasks = """
@task
def models(ti=None):
    ti.xcom_push(key="left_out", value=[{"name": "notes", "reason": "no primary key"}])
    return []
@task_group
def copy(number):
    gate("gate", table2="DB.T{{ ti.map_index }}")
    own = DatafoldSummarizeOperator(task_id="own", task_ids="copy.gate")
    dag.get_task("copy.gate") >> own
ids = {name: value for name, value in LEAST.items() if name != "table2"}
Gate.partial(task_id="none", **ids).expand_kwargs(models())
groups = copy.expand(number=[0, 1])
summary = DatafoldSummarizeOperator(
    task_id="summarize", task_ids=["models", "none", "copy.gate"]
)
[groups, dag.get_task("none")] >> summary
"""
    run = run_dag(source("left_out", tasks), "left_out")
    assert run.state == "failed"
    assert (
        pulled(run, "text")
        == """\
2 of 3 passed, 1 did not; 1 was left out.

| outcome      | what   | page | reason |
| ------------ | ------ | ---- | ------ |
| not_compared | `none` |      | no task ran: there was nothing to map, or a branch skipped it |

Left out:
- no primary key: `notes`"""
    )
    for index in (0, 1):
        own = run.get_task_instance("copy.own", map_index=index)
        found = own.xcom_pull("copy.own", map_indexes=index)
        assert [entry["label"] for entry in found["entries"]] == [f"DB.T{index}"]


def test_gates_that_pass_let_the_dag_go_on(run_dag: Any) -> None:
    tasks = mapped(1) + 'dag.get_task("summarize") >> give("published")'
    run = run_dag(source("equal", tasks), "equal")
    assert run.state == "success"
    assert pulled(run, "text") == "1 of 1 passed."


def test_the_event_of_an_asset_has_the_figures(run_dag: Any, sandbox: Any, tmp_path: Path) -> None:
    sandbox.state.data_diffs.courses.default = done("different", rows_added=3)
    tasks = "\n".join(
        f"gate('{mode}', outlets=[Asset('warehouse://verdict/{mode}')], max_rows_added=3, "
        f"deferrable={mode == 'triggerer'})"
        for mode in MODES
    )
    file = tmp_path / "events.py"
    file.write_text(source("events", tasks))
    # Airflow 2.11 stores no event of an asset that it does not know.
    reserialize(file)
    run = run_dag(file.read_text(), "events")
    assert run.state == "success"
    sql = (
        "SELECT uri, asset_event.extra FROM asset_event JOIN asset ON asset.id = asset_id "
        "WHERE uri LIKE 'warehouse://verdict/%'"
    )
    if airflow_version.startswith("2."):
        sql = sql.replace("asset", "dataset")
    with closing(sqlite3.connect(HOME / "airflow.db")) as connection:
        events = {uri: json.loads(extra) for uri, extra in connection.execute(sql)}
    for mode in MODES:
        told = run.get_task_instance(mode).xcom_pull(mode, key="verdict")
        assert told["outcome"] == "passes"
        extra = events[f"warehouse://verdict/{mode}"]
        assert {name: extra[name] for name in ("id", "url", "figures")} == {
            name: told[name] for name in ("id", "url", "figures")
        }
