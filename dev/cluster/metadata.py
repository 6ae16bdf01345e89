"""What Airflow's database says of the run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import MetaData, create_engine, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from dev.cluster.plan import Key


@dataclass(frozen=True)
class Task:
    """A task instance.

    :param key: which it is.
    :param state: Airflow's word for how it is, ``None`` before it is scheduled.
    :param tries: how often it was tried.
    :param pid: the process of its last try.
    """

    key: Key
    state: str | None
    tries: int
    pid: int | None


class Metadata:
    """Reads Airflow's database, which holds runs of one DAG.

    :param url: where the database is, with the driver's name.
    """

    def __init__(self, url: str) -> None:
        # No pool: a connection that was cut would come back out of it.
        self._engine = create_engine(url, poolclass=NullPool)
        # Nobody else is connected to this database of the same server.
        self._outside = create_engine(
            make_url(url).set(database="template1"),
            isolation_level="AUTOCOMMIT",
            poolclass=NullPool,
        )

    def runs(self) -> Counter[str]:
        """Count the DAG runs by Airflow's words for how they are."""
        with self._engine.connect() as connection:
            return Counter(connection.execute(text("select state from dag_run")).scalars())

    def has_ended(self) -> bool:
        """Say whether the DAG runs are over, for good or ill."""
        return set(self.runs()) <= {"success", "failed"}

    def tasks(self) -> list[Task]:
        """List the task instances."""
        query = "select run_id, task_id, map_index, state, try_number, pid from task_instance"
        with self._engine.connect() as connection:
            return [
                Task(Key(int(run_id), task_id, index), *row)
                for run_id, task_id, index, *row in connection.execute(text(query))
            ]

    def triggerers(self) -> list[int]:
        """List the triggerers that have ever run, by the ids of their jobs."""
        query = "select id from job where job_type = 'TriggererJob' order by id"
        with self._engine.connect() as connection:
            return list(connection.execute(text(query)).scalars())

    def triggers(self) -> Counter[int | None]:
        """Count the triggers by the triggerer that has them."""
        query = "select triggerer_id from trigger"
        with self._engine.connect() as connection:
            return Counter(connection.execute(text(query)).scalars())

    def rows(self) -> Iterator[str]:
        """Return each row of each table, to search them."""
        tables = MetaData()
        with self._engine.connect() as connection:
            tables.reflect(connection)
            for table in tables.sorted_tables:
                for row in connection.execute(select(table)):
                    yield " ".join(map(_shown, row))

    def cut(self, seconds: float) -> int:
        """End all connections to the database, and let none in for some time.

        :param seconds: how long.
        :return: how many connections there were.
        """
        name = self._engine.url.database
        allow = f"alter database {name} allow_connections"
        end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = :name"
        with self._outside.connect() as outside:
            outside.execute(text(f"{allow} false"))
            ended = len(outside.execute(text(end), {"name": name}).all())
            time.sleep(seconds)
            outside.execute(text(f"{allow} true"))
        return ended


def _shown(value: Any) -> str:
    # Celery stores bytes; each of these letters is one.
    return bytes(value).decode("latin-1") if isinstance(value, (bytes, memoryview)) else str(value)
