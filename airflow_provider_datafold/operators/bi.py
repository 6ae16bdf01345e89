"""Operators for the BI section of Datafold's API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_datafold.fields import undo_none
from airflow_provider_datafold.links import DatafoldLink
from airflow_provider_datafold.omitted import OMITTED, Omitted
from airflow_provider_datafold.retry_policy import DEFAULT_RETRY_POLICY

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class _DatafoldOperator(BaseOperator):
    """What all operators share: the connection, the link, and when Airflow tries again."""

    operator_extra_links = (DatafoldLink(),)

    def __init__(self, *, datafold_conn_id: str = "datafold_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.datafold_conn_id = datafold_conn_id
        # Afterwards, because a policy may come from the DAG's `default_args`, and because
        # `partial()` hands None to a mapped task. Versions before 3.3 know no such thing.
        if DEFAULT_RETRY_POLICY is not None and self.retry_policy is None:
            self.retry_policy = DEFAULT_RETRY_POLICY


class DatafoldUpdateHightouchOperator(_DatafoldOperator):
    """Change the schedule on which Datafold re-indexes a Hightouch integration.

    Sends ``PUT /api/v1/lineage/bi/hightouch/{bi_datasource_id}/``, which by Datafold's contract
    "can only update the schedule"; where the answer shows that another field was not taken
    over, the task's log says so. All parameters below are templated, with and without
    ``render_template_as_native_obj``, and are checked after rendering, before anything is sent.

    The returned integration is the task's return value and so lands in XCom. The Hightouch
    token is never a parameter: it is the password of ``hightouch_conn_id``.

    .. code-block:: python

        DatafoldUpdateHightouchOperator(
            task_id="update_schedule",
            bi_datasource_id="{{ params.bi_datasource_id }}",
            bindings="{{ params.bindings }}",
            indexing_cron="{{ params.indexing_cron }}",
        )

    :param bi_datasource_id: id of the integration in Datafold, a positive integer or its text.
    :param bindings: list of ``{"remoteId": str, "boundIds": [int]}``, as the integration has
        them: the contract requires them with each update, though it changes only the schedule.
        The JSON text or the Python repr of such a list will do. Native rendering makes a number
        of a ``remoteId`` that looks like one, and of its text again only what is left of it:
        ``"1.50"`` is sent as ``"1.5"``.
    :param indexing_cron: cron expression of five fields, such as ``"0 6 * * *"``; ``None``, or
        the text ``"None"`` that a template makes of it, for no schedule.
    :param name: the integration's name. Not sent by default; ``None`` is sent as null.
    :param workspace: the Hightouch workspace. Not sent by default; ``None`` is sent as null.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :param hightouch_conn_id: id of an Airflow connection of any type, with the Hightouch API
        token as its password.
    :raises DatafoldInputError: a parameter does not fit the contract; nothing was sent.
    :raises DatafoldConfigurationError: a connection is missing or wrong; nothing was sent.
    :raises DatafoldError: no integration came back, see
        :meth:`~airflow_provider_datafold.hooks.datafold.DatafoldHook.run`.
    """

    template_fields: Sequence[str] = (
        "bi_datasource_id",
        "bindings",
        "indexing_cron",
        "name",
        "workspace",
        "datafold_conn_id",
        "hightouch_conn_id",
    )
    template_fields_renderers = {"bindings": "json"}  # noqa: RUF012 - typed so by Airflow
    ui_color = "#e3f0e8"

    def __init__(
        self,
        *,
        bi_datasource_id: int | str,
        bindings: Sequence[Any] | str,
        indexing_cron: str | None,
        name: str | Omitted | None = OMITTED,
        workspace: str | Omitted | None = OMITTED,
        hightouch_conn_id: str = "hightouch_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bi_datasource_id = bi_datasource_id
        self.bindings = bindings
        self.indexing_cron = indexing_cron
        self.name = name
        self.workspace = workspace
        self.hightouch_conn_id = hightouch_conn_id

    def execute(self, context: Context) -> Any:
        """Update the integration.

        :param context: Airflow's task context, which is not used.
        :return: the integration as Datafold answers it, any JSON, without secrets.
        """
        # Slow to import, and not needed to parse a DAG.
        from airflow_provider_datafold.connection import read_password
        from airflow_provider_datafold.hooks.datafold import DatafoldHook

        with DatafoldHook(self.datafold_conn_id) as hook:
            DatafoldLink.persist(context, hook.integrations_url)
            return hook.update_hightouch_integration(
                self.bi_datasource_id,
                token=read_password(self.hightouch_conn_id, "Hightouch API token"),
                bindings=self.bindings,
                indexing_cron=undo_none(self.indexing_cron),
                name=undo_none(self.name),
                workspace=undo_none(self.workspace),
            )
