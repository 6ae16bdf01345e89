"""What the sandbox remembers of requests and changes."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from dev.sandbox.moment import now


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


class Audit(list[Entry]):
    """The audit trail."""

    def note(self, action: str, integration: dict[str, Any]) -> None:
        """Add an entry."""
        self.append(Entry(action, integration["id"], integration["indexing_cron"]))


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
