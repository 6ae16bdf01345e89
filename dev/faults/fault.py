"""What a row of the table is: a fault, and what has to come of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dev.faults.behaviours import answers
from dev.faults.server import Act, Door

API_KEY = "planted-datafold-key-b8f1d20c"
TOKEN = "planted-hightouch-token-5e97a3"  # noqa: S105 - planted, to be looked for
SECRETS = (API_KEY, TOKEN)


@dataclass(frozen=True)
class Ending:
    """How a task ends.

    :param words: what happened, for the page.
    :param error: name of the provider's error, empty for success.
    :param airflow_may_retry: whether the error lets Airflow try the task again.
    """

    words: str
    error: str = ""
    airflow_may_retry: bool = False


SUCCESS = Ending("succeeds")
CONFIGURATION = Ending("wrong configuration", "DatafoldConfigurationError")
CERTIFICATE = Ending("TLS refused", "DatafoldCertificateError")
REDIRECT = Ending("redirect, not followed", "DatafoldRedirectError")
AUTHENTICATION = Ending("key refused", "DatafoldAuthenticationError")
PERMISSION = Ending("not permitted", "DatafoldPermissionError")
NOT_FOUND = Ending("not found", "DatafoldNotFoundError")
CONFLICT = Ending("conflict", "DatafoldConflictError")
VALIDATION = Ending("invalid, names the field", "DatafoldValidationError")
REJECTED = Ending("request refused", "DatafoldRejectedError")
NO_JSON = Ending("no JSON, or too much", "DatafoldAnswerError")
CONNECTION = Ending("connection broke", "DatafoldConnectionError", airflow_may_retry=True)
UNREACHABLE = Ending("no connection", "DatafoldUnreachableError", airflow_may_retry=True)
TIMEOUT = Ending("no answer in time", "DatafoldTimeoutError", airflow_may_retry=True)
RATE_LIMIT = Ending("too many requests", "DatafoldRateLimitError", airflow_may_retry=True)
SERVER = Ending("service fails", "DatafoldServerError", airflow_may_retry=True)


@dataclass(frozen=True)
class Fault:
    """A fault, and what has to come of a task that meets it.

    The texts ``{port}``, ``{closed_port}`` and ``{folder}`` in ``host``, ``environment`` and
    ``extra`` stand for the service's port, one where nothing listens, and a folder with the
    files ``ca.pem``, ``other_ca.pem`` and ``netrc``.

    :param name: short and unique.
    :param service: what the service, the network or the environment does.
    :param ending: how the task has to end.
    :param requests: how many requests have to arrive at the service.
    :param seconds: by when the task has to have ended.
    :param acts: see :class:`faults.server.FaultServer`.
    :param reads: see :class:`faults.server.FaultServer`.
    :param door: see :class:`faults.server.FaultServer`.
    :param certificate: what the service shows: nothing as it speaks no TLS, or a certificate
        that is ``good``, ``self-signed``, ``expired``, for an ``other-host``, or good with the
        wish for one of the client's (``mutual``).
    :param host: host of the Airflow connection.
    :param environment: environment variables of the worker.
    :param extra: more extra fields of the connection of type ``datafold``.
    :param no_sooner: seconds that the task has to wait at least.
    :param retry_after: seconds that the error has to pass on to Airflow.
    :param may_succeed: whether success would be as good for the user: where a redirect is
        followed with the update intact, and where an answer can't be parsed by one who wants
        to, yet says that the update was made.
    :param heavy: whether an operator without limits takes much memory for it, so that it has to
        be measured alone.
    """

    name: str
    service: str
    ending: Ending
    requests: int
    seconds: float
    acts: Sequence[Act] = (answers(),)
    reads: bool = True
    door: Door = Door.OPEN
    certificate: str = ""
    host: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    no_sooner: float = 0.0
    retry_after: float | None = None
    may_succeed: bool = False
    heavy: bool = False

    def __str__(self) -> str:
        return self.name
