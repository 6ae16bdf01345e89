"""Short pauses for what runs in a real Airflow: the unit tests say how long they really are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider_datafold.client import retry
from airflow_provider_datafold.jobs import watch
from airflow_provider_datafold.jobs.gate import decision
from airflow_provider_datafold.jobs.monitors import apply
from airflow_provider_datafold.jobs.once import start
from airflow_provider_datafold.operators import wait

_PAUSES = (
    (apply, "_PAUSES", (0.0, 0.01)),
    (decision, "_PAUSES", (0.0, 0.01, 0.01)),
    (retry, "_FIRST_WAIT", 0.01),
    (start, "_PAUSES", (0.0, 0.01)),
    (start, "_LAST_PAUSES", (0.01,)),
    (watch, "_FIRST_PAUSE", 0.01),
    (wait, "BRIEF", 0.0),
    (wait, "HOLD", 0.0),
    (watch, "_SHORTEST_PAUSE", 0.01),
)


def shorten(put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Make the package pause shortly.

    :param put: sets an attribute; by default for as long as the process lives.
    """
    for module, name, value in _PAUSES:
        put(module, name, value)
