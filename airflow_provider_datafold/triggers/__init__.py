"""Triggers: what a triggerer does for tasks that are deferred."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_datafold.lazy_modules import modules_of

if TYPE_CHECKING:
    from airflow_provider_datafold.triggers import job as job
else:
    __getattr__ = modules_of(__name__)
