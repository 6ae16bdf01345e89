"""The operators and the sensor of monitors, each in a real Airflow and over a real socket."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import HTTPException

from dev.faults import behaviours
from dev.faults.server import Then
from dev.sandbox.course import Course, Job, Step
from dev.sandbox.moment import now
from dev.sandbox.monitors import run_course
from tests import modes
from tests.conftest import API_KEY, HOME
from tests.modes import MODES, in_both

pytestmark = pytest.mark.airflow

MONITOR = 4
RUN = "DatafoldRunMonitorOperator(monitor_id=4)"
SENSOR = "DatafoldMonitorRunSensor(monitor_id=4, run_id=1)"


def ends(state: str, **outcome: Any) -> Course:
    return run_course(state, **outcome)


@dataclass(frozen=True)
class End:
    """How a run may end, and how a task handles it.

    :param course: of the run.
    :param state: of the task.
    :param error: that the task fails with, and how its text goes on after the run's name.
    :param said: what the log says, too.
    :param on_alert: the argument.
    """

    course: Course
    state: str = "success"
    error: tuple[str, str] | None = None
    said: str = ""
    on_alert: str = "fail"


FAILED = "failed"
ENDS = {
    "ok": End(ends("ok"), said="passes: ok."),
    "all states on the way": End(
        Course((Step("created"), Step("queued"), Step("checking", reads=2)), "ok")
    ),
    "an unknown state": End(Course((Step("dreaming"),), "ok"), said="dreaming"),
    "learning": End(ends("learning"), said="still learning"),
    "skipped": End(ends("skipped"), said="was skipped at Datafold: nothing was checked."),
    "warnings": End(ends("ok", warnings=["The table is empty"]), said=": The table is empty"),
    "alert": End(ends("alert"), FAILED, ("DatafoldAlertError", "ended with an alert.")),
    "alert with a diff": End(
        ends("alert", diff_id=9), FAILED, ("DatafoldAlertError", "ended with an alert. See {url}")
    ),
    "alert skips": End(
        ends("alert", diff_id=9), "skipped", said="ended with an alert. See", on_alert="skip"
    ),
    "alert passes": End(ends("alert", diff_id=9), said="ended with an alert. See", on_alert="pass"),
    "error": End(
        ends("error", error=f"No table: {API_KEY}."),
        FAILED,
        ("DatafoldJobFailedError", "failed: No table: ***. A retry starts a new run."),
    ),
    "error without a text": End(
        ends("error"), FAILED, ("DatafoldJobFailedError", "failed: Datafold does not say why.")
    ),
    "cancelled": End(
        ends("cancelled"), FAILED, ("DatafoldJobCancelledError", "was cancelled at Datafold.")
    ),
}


def check(end: End, outcome: modes.Outcome, sandbox: Any) -> None:
    """Compare the outcome of the tasks with the end of their runs, 1 and 2, in any order."""
    assert outcome.states == dict.fromkeys(MODES, end.state)
    assert end.said in outcome.plain_log
    url = f"{sandbox.url}/datadiffs/9/overview"
    diff_id = end.course.outcome.get("diff_id")
    returned = list(outcome.returned.values())
    if end.state == "success":
        assert sorted(value.pop("run_id") for value in returned) == [1, 2]
        wanted = {"monitor_id": MONITOR, "state": end.course.end, "diff_id": diff_id}
        assert returned == [{**wanted, "url": url if diff_id else None}] * 2
    else:
        assert returned == [None, None]
    if end.error:
        kind, text = end.error
        for run_id in (1, 2):
            shown = f"Run {run_id} of monitor {MONITOR} {text.format(url=url)}"
            assert outcome.shows_error(kind, shown)


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("name", ENDS)
def test_a_run_that_the_operator_starts(
    name: str, run_dag: Any, sandbox: Any, capfd: Any, log: Any
) -> None:
    end = ENDS[name]
    sandbox.state.monitors.courses.default = end.course
    call = f"DatafoldRunMonitorOperator(monitor_id=4, on_alert={end.on_alert!r})"

    outcome = modes.run(run_dag, capfd, log, in_both(call), "run")

    check(end, outcome, sandbox)
    posts = [seen.path for seen in sandbox.state.requests if seen.method != "GET"]
    assert posts == ["/api/v1/monitors/4/run"] * 2


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("name", ENDS)
def test_a_run_that_the_sensor_waits_for(
    name: str, run_dag: Any, sandbox: Any, capfd: Any, log: Any
) -> None:
    end = ENDS[name]
    state = sandbox.state.monitors
    for run_id in (1, 2):
        state.jobs[run_id] = Job(end.course)
        state.runs[run_id] = {"run_id": run_id, "monitor_id": MONITOR, "started_at": now()}
    # The first run is for the worker, the second one for the triggerer.
    tasks = in_both(f"DatafoldMonitorRunSensor(monitor_id=4, run_id=1, on_alert={end.on_alert!r})")
    worker, triggerer = tasks.splitlines()
    tasks = f"{worker}\n{triggerer.replace('run_id=1', 'run_id=2')}"

    outcome = modes.run(run_dag, capfd, log, tasks, "sense")

    check(end, outcome, sandbox)
    assert {seen.method for seen in sandbox.state.requests} == {"GET"}


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("sense", [False, True])
def test_the_link_leads_to_the_diff(
    sense: bool, run_dag: Any, sandbox: Any, capfd: Any, log: Any
) -> None:
    state = sandbox.state.monitors
    state.courses.default = Course((), "alert", {"diff_id": 9})
    if sense:
        state.jobs[1] = state.courses.start()
        state.runs[1] = {"run_id": 1, "monitor_id": MONITOR, "started_at": now()}

    outcome = modes.run(run_dag, capfd, log, in_both(SENSOR if sense else RUN), "link")

    assert outcome.states == dict.fromkeys(MODES, FAILED)
    assert outcome.links == dict.fromkeys(MODES, f"{sandbox.url}/datadiffs/9/overview")


class Troubled(Job):
    """A job that cannot be read for some time.

    :param statuses: what the first looks are answered with.
    """

    def __init__(self, statuses: list[int], course: Course) -> None:
        super().__init__(course)
        self._statuses = [*statuses]

    def read(self) -> str:
        if self._statuses:
            raise HTTPException(self._statuses.pop(0), "Not now")
        return super().read()


PASSING = [500, 502, 503, 504, 429, 408]
FINAL = {
    401: "DatafoldAuthenticationError",
    403: "DatafoldPermissionError",
    404: "DatafoldNotFoundError",
}


@pytest.mark.usefixtures("connections")
def test_a_passing_fault_does_not_end_a_wait(
    run_dag: Any,
    sandbox: Any,
    capfd: Any,
    log: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    courses = sandbox.state.monitors.courses
    monkeypatch.setattr(courses, "start", lambda: Troubled(PASSING, ends("ok")))

    outcome = modes.run(run_dag, capfd, log, in_both(RUN), "troubled")

    assert outcome.states == dict.fromkeys(MODES, "success")
    assert outcome.log.count("Could not check the monitor run") >= 2 * len(PASSING)
    looks = [seen.path for seen in sandbox.state.requests if "/runs/" in seen.path]
    # And once more after the triggerer's.
    assert len(looks) == 2 * (len(PASSING) + 3) + 1


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("status", FINAL)
def test_a_lasting_fault_ends_a_wait(
    status: int,
    run_dag: Any,
    sandbox: Any,
    capfd: Any,
    log: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    courses = sandbox.state.monitors.courses
    monkeypatch.setattr(courses, "start", lambda: Troubled([status] * 9, ends("ok")))

    outcome = modes.run(run_dag, capfd, log, in_both(RUN), "refused")

    assert outcome.states == dict.fromkeys(MODES, FAILED)
    assert FINAL[status] in outcome.log
    looks = [seen.path for seen in sandbox.state.requests if "/runs/" in seen.path]
    # One refusal is not believed in the worker, nor in the triggerer.
    assert len(looks) == (3 if status == 401 else 5)


def test_a_connection_that_breaks_does_not_end_a_wait(
    run_dag: Any, serve: Any, capfd: Any, log: Any
) -> None:
    def says(value: Any) -> Any:
        return behaviours.answers(200, json.dumps(value).encode())

    run = {"run_id": 5, "monitor_id": 4, "warnings": []}
    serve(
        says({"runs": [], "total_pages": 0}),
        says({"run_id": 5}),
        says({**run, "state": "queued"}),
        behaviours.says(),
        behaviours.says(Then.RESET),
        says({**run, "state": "ok"}),
    )
    tasks = in_both(RUN).splitlines()[0]

    outcome = modes.run(run_dag, capfd, log, tasks, "broken")

    assert outcome.states == {"worker": "success"}


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("call", [RUN, SENSOR])
def test_a_run_that_takes_too_long(
    call: str, run_dag: Any, sandbox: Any, capfd: Any, log: Any
) -> None:
    state = sandbox.state.monitors
    state.courses.default = Course((Step("checking", reads=10**6),), "ok")
    state.jobs[1] = state.courses.start()
    state.runs[1] = {"run_id": 1, "monitor_id": MONITOR, "started_at": now()}
    call = call.replace(")", ", timeout=0.3)")

    outcome = modes.run(run_dag, capfd, log, in_both(call), "late")

    assert outcome.states == dict.fromkeys(MODES, FAILED)
    assert outcome.shows_error("DatafoldDeadlineError", "")
    posts = [seen.path for seen in sandbox.state.requests if seen.method != "GET"]
    assert posts == ([] if call.startswith("DatafoldMonitorRunSensor") else [posts[0]] * 2)


WRONG = {
    "monitor_id": [
        (RUN.replace("4", wrong), native)
        for wrong in ("0", "None", "True", "'x'", repr(API_KEY), "'{{ params.nothing }}'", "4.5")
        for native in (False, True)
    ],
    "on_alert": [(RUN.replace(")", ", on_alert='warn')"), False)],
    "timeout": [(RUN.replace(")", ", timeout=0)"), False)],
    "run_id": [
        (SENSOR.replace("run_id=1", "run_id='{{ params.nothing }}'"), False),
        (SENSOR.replace("run_id=1", "run_id=-1"), True),
    ],
}


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(
    ("field", "call", "native"),
    [(field, *case) for field, cases in WRONG.items() for case in cases],
)
def test_wrong_arguments_send_nothing(
    field: str,
    call: str,
    native: bool,
    run_dag: Any,
    sandbox: Any,
    capfd: Any,
    log: Any,
) -> None:
    params = {"nothing": None}

    outcome = modes.run(run_dag, capfd, log, in_both(call), "wrong", params, native=native)

    assert outcome.states == dict.fromkeys(MODES, FAILED)
    assert sandbox.state.requests == []
    assert outcome.shows_error("DatafoldInputError", f"{field}: ")


RIGHT = [
    (RUN.replace("=4", "='4'"), False),
    (RUN.replace("=4", "='{{ params.id }}', on_alert='{{ params.on_alert }}'"), False),
    (RUN.replace("=4", "='{{ params.id }}', on_alert='{{ params.on_alert }}'"), True),
]


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(("call", "native"), RIGHT)
def test_ways_to_name_a_monitor(
    call: str,
    native: bool,
    run_dag: Any,
    sandbox: Any,
    capfd: Any,
    log: Any,
) -> None:
    sandbox.state.monitors.courses.default = Course((), "alert")
    params = {"id": 4, "on_alert": "pass"}
    on_alert = "" if "on_alert" in call else ", on_alert='pass')"
    call = call.replace(")", on_alert) if on_alert else call

    outcome = modes.run(run_dag, capfd, log, in_both(call), "right", params, native=native)

    assert outcome.states == dict.fromkeys(MODES, "success")
    assert {value["monitor_id"] for value in outcome.returned.values()} == {4}


TOGGLE = "DatafoldToggleMonitorOperator(task_id='t', monitor_id={}, enabled={})"
FROM_PARAMS = TOGGLE.format("'{{ params.id }}'", "'{{ params.enabled }}'")


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("enabled", [False, True])
def test_toggle(
    enabled: bool, native: bool, run_dag: Any, sandbox: Any, capfd: Any, log: Any
) -> None:
    sandbox.state.monitors.monitors[2]["enabled"] = not enabled
    params = {"id": 2, "enabled": enabled}

    outcome = modes.run(run_dag, capfd, log, FROM_PARAMS, "toggle", params, native=native)

    assert outcome.states == {"t": "success"}
    assert outcome.returned == {"t": {"monitor_id": 2, "enabled": enabled}}
    assert sandbox.state.monitors.monitors[2]["enabled"] is enabled
    assert f"{'Resumed' if enabled else 'Paused'} monitor 2." in outcome.log


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(
    ("field", "call"),
    [
        ("monitor_id", TOGGLE.format("0", "True")),
        ("enabled", TOGGLE.format("2", "'maybe'")),
        ("enabled", TOGGLE.format("2", "None")),
        ("enabled", TOGGLE.format("2", "1")),
    ],
)
def test_wrong_toggles_send_nothing(
    field: str, call: str, run_dag: Any, sandbox: Any, capfd: Any, log: Any
) -> None:
    outcome = modes.run(run_dag, capfd, log, call, "wrong_toggle")

    assert outcome.states == {"t": FAILED}
    assert sandbox.state.requests == []
    assert outcome.shows_error("DatafoldInputError", f"{field}: ")


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
NOTHING: dict[str, list[str]] = {
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
    assert outcome.returned == {"t": {**NOTHING, "created": [slug]}}


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
        assert outcome.returned == {"t": {**NOTHING, "created": ["daily", "hourly"]}}

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

    assert outcome.returned == {"t": {**NOTHING, "created": ["hourly"]}}


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(
    ("text", "call", "line"),
    [
        ("", apply("files='specs/*.yml'"), "files: 'specs/*.yml': there is no such file in"),
        ("a: [", apply("files='specs/a.yaml'"), "specs/a.yaml: is neither valid YAML nor JSON"),
        (
            "a: 1\nb: {{ params.nothing.here }}",
            apply("files='specs/a.yaml'"),
            "specs/a.yaml: its template cannot be rendered: UndefinedError:",
        ),
        (
            "a: 1\nb: {{ params.",
            apply("files='specs/a.yaml'"),
            "specs/a.yaml: its template cannot be rendered (line 2): TemplateSyntaxError:",
        ),
        ("monitors: {a: {}}", apply("files='specs/a.yaml'"), "specs/a.yaml: a: type: is missing."),
    ],
)
def test_what_is_wrong_sends_nothing(
    text: str,
    call: str,
    line: str,
    native: bool,
    files: Path,
    run_dag: Any,
    sandbox: Any,
    capfd: Any,
    log: Any,
) -> None:
    (files / "a.yaml").write_text(text)

    outcome = modes.run(run_dag, capfd, log, call, "wrong_files", native=native)

    assert outcome.states == {"t": FAILED}
    assert sandbox.state.requests == []
    assert outcome.shows_error("DatafoldInputError", "monitors: 1 error. Nothing was sent.")
    assert line in " ".join(outcome.plain_log.split())
