"""What a comparison finds, in each kind of database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest

from dev.comparison.answer import answer
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


@pytest.fixture(scope="module", params=["duckdb", "sqlite", "postgresql"])
def address(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with all the tables."""
    path = tmp_path_factory.mktemp(request.param) / "warehouse.db"
    if request.param == "duckdb":
        yield fill_duckdb(path)
    elif request.param == "sqlite":
        with closing(sqlite3.connect(path)) as database:
            database.executescript(TABLES)
        yield str(path)
    else:
        with postgresql() as url:
            with closing(psycopg2.connect(url)) as server, server.cursor() as cursor:
                cursor.execute(TABLES)
                server.commit()
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


AMOUNT = {"include_columns": ["amount"]}
INFERRED = {"pk_columns": [], "infer_pk": True}
TYPES = ["Integer", "int", "int4"]
QUERY = {"table1": None, "query1": "select id, amount from orders -- all of them\n;"}
FILTERS = {"filter1": "id between 2 and 5 -- not the first", "filter2": "id < 6"}
SAME = ("identical", 0, 0, 0, 0)
NONE = (None, None, None, 0)


@pytest.mark.parametrize(
    ("first", "second", "more", "expected"),
    [
        ("orders", "same_orders", {}, SAME),
        ("orders", "other_orders", {}, ("different", 1, 1, 2, 0)),
        ("no_orders", "no_orders", {}, ("empty", *NONE)),
        # Keys.
        ("orders", "doubled_orders", {}, ("bad-pks", *NONE)),
        ("same_orders", "orders", {"pk_columns": ["ID"]}, SAME),
        ("orders", "other_orders", INFERRED, ("different", 1, 1, 2, 0)),
        ("orders", "doubled_orders", INFERRED, ("missing-pks", *NONE)),
        ("orders", "orders", {**INFERRED, "infer_pk_avoid_names": ["ID"]}, ("missing-pks", *NONE)),
        ("orders", "orders", {**INFERRED, "infer_pk_avoid_types": TYPES}, ("missing-pks", *NONE)),
        # Columns: of one side, of another type, of another name, and not compared.
        ("orders", "wider_orders", {}, ("different", 0, 0, 0, 1)),
        ("orders", "wider_orders", {"exclude_columns": ["more"]}, SAME),
        ("orders", "texts", {}, ("different", 0, 0, 0, 1)),
        ("orders", "renamed_orders", {"column_mapping": [["id", "number"]]}, SAME),
        # Queries and filters.
        ("", "other_orders", {**QUERY, **AMOUNT}, ("different", 1, 1, 1, 0)),
        ("orders", "other_orders", FILTERS, ("different", 0, 0, 2, 0)),
        # The amounts are 20.25 and 20.5.
        ("orders", "other_orders", {**AMOUNT, "diff_tolerance": 0.25}, ("different", 1, 1, 0, 0)),
        ("orders", "other_orders", {**AMOUNT, "diff_tolerance": 0.2}, ("different", 1, 1, 1, 0)),
    ],
)
def test_planted_differences(
    first: str, second: str, more: dict[str, Any], expected: Any, address: str, lake: str
) -> None:
    assert figures(ask(address, first, second, **more)) == expected
    if not expected[-1]:
        # Only within a database do other columns make a difference.
        across = {**more, "address2": lake, "data_source2_id": 2}
        assert figures(ask(address, first, second, **across)) == expected


def test_all_that_differs(address: str) -> None:
    found = ask(address, "orders", "other_orders")
    # Of the six keys of both tables, two have the same row.
    assert found["diff_stats"]["match_ratio"] == 2 / 6
    each = [("customer", 50.0, 2), ("amount", 75.0, 1), ("day", 100.0, 0)]
    assert [tuple(column.values()) for column in found["figures"]["columns"]] == each
    rows = found["rows"]
    hows = [("removed", "1"), ("different", "2"), ("different", "4"), ("added", "6")]
    assert [(row["how"], row["key"]["id"]) for row in rows] == hows
    assert rows[2]["values"]["customer"] == {"first": "", "second": None, "differs": True}


# After the end of our query, or of that in which we put it for PostgreSQL.
@pytest.mark.parametrize(
    "query",
    [
        "drop table orders",
        "select * from orders; drop table orders",
        "select * from orders) as query) as side; commit; drop table orders;"
        " select * from (select * from (select 1 as id",
    ],
)
def test_runs_one_query_only(query: str, address: str) -> None:
    with pytest.raises(ReadError):
        answer({"address1": address, "query1": query})
    assert answer({"address1": address, "table1": ["orders"], "limit": 1})["rows"]
