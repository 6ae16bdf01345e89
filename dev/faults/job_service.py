"""Simulate a job at Datafold from its creation to its end, with one fault."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from dev.faults.behaviours import answer
from dev.faults.server import Call, Request, Step, Then
from dev.faults.wait import DATA_DIFF, OPERATORS, SENSORS, TRIGGERER, Kind, Place, Wait

MONITOR = 7

_REQUESTS = {
    Kind.START: re.compile(rf"POST /api/v1/(datadiffs|monitors/{MONITOR}/run)"),
    Kind.LIST: re.compile(rf"GET /api/v1/(datadiffs|monitors/{MONITOR}/runs)\?.*"),
    Kind.READ: re.compile(rf"GET /api/v1/(datadiffs|monitors/{MONITOR}/runs)/\d+"),
    Kind.CANCEL: re.compile(r"POST /api/v1/datadiffs/\d+/cancel"),
}
_STATES = {
    "data_diff": ("waiting", "processing", "done"),
    "monitor_run": ("created", "checking", "ok"),
}
_ROWS = {"rows_added": 0, "rows_removed": 0, "diff_rows_count": 0}
_SAME = {
    "result": "identical",
    "diff_stats": {**_ROWS, "match_ratio": 1.0, "sampled": False},
}


class JobService:
    """Behaves as a service whose jobs end when they are read for the third time."""

    def __init__(self, wait: Wait, mode: str) -> None:
        self.counts: Counter[Kind] = Counter()
        """The number of requests by kind."""
        self.early = 0
        """Requests that arrived before the end of ``Retry-After``."""
        self.is_waited_for = threading.Event()
        """Set as soon as the job is read."""
        self._wait = wait
        self._jobs: list[dict[str, Any]] = []
        self._reads: Counter[int] = Counter()
        self._is_out = self._is_well = False
        self._not_before = 0.0
        self._first = _first(wait, mode)
        self._lock = threading.Lock()
        if mode in SENSORS:
            # A sensor waits for a job that something else started.
            self._start({})

    def __call__(self, call: Call) -> Iterable[Step]:
        """Process a request, or misbehave."""
        assert call.request is not None  # noqa: S101 - the service reads each request
        with self._lock:
            return self._behave(call.request)

    def recover(self) -> None:
        """Stop misbehaving."""
        self._is_well = True

    def count(self, *states: str) -> int:
        """Count the jobs in these states, or all."""
        return sum(not states or job["status"] in states for job in self._jobs)

    @property
    def running(self) -> int:
        """How many jobs neither ended nor wait for a person."""
        return self.count() - self.count("done", "ok", "cancelled", "needs_confirmation")

    def _behave(self, request: Request) -> Iterable[Step]:
        if request.target.endswith("/summary_results"):
            return [_json({"status": "success"}), Then.KEEP]
        kind = _kind(request)
        self.counts[kind] += 1
        self.early += time.monotonic() < self._not_before
        if self._wait.place is Place.SEARCH and (kind, self.counts[kind]) == (Kind.START, 1):
            # The response is lost, so that the task must search.
            self._do(kind, request)
            return [Then.RESET]
        if not self._is_hit(kind):
            return self._respond(kind, self._do(kind, request))
        self._not_before = time.monotonic() + self._wait.retry_after
        self._is_out = self._wait.is_outage
        if self._wait.shows is not None:
            return self._respond(kind, self._do(kind, request, self._wait.shows))
        if self._wait.is_taken:
            self._do(kind, request)
        return self._wait.steps

    def _respond(self, kind: Kind, response: bytes) -> Iterable[Step]:
        is_last_before = (kind, self.counts[kind] + 1) == self._first or (
            self._wait.place is Place.START and kind is Kind.LIST and self.counts[kind] == 1
        )
        if self._wait.is_refused and is_last_before and not self._is_well:
            return [Then.REFUSE, response]
        return [response, Then.KEEP]

    def _is_hit(self, kind: Kind) -> bool:
        place, first = self._first
        if self._is_well or self._wait.is_refused:
            return False
        is_there = kind is place and first <= self.counts[kind] < first + self._wait.times
        return self._is_out or is_there

    def _do(self, kind: Kind, request: Request, shows: Any = ()) -> bytes:
        if kind is Kind.START:
            return self._start(json.loads(request.body or b"{}"))
        if kind is Kind.LIST:
            return self._list()
        number = int(re.findall(r"\d+", request.target)[-1])
        job = self._jobs[number - 1]
        if kind is Kind.READ:
            self._proceed(job)
        elif job["status"] not in ("done", "cancelled"):
            job["status"] = "cancelled"
        job.update(shows)
        return self._show(job)

    def _start(self, body: dict[str, Any]) -> bytes:
        job = {
            "id": len(self._jobs) + 1,
            "status": _STATES[self._wait.job][0],
            "created_at": datetime.now(timezone.utc).isoformat(),
            "tags": body.get("tags"),
        }
        self._jobs.append(job)
        return self._show(job)

    def _list(self) -> bytes:
        if self._wait.job == DATA_DIFF:
            return _json({"results": self._jobs[::-1]})
        return _json({"runs": [{"run_id": job["id"]} for job in self._jobs], "total_pages": 1})

    def _proceed(self, job: dict[str, Any]) -> None:
        self.is_waited_for.set()
        self._reads[job["id"]] += 1
        states = _STATES[self._wait.job]
        if job["status"] == "cancelled":
            return
        step = min(self._reads[job["id"]], 2 if self._wait.is_endless else len(states))
        job["status"] = states[step - 1]
        if step == len(states):
            job.update(_SAME)

    def _show(self, job: dict[str, Any]) -> bytes:
        if self._wait.job == DATA_DIFF:
            return _json(job)
        return _json({"run_id": job["id"], "state": job["status"]})


def _kind(request: Request) -> Kind:
    line = f"{request.method} {request.target}"
    return next(kind for kind, pattern in _REQUESTS.items() if pattern.fullmatch(line))


def _first(wait: Wait, mode: str) -> tuple[Kind, int]:
    """Return which request meets the fault first: its kind and its number within the kind."""
    # In the worker a first try does not search for data diffs before it makes one.
    looks = 0 if wait.job == DATA_DIFF and mode != TRIGGERER else 1
    number = {Place.SEARCH: looks + 1, Place.POLL: 2, Place.LAST: 4}
    return wait.place.kind, number.get(wait.place, 1)


def listens_first(wait: Wait, mode: str) -> bool:
    """Return whether any request precedes the one that meets the fault."""
    if wait.place is Place.START:
        return wait.job != DATA_DIFF or mode == TRIGGERER
    return wait.place is not Place.LIST or mode not in OPERATORS


def _json(value: Any) -> bytes:
    return answer(200, json.dumps(value).encode())
