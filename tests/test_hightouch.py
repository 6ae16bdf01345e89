from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold import hightouch
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.omitted import OMITTED

BINDINGS = [{"remoteId": "1", "boundIds": [1, 2]}, {"remoteId": "2", "boundIds": []}]


def test_path_ends_in_a_slash() -> None:
    assert hightouch.path("7") == "/api/v1/lineage/bi/hightouch/7/"
    with pytest.raises(DatafoldInputError, match="^bi_datasource_id: is '7/../9'"):
        hightouch.path("7/../9")


def test_body_leaves_out_what_is_omitted() -> None:
    assert hightouch.body(token="t", bindings=[], indexing_cron=None) == {
        "token": "t",
        "bindings": [],
        "indexing_cron": None,
    }


def test_body_sends_null() -> None:
    body = hightouch.body(
        token="t", bindings=BINDINGS, indexing_cron="0 6 * * *", name=None, workspace=5
    )
    assert body == {
        "token": "t",
        "bindings": BINDINGS,
        "indexing_cron": "0 6 * * *",
        "name": None,
        "workspace": "5",
    }


@pytest.mark.parametrize("field", ["name", "workspace"])
def test_body_checks_optional_fields(field: str) -> None:
    values: dict[str, Any] = {"name": OMITTED, "workspace": OMITTED, field: []}
    with pytest.raises(DatafoldInputError, match=f"^{field}: is "):
        hightouch.body(token="t", bindings=[], indexing_cron=None, **values)


SENT = {"token": "t", "bindings": BINDINGS, "indexing_cron": None, "name": "n", "workspace": None}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "text",
        7,
        {},
        {"id": 7, "token": "***", "more": True},
        {**SENT, "bindings": BINDINGS[::-1]},
        {"bindings": [{"remoteId": "2", "boundIds": []}, {"remoteId": "1", "boundIds": [2, 1]}]},
        {"bindings": [{**binding, "id": 5} for binding in BINDINGS]},
    ],
)
def test_no_differences(answer: Any) -> None:
    assert list(hightouch.differences(SENT, answer)) == []


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
def test_differences(field: str, answered: Any) -> None:
    found = list(hightouch.differences(SENT, {**SENT, field: answered}))
    assert found == [(field, SENT[field], answered)]


def test_differences_come_in_the_order_of_the_body() -> None:
    answer = {"workspace": 1, "name": 1, "indexing_cron": 1, "bindings": 1}
    found = [field for field, _, _ in hightouch.differences(SENT, answer)]
    assert found == ["bindings", "indexing_cron", "name", "workspace"]
