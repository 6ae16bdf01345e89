"""Run the main jobs in a real Airflow, each from an example DAG to Datafold's response.

Starts the sandbox and runs three DAGs with ``airflow dags test`` in a temporary home: one that
changes a schedule, a gate that publishes a correct load and stops a wrong one, and a gate for each
model of a dbt project, one of which stops. Then it shows the results. Run it with ``make demo``.
"""

from __future__ import annotations

import json
import shlex
import sqlite3
import sys
import textwrap
from contextlib import closing
from pathlib import Path
from typing import Any

from dev.local_airflow import ROOT, LocalAirflow
from dev.local_airflow.main import play
from dev.local_airflow.programs import Programs
from dev.samples import shop
from dev.samples.connections import connections_to, in_environment
from dev.samples.warehouse import NEW_PAYMENTS, PAYMENTS, create_warehouse
from dev.sandbox import Sandbox

SCHEDULE_DAG = "datafold_update_hightouch"
GATE_DAG, DBT_DAG = "datafold_write_audit_publish", "datafold_dbt_gates"
BI_DATASOURCE_ID = 7
INDEXING_CRON = "30 5 * * 1-5"
LOST, WRONG = 1, 37
"""How many payments the second load loses, and how many it changes."""
FIGURES = ("rows_added", "rows_removed", "diff_rows_count", "match_ratio")


class Demo:
    def __init__(self, programs: Programs, home: Path, sandbox: Sandbox) -> None:
        self._home, self._sandbox = home, sandbox
        self._warehouse = home / "warehouse.db"
        create_warehouse(self._warehouse)
        sandbox.state.data_sources.connect(1, self._warehouse)
        settings = in_environment(connections_to(sandbox, self._warehouse))
        self._airflow = LocalAirflow(programs, home, ROOT / "example_dags", settings)

    def run(self) -> int:
        """Run it, and return the exit code, 0 if each DAG did what it must."""
        print(f"The sandbox stands in for Datafold at {self._sandbox.url}\n")
        self._airflow.run("airflow", "db", "migrate")
        for what, part in (
            ("The schedule is not the requested one.", self._changes_schedule),
            ("The gate published or stopped the wrong load.", self._publishes),
            ("The gates of the dbt project stopped the wrong models.", self._compares_models),
        ):
            if not part():
                print(what, file=sys.stderr)
                return 1
        return 0

    def _changes_schedule(self) -> bool:
        integration = self._sandbox.state.integrations[BI_DATASOURCE_ID]
        before = dict(integration)
        _show("Integration before", before)
        self._test(SCHEDULE_DAG, bi_datasource_id=BI_DATASOURCE_ID, indexing_cron=INDEXING_CRON)
        (returned,) = self._airflow.returned(SCHEDULE_DAG).values()
        _show("\nIntegration returned, from XCom", returned)
        print(f"indexing_cron: {before['indexing_cron']!r} -> {integration['indexing_cron']!r}\n")
        return bool(returned == integration and integration["indexing_cron"] == INDEXING_CRON)

    def _publishes(self) -> bool:
        print(f"A correct load, with {NEW_PAYMENTS} new payments:")
        first, _ = self._load()
        self._execute(f"DELETE FROM raw_payments WHERE id <= {LOST}")
        self._execute(f"UPDATE raw_payments SET amount = 0 WHERE id <= {LOST + WRONG}")
        print(f"A wrong load, with {LOST} payment lost and {WRONG} amounts changed:")
        second, stats = self._load()
        found = (stats["rows_removed"], stats["diff_rows_count"])
        return first == second == PAYMENTS and found == (LOST, WRONG)

    def _load(self) -> tuple[int, Any]:
        """Run the gate's DAG once; return how many payments are published, and what it found."""
        before = self._published()
        self._test(GATE_DAG, may_fail=True)
        after = self._published()
        diffs = self._sandbox.state.data_diffs
        diff = diffs.peek(max(diffs.diffs))
        figures = ", ".join(f"{name} {diff['diff_stats'][name]}" for name in FIGURES)
        url = self._sandbox.url
        print(f"  data diff: {diff['result']}, {figures}")
        print(f"  its page, while the sandbox runs: {url}/datadiffs/{diff['id']}/overview")
        print(f"  {'published' if before != after else 'stopped'}: {before} -> {after} payments\n")
        return after, diff["diff_stats"]

    def _compares_models(self) -> bool:
        database = self._home / f"{shop.DATABASE}.duckdb"
        shop.build(database, "production")
        self._sandbox.state.data_sources.connect(1, database)
        print("A dbt project, in which one model has changed more than it may:")
        # Stands in for dbt, which does not get on with Airflow in one environment.
        build = [sys.executable, "-m", "dev.samples.shop", str(database), "staging"]
        self._test(
            DBT_DAG,
            may_fail=True,
            build=f"cd {shlex.quote(str(ROOT))} && {shlex.join(build)}",
            manifest=str(shop.manifest("staging")),
            production_manifest=str(shop.manifest("production")),
            publish="true",
        )
        summary = self._airflow.returned(DBT_DAG, "text")["summary"]
        print(textwrap.indent(summary, "  "))
        return "8 of 9 passed" in summary and "payments`" in summary

    def _test(self, dag_id: str, *, may_fail: bool = False, **conf: Any) -> None:
        print(f"$ airflow dags test {dag_id}")
        options = ("--conf", json.dumps(conf)) if conf else ()
        self._airflow.run("airflow", "dags", "test", dag_id, *options, may_fail=may_fail)

    def _published(self) -> int:
        return int(self._execute("SELECT count(*) FROM payments")[0])

    def _execute(self, sql: str) -> Any:
        with closing(sqlite3.connect(self._warehouse)) as connection, connection:
            return connection.execute(sql).fetchone()


def _show(title: str, integration: dict[str, Any]) -> None:
    print(f"{title}:")
    print("".join(f"  {field}: {json.dumps(value)}\n" for field, value in integration.items()))


def main() -> int:
    sandbox = Sandbox()
    return play("demo", 300, sandbox, lambda programs, home: Demo(programs, home, sandbox).run())


if __name__ == "__main__":
    sys.exit(main())
