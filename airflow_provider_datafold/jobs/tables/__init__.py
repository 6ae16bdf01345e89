"""The tables of two schemas, made into the arguments of gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_datafold.lazy_modules import modules_of

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.tables import (
        arguments as arguments,
        listing as listing,
        plan as plan,
    )
else:
    __getattr__ = modules_of(__name__)
