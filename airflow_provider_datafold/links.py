"""Links from a task's page in Airflow to Datafold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

_XCOM_KEY = "datafold_url"


class DatafoldLink(BaseOperatorLink):
    """Opens the integrations page of the Datafold deployment that a run of the task used."""

    name = "Datafold"
    # Airflow 3 keeps what get_link gives, too: by default under another key, so twice.
    xcom_key = _XCOM_KEY

    @staticmethod
    def persist(context: Context, url: str) -> None:
        """Keep the address for the pages, which know nothing of connections.

        :param context: Airflow's task context.
        :param url: the address.
        """
        if "ti" in context:
            context["ti"].xcom_push(key=_XCOM_KEY, value=url)

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return the address.

        :param operator: the task's operator.
        :param ti_key: which run of the task.
        :return: the address, empty when the task failed before it knew it.
        """
        from airflow.providers.common.compat.sdk import XCom

        return XCom.get_value(key=_XCOM_KEY, ti_key=ti_key) or ""
