"""What this Airflow can do, by its version."""

from __future__ import annotations

import airflow


def is_airflow(least: tuple[int, int]) -> bool:
    """Return whether this is a version of Airflow such as ``(3, 1)``, or a newer one."""
    major, minor = airflow.__version__.split(".")[:2]
    return (int(major), int(minor)) >= least
