"""The gate: what a data diff proves, and whether a DAG goes on after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_datafold.lazy_modules import modules_of

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.gate import approval as approval, decision as decision
else:
    __getattr__ = modules_of(__name__)
