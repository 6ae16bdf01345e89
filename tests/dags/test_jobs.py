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
from tests import modes
from tests.conftest import HOME
from tests.pull_request import CHANGES, PULL_REQUEST

pytestmark = pytest.mark.airflow

FAILED = "failed"
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
        for name, on_alert in (
            ("fails", "fail"), ("skips", "skip"), ("passes", "{{ params.on_alert }}")
        ):
            DatafoldRunMonitorOperator(
                task_id=f"{name}_{mode}", on_alert=on_alert, **monitor, **how
            )
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
        DatafoldTestDataSourceOperator(
            task_id=f"source_{mode}", data_source_id="{{ params.source }}", **how
        )
        DatafoldRunMonitorOperator(
            task_id=f"wrong_{mode}", monitor_id="{{ params.nothing }}", **how
        )
    DatafoldUploadCIChangesOperator(
        task_id="upload",
        ci_config_id=2,
        pr_number="{{ params.other_pr }}",
        changes="{{ params.changes }}",
        wait_for_completion=True,
        poll_interval=0.05,
    )
    DatafoldToggleMonitorOperator(
        task_id="toggle", monitor_id="{{ params.monitor_id }}", enabled="{{ params.enabled }}"
    )
""".replace("NAMES", repr([*PULL_REQUEST]))


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("native", [False, True])
def test_each_job_in_both_modes(
    native: bool, run_dag: Any, sandbox: Any, capfd: Any, log: Any
) -> None:
    state = sandbox.state
    state.monitors.courses.default = Course((Step("checking"),), "alert", {"diff_id": 9})
    state.monitors.jobs[1] = Job(Course((Step("checking"),), "alert", {"diff_id": 9}))
    state.monitors.runs[1] = {"run_id": 1, "monitor_id": 4, "started_at": now()}
    state.ci.courses.default = Course((Step("processing"),), "done")
    uploaded = state.ci.add(2, {**PULL_REQUEST, "pr_number": 9})
    before = len(state.requests)

    outcome = modes.run(run_dag, capfd, log, TASKS, "jobs", PARAMS, native=native)

    url = f"{sandbox.url}/datadiffs/9/overview"
    for mode in ("worker", "triggerer"):
        ends = {
            name: outcome.states[f"{name}_{mode}"]
            for name in ("fails", "skips", "passes", "sensor", "ci", "source", "wrong")
        }
        assert ends == {
            **dict.fromkeys(("passes", "sensor", "ci", "source"), "success"),
            "fails": FAILED,
            "skips": "skipped",
            "wrong": FAILED,
        }
        returned = {name: outcome.returned[f"{name}_{mode}"] for name in ends}
        assert [returned[name] for name in ("fails", "skips", "wrong")] == [None] * 3
        assert returned["sensor"] == {**RUN, "run_id": 1, "url": url}
        assert returned["passes"].items() >= {**RUN, "url": url}.items()
        assert returned["ci"].items() >= CI.items()
        results = checked().outcome["results"]
        wanted = {"data_source_id": 2, "status": "done", "results": results}
        assert returned["source"].items() >= wanted.items()
        links = {name: outcome.links[f"{name}_{mode}"] for name in ("fails", "skips", "sensor")}
        assert links == dict.fromkeys(links, url)
    assert outcome.returned["upload"] == {**CI, "run_id": uploaded}
    assert state.ci.changes[uploaded] == CHANGES
    assert outcome.returned["toggle"] == {"monitor_id": 4, "enabled": False}
    assert outcome.shows_error("DatafoldInputError", "monitor_id: ")
    posts = [seen.path for seen in state.requests[before:] if seen.method == "POST"]
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


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Path]:
    """A folder next to the DAG's file."""
    folder = HOME / "dags" / "specs"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def apply(arguments: str) -> str:
    return f"DatafoldApplyMonitorsOperator(task_id='t', set_name='shop', {arguments})"


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(
    "spec",
    [
        "{'monitors': {'{{ params.slug }}': '{{ params.spec }}'}}",
        "'{{ params.whole }}'",
        "'{{ params.whole | tojson }}'",
    ],
)
def test_a_spec_from_params(
    spec: str, native: bool, run_dag: Any, sandbox: Any, capfd: Any, log: Any
) -> None:
    params = {"slug": "orders", "spec": SPEC, "whole": {"monitors": {"orders": SPEC}}}

    outcome = modes.run(
        run_dag, capfd, log, apply(f"spec={spec}"), "from_params", params, native=native
    )

    slug = "{{ params.slug }}" if spec.startswith("{") else "orders"
    assert outcome.returned == {"t": {**NOTHING, "created": [slug], "ids": {slug: 5}}}


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("native", [False, True])
def test_files_are_rendered(
    native: bool, files: Path, run_dag: Any, sandbox: Any, capfd: Any, log: Any
) -> None:
    (files / "a.yaml").write_text(FILE)
    # Python could read this one, too, and would see a list.
    (files / "b.json").write_text(json.dumps({"monitors": {"{{ params.other }}": SPEC}}))
    params = {"slug": "hourly", "other": "daily", "files": "specs/*.yaml"}
    call = apply("files=['{{ params.files }}', 'specs/b.json'], dry_run='{{ params.dry_run }}'")

    for dry_run in (True, False):
        given = {**params, "dry_run": dry_run}
        outcome = modes.run(run_dag, capfd, log, call, f"files_{dry_run}", given, native=native)
        ids = {} if dry_run else {"daily": 6, "hourly": 5}
        assert outcome.returned == {"t": {**NOTHING, "created": ["daily", "hourly"], "ids": ids}}

    found = {monitor["name"]: monitor for monitor in sandbox.state.monitors.monitors.values()}
    assert re.search(r"where day = '\d{4}-\d\d-\d\d'", found["hourly"]["query"])
    assert found["daily"]["query"] == SPEC["query"]


@pytest.mark.usefixtures("connections")
def test_files_in_the_search_path_of_the_dag(
    tmp_path: Path, run_dag: Any, sandbox: Any, capfd: Any, log: Any
) -> None:
    (tmp_path / "a.yaml").write_text(FILE)
    call = apply("files='a.yaml'") + f"\n    dag.template_searchpath = [{str(tmp_path)!r}]"

    outcome = modes.run(run_dag, capfd, log, call, "search_path", {"slug": "hourly"})

    assert outcome.returned == {"t": {**NOTHING, "created": ["hourly"], "ids": {"hourly": 5}}}


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(
    ("template", "said"),
    [("{{ params.nothing.here }}", ": UndefinedError:"), ("{{ params.", " (line 2): TemplateS")],
)
def test_a_file_that_cannot_be_rendered_sends_nothing(
    template: str, said: str, files: Path, run_dag: Any, sandbox: Any, capfd: Any, log: Any
) -> None:
    (files / "a.yaml").write_text(f"a: 1\nb: {template}")

    outcome = modes.run(run_dag, capfd, log, apply("files='specs/a.yaml'"), "wrong_files")

    assert outcome.states == {"t": FAILED}
    assert sandbox.state.requests == []
    assert outcome.shows_error("DatafoldInputError", "monitors: 1 error. Nothing was sent.")
    line = f"specs/a.yaml: its template cannot be rendered{said}"
    assert line in " ".join(outcome.plain_log.split())
