"""The conversation with Datafold's API, and the two drivers that can carry it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_datafold.lazy_modules import modules_of

if TYPE_CHECKING:
    from airflow_provider_datafold.client import (
        async_driver as async_driver,
        sync_driver as sync_driver,
    )
else:
    __getattr__ = modules_of(__name__)
