"""Fetches Airflow connections: for a task's thread, and for an event loop.

A connection is wrapped as soon as it is there, and what is wrong with it is raised without the
frames in which it was found: they show its fields.
"""

from __future__ import annotations

import os

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, conf

from airflow_provider_datafold.connection.settings import Settings, judge
from airflow_provider_datafold.exceptions import (
    DatafoldConfigurationError,
    DatafoldError,
    DatafoldTransientError,
)
from airflow_provider_datafold.redaction.secret import Secret, frameless


def fetch_settings(conn_id: str) -> Settings:
    """Read a connection of type ``datafold``."""
    return _judge(fetch_connection(conn_id, "Datafold"))


async def fetch_settings_async(conn_id: str) -> Settings:
    """Read a connection of type ``datafold`` without blocking the event loop."""
    from airflow.providers.common.compat.connection import get_async_connection

    try:
        connection = Secret(await get_async_connection(conn_id))
    except Exception as error:
        failure = _failure(conn_id, "Datafold", type(error))
    else:
        return _judge(connection)
    # Here and not where it was caught: it would carry the foreign error, which may show a secret.
    raise failure


def fetch_connection(conn_id: str, meaning: str) -> Secret:
    """Read a connection of any type; ``meaning`` says in an error what it is for."""
    try:
        return Secret(BaseHook.get_connection(conn_id))
    except Exception as error:
        failure = _failure(conn_id, meaning, type(error))
    raise failure


def _failure(conn_id: str, meaning: str, kind: type[Exception]) -> DatafoldError:
    name = f"{conn_id!r} ({meaning})"
    variable = f"AIRFLOW_CONN_{str(conn_id).upper()}"
    if not issubclass(kind, AirflowNotFoundException):
        return DatafoldTransientError(
            f"Could not read Airflow connection {name}: {kind.__name__}. Nothing was sent. The "
            f"secrets backend or Airflow's API server is not able to answer; a retry may succeed."
        )
    if variable in os.environ:
        return DatafoldConfigurationError(
            f"Airflow connection {name}: the environment variable {variable!r} is set, but Airflow "
            f"cannot read its JSON or URI. Nothing was sent."
        )
    missing = f"There is no Airflow connection {name}"
    advice = (
        f"Add it under Admin > Connections, with `airflow connections add`, or as the environment "
        f"variable {variable!r}."
    )
    if _has_backend():
        # Airflow says "not defined" for nearly every error of a secrets backend.
        return DatafoldTransientError(
            f"{missing}, or the secrets backend did not answer. Nothing was sent. If the backend "
            f"has it, a retry may succeed. {advice}"
        )
    return DatafoldConfigurationError(f"{missing}. Nothing was sent. {advice}")


def _has_backend() -> bool:
    settings = (("secrets", "backend"), ("workers", "secrets_backend"))
    return any(conf.get(section, name, fallback=None) for section, name in settings)


def _judge(connection: Secret) -> Settings:
    try:
        return judge(connection.reveal(), os.environ)
    except DatafoldConfigurationError as error:
        failure = frameless(error)
    raise failure
