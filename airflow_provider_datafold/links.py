"""Links from a task's page in Airflow to Datafold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context


class _PersistedLink(BaseOperatorLink):
    """An address that a run of the task kept in XCom: the pages know nothing of connections."""

    # Airflow 3 keeps what get_link gives, too: by default under another key, so twice.
    xcom_key: ClassVar[str]

    @classmethod
    def persist(cls, context: Context, url: str) -> None:
        """Keep the address for the pages.

        :param context: Airflow's task context.
        :param url: the address.
        """
        if "ti" in context:
            context["ti"].xcom_push(key=cls.xcom_key, value=url)

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return the address.

        :param operator: the task's operator.
        :param ti_key: which run of the task.
        :return: the address, empty when the task failed before it knew it.
        """
        from airflow.providers.common.compat.sdk import XCom

        return XCom.get_value(key=self.xcom_key, ti_key=ti_key) or ""


class DatafoldLink(_PersistedLink):
    """Opens the integrations page of the Datafold deployment that a run of the task used."""

    name = "Datafold"
    xcom_key = "datafold_url"


class DatafoldDataDiffLink(_PersistedLink):
    """Opens the page of the data diff that a run of the task made or waited for."""

    name = "Datafold data diff"
    xcom_key = "datafold_data_diff_url"
