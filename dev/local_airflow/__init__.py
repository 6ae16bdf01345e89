"""Airflow on this machine, for the demo, ``make dev`` and the tests of whole deployments."""

from dev.local_airflow.deployment import FOR_PEOPLE, ROOT, LocalAirflow

__all__ = ["FOR_PEOPLE", "ROOT", "LocalAirflow"]
