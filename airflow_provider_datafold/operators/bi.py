"""Operators for the BI section of Datafold's API.

All fields of an integration are templated. They may come from DAG params, XComs or plain Python
values, with and without ``render_template_as_native_obj``, and are checked after rendering, before
anything is sent.

Each parse of a DAG, and so each task's process, pays for what is done here. What only some of them
need is imported where it is used. Each operator has a single constructor, because Airflow wraps
that of every base class, too, and stores its arguments in one step, because Airflow intercepts
each assignment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_datafold.omitted import OMITTED, Omitted

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_datafold.hooks.datafold import DatafoldHook


class _Links:
    """The links on a task's page, imported when Airflow asks a task or an operator for them."""

    def __get__(self, task: object, operator: object = None) -> tuple[BaseOperatorLink, ...]:
        from airflow_provider_datafold.links import DatafoldLink

        return (DatafoldLink(),)


class DatafoldOperator(BaseOperator):
    """What all operators share: an integration, the connection, the link, when to try again.

    Each operator's constructor takes these parameters:

    :param bi_datasource_id: id of the integration in Datafold, a positive integer or its text.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :raises DatafoldInputError: a parameter does not fit the contract; nothing was sent.
    :raises DatafoldConfigurationError: a connection is missing or wrong; nothing was sent.
    :raises DatafoldError: see
        :meth:`~airflow_provider_datafold.hooks.datafold.DatafoldHook.run`.
    """

    bi_datasource_id: int | str
    datafold_conn_id: str

    template_fields: Sequence[str] = ("bi_datasource_id", "datafold_conn_id")
    operator_extra_links = _Links()
    ui_color = "#e3f0e8"

    def execute(self, context: Context) -> Any:
        """Call Datafold.

        :param context: Airflow's task context.
        :return: what Datafold answers, any JSON, without secrets; it lands in XCom.
        """
        from airflow_provider_datafold.hooks.datafold import DatafoldHook
        from airflow_provider_datafold.links import DatafoldLink
        from airflow_provider_datafold.retry_policy import DEFAULT_RETRY_POLICY

        # Airflow asks the policy when the task has failed, in this very process. Versions before
        # 3.3 know no such thing.
        if DEFAULT_RETRY_POLICY is not None and self.retry_policy is None:
            self.retry_policy = DEFAULT_RETRY_POLICY
        with DatafoldHook(self.datafold_conn_id) as hook:
            DatafoldLink.persist(context, hook.integrations_url)
            return self.call(hook)

    def call(self, hook: DatafoldHook) -> Any:
        """Do what the operator is for.

        :param hook: the hook to make it with.
        :return: what the hook gives.
        """
        raise NotImplementedError


class DatafoldSyncIntegrationOperator(DatafoldOperator):
    """Start a synchronization of an integration now, whatever its schedule.

    The task ends when Datafold has taken the order; its API does not tell when it is done. The
    hook sends the order again only where it was not taken; Airflow, as the task's ``retries``
    say, after any passing fault.

    .. code-block:: python

        DatafoldSyncIntegrationOperator(task_id="sync", bi_datasource_id=7)

    :param bi_datasource_id: id of the integration in Datafold, a positive integer or its text.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :raises DatafoldError: see :class:`DatafoldOperator`.
    """

    def __init__(
        self,
        *,
        bi_datasource_id: int | str,
        datafold_conn_id: str = "datafold_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        vars(self).update(bi_datasource_id=bi_datasource_id, datafold_conn_id=datafold_conn_id)

    def call(self, hook: DatafoldHook) -> Any:
        """Start the synchronization.

        :param hook: the hook to make the call with.
        :return: what Datafold answers, ``None`` for an empty answer.
        """
        return hook.sync_integration(self.bi_datasource_id)


class DatafoldUpdateOperator(DatafoldOperator):
    """What the updates of all kinds share; a subclass adds the fields of its :attr:`kind`.

    The returned integration is the task's return value and so lands in XCom. A secret is never
    a parameter: it is in the Airflow connection that the parameter ``<kind>_conn_id`` names.
    Which field of that connection is which field of the API:
    :data:`~airflow_provider_datafold.kinds.KINDS`.

    The constructor of each kind's operator takes these parameters, too:

    :param bi_datasource_id: see :class:`DatafoldOperator`.
    :param indexing_cron: cron expression of five fields, such as ``"0 6 * * *"``; ``None``, or
        the text ``"None"`` that a template makes of it, for no schedule.
    :param name: the integration's name. Not sent by default; ``None`` is sent as null.
    :param only_if_changed: whether to read the integration first, and to send nothing when its
        ``indexing_cron`` is the one asked for already; of Power BI and dbt the other fields, but
        for secrets, have to be the same, too. Datafold keeps an audit log, which a DAG that sets
        the same schedule each day would fill. Not templated.
    :param datafold_conn_id: see :class:`DatafoldOperator`.
    """

    kind: ClassVar[str]
    """The API's name for the kind."""

    indexing_cron: str | None
    name: str | Omitted | None
    only_if_changed: bool

    template_fields: Sequence[str] = (*DatafoldOperator.template_fields, "indexing_cron", "name")

    def call(self, hook: DatafoldHook) -> Any:
        """Update the integration.

        :param hook: the hook to make the call with.
        :return: the integration as Datafold answers it.
        """
        return hook.update_integration(
            self.kind, self.bi_datasource_id, self._config(), only_if_changed=self.only_if_changed
        )

    def _config(self) -> dict[str, Any]:
        from airflow_provider_datafold.connection import read_config
        from airflow_provider_datafold.fields import undo_none
        from airflow_provider_datafold.kinds import KINDS

        kind = KINDS[self.kind]
        config = {}
        for field in kind.fields:
            # A secret has no argument, whatever a subclass may call its attributes.
            value = OMITTED if field.secret else getattr(self, field.name)
            if value is not OMITTED:
                config[field.name] = undo_none(value) if field.nullable else value
        if conn_id := undo_none(getattr(self, f"{self.kind}_conn_id", None)):
            config |= read_config(conn_id, kind, given=config)
        return config


class DatafoldUpdateHightouchOperator(DatafoldUpdateOperator):
    """Change the schedule on which Datafold re-indexes a Hightouch integration.

    ``PUT /api/v1/lineage/bi/hightouch/{bi_datasource_id}/`` of Datafold's API. By the contract
    it can only update the schedule.

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
    :param indexing_cron: cron expression of five fields, such as ``"0 6 * * *"``; ``None`` for no
        schedule.
    :param name: the integration's name. Not sent by default; ``None`` is sent as null.
    :param workspace: the Hightouch workspace. Not sent by default; ``None`` is sent as null.
    :param only_if_changed: whether to read the integration first, and to send nothing when its
        schedule is the one asked for already. Not templated.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :param hightouch_conn_id: id of an Airflow connection of any type, with the Hightouch API
        token as its password.
    :raises DatafoldError: see :class:`DatafoldOperator`.
    """

    kind = "hightouch"

    bindings: Sequence[Any] | str
    workspace: str | Omitted | None
    hightouch_conn_id: str

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
        bindings: Sequence[Any] | str,
        indexing_cron: str | None,
        name: str | Omitted | None = OMITTED,
        workspace: str | Omitted | None = OMITTED,
        only_if_changed: bool = False,
        datafold_conn_id: str = "datafold_default",
        hightouch_conn_id: str = "hightouch_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        vars(self).update(
            bi_datasource_id=bi_datasource_id,
            bindings=bindings,
            indexing_cron=indexing_cron,
            name=name,
            workspace=workspace,
            only_if_changed=only_if_changed,
            datafold_conn_id=datafold_conn_id,
            hightouch_conn_id=hightouch_conn_id,
        )


class DatafoldUpdateLookerOperator(DatafoldUpdateOperator):
    """Change the schedule on which Datafold re-indexes a Looker integration.

    ``PUT /api/v1/lineage/bi/looker/{bi_datasource_id}/`` of Datafold's API. By the contract it
    can only update the schedule.

    .. code-block:: python

        DatafoldUpdateLookerOperator(
            task_id="update_schedule", bi_datasource_id=8, repo_id=3, indexing_cron="0 6 * * *"
        )

    :param bi_datasource_id: id of the integration in Datafold, a positive integer or its text.
    :param repo_id: id in Datafold of the repository with the LookML code.
    :param indexing_cron: cron expression of five fields, such as ``"0 6 * * *"``; ``None`` for no
        schedule.
    :param name: the integration's name. Not sent by default; ``None`` is sent as null.
    :param base_url: Looker's address. By default what host and port of ``looker_conn_id`` make.
    :param client_id: Looker's client id. By default the login of ``looker_conn_id``.
    :param project_ids: list of texts, or the JSON text or the Python repr of one. Not sent by
        default.
    :param bindings: as for :class:`DatafoldUpdateHightouchOperator`. Not sent by default.
    :param only_if_changed: whether to read the integration first, and to send nothing when its
        schedule is the one asked for already. Not templated.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :param looker_conn_id: id of an Airflow connection of any type, with the client secret as its
        password.
    :raises DatafoldError: see :class:`DatafoldOperator`.
    """

    kind = "looker"

    repo_id: int | str
    base_url: str | Omitted
    client_id: str | Omitted
    project_ids: Sequence[str] | str | Omitted
    bindings: Sequence[Any] | str | Omitted
    looker_conn_id: str

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
        bindings: Sequence[Any] | str | Omitted = OMITTED,
        only_if_changed: bool = False,
        datafold_conn_id: str = "datafold_default",
        looker_conn_id: str = "looker_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        vars(self).update(
            bi_datasource_id=bi_datasource_id,
            repo_id=repo_id,
            indexing_cron=indexing_cron,
            name=name,
            base_url=base_url,
            client_id=client_id,
            project_ids=project_ids,
            bindings=bindings,
            only_if_changed=only_if_changed,
            datafold_conn_id=datafold_conn_id,
            looker_conn_id=looker_conn_id,
        )


class DatafoldUpdateModeOperator(DatafoldUpdateOperator):
    """Change the schedule on which Datafold re-indexes a Mode integration.

    ``PUT /api/v1/lineage/bi/mode/{bi_datasource_id}/`` of Datafold's API. By the contract it can
    only update the schedule.

    .. code-block:: python

        DatafoldUpdateModeOperator(
            task_id="update_schedule", bi_datasource_id=9, indexing_cron="0 6 * * *"
        )

    :param bi_datasource_id: id of the integration in Datafold, a positive integer or its text.
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
    :raises DatafoldError: see :class:`DatafoldOperator`.
    """

    kind = "mode"

    workspace: str | Omitted
    mode_conn_id: str

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
        vars(self).update(
            bi_datasource_id=bi_datasource_id,
            indexing_cron=indexing_cron,
            name=name,
            workspace=workspace,
            only_if_changed=only_if_changed,
            datafold_conn_id=datafold_conn_id,
            mode_conn_id=mode_conn_id,
        )


class DatafoldUpdateTableauOperator(DatafoldUpdateOperator):
    """Change the schedule on which Datafold re-indexes a Tableau integration.

    ``PUT /api/v1/lineage/bi/tableau/{bi_datasource_id}/`` of Datafold's API. By the contract it
    can only update the schedule.

    .. code-block:: python

        DatafoldUpdateTableauOperator(
            task_id="update_schedule", bi_datasource_id=10, indexing_cron="0 6 * * *"
        )

    :param bi_datasource_id: id of the integration in Datafold, a positive integer or its text.
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
    :raises DatafoldError: see :class:`DatafoldOperator`.
    """

    kind = "tableau"

    server_url: str | Omitted
    site_id: str | Omitted
    token_name: str | Omitted
    tableau_conn_id: str

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
        vars(self).update(
            bi_datasource_id=bi_datasource_id,
            indexing_cron=indexing_cron,
            name=name,
            server_url=server_url,
            site_id=site_id,
            token_name=token_name,
            only_if_changed=only_if_changed,
            datafold_conn_id=datafold_conn_id,
            tableau_conn_id=tableau_conn_id,
        )


class DatafoldUpdatePowerBIOperator(DatafoldUpdateOperator):
    """Change a Power BI integration: its schedule, and by the contract the rest of it too.

    ``PUT /api/v1/lineage/bi/powerbi/{bi_datasource_id}/`` of Datafold's API.

    .. code-block:: python

        DatafoldUpdatePowerBIOperator(
            task_id="update_schedule", bi_datasource_id=11, indexing_cron="0 6 * * *"
        )

    :param bi_datasource_id: id of the integration in Datafold, a positive integer or its text.
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
        schedule and its other fields, but for secrets, are as asked for already. Not templated.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :param powerbi_conn_id: id of an Airflow connection of any type, with the client secret, if
        there is one, as its password. ``None`` for no connection.
    :raises DatafoldError: see :class:`DatafoldOperator`.
    """

    kind = "powerbi"

    auth_type: str | Omitted | None
    tenant_id: str | Omitted | None
    client_id: str | Omitted | None
    powerbi_conn_id: str | None

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
        vars(self).update(
            bi_datasource_id=bi_datasource_id,
            indexing_cron=indexing_cron,
            name=name,
            auth_type=auth_type,
            tenant_id=tenant_id,
            client_id=client_id,
            only_if_changed=only_if_changed,
            datafold_conn_id=datafold_conn_id,
            powerbi_conn_id=powerbi_conn_id,
        )


class DatafoldUpdateDbtOperator(DatafoldUpdateOperator):
    """Change a dbt integration: its schedule, and by the contract the rest of it too.

    ``PUT /api/v1/lineage/bi/dbt/{bi_datasource_id}/`` of Datafold's API. It takes no secret, so
    there is no further connection.

    .. code-block:: python

        DatafoldUpdateDbtOperator(
            task_id="update_schedule",
            bi_datasource_id=12,
            ci_config_id=4,
            indexing_cron="0 6 * * *",
        )

    :param bi_datasource_id: id of the integration in Datafold, a positive integer or its text.
    :param ci_config_id: id of the CI configuration in Datafold.
    :param indexing_cron: cron expression of five fields, such as ``"0 6 * * *"``; ``None`` for no
        schedule.
    :param name: the integration's name. Not sent by default; ``None`` is sent as null.
    :param only_if_changed: whether to read the integration first, and to send nothing when its
        schedule and its other fields, but for secrets, are as asked for already. Not templated.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :raises DatafoldError: see :class:`DatafoldOperator`.
    """

    kind = "dbt"

    ci_config_id: int | str

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
        vars(self).update(
            bi_datasource_id=bi_datasource_id,
            ci_config_id=ci_config_id,
            indexing_cron=indexing_cron,
            name=name,
            only_if_changed=only_if_changed,
            datafold_conn_id=datafold_conn_id,
        )
