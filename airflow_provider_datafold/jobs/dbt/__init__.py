"""What a dbt project says of its models, made into the arguments of gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_datafold.lazy_modules import modules_of

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.dbt import (
        files as files,
        manifest as manifest,
        models as models,
        production as production,
        upload as upload,
    )
else:
    __getattr__ = modules_of(__name__)
