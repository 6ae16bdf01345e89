"""Airflow on this machine, for the browser test, the cluster test and ``make dev``."""

from local_airflow.deployment import ROOT, LocalAirflow

__all__ = ["ROOT", "LocalAirflow"]
