"""Run a local Airflow with the sandbox, to try changes: ``make dev``.

Starts Airflow with the example DAGs and the connections that they need, prints the address, and
stops everything at Ctrl-C. Only the logs are kept.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dev.local_airflow import FOR_PEOPLE, ROOT, LocalAirflow
from dev.local_airflow.main import INTERRUPTED, play
from dev.local_airflow.programs import Programs
from dev.samples.connections import connections_to
from dev.samples.warehouse import create_warehouse
from dev.sandbox import Sandbox

DAGS = ROOT / "example_dags"
SETTINGS = {
    **FOR_PEOPLE,
    # So that edited and new DAG files take effect at once. Edits of the package do anyway.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "2",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
}


def main() -> int:
    print("Airflow is starting, which takes half a minute.", flush=True)
    sandbox = Sandbox()

    def run(programs: Programs, home: Path) -> int:
        # A warehouse, and a copy to migrate to.
        warehouse, copy = home / "warehouse.db", home / "copy.db"
        for number, file in enumerate((warehouse, copy), 1):
            create_warehouse(file)
            sandbox.state.data_sources.connect(number, file)
        airflow = LocalAirflow(programs, home, DAGS, SETTINGS)
        airflow.start("dag-processor", "scheduler", "triggerer")
        # In the database: Airflow's UI does not show connections from the environment.
        connections = home / "connections.json"
        connections.write_text(json.dumps(connections_to(sandbox, warehouse)))
        airflow.run("connections-import", "connections", "import", str(connections))
        print(
            f"\n"
            f"Airflow   {airflow.url}, without a login\n"
            f"DAGs      {DAGS.relative_to(ROOT)}, unpaused; edits take effect in seconds\n"
            f"Sandbox   {sandbox.url} stands in for Datafold; its key is {sandbox.api_key}\n"
            f"Warehouse {warehouse}, an SQLite file: data source 1; data source 2 is a copy\n"
            f"\n"
            f"Press Ctrl-C to stop everything.",
            flush=True,
        )
        programs.forever()
        return 0

    code = play("dev", 180, sandbox, run)
    return 0 if code == INTERRUPTED else code


if __name__ == "__main__":
    sys.exit(main())
