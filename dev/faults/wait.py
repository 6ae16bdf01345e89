"""Declare what a row of the second table is: a fault while a task waits for a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from dev.faults.fault import TRANSIENT
from dev.faults.server import Step

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
    """The step of a wait at which the fault occurs, and the kind of request that meets it."""

    START = ("start", Kind.START)
    LIST = ("list", Kind.LIST)
    """The search for a job of an earlier try."""
    SEARCH = ("search", Kind.LIST)
    """The search after a lost response."""
    FIRST = ("first", Kind.READ)
    POLL = ("poll", Kind.READ)
    LAST = ("last", Kind.READ)
    """The last poll, which the worker makes when the triggerer has waited."""
    DEADLINE = ("deadline", Kind.CANCEL)
    KILL = ("kill", Kind.CANCEL)

    @property
    def kind(self) -> Kind:
        """The kind of request that meets the fault."""
        return self.value[1]


@dataclass(frozen=True)
class Wait:
    """A fault while a task waits for a job, and how the task must end."""

    name: str
    job: str
    place: Place
    error: str = ""
    """Of the first try, empty for success. If Airflow may retry it, a second try follows, with a
    service that works, and must succeed."""
    modes: Sequence[str] = OPERATORS
    steps: Sequence[Step] = ()
    """What the service does with a request that meets the fault."""
    shows: Mapping[str, Any] | None = None
    """The fields in which an ordinary response differs, instead of ``steps``."""
    is_refused: bool = False
    """Whether the connection is refused instead, so that the request does not arrive."""
    is_taken: bool = False
    """Whether the service processes the request nevertheless."""
    times: int = 1
    """How many such requests meet the fault."""
    is_outage: bool = False
    """Whether all later requests meet the fault, of any kind."""
    made: int = 1
    """How many jobs the task must make, of which so many must be cancelled or may be left."""
    cancelled: int = 0
    left: int = 0
    cancels: int = 0
    """How many cancels must arrive."""
    timeout: float = 60.0
    """The task's."""
    longest_trouble: float | None = None
    """Seconds of failing polls before the task gives up, instead of an hour."""
    answers_within: float = 10.0
    """The connection's timeout."""
    retry_after: float = 0.0
    """Seconds for which no request may follow the fault."""
    is_tls: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def may_be_retried(self) -> bool:
        """Whether the error lets Airflow try the task again."""
        return self.error in TRANSIENT

    @property
    def is_endless(self) -> bool:
        """Whether the job runs until it is cancelled."""
        return self.place in (Place.DEADLINE, Place.KILL)

    @property
    def costs_money(self) -> bool:
        """Whether a mistake here makes a second data diff, or leaves one running."""
        places = (Place.START, Place.SEARCH, Place.DEADLINE, Place.KILL)
        return self.job == DATA_DIFF and self.place in places
