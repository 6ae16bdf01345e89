"""Monitors as code, from files to requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_datafold.lazy_modules import modules_of

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.monitors import (
        apply as apply,
        files as files,
        format as format,  # noqa: A004 - nobody imports this name
        plan as plan,
        problems as problems,
        search as search,
    )
else:
    __getattr__ = modules_of(__name__)
