"""The hook: Datafold's API by way of an Airflow connection."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from json import JSONEncoder
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from airflow_provider_datafold import __version__, fields, form, kinds, retry
from airflow_provider_datafold.answer import parse
from airflow_provider_datafold.connection import Settings, read_settings
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldError,
    DatafoldInputError,
    DatafoldNotFoundError,
    DatafoldRedirectError,
)
from airflow_provider_datafold.masking import mask_secret
from airflow_provider_datafold.omitted import OMITTED, Omitted
from airflow_provider_datafold.redaction.redactor import Redactor, secrets_in

if TYPE_CHECKING:
    import requests

    from airflow_provider_datafold.kinds import Kind

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_ENCODER = JSONEncoder(allow_nan=False)


class DatafoldHook(BaseHook):
    """Calls Datafold's API.

    The Airflow connection is read, and a network connection opened, with the first call; both
    are kept for the next ones. A hook belongs to one thread. It is a context manager, which
    closes what it opened:

    .. code-block:: python

        with DatafoldHook() as hook:
            hook.get_integration(7)

    Each request is tried again after a passing fault, ``max_retries`` times (extra field of the
    connection, default 3), and never follows a redirect.

    :param datafold_conn_id: id of an Airflow connection of type ``datafold``: ``host`` (URL or
        bare host, empty for ``https://app.datafold.com``), ``password`` (API key), and in the
        extra ``timeout`` (seconds, default 30), ``max_retries`` (default 3), ``ca_bundle``
        (path), ``verify_ssl`` (default true), ``allow_http`` (default false).
    """

    conn_name_attr = "datafold_conn_id"
    default_conn_name = "datafold_default"
    conn_type = "datafold"
    hook_name = "Datafold"

    def __init__(self, datafold_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.datafold_conn_id = datafold_conn_id
        self._session: requests.Session | None = None

    def __enter__(self) -> DatafoldHook:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the network connection; the next call opens a new one."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def get_conn(self) -> requests.Session:
        """Give the session that the hook sends its requests with.

        What is sent with it directly has none of the hook's limits, retries and errors;
        :meth:`run` has them all. Of what is set on it, headers, authentication, proxies and
        certificates count for the hook's own requests, too; cookies, parameters and hooks do not.

        :return: a session that adds the API key to each request, the same one until
            :meth:`close`.
        :raises DatafoldConfigurationError: the Airflow connection is missing or wrong.
        """
        if self._session is None:
            # Slow to import, and not needed to parse a DAG or to show a connection form.
            from airflow import __version__ as airflow_version

            from airflow_provider_datafold.transport import open_session

            self._session = open_session(
                self._settings,
                f"airflow-provider-datafold/{__version__} apache-airflow/{airflow_version}",
            )
        return self._session

    def run(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        idempotent: bool | None = None,
        may_be_empty: bool = False,
    ) -> Any:
        """Send one request, again after a passing fault, and give its answer.

        :param method: an HTTP method such as ``"PUT"``.
        :param path: a path on Datafold's host such as ``"/api/v1/lineage/bi/"``.
        :param json: what to send as JSON, ``None`` for no body.
        :param idempotent: whether sending it twice does what sending it once does; by default
            what HTTP says of the method, which is no for ``POST`` and ``PATCH``. If not, it is
            sent again only where it was not taken: no connection came about, or the answer was
            429 or 503. Airflow's own ``retries`` know no such difference.
        :param may_be_empty: whether an answer without a body is a success too.
        :return: the parsed JSON of the answer, any JSON value, and ``None`` for an empty one.
            In it the API key, the secrets that were sent (by the names of their fields, such as
            ``token``), and whatever text stands under such a name, are replaced by ``***``.
        :raises DatafoldError: anything else came of it; the class says what.
        """
        body = None if json is None else _encode(json)
        redactor = self._redactor(*secrets_in(json))
        with _no_secret_shown(redactor, path):
            fields.path("path", path)
        return self._send(method.upper(), path, body, redactor, idempotent, may_be_empty)

    def _send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        redactor: Redactor,
        idempotent: bool | None = None,
        may_be_empty: bool = False,
    ) -> Any:
        settings = self._settings
        is_idempotent = method in _IDEMPOTENT if idempotent is None else idempotent
        if settings.verify is False:
            self.log.warning(
                "verify_ssl of connection %r is off: whoever is on the way can read the API key.",
                settings.conn_id,
            )
        attempts = Retrying(
            stop=stop_after_attempt(settings.max_retries + 1),
            retry=retry_if_exception(
                lambda error: retry.is_retryable(error, is_idempotent=is_idempotent)
            ),
            wait=_wait,
            before_sleep=self._log_wait,
            reraise=True,
        )
        try:
            return attempts(self._attempt, method, path, body, redactor, may_be_empty)
        except DatafoldError as error:
            tries = attempts.statistics["attempt_number"]
            raise type(error)(
                redactor.text(
                    f"{method} {path} on {settings.base_url} (Airflow connection "
                    f"{settings.conn_id!r}): {error}."
                    + (f" This was attempt {tries}." if tries > 1 else "")
                ),
                status_code=error.status_code,
                method=method,
                path=redactor.text(path),
                retry_after=error.retry_after,
                errors=error.errors,
            ) from None

    def _attempt(
        self,
        method: str,
        path: str,
        body: bytes | None,
        redactor: Redactor,
        may_be_empty: bool = False,
    ) -> Any:
        # Slow to import, and not needed to parse a DAG.
        from airflow_provider_datafold.transport import exchange

        answer = exchange(self.get_conn(), self._settings, method, path, body)
        return parse(answer, redactor, may_be_empty=may_be_empty)

    def test_connection(self) -> tuple[bool, str]:
        """Say whether the Airflow connection leads to Datafold, for the form's Test button.

        Lists the integrations, once: someone is waiting.

        :return: whether it does, and one sentence about it.
        """
        url = ""
        try:
            url = f"{self._settings.base_url}: "
            integrations = self._attempt("GET", _path(), None, self._redactor())
        except (DatafoldAnswerError, DatafoldNotFoundError, DatafoldRedirectError) as error:
            return False, f"{url}this is not a Datafold API ({_first_sentence(error)})."
        except DatafoldError as error:
            return False, f"{url}{_first_sentence(error)}."
        return True, f"{url}Datafold accepts the API key{_counted(integrations)}."

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

    def list_integrations(self) -> Any:
        """List all BI integrations (``GET /api/v1/lineage/bi/``).

        :return: the parsed answer; the API documents no shape.
        :raises DatafoldError: see :meth:`run`.
        """
        return self.run("GET", _path())

    def get_integration(self, bi_datasource_id: int | str) -> Any:
        """Read a BI integration (``GET /api/v1/lineage/bi/{bi_datasource_id}/``).

        :param bi_datasource_id: the integration's id, a positive integer or its text.
        :return: the parsed answer; the API documents no shape.
        :raises DatafoldInputError: the id is something else; nothing was sent.
        :raises DatafoldError: see :meth:`run`.
        """
        return self.run("GET", self._path_of(bi_datasource_id))

    def delete_integration(self, bi_datasource_id: int | str) -> Any:
        """Remove a BI integration (``DELETE /api/v1/lineage/bi/{bi_datasource_id}/``).

        :param bi_datasource_id: the integration's id, a positive integer or its text.
        :return: the parsed answer, ``None`` for an empty one; the API documents no shape.
        :raises DatafoldInputError: the id is something else; nothing was sent.
        :raises DatafoldNotFoundError: there is none. On a second attempt, which the message
            tells, the first may have removed it.
        :raises DatafoldError: see :meth:`run`.
        """
        return self.run("DELETE", self._path_of(bi_datasource_id), may_be_empty=True)

    def sync_integration(self, bi_datasource_id: int | str) -> Any:
        """Start an unscheduled synchronization (``GET .../bi/{bi_datasource_id}/sync/``).

        Though it is a ``GET`` it has an effect, so it is sent again only where it was not taken,
        see ``idempotent`` of :meth:`run`.

        :param bi_datasource_id: the integration's id, a positive integer or its text.
        :return: the parsed answer, ``None`` for an empty one; the API documents no shape, and
            does not tell when the synchronization ends.
        :raises DatafoldInputError: the id is something else; nothing was sent.
        :raises DatafoldError: see :meth:`run`.
        """
        path = self._path_of(bi_datasource_id, "sync")
        answer = self.run("GET", path, idempotent=False, may_be_empty=True)
        self.log.info(
            "%s: %s (Airflow connection %r) took the order to synchronize.",
            path,
            self._settings.base_url,
            self.datafold_conn_id,
        )
        return answer

    def create_integration(self, kind: str, config: Mapping[str, Any]) -> Any:
        """Create a BI integration (``POST /api/v1/lineage/bi/{kind}/``).

        :param kind: ``"hightouch"``, ``"looker"``, ``"mode"``, ``"tableau"``, ``"powerbi"`` or
            ``"dbt"``.
        :param config: values by the API's names of the fields, secrets included;
            :data:`~airflow_provider_datafold.kinds.KINDS` says which fields a kind has.
        :return: the parsed answer; the API documents no shape. Secrets are replaced as
            :meth:`run` does.
        :raises DatafoldInputError: a value does not fit the contract; nothing was sent.
        :raises DatafoldError: see :meth:`run`.
        """
        redactor = self._redactor(*_secrets(config))
        with _no_secret_shown(redactor, kind, _public(config)):
            found = kinds.find(kind)
            body = found.body(config)
        return self._send("POST", _path(found.name), _encode(body), redactor)

    def update_integration(
        self,
        kind: str,
        bi_datasource_id: int | str,
        config: Mapping[str, Any],
        *,
        only_if_changed: bool = False,
    ) -> Any:
        """Change a BI integration (``PUT /api/v1/lineage/bi/{kind}/{bi_datasource_id}/``).

        By the contract the call "returns the integration with changed fields", and "can only
        update the schedule" but for ``powerbi`` and ``dbt``. Where the answer shows a field
        otherwise than it was sent, a warning in the log says so. The contract does not say what
        becomes of the schedule when ``indexing_cron`` is not in ``config``.

        :param kind: as for :meth:`create_integration`.
        :param bi_datasource_id: the integration's id, a positive integer or its text.
        :param config: as for :meth:`create_integration`; ``indexing_cron`` is a cron expression
            of five fields, ``None`` for no schedule.
        :param only_if_changed: whether to read the integration first, and to send nothing when
            its ``indexing_cron`` is the one in ``config`` already. Of ``powerbi`` and ``dbt`` the
            other fields, but for secrets, have to be the same, too.
        :return: the parsed answer; the API documents no shape. The integration as it was read
            when nothing was sent. Secrets are replaced as :meth:`run` does.
        :raises DatafoldInputError: a value does not fit the contract; nothing was sent.
        :raises DatafoldConfigurationError: the Airflow connection is missing or wrong; nothing
            was sent.
        :raises DatafoldError: see :meth:`run`.
        """
        redactor = self._redactor(*_secrets(config))
        with _no_secret_shown(redactor, kind, bi_datasource_id, _public(config)):
            found = kinds.find(kind)
            number = _checked(bi_datasource_id)
            path = _path(found.name, number)
            body = found.body(config)
        if only_if_changed:
            integration = self._send("GET", _path(number), None, redactor)
            if _is_unchanged(found, integration, body):
                self.log.info(
                    "%s: %s already, so nothing was sent to %s (Airflow connection %r).",
                    path,
                    _schedule(body),
                    self._settings.base_url,
                    self.datafold_conn_id,
                )
                return integration
        answer = self._send("PUT", path, _encode(body), redactor)
        self.log.info(
            "%s: %s was sent to %s (Airflow connection %r) and accepted.",
            path,
            _schedule(body),
            self._settings.base_url,
            self.datafold_conn_id,
        )
        for field, sent, answered in kinds.differences(redactor.json(body), answer):
            self.log.warning(
                "%s was sent as %s, but Datafold answers %s. %s",
                field,
                fields.shown(sent),
                fields.shown(answered),
                "This call of its API can only update the schedule."
                if found.only_schedule and field != "indexing_cron"
                else "Look at the integration in Datafold.",
            )
        return answer

    def update_hightouch_integration(
        self,
        bi_datasource_id: int | str,
        *,
        token: str,
        bindings: Any,
        indexing_cron: str | None,
        name: str | Omitted | None = OMITTED,
        workspace: str | Omitted | None = OMITTED,
        only_if_changed: bool = False,
    ) -> Any:
        """Change the schedule of a Hightouch integration.

        ``PUT /api/v1/lineage/bi/hightouch/{bi_datasource_id}/``: :meth:`update_integration` for
        this kind, with its fields as arguments.

        :param bi_datasource_id: the integration's id, a positive integer or its text.
        :param token: the Hightouch API token.
        :param bindings: list of ``{"remoteId": str, "boundIds": [int]}``.
        :param indexing_cron: a cron expression of five fields, ``None`` for no schedule.
        :param name: the integration's name; ``None`` is sent as null, and nothing by default.
        :param workspace: the Hightouch workspace; as for ``name``.
        :param only_if_changed: as for :meth:`update_integration`.
        :return: as for :meth:`update_integration`.
        :raises DatafoldError: as for :meth:`update_integration`.
        """
        config = {
            "token": token,
            "bindings": bindings,
            "indexing_cron": indexing_cron,
            "name": name,
            "workspace": workspace,
        }
        return self.update_integration(
            "hightouch", bi_datasource_id, config, only_if_changed=only_if_changed
        )

    @cached_property
    def _settings(self) -> Settings:
        settings = read_settings(self.datafold_conn_id)
        mask_secret(settings.api_key)
        return settings

    def _redactor(self, *secrets: str) -> Redactor:
        for secret in secrets:
            mask_secret(secret)
        return Redactor([self._settings.api_key, *secrets])

    def _path_of(self, bi_datasource_id: Any, *parts: str) -> str:
        with _no_secret_shown(self._redactor(), bi_datasource_id):
            return _path(_checked(bi_datasource_id), *parts)

    def _log_wait(self, state: RetryCallState) -> None:
        assert state.outcome is not None  # noqa: S101 - tenacity calls this after an attempt
        self.log.warning(
            "Attempt %d failed: %s. Trying again in %.1f s.",
            state.attempt_number,
            _first_sentence(state.outcome.exception()),
            state.upcoming_sleep,
        )


def _path(*parts: str | int) -> str:
    # The trailing slash belongs to it.
    return "/".join(("/api/v1/lineage/bi", *map(str, parts), ""))


def _checked(bi_datasource_id: Any) -> int:
    return fields.positive_integer("bi_datasource_id", bi_datasource_id)


def _secrets(config: Any) -> list[str]:
    """Find the secrets of a configuration that is not checked yet, as they are going to be sent."""
    try:
        return [secret.strip() for secret in secrets_in(config)]
    except RecursionError:
        raise DatafoldInputError("config: holds itself. Nothing was sent.") from None


def _public(config: Any) -> Any:
    if not isinstance(config, Mapping):
        return config
    return {name: value for name, value in config.items() if name not in kinds.SECRET_FIELDS}


def _schedule(body: Mapping[str, Any]) -> str:
    if "indexing_cron" not in body:
        return "a configuration without indexing_cron"
    return f"indexing_cron {body['indexing_cron']!r}" if body["indexing_cron"] else "no schedule"


def _is_unchanged(kind: Kind, integration: Any, body: Mapping[str, Any]) -> bool:
    """Say whether an update would change nothing, as far as can be seen."""
    if not isinstance(integration, dict) or "indexing_cron" not in body:
        return False
    counts = ["indexing_cron"] if kind.only_schedule else list(_public(body))
    shown = all(name in integration for name in counts)
    return shown and not any(kinds.differences({name: body[name] for name in counts}, integration))


@contextmanager
def _no_secret_shown(redactor: Redactor, *values: Any) -> Iterator[None]:
    """Keep back the message about a wrong value, which shows a part of it, if it may leak."""
    try:
        yield
    except DatafoldInputError as error:
        if not redactor.finds_in(values):
            raise
        field = str(error).partition(":")[0]
        raise DatafoldInputError(
            f"{field}: is wrong, and is not shown because one of the values holds the API key "
            f"or the token. These belong into connections only. Nothing was sent."
        ) from None


def _counted(integrations: Any) -> str:
    # A list, unless the API, which documents no shape, has another one.
    return f" and shows {len(integrations)} integrations" if isinstance(integrations, list) else ""


def _first_sentence(error: BaseException | None) -> str:
    return str(error).partition(". ")[0].rstrip(".")


def _wait(state: RetryCallState) -> float:
    error = state.outcome and state.outcome.exception()
    retry_after = getattr(error, "retry_after", None)
    return retry.wait(state.attempt_number, retry_after, jitter=random.random())  # noqa: S311


def _encode(json: Any) -> bytes:
    try:
        return _ENCODER.encode(json).encode()
    except (TypeError, ValueError, RecursionError):
        raise DatafoldInputError(
            "json: the body can't be written as JSON (NaN, Infinity, or a type that JSON does "
            "not have). Nothing was sent."
        ) from None
