"""The state of the sandbox: that of each section, and the requests so far."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field
from typing import Any

from dev.sandbox.bi import FIRST_OTHER, integration, integrations
from dev.sandbox.ci import CI
from dev.sandbox.data_diffs import DataDiffs
from dev.sandbox.data_sources import DataSources
from dev.sandbox.explore import Lineage
from dev.sandbox.moment import now
from dev.sandbox.monitors import Monitors
from dev.sandbox.register import Register
from dev.sandbox.seen import Seen

__all__ = ["FIRST_OTHER", "Change", "Entry", "Request", "State", "integration"]


@dataclass(frozen=True)
class Request:
    """A request that arrived.

    :param method: the HTTP method.
    :param path: the raw path, without a query.
    :param headers: the header fields, names in lower case.
    :param body: the body's bytes.
    :param status: the status of the response.
    :param query: the raw query, without the question mark.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int
    query: str = ""


@dataclass(frozen=True)
class Entry:
    """An entry of the audit trail: an integration that changed or was synchronized.

    :param action: ``"create"``, ``"update"``, ``"delete"`` or ``"sync"``.
    :param bi_datasource_id: the integration's id.
    :param indexing_cron: its schedule afterwards.
    """

    action: str
    bi_datasource_id: int
    indexing_cron: str | None


@dataclass(frozen=True)
class Change:
    """A change or a start in any section, for the audit logs.

    :param section: the section's name.
    :param action: what was done.
    :param number: the id of the changed thing, if it has one.
    :param method: the request's HTTP method.
    :param path: the request's path.
    """

    section: str
    action: str
    number: int | None
    method: str
    path: str
    timestamp: str = field(default_factory=now)
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass
class State:
    """Everything that requests can see or change.

    :param count: how many Hightouch integrations there are, with the ids from 1.
    """

    count: int = 10
    integrations: Register[dict[str, Any]] = field(init=False)
    data_diffs: DataDiffs = field(init=False)
    monitors: Monitors = field(init=False)
    ci: CI = field(init=False)
    data_sources: DataSources = field(init=False)
    explore: Lineage = field(init=False)
    seen: Seen = field(init=False)
    requests: list[Request] = field(default_factory=list)
    audit: list[Entry] = field(default_factory=list)
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
        self.data_diffs.close()
        self.data_sources.queries.close()
        self.seen.close()
        self.monitors.close()

    def _begin(self) -> None:
        self.integrations = integrations(self.count)
        self.data_diffs = DataDiffs()
        self.monitors = Monitors()
        self.ci = CI()
        self.data_sources = DataSources()
        self.explore = Lineage()
        self.seen = Seen()

    def note(self, action: str, integration: dict[str, Any]) -> None:
        """Add to the audit trail.

        :param action: what was done.
        :param integration: the integration that it was done to.
        """
        self.audit.append(Entry(action, integration["id"], integration["indexing_cron"]))
