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
"""Who waits: the operator in the worker or in the triggerer, and the sensor in either."""

DATA_DIFF = "data_diff"
MONITOR_RUN = "monitor_run"

FOR_GOOD = 1 << 30
"""More requests than the first try of a task sends."""


class Kind(Enum):
    """The kinds of request in a wait."""

    START = "start"
    LIST = "list"
    READ = "read"
    CANCEL = "cancel"


class Place(Enum):
    """The step of a wait at which the fault occurs."""

    START = "the creation"
    LIST = "the search for an earlier one"
    SEARCH = "the search after a lost response"
    FIRST = "the first poll"
    POLL = "a poll"
    LAST = "the worker's last poll"
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
    Place.FIRST: Kind.READ,
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
    :param place: the step at which the fault occurs.
    :param service: what the service does there.
    :param ending: how the first try must end. If Airflow may retry it, a second try follows, with a
        service that works, and must succeed.
    :param modes: the modes, out of :data:`MODES`.
    :param requests: how many requests must arrive in a mode, in both tries together; a mode is
        missing if the number depends on time.
    :param steps: what the service does with a request that meets the fault.
    :param shows: the fields in which an ordinary response differs, instead of ``steps``.
    :param prepares: what happens instead to the connection, so that the request does not arrive.
    :param is_taken: whether the service processes the request nevertheless.
    :param times: how many such requests meet the fault.
    :param is_outage: whether all later requests meet the fault, of any kind.
    :param made: how many jobs the task must make.
    :param cancelled: how many of them must be cancelled.
    :param left: how many of them may be left running.
    :param cancels: how many cancels must arrive.
    :param timeout: the task's ``timeout``, in seconds.
    :param longest_trouble: seconds of failing polls before the task gives up, instead of an hour.
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
