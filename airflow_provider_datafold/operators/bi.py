"""Operators for the BI section of Datafold's API.

All fields of an integration are templated. They may come from DAG params, XComs or plain Python
values, with and without ``render_template_as_native_obj``, and are checked after rendering, before
anything is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.omitted import OMITTED, Omitted
from airflow_provider_datafold.operators.base import store
from airflow_provider_datafold.operators.integration import (
    DatafoldIntegrationOperator,
    DatafoldUpdateOperator,
)

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.hook import JobHook


class DatafoldSyncIntegrationOperator(DatafoldIntegrationOperator):
    """Start a synchronization of an integration now, whatever its schedule.

    The task ends when Datafold has accepted the request; its API does not say when it is done. The
    hook sends the request again only if it was not processed; Airflow does so after any temporary
    error, as often as the task's ``retries`` say.

    .. code-block:: python

        DatafoldSyncIntegrationOperator(task_id="sync", bi_datasource_id=7)

    :param bi_datasource_id: id of the integration in Datafold, e.g. ``7`` or ``"7"``.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :raises DatafoldError: see :class:`~airflow_provider_datafold.operators.base.DatafoldOperator`.
    """

    def __init__(
        self,
        *,
        bi_datasource_id: int | str,
        datafold_conn_id: str = "datafold_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        store(self, locals())

    def call(self, hook: JobHook) -> Any:
        """Start the synchronization."""
        return hook.sync_integration(self.bi_datasource_id)


class DatafoldUpdateHightouchOperator(DatafoldUpdateOperator):
    """Change the schedule on which Datafold re-indexes a Hightouch integration.

    ``PUT /api/v1/lineage/bi/hightouch/{bi_datasource_id}/`` of Datafold's API. It
    changes only the schedule.

    .. code-block:: python

        DatafoldUpdateHightouchOperator(
            task_id="update_schedule",
            bi_datasource_id="{{ params.bi_datasource_id }}",
            indexing_cron="{{ params.indexing_cron }}",
        )

    :param bi_datasource_id: id of the integration in Datafold, e.g. ``7`` or ``"7"``.
    :param indexing_cron: cron expression of five fields, such as ``"0 6 * * *"``; ``None`` for no
        schedule.
    :param name: the integration's name. Not sent by default; ``None`` is sent as null.
    :param bindings: list of ``{"remoteId": str, "boundIds": [int]}``, or such a list as JSON or as
        a Python literal. The contract requires them with each update, though it changes only the
        schedule: by default, and for ``None``, the integration is read first and its own are sent.
        Native rendering turns a ``remoteId`` that looks like a number into one, so that ``"1.50"``
        is sent as ``"1.5"``.
    :param workspace: the Hightouch workspace. Not sent by default; ``None`` is sent as null.
    :param only_if_changed: whether to read the integration first, and to send nothing when its
        schedule is the one asked for already. Not templated.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :param hightouch_conn_id: id of an Airflow connection of any type, with the Hightouch API
        token as its password.
    :raises DatafoldError: see :class:`~airflow_provider_datafold.operators.base.DatafoldOperator`.
    """

    kind = "hightouch"

    template_fields: Sequence[str] = (
        *DatafoldUpdateOperator.template_fields,
        "bindings",
        "workspace",
        "hightouch_conn_id",
    )
    template_fields_renderers = {"bindings": "json"}  # noqa: RUF012 - typed so by Airflow

    def __init__(
        self,
        *,
        bi_datasource_id: int | str,
        indexing_cron: str | None,
        name: str | Omitted | None = OMITTED,
        bindings: Sequence[Any] | str | None = None,
        workspace: str | Omitted | None = OMITTED,
        only_if_changed: bool = False,
        datafold_conn_id: str = "datafold_default",
        hightouch_conn_id: str = "hightouch_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        store(self, locals())


class DatafoldUpdateLookerOperator(DatafoldUpdateOperator):
    """Change the schedule on which Datafold re-indexes a Looker integration.

    ``PUT /api/v1/lineage/bi/looker/{bi_datasource_id}/`` of Datafold's API. It
    changes only the schedule.

    .. code-block:: python

        DatafoldUpdateLookerOperator(
            task_id="update_schedule", bi_datasource_id=8, repo_id=3, indexing_cron="0 6 * * *"
        )

    :param bi_datasource_id: id of the integration in Datafold, e.g. ``7`` or ``"7"``.
    :param repo_id: id in Datafold of the repository with the LookML code.
    :param indexing_cron: cron expression of five fields, such as ``"0 6 * * *"``; ``None`` for no
        schedule.
    :param name: the integration's name. Not sent by default; ``None`` is sent as null.
    :param base_url: Looker's address. By default what host and port of ``looker_conn_id`` make.
    :param client_id: Looker's client id. By default the login of ``looker_conn_id``.
    :param project_ids: list of strings, or such a list as JSON or as a Python literal. Not
        sent by default.
    :param bindings: as for :class:`DatafoldUpdateHightouchOperator`.
    :param only_if_changed: whether to read the integration first, and to send nothing when its
        schedule is the one asked for already. Not templated.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :param looker_conn_id: id of an Airflow connection of any type, with the client secret as its
        password.
    :raises DatafoldError: see :class:`~airflow_provider_datafold.operators.base.DatafoldOperator`.
    """

    kind = "looker"

    template_fields: Sequence[str] = (
        *DatafoldUpdateOperator.template_fields,
        "repo_id",
        "base_url",
        "client_id",
        "project_ids",
        "bindings",
        "looker_conn_id",
    )
    template_fields_renderers = {"project_ids": "json", "bindings": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        bi_datasource_id: int | str,
        repo_id: int | str,
        indexing_cron: str | None,
        name: str | Omitted | None = OMITTED,
        base_url: str | Omitted = OMITTED,
        client_id: str | Omitted = OMITTED,
        project_ids: Sequence[str] | str | Omitted = OMITTED,
        bindings: Sequence[Any] | str | None = None,
        only_if_changed: bool = False,
        datafold_conn_id: str = "datafold_default",
        looker_conn_id: str = "looker_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        store(self, locals())


class DatafoldUpdateModeOperator(DatafoldUpdateOperator):
    """Change the schedule on which Datafold re-indexes a Mode integration.

    ``PUT /api/v1/lineage/bi/mode/{bi_datasource_id}/`` of Datafold's API. It changes
    only the schedule.

    .. code-block:: python

        DatafoldUpdateModeOperator(
            task_id="update_schedule", bi_datasource_id=9, indexing_cron="0 6 * * *"
        )

    :param bi_datasource_id: id of the integration in Datafold, e.g. ``7`` or ``"7"``.
    :param indexing_cron: cron expression of five fields, such as ``"0 6 * * *"``; ``None`` for no
        schedule.
    :param name: the integration's name. Not sent by default; ``None`` is sent as null.
    :param workspace: the Mode workspace. Not sent by default.
    :param only_if_changed: whether to read the integration first, and to send nothing when its
        schedule is the one asked for already. Not templated.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :param mode_conn_id: id of an Airflow connection of any type, with Mode's password as its
        password and Mode's token in the extra, as ``{"token": "..."}``.
    :raises DatafoldError: see :class:`~airflow_provider_datafold.operators.base.DatafoldOperator`.
    """

    kind = "mode"

    template_fields: Sequence[str] = (
        *DatafoldUpdateOperator.template_fields,
        "workspace",
        "mode_conn_id",
    )

    def __init__(
        self,
        *,
        bi_datasource_id: int | str,
        indexing_cron: str | None,
        name: str | Omitted | None = OMITTED,
        workspace: str | Omitted = OMITTED,
        only_if_changed: bool = False,
        datafold_conn_id: str = "datafold_default",
        mode_conn_id: str = "mode_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        store(self, locals())


class DatafoldUpdateTableauOperator(DatafoldUpdateOperator):
    """Change the schedule on which Datafold re-indexes a Tableau integration.

    ``PUT /api/v1/lineage/bi/tableau/{bi_datasource_id}/`` of Datafold's API. It
    changes only the schedule.

    .. code-block:: python

        DatafoldUpdateTableauOperator(
            task_id="update_schedule", bi_datasource_id=10, indexing_cron="0 6 * * *"
        )

    :param bi_datasource_id: id of the integration in Datafold, e.g. ``7`` or ``"7"``.
    :param indexing_cron: cron expression of five fields, such as ``"0 6 * * *"``; ``None`` for no
        schedule.
    :param name: the integration's name. Not sent by default; ``None`` is sent as null.
    :param server_url: Tableau's address. By default what host and port of ``tableau_conn_id``
        make.
    :param site_id: the Tableau site. By default ``site_id`` in the extra of ``tableau_conn_id``.
    :param token_name: the access token's name. By default the login of ``tableau_conn_id``.
    :param only_if_changed: whether to read the integration first, and to send nothing when its
        schedule is the one asked for already. Not templated.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :param tableau_conn_id: id of an Airflow connection of any type, with the access token's
        value as its password.
    :raises DatafoldError: see :class:`~airflow_provider_datafold.operators.base.DatafoldOperator`.
    """

    kind = "tableau"

    template_fields: Sequence[str] = (
        *DatafoldUpdateOperator.template_fields,
        "server_url",
        "site_id",
        "token_name",
        "tableau_conn_id",
    )

    def __init__(
        self,
        *,
        bi_datasource_id: int | str,
        indexing_cron: str | None,
        name: str | Omitted | None = OMITTED,
        server_url: str | Omitted = OMITTED,
        site_id: str | Omitted = OMITTED,
        token_name: str | Omitted = OMITTED,
        only_if_changed: bool = False,
        datafold_conn_id: str = "datafold_default",
        tableau_conn_id: str = "tableau_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        store(self, locals())


class DatafoldUpdatePowerBIOperator(DatafoldUpdateOperator):
    """Change a Power BI integration: its schedule and every other field that you pass.

    ``PUT /api/v1/lineage/bi/powerbi/{bi_datasource_id}/`` of Datafold's API.

    .. code-block:: python

        DatafoldUpdatePowerBIOperator(
            task_id="update_schedule", bi_datasource_id=11, indexing_cron="0 6 * * *"
        )

    :param bi_datasource_id: id of the integration in Datafold, e.g. ``7`` or ``"7"``.
    :param indexing_cron: cron expression of five fields, such as ``"0 6 * * *"``; ``None`` for no
        schedule.
    :param name: the integration's name. Not sent by default; ``None`` is sent as null.
    :param auth_type: ``"delegated"`` or ``"service_principal"``. Not sent by default; ``None``
        is sent as null, as for the next two.
    :param tenant_id: the tenant. By default ``tenant_id`` in the extra of ``powerbi_conn_id``;
        not sent where there is none.
    :param client_id: the client id. By default the login of ``powerbi_conn_id``; not sent where
        there is none.
    :param only_if_changed: whether to read the integration first, and to send nothing when its
        schedule and its other fields, except secrets, are as asked for already. Not templated.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :param powerbi_conn_id: id of an Airflow connection of any type, with the client secret, if
        there is one, as its password. ``None`` for no connection.
    :raises DatafoldError: see :class:`~airflow_provider_datafold.operators.base.DatafoldOperator`.
    """

    kind = "powerbi"

    template_fields: Sequence[str] = (
        *DatafoldUpdateOperator.template_fields,
        "auth_type",
        "tenant_id",
        "client_id",
        "powerbi_conn_id",
    )

    def __init__(
        self,
        *,
        bi_datasource_id: int | str,
        indexing_cron: str | None,
        name: str | Omitted | None = OMITTED,
        auth_type: str | Omitted | None = OMITTED,
        tenant_id: str | Omitted | None = OMITTED,
        client_id: str | Omitted | None = OMITTED,
        only_if_changed: bool = False,
        datafold_conn_id: str = "datafold_default",
        powerbi_conn_id: str | None = "powerbi_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        store(self, locals())


class DatafoldUpdateDbtOperator(DatafoldUpdateOperator):
    """Change a dbt integration: its schedule and every other field that you pass.

    ``PUT /api/v1/lineage/bi/dbt/{bi_datasource_id}/`` of Datafold's API. It takes no secret, so
    there is no further connection.

    .. code-block:: python

        DatafoldUpdateDbtOperator(
            task_id="update_schedule",
            bi_datasource_id=12,
            ci_config_id=4,
            indexing_cron="0 6 * * *",
        )

    :param bi_datasource_id: id of the integration in Datafold, e.g. ``7`` or ``"7"``.
    :param ci_config_id: id of the CI configuration in Datafold.
    :param indexing_cron: cron expression of five fields, such as ``"0 6 * * *"``; ``None`` for no
        schedule.
    :param name: the integration's name. Not sent by default; ``None`` is sent as null.
    :param only_if_changed: whether to read the integration first, and to send nothing when its
        schedule and its other fields, except secrets, are as asked for already. Not templated.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :raises DatafoldError: see :class:`~airflow_provider_datafold.operators.base.DatafoldOperator`.
    """

    kind = "dbt"

    template_fields: Sequence[str] = (*DatafoldUpdateOperator.template_fields, "ci_config_id")

    def __init__(
        self,
        *,
        bi_datasource_id: int | str,
        ci_config_id: int | str,
        indexing_cron: str | None,
        name: str | Omitted | None = OMITTED,
        only_if_changed: bool = False,
        datafold_conn_id: str = "datafold_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        store(self, locals())
