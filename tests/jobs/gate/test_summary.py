"""The summary of gates: what counts as passed, and what it asks Airflow for."""

from __future__ import annotations

import json
import logging
import re
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_datafold.exceptions import (
    DatafoldDifferenceError,
    DatafoldInputError,
    DatafoldNotComparedError,
)
from airflow_provider_datafold.jobs.gate.report import KEY
from airflow_provider_datafold.jobs.gate.summary import summarize

LOG = logging.getLogger("summary")
URL = "https://app.datafold.com/datadiffs/7/overview"


def verdict(outcome: str = "passes", table: Any = "DB.T", rows: int = 0, **more: Any) -> Any:
    told = {
        "id": 7,
        "url": URL,
        "outcome": outcome,
        "reason": f"it {outcome}",
        "table1": table,
        "table2": table,
        "figures": {"rows_added": rows, "rows_removed": None},
    }
    return told | more


class Run:
    """A task instance whose DAG run has these gates.

    :param gates: by task id and map index, the state and the verdict.
    """

    dag_id, run_id = "dag", "run"

    def __init__(self, gates: dict[str, dict[int, tuple[Any, Any]]]) -> None:
        self.gates = gates
        self.pushed: dict[str, Any] = {}
        self.pulls = 0

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = json.loads(json.dumps(value))

    def xcom_pull(self, *, task_ids: Any, key: str, map_indexes: Any = None) -> Any:
        assert key == KEY
        self.pulls += 1
        if map_indexes is not None:
            return self.gates[task_ids][map_indexes][1]
        (gate,) = task_ids
        found = [told for _, (_, told) in sorted(self.gates[gate].items()) if told is not None]
        return found or [None]

    @property
    def context(self) -> Any:
        return {"ti": self, "dag": SimpleNamespace(task_ids=[*self.gates, "group.other"])}

    def summarize(self, on_difference: str = "fail") -> Any:
        return summarize(self.context, [*self.gates], on_difference, LOG)


class Run2(Run):
    """With Airflow 2."""

    def get_dagrun(self) -> Any:
        tasks = [
            SimpleNamespace(task_id=gate, map_index=index, state=state)
            for gate, tasks in self.gates.items()
            for index, (state, _) in tasks.items()
        ]
        return SimpleNamespace(get_task_instances=lambda: tasks)


class Run3(Run):
    """With Airflow 3."""

    def get_task_states(self, *, dag_id: str, task_ids: Any, run_ids: Any) -> Any:
        assert (dag_id, run_ids) == ("dag", ["run"])
        (gate,) = task_ids
        states = {
            gate if index < 0 else f"{gate}_{index}": state
            for index, (state, _) in self.gates[gate].items()
        }
        return {"run": states} if states else {}


@pytest.fixture(params=[Run2, Run3])
def make(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_gates_that_passed_pass(make: Any) -> None:
    run = make(
        {
            "gate": {index: ("success", verdict(table=f"T{index}")) for index in range(3)},
            # Its id is the key that Airflow gives to a mapped task.
            "gate_1": {-1: ("success", verdict(table="DB.U"))},
        }
    )
    found = run.summarize()
    counts = {name: found[name] for name in ("passed", "failed", "skipped")}
    assert counts == {"passed": 4, "failed": 0, "skipped": 0}
    assert found["gates"][3] == {
        "task_id": "gate_1",
        "map_index": -1,
        "state": "success",
        "outcome": "passes",
        "reason": "it passes",
        "id": 7,
        "url": URL,
        "table1": "DB.U",
        "table2": "DB.U",
    }
    shown = [(row["map_index"], row["table2"]) for row in found["gates"][:3]]
    assert shown == [(index, f"T{index}") for index in range(3)]
    assert run.pushed == {"text": "4 of 4 gates passed, 0 did not."}
    assert run.pulls == 2


NO_VERDICT = [None, "odd", {}, {"outcome": "great", "reason": "it is"}]
NOT_RUN = ["upstream_failed", "running", "up_for_retry", "restarting", None]


@pytest.mark.parametrize(
    ("state", "told", "outcome"),
    [
        # The task failed after its verdict.
        ("failed", verdict(), "failed"),
        *((state, told, "failed") for state in ("success", "failed") for told in NO_VERDICT),
        # A verdict of an earlier run, which Airflow has not deleted yet.
        *((state, verdict(word), "failed") for state in NOT_RUN for word in ("passes", "differs")),
        *(
            (state, verdict(word), word)
            for word in ("empty", "not_compared", "failed", "cancelled", "blocked")
            for state in ("success", "failed")
        ),
    ],
)
@pytest.mark.parametrize("on_difference", ["fail", "pass"])
def test_what_is_not_known_to_be_equal_never_passes(
    make: Any, state: Any, told: Any, outcome: str, on_difference: str
) -> None:
    run = make({"gate": {-1: (state, told)}})
    with pytest.raises(DatafoldNotComparedError, match="0 of 1 gate passed, 1 did not: "):
        run.summarize(on_difference)
    # What it would have returned, for the tasks after it.
    assert run.pushed["return_value"]["failed"] == 1
    assert run.pushed["return_value"]["gates"][0]["outcome"] == outcome


@pytest.mark.parametrize("state", ["success", "failed", "skipped"])
def test_a_difference_fails_it_unless_it_may_pass(make: Any, state: str) -> None:
    gates = {"equal": {-1: ("success", verdict())}, "gate": {-1: (state, verdict("differs", "U"))}}
    with pytest.raises(DatafoldDifferenceError, match=r": U \w+: it differs. The log has"):
        make(gates).summarize()
    assert make(gates).summarize("pass")["passed"] == 1


def test_differences_do_not_excuse_what_was_not_compared(make: Any) -> None:
    run = make({"gate": {0: ("failed", verdict("differs")), 1: ("failed", None)}})
    for on_difference in ("fail", "pass"):
        with pytest.raises(DatafoldNotComparedError, match="no verdict: the task is failed"):
            run.summarize(on_difference)


@pytest.mark.parametrize("told", [None, verdict()])
def test_what_was_skipped_was_not_asked(make: Any, told: Any) -> None:
    run = make({"gate": {0: ("success", verdict()), 1: ("skipped", told)}})
    found = run.summarize()
    assert (found["passed"], found["failed"], found["skipped"]) == (1, 0, 1)
    assert "1 of 2 gates passed, 0 did not, 1 skipped." in run.pushed["text"]
    # Without any that passed it says nothing.
    with pytest.raises(AirflowSkipException, match="Nothing was compared"):
        make({"gate": {-1: ("skipped", told)}}).summarize()


def test_a_gate_that_is_not_in_the_run_fails_it(make: Any) -> None:
    with pytest.raises(DatafoldNotComparedError, match="gate failed: no verdict: the task is not"):
        make({"gate": {}}).summarize()
    # A mapped one that is gone is left out.
    run = make({"gate": {0: ("success", verdict()), 1: ("removed", verdict("differs"))}})
    assert run.summarize()["passed"] == 1


SUCCESS = ("success", verdict(id=1))
DIFFERS = ("failed", verdict("differs", id=2))
NOT_STARTED = ("upstream_failed", None)


@pytest.mark.parametrize(
    ("gates", "pulls"),
    [
        ([SUCCESS, DIFFERS], 1),
        ([NOT_STARTED, SUCCESS, DIFFERS, SUCCESS], 3),
        ([NOT_STARTED, NOT_STARTED], 1),
        # A successful one has none.
        ([("success", None), SUCCESS, DIFFERS], 5),
    ],
)
def test_a_verdict_is_that_of_its_own_gate(make: Any, gates: Any, pulls: int) -> None:
    run = make({"gate": dict(enumerate(gates))})
    with pytest.raises((DatafoldNotComparedError, DatafoldDifferenceError)):
        run.summarize()
    found = {row["map_index"]: row["id"] for row in run.pushed["return_value"]["gates"]}
    assert found == {index: told and told["id"] for index, (_, told) in enumerate(gates)}
    assert run.pulls == pulls


def test_verdicts_that_airflow_does_not_return_at_once_are_read_one_by_one() -> None:
    run = Run3({"gate": dict(enumerate([SUCCESS, NOT_STARTED, SUCCESS]))})
    pull = run.xcom_pull

    def pull_single(*, task_ids: Any, **named: Any) -> Any:
        return pull(task_ids=task_ids, **named) if isinstance(task_ids, str) else [None]

    run.xcom_pull = pull_single  # type: ignore[method-assign]
    with pytest.raises(DatafoldNotComparedError, match="2 of 3 gates passed"):
        run.summarize()


def test_the_worst_come_first(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run = make(
        {
            "equal": {-1: ("success", verdict(table="A"))},
            "off": {-1: ("skipped", None)},
            "few": {-1: ("failed", verdict("differs", "B", rows=1))},
            "many": {-1: ("failed", verdict("differs", "C", rows=9))},
            "keys": {-1: ("failed", verdict("not_compared", None, table1="D`"))},
            "lost": {4: ("failed", None)},
            "late": {-1: ("failed", verdict(table="E"))},
        }
    )
    with pytest.raises(DatafoldNotComparedError):
        run.summarize()
    (table,) = caplog.messages
    words = [
        ("failed", "lost[4]", "no verdict: the task is failed", ""),
        ("not_compared", "D`", "it not_compared", URL),
        ("differs", "C", "it differs", URL),
        ("differs", "B", "it differs", URL),
        ("failed", "E", "its data diff passes, but the task is failed", URL),
        ("skipped", "off", "no verdict: the task is skipped", ""),
        ("passes", "A", "it passes", URL),
    ]
    headline = "1 of 7 gates passed, 5 did not, 1 skipped."
    assert table.splitlines() == [
        headline,
        *(f"{a:12}  {b:7}  {c:44}  {d}".rstrip() for a, b, c, d in words),
    ]
    assert run.pushed["text"].splitlines() == [
        headline,
        *(f"- `{b.strip('`')}` {a}: {c} {d}".rstrip() for a, b, c, d in words[:-1]),
    ]


def test_it_is_small_however_many_there_are(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    told = verdict("differs", reason="x" * 500)
    run = make({"gate": dict.fromkeys(range(300), ("failed", told))})
    with pytest.raises(DatafoldDifferenceError, match="; and 295 more. The log") as caught:
        run.summarize()
    assert len(str(caught.value)) < 1500
    assert run.pushed["text"].splitlines()[-1] == "and 280 more"
    found = run.pushed["return_value"]
    assert (found["failed"], len(found["gates"])) == (300, 200)
    assert caplog.messages[0].splitlines()[-1] == "and 100 more"
    assert run.pulls == 1


@pytest.mark.parametrize(
    ("gates", "on_difference", "words"),
    [
        ([], "fail", "gates: must name the gates' tasks"),
        ("gate", "fail", "gates: must be a list"),
        (["gate"], "skip", "on_difference: must be one of 'fail', 'pass'"),
        (["other"], "fail", "the DAG has no task 'other'. Did you mean 'group.other'?"),
        (["others"], "fail", "gates: the DAG has no task 'others'."),
    ],
)
def test_its_arguments(make: Any, gates: Any, on_difference: str, words: str) -> None:
    run = make({"gate": {-1: ("success", verdict())}})
    with pytest.raises(DatafoldInputError, match=re.escape(words)):
        summarize(run.context, gates, on_difference, LOG)
    assert summarize(run.context, "['gate']", "fail", LOG)["passed"] == 1
