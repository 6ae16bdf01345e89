"""Links from a task's page in Airflow to Datafold."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

_log = logging.getLogger(__name__)


class _PersistedLink(BaseOperatorLink):
    """An address that a task instance stored in XCom: Airflow's UI cannot read connections."""

    # Airflow 3 stores the result of get_link, too; under the same key it is not stored twice.
    xcom_key: ClassVar[str]

    @classmethod
    def persist(cls, context: Context, url: str) -> None:
        """Store the address for Airflow's UI. It is a convenience: a failure is only a warning."""
        if "ti" not in context:
            return
        try:
            context["ti"].xcom_push(key=cls.xcom_key, value=url)
        except Exception as error:
            _log.warning(
                "Could not store the link %r (%s), so the task's page lacks it: %s",
                cls.name,
                type(error).__name__,
                url,
            )

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return the address; empty if the task failed before it knew the address."""
        from airflow.providers.common.compat.sdk import XCom

        return XCom.get_value(key=self.xcom_key, ti_key=ti_key) or ""


class DatafoldLink(_PersistedLink):
    """Opens the integrations page of the Datafold deployment that the task used."""

    name = "Datafold"
    xcom_key = "datafold_url"


class DatafoldDataDiffLink(_PersistedLink):
    """Opens the page of the data diff that the task started or waited for."""

    name = "Datafold data diff"
    xcom_key = "datafold_data_diff_url"
