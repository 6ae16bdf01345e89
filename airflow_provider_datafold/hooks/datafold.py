"""The hook: Datafold's API by way of an Airflow connection."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_datafold import __version__
from airflow_provider_datafold.api import data_sources
from airflow_provider_datafold.api.audit_logs import AuditLogMethods
from airflow_provider_datafold.api.bi import BIMethods
from airflow_provider_datafold.api.ci import CIMethods
from airflow_provider_datafold.api.data_diffs import DataDiffMethods
from airflow_provider_datafold.api.data_sources import DataSourceMethods
from airflow_provider_datafold.api.dbt import DbtMethods
from airflow_provider_datafold.api.explore import ExploreMethods
from airflow_provider_datafold.api.monitors import MonitorMethods
from airflow_provider_datafold.api.operation import Operation, Request, Returned, free_request
from airflow_provider_datafold.client.conversation import converse, pause
from airflow_provider_datafold.client.failure import stopped
from airflow_provider_datafold.connection import form
from airflow_provider_datafold.connection.fetch import fetch_settings
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldError,
    DatafoldNotFoundError,
    DatafoldRedirectError,
)
from airflow_provider_datafold.jobs.job import Job
from airflow_provider_datafold.jobs.watch import JobStatus, PollInterval, look_surely, watch
from airflow_provider_datafold.omitted import OMITTED
from airflow_provider_datafold.redaction.masker import mask
from airflow_provider_datafold.redaction.redactor import Redactor
from airflow_provider_datafold.redaction.secret import conceal, secrets_in

if TYPE_CHECKING:
    import requests

    from airflow_provider_datafold.client.sync_driver import Client


_STEP = 0.1
"""Seconds after which a pause sees a stop."""


class DatafoldHook(
    BIMethods,
    CIMethods,
    DataDiffMethods,
    DataSourceMethods,
    DbtMethods,
    ExploreMethods,
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
        self._is_stopped = False

    def __enter__(self) -> DatafoldHook:
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

    def stop(self) -> None:
        """Send nothing more: end a pause, abort a request that is under way.

        For an operator's ``on_kill``. Every call then raises
        :class:`~airflow_provider_datafold.exceptions.DatafoldStoppedError`.
        """
        self._is_stopped = True
        if self._client is not None:
            self._client.stop()

    def get_conn(self) -> requests.Session:
        """Return the session that the hook sends its requests with.

        It adds the API key, and refuses to send to any host but Datafold's. It has none of the
        hook's limits, retries and errors; :meth:`run` has them all. Headers, proxies and
        certificates that are set on it count for the hook's own requests, too.

        :return: the session, the same one until :meth:`close`.
        :raises DatafoldConfigurationError: the Airflow connection is missing or wrong.
        """
        return self._open().session

    def call(
        self, operation: Operation[Returned], body: Any = OMITTED, /, **values: Any
    ) -> Returned:
        """Call an operation of Datafold's API.

        :param operation: what is asked for: a declaration of
            :mod:`airflow_provider_datafold.api`.
        :param body: the body; none by default. ``None`` is sent as null.
        :param values: the fields of path and query by name.
        :return: what the API returns: any JSON that Airflow can keep in XCom, ``None`` for an
            empty response. The API key and the secrets that were sent are replaced by ``***`` in
            it, and where secrets travel whatever stands under the name of a secret.
        :raises DatafoldInputError: a value does not fit the contract; nothing was sent.
        :raises DatafoldError: any other failure; the class says which.
        """
        body = conceal(body)
        make_request = partial(operation.request, body, **values)
        returned: Returned = self._converse(make_request, (body, values))
        return returned

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
        :raises DatafoldError: as for :meth:`call`.
        """
        json = OMITTED if json is None else conceal(json)
        make_request = partial(
            free_request, method, path, json, is_repeatable=idempotent, may_be_empty=may_be_empty
        )
        return self._converse(make_request, (json, method, path))

    def look(self, job: Job, ids: Mapping[str, Any], *, is_troubled: bool = False) -> JobStatus:
        """Look at a job once, or for a minute if Datafold says 403 or 404.

        :param job: its kind, e.g. :data:`~airflow_provider_datafold.jobs.job.DATA_DIFF`.
        :param ids: its ids by name, e.g. ``{"datadiff_id": 7}``.
        :param is_troubled: whether looks have failed for too long already, so that this one
            decides.
        :return: its state; that of a job which runs if only a temporary error came back.
        :raises DatafoldError: it failed for good.
        """
        conversation = look_surely(job, ids, self._settings, self.log, is_troubled=is_troubled)
        reading: JobStatus = self._open().run(conversation)
        return reading

    def wait(
        self,
        job: Job,
        ids: Mapping[str, Any],
        *,
        deadline: float,
        since: float | None = None,
        poll_interval: float | None = None,
    ) -> JobStatus:
        """Wait until a job ends; a temporary error does not end the wait.

        :param job: its kind, e.g. :data:`~airflow_provider_datafold.jobs.job.DATA_DIFF`.
        :param ids: its ids by name, e.g. ``{"datadiff_id": 7}``.
        :param deadline: when to give up, in seconds since the epoch.
        :param since: when the wait began, in seconds since the epoch; by default now.
        :param poll_interval: seconds between two looks; by default 2 at first, then a
            seventh of the time waited, at least 1 and at most 30.
        :return: its state at the end.
        :raises DatafoldDeadlineError: it still runs at the deadline.
        :raises DatafoldError: no look succeeded for an hour, all were refused for a minute, or one
            failed for good.
        """
        conversation = watch(
            job,
            ids,
            self._settings,
            self.log,
            deadline=deadline,
            since=since,
            interval=PollInterval(poll_interval),
        )
        reading: JobStatus = self._open().run(conversation)
        return reading

    def pause(self, seconds: float) -> None:
        """Do nothing for a while; :meth:`stop` ends that at once.

        :param seconds: how long.
        """
        self._open().run(pause(seconds))

    def call_after_stop(
        self,
        operation: Operation[Returned],
        *,
        within: float,
        max_retries: int | None = 0,
        **values: Any,
    ) -> Returned:
        """Call an operation once more when the task is being stopped.

        It works after :meth:`stop`, over a connection of its own.

        :param operation: what is asked for.
        :param within: seconds that a request may take, and after which none is sent again.
        :param max_retries: how often to try again; ``None`` for what the connection says.
        :param values: the fields of path and query by name.
        :return: as for :meth:`call`.
        :raises DatafoldError: as for :meth:`call`.
        """
        timeout = min(within, self._settings.timeout)
        settings = replace(self._settings, timeout=timeout, call_timeout=within)
        client = self._make_client(settings)
        try:
            make_request = partial(operation.request, **values)
            conversation = converse(make_request, settings, self.log, max_retries=max_retries)
            returned: Returned = client.run(conversation)
            return returned
        finally:
            client.close()

    def may_retry(self, attempt: int, seconds: float) -> bool:
        """Say whether the connection allows another attempt at something.

        :param attempt: number of the attempt that failed, from 1.
        :param seconds: how long all attempts have taken.
        """
        longest = self._settings.call_timeout
        return attempt <= self._settings.max_retries and (longest is None or seconds < longest)

    def test_connection(self) -> tuple[bool, str]:
        """Say whether the Airflow connection leads to Datafold, for the form's Test button.

        Lists the data sources, which every app of Datafold has; once, because someone is waiting.

        :return: whether it does, and what is wrong and what to do about it.
        """
        url = ""
        try:
            url = f"{self._settings.base_url}: "
            found = self._converse(data_sources.LIST.request, max_retries=0)
        except (DatafoldAnswerError, DatafoldNotFoundError, DatafoldRedirectError) as error:
            return False, (
                f"{url}this is not a Datafold API ({error.summary}). Check the connection's host: "
                f"it must be the one that users log in to, with https."
            )
        except DatafoldError as error:
            return False, f"{url}{error.reason}"
        return True, f"{url}Datafold accepts the API key and shows {len(found)} data sources."

    @property
    def place(self) -> str:
        """Where calls go, for a line of log."""
        return f"{self._settings.base_url} (Airflow connection {self.datafold_conn_id!r})"

    @property
    def host(self) -> str:
        """The host that calls go to, with its port if it has one.

        :raises DatafoldConfigurationError: the Airflow connection is missing or wrong.
        """
        return urlsplit(self._settings.base_url).netloc

    def data_diff_url(self, datadiff_id: int) -> str:
        """Return the address of a data diff's page, for people.

        :param datadiff_id: its id.
        :raises DatafoldConfigurationError: the Airflow connection is missing or wrong.
        """
        return f"{self._settings.base_url}/datadiffs/{datadiff_id}/overview"

    @property
    def integrations_url(self) -> str:
        """Address of the page with all integrations, for people.

        :raises DatafoldConfigurationError: the Airflow connection is missing or wrong.
        """
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

    def redactor(self, *given: Any) -> Redactor:
        """Make a redactor that knows the API key and the secrets in concealed values.

        :param given: the values.
        :return: the redactor.
        """
        return Redactor([self._settings.api_key, *secrets_in(given)])

    def _converse(
        self, make_request: Callable[[], Request], given: Any = (), max_retries: int | None = None
    ) -> Any:
        mask(secrets_in(given))

        def make() -> Request:
            request = make_request()
            mask(request.secrets)
            return request

        conversation = converse(make, self._settings, self.log, given, max_retries=max_retries)
        return self._open().run(conversation)

    @cached_property
    def _settings(self) -> Settings:
        settings = fetch_settings(self.datafold_conn_id, self._rest)
        mask([settings.api_key])
        for warning in settings.warnings:
            self.log.warning("%s", warning)
        return settings

    def _rest(self, seconds: float) -> None:
        """Pause while there is no client yet, whose pauses :meth:`stop` ends."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._is_stopped:
                raise stopped()
            time.sleep(min(left, _STEP))

    def _open(self) -> Client:
        # A connection that two processes share would hand one the other's responses.
        if self._client is None or self._process != os.getpid():
            self._client = self._make_client(self._settings)
            self._process = os.getpid()
        if self._is_stopped:
            self._client.stop()
        return self._client

    def _make_client(self, settings: Settings) -> Client:
        # Slow to import, and not needed to parse a DAG or to show a connection form.
        from airflow import __version__ as airflow_version

        from airflow_provider_datafold.client.sync_driver import Client

        user_agent = f"airflow-provider-datafold/{__version__} apache-airflow/{airflow_version}"
        return Client(settings, user_agent)
