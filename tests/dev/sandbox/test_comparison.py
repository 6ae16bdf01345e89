"""What a comparison finds, in each kind of database."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import psycopg2
import pytest

from dev.comparison import table
from dev.comparison.answer import compare, show
from dev.comparison.question import Question, Side, Tolerance
from dev.comparison.table import ReadError
from dev.local_airflow.postgresql import start_postgresql
from dev.local_airflow.programs import ProgramError, Programs

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
ENDLESS = (
    "with recursive n(id) as (select 1 union all select id from n) select sum(id) as id from n"
)


def fill_duckdb(path: Path, script: str = TABLES) -> str:
    with duckdb.connect(str(path)) as database:
        database.execute(script)
    return str(path)


def fill_sqlite(path: Path, script: str = TABLES) -> str:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(script)
    return str(path)


@pytest.fixture(scope="module", params=["duckdb", "sqlite", "postgresql"])
def address(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with all the tables."""
    if request.param != "postgresql":
        fill = fill_duckdb if request.param == "duckdb" else fill_sqlite
        yield fill(tmp_path_factory.mktemp(request.param) / "warehouse.db")
        return
    # Every account can enter this folder, unlike pytest's folders.
    folder = TemporaryDirectory(prefix="datafold-tests-")
    with folder as home, Programs(Path(home), 300) as programs:
        try:
            url = f"postgresql://{start_postgresql(programs, Path(home))}"
        except ProgramError as error:
            if not str(error).startswith("There is no PostgreSQL"):
                pytest.fail(f"{error}\n{programs.last_lines()}")
            pytest.skip(str(error))
        with closing(psycopg2.connect(url)) as database, database.cursor() as cursor:
            cursor.execute(TABLES)
            database.commit()
        yield url


def ask(address: str, first: str, second: str, **more: Any) -> dict[str, Any]:
    sides = [Side(address, table=[name]) for name in (first, second)]
    return compare(Question(**{"sides": sides, "keys": ["id"], **more}), lambda number: None)


def figures(answer: dict[str, Any]) -> tuple[Any, ...]:
    names = ("rows_added", "rows_removed", "diff_rows_count", "diff_schema")
    return (answer["result"], *(answer["diff_stats"][name] for name in names))


def test_identical(address: str) -> None:
    answer = ask(address, "orders", "same_orders")

    assert figures(answer) == ("identical", 0, 0, 0, 0.0)
    stats, results = answer["diff_stats"], answer["summary_results"]
    assert (stats["table_a_row_count"], stats["table_b_row_count"]) == (5, 5)
    assert (stats["match_ratio"], stats["sampled"], answer["rows"]) == (1.0, False, [])
    assert (results["pks"]["distincts"], results["schema"]["column_counts"]) == ([5, 5], [4, 4])


def test_different(address: str) -> None:
    answer = ask(address, "orders", "other_orders")

    assert figures(answer) == ("different", 1, 1, 2, 0.0)
    # Of the six keys of both tables, two have the same row.
    assert answer["diff_stats"]["match_ratio"] == 2 / 6
    assert answer["summary_results"]["pks"]["exclusives"] == [1, 1]
    values = answer["summary_results"]["values"]
    assert [tuple(each.values()) for each in values["columns_diff_stats"]] == [
        ("customer", 50.0, 2),
        ("amount", 75.0, 1),
        ("day", 100.0, 0),
    ]
    assert (values["total_rows"], values["total_values"]) == (4, 12)
    assert (values["rows_with_differences"], values["values_with_differences"]) == (2, 3)
    assert (values["compared_columns"], values["columns_with_differences"]) == (3, 2)
    assert [(row["how"], row["key"]["id"]) for row in answer["rows"]] == [
        ("removed", "1"),
        ("different", "2"),
        ("different", "4"),
        ("added", "6"),
    ]
    customer = answer["rows"][2]["values"]["customer"]
    assert customer == {"first": "", "second": None, "differs": True}
    assert not answer["rows"][2]["values"]["day"]["differs"]


@pytest.mark.parametrize(
    ("first", "second", "keys", "expected", "pks"),
    [
        ("no_orders", "no_orders", ["id"], "empty", ([0, 0], [0, 0], [0, 0])),
        ("orders", "doubled_orders", ["id"], "bad-pks", ([5, 8], [0, 1], [0, 2])),
        ("orders", "renamed_orders", ["number"], "missing-pks", ([5, 5], [0, 0], [0, 0])),
        ("orders", "renamed_orders", ["id", "number"], "missing-pks", ([5, 5], [0, 0], [0, 0])),
        ("orders", "orders", [], "missing-pks", ([5, 5], [0, 0], [0, 0])),
    ],
)
def test_not_compared(
    first: str, second: str, keys: list[str], expected: str, pks: Any, address: str
) -> None:
    answer = ask(address, first, second, keys=keys)

    assert figures(answer)[:4] == (expected, None, None, None)
    found = answer["summary_results"]["pks"]
    assert (found["total_rows"], found["nulls"], found["dupes"]) == pks
    assert answer["summary_results"]["values"] is None


@pytest.mark.parametrize(
    ("first", "second", "more", "expected"),
    [
        ("orders", "no_orders", {}, ("different", 0, 5, 0, 0.0)),
        ("no_orders", "orders", {}, ("different", 5, 0, 0, 0.0)),
        # Other columns and types, and columns that are not compared.
        ("orders", "wider_orders", {}, ("different", 0, 0, 0, 1.0)),
        ("orders", "wider_orders", {"excluded": ["more"]}, ("identical", 0, 0, 0, 0.0)),
        ("orders", "wider_orders", {"judges_schema": False}, ("identical", 0, 0, 0, 0.0)),
        ("orders", "texts", {}, ("different", 0, 0, 0, 1.0)),
        ("orders", "renamed_orders", {"renamed": [["id", "number"]]}, ("identical", 0, 0, 0, 0.0)),
        ("orders", "other_orders", {"included": ["Day"]}, ("different", 1, 1, 0, 0.0)),
        # Keys in any case, of two columns, and inferred.
        ("orders", "other_orders", {"keys": ["ID"]}, ("different", 1, 1, 2, 0.0)),
        ("same_orders", "orders", {"keys": ["customer", "id"]}, ("bad-pks", None, None, None, 0)),
        ("orders", "other_orders", {"keys": [], "infers_keys": True}, ("different", 1, 1, 2, 0.0)),
        (
            "orders",
            "doubled_orders",
            {"keys": [], "infers_keys": True},
            ("missing-pks", *[None] * 3, 0),
        ),
    ],
)
def test_columns_and_keys(
    first: str, second: str, more: dict[str, Any], expected: Any, address: str
) -> None:
    assert figures(ask(address, first, second, **more)) == expected


def test_names_the_columns_of_one_side_and_those_of_another_type(address: str) -> None:
    schema = ask(address, "orders", "wider_orders")["summary_results"]["schema"]
    assert (schema["exclusive_columns"], schema["columns_mismatched"]) == ([[], ["more"]], [0, 1])
    schema = ask(address, "orders", "texts")["summary_results"]["schema"]
    assert schema["column_type_differs"] == ["id"]


def test_queries_and_filters(address: str) -> None:
    first = Side(
        address,
        query="select id, amount from orders -- all of them\n;",
        filter="id between 2 and 5 -- not the first",
    )
    second = Side(address, table=["other_orders"], filter="id <> 6")

    answer = ask(address, "", "", sides=[first, second], included=["amount"])

    assert figures(answer) == ("different", 0, 0, 1, 0.0)


@pytest.mark.parametrize(
    ("more", "different"),
    [
        ({"tolerance": Tolerance(0.25)}, 0),
        ({"tolerance": Tolerance(0.2)}, 1),
        ({"tolerance": Tolerance(0.0122, relative=True)}, 0),
        ({"tolerance": Tolerance(0.0121, relative=True)}, 1),
        ({"tolerances": {"AMOUNT": Tolerance(1)}}, 0),
    ],
)
def test_tolerance(more: dict[str, Any], different: int, address: str) -> None:
    answer = ask(address, "orders", "other_orders", included=["amount"], **more)
    assert figures(answer) == ("different", 1, 1, different, 0.0)


@pytest.mark.parametrize(
    ("more", "rows"),
    [
        ({"sample_rows": 2}, 2),
        ({"sample_ratio": 0.6}, 3),
        ({"sample_ratio": 0.6, "sample_threshold": 5}, 3),
        ({"sample_ratio": 0.6, "sample_threshold": 6}, 5),
        ({"sample_rows": 9}, 5),
    ],
)
def test_sampling(more: dict[str, Any], rows: int, address: str) -> None:
    answer = ask(address, "orders", "same_orders", **more)

    assert answer["result"] == "identical"
    assert answer["summary_results"]["values"]["total_rows"] == rows
    assert answer["diff_stats"]["sampled"] is (rows < 5)


@pytest.mark.parametrize(
    ("fields", "kind", "message"),
    [
        ({"sides": ["nowhere"]}, "QueryError", "Side 1: .*nowhere"),
        ({"included": ["nothing"]}, "ColumnNotFound", "no column 'nothing'. .* id, customer, amo"),
        ({"tolerances": {"customer": Tolerance(1)}}, "ToleranceError", "only numbers have a"),
    ],
)
def test_fails(fields: dict[str, Any], kind: str, message: str, address: str) -> None:
    if names := fields.get("sides"):
        fields = {"sides": [Side(address, table=names), Side(address, table=["orders"])]}
    with pytest.raises(ReadError, match=f"(?s){message}") as caught:
        ask(address, "orders", "orders", **fields)
    assert caught.value.kind == kind


# After the end of our query, or of that in which we put it for PostgreSQL.
@pytest.mark.parametrize(
    "query",
    [
        "select * from orders{}",
        "select * from orders) as query{}; select * from (select 1 as id",
        "select * from orders) as query) as side; commit{};"
        " select * from (select * from (select 1 as id",
    ],
)
@pytest.mark.parametrize(
    "statement",
    ["delete from orders", "drop table orders", "select 1", "attach '{folder}/other.db' as other"],
)
def test_runs_one_query_only(query: str, statement: str, address: str, tmp_path: Path) -> None:
    statement = statement.format(folder=tmp_path)
    for text in (
        query.format(f"; {statement}"),
        statement.replace("select 1", "select 1; select 1"),
    ):
        with pytest.raises(ReadError) as caught:
            table.read(Side(address, query=text))
        assert caught.value.kind == "QueryError"
    assert not list(tmp_path.iterdir())
    assert ask(address, "orders", "same_orders")["result"] == "identical"


@pytest.mark.parametrize("place", ["query", "filter", "table"])
@pytest.mark.parametrize(
    "source",
    [
        "read_text('{}')",
        "read_csv('{}')",
        "'{}'",
        "glob('{}*')",
        "read_csv('http://127.0.0.1:1/')",
        "duckdb_secrets()",
    ],
)
def test_reads_no_other_file(source: str, place: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    query = f"select * from {source.format(secret)}"
    sides = {
        "query": Side("", query=query),
        "filter": Side("", table=["orders"], filter=f"id in ({query})"),
        "table": Side("", table=[str(secret)]),
    }
    with pytest.raises(ReadError):
        table.read(replace(sides[place], address=fill_duckdb(tmp_path / "warehouse.duckdb")))


def test_across_databases(address: str, tmp_path: Path) -> None:
    lake = fill_duckdb(tmp_path / "lake.duckdb")
    sides = [Side(address, table=["orders"]), Side(lake, table=["other_orders"])]
    answer = ask("", "", "", sides=sides, judges_schema=False)
    assert figures(answer) == ("different", 1, 1, 2, 0.0)
    assert "schema" not in answer["summary_results"]


@pytest.mark.whole
def test_a_million_rows(tmp_path: Path) -> None:
    script = """
        create table large as
            select range as id, 'name ' || range as name, range * 0.5::double as amount
            from range(1000000);
        create table planted as
            select case when id % 100000 = 7 then id + 5000000 else id end as id, name,
                case when id % 58824 = 9 then amount + 1 else amount end as amount
            from large;
    """
    answer = ask(fill_duckdb(tmp_path / "large.duckdb", script), "large", "planted")

    # Ten of other keys, which makes twenty rows on one side only, and seventeen others.
    assert figures(answer) == ("different", 10, 10, 17, 0.0)
    assert answer["diff_stats"]["match_ratio"] == pytest.approx((1_000_010 - 37) / 1_000_010)


def test_any_value_of_sqlite(tmp_path: Path) -> None:
    script = """
        create table a (id integer, value);
        insert into a values (1, 1), (2, 1.5), (3, 'x'), (4, x'00ff'), (5, null), (6, '');
        create table b as select * from a;
        update b set value = x'00fe' where id = 4;
        update b set value = null where id = 6;
    """
    assert figures(ask(fill_sqlite(tmp_path / "a.db", script), "a", "b")) == (
        *("different", 0, 0, 2),
        0.0,
    )


def test_values_of_several_types(tmp_path: Path) -> None:
    script = """
        create table a as select 1 as id, 0.1::decimal(9, 1) as n, 'nan'::double as x,
            timestamptz '2024-01-01 12:00:00+02' as at, [1, 2] as list, true as flag;
        create table b as select 1::bigint as id, 0.1::double as n, 'nan'::double as x,
            timestamptz '2024-01-01 10:00:00+00' as at, [1, 2] as list, true as flag;
    """
    address = fill_duckdb(tmp_path / "a.duckdb", script)
    assert figures(ask(address, "a", "b", judges_schema=False)) == ("identical", 0, 0, 0, 0.0)
    (row,) = show(Question([Side(address, table=["a"])], shows=True))["rows"]
    assert (row["n"], row["x"], row["flag"]) == (0.1, str(math.nan), True)
    assert row["at"] == "2024-01-01 10:00:00"


@pytest.mark.parametrize(
    ("first", "second", "more", "different"),
    [
        ("'nan'::float", "'nan'::double", {}, 0),
        ("'nan'::double", "1.0::double", {"tolerance": Tolerance(1, relative=True)}, 1),
        ("'inf'::double", "1.0::double", {"tolerance": Tolerance(1, relative=True)}, 1),
        ("'inf'::double", "'inf'::double", {"tolerance": Tolerance(1)}, 0),
        ("9007199254740993", "9007199254740992::double", {}, 1),
        ("1.5::decimal(9, 1)", "'1.5'", {}, 0),
        ("1", "2", {"tolerance": Tolerance(1)}, 1),
        ("1", "2", {"tolerances": {"x": Tolerance(1)}}, 0),
        ("null", "0", {"tolerances": {"x": Tolerance(1)}}, 1),
    ],
)
def test_numbers(
    first: str, second: str, more: dict[str, Any], different: int, tmp_path: Path
) -> None:
    script = f"create table a as select 1 as id, {first} as x;"
    script += f"create table b as select 1 as id, {second} as x;"
    answer = ask(fill_duckdb(tmp_path / "a.duckdb", script), "a", "b", **more)
    assert answer["diff_stats"]["diff_rows_count"] == different


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
    with subprocess.Popen(
        [sys.executable, "-c", f"{hold}\nprint('held', flush=True)\ninput()", address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ReadError) as caught:
            table.read(Side(address, ["orders"]))
        table.check(address)
        holder.communicate("\n")
    assert (caught.value.kind, caught.value.is_retryable) == ("DatabaseLocked", True)


def test_file_that_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="There is no file"):
        table.read(Side(str(tmp_path / "orders.csv"), ["orders"]))
    (tmp_path / "orders.csv").write_text("id,amount\n1,2\n" * 100)
    with pytest.raises(ReadError, match="file is not a database"):
        table.read(Side(str(tmp_path / "orders.csv"), ["orders"]))


def test_file_that_a_newer_duckdb_wrote(tmp_path: Path) -> None:
    address = fill_duckdb(tmp_path / "warehouse.duckdb")
    table.check(address)
    with open(address, "r+b") as file:
        file.seek(12)  # The version, after the magic bytes.
        file.write((999).to_bytes(8, "little"))
    with pytest.raises(ReadError, match="install the same version of DuckDB for both"):
        table.check(address)


def test_file_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "a folder").mkdir()
    fill_duckdb(tmp_path / "a folder" / "it's.duckdb")
    (tmp_path / "warehouse").symlink_to(tmp_path / "a folder" / "it's.duckdb")
    answer = ask(str(tmp_path / "warehouse"), "orders", "same_orders")
    assert answer["result"] == "identical"
