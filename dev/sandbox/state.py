"""The state of the sandbox: that of each section, and the requests so far."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from dev.sandbox import bi
from dev.sandbox.ci import CI
from dev.sandbox.data_diffs import DataDiffs
from dev.sandbox.data_sources import DataSources
from dev.sandbox.journal import Audit, Change, Request
from dev.sandbox.monitors import Monitors
from dev.sandbox.register import Register
from dev.sandbox.seen import Seen


@dataclass
class State:
    """Everything that requests can see or change. Handlers name the fields that they use."""

    count: int = 10
    integrations: Register[bi.Integration] = field(init=False)
    data_diffs: DataDiffs = field(init=False)
    monitors: Monitors = field(init=False)
    ci: CI = field(init=False)
    data_sources: DataSources = field(init=False)
    seen: Seen = field(init=False)
    requests: list[Request] = field(default_factory=list)
    audit: Audit = field(default_factory=Audit)
    changes: list[Change] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while a request is served, so that handlers need no lock."""

    def __post_init__(self) -> None:
        self._begin()

    def reset(self) -> None:
        """Reset each section to its initial state, and forget all requests."""
        self.close()
        self._begin()
        self.requests.clear()
        self.audit.clear()
        self.changes.clear()

    def close(self) -> None:
        """Stop the other processes."""
        self.data_sources.comparisons.close()

    def _begin(self) -> None:
        self.integrations = bi.first(self.count)
        self.data_diffs = DataDiffs()
        self.monitors = Monitors()
        self.ci = CI()
        self.data_sources = DataSources()
        self.seen = Seen()
