"""What the page asks for, of Airflow's own database and access checks."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import ROOT

pytest.importorskip("airflow.api_fastapi.core_api.security")
pytest.importorskip("airflow.sdk.definitions.deadline", reason="Airflow shows the page from 3.1 on")

import tests.seed as seed
from tests.seed import verdict

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("airflow_database")]

RUN = "manual__2026-01-02T06:00:00+00:00"


@pytest.fixture
def session() -> Iterator[Any]:
    from airflow.utils.session import create_session

    with create_session() as session:
        yield session


@pytest.fixture
def dag(session: Any) -> str:
    """A DAG without runs."""
    dag_id = f"shop-{uuid.uuid4()}"
    seed.add_dag(session, dag_id)
    return dag_id


@pytest.fixture
def client(dag: str) -> Any:
    """A client of the API server, whom the argument ``role`` says what it may."""
    from airflow.api_fastapi.app import get_auth_manager, init_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from airflow_provider_datafold.page import plugin

    root = FastAPI()
    init_auth_manager(root)
    root.mount(plugin.PREFIX, plugin.app)
    client = TestClient(root)

    def get(path: str, role: str | None = "viewer", **query: Any) -> Any:
        user = SimpleAuthManagerUser(username="ada", role=role)
        token = get_auth_manager().generate_jwt(user)
        headers = {"Authorization": f"Bearer {token}"} if role != "nobody" else {}
        return client.get(f"/datafold/{path.replace('DAG', dag)}", params=query, headers=headers)

    return get


def only(answer: Any) -> Any:
    assert answer.status_code == 200, answer.text
    (run,) = answer.json()["runs"]
    return run


TASKS = {
    "models": {-1: ("success", {"left_out": [{"name": "notes", "reason": "no primary key"}]})},
    "gate": {
        0: ("success", {"verdict": verdict(table="A")}),
        1: ("failed", {"verdict": verdict("differs", "B", figures={"rows_added": 3})}),
        2: ("skipped", {"verdict": verdict("not_compared", "C", skips=True)}),
        3: ("running", {}),
        4: ("upstream_failed", {}),
        # Of an earlier try.
        5: ("queued", {"verdict": verdict(table="D")}),
        # From before it was cleared and a branch skipped it.
        6: ("skipped", {"verdict": verdict("differs", "E")}),
    },
    "other": {-1: ("success", {"return_value": {"outcome": "passes"}})},
}


def test_a_run_is_judged_as_the_summary_does(session: Any, client: Any, dag: str) -> None:
    seed.add_run(session, dag, RUN, TASKS, state="running")
    seed.add_run(session, dag, "other", TASKS, number=1)
    # What checks nothing is no gate, also if it was stopped.
    stopped = {"tables": {-1: ("failed", {"left_out": []})}}
    seed.add_run(session, dag, "stopped", stopped, number=2, operator="DatafoldTablesOperator")
    assert only(client("verdicts/DAG", run_id="stopped"))["entries"] == []
    # Airflow's own operators are not shown, whatever their tasks left behind.
    others = session.query(seed.TaskInstance).filter_by(dag_id=dag, task_id="other")
    others.update({"operator": "Bash"})
    session.commit()
    run = only(client("verdicts/DAG", run_id=RUN))
    assert (run["run_id"], run["state"]) == (RUN, "running")
    assert (
        run["headline"]
        == "1 of 7 passed, 3 did not, 1 was skipped; 1 was left out. 2 not ended yet."
    )
    assert run["left_out"] == [{"name": "notes", "reason": "no primary key"}]
    assert [
        (entry["label"], entry["outcome"], entry["counts_as"], entry["is_different"])
        for entry in run["entries"]
    ] == [
        ("gate[4]", "failed", "failed", False),
        ("C", "not_compared", "failed", False),
        ("B", "differs", "failed", True),
        ("gate[3]", "running", "waiting", False),
        ("gate[5]", "queued", "waiting", False),
        ("gate[6]", "skipped", "skipped", False),
        ("A", "passes", "passed", False),
    ]
    assert run["entries"][2]["figures"]["rows_added"] == 3
    assert run["entries"][2]["url"] == verdict()["url"]


def test_the_last_runs_come_newest_first(session: Any, client: Any, dag: str) -> None:
    for number in range(3):
        tasks = {"gate": {-1: ("success", {"verdict": verdict(table=f"T{number}")})}}
        seed.add_run(session, dag, f"run+{number}", tasks, number=number)
    found = client("verdicts/DAG", runs=2).json()["runs"]
    assert [run["run_id"] for run in found] == ["run+2", "run+1"]
    assert [run["entries"][0]["label"] for run in found] == ["T2", "T1"]
    assert len(client("verdicts/DAG").json()["runs"]) == 3
    for runs in (0, 101):
        assert client("verdicts/DAG", runs=runs).status_code == 422


def test_a_verdict_from_anyone_is_text_and_numbers(session: Any, client: Any, dag: str) -> None:
    evil = "<img src=x onerror=alert(1)>"
    odd: list[Any] = [
        *("text", ["list"], 7, {"outcome": ["passes"]}),
        verdict("differs", evil, url="javascript:alert(1)", reason={"a": evil}, figures=[1]),
        verdict("differs", {"a": 1}, url=["https://x"], columns=[1, {"name": {}}], doubts=[{}]),
        verdict("alert", kind=[], accepted_by={}, figures={"rows_added": "9", "match_ratio": True}),
        verdict("passes", "x" * 9999, columns="abc", doubts="abc"),
        json.dumps(verdict("differs", "as a string")),
    ]
    tasks = {"gate": {n: ("success", {"verdict": each}) for n, each in enumerate(odd)}}
    seed.add_run(session, dag, RUN, tasks)
    # SQLite keeps numbers that JSON does not have.
    tasks = {"gate": {0: ("success", {"verdict": verdict(figures={"rows_added": float("nan")})})}}
    seed.add_run(session, dag, "nan", tasks, number=1)
    assert only(client("verdicts/DAG", run_id="nan"))["entries"][0]["figures"]["rows_added"] is None
    found = only(client("verdicts/DAG", run_id=RUN))["entries"]
    entries = {entry["map_index"]: entry for entry in found}
    assert [entries[n]["outcome"] for n in range(4)] == ["failed"] * 4
    assert [entries[n]["url"] for n in range(9)] == [None] * 6 + [verdict()["url"]] * 3
    assert entries[4]["label"] == evil
    assert entries[8]["label"] == "as a string"
    for entry in entries.values():
        assert {type(entry[name]) for name in ("label", "outcome", "reason")} == {str}
        assert len(entry["label"]) <= 500
        assert {type(value) for value in entry["figures"].values()} <= {int, float, type(None)}
        assert all(type(column["name"]) is str for column in entry["columns"])
        assert all(type(doubt) is str for doubt in entry["doubts"])


REAL = """
from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, task


@task
def check(table, ti=None):
    told = {"outcome": "passes", "table2": table, "reason": "identical", "url": None}
    ti.xcom_push(key="verdict", value=told)


with DAG("real", schedule=None, start_date=datetime(2024, 1, 1)) as dag:
    check.expand(table=["A", "B"])
"""


def test_a_real_run(run_dag: Any, client: Any) -> None:
    run = run_dag(REAL, "real")
    assert run.state == "success"
    found = only(client("verdicts/real", run_id=run.run_id))
    assert found["headline"] == "2 of 2 passed."
    assert [entry["label"] for entry in found["entries"]] == ["A", "B"]


@pytest.mark.parametrize(
    ("path", "query", "role", "status"),
    [
        ("verdicts/DAG", {}, "nobody", 401),
        ("verdicts/DAG", {}, None, 403),
        ("verdicts/none", {}, "viewer", 404),
        ("verdicts/~", {"run_id": "~"}, "admin", 404),
        ("verdicts/DAG", {"run_id": "none"}, "viewer", 404),
        ("verdicts/DAG", {"run_id": "~"}, "viewer", 404),
        ("verdicts/DAG", {}, "viewer", 200),
        ("page.js", {}, "nobody", 200),
        ("docs", {}, "admin", 404),
        ("openapi.json", {}, "admin", 404),
    ],
)
def test_who_gets_what(client: Any, path: str, query: Any, role: Any, status: int) -> None:
    answer = client(path, role, **query)
    assert answer.status_code == status
    if path == "page.js":
        assert answer.headers["content-type"].startswith("text/javascript")
        assert answer.text == (ROOT / "airflow_provider_datafold/page/page.js").read_text()
