"""A PostgreSQL for a test, on loopback, in a throw-away folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from dev.local_airflow.postgresql import start_postgresql
from dev.local_airflow.programs import ProgramError, Programs


@contextmanager
def postgresql() -> Iterator[str]:
    """Start it, and yield its URL; skip the test if it is not installed."""
    # Every account can enter this folder, unlike pytest's folders.
    folder = TemporaryDirectory(prefix="datafold-tests-")
    with folder as home, Programs(Path(home), 300) as programs:
        try:
            url = f"postgresql://{start_postgresql(programs, Path(home))}"
        except ProgramError as error:
            if not str(error).startswith("There is no PostgreSQL"):
                pytest.fail(f"{error}\n{programs.last_lines()}")
            pytest.skip(str(error))
        yield url
