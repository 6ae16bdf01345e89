"""The DAGs that users copy: each loads without errors and runs in a real Airflow."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from sqlalchemy.sql import Select

from dev.samples.warehouse import NEW_PAYMENTS, PAYMENTS, create_warehouse
from dev.sandbox.journal import Entry
from tests.conftest import API_KEY, HOME, ROOT, TOKEN, shows_error
from tests.relay import Relay

pytestmark = pytest.mark.airflow

UPDATE, AFTER, AROUND, MANY, PUBLISH, MIGRATE, PARTITION = (
    ROOT / "example_dags" / f"{name}.py"
    for name in (
        "update_hightouch",
        "after_a_load",
        "around_a_load",
        "many_at_once",
        "write_audit_publish",
        "migrate_tables",
        "gate_partition",
    )
)


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(
    ("cron", "form"), [("15 4 * * 1-5", {}), (None, {"bindings": None}), (None, {"bindings": []})]
)
def test_update_hightouch(
    run_dag: Any, sandbox: Any, cron: str | None, form: dict[str, Any]
) -> None:
    run = run_dag(
        UPDATE.read_text(),
        "datafold_update_hightouch",
        conf={"bi_datasource_id": 3, "indexing_cron": cron, **form},
    )
    assert run.state == "success"
    read, request = sandbox.state.requests
    assert (read.method, read.path) == ("GET", "/api/v1/lineage/bi/3/")
    assert request.path == "/api/v1/lineage/bi/hightouch/3/"
    assert json.loads(request.body) == {
        "token": TOKEN,
        "bindings": [{"remoteId": "1", "boundIds": [1, 2]}],
        "indexing_cron": cron,
    }
    assert sandbox.state.integrations[3]["indexing_cron"] == cron
    (task,) = run.get_task_instances()
    assert task.xcom_pull(task.task_id) == sandbox.state.integrations[3]
    page = f"{sandbox.url}/settings/integrations"
    assert task.xcom_pull(task.task_id, key="datafold_url") == page
    assert keys(run.run_id) == ["datafold_url", "return_value"]


def keys(run_id: str) -> list[str]:
    """What the run has left in XCom; Airflow 3 keeps more for a link than the task itself does."""
    from airflow.models import xcom
    from airflow.utils.session import create_session

    model = getattr(xcom, "XComModel", None) or xcom.XCom  # Airflow 2
    with create_session() as session:
        found = model.get_many(run_id=run_id)
        entries = session.scalars(found) if isinstance(found, Select) else found
        return sorted(entry.key for entry in entries)


@pytest.mark.usefixtures("connections")
def test_the_form_refuses_what_is_wrong(run_dag: Any, sandbox: Any) -> None:
    with pytest.raises(Exception, match="Invalid input for param"):
        run_dag(UPDATE.read_text(), "datafold_update_hightouch", conf={"bi_datasource_id": "7"})
    assert sandbox.state.requests == []


@pytest.mark.usefixtures("connections")
def test_the_form_s_bindings_are_sent(run_dag: Any, sandbox: Any) -> None:
    bindings = [{"remoteId": "9", "boundIds": [9]}]
    run = run_dag(UPDATE.read_text(), "datafold_update_hightouch", conf={"bindings": bindings})
    assert run.state == "success"
    (request,) = sandbox.state.requests
    assert json.loads(request.body)["bindings"] == bindings


@pytest.fixture
def warehouse(connect: Callable[..., None], tmp_path: Path) -> Path:
    """The file of an empty warehouse, with a connection to it."""
    file = tmp_path / "warehouse.db"
    connect("warehouse_default", conn_type="sqlite", host=str(file))
    return file


def orders(warehouse: Path) -> Any:
    with closing(sqlite3.connect(warehouse)) as connection:
        return connection.execute("SELECT count(*), sum(amount) FROM orders").fetchone()


def states(run: Any) -> dict[str, str]:
    return {task.task_id: str(task.state) for task in run.get_task_instances()}


def query(sql: str) -> list[str]:
    """Ask Airflow's database, in which an asset is called a dataset before 3.0."""
    if airflow_version.startswith("2."):
        sql = sql.replace("asset", "dataset")
    with closing(sqlite3.connect(HOME / "airflow.db")) as connection:
        return [value for (value,) in connection.execute(sql)]


def reserialize(source: Path) -> None:
    """Let Airflow read a DAG file as its scheduler does, which learns about assets there."""
    from airflow.cli.cli_parser import get_parser

    file = HOME / "dags" / source.name
    shutil.copy(source, file)
    # Airflow's own parser: the whole program would take seconds to start.
    arguments = get_parser().parse_args(["dags", "reserialize"])
    arguments.func(arguments)
    file.unlink()


@pytest.mark.usefixtures("connections")
def test_a_load_starts_the_other_dag(run_dag: Any, warehouse: Path) -> None:
    reserialize(AFTER)
    for _ in range(2):
        assert run_dag(AFTER.read_text(), "datafold_load").state == "success"
        assert orders(warehouse) == (3, pytest.approx(39.40))
    events = "SELECT uri FROM asset_event JOIN asset ON asset.id = asset_id"
    assert query(events) == ["warehouse://shop/orders"] * 2
    # From here on, Airflow's scheduler makes one run for all the updates so far.
    queued = "SELECT DISTINCT target_dag_id FROM asset_dag_run_queue"
    assert query(queued) == ["datafold_after_a_load"]


@pytest.mark.usefixtures("connections")
def test_after_a_load(run_dag: Any, sandbox: Any) -> None:
    for _ in range(2):
        assert run_dag(AFTER.read_text(), "datafold_after_a_load").state == "success"
    assert sandbox.state.audit == [
        Entry("update", 7, "0 6 * * 1-5"),
        Entry("sync", 7, "0 6 * * 1-5"),
        Entry("sync", 7, "0 6 * * 1-5"),
    ]


PAUSED = Entry("update", 7, None)
RESTORED = Entry("update", 7, "0 0 * * *")


@pytest.mark.usefixtures("connections")
def test_around_a_load(run_dag: Any, sandbox: Any, warehouse: Path) -> None:
    for _ in range(2):
        assert run_dag(AROUND.read_text(), "datafold_around_a_load").state == "success"
        assert orders(warehouse) == (3, pytest.approx(39.40))
    assert sandbox.state.audit == [PAUSED, RESTORED, Entry("sync", 7, "0 0 * * *")] * 2


@pytest.mark.usefixtures("connections")
def test_around_a_load_that_fails(run_dag: Any, sandbox: Any, connect: Any) -> None:
    connect("warehouse_default", conn_type="sqlite", host="/nowhere/warehouse.db")
    run = run_dag(AROUND.read_text(), "datafold_around_a_load")
    assert run.state == "failed"
    assert states(run) == {
        "read": "success",
        "pause": "success",
        "load_orders": "failed",
        "restore": "success",
        "sync": "upstream_failed",
    }
    assert sandbox.state.audit == [PAUSED, RESTORED]


@pytest.mark.usefixtures("connections", "warehouse")
def test_around_a_load_changes_nothing_that_it_could_not_restore(
    run_dag: Any, sandbox: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox.state.integrations[7].update(indexing_cron=None)
    run = run_dag(AROUND.read_text(), "datafold_around_a_load")
    assert states(run).pop("read") == "failed"
    assert [request.method for request in sandbox.state.requests] == ["GET"]
    printed = capfd.readouterr()
    message = "Integration 7 has no schedule."
    assert shows_error(printed.out + printed.err, "AirflowFailException", message)


WANTED = {1: "0 * * * *", 2: "0 6 * * 1-5", 3: None}


@pytest.fixture
def relay(connections: None, connect: Callable[..., None], sandbox: Any) -> Iterator[Relay]:
    """Stands between the default connection and the sandbox."""
    with Relay(sandbox.port) as relay:
        connect("datafold_default", host=relay.url, password=API_KEY)
        yield relay


@pytest.mark.parametrize(
    ("dag_id", "count"), [("datafold_many_at_once", 3), ("datafold_many_in_one_task", 1)]
)
def test_many_at_once(dag_id: str, count: int, run_dag: Any, sandbox: Any, relay: Relay) -> None:
    assert run_dag(MANY.read_text(), dag_id).state == "success"
    assert relay.connections == count
    # Again, to send nothing.
    assert run_dag(MANY.read_text(), dag_id).state == "success"
    assert sorted(sandbox.state.audit, key=lambda entry: entry.bi_datasource_id) == [
        Entry("update", number, cron) for number, cron in WANTED.items()
    ]
    sent = [json.loads(seen.body)["token"] for seen in sandbox.state.requests if seen.body]
    assert sent == [TOKEN] * 3


@pytest.fixture
def shop(sandbox: Any, warehouse: Path, tmp_path: Path) -> Path:
    """The file of a warehouse that has tables, and that the sandbox really compares."""
    copy = tmp_path / "copy.db"
    for number, file in enumerate((warehouse, copy), 1):
        create_warehouse(file)
        sandbox.state.data_sources.connect(number, file)
    return warehouse


def once(file: Path) -> str:
    """A DAG without retries, for which Airflow 2.11 would really wait."""
    source = file.read_text()
    assert "retries=2" in source
    return source.replace("retries=2", "retries=0")


def execute(file: Path, sql: str) -> Any:
    with closing(sqlite3.connect(file)) as connection:
        row = connection.execute(sql).fetchone()
        connection.commit()
        return row


@pytest.mark.usefixtures("connections")
def test_write_audit_publish(run_dag: Any, shop: Path) -> None:
    ours = "SELECT count(*), sum(amount) FROM payments"
    for added in (NEW_PAYMENTS, 0):
        run = run_dag(once(PUBLISH), "datafold_write_audit_publish")
        assert run.state == "success"
        audit = run.get_task_instance("audit").xcom_pull("audit")
        assert audit["diff_stats"]["rows_added"] == added
        assert execute(shop, ours) == (PAYMENTS, 0.5 * PAYMENTS * (PAYMENTS + 1) / 2)
    assert execute(shop, ours.replace("payments", "payments_before"))[0] == PAYMENTS


@pytest.mark.usefixtures("connections")
def test_what_is_wrong_is_not_published(
    run_dag: Any, shop: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    execute(shop, "DELETE FROM raw_payments WHERE id = 7")
    run = run_dag(once(PUBLISH), "datafold_write_audit_publish")
    assert states(run) == {"write": "success", "audit": "failed", "publish": "upstream_failed"}
    assert execute(shop, "SELECT count(*) FROM payments") == (PAYMENTS - NEW_PAYMENTS,)
    printed = capfd.readouterr()
    message = "Data diff 3 differs: rows removed 1 (at most 0)"
    assert shows_error(printed.out + printed.err, "DatafoldDifferenceError", message)


@pytest.mark.usefixtures("connections")
def test_migrate_tables(run_dag: Any, shop: Path) -> None:
    run = run_dag(once(MIGRATE), "datafold_migrate_tables")
    assert run.state == "success"
    assert {task.rendered_map_index for task in run.get_task_instances()} == {
        "customers",
        "products",
        "prices",
        None,
    }


@pytest.mark.usefixtures("connections")
def test_migrate_tables_that_are_not_equal(
    run_dag: Any, shop: Path, tmp_path: Path, sandbox: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    execute(tmp_path / "copy.db", "UPDATE customers SET name = 'Adele' WHERE id = 1")
    execute(tmp_path / "copy.db", "DROP TABLE prices")
    run = run_dag(once(MIGRATE), "datafold_migrate_tables")
    assert run.state == "failed"
    assert {task.rendered_map_index: str(task.state) for task in run.get_task_instances()} == {
        "customers": "failed",
        "products": "success",
        "prices": "failed",
        None: "failed",
    }
    printed = capfd.readouterr()
    message = "1 of 3 passed, 2 did not. prices failed: "
    assert shows_error(printed.out + printed.err, "DatafoldNotComparedError", message)
    text = run.get_task_instance("summarize").xcom_pull("summarize", key="text")
    assert re.findall(r"^\| (\w+) +\| `(\w+)`", text, re.MULTILINE) == [
        ("failed", "prices"),
        ("differs", "customers"),
    ]


@pytest.mark.usefixtures("connections")
def test_gate_partition(run_dag: Any, shop: Path) -> None:
    reserialize(PARTITION)
    for _ in range(2):
        run = run_dag(once(PARTITION), "datafold_gate_partition")
        assert run.state == "success"
        gate = run.get_task_instance("gate").xcom_pull("gate")
        assert gate["diff_stats"]["table_b_row_count"] == PAYMENTS // 10
    days = "SELECT count(*), count(DISTINCT day) FROM events"
    assert execute(shop, days) == (PAYMENTS // 10, 1)
    events = "SELECT uri FROM asset_event JOIN asset ON asset.id = asset_id"
    assert query(f"{events} WHERE uri LIKE '%/events'") == ["warehouse://shop/events"] * 2


@pytest.mark.usefixtures("connections")
def test_a_partition_that_is_not_right_is_not_announced(run_dag: Any, shop: Path) -> None:
    # A row that the load should delete, and does not.
    execute(shop, "INSERT INTO events SELECT id, day, 'x' FROM raw_events")
    reserialize(PARTITION)
    events = "SELECT asset_event.id FROM asset_event JOIN asset ON asset.id = asset_id"
    before = query(f"{events} WHERE uri LIKE '%/events'")
    source = once(PARTITION).replace("DELETE FROM events WHERE", "DELETE FROM events WHERE 0 AND")
    run = run_dag(source, "datafold_gate_partition")
    assert states(run) == {"load": "success", "gate": "failed"}
    assert query(f"{events} WHERE uri LIKE '%/events'") == before


def windows(lines: list[str], length: int) -> Iterator[str]:
    for start in range(len(lines) - length + 1):
        yield dedent("\n".join(lines[start : start + length]))


def test_the_recipes_quote_the_dags() -> None:
    page = (ROOT / "docs" / "recipes.md").read_text()
    # test_notifiers.py runs the last one.
    sections = re.split(r"^## ", page, flags=re.MULTILINE)[1:-1]
    assert len(sections) == 10
    for section in sections:
        (name,) = re.findall(r"\]\(\.\./example_dags/(\w+\.py)\)", section)
        lines = (ROOT / "example_dags" / name).read_text().splitlines()
        for quote in re.findall(r"^```python\n(.*?)\n```$", section, re.MULTILINE | re.DOTALL):
            assert dedent(quote) in windows(lines, quote.count("\n") + 1), quote
