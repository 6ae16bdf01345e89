"""The DAG of the soak, for Airflow."""

from __future__ import annotations

from dev.cluster.tasks import make_dag
from dev.soak.plan import SOAK

dag = make_dag(SOAK)
