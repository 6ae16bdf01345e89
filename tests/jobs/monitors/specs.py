"""The least that a file may say of each kind of monitor."""

from __future__ import annotations

import copy
from typing import Any

KINDS = ("diff", "metric", "schema", "test")
CRON = {"cron": "0 6 * * *"}
LEAST: dict[str, dict[str, Any]] = {
    "diff": {
        "type": "diff",
        "schedule": CRON,
        "datadiff": {
            "primary_key": ["id"],
            "dataset_a": {"connection_id": 1, "table": "a"},
            "dataset_b": {"connection_id": 1, "query": "select 1"},
        },
    },
    "metric": {
        "type": "metric",
        "schedule": CRON,
        "connection_id": 1,
        "metric": {"type": "table", "table": "a", "metric": "row_count"},
    },
    "schema": {"type": "schema", "schedule": CRON, "connection_id": 1, "table": "a"},
    "test": {"type": "test", "schedule": CRON, "connection_id": 1, "query": "select 1\n"},
}


def changed(spec: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of a spec with another value at a path; ``...`` takes it out."""
    found = place = copy.deepcopy(spec)
    *parts, last = path.split(".")
    for part in parts:
        place = place[part]
    if value is ...:
        place.pop(last, None)
    else:
        place[last] = value
    return found
