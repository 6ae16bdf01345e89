"""A database to try a comparison with."""

from __future__ import annotations

from pathlib import Path

import duckdb

_SQL = """
create table orders as
    select range as id, 'C' || range % 7 as customer, (range * 1.25)::decimal(10, 2) as amount
    from range(1, 101);
create table orders_staging as
    select id, customer, case id when 42 then amount + 1 else amount end as amount
    from orders where id <> 7;
"""


def create_sample(path: Path) -> str:
    """Create a DuckDB file with two tables, of which the second one is not quite right.

    :param path: where to.
    :return: the same path, as a string.
    """
    with duckdb.connect(str(path)) as connection:
        connection.execute(_SQL)
    return str(path)
