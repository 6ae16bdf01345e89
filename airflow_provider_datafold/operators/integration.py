"""What the operators of BI lineage share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_datafold import jobs
from airflow_provider_datafold.links import DatafoldLink
from airflow_provider_datafold.omitted import Omitted
from airflow_provider_datafold.operators.base import DatafoldOperator

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.hook import JobHook


class DatafoldIntegrationOperator(DatafoldOperator):
    """What the operators of BI lineage share: an integration, and the link to its page."""

    bi_datasource_id: int | str

    template_fields: Sequence[str] = ("bi_datasource_id", *DatafoldOperator.template_fields)
    operator_extra_links = (DatafoldLink(),)

    def page(self, hook: JobHook) -> str:
        """Return the address of the page with all integrations."""
        return hook.integrations_url


class DatafoldUpdateOperator(DatafoldIntegrationOperator):
    """What the updates of all kinds share; a subclass adds the fields of its :attr:`kind`.

    The returned integration is the task's return value and so lands in XCom. A secret is never
    a parameter: it is in the Airflow connection that the parameter ``<kind>_conn_id`` names.
    """

    kind: ClassVar[str]
    """The API's name for the kind."""

    indexing_cron: str | None
    name: str | Omitted | None
    only_if_changed: bool

    template_fields: Sequence[str] = (
        *DatafoldIntegrationOperator.template_fields,
        "indexing_cron",
        "name",
    )

    def call(self, hook: JobHook) -> Any:
        """Update the integration, and return it as Datafold does."""
        config = jobs.integration.config_of(hook, self.kind, self)
        return hook.update_integration(
            self.kind, self.bi_datasource_id, config, only_if_changed=self.only_if_changed
        )
