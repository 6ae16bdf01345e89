"""Declare the faults while a task waits, and how it must end.

A temporary fault does not end a wait. Each verdict comes from one job, even if a response is lost,
and no job is left running that Datafold can cancel.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from dev.faults import wait as by
from dev.faults.behaviours import FOR_EVER, LOGIN_PAGE, answer
from dev.faults.fault import TRIES
from dev.faults.server import Step, Then
from dev.faults.wait import DATA_DIFF, FOR_GOOD, MONITOR_RUN, Place, Wait

_TAKES_OVER = tuple(map(int, version("apache-airflow").split(".")[:2])) >= (3, 2)
"""Whether a retry takes over the data diff of the try before. If not, it cancels it."""


def _responds(status: int, body: bytes = b"{}", **headers: str) -> dict[str, Sequence[Step]]:
    fields: dict[str, Any] = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"steps": [answer(status, body, fields), Then.KEEP]}


def _shows(number: int, status: str, state: str) -> bytes:
    job: dict[str, Any] = {"id": number, "run_id": number, "status": status, "state": state}
    return answer(200, json.dumps(job).encode())


_PAGE: dict[str, Any] = {"body": LOGIN_PAGE, "Content_Type": "text/html"}
_TWO = _shows(1, "processing", "checking") + _shows(1, "failed", "error")

_TROUBLES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "refused": ("", {"is_refused": True}),
    "reset": ("Connection", {"steps": [Then.RESET]}),
    "truncated": ("Connection", {"steps": [answer(200, b'{"id": 1, "run_id": 1}')[:-4]]}),
    "stalls": ("Timeout", {"steps": [FOR_EVER], "answers_within": 2.0}),
    "429": ("", {**_responds(429, Retry_After="1"), "retry_after": 1.0}),
    "500": ("Server", _responds(500)),
    "502": ("Server", _responds(502, **_PAGE)),
    "503": ("Server", _responds(503)),
    "page": ("Answer", _responds(200, **_PAGE)),
    "empty": ("Answer", _responds(200, b"")),
    "no-fields": ("Answer", _responds(200)),
    "401": ("Authentication", _responds(401)),
    "403": ("Permission", _responds(403)),
    "404": ("NotFound", _responds(404)),
    "422": ("Validation", _responds(422)),
    "closed-on-reuse": ("", {"steps": []}),
    "more-bytes": ("", {"steps": [_TWO, Then.KEEP]}),
    "more-bytes-tls": ("", {"steps": [_TWO, Then.KEEP], "is_tls": True}),
    "another-job": ("", {"steps": [_shows(2, "failed", "error"), Then.KEEP]}),
    "none": ("", {"times": 0}),
}
"""How a single request would fail, and the fields of its row."""


def _rows(
    job: str, place: Place, troubles: str, more: str = "", *, fails: bool = False, **fields: Any
) -> Iterator[Wait]:
    """Make a row of each trouble; one that ``fails`` ends the task with its error."""
    for name in troubles.split():
        error, given = _TROUBLES[name]
        yield Wait(
            f"{'monitor-' if job == MONITOR_RUN else ''}{place.value[0]}-{name}{more}",
            job,
            place,
            **{"error": error if fails else "", **given, **fields},
        )


def _starts(job: str) -> Iterator[Wait]:
    is_diff = job == DATA_DIFF
    broken = "reset truncated stalls 500 502" if is_diff else "reset stalls 500"
    refused = "page empty 401 403 404 422" if is_diff else "page 401"
    lost = (
        "reset truncated stalls 500 502 503 page empty no-fields" if is_diff else "reset 503 page"
    )
    yield from _rows(job, Place.START, "refused 429 503")
    yield from _rows(job, Place.START, broken, fails=True)
    yield from _rows(job, Place.START, refused, fails=True, made=0)
    # The service starts the job, and its response is lost.
    yield from _rows(job, Place.START, lost, "-taken", is_taken=True)


def _searches(job: str) -> Iterator[Wait]:
    is_diff = job == DATA_DIFF
    modes = (by.TRIGGERER,) if is_diff else by.OPERATORS
    yield from _rows(job, Place.LIST, "refused reset stalls 429 500 503", modes=modes)
    yield from _rows(job, Place.LIST, "page 401", modes=modes, fails=True, made=0)
    yield from _rows(job, Place.SEARCH, "reset stalls 429 503 page")
    is_cancelled = int(is_diff and not _TAKES_OVER)
    # A monitor run has no tag: the next try cannot find it, and it cannot be cancelled.
    made: dict[str, Any] = {"made": 1 + (not is_diff or is_cancelled), "left": int(not is_diff)}
    cut: dict[str, Any] = {"times": FOR_GOOD, "cancelled": is_cancelled, "cancels": is_cancelled}
    yield from _rows(job, Place.SEARCH, "503", "-for-good", error="Connection", **made, **cut)


def _polls(job: str) -> Iterator[Wait]:
    each = "refused reset truncated stalls 429 500 502 503 page empty no-fields"
    polls = each if job == DATA_DIFF else "refused reset stalls 429 500 503 page"
    yield from _rows(job, Place.FIRST, "429 503 403 404", modes=by.SENSORS)
    yield from _rows(job, Place.POLL, polls, modes=by.MODES)
    yield from _rows(job, Place.POLL, "503 page", "-often", modes=by.MODES, times=10)
    yield from _rows(job, Place.POLL, "403 404", "-once", modes=by.MODES)
    # A connection that is kept from one poll to the next. In a worker it belongs to one job.
    kept = "closed-on-reuse more-bytes more-bytes-tls"
    yield from _rows(job, Place.POLL, kept, modes=by.MODES)
    yield from _rows(job, Place.POLL, "another-job", modes=(by.TRIGGERER,))
    deferred = (by.TRIGGERER, by.SENSOR_DEFERRED)
    yield from _rows(job, Place.LAST, "refused reset stalls 429 503 page", modes=deferred)
    lasting: dict[str, Any] = {"fails": True, "times": FOR_GOOD, "cancels": int(job == DATA_DIFF)}
    yield from _rows(job, Place.LAST, "401", modes=deferred, **lasting)
    field = "status" if job == DATA_DIFF else "state"
    unknown: dict[str, Any] = {field: "defragmenting"}
    yield from _rows(job, Place.POLL, "none", "-unknown", modes=by.MODES, times=1, shows=unknown)


def _lasting_polls(job: str) -> Iterator[Wait]:
    """Declare faults that last longer than a wait tolerates."""
    poll, cancels = Place.POLL, int(job == DATA_DIFF)
    refused: dict[str, Any] = {"modes": by.MODES, "times": FOR_GOOD, "cancels": cancels}
    hour: dict[str, Any] = {"times": FOR_GOOD, "longest_trouble": 1.0, "made": 2, "fails": True}
    refusals = "401 403 404"
    left: dict[str, Any] = {"cancelled": cancels, "left": 1 - cancels}
    yield from _rows(job, poll, refusals, fails=True, **left, **refused)
    yield from _rows(job, poll, "503", "-hour", **left, **hour, cancels=cancels)
    yield from _rows(job, poll, "503", "-hour-deferred", modes=(by.SENSOR_DEFERRED,), **hour)
    sensor: dict[str, Any] = {**hour, "modes": (by.SENSOR,), "error": "Deadline", "timeout": 2.0}
    yield from _rows(job, poll, "503", "-hour-sensor", **sensor)
    if not cancels:
        return
    yield from _rows(job, poll, refusals, "-out", fails=True, **refused, left=1, is_outage=True)
    again = int(not _TAKES_OVER)
    out: dict[str, Any] = {**hour, "made": 1 + again, "cancelled": again, "cancels": TRIES + again}
    yield from _rows(job, poll, "503", "-hour-out", **out, is_outage=True)
    asks: dict[str, Any] = {"times": FOR_GOOD, "shows": {"status": "needs_confirmation"}}
    yield from _rows(job, poll, "none", "-person", modes=by.MODES, **asks, error="WaitingForPerson")


def _cancels() -> Iterator[Wait]:
    late: dict[str, Any] = {"error": "Deadline", "timeout": 0.6, "cancelled": 1}
    lost: dict[str, Any] = {**late, "cancelled": 0, "left": 1}
    place = Place.DEADLINE
    busy = "reset truncated stalls 429 500 502 503"
    yield from _rows(DATA_DIFF, place, busy, **late, cancels=2)
    yield from _rows(DATA_DIFF, place, "page empty", **lost, cancels=1)
    yield from _rows(DATA_DIFF, place, "page empty", "-taken", **late, cancels=1, is_taken=True)
    yield from _rows(DATA_DIFF, place, "503", "-for-good", **lost, cancels=TRIES, times=FOR_GOOD)
    killed: dict[str, Any] = {"error": "Stopped", "cancelled": 1}
    yield from _rows(DATA_DIFF, Place.KILL, "none", **killed, cancels=1)
    yield from _rows(DATA_DIFF, Place.KILL, "reset 500 503", **killed, cancels=2)


WAITS: tuple[Wait, ...] = (
    *_cancels(),
    *(
        wait
        for job in (DATA_DIFF, MONITOR_RUN)
        for rows in (_starts, _searches, _polls, _lasting_polls)
        for wait in rows(job)
    ),
)
