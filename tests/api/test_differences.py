"""The warnings if a response shows other values than were sent."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from airflow_provider_datafold.hooks.datafold import DatafoldHook
from tests.conftest import API_KEY
from tests.integrations import KINDS

HOST = "https://app.datafold.com"
BINDINGS = [{"remoteId": "1", "boundIds": [1, 2]}, {"remoteId": "2", "boundIds": []}]
SENT = {"token": "t", "bindings": BINDINGS, "indexing_cron": None, "name": "n", "workspace": None}
SHOWN = {name: value for name, value in SENT.items() if name != "token"}


@pytest.fixture
def warned(connect: Any, requests_mock: Any, log: Any) -> Any:
    """Update an integration, and return the warnings about the response."""
    connect("datafold_default", password=API_KEY)

    def update(answer: Any, kind: str = "hightouch", sent: Any = SENT) -> list[str]:
        url = f"{HOST}/api/v1/lineage/bi/{kind}/7/"
        requests_mock.put(url, text=json.dumps(answer))
        with DatafoldHook() as hook:
            hook.update_integration(kind, 7, sent)
        found: list[str] = log.warnings
        return found

    return update


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "text",
        7,
        {},
        {"id": 7, "token": "***", "more": True},
        {**SHOWN, "bindings": BINDINGS[::-1]},
        {"bindings": [{"remoteId": "2", "boundIds": []}, {"remoteId": "1", "boundIds": [2, 1]}]},
        {"bindings": [{**binding, "id": 5} for binding in BINDINGS]},
        {"name": "n/"},
    ],
)
def test_no_difference(warned: Any, answer: Any) -> None:
    assert warned(answer) == []


@pytest.mark.parametrize(
    ("field", "answered"),
    [
        ("indexing_cron", "0 0 * * *"),
        ("name", None),
        ("workspace", "w"),
        ("bindings", []),
        ("bindings", None),
        ("bindings", [5]),
        ("bindings", [{"remoteId": "1"}]),
        ("bindings", [{"remoteId": "1", "boundIds": None}]),
        ("bindings", [{"remoteId": "1", "boundIds": [1]}, {"remoteId": "2", "boundIds": []}]),
    ],
)
def test_difference(warned: Any, field: str, answered: Any) -> None:
    (warning,) = warned({**SHOWN, field: answered})
    assert field in warning
    for value in (SENT[field], answered):
        # In any order, since keys may be sorted.
        assert [part for part in re.findall(r"[\w*]+", repr(value)) if part not in warning] == []


@pytest.mark.parametrize(
    ("answered", "count"), [(["a", "b"], 0), (["a", "c"], 1), (["a", 5], 1), (["a"], 1)]
)
def test_order_of_texts_means_nothing(warned: Any, answered: Any, count: int) -> None:
    sent = {**KINDS["looker"].required, "project_ids": ["b", "a"]}
    assert len(warned({"project_ids": answered}, "looker", sent)) == count


def test_each_field_is_told(warned: Any) -> None:
    answer = {"workspace": 1, "name": 1, "indexing_cron": 1, "bindings": 1}
    told = warned(answer)
    assert len(told) == len(answer)
    assert [field for field in answer if not any(field in warning for warning in told)] == []


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_schedule_can_be_updated(warned: Any, kind: str) -> None:
    """By the contract; of Power BI and dbt it does not say so."""
    schedule, name = warned({"indexing_cron": None, "name": "old"}, kind, KINDS[kind].fields)
    assert schedule.startswith("indexing_cron")
    assert name.startswith("name")
    assert ("only" in name) is ("the schedule" in name) is KINDS[kind].only_schedule
    assert "only" not in schedule
