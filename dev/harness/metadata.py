"""What Airflow's database says of the run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import MetaData, create_engine, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from dev.harness.plan import Key


class Task(NamedTuple):
    """A task instance: Airflow's word for how it is, its tries, and the process of the last one."""

    key: Key
    state: str | None
    tries: int
    pid: int | None


class Metadata:
    """Reads Airflow's database, which holds a run of one DAG."""

    def __init__(self, url: str) -> None:
        # No pool: a connection that was cut would come back out of it.
        self._engine = create_engine(url, poolclass=NullPool)
        # Nobody else is connected to this database of the same server.
        self._outside = create_engine(
            make_url(url).set(database="template1"),
            isolation_level="AUTOCOMMIT",
            poolclass=NullPool,
        )

    def has_ended(self) -> bool:
        """Say whether the DAG run is over, for good or ill."""
        states = {state for (state,) in self.query("select state from dag_run")}
        return states <= {"success", "failed"}

    def tasks(self) -> list[Task]:
        rows = self.query("select task_id, map_index, state, try_number, pid from task_instance")
        return [Task(Key(task_id, index), *rest) for task_id, index, *rest in rows]

    def triggerers(self) -> list[int]:
        """List the triggerers that have ever run, by the ids of their jobs."""
        rows = self.query("select id from job where job_type = 'TriggererJob' order by id")
        return [number for (number,) in rows]

    def triggers(self) -> Counter[int | None]:
        """Count the triggers by the triggerer that has them."""
        return Counter(number for (number,) in self.query("select triggerer_id from trigger"))

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
        name = self._engine.url.database
        allow = f"alter database {name} allow_connections"
        end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = :name"
        with self._outside.connect() as outside:
            outside.execute(text(f"{allow} false"))
            ended = len(outside.execute(text(end), {"name": name}).all())
            time.sleep(seconds)
            outside.execute(text(f"{allow} true"))
        return ended

    def query(self, query: str) -> list[Any]:
        with self._engine.connect() as connection:
            return list(connection.execute(text(query)))


def _shown(value: Any) -> str:
    # Celery stores bytes; each of these letters is one.
    return bytes(value).decode("latin-1") if isinstance(value, (bytes, memoryview)) else str(value)
