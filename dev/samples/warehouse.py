"""A small warehouse in SQLite, with the tables that the example DAGs compare."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

PAYMENTS, NEW_PAYMENTS = 1000, 25
"""How many were loaded, and how many of them are not published yet."""

_TABLES = f"""
    CREATE TABLE raw_payments (id INTEGER PRIMARY KEY, amount REAL);
    INSERT INTO raw_payments
        WITH RECURSIVE numbers (id) AS (
            SELECT 1 UNION ALL SELECT id + 1 FROM numbers WHERE id < {PAYMENTS}
        )
        SELECT id, id * 0.5 FROM numbers;
    CREATE TABLE payments AS SELECT * FROM raw_payments WHERE id <= {PAYMENTS - NEW_PAYMENTS};

    CREATE TABLE raw_events (id INTEGER PRIMARY KEY, day TEXT, name TEXT);
    INSERT INTO raw_events
        SELECT id, date('now', '-' || (id % 10) || ' days'), 'event ' || id FROM raw_payments;
    CREATE TABLE events AS SELECT * FROM raw_events WHERE false;

    CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
    INSERT INTO customers VALUES (1, 'Ada'), (2, 'Grace'), (3, 'Edsger');
    CREATE TABLE products (sku TEXT PRIMARY KEY, title TEXT);
    INSERT INTO products VALUES ('A-1', 'Anvil'), ('B-2', 'Bellows');
    CREATE TABLE prices (sku TEXT, country TEXT, amount REAL, PRIMARY KEY (sku, country));
    INSERT INTO prices VALUES ('A-1', 'DE', 19.9), ('A-1', 'PL', 84.5), ('B-2', 'DE', 7.5);
"""


def create_warehouse(file: Path) -> None:
    """Create the tables in an SQLite file that is not there yet."""
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(_TABLES)
