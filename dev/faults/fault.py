"""Declare what a row of the table is: a fault, and how a task must end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dev.faults.behaviours import answers
from dev.faults.server import Behaviour, Door

API_KEY = 'planted/datafold+key"b8f1<20c&7'
TOKEN = 'planted/hightouch+token"5e97<a3&1'  # noqa: S105 - planted, to be looked for
SECRETS = (API_KEY, TOKEN)
"""With characters that URLs, JSON and HTML encode."""


@dataclass(frozen=True)
class Ending:
    """Say how a task ends.

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
VALIDATION = Ending("request invalid", "DatafoldValidationError")
REJECTED = Ending("request refused", "DatafoldRejectedError")
UNUSABLE = Ending("unusable response", "DatafoldAnswerError")
CONNECTION = Ending("connection broke", "DatafoldConnectionError", airflow_may_retry=True)
UNREACHABLE = Ending("could not connect", "DatafoldUnreachableError", airflow_may_retry=True)
TIMEOUT = Ending("no response in time", "DatafoldTimeoutError", airflow_may_retry=True)
RATE_LIMIT = Ending("too many requests", "DatafoldRateLimitError", airflow_may_retry=True)
SERVER = Ending("service failed", "DatafoldServerError", airflow_may_retry=True)


@dataclass(frozen=True)
class Fault:
    """Declare a fault, and how a task must end.

    The placeholders ``{port}``, ``{closed_port}`` and ``{folder}`` in ``host``, ``environment`` and
    ``extra`` stand for the service's port, a port where nothing listens, and a folder with the
    files ``ca.pem``, ``other_ca.pem`` and ``netrc``.

    :param name: short and unique.
    :param service: what the service, the network or the environment does.
    :param ending: how the task must end.
    :param requests: how many requests must arrive at the service.
    :param connections: how many connections must arrive, where the requests do not tell.
    :param seconds: by when the task must have ended.
    :param behaviours: see :class:`faults.server.FaultServer`.
    :param reads: see :class:`faults.server.FaultServer`.
    :param door: see :class:`faults.server.FaultServer`.
    :param certificate: the service's certificate: empty for no TLS, ``good``, ``self-signed``,
        ``expired``, ``other-host`` (for another host), or ``mutual`` (good, and the service
        requires a client certificate).
    :param host: host of the Airflow connection.
    :param environment: environment variables of the worker.
    :param extra: more extra fields of the connection of type ``datafold``.
    :param addresses: how many addresses of the service the name ``datafold.test`` has, 0 if the
        name does not exist.
    :param resolver: seconds that the worker's resolver takes.
    :param without: modules that the worker does not have.
    :param or_else: another ending that is as good, if a driver may notice either first.
    :param says: what the error's text must contain.
    :param no_sooner: the least number of seconds that the task must wait.
    :param retry_after: seconds that the error must pass on to Airflow.
    :param may_succeed: whether success would be as good for the user: a redirect that is followed
        may keep the update intact, and a client that does not parse the response can see that the
        update was made.
    :param heavy: whether an operator without limits uses so much memory that it must be measured
        alone.
    """

    name: str
    service: str
    ending: Ending
    requests: int
    seconds: float
    behaviours: Sequence[Behaviour] = (answers(),)
    reads: bool = True
    door: Door = Door.OPEN
    certificate: str = ""
    host: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    connections: int | None = None
    addresses: int = 0
    resolver: float = 0.0
    without: Sequence[str] = ()
    or_else: Ending | None = None
    says: str = ""
    no_sooner: float = 0.0
    retry_after: float | None = None
    may_succeed: bool = False
    heavy: bool = False

    def __str__(self) -> str:
        return self.name
