"""Data diffs of the sandbox that really compare, in each kind of database."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import duckdb
import psycopg2
import pytest
import requests

from dev.comparison import table
from dev.comparison.question import Side
from dev.comparison.table import ReadError
from dev.local_airflow.postgresql import start_postgresql
from dev.local_airflow.programs import ProgramError, Programs
from dev.sandbox import Sandbox
from tests.conftest import API_KEY, ROOT
from tests.dev.test_sandbox import KEY, call

# SQL that all three databases understand.
TABLES = """
create table orders (id integer, customer varchar(20), amount double precision, day date);
insert into orders values
    (1, 'Ann', 10.5, '2024-01-01'),
    (2, 'Bob', 20.25, '2024-01-01'),
    (3, 'Cy, "the" third
one', 30, '2024-01-02'),
    (4, '', 40, '2024-01-02'),
    (5, null, null, null);
create table same_orders as select * from orders;
create table other_orders as select * from orders where id <> 1;
update other_orders set customer = 'Rob', amount = 20.5 where id = 2;
update other_orders set customer = null where id = 4;
insert into other_orders values (6, 'Flo', 60, '2024-01-03');
create table no_orders as select * from orders where id = 0;
create table doubled_orders as
    select * from orders union all select * from orders where id in (1, 2)
    union all select null, customer, amount, day from orders where id = 1;
create table renamed_orders as select id as number, customer, amount, day from orders;
create table wider_orders as select *, 7 as more from orders;
create table texts as select cast(id as varchar(9)) as id, customer, amount, day from orders;
"""


def fill_duckdb(path: Path) -> str:
    with duckdb.connect(str(path)) as database:
        database.execute(TABLES)
    return str(path)


def fill_sqlite(path: Path) -> str:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(TABLES)
    return str(path)


def fill_postgresql(programs: Programs, home: Path) -> str:
    url = f"postgresql://{start_postgresql(programs, home)}"
    with closing(psycopg2.connect(url)) as database, database.cursor() as cursor:
        cursor.execute(TABLES)
        database.commit()
    return url


@pytest.fixture(scope="module", params=["duckdb", "sqlite", "postgresql"])
def address(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with all the tables."""
    if request.param != "postgresql":
        fill = fill_duckdb if request.param == "duckdb" else fill_sqlite
        yield fill(tmp_path_factory.mktemp(request.param) / "warehouse.db")
        return
    # Every account can enter this folder, unlike pytest's folders.
    with TemporaryDirectory(prefix="datafold-tests-") as folder:
        home = Path(folder)
        with Programs(home, 300) as programs:
            try:
                url = fill_postgresql(programs, home)
            except ProgramError as error:
                if not str(error).startswith("There is no PostgreSQL"):
                    pytest.fail(f"{error}\n{programs.last_lines()}")
                pytest.skip(str(error))
            yield url


@pytest.fixture
def sources(sandbox: Any, address: str) -> Any:
    """The sandbox with the database behind data source 1."""
    sandbox.state.data_sources.connect(1, address)
    return sandbox


@pytest.fixture
def warehouse(sandbox: Any, tmp_path: Path) -> Any:
    """The sandbox with a DuckDB file behind data source 1."""
    sandbox.state.data_sources.connect(1, fill_duckdb(tmp_path / "warehouse.duckdb"))
    return sandbox


def start(sandbox: Any, **fields: Any) -> str:
    body = {"data_source1_id": 1, "data_source2_id": 1, "pk_columns": ["id"], **fields}
    answer = call(sandbox, "POST", "/api/v1/datadiffs", json=body)
    assert answer.status_code == 200, answer.text
    return f"/api/v1/datadiffs/{answer.json()['id']}"


def wait(sandbox: Any, path: str, until: Callable[[Any], bool]) -> dict[str, Any]:
    for _ in range(3000):
        # Without validation each time, which takes longer than the diff.
        diff = requests.get(sandbox.url + path, headers=KEY, timeout=10).json()
        if until(diff):
            shown: dict[str, Any] = call(sandbox, "GET", path).json()
            return shown
        time.sleep(0.02)
    raise AssertionError(f"{path} is {diff['status']}")


def compare(sandbox: Any, **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Compare, and return the diff and its results."""
    path = start(sandbox, **fields)
    diff = wait(sandbox, path, lambda diff: diff["done"])
    return diff, call(sandbox, "GET", f"{path}/summary_results").json()


def tables(first: str, second: str) -> dict[str, list[str]]:
    return {"table1": [first], "table2": [second]}


def figures(diff: dict[str, Any]) -> tuple[Any, ...]:
    stats = diff["diff_stats"]
    names = ("rows_added", "rows_removed", "diff_rows_count", "diff_schema")
    return (diff["result"], *(stats[name] for name in names))


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that has ended is kept until its result is read.
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return not found.stdout.startswith("Z") and found.stdout != ""


def is_gone(pid: int) -> bool:
    for _ in range(500):
        if not is_running(pid):
            return True
        time.sleep(0.02)
    return False


# What it finds, in each kind of database.


def test_identical(sources: Any) -> None:
    diff, results = compare(sources, **tables("orders", "same_orders"))
    assert (diff["status"], *figures(diff)) == ("done", "identical", 0, 0, 0, 0.0)
    stats = diff["diff_stats"]
    assert (stats["table_a_row_count"], stats["table_b_row_count"]) == (5, 5)
    assert (stats["match_ratio"], stats["sampled"]) == (1.0, False)
    assert diff["diff_progress"] == {"version": "1", "completed_steps": 4, "total_steps": 4}
    assert results["pks"] == {
        "total_rows": [5, 5],
        "nulls": [0, 0],
        "dupes": [0, 0],
        "exclusives": [0, 0],
        "distincts": [5, 5],
    }
    assert results["schema"]["column_counts"] == [4, 4]


def test_different(sources: Any) -> None:
    diff, results = compare(sources, **tables("orders", "other_orders"))
    assert figures(diff) == ("different", 1, 1, 2, 0.0)
    # Of the six keys of both tables, two have the same row.
    assert diff["diff_stats"]["match_ratio"] == 2 / 6
    assert results["pks"]["exclusives"] == [1, 1]
    values = results["values"]
    found = {each["column_name"]: each["values_different"] for each in values["columns_diff_stats"]}
    assert found == {"customer": 2, "amount": 1, "day": 0}
    assert {each["column_name"]: each["match"] for each in values["columns_diff_stats"]} == {
        "customer": 50.0,
        "amount": 75.0,
        "day": 100.0,
    }
    assert (values["total_rows"], values["total_values"]) == (4, 12)
    assert (values["rows_with_differences"], values["values_with_differences"]) == (2, 3)
    assert (values["compared_columns"], values["columns_with_differences"]) == (3, 2)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("no_orders", "no_orders", ("empty", None, None, None, 0.0)),
        ("orders", "no_orders", ("different", 0, 5, 0, 0.0)),
        ("no_orders", "orders", ("different", 5, 0, 0, 0.0)),
    ],
)
def test_empty(sources: Any, first: str, second: str, expected: Any) -> None:
    diff, results = compare(sources, **tables(first, second))
    assert figures(diff) == expected
    assert diff["diff_stats"]["table_a_row_count"] == results["pks"]["total_rows"][0]


def test_doubled_keys(sources: Any) -> None:
    diff, results = compare(sources, **tables("orders", "doubled_orders"))
    assert figures(diff) == ("bad-pks", None, None, None, 0.0)
    assert results["pks"] == {
        "total_rows": [5, 8],
        "nulls": [0, 1],
        "dupes": [0, 2],
        "exclusives": [0, 0],
        "distincts": [5, 5],
    }
    assert results["values"] is None


@pytest.mark.parametrize("keys", [["number"], ["id", "number"], []])
def test_missing_keys(sources: Any, keys: list[str]) -> None:
    diff, results = compare(sources, **tables("orders", "renamed_orders"), pk_columns=keys)
    assert figures(diff)[:4] == ("missing-pks", None, None, None)
    assert results["pks"]["total_rows"] == [5, 5]


def test_changed_schema(sources: Any) -> None:
    diff, results = compare(sources, **tables("orders", "wider_orders"))
    assert figures(diff) == ("different", 0, 0, 0, 1.0)
    assert results["schema"]["exclusive_columns"] == [[], ["more"]]
    assert results["schema"]["columns_mismatched"] == [0, 1]
    diff, _ = compare(sources, **tables("orders", "wider_orders"), exclude_columns=["more"])
    assert figures(diff) == ("identical", 0, 0, 0, 0.0)


def test_changed_type(sources: Any) -> None:
    diff, results = compare(sources, **tables("orders", "texts"))
    assert figures(diff) == ("different", 0, 0, 0, 1.0)
    assert results["schema"]["column_type_differs"] == ["id"]


def test_queries_and_filters(sources: Any) -> None:
    diff, _ = compare(
        sources,
        query1="select id, amount from orders -- all of them\n;",
        table2=["other_orders"],
        filter1="id between 2 and 5 -- not the first",
        filter2="id <> 6",
        include_columns=["amount"],
    )
    assert figures(diff) == ("different", 0, 0, 1, 0.0)
    assert diff["diff_stats"]["table_a_row_count"] == 4


def test_renamed_columns(sources: Any) -> None:
    mapping = {"column_mapping": [["id", "number"]]}
    diff, _ = compare(sources, **tables("orders", "renamed_orders"), **mapping)
    assert figures(diff) == ("identical", 0, 0, 0, 0.0)


def test_columns_in_any_case(sources: Any) -> None:
    fields = {"pk_columns": ["ID"], "include_columns": ["Day"]}
    diff, results = compare(sources, **tables("orders", "other_orders"), **fields)
    assert figures(diff) == ("different", 1, 1, 0, 0.0)
    assert [each["column_name"] for each in results["values"]["columns_diff_stats"]] == ["day"]


def test_infers_the_key(sources: Any) -> None:
    fields = {"pk_columns": [], "infer_pk": True}
    diff, _ = compare(sources, **tables("orders", "other_orders"), **fields)
    assert (diff["pk_columns"], figures(diff)[1:4]) == (["id"], (1, 1, 2))
    diff, _ = compare(sources, **tables("orders", "doubled_orders"), **fields)
    assert (diff["pk_columns"], diff["result"]) == ([], "missing-pks")


def test_key_of_two_columns(sources: Any) -> None:
    fields = {"pk_columns": ["day", "id"], "filter1": "id < 5", "filter2": "id < 5"}
    diff, _ = compare(sources, **tables("orders", "other_orders"), **fields)
    assert figures(diff) == ("different", 0, 1, 2, 0.0)


@pytest.mark.parametrize(
    ("tolerance", "different"),
    [
        ({"diff_tolerance": 0.25}, 0),
        ({"diff_tolerance": 0.2}, 1),
        ({"diff_tolerance": 0.0122, "tolerance_mode": "relative"}, 0),
        ({"diff_tolerance": 0.0121, "tolerance_mode": "relative"}, 1),
        (
            {
                "diff_tolerance": 0,
                "diff_tolerances_per_column": [
                    {"column_name": "amount", "tolerance_value": 1, "tolerance_mode": "absolute"}
                ],
            },
            0,
        ),
    ],
)
def test_tolerance(sources: Any, tolerance: dict[str, Any], different: int) -> None:
    fields = {**tolerance, "include_columns": ["amount"]}
    diff, _ = compare(sources, **tables("orders", "other_orders"), **fields)
    assert figures(diff) == ("different", 1, 1, different, 0.0)


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        (tables("orders", "nowhere"), "QueryError", "Side 2: .*nowhere"),
        ({"query1": "selec 1", "table2": ["orders"]}, "QueryError", "Side 1: .*syntax error"),
        (
            {**tables("orders", "orders"), "include_columns": ["nothing"]},
            "ColumnNotFound",
            "There is no column 'nothing'. The columns are id, customer, amount, day$",
        ),
        (
            {
                **tables("orders", "orders"),
                "diff_tolerances_per_column": [
                    {"column_name": "customer", "tolerance_value": 1, "tolerance_mode": "absolute"}
                ],
            },
            "ToleranceError",
            "customer is (VARCHAR and VARCHAR|TEXT and TEXT|varchar and varchar): only numbers",
        ),
    ],
)
def test_fails(sources: Any, fields: dict[str, Any], error: str, text: str) -> None:
    diff, results = compare(sources, **fields)
    assert (diff["status"], diff["result"], diff["diff_stats"]) == ("failed", "error", None)
    assert results["error"]["error_type"] == error
    assert re.match(text, results["error"]["error_value"], re.DOTALL)


def test_leaves_the_database_as_it_is(sources: Any) -> None:
    diff, results = compare(sources, query1="delete from orders returning *", table2=["orders"])
    assert (diff["status"], results["error"]["error_type"]) == ("failed", "QueryError")
    diff, _ = compare(sources, **tables("orders", "same_orders"))
    assert diff["result"] == "identical"


# After the end of our query, or of that in which we put it for PostgreSQL.
@pytest.mark.parametrize(
    "end",
    [
        "; {}",
        ") as query; {}; select * from (select 1 as id",
        ") as query) as side; commit; {}; select * from (select * from (select 1 as id",
    ],
)
@pytest.mark.parametrize(
    "statement", ["delete from orders", "drop table orders", "select 1", "attach '{}' as other"]
)
def test_runs_one_query_only(end: str, statement: str, sources: Any, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    query = "select * from orders" + end.format(statement.format(other))
    diff, results = compare(sources, query1=query, table2=["orders"])
    assert (diff["status"], results["error"]["error_type"]) == ("failed", "QueryError")
    assert not other.exists()
    diff, _ = compare(sources, **tables("orders", "same_orders"))
    assert diff["result"] == "identical"


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_text('{}')",
        "select * from read_csv('{}')",
        "select * from '{}'",
        "select * from glob('{}*')",
        "select * from read_csv('http://127.0.0.1:{port}/sandbox/audit')",
        "select * from duckdb_secrets()",
    ],
)
def test_reads_no_other_file(query: str, warehouse: Any, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    query = query.replace("{port}", str(warehouse.port)).format(tmp_path / "secret.csv")
    for fields in (
        {"query1": query, "table2": ["orders"]},
        {"table1": ["orders"], "query2": query},
    ):
        diff, results = compare(warehouse, **fields)
        assert (diff["status"], results["error"]["error_type"]) == ("failed", "QueryError")
    table = {"table1": [str(tmp_path / "secret.csv")], "table2": ["orders"]}
    assert compare(warehouse, **table)[0]["status"] == "failed"
    filtered = {**tables("orders", "orders"), "filter1": f"id in ({query})"}
    assert compare(warehouse, **filtered)[0]["status"] == "failed"


def test_file_behind_a_link(sandbox: Any, tmp_path: Path) -> None:
    (tmp_path / "a folder").mkdir()
    fill_duckdb(tmp_path / "a folder" / "it's.duckdb")
    (tmp_path / "warehouse").symlink_to(tmp_path / "a folder" / "it's.duckdb")
    sandbox.state.data_sources.connect(1, tmp_path / "warehouse")
    assert compare(sandbox, **tables("orders", "same_orders"))[0]["result"] == "identical"


# Across databases.


def test_across_databases(sandbox: Any, address: str, tmp_path: Path) -> None:
    sandbox.state.data_sources.connect(1, address)
    sandbox.state.data_sources.connect(2, fill_duckdb(tmp_path / "lake.duckdb"))
    diff, results = compare(sandbox, **tables("orders", "other_orders"), data_source2_id=2)
    assert (diff["kind"], *figures(diff)) == ("cross_db", "different", 1, 1, 2, 0.0)
    assert "schema" not in results
    diff, _ = compare(sandbox, **tables("orders", "wider_orders"), data_source2_id=2)
    assert diff["result"] == "identical"


def test_only_one_side_has_a_database(warehouse: Any) -> None:
    body = {"data_source1_id": 2, "data_source2_id": 1, **tables("orders", "orders")}
    answer = call(warehouse, "POST", "/api/v1/datadiffs", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "data_source1_id"]


def test_without_a_database_the_course_counts(warehouse: Any) -> None:
    body = {"data_source1_id": 2, "data_source2_id": 2}
    diff, _ = compare(warehouse, **tables("no", "where"), **body)
    assert diff["result"] == "identical"


# Scale.


def test_a_million_rows(sandbox: Any, tmp_path: Path) -> None:
    path = tmp_path / "large.duckdb"
    with duckdb.connect(str(path)) as database:
        database.execute(
            """
            create table large as
                select range as id, 'name ' || range as name, range * 0.5::double as amount
                from range(1000000);
            create table planted as
                select case when id % 100000 = 7 then id + 5000000 else id end as id, name,
                    case when id % 58824 = 9 then amount + 1 else amount end as amount
                from large;
            """
        )
    sandbox.state.data_sources.connect(1, path)
    diff, results = compare(sandbox, **tables("large", "planted"))
    # Ten of other keys, which makes twenty rows on one side only, and seventeen others.
    assert figures(diff) == ("different", 10, 10, 17, 0.0)
    assert diff["diff_stats"]["match_ratio"] == pytest.approx((1_000_010 - 37) / 1_000_010)
    assert results["values"]["total_rows"] == 999_990
    sample = {"sampling_max_rows": 1000}
    diff, _ = compare(sandbox, **tables("large", "large"), **sample)
    assert (diff["result"], diff["diff_stats"]["sampled"]) == ("identical", True)


@pytest.mark.parametrize(
    ("sampling", "rows"),
    [
        ({"sampling_max_rows": 2}, 2),
        ({"sampling_ratio": 0.6}, 3),
        ({"sampling_ratio": 0.6, "sampling_threshold": 5}, 3),
        ({"sampling_ratio": 0.6, "sampling_threshold": 6}, 5),
        ({"sampling_max_rows": 9}, 5),
    ],
)
def test_sampling(sources: Any, sampling: dict[str, Any], rows: int) -> None:
    diff, results = compare(sources, **tables("orders", "same_orders"), **sampling)
    assert diff["result"] == "identical"
    assert (results["values"]["total_rows"], diff["diff_stats"]["sampled"]) == (rows, rows < 5)
    assert diff["diff_stats"]["table_a_row_count"] == 5


# Refused requests.


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("file1", "s3://bucket/orders.csv"),
        ("time_travel_point1", -130),
        ("column_rules", []),
        ("table_modifiers", ["case_insensitive_strings"]),
        ("infer_pk_avoid_names", ["id"]),
    ],
)
def test_refuses_what_it_does_not_do(warehouse: Any, field: str, value: Any) -> None:
    body = {"data_source1_id": 1, "data_source2_id": 1, "pk_columns": ["id"], field: value}
    body |= tables("orders", "orders")
    answer = call(warehouse, "POST", "/api/v1/datadiffs", json=body)
    (problem,) = answer.json()["detail"]
    assert (answer.status_code, problem["loc"]) == (422, ["body", field])
    assert problem["msg"] == "The sandbox does not support this for real comparisons"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"table1": None}, "table1"),
        ({"query2": "select 1"}, "table2"),
        ({"diff_tolerance": -1}, "diff_tolerance"),
        ({"sampling_ratio": 1.0}, "sampling_ratio"),
        ({"sampling_max_rows": 0}, "sampling_max_rows"),
        ({"sampling_threshold": -1}, "sampling_threshold"),
    ],
)
def test_refuses_what_is_wrong(warehouse: Any, fields: dict[str, Any], place: str) -> None:
    body = {"data_source1_id": 1, "data_source2_id": 1, **tables("orders", "orders"), **fields}
    answer = call(warehouse, "POST", "/api/v1/datadiffs", json=body)
    assert answer.status_code == 422
    assert [problem["loc"] for problem in answer.json()["detail"]] == [["body", place]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("compare_duplicates", False),
        ("datetime_tolerance", 3),
        ("materialize_dataset1", True),
        ("run_profiles", False),
        ("sampling_tolerance", 0.01),
    ],
)
def test_takes_options_that_make_nothing_equal(
    warehouse: Any, field: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    start(warehouse, **tables("orders", "same_orders"), **{field: value})
    assert f"Ignored, because the sandbox compares without it: {field}" in caplog.messages


def test_ends_when_it_ended_and_not_when_somebody_looks(warehouse: Any) -> None:
    path = start(warehouse, **tables("orders", "same_orders"))
    assert call(warehouse, "GET", path).json()["finished_at"] is None
    job = warehouse.state.data_diffs.jobs[3]
    while not job.ended:
        time.sleep(0.02)
    ended = datetime.now(timezone.utc).isoformat()
    time.sleep(0.02)
    assert call(warehouse, "GET", path).json()["finished_at"] < ended


def test_defaults_are_no_options(warehouse: Any) -> None:
    defaults = {"materialize_without_sampling": False, "run_profiles": None, "archived": False}
    diff, _ = compare(warehouse, **tables("orders", "orders"), **defaults, tags=["a"])
    assert (diff["result"], diff["tags"]) == ("identical", ["a"])


# Its process.

ENDLESS = (
    "with recursive n(id) as (select 1 union all select id from n) select sum(id) as id from n"
)


def test_waits_processes_and_ends(warehouse: Any) -> None:
    warehouse.state.data_diffs.delay = 0.5
    path = start(warehouse, **tables("orders", "orders"))
    seen: list[str] = []

    def note(diff: dict[str, Any]) -> bool:
        seen.append(diff["status"])
        return bool(diff["done"])

    wait(warehouse, path, note)
    assert list(dict.fromkeys(seen))[-2:] == ["processing", "done"]
    assert set(seen) <= {"waiting", "processing", "done"}


def test_is_cancelled_in_mid_run(sources: Any, address: str) -> None:
    path = start(sources, query1=ENDLESS, table2=["orders"])
    wait(sources, path, lambda diff: diff["status"] == "processing")
    if address.startswith("postgresql:"):
        assert any(queries_at(address) for _ in range(500))
    job = sources.state.data_diffs.jobs[int(path.rpartition("/")[2])]
    assert is_running(job.pid)
    assert call(sources, "POST", f"{path}/cancel").json()["status"] == "cancelled"
    assert is_gone(job.pid)
    diff = call(sources, "GET", path).json()
    assert (diff["status"], diff["done"], diff["result"]) == ("cancelled", True, None)
    results = call(sources, "GET", f"{path}/summary_results").json()
    assert results["error"]["error_type"] == "Cancelled"
    if address.startswith("postgresql:"):
        assert any(queries_at(address) == 0 or time.sleep(0.02) for _ in range(500))
    # The database is free for others.
    diff, _ = compare(sources, **tables("orders", "orders"))
    assert diff["result"] == "identical"


def queries_at(url: str) -> int:
    """How many endless queries PostgreSQL is running."""
    with closing(psycopg2.connect(url)) as database, database.cursor() as cursor:
        cursor.execute(
            "select count(*) from pg_stat_activity"
            " where query like '%recursive%' and state = 'active' and pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


def test_stops_with_the_sandbox(tmp_path: Path) -> None:
    with Sandbox(api_key=API_KEY) as sandbox:
        sandbox.state.data_sources.connect(1, fill_duckdb(tmp_path / "warehouse.duckdb"))
        path = start(sandbox, query1=ENDLESS, table2=["orders"])
        wait(sandbox, path, lambda diff: diff["status"] == "processing")
        pid = sandbox.state.data_diffs.jobs[3].pid
        assert is_running(pid)
    assert is_gone(pid)


def test_stops_with_a_reset(warehouse: Any) -> None:
    start(warehouse, query1=ENDLESS, table2=["orders"])
    pid = warehouse.state.data_diffs.jobs[3].pid
    warehouse.state.reset()
    assert is_gone(pid)


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
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(running.pid)], capture_output=True, text=True
        )
        (pid,) = map(int, listed.stdout.split())
        running.kill()
    assert is_gone(pid)


def test_has_a_database_by_default() -> None:
    with program() as (running, sandbox, database):
        diff, _ = compare(sandbox, **tables("orders", "orders_staging"))
        assert figures(diff) == ("different", 0, 1, 1, 0.0)
        assert Path(database).is_file()
        running.terminate()
        assert running.wait(timeout=30) == 0
    assert not Path(database).parent.exists()


def test_has_two_data_sources() -> None:
    arguments = ["--database", "a", "--database", "b", "--database", "c"]
    ended = subprocess.run(
        [sys.executable, "-m", "dev.sandbox", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (
        2,
        "python -m dev.sandbox: error: --database: pass at most two, for the two data sources",
    )


def test_worker_that_dies(warehouse: Any) -> None:
    path = start(warehouse, query1=ENDLESS, table2=["orders"])
    os.kill(warehouse.state.data_diffs.jobs[3].pid, signal.SIGKILL)
    diff = wait(warehouse, path, lambda diff: diff["done"])
    error = call(warehouse, "GET", f"{path}/summary_results").json()["error"]
    assert (diff["status"], error["error_type"]) == ("failed", "WorkerError")
    assert error["is_retryable"] is True


# The files.


def test_file_that_is_not_there_yet(sandbox: Any, tmp_path: Path) -> None:
    sandbox.state.data_sources.connect(1, tmp_path / "warehouse.db")
    diff, results = compare(sandbox, **tables("orders", "same_orders"))
    assert (diff["status"], results["error"]["error_type"]) == ("failed", "DatabaseNotFound")
    fill_sqlite(tmp_path / "warehouse.db")
    diff, _ = compare(sandbox, **tables("orders", "same_orders"))
    assert diff["result"] == "identical"


def test_file_that_is_no_database(sandbox: Any, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("id,amount\n1,2\n" * 100)
    sandbox.state.data_sources.connect(1, tmp_path / "orders.csv")
    _, results = compare(sandbox, **tables("orders", "same_orders"))
    assert results["error"]["error_value"] == "Side 1: file is not a database"


def test_waits_for_the_lock_of_a_duckdb_file(warehouse: Any, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")):
        path = start(warehouse, **tables("orders", "same_orders"))
        wait(warehouse, path, lambda diff: diff["status"] == "processing")
        for _ in range(50):
            diff = call(warehouse, "GET", path).json()
            assert (diff["status"], diff["diff_progress"]["completed_steps"]) == ("processing", 0)
    diff = wait(warehouse, path, lambda diff: diff["done"])
    assert diff["result"] == "identical"


HOLD_DUCKDB = "import duckdb, sys; database = duckdb.connect(sys.argv[1])"
HOLD_SQLITE = (
    "import sqlite3, sys; database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
    "database.execute('begin exclusive')"
)


@pytest.mark.parametrize(("fill", "hold"), [(fill_duckdb, HOLD_DUCKDB), (fill_sqlite, HOLD_SQLITE)])
def test_file_that_stays_locked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fill: Callable[[Path], str], hold: str
) -> None:
    monkeypatch.setattr(table, "SECONDS_FOR_LOCK", 0)
    address = fill(tmp_path / "warehouse.db")
    holder = subprocess.Popen(
        [sys.executable, "-c", f"{hold}\nprint('held', flush=True)\ninput()", address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ReadError) as caught:
            table.read(Side(address, ["orders"]))
    finally:
        holder.communicate("\n")
    assert (caught.value.kind, caught.value.is_retryable) == ("DatabaseLocked", True)


def test_publish_by_swap(sandbox: Any, tmp_path: Path) -> None:
    path = tmp_path / "warehouse.db"
    fill_sqlite(path)
    sandbox.state.data_sources.connect(1, path)
    diff, _ = compare(sandbox, **tables("orders", "other_orders"))
    assert diff["result"] == "different"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "begin; alter table orders rename to old_orders;"
            " alter table other_orders rename to orders;"
            " alter table same_orders rename to other_orders; commit;"
        )
    diff, _ = compare(sandbox, **tables("old_orders", "other_orders"))
    assert diff["result"] == "identical"


def test_any_value_of_sqlite(sandbox: Any, tmp_path: Path) -> None:
    path = tmp_path / "warehouse.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            """
            create table a (id integer, value);
            insert into a values (1, 1), (2, 1.5), (3, 'x'), (4, x'00ff'), (5, null), (6, '');
            create table b as select * from a;
            update b set value = x'00fe' where id = 4;
            update b set value = null where id = 6;
            """
        )
    sandbox.state.data_sources.connect(1, path)
    diff, _ = compare(sandbox, **tables("a", "b"))
    assert figures(diff) == ("different", 0, 0, 2, 0.0)


# The page.


def cells(page: str) -> list[list[str]]:
    """The rows of all tables."""
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    each = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[re.sub(r"<[^>]+>", "", cell).strip() for cell in row] for row in each]


def page_of(sandbox: Any, path: str) -> str:
    number = path.rpartition("/")[2]
    return call(sandbox, "GET", f"/datadiffs/{number}/overview", headers={}).text


def test_page(warehouse: Any) -> None:
    query = "select id, customer, amount, case id when 2 then '<b>&' end as day from orders"
    fields: dict[str, Any] = {"query1": query, "table2": ["other_orders"], "filter2": "id < 6"}
    path = start(warehouse, **fields)
    wait(warehouse, path, lambda diff: diff["done"])
    page = page_of(warehouse, path)
    rows = cells(page)
    assert '<span class="badge bad">different</span>' in page
    assert ["Filter", "-", "id &lt; 6"] in rows
    assert ["Rows", "5", "4"] in rows
    assert ["Rows removed (only in the first)", "1"] in rows
    assert ["customer", "2", "50.0000 %"] in rows
    assert ["different", "4", "emptynull", "40.0", "null2024-01-02"] in rows
    assert ["different", "2", "BobRob", "20.2520.5", "&lt;b&gt;&amp;2024-01-01"] in rows
    assert "<b>&" not in page
    assert "Of another type: <code>day</code>" in page


def test_page_of_a_failed_diff(warehouse: Any) -> None:
    path = start(warehouse, query1="select '<i>' as", table2=["orders"])
    wait(warehouse, path, lambda diff: diff["done"])
    page = page_of(warehouse, path)
    assert "QueryError" in page
    assert "&lt;i&gt;" in page
    assert "<i>'" not in page


def test_page_of_doubled_keys(warehouse: Any) -> None:
    path = start(warehouse, **tables("orders", "doubled_orders"))
    assert '<span class="badge quiet">' in page_of(warehouse, path)
    wait(warehouse, path, lambda diff: diff["done"])
    rows = cells(page_of(warehouse, path))
    assert ["Duplicates", "0", "2"] in rows
    assert ["Nulls", "0", "1"] in rows
    assert ["Rows different", "-"] in rows
