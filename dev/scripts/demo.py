"""The main job, from the trigger form's values to Datafold's answer, in a real Airflow.

Starts the sandbox, runs ``example_dags/update_hightouch.py`` with ``airflow dags test`` in a
throw-away home, and shows what came of it. Run it with ``make demo``.
"""

from __future__ import annotations

import json
import secrets
import shlex
import shutil
import signal
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any

from dev.local_airflow import ROOT, LocalAirflow, connections_to
from dev.local_airflow.programs import ProgramError, Programs
from dev.sandbox import Sandbox

LOGS = ROOT / "build" / "demo"
LONGEST_RUN = 300.0
DAG_ID = "datafold_update_hightouch"
BI_DATASOURCE_ID = 7
INDEXING_CRON = "30 5 * * 1-5"


def main() -> int:
    """Run the demo.

    :return: exit code, 0 when the schedule has changed.
    """
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    programs = Programs(LOGS, LONGEST_RUN)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, programs.interrupt)
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
        print("\nInterrupted; everything that was started is stopped.", file=sys.stderr)
        return 130


def _run(programs: Programs, sandbox: Sandbox, home: Path) -> int:
    integration = sandbox.state.integrations[BI_DATASOURCE_ID]
    before = dict(integration)
    print(f"The sandbox stands in for Datafold at {sandbox.url}")
    print(f"Airflow writes its log to {LOGS.relative_to(ROOT)}/airflow.log\n")
    _show("Integration before", before)

    airflow = LocalAirflow(programs, home, ROOT / "example_dags", connections_to(sandbox))
    conf = json.dumps({"bi_datasource_id": BI_DATASOURCE_ID, "indexing_cron": INDEXING_CRON})
    for command in (["db", "migrate"], ["dags", "test", DAG_ID, "--conf", conf]):
        print(f"$ {shlex.join(['airflow', *command])}")
        airflow.run("airflow", *command)
    print()

    returned = _xcom(home / "airflow.db")
    _show("Integration returned, from XCom", returned)
    _show("Integration now, in the sandbox", integration)
    if not (returned == integration and integration["indexing_cron"] == INDEXING_CRON):
        print("The schedule is not the one asked for.", file=sys.stderr)
        return 1
    print(f"indexing_cron: {before['indexing_cron']!r} -> {integration['indexing_cron']!r}")
    return 0


def _xcom(database: Path) -> Any:
    with sqlite3.connect(database) as connection:
        row = connection.execute(
            "select value from xcom where dag_id = ? and key = 'return_value'", [DAG_ID]
        ).fetchone()
    return json.loads(row[0]) if row else None


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
