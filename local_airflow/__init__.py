"""Airflow on this machine, for the browser test, the cluster test and ``make dev``."""

from local_airflow.deployment import FOR_PEOPLE, ROOT, LocalAirflow

__all__ = ["FOR_PEOPLE", "ROOT", "LocalAirflow"]
