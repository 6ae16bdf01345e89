"""Airflow on this machine, for the demo, ``make dev``, the browser test and the cluster test."""

from dev.local_airflow.deployment import FOR_PEOPLE, ROOT, LocalAirflow, connections_to

__all__ = ["FOR_PEOPLE", "ROOT", "LocalAirflow", "connections_to"]
