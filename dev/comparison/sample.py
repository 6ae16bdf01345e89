"""A sample database for comparisons."""

from __future__ import annotations

from pathlib import Path

import duckdb

_SQL = """
create table orders as
    select range as id, 'C' || range % 7 as customer, (range * 1.25)::decimal(10, 2) as amount
    from range(1, 101);
create table orders_staging as select * from orders where id <> 7;
update orders_staging set amount = amount + 1 where id = 42;
"""


def create_sample(path: Path) -> str:
    """Create a DuckDB file with two tables that differ a little, and return its path."""
    with duckdb.connect(str(path)) as connection:
        connection.execute(_SQL)
    return str(path)
