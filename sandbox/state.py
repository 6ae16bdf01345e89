"""What the sandbox knows: integrations, and the requests that it has seen."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

ASSUMPTION = (
    "The contract documents what a request looks like, not what an answer looks like. That an "
    "integration is answered as {id, type, name, workspace, bindings, indexing_cron} is this "
    "sandbox's own assumption."
)


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


def hightouch(bi_datasource_id: int) -> dict[str, Any]:
    """Make a Hightouch integration as it may be before the first update.

    :param bi_datasource_id: the integration's id.
    :return: the integration, in the shape that :data:`ASSUMPTION` speaks of.
    """
    return {
        "id": bi_datasource_id,
        "type": "hightouch",
        "name": f"Hightouch {bi_datasource_id}",
        "workspace": "analytics",
        "bindings": [{"remoteId": "1", "boundIds": [1, 2]}],
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
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Go back to the beginning: integrations as they were made, no requests seen."""
        self.integrations = {number: hightouch(number) for number in range(1, self.count + 1)}
        self.requests.clear()
