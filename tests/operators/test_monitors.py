"""The operators of monitors in one process. tests/dags/test_jobs.py runs them in Airflow."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_datafold.exceptions import (
    DatafoldAlertError,
    DatafoldAnswerError,
    DatafoldDeadlineError,
    DatafoldInputError,
    DatafoldJobCancelledError,
    DatafoldJobFailedError,
    DatafoldServerError,
)
from airflow_provider_datafold.jobs import monitor_run
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.jobs.once import start as once
from airflow_provider_datafold.operators.monitors import (
    DatafoldApplyMonitorsOperator,
    DatafoldRunMonitorOperator,
    DatafoldToggleMonitorOperator,
)
from dev.sandbox.course import Course, Step
from tests.conftest import API_KEY, Log
from tests.contexts import context_of
from tests.waits import defaults, deferred, sent, to_its_end

RUN = ["GET /monitors/4/runs", "POST /monitors/4/run"]
READ = "GET /monitors/4/runs/1"


@pytest.fixture(autouse=True)
def _connected(connections: None) -> None:
    """All of these send to the sandbox."""


def run(**arguments: Any) -> DatafoldRunMonitorOperator:
    given = {"monitor_id": 4, "poll_interval": 0.01, "deferrable": False}
    return DatafoldRunMonitorOperator(task_id="run", **{**given, **arguments})


# Run a monitor: how each end is told.

NAME = "Run 1 of monitor 4"
URL = "{host}/datadiffs/9/overview"


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("state", "outcome", "on_alert", "level", "said"),
    [
        ("ok", {}, "fail", "INFO", f"{NAME} passes: ok."),
        ("ok", {"diff_id": 9}, "fail", "INFO", f"{NAME} passes: ok. See {URL}"),
        ("ok", {"warnings": [f"No {API_KEY}"]}, "fail", "WARNING", f"{NAME}: No ***"),
        ("ok", {"warnings": None}, "fail", "INFO", f"{NAME} passes: ok."),
        ("alert", {"diff_id": 9}, "pass", "WARNING", f"{NAME} ended with an alert. See {URL}"),
        ("alert", {"diff_id": "9"}, "pass", "WARNING", f"{NAME} ended with an alert."),
        (
            "learning",
            {},
            "fail",
            "INFO",
            f"{NAME} passes: the monitor is still learning what is normal.",
        ),
        (
            "skipped",
            {},
            "fail",
            "WARNING",
            f"{NAME} was skipped at Datafold: nothing was checked.",
        ),
    ],
)
def test_a_run_that_passes(
    sandbox: Any,
    caplog: pytest.LogCaptureFixture,
    log: Log,
    deferrable: bool,
    state: str,
    outcome: dict[str, Any],
    on_alert: str,
    level: str,
    said: str,
) -> None:
    sandbox.state.monitors.courses.default = Course((), state, outcome)
    task = run(deferrable=deferrable, on_alert=on_alert)
    context = context_of(task)

    returned = to_its_end(task, context)

    url = URL.format(host=sandbox.url) if outcome.get("diff_id") == 9 else None
    ids = {"monitor_id": 4, "run_id": 1}
    assert returned == {**ids, "state": state, "diff_id": outcome.get("diff_id"), "url": url}
    assert context["ti"].pushed == ({"datafold_data_diff_url": url} if url else {})
    assert sent(sandbox) == [*RUN, *[READ] * (1 + deferrable)]
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert told.count((level, said.format(host=sandbox.url))) == 1


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("state", "outcome", "on_alert", "error", "said"),
    [
        ("alert", {}, "fail", DatafoldAlertError, "ended with an alert."),
        ("alert", {"diff_id": 9}, "fail", DatafoldAlertError, f"ended with an alert. See {URL}"),
        ("alert", {"diff_id": 9}, "skip", AirflowSkipException, f"ended with an alert. See {URL}"),
        (
            "error",
            {"error": f"No table: {API_KEY}.", "diff_id": 9},
            "pass",
            DatafoldJobFailedError,
            f"failed: No table: ***. A retry starts a new run. See {URL}",
        ),
        (
            "error",
            {},
            "skip",
            DatafoldJobFailedError,
            "failed: Datafold does not say why. A retry starts a new run.",
        ),
        ("cancelled", {}, "pass", DatafoldJobCancelledError, "was cancelled at Datafold."),
    ],
)
def test_a_run_that_does_not_pass(
    sandbox: Any,
    deferrable: bool,
    state: str,
    outcome: dict[str, Any],
    on_alert: str,
    error: type[Exception],
    said: str,
) -> None:
    sandbox.state.monitors.courses.default = Course((), state, outcome)
    task = run(deferrable=deferrable, on_alert=on_alert)
    context = context_of(task)

    with pytest.raises(error) as caught:
        to_its_end(task, context)

    assert str(caught.value) == f"{NAME} {said.format(host=sandbox.url)}"
    url = URL.format(host=sandbox.url)
    assert context["ti"].pushed == ({"datafold_data_diff_url": url} if outcome else {})


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_run_that_is_not_waited_for(sandbox: Any, deferrable: bool) -> None:
    sandbox.state.monitors.courses.default = Course((), "alert", {"diff_id": 9})
    returned = to_its_end(run(wait_for_completion=False, deferrable=deferrable))
    ids = {"monitor_id": 4, "run_id": 1}
    assert returned == {**ids, "state": None, "diff_id": None, "url": None}
    assert sent(sandbox) == RUN


def test_a_run_is_told_when_it_starts(sandbox: Any, task_log: Log) -> None:
    run().execute(context_of(run()))
    assert "Started run 1 of monitor 4." in task_log.messages


# Run a monitor: what it is given, and how it waits.


def test_its_defaults() -> None:
    assert defaults(DatafoldRunMonitorOperator) == {
        "on_alert": "fail",
        "wait_for_completion": True,
        "deferrable": False,
        "poll_interval": None,
        "timeout": timedelta(hours=24),
        "datafold_conn_id": "datafold_default",
    }


@pytest.mark.parametrize(
    ("given", "templated", "rendered"),
    [
        (
            DatafoldRunMonitorOperator(task_id="t", monitor_id=4),
            ("datafold_conn_id", "monitor_id", "on_alert"),
            {},
        ),
        (
            DatafoldToggleMonitorOperator(task_id="t", monitor_id=4, enabled=True),
            ("datafold_conn_id", "monitor_id", "enabled"),
            {},
        ),
        (
            DatafoldApplyMonitorsOperator(task_id="t", set_name="shop"),
            (
                "datafold_conn_id",
                "files",
                "spec",
                "set_name",
                "dangling_monitors_strategy",
                "is_dry_run",
            ),
            {"spec": "yaml"},
        ),
    ],
    ids=lambda given: getattr(given, "task_type", ""),
)
def test_what_is_rendered(given: Any, templated: tuple[str, ...], rendered: dict[str, str]) -> None:
    assert given.template_fields == templated
    assert given.template_fields_renderers == rendered
    assert given.datafold_conn_id == "datafold_default"


def test_its_link_leads_to_the_diff() -> None:
    assert [link.name for link in run().operator_extra_links] == ["Datafold data diff"]


@pytest.mark.parametrize("arguments", [{}, {"poll_interval": timedelta(seconds=5), "timeout": 60}])
def test_how_the_triggerer_waits(sandbox: Any, arguments: dict[str, Any]) -> None:
    task = run(**{"poll_interval": None, "deferrable": True, **arguments})
    before = time.time()
    wait = deferred(task.execute, context_of(task))
    kwargs = wait.kwargs or {}
    since = kwargs["since"]
    assert before <= since <= time.time()
    waits = {
        "ids": {"monitor_id": 4, "run_id": 1},
        "since": since,
        "deadline": pytest.approx(since + (60 if arguments else 86_400), abs=1),
    }
    assert kwargs == {"try_number": 1, "is_taken_over": False, "twin_tag": None, **waits}
    assert wait.trigger.serialize()[1] == {
        "job": "monitor_run",
        "datafold_conn_id": "datafold_default",
        "poll_interval": 5.0 if arguments else None,
        "cancel_on_kill": False,
        "not_before": 0.0,
        **waits,
    }


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("monitor_id", 0),
        ("monitor_id", "None"),
        ("on_alert", "stop"),
        ("timeout", 0),
        ("poll_interval", 0),
        ("poll_interval", timedelta(seconds=-1)),
    ],
)
def test_a_wrong_argument_is_named(sandbox: Any, deferrable: bool, field: str, wrong: Any) -> None:
    task = run(deferrable=deferrable, **{field: wrong})
    with pytest.raises(DatafoldInputError, match=rf"^{field}: .*Nothing was sent"):
        task.execute(context_of(task))
    assert sandbox.state.requests == []


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_run_that_does_not_end(sandbox: Any, deferrable: bool) -> None:
    sandbox.state.monitors.courses.default = Course((Step("checking", seconds=9),), "ok")
    task = run(deferrable=deferrable, timeout=0.05)
    with pytest.raises(DatafoldDeadlineError, match="^The monitor run had not ended after 0 s"):
        to_its_end(task, context_of(task))
    task.on_kill()
    # Datafold cannot cancel it.
    assert {*sent(sandbox)} == {*RUN, READ}


# Run a monitor: once.


class Runs:
    """A monitor whose runs are listed in pages, and whose new run is answered as given."""

    def __init__(self, answer: Any, *pages: Any) -> None:
        self.calls: list[dict[str, Any]] = []
        self._answer, self._pages = answer, pages
        self._more: dict[str, Any] = {}

    def call(self, operation: Any, **values: Any) -> Any:
        self.calls.append(values)
        if operation.method == "POST":
            # From now on, the first page has a new run.
            self._more = {"runs": [{"run_id": 8}]}
            if isinstance(self._answer, Exception):
                raise self._answer
            return self._answer
        page = self._pages[values["page"] - 1]
        return {**page, **self._more} if values["page"] == 1 else page


def ran(monkeypatch: pytest.MonkeyPatch, runs: Runs) -> int:
    monkeypatch.setattr(once, "_PAUSES", (0.0,))
    monkeypatch.setattr(once, "_LAST_PAUSES", ())
    hook = JobHook()
    monkeypatch.setattr(hook, "call", runs.call)
    return monitor_run.run_once(hook, 4)


LOST = DatafoldServerError("The response is lost")
EMPTY = {"runs": [], "total_pages": 0}
ODD = {"runs": [None, "x", {}, {"run_id": "9"}, {"run_id": 7}], "total_pages": "2"}
TWO = {"runs": [{"run_id": 3}], "total_pages": 2}


@pytest.mark.parametrize(
    ("answer", "pages", "run_id"),
    [
        ({"run_id": 5}, [EMPTY], 5),
        ({"run_id": "5"}, [EMPTY], 8),
        ({}, [EMPTY], 8),
        (LOST, [EMPTY], 8),
        (LOST, [{}], 8),
        (LOST, [ODD], 8),
        (LOST, [{**TWO, "total_pages": 1}], 8),
        (LOST, [TWO, {"runs": [{"run_id": 6}]}], 8),
        (LOST, [{**TWO, "total_pages": 3}, {}, {"runs": None}], 8),
    ],
    ids=repr,
)
def test_one_run_for_each_task(
    monkeypatch: pytest.MonkeyPatch, answer: Any, pages: list[Any], run_id: int
) -> None:
    runs = Runs(answer, *pages)
    assert ran(monkeypatch, runs) == run_id
    last = pages[0].get("total_pages")
    numbers = [1, last] if isinstance(last, int) and last > 1 else [1]
    asked = [{"monitor_id": 4, "page": page, "page_size": 100} for page in numbers]
    found = asked if run_id == 8 else []
    assert runs.calls == [*asked, {"monitor_id": 4}, *found]


@pytest.mark.parametrize("newest", [8, 9])
@pytest.mark.parametrize(
    ("answer", "error"), [(LOST, DatafoldServerError), ({}, DatafoldAnswerError)]
)
def test_an_older_run_is_not_its_own(
    monkeypatch: pytest.MonkeyPatch, newest: int, answer: Any, error: type[Exception]
) -> None:
    runs = Runs(answer, TWO, {"runs": [{"run_id": newest}]})
    with pytest.raises(error) as caught:
        ran(monkeypatch, runs)
    if answer == {}:
        assert "no new monitor run was found" in str(caught.value)


# Switch a monitor on or off.


@pytest.mark.parametrize("enabled", [True, False])
def test_toggle(sandbox: Any, task_log: Log, enabled: bool) -> None:
    task = DatafoldToggleMonitorOperator(task_id="t", monitor_id="4", enabled=str(enabled).lower())
    assert task.execute(context_of(task)) == {"monitor_id": 4, "enabled": enabled}
    (request,) = sandbox.state.requests
    assert (request.method, request.path) == ("PUT", "/api/v1/monitors/4/toggle")
    assert json.loads(request.body) == {"enabled": enabled}
    assert f"{'Resumed' if enabled else 'Paused'} monitor 4." in task_log.messages


@pytest.mark.parametrize(
    ("field", "wrong"), [("monitor_id", 0), ("enabled", "maybe"), ("enabled", None)]
)
def test_a_wrong_argument_of_toggle_is_named(sandbox: Any, field: str, wrong: Any) -> None:
    given = {"monitor_id": 4, "enabled": True, field: wrong}
    task = DatafoldToggleMonitorOperator(task_id="t", **given)
    with pytest.raises(DatafoldInputError, match=rf"^{field}: "):
        task.execute(context_of(task))
    assert sandbox.state.requests == []


# Monitors as code: tests/jobs has what is read, compared and sent.

SPEC = {
    "monitors": {
        "orders": {
            "type": "schema",
            "schedule": {"type": "none"},
            "connection_id": 1,
            "table": "DB.PUBLIC.ORDERS",
        }
    }
}


def test_apply(sandbox: Any, task_log: Log) -> None:
    def apply(**arguments: Any) -> Any:
        task = DatafoldApplyMonitorsOperator(task_id="t", set_name="shop", **arguments)
        return task.execute(context_of(task))

    nothing = {"created": [], "updated": [], "unchanged": [], "paused": [], "deleted": []}
    assert apply(spec=str(SPEC), dry_run="true") == {**nothing, "created": ["orders"]}
    assert "Dry run, to be created: 'orders'." in task_log.messages
    assert apply(spec=SPEC) == {**nothing, "created": ["orders"]}
    assert apply(spec=SPEC) == {**nothing, "unchanged": ["orders"]}
    changed = {"monitors": {"orders": {**SPEC["monitors"]["orders"], "description": "New"}}}
    assert apply(spec=changed, dry_run=True) == {**nothing, "updated": ["orders"]}
    gone = {"spec": "monitors: {}", "dangling_monitors_strategy": "delete"}
    assert apply(**gone) == {**nothing, "deleted": ["orders"]}
    said = [text for text in task_log.messages if "orders" in text]
    assert said == [
        "Dry run, to be created: 'orders'.",
        "Created the monitor 'orders'.",
        "Unchanged: 'orders'.",
        "Dry run, to be updated: monitor 5, 'orders': description.",
        "Deleted monitor 5, 'orders', which is in no file.",
    ]


def test_a_dry_run_by_airflow_prints_what_is_rendered(task_log: Log) -> None:
    # `airflow tasks test --dry-run`, up to Airflow 2.
    task = DatafoldApplyMonitorsOperator(task_id="t", set_name="shop", spec="x", dry_run=True)
    task.dry_run()
    assert "shop" in task_log.text


def test_without_a_dag_paths_are_relative_to_the_working_directory(
    sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.json").write_text(json.dumps(SPEC))
    task = DatafoldApplyMonitorsOperator(task_id="t", set_name="shop", files="a.json")
    assert task.execute(context_of(task))["created"] == ["orders"]


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("set_name", ""),
        ("set_name", " "),
        ("set_name", "None"),
        ("set_name", None),
        ("dangling_monitors_strategy", "keep"),
        ("dangling_monitors_strategy", None),
        ("dry_run", "maybe"),
        ("dry_run", None),
        ("files, spec", None),
    ],
)
def test_a_wrong_argument_of_apply_is_named(sandbox: Any, field: str, wrong: Any) -> None:
    given: dict[str, Any] = {"spec": SPEC, "set_name": "shop", field: wrong}
    if field == "files, spec":
        given = {"set_name": "shop"}
    task = DatafoldApplyMonitorsOperator(task_id="t", **given)
    with pytest.raises(DatafoldInputError, match=rf"^{field}: .*Nothing was sent"):
        task.execute(context_of(task))
    assert sandbox.state.requests == []


def test_airflow_puts_no_file_in_the_place_of_its_path() -> None:
    assert DatafoldApplyMonitorsOperator.template_ext == ()
