"""The stand-in for Datafold: it refuses as the contract and FastAPI do."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from sandbox import Sandbox
from sandbox.app import Weather
from sandbox.state import State
from tests.conftest import API_KEY, TOKEN

PATH = "/api/v1/lineage/bi/hightouch/7/"
BODY = {"token": TOKEN, "bindings": [{"remoteId": "1", "boundIds": [1]}], "name": "new"}
KEY = {"Authorization": f"Key {API_KEY}"}


def call(sandbox: Any, method: str, path: str, **more: Any) -> requests.Response:
    return requests.request(method, sandbox.url + path, timeout=10, **{"headers": KEY, **more})


def test_update_changes_the_schedule_only(sandbox: Any) -> None:
    answer = call(sandbox, "PUT", PATH, json={**BODY, "indexing_cron": "1 2 3 4 5"}).json()
    assert answer["indexing_cron"] == "1 2 3 4 5"
    assert answer["name"] == "Hightouch 7"
    assert "token" not in answer
    assert call(sandbox, "GET", "/api/v1/lineage/bi/7/").json() == answer
    assert answer in call(sandbox, "GET", "/api/v1/lineage/bi/").json()


def test_update_without_a_schedule_means_none(sandbox: Any) -> None:
    assert call(sandbox, "PUT", PATH, json=BODY).json()["indexing_cron"] is None


@pytest.mark.parametrize("headers", [{}, {"Authorization": API_KEY}, {"Authorization": "Key x"}])
@pytest.mark.parametrize(("method", "path"), [("PUT", PATH), ("GET", "/api/v1/lineage/bi/")])
def test_wants_the_key(sandbox: Any, method: str, path: str, headers: dict[str, str]) -> None:
    answer = call(sandbox, method, path, headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})


def test_knows_only_its_integrations(sandbox: Any) -> None:
    path = "/api/v1/lineage/bi/hightouch/99/"
    assert call(sandbox, "PUT", path, json=BODY).status_code == 404
    assert call(sandbox, "GET", "/api/v1/lineage/bi/99/").status_code == 404


@pytest.mark.parametrize(
    ("change", "location"),
    [
        ({"token": None}, ["body", "token"]),
        ({"bindings": [{"boundIds": []}]}, ["body", "bindings", 0, "remoteId"]),
        (
            {"bindings": [{"remoteId": "1", "boundIds": ["x"]}]},
            ["body", "bindings", 0, "boundIds", 0],
        ),
        ({"name": 5}, ["body", "name"]),
    ],
)
def test_refuses_what_the_contract_refuses(sandbox: Any, change: Any, location: Any) -> None:
    answer = call(sandbox, "PUT", PATH, json={**BODY, **change})
    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]
    assert problem["loc"] == location
    # FastAPI repeats what was sent, which is just what the provider has to be careful with.
    assert "input" in problem


def test_shows_calls_without_what_was_in_them(sandbox: Any) -> None:
    call(sandbox, "PUT", PATH, json=BODY)
    seen = call(sandbox, "GET", "/sandbox/requests")
    assert seen.json() == [{"method": "PUT", "path": PATH, "status": 200}]
    assert TOKEN not in seen.text


def test_bad_weather_is_the_share_asked_for_and_the_same_each_time() -> None:
    def refusals() -> list[int | None]:
        weather = Weather(flaky=0.2, seed=1)
        return [weather.refusal() for _ in range(1000)]

    found = refusals()
    assert found == refusals()
    assert 150 < sum(status is not None for status in found) < 250
    assert set(found) == {None, 429, 503}


@pytest.mark.parametrize("rate", [0.5, 5.0])
def test_rate_lets_some_through_and_refuses_the_rest(rate: float) -> None:
    weather = Weather(rate=rate)
    found = [weather.refusal() for _ in range(20)]
    assert found.count(None) in {max(1, int(rate)), max(1, int(rate)) + 1}
    assert found[-1] == 429
    time.sleep(1 / rate + 0.1)
    assert weather.refusal() is None


def test_refusal_says_when_to_come_back() -> None:
    with Sandbox(state=State(count=1), weather=Weather(flaky=1)) as bad:
        answer = call(bad, "GET", "/api/v1/lineage/bi/")
    assert answer.status_code in {429, 503}
    assert answer.headers["Retry-After"] == "1"


def test_shows_the_integrations_to_people(sandbox: Any) -> None:
    answer = call(sandbox, "GET", "/settings/integrations", headers={})
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "<td>Hightouch 7<td>" in answer.text
    assert sandbox.state.requests == []
