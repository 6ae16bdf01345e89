"""The main job, from the trigger form's values to Datafold's answer, in a real Airflow.

Starts the sandbox, runs ``example_dags/update_hightouch.py`` with ``airflow dags test`` in a
throw-away home, and shows what came of it. Run it with ``make demo``.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent
LOG = ROOT / "build" / "demo-airflow.log"
DAG_ID = "datafold_update_hightouch"
BI_DATASOURCE_ID = 7
INDEXING_CRON = "30 5 * * 1-5"


class _Interrupt:
    """Remembers a signal until it can be heeded.

    An exception out of the blue could come between the start of a process and the note of it.
    """

    def __init__(self) -> None:
        self._noted = False

    def note(self, *_: object) -> None:
        self._noted = True

    def check(self) -> None:
        if self._noted:
            raise KeyboardInterrupt


_INTERRUPT = _Interrupt()


def main() -> int:
    """Run the demo.

    :return: exit code, 0 when the schedule has changed.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _INTERRUPT.note)
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text("")
    try:
        with (
            tempfile.TemporaryDirectory(prefix="datafold-demo-") as home,
            Sandbox(api_key=secrets.token_urlsafe()) as sandbox,
        ):
            return _run(sandbox, Path(home))
    except KeyboardInterrupt:
        print("\nInterrupted; everything that was started is stopped.", file=sys.stderr)
        return 130


def _run(sandbox: Sandbox, home: Path) -> int:
    integration = sandbox.state.integrations[BI_DATASOURCE_ID]
    before = dict(integration)
    print(f"The sandbox stands in for Datafold at {sandbox.url}")
    print(f"Airflow writes its log to {LOG.relative_to(ROOT)}\n")
    _show("Integration before", before)

    environment = _environment(sandbox, home)
    conf = json.dumps({"bi_datasource_id": BI_DATASOURCE_ID, "indexing_cron": INDEXING_CRON})
    for command in (["db", "migrate"], ["dags", "test", DAG_ID, "--conf", conf]):
        print(f"$ {shlex.join(['airflow', *command])}")
        if code := _airflow(command, environment):
            print(f"\nFailed with exit code {code}; see {LOG.relative_to(ROOT)}", file=sys.stderr)
            return 1
    print()

    returned = _xcom(home / "airflow.db")
    _show("Integration returned, from XCom", returned)
    _show("Integration now, in the sandbox", integration)
    if not (returned == integration and integration["indexing_cron"] == INDEXING_CRON):
        print("The schedule is not the one asked for.", file=sys.stderr)
        return 1
    print(f"indexing_cron: {before['indexing_cron']!r} -> {integration['indexing_cron']!r}")
    return 0


def _environment(sandbox: Sandbox, home: Path) -> dict[str, str]:
    mine = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    return mine | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_DATAFOLD_DEFAULT": json.dumps(
            {"conn_type": "datafold", "host": sandbox.url, "password": sandbox.api_key}
        ),
        "AIRFLOW_CONN_HIGHTOUCH_DEFAULT": json.dumps(
            {"conn_type": "generic", "password": secrets.token_urlsafe()}
        ),
    }


def _airflow(command: Sequence[str], environment: dict[str, str]) -> int:
    with LOG.open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", *command],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            # A group of its own, so that what Airflow starts ends with it.
            start_new_session=True,
        )
        try:
            while (code := process.poll()) is None:
                _INTERRUPT.check()
                time.sleep(0.1)
            return code
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


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
