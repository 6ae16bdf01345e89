"""The DAGs that users copy, each in a real Airflow: loads, gates and recipes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from dev.samples.warehouse import NEW_PAYMENTS, PAYMENTS, create_warehouse
from dev.sandbox.data_diffs import DIFFERENT
from dev.sandbox.journal import Entry
from tests.conftest import AIRFLOW, HOME, ROOT, TOKEN, shows_error
from tests.dags.runs import example, execute, reserialize

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("connections")]


@pytest.fixture
def run_example(run_file: Any) -> Any:
    """Run a DAG of a file, which is named after the file unless another one is named."""
    return lambda name, dag_id=None, **conf: run_file(
        example(name), dag_id or f"datafold_{name}", conf=conf
    )


BOUND = [{"remoteId": "9", "boundIds": [9]}]


@pytest.mark.parametrize(
    ("cron", "form"),
    [("15 4 * * 1-5", {}), (None, {"bindings": None}), (None, {"bindings": BOUND})],
)
def test_update_hightouch(run_example: Any, sandbox: Any, cron: Any, form: dict[str, Any]) -> None:
    run = run_example("update_hightouch", bi_datasource_id=3, indexing_cron=cron, **form)
    assert run.state == "success"
    *reads, request = sandbox.state.requests
    # What the form does not give, the integration has.
    assert [read.path for read in reads] == ["/api/v1/lineage/bi/3/"] * (
        form != {"bindings": BOUND}
    )
    assert request.path == "/api/v1/lineage/bi/hightouch/3/"
    assert json.loads(request.body) == {
        "token": TOKEN,
        "bindings": form.get("bindings") or [{"remoteId": "1", "boundIds": [1, 2]}],
        "indexing_cron": cron,
    }
    (task,) = run.states
    assert run.xcom(task) == sandbox.state.integrations[3]
    assert run.xcom(task, "datafold_url") == f"{sandbox.url}/settings/integrations"


def test_the_form_refuses_what_is_wrong(run_example: Any, sandbox: Any) -> None:
    with pytest.raises(Exception, match="Invalid input for param"):
        run_example("update_hightouch", bi_datasource_id="7")
    assert sandbox.state.requests == []


ORDERS = "SELECT count(*), sum(amount) FROM orders"
LOADED = [(3, pytest.approx(39.40))]


def query(sql: str) -> list[str]:
    """Ask Airflow's database, in which an asset is called a dataset before 3.0."""
    sql = sql.replace("asset", "dataset") if AIRFLOW < (3,) else sql
    return [value for (value,) in execute(HOME / "airflow.db", sql)]


def test_a_load_starts_the_other_dag(run_example: Any, sandbox: Any, warehouse: Path) -> None:
    reserialize(ROOT / "example_dags" / "after_a_load.py")
    for _ in range(2):
        assert run_example("after_a_load", "datafold_load").state == "success"
        assert execute(warehouse, ORDERS) == LOADED
    events = "SELECT uri FROM asset_event JOIN asset ON asset.id = asset_id"
    assert query(events) == ["warehouse://shop/orders"] * 2
    # From here on, Airflow's scheduler makes one run for all the updates so far.
    queued = "SELECT DISTINCT target_dag_id FROM asset_dag_run_queue"
    assert query(queued) == ["datafold_after_a_load"]
    for _ in range(2):
        assert run_example("after_a_load").state == "success"
    cron = "0 6 * * 1-5"
    update, sync = Entry("update", 7, cron), Entry("sync", 7, cron)
    assert sandbox.state.audit == [update, sync, sync]


PAUSED = Entry("update", 7, None)
RESTORED = Entry("update", 7, "0 0 * * *")


def test_around_a_load(run_example: Any, sandbox: Any, warehouse: Path) -> None:
    for _ in range(2):
        assert run_example("around_a_load").state == "success"
        assert execute(warehouse, ORDERS) == LOADED
    assert sandbox.state.audit == [PAUSED, RESTORED, Entry("sync", 7, "0 0 * * *")] * 2


def test_around_a_load_that_fails(run_example: Any, sandbox: Any, connect: Any) -> None:
    connect("warehouse_default", conn_type="sqlite", host="/nowhere/warehouse.db")
    run = run_example("around_a_load")
    assert run.state == "failed"
    assert run.states == {
        "read": "success",
        "pause": "success",
        "load_orders": "failed",
        "restore": "success",
        "sync": "upstream_failed",
    }
    assert sandbox.state.audit == [PAUSED, RESTORED]


@pytest.mark.usefixtures("warehouse")
def test_around_a_load_changes_nothing_that_it_could_not_restore(
    run_example: Any, sandbox: Any, printed: Any
) -> None:
    sandbox.state.integrations[7].update(indexing_cron=None)
    assert run_example("around_a_load").states["read"] == "failed"
    assert [request.method for request in sandbox.state.requests] == ["GET"]
    assert shows_error(printed(), "AirflowFailException", "Integration 7 has no schedule.")


@pytest.mark.parametrize(
    ("dag_id", "count"), [("datafold_many_at_once", 3), ("datafold_many_in_one_task", 1)]
)
def test_many_at_once(dag_id: str, count: int, run_example: Any, sandbox: Any) -> None:
    assert run_example("many_at_once", dag_id).state == "success"
    assert len({seen.port for seen in sandbox.state.requests}) == count
    # Again, to send nothing.
    assert run_example("many_at_once", dag_id).state == "success"
    assert sorted(sandbox.state.audit, key=lambda entry: entry.bi_datasource_id) == [
        Entry("update", 1, "0 * * * *"),
        Entry("update", 2, "0 6 * * 1-5"),
        Entry("update", 3, None),
    ]
    sent = [json.loads(seen.body)["token"] for seen in sandbox.state.requests if seen.body]
    assert sent == [TOKEN] * 3


@pytest.fixture
def shop(sandbox: Any, warehouse: Path, tmp_path: Path) -> Path:
    """The file of a warehouse that has tables, and that the sandbox really compares."""
    for number, file in enumerate((warehouse, tmp_path / "copy.db"), 1):
        create_warehouse(file)
        sandbox.state.data_sources.connect(number, file)
    return warehouse


def test_write_audit_publish(run_example: Any, shop: Path) -> None:
    published = [(PAYMENTS, 0.5 * PAYMENTS * (PAYMENTS + 1) / 2)]
    for added in (NEW_PAYMENTS, 0):
        run = run_example("write_audit_publish")
        assert run.state == "success"
        assert run.xcom("audit")["diff_stats"]["rows_added"] == added
        assert execute(shop, "SELECT count(*), sum(amount) FROM payments") == published
    assert execute(shop, "SELECT count(*) FROM payments_before") == [(PAYMENTS,)]


def test_what_is_wrong_is_not_published(run_example: Any, shop: Path, printed: Any) -> None:
    execute(shop, "DELETE FROM raw_payments WHERE id = 7")
    run = run_example("write_audit_publish")
    assert run.states == {"write": "success", "audit": "failed", "publish": "upstream_failed"}
    assert execute(shop, "SELECT count(*) FROM payments") == [(PAYMENTS - NEW_PAYMENTS,)]
    message = "Data diff 3 differs: rows removed 1 (at most 0)"
    assert shows_error(printed(), "DatafoldDifferenceError", message)


def test_migrate_tables(run_example: Any, shop: Path, tmp_path: Path, printed: Any) -> None:
    names = ("customers", "products", "prices", "summarize")
    assert run_example("migrate_tables").states == dict.fromkeys(names, "success")

    execute(tmp_path / "copy.db", "UPDATE customers SET name = 'Adele' WHERE id = 1")
    execute(tmp_path / "copy.db", "DROP TABLE prices")
    run = run_example("migrate_tables")
    assert run.states == {**dict.fromkeys(names, "failed"), "products": "success"}
    message = "1 of 3 passed, 2 did not. prices failed: "
    assert shows_error(printed(), "DatafoldNotComparedError", message)
    assert re.findall(r"^\| (\w+) +\| `(\w+)`", run.xcom("summarize", "text"), re.MULTILINE) == [
        ("failed", "prices"),
        ("differs", "customers"),
    ]


ANNOUNCED = """SELECT asset_event.id FROM asset_event JOIN asset ON asset.id = asset_id
WHERE uri = 'warehouse://shop/events'"""


def test_gate_partition(run_example: Any, run_file: Any, shop: Path) -> None:
    reserialize(ROOT / "example_dags" / "gate_partition.py")
    for _ in range(2):
        run = run_example("gate_partition")
        assert run.state == "success"
        assert run.xcom("gate")["diff_stats"]["table_b_row_count"] == PAYMENTS // 10
    days = "SELECT count(*), count(DISTINCT day) FROM events"
    assert execute(shop, days) == [(PAYMENTS // 10, 1)]
    before = query(ANNOUNCED)
    assert len(before) == 2

    # A row that the load should delete, and does not.
    execute(shop, "INSERT INTO events SELECT id + 1000000, day, 'x' FROM raw_events")
    source = example("gate_partition")
    source = source.replace("DELETE FROM events WHERE", "DELETE FROM events WHERE 0 AND")
    source = source.replace("INSERT INTO", "INSERT OR IGNORE INTO")
    run = run_file(source, "datafold_gate_partition")
    assert run.states == {"load": "success", "gate": "failed"}
    assert query(ANNOUNCED) == before


@pytest.mark.skipif(AIRFLOW < (3, 1), reason="nobody can be asked")
def test_nobody_is_asked_about_equal_tables(run_example: Any) -> None:
    assert run_example("approve_difference").states == {"gate": "success", "publish": "success"}


def test_a_table_before_and_after_its_load(run_example: Any, created: Any) -> None:
    begin = datetime.now(timezone.utc).replace(microsecond=0)
    assert run_example("before_the_load").state == "success"
    (body,) = created()
    assert body["table1"] == body["table2"]
    moment = datetime.fromisoformat(body["time_travel_point1"])
    assert begin <= moment <= datetime.now(timezone.utc)
    assert "time_travel_point2" not in body


@pytest.mark.skipif(AIRFLOW < (3, 3), reason="no run is for a partition")
def test_one_partition(run_example: Any, run_file: Any, created: Any) -> None:
    # dag.test() runs without a partition, whose key is then null.
    assert run_example("one_partition").state == "success"
    key = example("one_partition").replace("partition_key }}", "partition_key or 'EU' }}")
    run_file(key, "datafold_one_partition")
    filters = [(body["filter1"], body["filter2"]) for body in created()]
    assert filters == [("region = 'None'",) * 2, ("region = 'EU'",) * 2]


def test_owners_are_warned_only_if_the_gate_stops_the_table(
    run_example: Any, sandbox: Any, printed: Any
) -> None:
    run = run_example("warn_downstream")
    assert run.state == "success"
    assert run.states == {"gate": "success", "publish": "success", "warn": "skipped"}

    sandbox.state.data_diffs.courses.default = DIFFERENT
    run = run_example("warn_downstream")
    assert run.state == "failed"
    assert run.states == {"gate": "failed", "publish": "upstream_failed", "warn": "success"}
    assert run.xcom("warn") == {"sales@example.com": ["DB.PUBLIC.ORDERS"]}
    assert "To sales@example.com: DB.PUBLIC.RAW was not published." in printed()


def windows(lines: list[str], length: int) -> Iterator[str]:
    for start in range(len(lines) - length + 1):
        yield dedent("\n".join(lines[start : start + length]))


def test_the_recipes_quote_the_dags() -> None:
    page = (ROOT / "docs" / "recipes.md").read_text()
    # test_pages.py runs the last one.
    sections = re.split(r"^## ", page, flags=re.MULTILINE)[1:-1]
    assert len(sections) == 10
    for section in sections:
        (name,) = re.findall(r"\]\(\.\./example_dags/(\w+\.py)\)", section)
        lines = (ROOT / "example_dags" / name).read_text().splitlines()
        for quote in re.findall(r"^```python\n(.*?)\n```$", section, re.MULTILINE | re.DOTALL):
            assert dedent(quote) in windows(lines, quote.count("\n") + 1), quote
