"""A DuckDB in memory, in which the sides are compared."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import duckdb

from dev.comparison.question import Question, quoted

SECONDS_FOR_LOCK = 10.0
"""How long to wait for a file that another process writes to."""

_FILES = "select database_name from duckdb_databases() where path is not null"


class ReadError(Exception):
    """A side cannot be read, or the two cannot be compared."""

    def __init__(self, kind: str, message: str, is_retryable: bool | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.is_retryable = is_retryable  # None if that is unknown


class Workspace:
    """Runs SQL, one statement at a time, that reaches no other files than those of a question."""

    def __init__(self, question: Question) -> None:
        self.addresses = [question[name] for name in ("address1", "address2") if name in question]
        self._database = duckdb.connect(config={"python_enable_replacements": "false"})
        self.stopped = threading.Event()
        self.cancel: Callable[[], None] = self._database.interrupt
        """Interrupts what runs, also where another database does it."""
        files = {*self.addresses, *map(os.path.realpath, self.addresses)}
        allowed = [_text(file + end) for file in files for end in ("", ".wal")]
        self.run(f"set allowed_paths = [{', '.join(allowed)}]")
        self.run("set timezone = 'UTC'")
        # A query for the tables of the schema main sees none of ours.
        self.run("create schema sides")
        self.run("use memory.sides")
        self.run("set enable_external_access = false")
        self.run("set lock_configuration = true")

    def run(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        if self.stopped.is_set():
            raise ReadError("Stopped", "Somebody has stopped it")
        try:
            if len(self._database.extract_statements(sql)) != 1:
                raise ReadError("QueryError", "This is more than one statement")
            return self._database.execute(sql, values).fetchall()
        except duckdb.Error as error:
            raise ReadError("QueryError", str(error)) from error

    def stop(self) -> None:
        """End what runs, from another thread. One call may be too early for a query."""
        self.stopped.set()
        self._database.interrupt()
        with suppress(Exception):  # its connection may have been closed just now
            self.cancel()

    @contextmanager
    def using(self, path: str) -> Iterator[None]:
        """Let the names of tables be those of a DuckDB file."""
        self._attach(path, time.monotonic() + SECONDS_FOR_LOCK)
        ((name,),) = self.run(_FILES)
        self.run(f"use {quoted(name)}")
        yield
        # Another file may have the same name.
        self.run("use memory.sides")
        self.run(f"detach {quoted(name)}")

    def _attach(self, path: str, deadline: float) -> None:
        while True:
            try:
                self.run(f"attach {_text(path)} (read_only)")
                return
            except ReadError as error:
                if "Could not set lock" not in str(error):
                    message = (
                        f"DuckDB {duckdb.__version__}, which compares here, cannot read {path}: "
                        f"{error}. If a newer DuckDB wrote the file, such as the one beside dbt, "
                        f"install the same version of DuckDB for both"
                    )
                    raise ReadError("DatabaseError", message) from error
                if time.monotonic() >= deadline:
                    message = f"{path} is open for writing in another process: {error}"
                    raise ReadError("DatabaseLocked", message, is_retryable=True) from error
                self.stopped.wait(0.25)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
