"""The DAG of the cluster test, for Airflow."""

from __future__ import annotations

from dev.cluster.plan import CLUSTER
from dev.cluster.tasks import make_dag

dag = make_dag(CLUSTER)
