"""Data diffs, queries and monitor runs of the sandbox that really look into a database."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import psutil
import psycopg2
import pytest
import requests

from dev.sandbox import Sandbox, data_sources, real_queries
from dev.sandbox.monitors import run_course
from tests.conftest import API_KEY, ROOT
from tests.dev.sandbox.test_comparison import ENDLESS, address, fill_duckdb, fill_sqlite
from tests.dev.test_sandbox import KEY, call

pytestmark = pytest.mark.whole

__all__ = ["address"]

DIFFS = "/api/v1/datadiffs"
QUERY = "/api/v1/data_sources/1/query"


@pytest.fixture
def warehouse(sandbox: Any, tmp_path: Path) -> Any:
    """The sandbox with a DuckDB file behind data source 1."""
    sandbox.state.data_sources.connect(1, fill_duckdb(tmp_path / "warehouse.duckdb"))
    return sandbox


def tables(first: str, second: str) -> dict[str, list[str]]:
    return {"table1": [first], "table2": [second]}


def ask(sandbox: Any, **fields: Any) -> requests.Response:
    body = {"data_source1_id": 1, "data_source2_id": 1, "pk_columns": ["id"], **fields}
    return call(sandbox, "POST", DIFFS, json=body)


def start(sandbox: Any, **fields: Any) -> str:
    answer = ask(sandbox, **fields)
    assert answer.status_code == 200, answer.text
    return f"{DIFFS}/{answer.json()['id']}"


def wait(sandbox: Any, path: str, until: Callable[[Any], bool]) -> dict[str, Any]:
    for _ in range(3000):
        # Without validation each time, which takes longer than the diff.
        diff: dict[str, Any] = requests.get(sandbox.url + path, headers=KEY, timeout=10).json()
        if until(diff):
            return diff
        time.sleep(0.02)
    raise AssertionError(f"{path} is {diff['status']}")


def compare(sandbox: Any, **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Compare, and return the diff and its results."""
    path = start(sandbox, **fields)
    wait(sandbox, path, lambda diff: diff["done"])
    found = (call(sandbox, "GET", f"{path}{end}").json() for end in ("", "/summary_results"))
    return next(found), next(found)


def is_gone(pid: int) -> bool:
    for _ in range(500):
        # A process that has ended is kept until its result is read.
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_a_comparison(warehouse: Any, tmp_path: Path) -> None:
    diff, results = compare(warehouse, **tables("orders", "other_orders"))
    assert (diff["status"], diff["result"], diff["kind"]) == ("done", "different", "in_db")
    assert diff["diff_progress"] == {"version": "1", "completed_steps": 4, "total_steps": 4}
    assert results["pks"]["exclusives"] == [1, 1]
    values = results["values"]
    assert (values["total_rows"], values["total_values"]) == (4, 12)
    assert (values["rows_with_differences"], values["values_with_differences"]) == (2, 3)
    assert (values["compared_columns"], values["columns_with_differences"]) == (3, 2)
    assert results["schema"]["column_counts"] == [4, 4]

    warehouse.state.data_sources.connect(2, fill_sqlite(tmp_path / "lake.db"))
    fields: dict[str, Any] = {"infer_pk": True, "pk_columns": [], "data_source2_id": 2}
    queries = {"query1": "select * from orders", "query2": "select * from wider_orders"}
    diff, results = compare(warehouse, **queries, **fields)
    assert (diff["kind"], diff["result"], diff["pk_columns"]) == ("cross_db", "identical", ["id"])
    assert "schema" not in results

    _, results = compare(warehouse, **tables("orders", "doubled_orders"))
    assert (results["values"], results["pks"]["dupes"]) == (None, [0, 2])


def test_a_database_on_one_side_or_on_none(warehouse: Any) -> None:
    answer = ask(warehouse, data_source1_id=2, **tables("orders", "orders"))
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "data_source1_id"]
    sides = {"data_source1_id": 2, "data_source2_id": 2}
    assert compare(warehouse, **tables("no", "where"), **sides)[0]["result"] == "identical"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"file1": "s3://bucket/orders.csv"}, "file1"),
        ({"column_rules": []}, "column_rules"),
        ({"table1": None}, "table1"),
        ({"query2": "select 1"}, "table2"),
        ({"diff_tolerance": -1}, "diff_tolerance"),
        ({"sampling_ratio": 1.0}, "sampling_ratio"),
        ({"sampling_max_rows": 0}, "sampling_max_rows"),
    ],
)
def test_refuses_what_it_does_not_do(warehouse: Any, fields: Any, place: str) -> None:
    answer = ask(warehouse, **{**tables("orders", "orders"), **fields})
    assert answer.status_code == 422
    assert [problem["loc"] for problem in answer.json()["detail"]] == [["body", place]]


def test_takes_options_that_make_nothing_equal(
    warehouse: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ignored: dict[str, Any] = {"compare_duplicates": False, "datetime_tolerance": 3}
    defaults = {"materialize_without_sampling": False, "archived": False, "tags": ["a"]}
    start(warehouse, **tables("orders", "same_orders"), **ignored, **defaults)
    message = "Ignored, because the sandbox compares without it: "
    assert f"{message}compare_duplicates, datetime_tolerance" in caplog.messages


def test_ends_when_nobody_looks(warehouse: Any) -> None:
    warehouse.state.data_diffs.delay = 0.5
    path = start(warehouse, **tables("orders", "same_orders"))
    assert call(warehouse, "GET", path).json()["finished_at"] is None
    wait(warehouse, path, lambda diff: diff["status"] == "processing")
    job = warehouse.state.data_diffs.jobs[3]
    while not job.ended:
        time.sleep(0.02)
    ended = datetime.now(timezone.utc).isoformat()
    diff = call(warehouse, "GET", path).json()
    assert (diff["status"], diff["finished_at"] <= ended) == ("done", True)


def test_is_cancelled_in_mid_run(sandbox: Any, address: str) -> None:
    sandbox.state.data_sources.connect(1, address)
    is_server = address.startswith("postgresql:")
    path = start(sandbox, query1=ENDLESS, table2=["orders"])
    wait(sandbox, path, lambda diff: diff["status"] == "processing")
    if is_server:
        assert any(queries_at(address) for _ in range(500))
    job = sandbox.state.data_diffs.jobs[int(path.rpartition("/")[2])]
    assert call(sandbox, "POST", f"{path}/cancel").json()["status"] == "cancelled"
    assert is_gone(job.pid)
    diff = call(sandbox, "GET", path).json()
    assert (diff["status"], diff["done"], diff["result"]) == ("cancelled", True, None)
    results = call(sandbox, "GET", f"{path}/summary_results").json()
    assert results["error"]["error_type"] == "Cancelled"
    if is_server:
        assert any(queries_at(address) == 0 or time.sleep(0.02) for _ in range(500))
    # The database is free for others.
    assert compare(sandbox, **tables("orders", "orders"))[0]["result"] == "identical"


def queries_at(url: str) -> int:
    """How many endless queries PostgreSQL is running."""
    with closing(psycopg2.connect(url)) as database, database.cursor() as cursor:
        cursor.execute(
            "select count(*) from pg_stat_activity"
            " where query like '%recursive%' and state = 'active' and pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


def test_stops_with_the_sandbox_and_with_a_reset(tmp_path: Path) -> None:
    pids = []
    with Sandbox(api_key=API_KEY) as sandbox:
        for stop in (sandbox.state.reset, lambda: None):
            address = fill_duckdb(tmp_path / f"{len(pids)}.duckdb")
            sandbox.state.data_sources.connect(1, address)
            start(sandbox, query1=ENDLESS, table2=["orders"])
            pids.append(sandbox.state.data_diffs.jobs[3].pid)
            stop()
        assert is_gone(pids[0])
    assert is_gone(pids[1])


def test_worker_that_dies(warehouse: Any) -> None:
    path = start(warehouse, query1=ENDLESS, table2=["orders"])
    os.kill(warehouse.state.data_diffs.jobs[3].pid, signal.SIGKILL)
    diff = wait(warehouse, path, lambda diff: diff["done"])
    error = call(warehouse, "GET", f"{path}/summary_results").json()["error"]
    assert (diff["status"], diff["result"], diff["diff_stats"]) == ("failed", "error", None)
    assert (error["error_type"], error["is_retryable"]) == ("WorkerError", True)


def test_waits_for_the_lock_of_a_file_that_is_not_there_yet(sandbox: Any, tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    sandbox.state.data_sources.connect(1, path)
    _, results = compare(sandbox, **tables("orders", "same_orders"))
    assert results["error"]["error_type"] == "DatabaseNotFound"
    fill_duckdb(path)
    with duckdb.connect(str(path)):
        started = start(sandbox, **tables("orders", "same_orders"))
        wait(sandbox, started, lambda diff: diff["status"] == "processing")
        time.sleep(1)
        diff = call(sandbox, "GET", started).json()
        assert (diff["status"], diff["diff_progress"]["completed_steps"]) == ("processing", 0)
    assert wait(sandbox, started, lambda diff: diff["done"])["result"] == "identical"


@contextmanager
def program(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], Any, str]]:
    """Run the sandbox as a program; return its process, a client for it, and data source 1."""
    running = subprocess.Popen(
        [sys.executable, "-m", "dev.sandbox", "--api-key", API_KEY, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stdout is not None
        url, _, database, *_ = (running.stdout.readline().split()[-1] for _ in range(5))
        yield running, SimpleNamespace(url=url), database
    finally:
        running.kill()
        running.communicate()


def test_stops_when_the_sandbox_is_killed(tmp_path: Path) -> None:
    address = fill_duckdb(tmp_path / "warehouse.duckdb")
    with program("--database", address) as (running, sandbox, database):
        assert database == address
        path = start(sandbox, query1=ENDLESS, query2=ENDLESS, data_source2_id=2)
        wait(sandbox, path, lambda diff: diff["status"] == "processing")
        (child,) = psutil.Process(running.pid).children()
        running.kill()
    assert is_gone(child.pid)


def test_has_a_database_by_default() -> None:
    with program() as (running, sandbox, database):
        stats = compare(sandbox, **tables("orders", "orders_staging"))[0]["diff_stats"]
        assert (stats["rows_removed"], stats["diff_rows_count"]) == (1, 1)
        running.terminate()
        assert running.wait(timeout=30) == 0
    assert not Path(database).parent.exists()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b", "c"], "pass at most two, for the two data sources"),
        (["shop.duckdb"], "install the same version of DuckDB for both"),
    ],
)
def test_databases_that_it_refuses(names: list[str], message: str, tmp_path: Path) -> None:
    with open(fill_duckdb(tmp_path / "shop.duckdb"), "r+b") as file:
        file.seek(12)  # The version, after the magic bytes.
        file.write((999).to_bytes(8, "little"))
    arguments = [word for name in names for word in ("--database", str(tmp_path / name))]
    command = [sys.executable, "-m", "dev.sandbox", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr.endswith(message + "\n")) == (2, True)


# The page.


def page_of(sandbox: Any, path: str) -> tuple[str, list[list[str]]]:
    """The page of a diff, once it has ended, and the rows of all its tables."""
    wait(sandbox, path, lambda diff: diff["done"])
    number = path.rpartition("/")[2]
    page = call(sandbox, "GET", f"/datadiffs/{number}/overview", headers={}).text
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    each = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return page, [[re.sub(r"<[^>]+>", "", cell).strip() for cell in row] for row in each]


def test_page(warehouse: Any) -> None:
    query = "select id, customer, amount, case id when 2 then '<b>&' end as day from orders"
    fields: dict[str, Any] = {"query1": query, "table2": ["other_orders"], "filter2": "id < 6"}
    page, rows = page_of(warehouse, start(warehouse, **fields))
    assert '<span class="badge bad">different</span>' in page
    for row in (
        ["Filter", "-", "id &lt; 6"],
        ["Rows", "5", "4"],
        ["Rows removed (only in the first)", "1"],
        ["customer", "2", "50.0000 %"],
        ["different", "4", "emptynull", "40.0", "null2024-01-02"],
        ["different", "2", "BobRob", "20.2520.5", "&lt;b&gt;&amp;2024-01-01"],
    ):
        assert row in rows
    assert "<b>&" not in page
    assert "Of another type: <code>day</code>" in page


def test_page_of_a_diff_that_compared_nothing(warehouse: Any) -> None:
    page, _ = page_of(warehouse, start(warehouse, query1="select '<i>' as", table2=["orders"]))
    assert "QueryError" in page
    assert "&lt;i&gt;" in page
    assert "<i>'" not in page
    _, rows = page_of(warehouse, start(warehouse, **tables("orders", "doubled_orders")))
    for row in (["Duplicates", "0", "2"], ["Nulls", "0", "1"], ["Rows different", "-"]):
        assert row in rows


# Queries.


def query(sandbox: Any, text: str, **more: Any) -> requests.Response:
    return call(sandbox, "POST", QUERY, json={"query": text, **more})


def test_a_query_runs(sandbox: Any, address: str) -> None:
    sandbox.state.data_sources.connect(1, address)
    answer = query(sandbox, "select id, customer from orders where id > 3 order by id -- some")
    assert answer.json()["rows"] == [{"id": 4, "customer": ""}, {"id": 5, "customer": None}]
    assert [column["name"] for column in answer.json()["columns"]] == ["id", "customer"]
    found = query(sandbox, "select count(*) as n, sum(amount) as s, max(day) as d from orders; ")
    assert found.json()["rows"] == [{"n": 5, "s": 100.75, "d": "2024-01-02"}]
    (problem,) = query(sandbox, "selec 1").json()["detail"]
    assert (problem["loc"], problem["type"]) == (["body"], "query_error")


def test_other_responses_to_queries(warehouse: Any) -> None:
    many = query(warehouse, "select range as id, 'nan'::double as x from range(15000)")
    assert [row["id"] for row in many.json()["rows"]] == list(range(data_sources.MOST_ROWS))
    assert many.json()["rows"][0]["x"] == "NaN"
    refused = query(warehouse, "select ?", params=["a"])
    assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["body", "params"])
    warehouse.state.data_sources.answers["select 1"] = {"rows": [{"a": 7}]}
    assert query(warehouse, "select 1").json()["rows"] == [{"a": 7}]


def test_a_query_does_not_hold_others_up_and_ends(
    warehouse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(real_queries, "_PATIENCE", 2)
    answers: list[requests.Response] = []
    thread = threading.Thread(target=lambda: answers.append(query(warehouse, ENDLESS)))
    thread.start()
    asked = warehouse.state.data_sources.comparisons
    while not asked:
        time.sleep(0.02)
    call(warehouse, "GET", "/api/v1/data_sources")
    assert not answers
    thread.join(60)
    assert "It took over 2 s" in answers[0].text
    assert is_gone(asked[0].pid)


# Runs of monitors.

COUNTED = {"type": "table", "metric": "row_count", "table": "orders"}


def run(sandbox: Any, kind: str, **spec: Any) -> dict[str, Any]:
    """Create a monitor, run it and read the run to its end."""
    body = {"name": "Orders", "schedule": {"type": "none"}, "connection_id": 1, **spec}
    created = call(sandbox, "POST", f"/api/v1/monitors/create/{kind}", json=body)
    one = f"/api/v1/monitors/{created.json()['id']}"
    path = f"{one}/runs/{call(sandbox, 'POST', f'{one}/run').json()['run_id']}"
    wait(sandbox, path, lambda found: found["state"] not in ("queued", "checking"))
    found: dict[str, Any] = call(sandbox, "GET", path).json()
    return found


def absolute(**limits: float | None) -> dict[str, Any]:
    return {"type": "absolute", **limits}


@pytest.mark.parametrize(
    ("kind", "spec", "state"),
    [
        ("test", {"query": "select * from orders where id > 100"}, "ok"),
        ("test", {"query": "select * from orders where id > 4;"}, "alert"),
        ("metric", {"metric": {**COUNTED, "table": "main.orders"}}, "ok"),
        ("metric", {"metric": COUNTED, "alert": absolute(min=5, max=5)}, "ok"),
        ("metric", {"metric": COUNTED, "alert": absolute(min=5.5)}, "alert"),
        ("metric", {"metric": {**COUNTED, "filter": "id < 3"}, "alert": absolute(max=2)}, "ok"),
    ],
)
def test_rows_are_counted(kind: str, spec: Any, state: str, warehouse: Any) -> None:
    found = run(warehouse, kind, **spec)
    assert (found["state"], found["error"]) == (state, None)


def test_a_run_that_fails_says_why(warehouse: Any) -> None:
    found = run(warehouse, "test", query="select * from nowhere")
    assert found["state"] == "error"
    assert "nowhere" in found["error"]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("test", {"query": "select 1", "connection_id": 2}),
        ("schema", {"table": "orders"}),
        ("metric", {"metric": {**COUNTED, "metric": "freshness"}}),
        ("metric", {"metric": COUNTED, "alert": {"type": "automatic", "sensitivity": 1}}),
    ],
)
def test_other_runs_follow_their_course(kind: str, spec: Any, warehouse: Any) -> None:
    warehouse.state.monitors.courses.coming.append(run_course("learning"))
    assert run(warehouse, kind, **spec)["state"] == "learning"
