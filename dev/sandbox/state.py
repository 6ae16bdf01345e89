"""What the sandbox knows: integrations, and the requests that it has seen."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, field
from typing import Any

ASSUMPTION = (
    "The contract documents what a request looks like, not what an answer looks like. That an "
    "integration is answered as its id, its type and its configuration without the secrets, a "
    "synchronization as null and a removal as nothing, is this sandbox's own assumption."
)

_BINDINGS = [{"remoteId": "1", "boundIds": [1, 2]}]
_CONFIGS: dict[str, dict[str, Any]] = {
    "hightouch": {"workspace": "analytics", "bindings": _BINDINGS},
    "looker": {
        "base_url": "https://looker.example.com",
        "client_id": "looker-client",
        "repo_id": 3,
        "project_ids": ["sales"],
        "bindings": _BINDINGS,
    },
    "mode": {"workspace": "analytics"},
    "tableau": {
        "server_url": "https://tableau.example.com",
        "site_id": "sales",
        "token_name": "datafold",
    },
    "powerbi": {"auth_type": "delegated", "tenant_id": None, "client_id": None},
    "dbt": {"ci_config_id": 4},
}
FIRST_OTHER = 1001
"""Id of the first integration of another kind than Hightouch; there is one of each."""


@dataclass(frozen=True)
class Request:
    """A request that arrived.

    :param method: the HTTP method.
    :param path: the path, without a query.
    :param headers: the header fields, names in lower case.
    :param body: the body's bytes.
    :param status: the status that it was answered with.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int


@dataclass(frozen=True)
class Entry:
    """An entry of the audit trail: something that changed, or was set going.

    :param action: ``"create"``, ``"update"``, ``"delete"`` or ``"sync"``.
    :param bi_datasource_id: the integration's id.
    :param indexing_cron: its schedule afterwards.
    """

    action: str
    bi_datasource_id: int
    indexing_cron: str | None


def integration(bi_datasource_id: int, kind: str) -> dict[str, Any]:
    """Make an integration as it may be before the first update.

    :param bi_datasource_id: the integration's id.
    :param kind: the API's name for its kind.
    :return: the integration, in the shape that :data:`ASSUMPTION` speaks of.
    """
    return {
        "id": bi_datasource_id,
        "type": kind,
        "name": f"{kind.capitalize()} {bi_datasource_id}",
        **copy.deepcopy(_CONFIGS[kind]),
        "indexing_cron": "0 0 * * *",
    }


@dataclass
class State:
    """Everything that requests can see or change.

    :param count: how many Hightouch integrations there are, with the ids from 1.
    """

    count: int = 10
    integrations: dict[int, dict[str, Any]] = field(init=False)
    requests: list[Request] = field(default_factory=list)
    audit: list[Entry] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Go back to the beginning: integrations as they were made, no requests seen."""
        kinds = dict.fromkeys(range(1, self.count + 1), "hightouch")
        kinds |= dict(enumerate([kind for kind in _CONFIGS if kind != "hightouch"], FIRST_OTHER))
        self.integrations = {number: integration(number, kind) for number, kind in kinds.items()}
        self.requests.clear()
        self.audit.clear()
