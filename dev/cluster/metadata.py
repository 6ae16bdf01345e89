"""What Airflow's database says of the run."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool


@dataclass(frozen=True)
class Task:
    """A task instance.

    :param state: Airflow's word for how it is, ``None`` before it is scheduled.
    :param tries: how often it was tried.
    :param pid: the process of its last try.
    """

    state: str | None
    tries: int
    pid: int | None


class Metadata:
    """Reads Airflow's database, which holds one run of one DAG.

    :param url: where the database is, with the driver's name.
    """

    def __init__(self, url: str) -> None:
        # No pool: an idle connection would only be in the way of the database's end.
        self._engine = create_engine(url, poolclass=NullPool)

    def run_state(self) -> str | None:
        """Give Airflow's word for how the DAG run is, ``None`` before there is one."""
        with self._engine.connect() as connection:
            return connection.execute(text("select state from dag_run")).scalar()

    def has_ended(self) -> bool:
        """Say whether the DAG run is over, for good or ill."""
        return self.run_state() in ("success", "failed")

    def tasks(self) -> list[Task]:
        """List the task instances."""
        with self._engine.connect() as connection:
            rows = connection.execute(text("select state, try_number, pid from task_instance"))
            return [Task(*row) for row in rows]
