"""Declare what a row of the table is: a fault, and how a task must end."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dev.faults.behaviours import answers
from dev.faults.server import Behaviour, Door

API_KEY = 'planted/datafold+key"b8f1<20c&7'
TOKEN = 'planted/hightouch+token"5e97<a3&1'  # noqa: S105 - planted, to be looked for
SECRETS = (API_KEY, TOKEN)
"""With characters that URLs, JSON and HTML encode."""

TRIES = 4
TRANSIENT = ("Connection", "Unreachable", "Timeout", "RateLimit", "Server")
"""The errors after which the call is tried again, and then Airflow may retry the task."""


@dataclass(frozen=True)
class Fault:
    """A fault, and how a task must end: what the service does, what the worker has, what is seen.

    ``{port}``, ``{closed_port}`` and ``{folder}`` in a string stand for the service's port, a port
    where nothing listens, and a folder with ``ca.pem``, ``other_ca.pem`` and ``netrc``.
    """

    name: str
    error: str = ""
    """Its name without Datafold and Error, empty for success."""
    behaviours: Sequence[Behaviour] = (answers(),)
    requests: int | None = None
    """How many must arrive, where behaviours and error do not tell."""
    connections: int | None = None
    """How many must arrive, where the requests do not tell."""
    reads: bool = True
    door: Door = Door.OPEN
    certificate: str = ""
    host: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 10.0
    ca_bundle: str | None = "{folder}/ca.pem"
    addresses: int = 0
    """How many the name ``datafold.test`` has, 0 if it does not exist."""
    resolver: float = 0.0
    """Seconds that the worker's resolver takes."""
    in_worker: bool = True
    """Whether it ends in a worker, too, where nobody watches the thread that sends."""
    says: str = ""
    """What the error must say."""
    no_sooner: float = 0.0
    """The least number of seconds that the task must wait."""
    retry_after: float | None = None
    """Seconds that the error must pass on to Airflow."""

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


def name_of(error: Exception) -> str:
    """Name an error as the tables do, if it is one of the provider's."""
    name = type(error).__name__
    return re.sub("^Datafold(.+)Error$", r"\1", name)


def differences(expected: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Return a sentence for each thing that is found otherwise than declared."""
    return [
        f"{what}: {found!r}, declared: {declared!r}"
        for what, (found, declared) in expected.items()
        if found != declared
    ]
