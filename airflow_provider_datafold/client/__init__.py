"""The conversation with Datafold's API, and the client that carries it in a worker or in a loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_datafold.lazy_modules import modules_of

if TYPE_CHECKING:
    from airflow_provider_datafold.client import (
        loop as loop,
        worker as worker,
    )
else:
    __getattr__ = modules_of(__name__)
