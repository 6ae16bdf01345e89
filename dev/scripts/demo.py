"""Run the main jobs in a real Airflow, each from an example DAG to Datafold's response.

Starts the sandbox and runs three DAGs with ``airflow dags test`` in a temporary home: one that
changes a schedule, a gate that publishes a correct load and stops a wrong one, and a gate for each
model of a dbt project, one of which stops. Then it shows the results. Run it with ``make demo``.
"""

from __future__ import annotations

import json
import secrets
import shlex
import shutil
import sqlite3
import sys
import tempfile
import textwrap
from contextlib import closing
from pathlib import Path
from typing import Any

from dev.local_airflow import ROOT, LocalAirflow, connections_to, shop
from dev.local_airflow.programs import ProgramError, Programs
from dev.local_airflow.warehouse import NEW_PAYMENTS, PAYMENTS, create_warehouse
from dev.sandbox import Sandbox

LOGS = ROOT / "build" / "demo"
LONGEST_RUN = 300.0
SCHEDULE_DAG, GATE_DAG = "datafold_update_hightouch", "datafold_write_audit_publish"
DBT_DAG = "datafold_dbt_gates"
BI_DATASOURCE_ID = 7
INDEXING_CRON = "30 5 * * 1-5"
LOST, WRONG = 1, 37
"""How many payments the second load loses, and how many it changes."""
STOPPED = "payments"
"""The one model of the dbt project whose gate stops."""
FIGURES = ("rows_added", "rows_removed", "diff_rows_count", "match_ratio")


def main() -> int:
    """Run the demo.

    :return: exit code, 0 if the schedule has changed, and only the correct load was published.
    """
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    programs = Programs(LOGS, LONGEST_RUN)
    programs.obey_signals()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="datafold-demo-") as home,
            Sandbox(api_key=secrets.token_urlsafe()) as sandbox,
            programs,
        ):
            return _run(programs, sandbox, Path(home))
    except ProgramError as error:
        print(f"\n{error} See {LOGS.relative_to(ROOT)}/airflow.log", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. All processes have been stopped.", file=sys.stderr)
        return 130


def _run(programs: Programs, sandbox: Sandbox, home: Path) -> int:
    print(f"The sandbox stands in for Datafold at {sandbox.url}")
    print(f"Airflow writes its log to {LOGS.relative_to(ROOT)}/airflow.log\n")
    warehouse = home / "warehouse.db"
    create_warehouse(warehouse)
    sandbox.state.data_sources.connect(1, warehouse)
    connection = json.dumps({"conn_type": "sqlite", "host": str(warehouse)})
    settings = {**connections_to(sandbox), "AIRFLOW_CONN_WAREHOUSE_DEFAULT": connection}
    airflow = LocalAirflow(programs, home, ROOT / "example_dags", settings)
    if not _changes_schedule(airflow, sandbox):
        print("The schedule is not the requested one.", file=sys.stderr)
        return 1
    if not _publishes(airflow, sandbox, warehouse):
        print("The gate published or stopped the wrong load.", file=sys.stderr)
        return 1
    if not _compares_models(airflow, sandbox, home):
        print("The gates of the dbt project stopped the wrong models.", file=sys.stderr)
        return 1
    return 0


def _changes_schedule(airflow: LocalAirflow, sandbox: Sandbox) -> bool:
    integration = sandbox.state.integrations[BI_DATASOURCE_ID]
    before = dict(integration)
    _show("Integration before", before)

    conf = json.dumps({"bi_datasource_id": BI_DATASOURCE_ID, "indexing_cron": INDEXING_CRON})
    _airflow(airflow, "db", "migrate")
    _airflow(airflow, "dags", "test", SCHEDULE_DAG, "--conf", conf)
    print()

    (returned,) = airflow.returned(SCHEDULE_DAG).values()
    _show("Integration returned, from XCom", returned)
    print(f"indexing_cron: {before['indexing_cron']!r} -> {integration['indexing_cron']!r}\n")
    return bool(returned == integration and integration["indexing_cron"] == INDEXING_CRON)


def _publishes(airflow: LocalAirflow, sandbox: Sandbox, warehouse: Path) -> bool:
    print(f"A correct load, with {NEW_PAYMENTS} new payments:")
    first = _load(airflow, sandbox, warehouse)
    _execute(warehouse, f"DELETE FROM raw_payments WHERE id <= {LOST}")
    _execute(warehouse, f"UPDATE raw_payments SET amount = 0 WHERE id <= {LOST + WRONG}")
    print(f"A wrong load, with {LOST} payment lost and {WRONG} amounts changed:")
    second = _load(airflow, sandbox, warehouse)
    return first == second == PAYMENTS and _is_stopped(sandbox)


def _load(airflow: LocalAirflow, sandbox: Sandbox, warehouse: Path) -> int:
    """Run the gate's DAG once, and return how many payments are published."""
    before = _published(warehouse)
    _airflow(airflow, "dags", "test", GATE_DAG, may_fail=True)
    after = _published(warehouse)
    diff = _last_diff(sandbox)
    figures = ", ".join(f"{name} {diff['diff_stats'][name]}" for name in FIGURES)
    print(f"  data diff: {diff['result']}, {figures}")
    print(f"  its page, while the sandbox runs: {sandbox.url}/datadiffs/{diff['id']}/overview")
    print(f"  {'published' if before != after else 'stopped'}: {before} -> {after} payments\n")
    return after


def _compares_models(airflow: LocalAirflow, sandbox: Sandbox, home: Path) -> bool:
    database = home / f"{shop.DATABASE}.duckdb"
    shop.build(database, "production")
    sandbox.state.data_sources.connect(1, database)
    print("A dbt project, in which one model has changed more than it may:")
    # Stands in for dbt, which does not get on with Airflow in one environment.
    build = [sys.executable, "-m", "dev.local_airflow.shop", str(database), "staging"]
    conf = {
        "build": f"cd {shlex.quote(str(ROOT))} && {shlex.join(build)}",
        "manifest": str(shop.manifest("staging")),
        "production_manifest": str(shop.manifest("production")),
        "publish": "true",
    }
    print(f"$ airflow dags test {DBT_DAG}")
    command = ("dags", "test", DBT_DAG, "--conf", json.dumps(conf))
    airflow.run("airflow", *command, may_fail=True)
    summary = airflow.returned(DBT_DAG, "text")["summary"]
    print(textwrap.indent(summary, "  "))
    return STOPPED in summary and "8 of 9 gates passed" in summary


def _is_stopped(sandbox: Sandbox) -> bool:
    stats = _last_diff(sandbox)["diff_stats"]
    return bool((stats["rows_removed"], stats["diff_rows_count"]) == (LOST, WRONG))


def _last_diff(sandbox: Sandbox) -> Any:
    diffs = sandbox.state.data_diffs
    return diffs.peek(max(diffs.diffs))


def _published(warehouse: Path) -> int:
    (count,) = _execute(warehouse, "SELECT count(*) FROM payments")
    return int(count)


def _execute(database: Path, sql: str, *values: Any) -> Any:
    with closing(sqlite3.connect(database)) as connection:
        row = connection.execute(sql, values).fetchone()
        connection.commit()
        return row


def _airflow(airflow: LocalAirflow, *command: str, may_fail: bool = False) -> None:
    print(f"$ {shlex.join(['airflow', *command])}")
    airflow.run("airflow", *command, may_fail=may_fail)


def _show(title: str, integration: Any) -> None:
    print(f"{title}:")
    if isinstance(integration, dict):
        for field, value in integration.items():
            print(f"  {field}: {json.dumps(value)}")
    else:
        print(f"  {json.dumps(integration)}")
    print()


if __name__ == "__main__":
    sys.exit(main())
