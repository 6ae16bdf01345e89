"""What a comparison finds, in each kind of database."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest

from dev.comparison import workspace
from dev.comparison.answer import answer
from dev.comparison.table import check
from dev.comparison.workspace import ReadError
from tests.postgresql import postgresql

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
    with postgresql() as url:
        with closing(psycopg2.connect(url)) as database, database.cursor() as cursor:
            cursor.execute(TABLES)
            database.commit()
        yield url


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Another database with all the tables."""
    return fill_duckdb(tmp_path_factory.mktemp("lake") / "lake.duckdb")


def ask(address: str, first: str, second: str, **more: Any) -> dict[str, Any]:
    question = {"address1": address, "address2": address, "table1": [first], "table2": [second]}
    ids = {"data_source1_id": 1, "data_source2_id": 1, "pk_columns": ["id"]}
    return answer({**question, **ids, **more})


def figures(answer: dict[str, Any]) -> tuple[Any, ...]:
    names = ("rows_added", "rows_removed", "diff_rows_count", "diff_schema")
    return (answer["result"], *(answer["diff_stats"][name] for name in names))


def per_column(value: float, name: str = "AMOUNT") -> dict[str, Any]:
    each = {"column_name": name, "tolerance_value": value, "tolerance_mode": "absolute"}
    return {"diff_tolerances_per_column": [each]}


def case(first: str, second: str, expected: str, *figures: Any, **more: Any) -> Any:
    """Two tables, what they make of each other, and the other options of the diff."""
    return pytest.param(first, second, more, (expected, *(figures or [None, None, None, 0])))


QUERY = "select id, amount from orders -- all of them\n;"
FILTER = "id between 2 and 5 -- not the first"
SAME = (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("first", "second", "more", "expected"),
    [
        # Rows added, removed and different, and columns that differ.
        case("orders", "same_orders", "identical", *SAME),
        case("orders", "other_orders", "different", 1, 1, 2, 0),
        case("orders", "no_orders", "different", 0, 5, 0, 0),
        case("no_orders", "orders", "different", 5, 0, 0, 0),
        case("no_orders", "no_orders", "empty"),
        # Keys that are null and doubled, of two columns, in any case, inferred and missing.
        case("orders", "doubled_orders", "bad-pks"),
        case("same_orders", "orders", "bad-pks", pk_columns=["customer", "id"]),
        case("same_orders", "orders", "identical", *SAME, pk_columns=["ID"]),
        case("orders", "other_orders", "different", 1, 1, 2, 0, pk_columns=[], infer_pk=True),
        case("orders", "doubled_orders", "missing-pks", pk_columns=[], infer_pk=True),
        case("orders", "orders", "missing-pks", pk_columns=[]),
        case("orders", "texts", "missing-pks", None, None, None, 1, pk_columns=["id", "number"]),
        # Columns of one side, of another type, of another name, and that are not compared.
        case("orders", "wider_orders", "different", 0, 0, 0, 1),
        case("orders", "wider_orders", "identical", *SAME, exclude_columns=["more"]),
        case("orders", "wider_orders", "identical", *SAME, data_source2_id=2),
        case("orders", "texts", "different", 0, 0, 0, 1),
        case("orders", "renamed_orders", "identical", *SAME, column_mapping=[["id", "number"]]),
        case("orders", "other_orders", "different", 1, 1, 0, 0, include_columns=["Day"]),
        # A query and filters.
        case(
            "",
            "other_orders",
            "different",
            1,
            1,
            1,
            0,
            table1=None,
            query1=QUERY,
            include_columns=["amount"],
        ),
        case("orders", "other_orders", "different", 0, 0, 2, 0, filter1=FILTER, filter2="id < 6"),
        # Tolerances: the amounts are 20.25 and 20.5.
        *(
            case(
                *("orders", "other_orders", "different", 1, 1, different, 0),
                **{"include_columns": ["amount"], **more},
            )
            for different, more in (
                (0, {"diff_tolerance": 0.25}),
                (1, {"diff_tolerance": 0.2}),
                (0, {"diff_tolerance": 0.0122, "tolerance_mode": "relative"}),
                (1, {"diff_tolerance": 0.0121, "tolerance_mode": "relative"}),
                (0, per_column(1)),
            )
        ),
    ],
)
def test_planted_differences(
    first: str, second: str, more: dict[str, Any], expected: Any, address: str, lake: str
) -> None:
    assert figures(ask(address, first, second, **more)) == expected
    across = {**more, "address2": lake, "data_source2_id": 2}
    if not expected[-1]:
        # Only within a database do other columns make a difference.
        assert figures(ask(address, first, second, **across)) == expected


def test_all_that_differs(address: str) -> None:
    found = ask(address, "orders", "other_orders")

    # Of the six keys of both tables, two have the same row.
    stats, columns = found["diff_stats"], found["figures"]["columns"]
    assert (stats["match_ratio"], stats["sampled"]) == (2 / 6, False)
    assert (stats["table_a_row_count"], stats["table_b_row_count"]) == (5, 5)
    each = [("customer", 50.0, 2), ("amount", 75.0, 1), ("day", 100.0, 0)]
    assert [tuple(column.values()) for column in columns] == each
    rows = found["rows"]
    hows = [("removed", "1"), ("different", "2"), ("different", "4"), ("added", "6")]
    assert [(row["how"], row["key"]["id"]) for row in rows] == hows
    assert rows[2]["values"]["customer"] == {"first": "", "second": None, "differs": True}
    assert not rows[2]["values"]["day"]["differs"]


def test_keys_and_columns_that_do_not_fit(address: str) -> None:
    found = ask(address, "orders", "doubled_orders")["figures"]
    assert (found["nulls"], found["dupes"], found["distincts"]) == ([0, 1], [0, 2], [5, 5])
    schema = ask(address, "orders", "wider_orders")["figures"]["schema"]
    assert (schema["exclusive_columns"], schema["column_counts"]) == ([[], ["more"]], [4, 5])
    schema = ask(address, "orders", "texts")["figures"]["schema"]
    assert schema["column_type_differs"] == ["id"]


@pytest.mark.parametrize(
    ("more", "rows"),
    [
        ({"sampling_max_rows": 2}, 2),
        ({"sampling_ratio": 0.6, "sampling_threshold": 5}, 3),
        ({"sampling_ratio": 0.6, "sampling_threshold": 6}, 5),
        ({"sampling_max_rows": 9}, 5),
    ],
)
def test_sampling(more: dict[str, Any], rows: int, address: str) -> None:
    found = ask(address, "orders", "same_orders", **more)
    assert (found["result"], found["figures"]["compared"]) == ("identical", rows)
    assert found["diff_stats"]["sampled"] is (rows < 5)


@pytest.mark.parametrize(
    ("more", "kind", "message"),
    [
        ({"table2": ["nowhere"]}, "QueryError", "Side 2: .*nowhere"),
        ({"include_columns": ["no"]}, "ColumnNotFound", "no column 'no'. .* id, customer, amo"),
        (per_column(1, "customer"), "ToleranceError", "only numbers have a"),
    ],
)
def test_fails(more: dict[str, Any], kind: str, message: str, address: str) -> None:
    with pytest.raises(ReadError, match=f"(?s){message}") as caught:
        ask(address, "orders", "orders", **more)
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
@pytest.mark.parametrize("statement", ["drop table orders", "attach '{folder}/other.db' as other"])
def test_runs_one_query_only(query: str, statement: str, address: str, tmp_path: Path) -> None:
    statement = statement.format(folder=tmp_path)
    for text in (query.format(f"; {statement}"), statement):
        with pytest.raises(ReadError) as caught:
            answer({"address1": address, "query1": text})
        assert caught.value.kind == "QueryError"
    assert not list(tmp_path.iterdir())
    assert answer({"address1": address, "table1": ["orders"], "limit": 1})["rows"]


@pytest.mark.parametrize(
    "source",
    ["read_text('{}')", "read_csv('{}')", "'{}'", "glob('{}*')", "read_csv('http://127.0.0.1:1/')"],
)
def test_reads_no_other_file(source: str, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    query = f"select * from {source.format(tmp_path / 'secret.csv')}"
    address = fill_duckdb(tmp_path / "warehouse.duckdb")
    for side in (
        {"query1": query},
        {"table1": ["orders"], "filter1": f"id in ({query})"},
        {"table1": [str(tmp_path / "secret.csv")]},
    ):
        with pytest.raises(ReadError):
            answer({"address1": address, **side})


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
    found = ask(fill_duckdb(tmp_path / "large.duckdb", script), "large", "planted")

    # Ten of other keys, which makes twenty rows on one side only, and seventeen others.
    assert figures(found) == ("different", 10, 10, 17, 0)
    assert found["diff_stats"]["match_ratio"] == pytest.approx((1_000_010 - 37) / 1_000_010)


def test_any_value_of_sqlite(tmp_path: Path) -> None:
    script = """
        create table a (id integer, value);
        insert into a values (1, 1), (2, 1.5), (3, 'x'), (4, x'00ff'), (5, null), (6, '');
        create table b as select * from a;
        update b set value = case id when 4 then x'00fe' end where id in (4, 6);
    """
    assert figures(ask(fill_sqlite(tmp_path / "a.db", script), "a", "b"))[1:4] == (0, 0, 2)


RELATIVE = {"diff_tolerance": 1, "tolerance_mode": "relative"}


@pytest.mark.parametrize(
    ("first", "second", "more", "different"),
    [
        ("0.1::decimal(9, 1)", "0.1::double", {}, 0),
        ("'nan'::float", "'nan'::double", {}, 0),
        ("'nan'::double", "1.0::double", RELATIVE, 1),
        ("'inf'::double", "1.0::double", RELATIVE, 1),
        ("'inf'::double", "'inf'::double", {"diff_tolerance": 1}, 0),
        ("9007199254740993", "9007199254740992::double", {}, 1),
        ("1.5::decimal(9, 1)", "'1.5'", {}, 0),
        ("1", "2", {"diff_tolerance": 1}, 1),
        ("1", "2", per_column(1, "x"), 0),
        ("null", "0", per_column(1, "x"), 1),
        ("true", "1", {}, 0),
        ("[1, 2]", "[1, 3]", {}, 1),
        ("timestamptz '2024-01-01 12:00:00+02'", "timestamp '2024-01-01 10:00:00'", {}, 0),
    ],
)
def test_values_of_two_types(
    first: str, second: str, more: dict[str, Any], different: int, tmp_path: Path
) -> None:
    script = f"create table a as select 1 as id, {first} as x;"
    script += f"create table b as select 1 as id, {second} as x;"
    found = ask(fill_duckdb(tmp_path / "a.duckdb", script), "a", "b", **more)
    assert found["diff_stats"]["diff_rows_count"] == different


def test_files_of_the_same_name_one_behind_a_link(tmp_path: Path) -> None:
    sides = {}
    for place, folder in ((1, "one"), (2, "it's another")):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "warehouse.duckdb"
        sides[f"address{place}"] = fill_duckdb(path, f"create table t as select {place} as id")
    (tmp_path / "warehouse.duckdb").symlink_to(sides["address2"])
    sides["address2"] = str(tmp_path / "warehouse.duckdb")
    sides["query2"] = "select * from warehouse.main.t"
    assert figures(ask("", "t", "", **sides, table2=None))[:3] == ("different", 1, 1)


HOLD_DUCKDB = "import duckdb, sys; database = duckdb.connect(sys.argv[1])"
HOLD_SQLITE = (
    "import sqlite3, sys; database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
    "database.execute('begin exclusive')"
)


@pytest.mark.parametrize(("fill", "hold"), [(fill_duckdb, HOLD_DUCKDB), (fill_sqlite, HOLD_SQLITE)])
def test_file_that_stays_locked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fill: Callable[[Path], str], hold: str
) -> None:
    monkeypatch.setattr(workspace, "SECONDS_FOR_LOCK", 0)
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
            answer({"address1": address, "table1": ["orders"]})
        check(address)
        holder.communicate("\n")
    assert (caught.value.kind, caught.value.is_retryable) == ("DatabaseLocked", True)


def test_file_that_is_no_database(tmp_path: Path) -> None:
    question = {"address1": str(tmp_path / "orders.csv"), "table1": ["orders"]}
    with pytest.raises(ReadError, match="There is no file"):
        answer(question)
    (tmp_path / "orders.csv").write_text("id,amount\n1,2\n" * 100)
    with pytest.raises(ReadError, match="file is not a database"):
        answer(question)
