"""What the tests of a whole Airflow judge by: that nothing wrong can pass for right."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import psycopg2
import pytest
from sqlalchemy import create_engine, text

from dev.faults.fault import API_KEY, TOKEN
from dev.harness.metadata import Metadata
from dev.harness.plan import (
    CHANGE,
    CLUSTER,
    DEFERRED_GATE,
    GATE,
    MONITOR,
    SOAK,
    Key,
    cron_of,
    gate_of,
    is_good,
    table_of,
)
from dev.harness.result import Result, secrets, texts, verdicts
from dev.harness.service import PlannedService
from dev.local_airflow.postgresql import start_postgresql
from dev.local_airflow.programs import ProgramError, Programs
from dev.sandbox.course import Course, Job
from dev.sandbox.disturbance import Disturbance

RUNS = 60


def test_the_cluster_is_asked_for_what_it_promises() -> None:
    assert CLUSTER.counts == {DEFERRED_GATE: 180, GATE: 20, MONITOR: 60, CHANGE: 40}
    assert len(CLUSTER.keys(1)) == 300


def test_each_gate_has_a_table_and_each_change_a_schedule_of_its_own() -> None:
    gates = SOAK.keys(RUNS, DEFERRED_GATE, GATE)
    assert [gate_of({"table2": table_of(gate).split(".")}) for gate in gates] == gates
    assert gate_of({"table2": ["DB", "PUBLIC", "ORDERS"]}) is None
    changes = SOAK.keys(RUNS, CHANGE)
    assert len({(change.index, cron_of(change)) for change in changes}) == len(changes)


def test_a_monitor_is_run_by_one_task_of_a_run_and_always_ends_alike() -> None:
    tasks = SOAK.monitors()
    for monitor in SOAK.keys(RUNS, MONITOR):
        assert is_good(tasks[SOAK.monitor_of(monitor)]) == is_good(monitor)
    first = CLUSTER.keys(1, MONITOR)
    assert len({CLUSTER.monitor_of(monitor) for monitor in first}) == len(first)


def test_some_tasks_must_fail() -> None:
    for task_id in (DEFERRED_GATE, GATE, MONITOR):
        keys = CLUSTER.keys(1, task_id)
        assert sum(map(is_good, keys)) == len(keys) * 4 / 5


@pytest.mark.parametrize(("more", "is_met"), [(0, True), (1, False)])
def test_each_monitor_task_makes_one_run_in_a_long_soak_too(
    tmp_path: Path, more: int, is_met: bool
) -> None:
    service = PlannedService(SOAK, Disturbance())
    metadata: Any = SimpleNamespace(tasks=list, rows=lambda: iter(()))
    monitors = service.state.monitors
    for task in SOAK.keys(RUNS, MONITOR):
        monitors.start(SOAK.monitor_of(task), None)
    for _ in range(more):
        monitors.start(1, None)
    monitors.jobs = dict.fromkeys(monitors.jobs, Job(Course((), "ok")))

    result = Result(SOAK, RUNS, metadata, service, tmp_path)

    assert result.criteria()["each monitor task made one run, none is left"] is is_met


def test_verdicts_are_read_from_all_tries(tmp_path: Path) -> None:
    folder = tmp_path / "run_id=1" / "task_id=gate" / "map_index=3"
    folder.mkdir(parents=True)
    (folder / "attempt=1.log").write_text('{"event":"Started data diff 7: http://..."}\n')
    error = '"exc_value":"Data diff 7 differs: rows added 3."'
    (folder / "attempt=2.log").write_text(f"{{{error}}}\n")

    assert verdicts(tmp_path, Key(1, "gate", 3)) == {(7, False)}

    (folder / "attempt=3.log").write_text('{"event":"Run 8 of monitor 2 passes: ok."}\n')
    assert verdicts(tmp_path, Key(1, "gate", 3)) == {(7, False), (8, True)}
    assert verdicts(tmp_path, Key(1, "gate", 4)) == set()


@pytest.mark.parametrize(
    "leaked", [API_KEY, quote(TOKEN), f"x{b64encode(f'key: {API_KEY}'.encode()).decode()}"]
)
def test_a_secret_in_a_log_is_found(tmp_path: Path, leaked: str) -> None:
    folder = tmp_path / "tasks"
    folder.mkdir()
    (tmp_path / "worker.log").write_text("nothing\n")
    assert secrets(texts(tmp_path)) == (1, 0)

    (folder / "attempt=1.log").write_text(f"sent {leaked}\n")

    assert secrets(texts(tmp_path)) == (2, 1)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """PostgreSQL's address."""
    # Every account can enter it, which is not so for pytest's folders.
    with TemporaryDirectory(prefix="datafold-tests-") as folder:
        home = Path(folder)
        with Programs(home, 300) as programs:
            try:
                yield f"postgresql+psycopg2://{start_postgresql(programs, home)}"
            except ProgramError as error:
                if not str(error).startswith("There is no PostgreSQL"):
                    pytest.fail(f"{error}\n{programs.last_lines()}")
                pytest.skip(str(error))


def test_a_secret_in_a_table_is_found(database: str) -> None:
    metadata = Metadata(database)
    engine = create_engine(database)
    with engine.begin() as connection:
        connection.execute(text("create table letters (written text, pickled bytea)"))
        connection.execute(text("insert into letters values ('nothing', 'nothing')"))
    assert secrets(metadata.rows()) == (1, 0)

    with engine.begin() as connection:
        row = {"written": f"key {API_KEY}", "pickled": f"\x05{TOKEN}".encode()}
        connection.execute(text("insert into letters values (:written, :pickled)"), row)

    assert secrets(metadata.rows()) == (2, 2)


def test_a_cut_ends_each_connection_and_lets_nobody_in(database: str) -> None:
    metadata, connections = Metadata(database), []
    address = database.replace("+psycopg2", "")
    with closing(psycopg2.connect(address)) as before:
        cut = Thread(target=lambda: connections.append(metadata.cut(2.0)))
        cut.start()
        assert is_refused(address)
        cut.join()
        with pytest.raises(psycopg2.OperationalError):
            before.cursor().execute("select 1")
    assert connections[0] >= 1
    psycopg2.connect(address).close()


def is_refused(database: str) -> bool:
    """Connect until nobody is let in, for some seconds at most."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            psycopg2.connect(database).close()
        except psycopg2.OperationalError as error:
            if "not currently accepting connections" in str(error):
                return True
    return False
