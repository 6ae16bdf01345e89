"""Gates in a real Airflow: filled by templates and mapped, and how they end in each mode."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dev.sandbox.course import Course, Job, Step
from dev.sandbox.data_diffs import DIFFERENT, IDENTICAL
from tests.conductor import Conductor
from tests.conftest import AIRFLOW
from tests.dags.runs import LEAST
from tests.waits import NEVER

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("connections")]

PARAMS = {
    "source": 2,
    "nothing": None,
    "yes": True,
    "table": "DB.PUBLIC.ORDERS",
    "parts": ["DB", "my.schema", "ORDERS"],
    "query": "SELECT * FROM orders WHERE name = 'a, b'",
    "limit": 5,
    "ratio": 0.25,
    "choice": "pass",
    "options": {"sampling_ratio": 0.5, "compare_duplicates": True},
}
FILLED = """
Gate(
    task_id="params",
    data_source1_id="{{ params.source }}",
    table1="{{ params.parts }}",
    data_source2_id=1,
    table2=["DB", "{{ params.parts[1] }}", "{{ params.source }}"],
    pk_columns=["id"],
    filter1="day = '{{ ds_nodash }}'",
    options="{{ params.options }}",
    max_rows_added="{{ params.limit }}",
    max_rows_removed="{{ params.nothing }}",
    min_match_ratio="{{ params.ratio }}",
    allow_schema_changes="{{ params.yes }}",
    on_difference="{{ params.choice }}",
    on_empty="{{ params.choice }}",
    datafold_conn_id="datafold_{{ 'default' }}",
)
Gate(
    task_id="json",
    **TABLELESS,
    table1="{{ params.parts | tojson }}",
    query2="{{ params.query }}",
    options="{{ params.nothing }}",
)
pulled = give.override(task_id="pulled")(["A", "b.c"])
pulled >> Gate(
    task_id="xcom",
    **{
        **LEAST,
        "data_source1_id": give.override(task_id="source")(2),
        "table1": "{{ ti.xcom_pull('pulled') }}",
        "table2": give.override(task_id="mapped").expand(value=["D", "e.f"]),
        "pk_columns": give.override(task_id="columns")(["id", "day"]),
        "options": give.override(task_id="options")({"diff_tolerance": 0.5}),
        "filter1": give.override(task_id="nothing")(None),
    },
)
Gate.partial(task_id="kwargs", poll_interval=0.01, data_source1_id=1, data_source2_id=1)\\
.expand_kwargs(give.override(task_id="given")([
    {"query1": "SELECT 1", "table2": "C", "pk_columns": "['id']", "max_rows_added": "3"},
]))
"""
ORDERS = ["DB", "my.schema", "ORDERS"]
BODY = {"data_source1_id": 1, "data_source2_id": 1, "pk_columns": ["id"]}


@pytest.mark.parametrize("native", [False, True])
def test_what_templates_and_other_tasks_say_is_sent(
    native: bool, run_tasks: Any, created: Any
) -> None:
    run = run_tasks(FILLED, PARAMS, native=native)

    assert run.state == "success"
    bodies = {run.xcom(name)["id"]: name for name in ("params", "json", "xcom", "C")}
    sent = {bodies[number]: body for number, body in enumerate(created(), 3)}
    assert all(body.pop("tags") for body in sent.values())
    assert re.fullmatch(r"day = '20\d{6}'", sent["params"].pop("filter1"))
    assert sent == {
        "params": {
            **BODY,
            "data_source1_id": 2,
            "table1": ORDERS,
            "table2": ["DB", "my.schema", "2"],
            **PARAMS["options"],  # type: ignore[dict-item]
        },
        "json": {**BODY, "table1": ORDERS, "query2": PARAMS["query"]},
        "xcom": {
            **BODY,
            "data_source1_id": 2,
            "table1": ["A", "b.c"],
            "table2": ["D", "e.f"],
            "pk_columns": ["id", "day"],
            "diff_tolerance": 0.5,
        },
        "C": {**BODY, "query1": "SELECT 1", "table2": ["C"]},
    }


MAPPED = """
ways = [
    {"table1": "A", "table2": "DB.STAGING.ORDERS"},
    {"table1": "A", "table2": "{{ params.parts }}"},
    {"table1": "A.B", "query2": "SELECT 1"},
    {"query1": "SELECT 1", "query2": "SELECT 1"},
    {"table1": "A", "table2": ["2024"]},
    {"table1": "A", "table2": ["B" * 300]},
]
Gate.partial(task_id="by_table", **TABLELESS).expand_kwargs(ways)
mine = {"map_index_template": "{{ task.task_id }}'s {{ task.table2 }}"}
Gate.partial(task_id="dag", **mine, **TABLELESS).expand(table1=["A"], table2=["B"])
Gate.partial(task_id="default", default_args=mine, **TABLELESS).expand(table1=["A"], table2=["B"])
"""


@pytest.mark.parametrize("native", [False, True])
def test_mapped_gates_show_their_tables(native: bool, run_tasks: Any) -> None:
    run = run_tasks(MAPPED, PARAMS, native=native)
    names = ("DB.STAGING.ORDERS", "DB.my.schema.ORDERS", "A.B", "gate 3", "table 2024", "B" * 200)
    assert run.states == dict.fromkeys([*names, "dag's B", "default's B"], "success")


COURSES = {
    "passes": IDENTICAL,
    "differs": DIFFERENT,
    "skips": DIFFERENT,
    "cancelled": Course((Step("waiting"),), "cancelled"),
    "endless": NEVER,
}
"""What becomes of the data diffs, by their first tags."""


def states(sandbox: Any, conductor: Conductor) -> dict[str, str]:
    """The data diffs' statuses at the end; a second one would not fit in."""
    found = [
        (name, sandbox.state.data_diffs.peek(number)["status"])
        for number, name in conductor.names.items()
    ]
    assert len(dict(found)) == len(found)
    return dict(found)


@pytest.mark.parametrize("deferrable", [False, True])
def test_how_a_gate_ends(
    deferrable: bool, run_tasks: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch, printed: Any
) -> None:
    conductor = Conductor(monkeypatch, COURSES)
    tasks = f"""
    for name in {[*COURSES]!r}:
        Gate(
            task_id=name,
            tags=[name],
            deferrable={deferrable},
            on_difference="skip" if name == "skips" else "fail",
            execution_timeout=timedelta(seconds=2 if name == "endless" else 60),
            **LEAST,
        )
    """
    run = run_tasks(tasks)

    failed = dict.fromkeys(COURSES, "failed")
    assert run.states == {**failed, "passes": "success", "skips": "skipped"}
    url = run.xcom("passes")["url"]
    assert run.xcom("passes") == {
        "id": int(url.split("/")[-2]),
        "status": "done",
        "url": url,
        **IDENTICAL.outcome,
    }
    assert [run.xcom(name) for name in COURSES if name != "passes"] == [None] * 4
    assert all(run.xcom(name, "datafold_data_diff_url") for name in COURSES)
    done = dict.fromkeys(COURSES, "done")
    # The one that did not end in time was cancelled.
    ends = {**done, "cancelled": "cancelled", "endless": "cancelled"}
    assert states(sandbox, conductor) == ends
    said = printed()
    for error in ("DatafoldDifferenceError", "DatafoldJobCancelledError", "DatafoldDeadlineError"):
        assert error in said


def test_how_a_sensor_ends(run_tasks: Any, sandbox: Any) -> None:
    courses = {name: course for name, course in COURSES.items() if course is not NEVER}
    diffs = sandbox.state.data_diffs
    ids = {name: diffs.add({**LEAST}, Job(course))["id"] for name, course in courses.items()}
    modes = {
        "poke": {"mode": "poke", "deferrable": False},
        "reschedule": {"mode": "reschedule", "deferrable": False},
        "triggerer": {"deferrable": True},
    }
    tasks = f"""
    for mode, how in {modes!r}.items():
        for name, number in {ids!r}.items():
            skips = "skip" if name == "skips" else "fail"
            Sensor(
                task_id=f"{{name}}_{{mode}}",
                datadiff_id=number,
                on_difference=skips,
                poke_interval=0.05,
                **how,
            )
    """
    run = run_tasks(tasks)

    ends = {"passes": "success", "differs": "failed", "skips": "skipped", "cancelled": "failed"}
    assert run.states == {f"{name}_{mode}": ends[name] for mode in modes for name in courses}
    for mode in modes:
        assert run.xcom(f"passes_{mode}")["id"] == ids["passes"]
    assert {request.method for request in sandbox.state.requests} == {"GET"}


NEXT_TRY = """
class Lost(DatafoldRunMonitorOperator):
    def post_execute(self, context, result=None):
        if context["ti"].try_number == 1:
            raise RuntimeError("Airflow does not get to know that the task has ended")

retries = {
    "monitor_id": 4, "deferrable": False, "poll_interval": 0.05, "retries": 1,
    "retry_delay": timedelta(0),
}
DatafoldRunMonitorOperator(task_id="failed", **retries) >> Lost(task_id="lost", **retries)
"""


def test_a_job_that_was_not_judged_is_taken_over(run_tasks: Any, sandbox: Any) -> None:
    sandbox.state.monitors.courses.coming.append(Course((), "error"))
    sandbox.state.monitors.courses.default = Course((), "ok")

    run = run_tasks(NEXT_TRY)

    ids = {name: run.xcom(name)["run_id"] for name in run.states}
    has_stores = AIRFLOW >= (3, 3)
    assert ids == {"failed": 2, "lost": 3 if has_stores else 4}
