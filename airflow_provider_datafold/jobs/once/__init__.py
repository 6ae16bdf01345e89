"""Makes a job once, even if a response or a worker is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_datafold.lazy_modules import modules_of

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.once import (
        claim as claim,
        memory as memory,
        ownership as ownership,
    )
else:
    __getattr__ = modules_of(__name__)
