"""Declare what a row of the second table is: a fault while a task waits for a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from dev.faults.fault import Ending
from dev.faults.server import Next, Step

WORKER = "worker"
TRIGGERER = "triggerer"
SENSOR = "sensor"
SENSOR_DEFERRED = "deferred sensor"
OPERATORS = (WORKER, TRIGGERER)
SENSORS = (SENSOR, SENSOR_DEFERRED)
MODES = (*OPERATORS, *SENSORS)
"""Who waits: the operator in its worker or in the triggerer, the sensor likewise."""

DATA_DIFF = "data_diff"
MONITOR_RUN = "monitor_run"

FOR_GOOD = 1 << 30
"""So many requests that the fault outlasts the task's first try."""


class Kind(Enum):
    """The kinds of request that a wait is made of."""

    START = "start"
    LIST = "list"
    READ = "read"
    CANCEL = "cancel"


class Place(Enum):
    """Where in a wait the fault is."""

    START = "the creation"
    LIST = "the look for an earlier one"
    SEARCH = "the look for one whose creation got no reply"
    POLL = "a poll"
    LAST = "the worker's last look"
    DEADLINE = "the cancel at the deadline"
    KILL = "the cancel when the task is killed"

    @property
    def kind(self) -> Kind:
        """The kind of request that meets the fault."""
        return _KINDS[self]


_KINDS = {
    Place.START: Kind.START,
    Place.LIST: Kind.LIST,
    Place.SEARCH: Kind.LIST,
    Place.POLL: Kind.READ,
    Place.LAST: Kind.READ,
    Place.DEADLINE: Kind.CANCEL,
    Place.KILL: Kind.CANCEL,
}


@dataclass(frozen=True)
class Wait:
    """Declare a fault while a task waits for a job, and how the task must end.

    :param name: short and unique.
    :param job: :data:`DATA_DIFF` or :data:`MONITOR_RUN`.
    :param place: where the fault is.
    :param service: what the service does there.
    :param ending: how the first try must end. Where Airflow may retry it, a second one follows,
        with a service that is well, and must succeed.
    :param modes: who waits.
    :param requests: how many requests must arrive by the mode, both tries together; a mode is
        missing where time decides.
    :param steps: what the service does with a request that meets the fault.
    :param shows: with what an ordinary response differs, instead of ``steps``.
    :param prepares: what becomes of the connection instead, whose request does not arrive.
    :param is_taken: whether the service does what it was asked for nevertheless.
    :param times: how many such requests meet it.
    :param is_outage: whether all requests that follow meet it, of any kind.
    :param made: how many jobs the task must make.
    :param cancelled: how many of them must be cancelled.
    :param left: how many of them may be left running.
    :param cancels: how many cancels must arrive.
    :param timeout: seconds that the job may take, for the task.
    :param longest_trouble: instead of an hour, in seconds.
    :param answers_within: the connection's ``timeout``.
    :param retry_after: seconds for which no request may follow the fault.
    :param is_tls: whether the service speaks TLS.
    """

    name: str
    job: str
    place: Place
    service: str
    ending: Ending
    modes: Sequence[str]
    requests: Mapping[str, int] = field(default_factory=dict)
    steps: Sequence[Step] = ()
    shows: Mapping[str, Any] | None = None
    prepares: Next | None = None
    is_taken: bool = False
    times: int = 1
    is_outage: bool = False
    made: int = 1
    cancelled: int = 0
    left: int = 0
    cancels: int = 0
    timeout: float = 60.0
    longest_trouble: float | None = None
    answers_within: float = 10.0
    retry_after: float = 0.0
    is_tls: bool = False

    seconds = 45.0
    """By when both tries must have ended."""

    def __str__(self) -> str:
        return self.name

    @property
    def is_endless(self) -> bool:
        """Whether the job runs until it is cancelled."""
        return self.place in (Place.DEADLINE, Place.KILL)
