"""The DAG of the soak, for Airflow."""

from __future__ import annotations

from dev.cluster.plan import SOAK
from dev.cluster.tasks import make_dag

dag = make_dag(SOAK)
