"""docs/monitors.md and docs/ci.md say what the operators and the sensor do."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_datafold.exceptions import DatafoldError, DatafoldFinalError
from airflow_provider_datafold.jobs.data_source_test import conclude
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.jobs.job import CI_RUN, DATA_SOURCE_TEST, MONITOR_RUN, State
from airflow_provider_datafold.jobs.monitors import comparison
from airflow_provider_datafold.jobs.watch import JobStatus
from airflow_provider_datafold.operators.monitors import DatafoldRunMonitorOperator
from airflow_provider_datafold.sensors.monitors import DatafoldMonitorRunSensor
from dev.sandbox.course import Course, Job
from dev.sandbox.data_sources import checked
from dev.sandbox.moment import now
from dev.sandbox.monitors import run_course
from tests import documents
from tests.conftest import ROOT
from tests.contexts import TaskInstance
from tests.docs.test_data_diffs_page import default
from tests.docs.test_operators_page import arguments

MONITORS = ROOT / "docs" / "monitors.md"
CI = ROOT / "docs" / "ci.md"
MODULES = {
    "operators.monitors": MONITORS,
    "sensors.monitors": MONITORS,
    "operators.ci": CI,
    "operators.data_sources": CI,
}


def classes() -> list[tuple[Path, Any]]:
    """Each operator and sensor, and the page that it is on."""
    found = []
    for name, page in MODULES.items():
        module = importlib.import_module(f"airflow_provider_datafold.{name}")
        found += [
            (page, value)
            for value in vars(module).values()
            if getattr(value, "__module__", None) == module.__name__ and "__init__" in vars(value)
        ]
    return found


CLASSES = classes()


def test_all_are_here() -> None:
    titles = [
        title
        for page in (MONITORS, CI)
        for title in re.findall(r"^## (Datafold\w+)$", page.read_text(), re.MULTILINE)
    ]
    assert sorted(titles) == sorted(each.__name__ for _, each in CLASSES)
    assert len(titles) == 8


@pytest.mark.parametrize(("page", "operator"), CLASSES)
def test_each_argument_is_in_a_table(page: Path, operator: Any) -> None:
    # Airflow has a method dry_run.
    templated = {"dry_run" if name == "is_dry_run" else name for name in operator.template_fields}
    wanted = [
        [f"`{name}`", "yes" if name in templated else "no", default(parameter)]
        for name, parameter in arguments(operator).items()
    ]
    rows = documents.rows(documents.section(page, operator.__name__))
    assert [row[:3] for row in rows if row[1] in ("yes", "no")] == wanted


@pytest.mark.parametrize(("page", "operator"), CLASSES)
def test_help_explains_each_argument(page: Path, operator: Any) -> None:
    explained = re.findall(r":param (\w+):", operator.__doc__ or "")
    assert explained == list(arguments(operator))


def ends(page: Path, title: str) -> list[tuple[list[str], str, str]]:
    """The rows of a table: the statuses, what the task does, and the error."""
    rows = [row for row in documents.rows(documents.section(page, title)) if len(row) == 3]
    return [
        (re.findall(r"`(\w+)`", status), task, error.strip("`")) for status, task, error in rows
    ]


def test_the_last_rows_are_about_the_deadline() -> None:
    for page, title in (
        (MONITORS, "What the end of a run means"),
        (CI, "How a CI run ends"),
        (CI, "DatafoldTestDataSourceOperator"),
    ):
        assert ends(page, title)[-1][0] == ["timeout"]
        assert ends(page, title)[-1][-1] == "DatafoldDeadlineError"


@pytest.mark.parametrize(
    ("job", "page", "title"),
    [
        (MONITOR_RUN, MONITORS, "What the end of a run means"),
        (CI_RUN, CI, "How a CI run ends"),
        (DATA_SOURCE_TEST, CI, "DatafoldTestDataSourceOperator"),
    ],
)
def test_the_ends_are_those_of_the_job(job: Any, page: Path, title: str) -> None:
    named = {name for names, _, _ in ends(page, title)[:-1] for name in names}
    assert named == {name for name, state in job.states.items() if state is not State.RUNNING}


def agrees(task: str, error: str, found: Any) -> None:
    """Compare the end of a task with a row."""
    if not error:
        assert not isinstance(found, Exception)
        assert task.startswith("succeeds")
        return
    assert type(found).__name__ == error
    assert ("uses up no retries" in task or "`on_alert`" in task) == isinstance(
        found, DatafoldFinalError
    )


def outcome(call: Any) -> Any:
    try:
        return call()
    except (DatafoldError, AirflowSkipException) as error:
        return error


def judge(sandbox: Any, state: str, on_alert: str = "fail", context: Any = None) -> Any:
    monitors = sandbox.state.monitors
    monitors.jobs[1] = Job(Course((), state, run_course(state, diff_id=9).outcome))
    monitors.runs[1] = {"run_id": 1, "monitor_id": 4, "started_at": now()}
    sensor = DatafoldMonitorRunSensor(
        task_id="check", monitor_id=4, run_id=1, on_alert=on_alert, deferrable=False
    )
    return outcome(lambda: sensor.execute(context or {}))


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(
    ("state", "task", "error"),
    [(*row[0], *row[1:]) for row in ends(MONITORS, "What the end of a run means")[:-1]],
)
def test_a_row_says_what_the_end_of_a_run_means(
    state: str, task: str, error: str, sandbox: Any
) -> None:
    agrees(task, error, judge(sandbox, state))

    leeway = [judge(sandbox, state, way) for way in ("skip", "pass")]
    if "`on_alert`" in task:
        assert isinstance(leeway[0], AirflowSkipException)
        assert leeway[1]["state"] == state
    else:
        for found in leeway:
            agrees(task, error, found)


@pytest.mark.usefixtures("connections")
def test_what_a_run_returns_is_what_the_page_shows(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    diff = {"diff_stats": {"rows_added": 3}}
    monkeypatch.setattr(JobHook, "get_data_diff", lambda *_: diff)
    context: Any = {"ti": TaskInstance(pushed={})}
    value = judge(sandbox, "alert", "pass", context)
    shown, verdict = documents.blocks(MONITORS, "json")
    assert json.loads(shown.replace("https://app.datafold.com", sandbox.url)) == value
    pushed = context["ti"].pushed["verdict"]
    told = json.loads(verdict.replace("https://app.datafold.com", sandbox.url))
    assert told.pop("figures").keys() <= pushed.pop("figures").keys()
    assert told == pushed


def reading(job: Any, status: str, answer: Any) -> JobStatus:
    return JobStatus(job.states[status], status, answer)


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(("statuses", "task", "error"), ends(CI, "How a CI run ends")[:-1])
def test_a_row_says_how_a_ci_run_ends(statuses: list[str], task: str, error: str) -> None:
    from airflow_provider_datafold.operators.ci import DatafoldUploadCIChangesOperator

    operator = DatafoldUploadCIChangesOperator(task_id="t", ci_config_id=2, pr_number=8, changes=[])
    ids = {"ci_config_id": 2, "pr_num": 8, "run_id": 1}
    for status in statuses:
        with operator.open_hook() as hook:
            found = outcome(
                lambda hook=hook, status=status: operator.ended(
                    hook, {}, ids, reading(CI_RUN, status, {})
                )
            )
        agrees(task, error, found)


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(
    ("statuses", "task", "error"), ends(CI, "DatafoldTestDataSourceOperator")[:-1]
)
def test_a_row_says_how_a_test_ends(statuses: list[str], task: str, error: str) -> None:
    operator = DatafoldRunMonitorOperator(task_id="t", monitor_id=4)
    for status in statuses:
        with operator.open_hook() as hook:
            read = reading(DATA_SOURCE_TEST, status, checked().outcome)
            found = outcome(lambda hook=hook, read=read: conclude(hook, 1, read))
        agrees(task, error, found)


@pytest.mark.usefixtures("connections")
def test_the_error_of_a_test_is_the_one_on_the_page() -> None:
    course = checked("temp_schema", "No right to create tables")
    operator = DatafoldRunMonitorOperator(task_id="t", monitor_id=4)
    with operator.open_hook() as hook:
        error = outcome(
            lambda: conclude(hook, 1, reading(DATA_SOURCE_TEST, "done", course.outcome))
        )
    assert f"{type(error).__name__}: {error}" in " ".join(CI.read_text().split())


def test_the_table_of_kinds_says_what_can_be_changed() -> None:
    rows = [
        [re.findall(r"`(\w+)`", cell) for cell in row]
        for row in documents.rows(documents.section(MONITORS, "DatafoldApplyMonitorsOperator"))
        if row[0].strip("`") in comparison.CHANGEABLE
    ]
    changed = {kind: set(fields) for (kind,), fields, _ in rows}
    assert changed == {
        kind: {*fields, "enabled"} - {"name"} for kind, fields in comparison.CHANGEABLE.items()
    }
    fixed = {kind: set(fields) for (kind,), _, fields in rows}
    assert fixed.pop("diff") == {
        "datadiff",
        "diff_type",
        *comparison.FIXED_IN_DATADIFF,
    }
    shapes = ROOT / "airflow_provider_datafold" / "api" / "shapes.json"
    schemas = json.loads(shapes.read_text())["schemas"]
    for kind, name in (
        ("metric", "MetricMonitorSpecPublic"),
        ("schema", "SchemaChangeMonitorSpecPublic"),
        ("test", "DataTestMonitorSpecPublic"),
    ):
        assert fixed[kind] == set(schemas[name]["properties"]) - changed[kind] - {"name"}


def test_the_page_quotes_the_dag_that_an_alert_starts() -> None:
    # The others run in tests/dags/test_jobs_pages.py, and this one in the browser test.
    title = "Start a DAG when a monitor alerts"
    (snippet,) = documents.blocks_in(documents.section(MONITORS, title), "python")
    assert snippet in (ROOT / "example_dags" / "on_alert.py").read_text()
