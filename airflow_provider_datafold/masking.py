"""Airflow's own masker of secrets in logs, wherever this version of Airflow keeps it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_HOMES = (
    "airflow.sdk.log",  # 3.1 and later
    "airflow.sdk.execution_time.secrets_masker",  # 3.0
    "airflow.utils.log.secrets_masker",  # 2.11
)


def _find() -> Callable[[str], None]:
    for home in _HOMES:
        try:
            found: Callable[[str], None] = import_module(home).mask_secret
        except (ImportError, AttributeError):
            continue
        return found
    raise ImportError(f"This Airflow has no mask_secret in any of {', '.join(_HOMES)}.")


mask_secret = _find()
"""Have Airflow replace a secret with ``***`` in everything that the task logs."""
