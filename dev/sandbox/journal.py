"""What the sandbox remembers of requests and changes."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from dev.sandbox.moment import now


@dataclass(frozen=True)
class Request:
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int
    query: str = ""
    port: int = 0  # the client's, another for each connection


@dataclass(frozen=True)
class Entry:
    """An entry of the audit trail: an integration that changed or was synchronized."""

    action: str  # create, update, delete or sync
    bi_datasource_id: int
    indexing_cron: str | None


class Audit(list[Entry]):
    def note(self, action: str, integration: dict[str, Any]) -> None:
        self.append(Entry(action, integration["id"], integration["indexing_cron"]))


@dataclass(frozen=True)
class Change:
    """A change or a start in any section, for the audit logs."""

    section: str
    action: str
    number: int | None  # the id of what was changed
    method: str
    path: str
    timestamp: str = field(default_factory=now)
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
