"""Airflow's own masker of secrets in logs, which moved between versions."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING

from airflow_provider_datafold.redaction.secret import SHORTEST_PART

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_datafold.redaction.secret import Secret

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


_mask_secret = _find()


def mask(secrets: Iterable[Secret]) -> None:
    """Have Airflow replace secrets with ``***`` in everything that the task logs.

    Do not call it in an event loop: newer versions of Airflow send the secrets to another process.
    """
    for secret in secrets:
        for text in secret.texts():
            # Airflow 2 would replace even a shorter one in every line; later versions do not.
            if len(text) >= SHORTEST_PART:
                _mask_secret(text)
