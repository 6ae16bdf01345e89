"""Declare what a row of the table is: a fault, and how a task must end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dev.faults.behaviours import answers
from dev.faults.server import Behaviour, Door

API_KEY = 'planted/datafold+key"b8f1<20c&7'
TOKEN = 'planted/hightouch+token"5e97<a3&1'  # noqa: S105 - planted, to be looked for
SECRETS = (API_KEY, TOKEN)
"""With characters that URLs, JSON and HTML encode."""

TRIES = 4
TRANSIENT = {
    f"Datafold{name}Error"
    for name in ("Connection", "Unreachable", "Timeout", "RateLimit", "Server")
}
"""The errors after which the call is tried again, and then Airflow may retry the task."""


@dataclass(frozen=True)
class Fault:
    """Declare a fault, and how a task must end.

    The placeholders ``{port}``, ``{closed_port}`` and ``{folder}`` in ``host``, ``environment`` and
    ``extra`` stand for the service's port, a port where nothing listens, and a folder with the
    files ``ca.pem``, ``other_ca.pem`` and ``netrc``.

    :param name: short and unique.
    :param error: name of the error, empty for success.
    :param behaviours: see :class:`faults.server.FaultServer`.
    :param requests: how many must arrive: four by default if the error is transient, and one for
        each behaviour otherwise.
    :param connections: how many must arrive, where the requests do not tell.
    :param reads: see :class:`faults.server.FaultServer`.
    :param door: see :class:`faults.server.FaultServer`.
    :param certificate: see :func:`faults.certificate.make_context`.
    :param host: host of the Airflow connection.
    :param environment: environment variables of the worker.
    :param timeout: seconds for a request, few where it stalls.
    :param ca_bundle: CA file of the connection, the right one by default.
    :param addresses: how many addresses of the service the name ``datafold.test`` has, 0 if the
        name does not exist.
    :param resolver: seconds that the worker's resolver takes.
    :param says: what the error's text must contain.
    :param no_sooner: the least number of seconds that the task must wait.
    :param retry_after: seconds that the error must pass on to Airflow.
    """

    name: str
    error: str = ""
    behaviours: Sequence[Behaviour] = (answers(),)
    requests: int | None = None
    connections: int | None = None
    reads: bool = True
    door: Door = Door.OPEN
    certificate: str = ""
    host: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 10.0
    ca_bundle: str | None = "{folder}/ca.pem"
    addresses: int = 0
    resolver: float = 0.0
    says: str = ""
    no_sooner: float = 0.0
    retry_after: float | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def may_be_retried(self) -> bool:
        """Whether the error lets Airflow try the task again."""
        return self.error in TRANSIENT

    @property
    def arriving(self) -> int:
        """How many requests must arrive at the service."""
        if self.requests is not None:
            return self.requests
        return TRIES if self.may_be_retried else len(self.behaviours)
