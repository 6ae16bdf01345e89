"""One Airflow with the parts that ``airflow standalone`` has, and a hook beside it."""

from __future__ import annotations

from pathlib import Path

from dev.faults.fault import TOKEN
from dev.local_airflow import FOR_PEOPLE, ROOT, LocalAirflow, connections_to
from dev.local_airflow.postgresql import start_postgresql
from dev.local_airflow.programs import Programs
from dev.sandbox import Sandbox
from dev.soak.plan import SOAK
from dev.soak.watch import Part, children_of, first_of

_WORKERS = 4


class Deployment:
    """Airflow with workers beside the scheduler, all on loopback.

    :param programs: what its programs belong to.
    :param home: a throw-away folder.
    :param sandbox: what stands in for Datafold.
    """

    def __init__(self, programs: Programs, home: Path, sandbox: Sandbox) -> None:
        self._programs = programs
        airflow_home = home / "airflow"
        airflow_home.mkdir(mode=0o700)
        # SQLite, Airflow's default, refuses some writes where several processes write.
        self.database = f"postgresql+psycopg2://{start_postgresql(programs, home)}"
        self._airflow = LocalAirflow(
            programs,
            airflow_home,
            ROOT / "dev" / "soak" / "dags",
            {
                **FOR_PEOPLE,
                "PYTHONPATH": str(ROOT),
                **connections_to(sandbox, TOKEN),
                "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
                "AIRFLOW__CORE__PARALLELISM": str(_WORKERS),
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database,
            },
        )

    def start(self) -> dict[str, Part]:
        """Start everything.

        :return: what runs for long and calls Datafold, or has tasks that do so, by name.
        """
        parts = self._airflow.start("dag-processor", "scheduler", "triggerer")
        hook = self._programs.start(self._airflow.python("hook", "dev.soak.hook"))
        scheduler, triggerer = parts["scheduler"], parts["triggerer"]
        return {
            "workers": children_of(scheduler),
            "triggerer": triggerer.pids,
            "hook": first_of(hook),
        }

    def ask(self, run: int) -> None:
        """Have Airflow do all tasks of the plan once.

        :param run: the DAG run's number.
        """
        self._airflow.trigger(SOAK.dag_id, str(run))
