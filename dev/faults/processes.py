"""Run many rows at once, each in a process of its own."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from airflow_provider_datafold.connection.fetch import fetch_settings
from dev.faults import update, waiting
from dev.faults.fault import API_KEY
from dev.faults.table import FAULTS
from dev.faults.wait_table import WAITS

Run = tuple[str, str]
"""Name of the fault, and who meets it: a driver or a mode."""

_AT_ONCE = 32
"""Most runs spend their time waiting."""

_LONGEST = 300.0
_FOREIGN = ("AIRFLOW", "REQUESTS_", "CURL_", "SSL_")
_FAULTS = {fault.name: fault for fault in FAULTS}
_WAITS = {wait.name: wait for wait in WAITS}


def run_all(runs: Iterable[Run]) -> dict[Run, list[str]]:
    """Return what differs from the declarations, by run, with a temporary Airflow home."""
    with tempfile.TemporaryDirectory(prefix="datafold-faults-") as home:
        results = Path(home, "results.json")
        subprocess.run(  # noqa: S603 - this package's own code
            [sys.executable, "-m", "dev.faults.processes", results],
            input=json.dumps(list(runs)).encode(),
            env=_environment(home),
            cwd=Path(__file__).parents[2],
            # Airflow writes here.
            stdout=subprocess.DEVNULL,
            timeout=_LONGEST,
            check=True,
        )
        return {(name, by): found for (name, by), found in json.loads(results.read_text())}


def _environment(home: str) -> dict[str, str]:
    mine = {
        name: value
        for name, value in os.environ.items()
        if not (name.startswith(_FOREIGN) or name.lower().endswith("_proxy"))
    }
    return mine | {
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
        # Airflow's own masking would hide what an operator leaks.
        "AIRFLOW__LOGGING__MIN_LENGTH_MASKED_SECRET": "10000",
        "NETRC": str(Path(home, "no-netrc")),
    }


def _run(run: Run) -> tuple[Run, list[str]]:
    name, by = run
    try:
        if name in _FAULTS:
            return run, update.run(_FAULTS[name], by)
        return run, waiting.run(_WAITS[name], by)
    except Exception:
        return run, [traceback.format_exc()]


def _prepare() -> None:
    """Import what the runs need and operators load late, so that none of them waits for it."""
    for name in ("client.worker", "jobs.data_diff", "jobs.gate.decision", "jobs.monitor_run"):
        import_module(f"airflow_provider_datafold.{name}")
    # Airflow before 3.2 imports half of itself for the first connection. This does not use an
    # event loop, whose threads would be missing after a fork.
    os.environ["AIRFLOW_CONN_ANY"] = json.dumps({"conn_type": "datafold", "password": API_KEY})
    fetch_settings("any")
    del os.environ["AIRFLOW_CONN_ANY"]


def _main() -> None:
    runs = [(name, by) for name, by in json.load(sys.stdin)]
    _prepare()
    # Forked, because importing Airflow takes longer than most runs.
    with multiprocessing.get_context("fork").Pool(_AT_ONCE, maxtasksperchild=1) as pool:
        found = list(pool.imap_unordered(_run, runs))
    Path(sys.argv[1]).write_text(json.dumps(found))


if __name__ == "__main__":
    _main()
