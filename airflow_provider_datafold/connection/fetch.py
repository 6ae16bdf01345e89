"""Fetches Airflow connections: for a task's thread, and for an event loop.

A connection is wrapped as soon as it is there, and what is wrong with it is raised without the
frames in which it was found: they show its fields.

Airflow says "not defined" for nearly every error of a secrets backend or of its own API server. So
a connection is looked for again before that is believed.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, conf

from airflow_provider_datafold.connection.settings import Settings, judge
from airflow_provider_datafold.exceptions import (
    DatafoldConfigurationError,
    DatafoldError,
    DatafoldTransientError,
)
from airflow_provider_datafold.redaction.secret import Secret, frameless

_PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds before each further look."""

Sleep = Callable[[float], object]


def fetch_settings(conn_id: str, sleep: Sleep = time.sleep) -> Settings:
    """Read a connection of type ``datafold``."""
    return _judge(fetch_connection(conn_id, "Datafold", sleep))


async def fetch_settings_async(conn_id: str) -> Settings:
    """Read a connection of type ``datafold`` without blocking the event loop."""
    from airflow.providers.common.compat.connection import get_async_connection

    search = _Search(conn_id, "Datafold")
    while True:
        try:
            connection = Secret(await get_async_connection(conn_id))
        except Exception as error:
            search.note(error)
        else:
            return _judge(connection)
        await asyncio.sleep(search.pause())


def fetch_connection(conn_id: str, meaning: str, sleep: Sleep = time.sleep) -> Secret:
    """Read a connection of any type."""
    search = _Search(conn_id, meaning)
    while True:
        try:
            return Secret(BaseHook.get_connection(conn_id))
        except Exception as error:
            search.note(error)
        sleep(search.pause())


class _Search:
    """Looks for a connection, and what came of the last look.

    :param conn_id: id of the Airflow connection.
    :param meaning: what it is for, for the error.
    """

    def __init__(self, conn_id: str, meaning: str) -> None:
        self._name = f"{conn_id!r} ({meaning})"
        self._variable = f"AIRFLOW_CONN_{str(conn_id).upper()}"
        self._pauses = iter(_PAUSES)
        self._failure: type[Exception] = AirflowNotFoundException

    def note(self, error: Exception) -> None:
        """Note that a look failed."""
        # Only the type: text and frames may show a secret.
        self._failure = type(error)

    def pause(self) -> float:
        """Return the seconds until the next look."""
        pause = None if self._is_certain() else next(self._pauses, None)
        if pause is None:
            # Here and not where it was caught: it would carry the foreign error.
            raise self._error()
        return pause

    def _is_certain(self) -> bool:
        """Say whether the connection is missing, and nothing that was asked can have failed."""
        return issubclass(self._failure, AirflowNotFoundException) and (
            self._variable in os.environ or not _is_asked_elsewhere()
        )

    def _error(self) -> DatafoldError:
        if not issubclass(self._failure, AirflowNotFoundException):
            return DatafoldTransientError(
                f"Could not read Airflow connection {self._name}: {self._failure.__name__}, "
                f"{len(_PAUSES) + 1} times within {sum(_PAUSES):g} s. Nothing was sent. The "
                f"secrets backend or Airflow's API server is not able to answer; a retry may "
                f"succeed."
            )
        if self._variable in os.environ:
            return DatafoldConfigurationError(
                f"Airflow connection {self._name}: the environment variable {self._variable!r} is "
                f"set, but Airflow cannot read its JSON or URI. Nothing was sent."
            )
        return DatafoldConfigurationError(
            f"There is no Airflow connection {self._name}. Nothing was sent. Add it under "
            f"Admin > Connections, with `airflow connections add`, or as the environment variable "
            f"{self._variable!r}."
        )


def _is_asked_elsewhere() -> bool:
    """Say whether Airflow asks a secrets backend or its API server for a connection."""
    runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    return getattr(runner, "SUPERVISOR_COMMS", None) is not None or any(
        conf.get(section, name, fallback=None)
        for section, name in (("secrets", "backend"), ("workers", "secrets_backend"))
    )


def _judge(connection: Secret) -> Settings:
    try:
        return judge(connection.reveal(), os.environ)
    except DatafoldConfigurationError as error:
        failure = frameless(error)
    raise failure
