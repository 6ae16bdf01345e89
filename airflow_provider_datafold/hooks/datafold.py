"""The hook: Datafold's API by way of an Airflow connection."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from airflow import __version__ as airflow_version
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_datafold import USER_AGENT, client
from airflow_provider_datafold.api import data_sources
from airflow_provider_datafold.api.audit_logs import AuditLogMethods
from airflow_provider_datafold.api.ci import CIMethods
from airflow_provider_datafold.api.data_diffs import DataDiffMethods
from airflow_provider_datafold.api.data_sources import DataSourceMethods
from airflow_provider_datafold.api.dbt import DbtMethods
from airflow_provider_datafold.api.explore import ExploreMethods
from airflow_provider_datafold.api.monitors import MonitorMethods
from airflow_provider_datafold.api.operation import Operation, Request, Returned, free_request
from airflow_provider_datafold.client.conversation import converse
from airflow_provider_datafold.connection import form
from airflow_provider_datafold.connection.fetch import fetch_settings
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldError,
    DatafoldNotFoundError,
    DatafoldRedirectError,
)
from airflow_provider_datafold.hooks.integration import IntegrationMethods
from airflow_provider_datafold.omitted import OMITTED
from airflow_provider_datafold.redaction.redactor import Checked, Redactor, guarded, mask
from airflow_provider_datafold.redaction.secret import concealed, secrets_in

if TYPE_CHECKING:
    import requests

    from airflow_provider_datafold.client.worker import Client

Opened = TypeVar("Opened", bound="DatafoldHook")


class DatafoldHook(
    CIMethods,
    DataDiffMethods,
    DataSourceMethods,
    DbtMethods,
    ExploreMethods,
    IntegrationMethods,
    MonitorMethods,
    AuditLogMethods,
    BaseHook,
):
    """Calls Datafold's API.

    The Airflow connection is read, and a network connection opened, with the first call; both
    are kept for the next ones. A hook belongs to one thread. It is a context manager, which
    closes what it opened:

    .. code-block:: python

        with DatafoldHook() as hook:
            hook.get_data_diff(7)

    Each request is tried again after a temporary error, ``max_retries`` times (extra field of the
    connection, default 3), if sending it twice does no harm or it was not processed. No redirect is
    ever followed.

    :param datafold_conn_id: id of an Airflow connection of type ``datafold``: ``host`` (URL or
        bare host, empty for ``https://app.datafold.com``), ``password`` (API key), and in the
        extra ``timeout`` (seconds for one request, default 30), ``max_retries`` (default 3),
        ``call_timeout`` (seconds after which a call is not tried again), ``ca_bundle`` (path),
        ``verify_ssl`` (default true), ``allow_http`` (default false).
    :raises DatafoldConfigurationError: from every method: the Airflow connection is missing or
        wrong; nothing was sent.
    :raises DatafoldInputError: from every method: a value does not fit the contract; nothing was
        sent.
    :raises DatafoldError: from every method: any other failure; the class says which.
    """

    conn_name_attr = "datafold_conn_id"
    default_conn_name = "datafold_default"
    conn_type = "datafold"
    hook_name = "Datafold"

    def __init__(self, datafold_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.datafold_conn_id = datafold_conn_id
        self._client: Client | None = None
        self._process = 0

    def __enter__(self: Opened) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the API key out: a copy, or a process that unpickles it, reads the connection."""
        state = {**vars(self), "_client": None}
        state.pop("_settings", None)
        return state

    def close(self) -> None:
        """Close the network connection; the next call opens a new one."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def get_conn(self) -> requests.Session:
        """Return the session that the hook sends its requests with.

        It adds the API key, and refuses to send to any host but Datafold's. It has none of the
        hook's limits, retries and errors; :meth:`run` has them all. Headers, proxies and
        certificates that are set on it count for the hook's own requests, too.

        :return: the session, the same one until :meth:`close`.
        """
        return self._open().session

    @concealed
    def call(
        self, operation: Operation[Returned], body: Any = OMITTED, /, **values: Any
    ) -> Returned:
        """Call an operation of Datafold's API.

        :param operation: what is asked for: a declaration of
            :mod:`airflow_provider_datafold.api`.
        :param body: the body; none by default. ``None`` is sent as null.
        :param values: the fields of path and query by name.
        :return: what the API returns: any JSON, ``None`` for an empty response. The API key and the
            secrets that were sent are replaced by ``***`` in it, and where secrets travel whatever
            stands under the name of a secret.
        """
        request = self._guarded(lambda: operation.request(body, **values), body, values)
        returned: Returned = self._send(request)
        return returned

    @concealed
    def run(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        idempotent: bool | None = None,
        may_be_empty: bool = False,
    ) -> Any:
        """Send one request, again after a temporary error, and return the response's JSON.

        :param method: an HTTP method such as ``"PUT"``.
        :param path: a path on Datafold's host such as ``"/api/v1/lineage/bi/"``, perhaps with a
            query.
        :param json: what to send as JSON, ``None`` for no body.
        :param idempotent: whether sending it twice does what sending it once does; by default
            what HTTP says of the method, which is no for ``POST`` and ``PATCH``. If not, it is
            sent again only if it was not processed: the hook could not connect, or the response
            was 429 or 503. Airflow's own ``retries`` know no such difference.
        :param may_be_empty: whether a response without a body is a success, too.
        :return: as for :meth:`call`; what stands under the name of a secret, such as ``token``,
            is replaced.
        """
        check = partial(free_request, is_repeatable=idempotent, may_be_empty=may_be_empty)
        return self._send(self._guarded(partial(check, method, path, json), json, method, path))

    def test_connection(self) -> tuple[bool, str]:
        """Say whether the Airflow connection leads to Datafold, for the form's Test button.

        Lists the data sources, which every app of Datafold has; once, because someone is waiting.

        :return: whether it does, and what is wrong and what to do about it.
        """
        url = ""
        try:
            url = f"{self._settings.base_url}: "
            found = self._send(data_sources.LIST.request(), max_retries=0)
        except (DatafoldAnswerError, DatafoldNotFoundError, DatafoldRedirectError) as error:
            return False, (
                f"{url}this is not a Datafold API ({error.summary}). Check the connection's host: "
                f"it must be the one that users log in to, with https."
            )
        except DatafoldError as error:
            return False, f"{url}{error.reason}"
        return True, f"{url}Datafold accepts the API key and shows {len(found)} data sources."

    def data_diff_url(self, datadiff_id: int) -> str:
        """Return the address of a data diff's page, for people.

        :param datadiff_id: its id.
        """
        return f"{self._settings.base_url}/datadiffs/{datadiff_id}/overview"

    @property
    def integrations_url(self) -> str:
        """Address of the page with all integrations, for people."""
        return f"{self._settings.base_url}/settings/integrations"

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Declare the extra fields of the connection form to Airflow before 3.2.

        :return: a WTForms field by name.
        """
        return form.widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Declare the standard fields of the connection form to Airflow before 3.2.

        :return: what is hidden, what has another label, what placeholders there are.
        """
        return form.behaviour()

    def _redactor(self, *given: Any) -> Redactor:
        return Redactor([self._settings.api_key, *secrets_in(given)])

    def _guarded(self, check: Callable[[], Checked], *given: Any) -> Checked:
        return guarded(check, self._settings.api_key, given)

    def _send(self, request: Request, max_retries: int | None = None) -> Any:
        mask(request.secrets)
        conversation = converse(request, self._settings, self.log, max_retries=max_retries)
        return self._open().run(conversation)

    @cached_property
    def _settings(self) -> Settings:
        settings = fetch_settings(self.datafold_conn_id)
        mask([settings.api_key])
        for warning in settings.warnings:
            self.log.warning("%s", warning)
        return settings

    def _open(self) -> Client:
        # A connection that two processes share would hand one the other's responses.
        if self._client is None or self._process != os.getpid():
            self._client = self._make_client(self._settings)
            self._process = os.getpid()
        return self._client

    def _make_client(self, settings: Settings) -> Client:
        return client.worker.Client(settings, f"{USER_AGENT} apache-airflow/{airflow_version}")
