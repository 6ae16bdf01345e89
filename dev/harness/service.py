"""Datafold for a run of a test: the sandbox, with jobs that go as the test says."""

from __future__ import annotations

import re
from collections import Counter

from dev.faults.fault import API_KEY
from dev.sandbox import Sandbox
from dev.sandbox.disturbance import Disturbance
from dev.sandbox.state import State


class Service:
    def __init__(self, disturbance: Disturbance, integrations: int = 1) -> None:
        self.state = State(count=integrations)
        self.sandbox = Sandbox(API_KEY, state=self.state, disturbance=disturbance)

    def statuses(self, method: str = ".*", path: str = ".*") -> Counter[int]:
        """Count the statuses of responses, of requests that match two patterns."""
        with self.state.lock:
            return Counter(
                request.status
                for request in self.state.requests
                if re.fullmatch(method, request.method) and re.fullmatch(path, request.path)
            )

    def add_monitors(self, count: int) -> None:
        """See to it that there are so many monitors, with the ids from 1 on."""
        while len(self.state.monitors.monitors) < count:
            monitor = {"name": "Orders", "connection_id": 1, "table": "DB.PUBLIC.ORDERS"}
            self.state.monitors.add("schema", monitor)
