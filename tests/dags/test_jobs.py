"""The jobs of monitors, CI and data sources in a real Airflow: rendered, in both modes.

How each of them ends, and which arguments are wrong, tests/operators and tests/sensors say.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.sandbox.course import Course, Job, Step
from dev.sandbox.data_sources import checked
from dev.sandbox.moment import now
from tests.conftest import HOME
from tests.dags.runs import example
from tests.pull_request import CHANGES, PULL_REQUEST

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("connections")]

RUN = {"monitor_id": 4, "state": "alert", "diff_id": 9}
CI = {"ci_config_id": 2, "status": "done"}
PARAMS = {
    **PULL_REQUEST,
    "monitor_id": 4,
    "on_alert": "pass",
    "run_id": 1,
    "ci_config_id": 2,
    "other_pr": 9,
    "changes": CHANGES,
    "source": 2,
    "enabled": False,
    "nothing": None,
}
TASKS = """
pull_request = {name: "{{ params.%s }}" % name for name in NAMES}
monitor = {"monitor_id": "{{ params.monitor_id }}"}
for mode in ("worker", "triggerer"):
    how = {"deferrable": mode == "triggerer", "poll_interval": 0.05}
    for name, choice in ("fails", "fail"), ("skips", "skip"), ("passes", "{{ params.on_alert }}"):
        DatafoldRunMonitorOperator(task_id=f"{name}_{mode}", on_alert=choice, **monitor, **how)
    DatafoldMonitorRunSensor(
        task_id=f"sensor_{mode}",
        run_id="{{ params.run_id }}",
        on_alert="pass",
        poke_interval=0.05,
        deferrable=mode == "triggerer",
        **monitor,
    )
    DatafoldTriggerCIOperator(
        task_id=f"ci_{mode}",
        ci_config_id="{{ params.ci_config_id }}",
        wait_for_completion=True,
        **pull_request,
        **how,
    )
    source = "{{ params.source }}"
    DatafoldTestDataSourceOperator(task_id=f"source_{mode}", data_source_id=source, **how)
DatafoldRunMonitorOperator(task_id="wrong", monitor_id="{{ params.nothing }}")
DatafoldUploadCIChangesOperator(
    task_id="upload",
    ci_config_id=2,
    pr_number="{{ params.other_pr }}",
    changes="{{ params.changes }}",
    wait_for_completion=True,
    poll_interval=0.05,
)
DatafoldToggleMonitorOperator(task_id="toggle", enabled="{{ params.enabled }}", **monitor)
""".replace("NAMES", repr([*PULL_REQUEST]))


@pytest.mark.parametrize("native", [False, True])
def test_each_job_in_both_modes(native: bool, run_tasks: Any, sandbox: Any) -> None:
    state = sandbox.state
    alert = Course((Step("checking"),), "alert", {"diff_id": 9})
    state.monitors.courses.default = alert
    state.monitors.jobs[1] = Job(alert)
    state.monitors.runs[1] = {"run_id": 1, "monitor_id": 4, "started_at": now()}
    state.ci.courses.default = Course((Step("processing"),), "done")
    uploaded = state.ci.add(2, {**PULL_REQUEST, "pr_number": 9})

    run = run_tasks(TASKS, PARAMS, native=native)

    ends = dict.fromkeys(run.states, "success") | {"wrong": "failed"}
    url = f"{sandbox.url}/datadiffs/9/overview"
    results = checked().outcome["results"]
    for mode in ("worker", "triggerer"):
        ends |= {f"fails_{mode}": "failed", f"skips_{mode}": "skipped"}
        assert run.xcom(f"sensor_{mode}") == {**RUN, "run_id": 1, "url": url}
        assert run.xcom(f"passes_{mode}").items() >= {**RUN, "url": url}.items()
        assert run.xcom(f"ci_{mode}").items() >= CI.items()
        source = {"data_source_id": 2, "status": "done", "results": results}
        assert run.xcom(f"source_{mode}").items() >= source.items()
        for name in ("fails", "skips", "sensor"):
            assert run.xcom(f"{name}_{mode}", "datafold_data_diff_url") == url
    assert run.states == ends
    assert run.xcom("upload") == {**CI, "run_id": uploaded}
    assert state.ci.changes[uploaded] == CHANGES
    assert run.xcom("toggle") == {"monitor_id": 4, "enabled": False}
    posts = [seen.path for seen in state.requests if seen.method == "POST"]
    assert sorted(posts) == [
        *["/api/v1/ci/2/9"],
        *["/api/v1/ci/2/trigger"] * 2,
        *["/api/v1/data_sources/2/test"] * 2,
        *["/api/v1/monitors/4/run"] * 6,
    ]


SPEC: dict[str, Any] = {
    "type": "test",
    "schedule": {"cron": "0 7 * * *"},
    "connection_id": 1,
    "query": "select 1 from orders where customer is null",
    "tags": ["orders"],
}
FILE = """
monitors:
  {{ params.slug }}:
    type: test
    schedule:
      interval: {every: hour}
    connection_id: 1
    query: >
      select *
      from orders
      where day = '{{ ds }}'
"""
NOTHING: dict[str, Any] = {
    name: [] for name in ("created", "updated", "unchanged", "paused", "deleted")
}
SPECS = """
DatafoldApplyMonitorsOperator(
    task_id="inner", set_name="inner", spec={"monitors": {"{{ slug }}": "{{ params.spec }}"}}
)
DatafoldApplyMonitorsOperator(task_id="whole", set_name="whole", spec="{{ params.whole }}")
DatafoldApplyMonitorsOperator(task_id="json", set_name="json", spec="{{ params.whole | tojson }}")
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder next to the DAG's file."""
    folder = HOME / "dags" / "monitors"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("native", [False, True])
def test_a_spec_from_params(native: bool, run_tasks: Any) -> None:
    run = run_tasks(SPECS, {"spec": SPEC, "whole": {"monitors": {"orders": SPEC}}}, native=native)
    # A slug is no template.
    created = {name: run.xcom(name)["created"] for name in run.states}
    assert created == {"inner": ["{{ slug }}"], "whole": ["orders"], "json": ["orders"]}


@pytest.mark.parametrize("native", [False, True])
def test_files_are_rendered(
    native: bool, folder: Path, run_tasks: Any, sandbox: Any, tmp_path: Path
) -> None:
    (folder / "a.yaml").write_text(FILE)
    # Python could read this one, too, and would see a list.
    (folder / "b.json").write_text(json.dumps({"monitors": {"{{ params.other }}": SPEC}}))
    (tmp_path / "elsewhere.yaml").write_text(FILE.replace("slug", "third"))
    names = {"slug": "hourly", "other": "daily", "third": "elsewhere"}
    tasks = f"""
    dag.template_searchpath = [{str(tmp_path)!r}]
    for name in ("dry", "real"):
        apply = DatafoldApplyMonitorsOperator(
            task_id=name,
            set_name="shop",
            files=["{{{{ params.files }}}}", "monitors/b.json", "elsewhere.yaml"],
            dry_run=name == "dry" and "{{{{ params.dry }}}}",
        )
    apply.set_upstream(dag.get_task("dry"))
    """
    given = {**names, "files": "monitors/*.yaml", "dry": True}

    run = run_tasks(tasks, given, native=native)

    created = sorted(names.values())
    assert run.xcom("dry") == {**NOTHING, "created": created, "ids": {}}
    ids = {"hourly": 5, "daily": 6, "elsewhere": 7}
    assert run.xcom("real") == {**NOTHING, "created": created, "ids": ids}
    found = {monitor["name"]: monitor for monitor in sandbox.state.monitors.monitors.values()}
    assert re.search(r"where day = '\d{4}-\d\d-\d\d'", found["hourly"]["query"])
    assert found["daily"]["query"] == SPEC["query"]


@pytest.mark.parametrize(
    ("template", "said"),
    [("{{ params.nothing.here }}", ": UndefinedError:"), ("{{ params.", " (line 2): TemplateS")],
)
def test_a_file_that_cannot_be_rendered_sends_nothing(
    template: str, said: str, folder: Path, run_file: Any, sandbox: Any, printed: Any
) -> None:
    (folder / "a.yaml").write_text(f"a: 1\nb: {template}")

    run = run_file(example("monitors_as_code"), "datafold_monitors_as_code")

    assert run.states == {"apply": "failed"}
    assert sandbox.state.requests == []
    assert f"monitors/a.yaml: its template cannot be rendered{said}" in printed()
