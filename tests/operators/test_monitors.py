"""The operators of monitors in one process. tests/dags/test_jobs.py runs them in Airflow."""

from __future__ import annotations

import json
import math
from typing import Any
from unittest.mock import Mock

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_datafold.exceptions import (
    DatafoldAlertError,
    DatafoldDeadlineError,
    DatafoldInputError,
    DatafoldJobCancelledError,
    DatafoldJobFailedError,
    DatafoldNotComparedError,
    DatafoldNotFoundError,
    DatafoldPermissionError,
)
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.operators.monitors import (
    DatafoldApplyMonitorsOperator,
    DatafoldFindMonitorsOperator,
    DatafoldRunMonitorOperator,
    DatafoldToggleMonitorOperator,
)
from dev.sandbox.course import Course, Step
from tests.conftest import API_KEY, Log
from tests.contexts import context_of
from tests.waits import add_diff, changes, sent, to_its_end

RUN = ["GET /monitors/4/runs", "POST /monitors/4/run"]
READ = "GET /monitors/4/runs/1"
NEVER_ENDS = Course((Step("checking", seconds=math.inf),), "ok")
pytestmark = pytest.mark.usefixtures("connections")


def run(**arguments: Any) -> DatafoldRunMonitorOperator:
    given = {"monitor_id": 4, "poll_interval": 0.01, "deferrable": False}
    return DatafoldRunMonitorOperator(task_id="run", **{**given, **arguments})


# Run a monitor: how each end is told.

READ_NAME = "GET /monitors/4"
NAME = "Run 1 of monitor 4"
URL = "{host}/datadiffs/9/overview"


@pytest.mark.parametrize(
    ("state", "outcome", "verdict", "level", "said"),
    [
        ("ok", {"diff_id": 9}, "passes", "INFO", f"{NAME} passes: ok. See {URL}"),
        ("ok", {"warnings": [f"No {API_KEY}"]}, "passes", "WARNING", f"{NAME}: No ***"),
        ("ok", {"warnings": None}, "passes", "INFO", f"{NAME} passes: ok."),
        ("alert", {"diff_id": 9}, "alert", "WARNING", f"{NAME} ended with an alert. See {URL}"),
        ("alert", {"diff_id": "9"}, "alert", "WARNING", f"{NAME} ended with an alert."),
        ("learning", {}, "passes", "INFO", f"{NAME} passes: the monitor is still learning what"),
        ("skipped", {}, "not_compared", "WARNING", f"{NAME} was skipped at Datafold: nothing was"),
    ],
)
def test_a_run_that_passes(
    sandbox: Any,
    caplog: Any,
    log: Log,
    state: str,
    outcome: Any,
    verdict: str,
    level: str,
    said: str,
) -> None:
    sandbox.state.monitors.courses.default = Course((), state, outcome)
    task = run(on_alert="pass")
    context = context_of(task)

    returned = to_its_end(task, context)

    url = URL.format(host=sandbox.url) if outcome.get("diff_id") == 9 else None
    ids = {"monitor_id": 4, "run_id": 1}
    assert returned == {**ids, "state": state, "diff_id": outcome.get("diff_id"), "url": url}
    pushed = context["ti"].pushed
    told = pushed.pop("verdict")
    assert pushed == ({"datafold_data_diff_url": url} if url else {})
    shown = {"kind": "monitor_run", "id": 1, "monitor_id": 4, "name": "Orders have an id"}
    assert told.items() >= {**shown, "url": url, "outcome": verdict}.items()
    assert sent(sandbox)[:4] == [*RUN, READ, READ_NAME]
    said = said.format(host=sandbox.url)
    (record,) = (each for each in caplog.records if each.getMessage().startswith(said))
    assert record.levelname == level


@pytest.mark.parametrize(
    ("state", "outcome", "on_alert", "error", "said"),
    [
        ("skipped", {}, "pass", DatafoldNotComparedError, "was skipped at Datafold: nothing was"),
        ("alert", {"diff_id": 9}, "fail", DatafoldAlertError, f"ended with an alert. See {URL}"),
        ("alert", {}, "skip", AirflowSkipException, "ended with an alert."),
        (
            "error",
            {"error": f"No table: {API_KEY}.", "diff_id": 9},
            "pass",
            DatafoldJobFailedError,
            f"failed: No table: ***. A retry starts a new run. See {URL}",
        ),
        ("error", {}, "skip", DatafoldJobFailedError, "failed: Datafold does not say why. A retry"),
        ("cancelled", {}, "pass", DatafoldJobCancelledError, "was cancelled at Datafold."),
    ],
)
def test_a_run_that_does_not_pass(
    sandbox: Any, state: str, outcome: Any, on_alert: str, error: type[Exception], said: str
) -> None:
    sandbox.state.monitors.courses.default = Course((), state, outcome)
    task = run(on_alert=on_alert, on_skipped="fail")
    context = context_of(task)

    with pytest.raises(error) as caught:
        to_its_end(task, context)

    assert str(caught.value).startswith(f"{NAME} {said.format(host=sandbox.url)}")
    verdict = context["ti"].pushed["verdict"]
    outcomes = {"error": "failed", "skipped": "not_compared"}
    assert verdict["outcome"] == outcomes.get(state, state)
    assert verdict["skips"] == (error is AirflowSkipException)
    assert API_KEY not in json.dumps(verdict)
    # A failure callback has it, too.
    if error is not AirflowSkipException:
        assert caught.value.verdict == verdict


def test_the_verdict_of_an_alert_has_the_figures_of_its_data_diff(sandbox: Any) -> None:
    different = Course((), "done", {"result": "different", "diff_stats": {"rows_added": 3}})
    number = add_diff(sandbox, different)
    sandbox.state.monitors.courses.default = Course((), "alert", {"diff_id": number})
    task = run()
    context = context_of(task)
    with pytest.raises(DatafoldAlertError):
        to_its_end(task, context)
    verdict = context["ti"].pushed["verdict"]
    assert verdict["figures"]["rows_added"] == 3
    assert verdict["reason"] == "it ended with an alert"


def test_a_verdict_without_what_cannot_be_read(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for read in ("get_monitor", "get_data_diff"):
        monkeypatch.setattr(JobHook, read, Mock(side_effect=DatafoldPermissionError("403")))
    sandbox.state.monitors.courses.default = Course((), "alert", {"diff_id": 9})
    task = run(on_alert="pass")
    context = context_of(task)
    to_its_end(task, context)
    verdict = context["ti"].pushed["verdict"]
    assert (verdict["name"], verdict["outcome"]) == (None, "alert")
    assert "figures" not in verdict


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_verdict_of_a_run_that_does_not_end(sandbox: Any, deferrable: bool) -> None:
    sandbox.state.monitors.courses.default = NEVER_ENDS
    task = run(deferrable=deferrable, timeout=0.3)
    context = context_of(task)
    with pytest.raises(DatafoldDeadlineError) as caught:
        to_its_end(task, context)
    verdict = context["ti"].pushed["verdict"]
    assert (verdict["outcome"], verdict["id"], verdict["name"]) == ("failed", 1, None)
    # A service that does not answer would hold it until Airflow ends it, and no verdict be told.
    assert READ_NAME not in sent(sandbox)
    assert verdict["reason"].startswith("the monitor run had not ended after")
    assert caught.value.verdict == verdict


def test_a_run_that_did_not_start_has_no_verdict(sandbox: Any) -> None:
    task = run(monitor_id=99)
    context = context_of(task)
    with pytest.raises(DatafoldNotFoundError):
        to_its_end(task, context)
    assert context["ti"].pushed == {}


def test_a_run_that_is_not_waited_for(sandbox: Any, task_log: Log) -> None:
    sandbox.state.monitors.courses.default = Course((), "alert", {"diff_id": 9})
    returned = to_its_end(run(wait_for_completion=False))
    ids = {"monitor_id": 4, "run_id": 1}
    assert returned == {**ids, "state": None, "diff_id": None, "url": None}
    assert sent(sandbox) == RUN
    assert "Started run 1 of monitor 4." in task_log.messages


# Find monitors, to run each.


def find(**arguments: Any) -> Any:
    task = DatafoldFindMonitorsOperator(task_id="find", **arguments)
    return [each["monitor_id"] for each in to_its_end(task)]


def test_find(sandbox: Any) -> None:
    monitors = sandbox.state.monitors.monitors
    monitors[2]["tags"] = ["Orders", "nightly", "airflow-set:shop/rows"]
    monitors[3]["tags"] = ["orders", "airflow-set:shop/columns", "airflow-set:shop"]
    # Its file is gone, so the strategy has paused it.
    monitors[4]["tags"] = ["airflow-set:shop/ids", "airflow-spec:0123abcd-0123abcd-paused"]
    assert find(tags="orders") == find(tags=["orders"]) == [2, 3]
    assert find(tags="['orders', 'nightly']") == [2]
    assert find(set_name="shop") == [2, 3]
    assert find(set_name="shop", tags=["nightly"], names="None") == [2]
    assert find(names=["orders have an ID", "Orders grow"]) == [2, 4]
    monitors[1]["name"] = "Orders grow"
    assert find(names="Orders grow") == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "tags, names, set_name: at least one of them must be given. Nothing was sent."),
        ({"tags": [], "names": None}, "tags: must not be empty"),
        ({"names": "2024"}, "No monitor has the name '2024'."),
        ({"tags": ["x"]}, "No monitor has the tag 'x'."),
        ({"names": {"a": 1}}, "names: must be a list"),
        ({"set_name": "sho"}, "No monitor is in the set 'sho'."),
        (
            {"names": ["Orders grow", "Orders groow"]},
            "No monitor has the name 'Orders groow'. Near: 'Orders grow' (2), 'Or",
        ),
        (
            {"names": ["Orders grow"], "tags": ["x", "y"]},
            "No monitor has the tags 'x', 'y' and has one of the names 'Orders grow'.",
        ),
    ],
)
def test_nothing_found_is_an_error(sandbox: Any, arguments: Any, said: str) -> None:
    with pytest.raises(DatafoldInputError) as caught:
        find(**arguments)
    assert str(caught.value).startswith(said)


# Switch a monitor on or off.


@pytest.mark.parametrize("enabled", [True, False])
def test_toggle(sandbox: Any, task_log: Log, enabled: bool) -> None:
    task = DatafoldToggleMonitorOperator(task_id="t", monitor_id="4", enabled=str(enabled).lower())
    assert task.execute(context_of(task)) == {"monitor_id": 4, "enabled": enabled}
    assert changes(sandbox) == [("/api/v1/monitors/4/toggle", {"enabled": enabled})]
    assert f"{'Resumed' if enabled else 'Paused'} monitor 4." in task_log.messages


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

    done = ("created", "updated", "unchanged", "paused", "deleted")
    nothing: dict[str, Any] = {**{name: [] for name in done}, "ids": {}}
    assert apply(spec=str(SPEC), dry_run="true") == {**nothing, "created": ["orders"]}
    nothing["ids"] = {"orders": 5}
    assert apply(spec=SPEC) == {**nothing, "created": ["orders"]}
    assert apply(spec=SPEC) == {**nothing, "unchanged": ["orders"]}
    changed = {"monitors": {"orders": {**SPEC["monitors"]["orders"], "description": "New"}}}
    assert apply(spec=changed, dry_run=True) == {**nothing, "updated": ["orders"]}
    gone = {"spec": "monitors: {}", "dangling_monitors_strategy": "delete"}
    assert apply(**gone) == {**nothing, "deleted": ["orders"], "ids": {}}
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
    DatafoldApplyMonitorsOperator(task_id="t", set_name="shop", dry_run=True).dry_run()
    assert "shop" in task_log.text


RUNS: Any = (DatafoldRunMonitorOperator, {"monitor_id": 4})
TOGGLES: Any = (DatafoldToggleMonitorOperator, {"monitor_id": 4, "enabled": True})
APPLIES: Any = (DatafoldApplyMonitorsOperator, {"spec": SPEC, "set_name": "shop"})


@pytest.mark.parametrize(
    ("operator", "field", "wrong"),
    [
        (RUNS, "monitor_id", 0),
        (RUNS, "on_alert", "stop"),
        (RUNS, "on_skipped", "skip"),
        (RUNS, "timeout", 0),
        (TOGGLES, "monitor_id", 0),
        (TOGGLES, "enabled", "maybe"),
        (APPLIES, "set_name", " "),
        (APPLIES, "dangling_monitors_strategy", "keep"),
        (APPLIES, "max_deleted", -1),
        (APPLIES, "dry_run", "maybe"),
        (APPLIES, "spec", None),
    ],
)
def test_a_wrong_argument_is_named(sandbox: Any, operator: Any, field: str, wrong: Any) -> None:
    made, given = operator
    task = made(task_id="t", **{**given, field: wrong})
    named = "files, spec" if field == "spec" else field
    with pytest.raises(DatafoldInputError, match=rf"^{named}: .*Nothing was sent"):
        task.execute(context_of(task))
    assert sandbox.state.requests == []
