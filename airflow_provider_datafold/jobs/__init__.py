"""What operators, sensors and triggers share: what is done at Datafold, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_datafold.lazy_modules import modules_of

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs import (
        ci_run as ci_run,
        data_diff as data_diff,
        data_source_test as data_source_test,
        dbt as dbt,
        gate as gate,
        hook as hook,
        identity as identity,
        integration as integration,
        job as job,
        lineage as lineage,
        monitor_run as monitor_run,
        monitors as monitors,
        once as once,
        summary as summary,
        tables as tables,
    )
else:
    __getattr__ = modules_of(__name__)
