"""The summary of gates, monitors and left-outs: what passes, and what it asks Airflow for."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_datafold.exceptions import (
    DatafoldAlertError,
    DatafoldDifferenceError,
    DatafoldInputError,
    DatafoldNotComparedError,
)
from airflow_provider_datafold.jobs.entry import _OUTCOMES, LEFT_OUT, VERDICT
from airflow_provider_datafold.jobs.gate.verdict import Outcome
from airflow_provider_datafold.jobs.summary import summarize

LOG = logging.getLogger("summary")
URL = "https://app.datafold.com/datadiffs/7/overview"


def verdict(outcome: str = "passes", table: Any = "DB.T", rows: int = 0, **more: Any) -> Any:
    told = {
        "kind": "data_diff",
        "id": 7,
        "url": URL,
        "outcome": outcome,
        "reason": f"it {outcome}",
        "table1": table,
        "table2": table,
        "figures": {"rows_added": rows, "rows_removed": None},
    }
    return told | more


def monitor(outcome: str = "passes", name: str | None = "Freshness") -> Any:
    return {
        "kind": "monitor_run",
        "id": 5,
        "monitor_id": 3,
        "name": name,
        "url": None,
        "outcome": outcome,
        "reason": f"it {outcome}",
    }


def left(*names: str, reason: str = "no primary key") -> list[dict[str, str]]:
    return [{"name": name, "reason": reason} for name in names]


class Run:
    """A task instance whose DAG run has these tasks: by task id and map index, the state and the
    verdict or what was left out. Some are mapped, some in the same mapped group as itself."""

    dag_id, run_id, task_id, map_index = "dag", "run", "summarize", -1

    def __init__(
        self,
        tasks: dict[str, dict[int, tuple[Any, Any]]],
        mapped: Iterable[str] = (),
        group: Iterable[str] = (),
    ) -> None:
        self.tasks, self.mapped, self.group = tasks, {*mapped}, {*group}
        self.pushed: dict[str, Any] = {}
        self.pulls = self.missed = 0
        self.operators: dict[str, str] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = json.loads(json.dumps(value))

    def xcom_pull(self, *, task_ids: Any, key: str, map_indexes: Any = None) -> Any:
        self.pulls += 1
        if map_indexes is not None:
            told = self._told(key, task_ids, map_indexes)
            self.missed += told is None
            return told
        (task_id,) = task_ids
        found = [self._told(key, task_id, index) for index in sorted(self.tasks[task_id])]
        return [told for told in found if told is not None] or [None]

    def _told(self, key: str, task_id: str, index: int) -> Any:
        told = self.tasks[task_id].get(index, (None, None))[1]
        return told if key == (LEFT_OUT if isinstance(told, list) else VERDICT) else None

    @property
    def context(self) -> Any:
        def task(task_id: str) -> Any:
            group = SimpleNamespace(group_id="group") if task_id in self.group else None
            more: dict[str, Any] = {"expand_input": None} if task_id in self.mapped else {}
            if task_id in self.operators:
                more["task_type"] = self.operators[task_id]
            return SimpleNamespace(
                task_id=task_id, get_closest_mapped_task_group=lambda: group, **more
            )

        known = [*self.tasks, self.task_id, "group.other"]
        dag = SimpleNamespace(task_dict={task_id: task(task_id) for task_id in known})
        return {"ti": self, "dag": dag}

    def summarize(self, on_difference: str = "fail", on_left_out: str = "warn") -> Any:
        return summarize(self.context, [*self.tasks], on_difference, on_left_out, LOG)


class Run2(Run):
    """With Airflow 2."""

    def get_dagrun(self) -> Any:
        tasks = [
            SimpleNamespace(task_id=task_id, map_index=index, state=state)
            for task_id, tasks in self.tasks.items()
            for index, (state, _) in tasks.items()
        ]
        return SimpleNamespace(get_task_instances=lambda: tasks)


class Run3(Run):
    """With Airflow 3."""

    def get_task_states(self, *, dag_id: str, task_ids: Any, run_ids: Any) -> Any:
        assert (dag_id, run_ids) == ("dag", ["run"])
        (task_id,) = task_ids
        states = {
            task_id if index < 0 else f"{task_id}_{index}": state
            for index, (state, _) in self.tasks[task_id].items()
        }
        return {"run": states} if states else {}


@pytest.fixture(params=[Run2, Run3])
def make(request: pytest.FixtureRequest) -> Any:
    return request.param


def counts(found: Any) -> tuple[int, ...]:
    return tuple(found[name] for name in ("passed", "failed", "skipped", "left_out"))


def test_each_outcome_is_known() -> None:
    assert {each.value for each in Outcome} < {*_OUTCOMES}


def test_gates_that_passed_pass(make: Any) -> None:
    run = make(
        {
            "gate": {index: ("success", verdict(table=f"T{index}")) for index in range(3)},
            # Its id is the key that Airflow gives to a mapped task.
            "gate_1": {-1: ("success", verdict(table="DB.U"))},
        },
        mapped=["gate"],
    )
    found = run.summarize()
    assert counts(found) == (4, 0, 0, 0)
    assert found["entries"][3] == {
        "task_id": "gate_1",
        "map_index": -1,
        "state": "success",
        "label": "DB.U",
        "outcome": "passes",
        "reason": "it passes",
        "kind": "data_diff",
        "id": 7,
        "monitor_id": None,
        "url": URL,
        "table1": "DB.U",
        "table2": "DB.U",
    }
    shown = [(row["map_index"], row["label"]) for row in found["entries"][:3]]
    assert shown == [(index, f"T{index}") for index in range(3)]
    assert run.pushed == {"text": "4 of 4 passed."}
    assert run.pulls == 2


@pytest.mark.parametrize(
    ("state", "told", "outcome"),
    [
        # The task failed after its verdict.
        ("failed", verdict(), "failed"),
        *(("success", told, "failed") for told in (None, "odd", {}, {"outcome": "great"})),
        # A verdict of an earlier run, which Airflow has not deleted yet.
        *((state, verdict("differs"), "failed") for state in ("running", "upstream_failed", None)),
        *((("success"), verdict(word), word) for word in ("empty", "failed", "blocked")),
        # A sensor with soft_fail is skipped over bad keys: nobody compared anything.
        ("skipped", verdict("not_compared", skips=True), "not_compared"),
        # Whoever says that a monitor's run must not be skipped has a failed task.
        ("failed", monitor("not_compared"), "not_compared"),
        ("skipped", monitor("failed") | {"skips": True}, "failed"),
    ],
)
def test_what_is_not_known_to_be_equal_never_passes(
    make: Any, state: Any, told: Any, outcome: str
) -> None:
    run = make({"gate": {-1: (state, told)}})
    with pytest.raises(DatafoldNotComparedError, match=r"0 of 1 passed, 1 did not\. "):
        run.summarize("pass")
    # What it would have returned, for the tasks after it.
    assert counts(run.pushed["return_value"]) == (0, 1, 0, 0)
    assert run.pushed["return_value"]["entries"][0]["outcome"] == outcome


@pytest.mark.parametrize("state", ["success", "skipped"])
@pytest.mark.parametrize(
    ("told", "error", "words"),
    [
        ([verdict("differs", "U")], DatafoldDifferenceError, "U differs: it differs. The log has"),
        ([monitor("alert")], DatafoldAlertError, "Freshness alert: it alert. The log has"),
        ([monitor("alert", None), verdict("differs")], DatafoldDifferenceError, "monitor 3 alert"),
    ],
)
def test_a_difference_fails_it_unless_it_may_pass(
    make: Any, state: str, told: list[Any], error: type[Exception], words: str
) -> None:
    told = [each | {"skips": state == "skipped"} for each in told]
    tasks = {f"gate{number}": {-1: (state, each)} for number, each in enumerate(told)}
    tasks["equal"] = {-1: ("success", verdict())}
    with pytest.raises(error, match=re.escape(words)):
        make(tasks).summarize()
    # It does not excuse what was not compared.
    for on_difference in ("fail", "pass"):
        with pytest.raises(DatafoldNotComparedError, match="no verdict: the task is failed"):
            make({**tasks, "lost": {-1: ("failed", None)}}).summarize(on_difference)
    assert counts(make(tasks).summarize("pass")) == (1, len(told), 0, 0)


def test_a_difference_that_a_person_accepted_has_passed(make: Any) -> None:
    accepted = verdict("differs", accepted_by={"id": "7", "name": "Ada"})
    run = make({"gate": {-1: ("success", accepted)}})
    assert counts(run.summarize()) == (1, 0, 0, 0)
    assert run.pushed["text"].startswith("1 of 1 passed (1 accepted by a person).\n")
    assert "| accepted | `DB.T` |" in run.pushed["text"]
    assert run.pushed["text"].endswith("accepted by Ada: it differs |")
    with pytest.raises(DatafoldDifferenceError):
        make({"gate": {-1: ("failed", accepted)}}).summarize()


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("skipped", None),
        ("skipped", verdict()),
        # Airflow keeps the verdict of a task that is cleared and then skipped by a branch.
        ("skipped", verdict("differs", skips=False)),
        ("skipped", monitor("alert") | {"skips": False}),
        ("success", monitor("not_compared")),
    ],
)
def test_what_was_skipped_was_not_asked(make: Any, state: str, told: Any) -> None:
    gone = ("removed", verdict("differs"))
    run = make({"gate": {0: ("success", verdict()), 1: gone}, "other": {-1: (state, told)}})
    assert counts(run.summarize()) == (1, 0, 1, 0)
    assert "1 of 2 passed, 1 was skipped." in run.pushed["text"]
    # Without any that passed it says nothing.
    with pytest.raises(DatafoldNotComparedError, match=r"0 of 1 passed, 1 was skipped. nothing"):
        make({"gate": {-1: (state, told)}}).summarize()


@pytest.mark.parametrize(
    ("tasks", "mapped", "words"),
    [
        ({}, [], "no verdict: the task is not started"),
        ({}, ["gate"], "no task ran: there was nothing to map, or a branch skipped it"),
        ({-1: ("skipped", None)}, ["gate"], "there was nothing to map, or a branch skipped it"),
        ({0: ("removed", verdict())}, ["gate"], "there was nothing to map, or a branch skipped it"),
        ({-1: ("upstream_failed", None)}, ["gate"], "no verdict: the task is upstream_failed"),
    ],
)
def test_a_task_without_instances_fails_it(
    make: Any, tasks: Any, mapped: list[str], words: str
) -> None:
    run = make({"other": {-1: ("success", verdict())}, "gate": tasks}, mapped)
    with pytest.raises(DatafoldNotComparedError, match=words):
        run.summarize()
    assert words in run.pushed["text"]
    assert counts(run.pushed["return_value"]) == (1, 1, 0, 0)


def test_what_was_left_out_is_told(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    tables = {0: ("success", [*left("d", reason="only old has it"), "odd"]), 1: ("success", [])}
    models = {-1: ("success", left("a", "b|c`", reason="no primary\nkey"))}
    tasks = {"models": models, "tables": tables, "gate": {-1: ("success", verdict())}}
    run = make(tasks)
    assert counts(run.summarize()) == (1, 0, 0, 3)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert run.pushed["text"].splitlines() == [
        "1 of 1 passed; 3 were left out.",
        "",
        "Left out:",
        "- no primary key: `a`, `b\\|c`",
        "- only old has it: `d`",
    ]
    with pytest.raises(DatafoldNotComparedError, match="d left out: only old has it"):
        make(tasks).summarize(on_left_out="fail")
    # Also if everything else may pass.
    tasks["gate"] = {-1: ("success", verdict("differs"))}
    with pytest.raises(DatafoldNotComparedError, match="a left out"):
        make(tasks).summarize(on_difference="pass", on_left_out="fail")


@pytest.mark.parametrize(
    ("state", "left_out", "words"),
    [
        ("success", [], "nothing was compared"),
        # If it fails, it tells what it knows by then.
        ("failed", left("a"), "no verdict: the task is failed"),
        # These are of an earlier run.
        ("running", left("a"), "no verdict: the task is running"),
        ("skipped", left("a"), "nothing was compared"),
    ],
)
def test_a_task_that_leaves_things_out_compares_nothing(
    make: Any, state: str, left_out: Any, words: str
) -> None:
    run = make({"models": {-1: (state, left_out)}})
    with pytest.raises(DatafoldNotComparedError, match=words):
        run.summarize()
    failed = int(state not in ("success", "skipped"))
    told = (0, failed, int(state == "skipped"), int(state == "failed"))
    assert counts(run.pushed["return_value"]) == told


def test_in_a_mapped_group_it_reads_its_own_index(make: Any) -> None:
    gates = {0: DIFFERS, 1: ("success", verdict(id=1)), 2: ("failed", None)}
    other = {0: ("success", verdict(id=8)), 1: ("success", verdict(id=9))}
    tables = {0: ("success", left("a")), 1: ("success", left("b"))}
    group = ["group.gate", "group.tables"]
    tasks = {group[0]: gates, group[1]: tables, "other": other}
    run = make(tasks, mapped=["other"], group=[*group, "summarize"])
    run.map_index = 1
    found = run.summarize()
    assert counts(found) == (3, 0, 0, 1)
    assert [row["id"] for row in found["entries"]] == [1, 8, 9]
    assert run.pushed["text"].endswith("- no primary key: `b`")


SUCCESS = ("success", verdict(id=1))
GIVES_ALL_AT_ONCE = ("airflow_provider_datafold.jobs.summary.is_airflow", lambda _: True)
"""As Airflow does from 3.1 on: an older one is asked for each by itself."""
DIFFERS = ("failed", verdict("differs", id=2))
NOT_STARTED = ("upstream_failed", None)


@pytest.mark.parametrize(
    ("gates", "pulls"),
    [
        ([SUCCESS, DIFFERS], 1),
        ([NOT_STARTED, SUCCESS, DIFFERS, SUCCESS], 3),
        ([NOT_STARTED, NOT_STARTED], 1),
        # A successful one has none, nor left it anything out.
        ([("success", None), SUCCESS, DIFFERS], 6),
    ],
)
def test_a_verdict_is_that_of_its_own_gate(
    make: Any, monkeypatch: pytest.MonkeyPatch, gates: Any, pulls: int
) -> None:
    monkeypatch.setattr(*GIVES_ALL_AT_ONCE)
    run = make({"gate": dict(enumerate(gates))})
    with pytest.raises((DatafoldNotComparedError, DatafoldDifferenceError)):
        run.summarize()
    found = {row["map_index"]: row["id"] for row in run.pushed["return_value"]["entries"]}
    assert found == {index: told and told["id"] for index, (_, told) in enumerate(gates)}
    assert run.pulls == pulls


def test_nothing_is_asked_for_that_is_not_there(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*GIVES_ALL_AT_ONCE)
    # Airflow 3 writes an error to the log for that.
    tasks = {
        "models": {-1: ("success", left("a"))},
        "copy.tables": {0: ("success", left("b")), 1: ("success", [])},
        "copy.gate": {0: SUCCESS, 1: SUCCESS},
        "lost": {-1: ("failed", None)},
    }
    run = make(tasks, group=["copy.tables", "copy.gate", "summarize"])
    run.operators = {"copy.tables": "DatafoldTablesOperator"}
    run.map_index = 1
    with pytest.raises(DatafoldNotComparedError):
        run.summarize()
    assert counts(run.pushed["return_value"]) == (1, 1, 0, 1)
    assert run.missed == 0


def test_a_skipped_task_that_checks_nothing_is_no_gate_though_it_left_something_out_before(
    make: Any,
) -> None:
    run = make({"tables": {-1: ("skipped", left("a"))}, "gate": {-1: ("success", verdict())}})
    run.operators = {"tables": "DatafoldTablesOperator"}
    assert counts(run.summarize()) == (1, 0, 0, 0)


@pytest.mark.parametrize("state", ["failed", "upstream_failed", "success"])
@pytest.mark.parametrize("left_out", [None, []])
def test_a_stopped_task_that_checks_nothing_is_no_gate(
    make: Any, state: str, left_out: Any
) -> None:
    tasks = {"tables": {-1: (state, left_out)}, "gate": {-1: ("success", verdict())}}
    run = make(tasks)
    run.operators = {"tables": "DatafoldTablesOperator"}
    if state == "success":
        run.summarize()
    else:
        words = f"tables is {state}, so nobody knows what it would have compared"
        with pytest.raises(DatafoldNotComparedError, match=words):
            run.summarize(on_difference="pass")
        assert run.pushed["text"] == f"1 of 1 passed.\n\n{words}"
        assert counts(run.pushed["return_value"]) == (1, 0, 0, 0)


def test_verdicts_that_airflow_does_not_return_at_once_are_read_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("airflow.__version__", "3.0.6")
    run = Run3({"gate": dict(enumerate([SUCCESS, NOT_STARTED, SUCCESS]))})
    pull = run.xcom_pull

    def pull_single(*, task_ids: Any, **named: Any) -> Any:
        return pull(task_ids=task_ids, **named) if isinstance(task_ids, str) else [None]

    run.xcom_pull = pull_single  # type: ignore[method-assign]
    with pytest.raises(DatafoldNotComparedError, match="2 of 3 passed"):
        run.summarize()


def test_the_worst_come_first(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run = make(
        {
            "equal": {-1: ("success", verdict(table="A"))},
            "off": {-1: ("skipped", None)},
            "few": {-1: ("failed", verdict("differs", "B", rows=1))},
            "many": {-1: ("failed", verdict("differs", "C", rows=9))},
            "check": {-1: ("failed", monitor("alert"))},
            "keys": {-1: ("failed", verdict("not_compared", None, table1="D`"))},
            "lost": {4: ("failed", None)},
            "late": {-1: ("failed", verdict(table="E"))},
        }
    )
    with pytest.raises(DatafoldNotComparedError):
        run.summarize()
    (table,) = caplog.messages
    words = [
        ("outcome", "what", "page", "reason"),
        ("failed", "`lost[4]`", "", "no verdict: the task is failed"),
        ("not_compared", "`D`", URL, "it not_compared"),
        ("differs", "`C`", URL, "it differs"),
        ("differs", "`B`", URL, "it differs"),
        ("alert", "`Freshness`", "", "it alert"),
        ("failed", "`E`", URL, "its check passes, but the task is failed"),
        ("skipped", "`off`", "", "no verdict: the task is skipped"),
        ("passes", "`A`", URL, "it passes"),
    ]
    headline = "1 of 8 passed, 6 did not, 1 was skipped."
    rows = [f"| {a:12} | {b:11} | {c:{len(URL)}} | {d} |" for a, b, c, d in words]
    rows.insert(1, f"| {'-' * 12} | {'-' * 11} | {'-' * len(URL)} | ------ |")
    assert table.splitlines() == [headline, "", *rows]
    assert run.pushed["text"].splitlines() == [headline, "", *rows[:-1]]


def test_it_is_small_however_many_there_are(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    told = verdict("differs", reason="x" * 500)
    run = make({"gate": dict.fromkeys(range(300), ("failed", told))})
    with pytest.raises(DatafoldDifferenceError, match="; and 295 more. The log") as caught:
        run.summarize()
    assert len(str(caught.value)) < 1500
    assert run.pushed["text"].splitlines()[-1] == "and 280 more"
    found = run.pushed["return_value"]
    assert (found["failed"], len(found["entries"])) == (300, 200)
    assert caplog.messages[0].splitlines()[-1] == "and 100 more"
    assert run.pulls == 1


@pytest.mark.parametrize(
    ("task_ids", "arguments", "words"),
    [
        ([], ("fail", "warn"), "task_ids: must name tasks"),
        (7, ("fail", "warn"), "task_ids: must be a list"),
        (["gate"], ("skip", "warn"), "on_difference: must be one of 'fail', 'pass'"),
        (["gate"], ("fail", "pass"), "on_left_out: must be one of 'warn', 'fail'"),
        (["other"], ("fail", "warn"), "the DAG has no task 'other'. Did you mean 'group.other'?"),
        ("others", ("fail", "warn"), "task_ids: the DAG has no task 'others'."),
    ],
)
def test_its_arguments(make: Any, task_ids: Any, arguments: tuple[str, str], words: str) -> None:
    run = make({"gate": {-1: ("success", verdict())}})
    with pytest.raises(DatafoldInputError, match=re.escape(words)):
        summarize(run.context, task_ids, *arguments, LOG)


@pytest.mark.parametrize("task_ids", ["gate", "['gate']", ("gate", "gate")])
def test_one_id_or_a_list(make: Any, task_ids: Any) -> None:
    run = make({"gate": {-1: ("success", verdict())}})
    assert summarize(run.context, task_ids, "fail", "warn", LOG)["passed"] == 1
