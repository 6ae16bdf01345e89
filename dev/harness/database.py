"""Airflow's database, in PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from sqlalchemy import MetaData, create_engine, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool


class Database:
    def __init__(self, url: str) -> None:
        self.url = url
        # No pool: a connection that was cut would come back out of it.
        self._engine = create_engine(url, poolclass=NullPool)

    def query(self, query: str) -> list[Any]:
        with self._engine.connect() as connection:
            return list(connection.execute(text(query)))

    def number(self, query: str) -> int:
        """Return the only value of a query."""
        return int(self.query(query)[0][0])

    def has_ended(self) -> bool:
        """Say whether all DAG runs are over, for good or ill."""
        return not self.number("select count(*) from dag_run where state in ('queued', 'running')")

    def rows(self) -> Iterator[str]:
        """Return each row of each table, to search them."""
        tables = MetaData()
        with self._engine.connect() as connection:
            tables.reflect(connection)
            for table in tables.sorted_tables:
                for row in connection.execute(select(table)):
                    yield " ".join(map(_shown, row))

    def cut(self, seconds: float) -> int:
        """End all connections to the database, let none in for some time, and count them."""
        # Nobody else is connected to this database of the same server.
        outside = create_engine(make_url(self.url).set(database="template1"), poolclass=NullPool)
        name = self._engine.url.database
        allow = f"alter database {name} allow_connections"
        end = f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        with outside.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"{allow} false"))
            ended = len(connection.execute(text(end)).all())
            time.sleep(seconds)
            connection.execute(text(f"{allow} true"))
        return ended


def _shown(value: Any) -> str:
    # Celery stores bytes; each of these letters is one.
    return bytes(value).decode("latin-1") if isinstance(value, (bytes, memoryview)) else str(value)
