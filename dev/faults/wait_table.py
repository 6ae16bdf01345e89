"""Declare the faults while a task waits, and how it must end: the second half of the promise.

A temporary fault does not end a wait. Each verdict comes from one job, even if a response is lost,
and no job is left running that Datafold can cancel.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from dev.faults.behaviours import FOR_EVER, LOGIN_PAGE, answer, head
from dev.faults.fault import (
    AUTHENTICATION,
    CONNECTION,
    NOT_FOUND,
    PERMISSION,
    SERVER,
    SUCCESS,
    TIMEOUT,
    UNUSABLE,
    VALIDATION,
    Ending,
)
from dev.faults.server import Next, Step, Then
from dev.faults.wait import (
    DATA_DIFF,
    FOR_GOOD,
    MODES,
    MONITOR_RUN,
    OPERATORS,
    SENSOR,
    SENSOR_DEFERRED,
    SENSORS,
    TRIGGERER,
    WORKER,
    Place,
    Wait,
)

DEADLINE = Ending("deadline exceeded", "DatafoldDeadlineError")
PERSON = Ending("waits for a person", "DatafoldWaitingForPersonError")
STOPPED = Ending("task stopped", "DatafoldStoppedError")

_UNDISTURBED: Mapping[str, Mapping[str, int]] = {
    DATA_DIFF: {WORKER: 4, TRIGGERER: 6, SENSOR: 3, SENSOR_DEFERRED: 4},
    MONITOR_RUN: {WORKER: 5, TRIGGERER: 6, SENSOR: 3, SENSOR_DEFERRED: 4},
}
"""Requests without a fault: the creation, three polls until the job ends, and one more poll by the
worker if the triggerer waited. A monitor's runs are listed first, and so are the data diffs by a
task that defers."""

_LOOKS = 3
"""Searches for a job before it is started again."""

_LAST_LOOKS = 4
"""Searches for a job that is not started again."""

_TAKES_OVER = tuple(map(int, version("apache-airflow").split(".")[:2])) >= (3, 2)
"""Whether a retry takes over the data diff of the try before. If not, it cancels it."""

_TRIES = 4
_JSON = answer(200, b'{"id": 1, "run_id": 1}')


def _shows(number: int, status: str, state: str) -> bytes:
    job = {"id": number, "run_id": number, "status": status, "state": state}
    return answer(200, json.dumps(job).encode())


_RUNNING = _shows(1, "processing", "checking")
_FAILED = _shows(1, "failed", "error")
_ANOTHER = _shows(2, "failed", "error")


@dataclass(frozen=True)
class _Trouble:
    """A fault, at any step of a wait.

    :param name: short and unique.
    :param service: what the service does.
    :param ending: how a single request would fail.
    :param fields: the fields of the row.
    """

    name: str
    service: str
    ending: Ending
    fields: Mapping[str, Any]

    @property
    def arrives(self) -> int:
        """How many of the requests that meet the fault arrive at the service: 0 or 1."""
        return 0 if "prepares" in self.fields else 1


def _responds(status: int, **headers: str) -> Sequence[Step]:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return [answer(status, b'{"detail": "Not now"}', fields), Then.KEEP]


def _page(status: int) -> Sequence[Step]:
    return [answer(status, LOGIN_PAGE, {"Content-Type": "text/html"}), Then.KEEP]


def _drip() -> Iterator[Step]:
    yield head(200, {"Content-Length": "100"})
    for _ in range(100):
        yield b" "
        yield 0.5


_IMPATIENT = {"answers_within": 2.0}

_REFUSED = _Trouble(
    "refused",
    "no process listens on the port for half a second",
    SUCCESS,
    {"prepares": Next.REFUSED},
)
_UNREAD = _Trouble(
    "unread",
    "closes the connection before it reads the request",
    CONNECTION,
    {"prepares": Next.UNREAD},
)
_TLS = _Trouble(
    "tls-closed",
    "closes the connection in the TLS handshake",
    CONNECTION,
    {"prepares": Next.UNREAD, "is_tls": True},
)
_TLS_RESET = _Trouble(
    "tls-reset",
    "resets the connection in the TLS handshake",
    CONNECTION,
    {"prepares": Next.RESET, "is_tls": True},
)
_RESET = _Trouble(
    "reset", "reads the request and resets the connection", CONNECTION, {"steps": [Then.RESET]}
)
_CUT = _Trouble(
    "truncated",
    "closes the connection in the middle of the body",
    CONNECTION,
    {"steps": [_JSON[:-4]]},
)
_SILENT = _Trouble(
    "stalls", "reads the request and never responds", TIMEOUT, {"steps": [FOR_EVER], **_IMPATIENT}
)
_DRIPS = _Trouble(
    "drips",
    "sends the body one byte every half second",
    TIMEOUT,
    {"steps": tuple(_drip()), **_IMPATIENT},
)
_408 = _Trouble("408", "responds with 408", SERVER, {"steps": _responds(408)})
_425 = _Trouble("425", "responds with 425", SERVER, {"steps": _responds(425)})
_429 = _Trouble("429", "responds with 429", SUCCESS, {"steps": _responds(429)})
_429_LATER = _Trouble(
    "429-retry-after",
    "responds with 429 and `Retry-After: 1`",
    SUCCESS,
    {"steps": _responds(429, Retry_After="1"), "retry_after": 1.0},
)
_500 = _Trouble("500", "responds with 500", SERVER, {"steps": _responds(500)})
_502 = _Trouble("502", "a proxy responds with 502 and its page", SERVER, {"steps": _page(502)})
_503 = _Trouble("503", "responds with 503", SERVER, {"steps": _responds(503)})
_503_LATER = _Trouble(
    "503-retry-after",
    "responds with 503 and `Retry-After: 1`",
    SERVER,
    {"steps": _responds(503, Retry_After="1"), "retry_after": 1.0},
)
_504 = _Trouble("504", "a proxy responds with 504 and its page", SERVER, {"steps": _page(504)})
_HTML = _Trouble("page", "a proxy responds with 200 and a page", UNUSABLE, {"steps": _page(200)})
_TEXT = _Trouble(
    "text",
    "responds with 200 and text that is not JSON",
    UNUSABLE,
    {"steps": [answer(200, b"OK"), Then.KEEP]},
)
_EMPTY = _Trouble(
    "empty",
    "responds with 200 and an empty body",
    UNUSABLE,
    {"steps": [answer(200, b""), Then.KEEP]},
)
_BARE = _Trouble(
    "no-fields",
    "responds with 200 and an object without fields",
    UNUSABLE,
    {"steps": [answer(200, b"{}"), Then.KEEP]},
)
_401 = _Trouble("401", "responds with 401", AUTHENTICATION, {"steps": _responds(401)})
_403 = _Trouble("403", "responds with 403", PERMISSION, {"steps": _responds(403)})
_404 = _Trouble("404", "responds with 404", NOT_FOUND, {"steps": _responds(404)})
_422 = _Trouble("422", "responds with 422", VALIDATION, {"steps": _responds(422)})

_BROKEN = (_RESET, _CUT, _SILENT, _DRIPS)
_STATUSES = (_408, _425, _500, _502, _504)
_BUSY = (_429, _429_LATER)
_UNAVAILABLE = (_503, _503_LATER)
_NONSENSE = (_HTML, _TEXT, _EMPTY)
_REFUSALS = (_401, _403, _404)
_UNCERTAIN = (_403, _404)
"""Refusals that pass if there is one of them."""
_FEW = (_RESET, _SILENT, _500, _503, _HTML)
"""One of each sort: the same code starts monitor runs and data diffs, and waits for them."""

_EACH = (
    _REFUSED,
    _UNREAD,
    _TLS,
    _TLS_RESET,
    *_BROKEN,
    *_STATUSES,
    *_BUSY,
    *_UNAVAILABLE,
    *_NONSENSE,
    _BARE,
)
"""All temporary faults."""


def _row(place: str, job: str, trouble: _Trouble, where: Place, **fields: Any) -> Wait:
    name = f"{'monitor-' if job == MONITOR_RUN else ''}{place}-{trouble.name}"
    declared = {"ending": SUCCESS, "modes": OPERATORS, **trouble.fields, **fields}
    return Wait(name=name, job=job, place=where, service=trouble.service, **declared)


def _more(job: str, extra: int, modes: Iterable[str] = OPERATORS) -> dict[str, int]:
    """Return the number of requests by mode: this many more than without a fault."""
    return {mode: _UNDISTURBED[job][mode] + extra for mode in modes}


def _plain(job: str, worker: int, triggerer: int) -> dict[str, int]:
    # The worker lists a monitor's runs first, too.
    return {WORKER: worker + (job == MONITOR_RUN), TRIGGERER: triggerer}


def _creations(job: str) -> Iterator[Wait]:
    """Declare faults before the service processes the creation."""

    def row(trouble: _Trouble, **fields: Any) -> Wait:
        return _row("start", job, trouble, Place.START, **fields)

    def chosen(*troubles: _Trouble) -> Iterator[_Trouble]:
        return (one for one in troubles if job == DATA_DIFF or one in (*_FEW, _REFUSED, _401))

    for trouble in chosen(_REFUSED, *_BUSY):
        yield row(trouble, requests=_more(job, trouble.arrives))
    for trouble in chosen(_UNREAD, _TLS, *_BROKEN, *_STATUSES):
        # The second try begins with a search in every mode.
        requests = _more(job, trouble.arrives + _LAST_LOOKS + 1)
        yield row(trouble, ending=trouble.ending, requests=requests)
    for trouble in chosen(*_UNAVAILABLE):
        # A data diff that was started again is looked for once more in the end.
        yield row(trouble, requests=_more(job, 1 + _LOOKS + (job == DATA_DIFF)))
    for trouble in chosen(*_NONSENSE):
        requests = _plain(job, 1 + _LAST_LOOKS, 2 + _LAST_LOOKS)
        yield row(trouble, ending=trouble.ending, made=0, requests=requests)
    for trouble in chosen(*_REFUSALS, _422):
        yield row(trouble, ending=trouble.ending, made=0, requests=_plain(job, 1, 2))


def _taken_creations(job: str) -> Iterator[Wait]:
    """Declare faults after the service processed the creation: the response is lost."""
    each = (*_BROKEN, *_STATUSES, *_UNAVAILABLE, *_NONSENSE, _BARE)
    requests = _more(job, 1 + (job == DATA_DIFF))
    for trouble in each if job == DATA_DIFF else (*_FEW, _BARE):
        row = _row("taken", job, trouble, Place.START, is_taken=True, requests=requests)
        yield replace(row, service=f"starts it, then {row.service}")


def _looks(job: str) -> Iterator[Wait]:
    modes = (TRIGGERER,) if job == DATA_DIFF else OPERATORS
    for trouble in (_REFUSED, _RESET, _SILENT, *_BUSY, _500, _502, _503):
        requests = _more(job, trouble.arrives, modes)
        yield _row("list", job, trouble, Place.LIST, modes=modes, requests=requests)
    for trouble in (_HTML, _401):
        yield _row(
            "list",
            job,
            trouble,
            Place.LIST,
            modes=modes,
            ending=trouble.ending,
            made=0,
            requests=dict.fromkeys(modes, 1),
        )


def _searches(job: str) -> Iterator[Wait]:
    for trouble in (_RESET, _SILENT, _429_LATER, _503, *_NONSENSE):
        requests = _more(job, 2 + (job == DATA_DIFF))
        yield _row("search", job, trouble, Place.SEARCH, requests=requests)
    outage = replace(_503, name="503-for-good", service="responds with 503 until the next try")
    yield _row(
        "search",
        job,
        outage,
        Place.SEARCH,
        times=FOR_GOOD,
        ending=CONNECTION,
        # A monitor run has no tag: the next try cannot find it, and it cannot be cancelled.
        made=1 + (job == MONITOR_RUN or not _TAKES_OVER),
        left=int(job == MONITOR_RUN),
        cancelled=int(job == DATA_DIFF and not _TAKES_OVER),
        cancels=int(job == DATA_DIFF and not _TAKES_OVER),
    )


def _polls(job: str) -> Iterator[Wait]:
    for trouble in _EACH if job == DATA_DIFF else (_REFUSED, _429_LATER, *_FEW, _BARE):
        requests = _more(job, trouble.arrives, MODES)
        yield _row("poll", job, trouble, Place.POLL, modes=MODES, requests=requests)
    for trouble in (_503, _HTML):
        often = replace(
            trouble, name=f"{trouble.name}-often", service=f"{trouble.service}, ten times"
        )
        requests = _more(job, 10, MODES)
        yield _row("poll", job, often, Place.POLL, modes=MODES, times=10, requests=requests)


def _first_polls(job: str) -> Iterator[Wait]:
    """Declare faults of a sensor's first poll, which a worker makes in every mode."""
    for trouble in (_429_LATER, _503_LATER, _503, _403, _404):
        requests = _more(job, 1, SENSORS)
        yield _row("first", job, trouble, Place.FIRST, modes=SENSORS, requests=requests)


def _kept_polls(job: str) -> Iterator[Wait]:
    """Declare faults of a connection that is kept from one poll to the next."""
    closed = _Trouble(
        "closed-on-reuse",
        "keeps the connection and closes it as the poll arrives",
        CONNECTION,
        {"steps": []},
    )
    more = _Trouble(
        "more-bytes",
        "responds and, unasked, sends another response that says the job failed",
        SUCCESS,
        {"steps": [_RUNNING + _FAILED, Then.KEEP]},
    )
    more_tls = replace(
        more,
        name=f"{more.name}-tls",
        service=f"{more.service}, over TLS",
        fields={**more.fields, "is_tls": True},
    )
    for trouble in (closed, more, more_tls):
        requests = _more(job, 1, MODES)
        yield _row("poll", job, trouble, Place.POLL, modes=MODES, requests=requests)
    other = _Trouble(
        "another-job",
        "responds with another job, on a connection that was kept",
        SUCCESS,
        {"steps": [_ANOTHER, Then.KEEP]},
    )
    # In a worker a connection belongs to one task, and to one job.
    modes = (TRIGGERER,)
    yield _row("poll", job, other, Place.POLL, modes=modes, requests=_more(job, 1, modes))


def _refused_polls(job: str) -> Iterator[Wait]:
    can_cancel = job == DATA_DIFF
    for trouble in _UNCERTAIN:
        once = replace(trouble, name=f"{trouble.name}-once", service=f"{trouble.service}, once")
        yield _row("poll", job, once, Place.POLL, modes=MODES, requests=_more(job, 1, MODES))
    at_once = {
        WORKER: 4,
        TRIGGERER: 5 + can_cancel,
        SENSOR: 2,
        SENSOR_DEFERRED: 3,
    }
    for trouble in _REFUSALS:
        requests = {} if trouble in _UNCERTAIN else at_once
        lasting = replace(trouble, service=f"{trouble.service} from now on")
        fields = {
            "ending": trouble.ending,
            "modes": MODES,
            "times": FOR_GOOD,
            "requests": requests,
            "cancels": int(can_cancel),
        }
        row = _row("poll", job, lasting, Place.POLL, **fields)
        yield replace(row, cancelled=int(can_cancel), left=int(not can_cancel))
        if can_cancel:
            yield replace(
                row,
                name=f"{row.name}-everything",
                service=f"{row.service}, to all requests",
                is_outage=True,
                left=1,
            )


def _lasting_polls(job: str) -> Iterator[Wait]:
    """Declare faults that last longer than a wait tolerates."""
    can_cancel = job == DATA_DIFF
    hour = replace(_503, name="hour", service="responds with 503 for over an hour")
    fields = {"times": FOR_GOOD, "longest_trouble": 1.0}
    row = _row("poll", job, hour, Place.POLL, ending=SERVER, **fields)
    if can_cancel:
        yield replace(row, made=2, cancelled=1, cancels=1)
    else:
        yield replace(row, made=2, left=1)
    if can_cancel:
        yield replace(
            row,
            name=f"{row.name}-everything",
            service=f"{row.service}, to all requests",
            is_outage=True,
            made=1 + (not _TAKES_OVER),
            cancelled=int(not _TAKES_OVER),
            cancels=_TRIES + (not _TAKES_OVER),
        )
    yield replace(row, name=f"{row.name}-deferred", modes=(SENSOR_DEFERRED,))
    yield replace(
        row,
        name=f"{row.name}-sensor",
        service="responds with 503 until the sensor's `timeout` is over",
        modes=(SENSOR,),
        ending=DEADLINE,
        timeout=2.0,
    )


def _states(job: str) -> Iterator[Wait]:
    field = "status" if job == DATA_DIFF else "state"
    unknown = _Trouble("unknown", "responds with an unknown status", SUCCESS, {})
    yield _row(
        "poll",
        job,
        unknown,
        Place.POLL,
        modes=MODES,
        shows={field: "defragmenting"},
        requests=_more(job, 0, MODES),
    )
    if job == DATA_DIFF:
        person = _Trouble("person", "responds with the status `needs_confirmation`", PERSON, {})
        yield _row(
            "poll",
            job,
            person,
            Place.POLL,
            modes=MODES,
            ending=PERSON,
            shows={field: "needs_confirmation"},
            times=FOR_GOOD,
            requests={WORKER: 3, TRIGGERER: 5, SENSOR: 2, SENSOR_DEFERRED: 3},
        )


def _last_looks(job: str) -> Iterator[Wait]:
    modes = (TRIGGERER, SENSOR_DEFERRED)
    for trouble in (_REFUSED, _UNREAD, _RESET, _SILENT, _429_LATER, _500, _502, _503, *_NONSENSE):
        # The task defers again: the trigger looks once more before the worker does.
        requests = _more(job, trouble.arrives + 1, modes)
        yield _row("last", job, trouble, Place.LAST, modes=modes, requests=requests)
    cancels = int(job == DATA_DIFF)
    yield _row(
        "last",
        job,
        replace(_401, service=f"{_401.service} from now on"),
        Place.LAST,
        modes=modes,
        times=FOR_GOOD,
        ending=AUTHENTICATION,
        requests={
            TRIGGERER: _UNDISTURBED[job][TRIGGERER] + cancels,
            SENSOR_DEFERRED: _UNDISTURBED[job][SENSOR_DEFERRED],
        },
        cancels=cancels,
    )


def _deadlines() -> Iterator[Wait]:
    cancelled = {"ending": DEADLINE, "timeout": 0.6, "cancelled": 1}
    for trouble in (_RESET, _CUT, _SILENT, *_STATUSES, *_BUSY, *_UNAVAILABLE):
        yield _row("deadline", DATA_DIFF, trouble, Place.DEADLINE, cancels=2, **cancelled)
    for trouble in (_HTML, _EMPTY):
        row = _row("deadline", DATA_DIFF, trouble, Place.DEADLINE, cancels=1, **cancelled)
        yield replace(row, cancelled=0, left=1)
        yield replace(
            row,
            name=f"{row.name}-taken",
            service=f"cancels it, then {row.service}",
            is_taken=True,
        )
    lost = replace(_503, name="503-for-good", service="responds with 503, each time")
    yield _row(
        "deadline",
        DATA_DIFF,
        lost,
        Place.DEADLINE,
        times=FOR_GOOD,
        **{**cancelled, "cancelled": 0},
        left=1,
        cancels=_TRIES,
    )


def _kills() -> Iterator[Wait]:
    killed = {"ending": STOPPED, "cancelled": 1}
    works = _Trouble("cancelled", "cancels it", SUCCESS, {"times": 0})
    yield _row("kill", DATA_DIFF, works, Place.KILL, cancels=1, **killed)
    for trouble in (_RESET, _429, _500, _503):
        yield _row("kill", DATA_DIFF, trouble, Place.KILL, cancels=2, **killed)


def _all(job: str) -> Iterator[Wait]:
    yield from _creations(job)
    yield from _taken_creations(job)
    yield from _looks(job)
    yield from _searches(job)
    yield from _first_polls(job)
    yield from _polls(job)
    yield from _kept_polls(job)
    yield from _states(job)
    yield from _refused_polls(job)
    yield from _lasting_polls(job)
    yield from _last_looks(job)


WAITS: tuple[Wait, ...] = (
    *_all(DATA_DIFF),
    *_deadlines(),
    *_kills(),
    *_all(MONITOR_RUN),
)
"""All of them."""
