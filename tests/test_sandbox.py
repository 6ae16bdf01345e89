"""The stand-in for Datafold: it refuses as the contract and FastAPI do."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from dev.sandbox import Sandbox
from dev.sandbox.app import Weather
from dev.sandbox.state import State
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


CONFIGS: dict[str, dict[str, Any]] = {
    "hightouch": BODY,
    "looker": {"base_url": "u", "client_id": "c", "client_secret": TOKEN, "repo_id": 5},
    "mode": {"token": TOKEN, "password": TOKEN},
    "tableau": {"server_url": "u", "site_id": "i", "token_name": "n", "token_value": TOKEN},
    "powerbi": {"client_secret": TOKEN, "tenant_id": "t"},
    "dbt": {"ci_config_id": 5},
}


@pytest.mark.parametrize(("number", "kind"), list(enumerate(CONFIGS, 1000)))
def test_each_kind_can_be_created_updated_and_removed(sandbox: Any, number: int, kind: str) -> None:
    number = number if kind != "hightouch" else 1
    path = f"/api/v1/lineage/bi/{kind}/"
    before = call(sandbox, "GET", f"/api/v1/lineage/bi/{number}/").json()
    assert before["type"] == kind
    config = {**CONFIGS[kind], "name": "new", "indexing_cron": "1 2 3 4 5"}
    updated = call(sandbox, "PUT", f"{path}{number}/", json=config).json()
    created = call(sandbox, "POST", path, json=config).json()
    assert created["id"] == 1006
    assert created["name"] == "new"
    if kind in {"powerbi", "dbt"}:
        assert updated == {**created, "id": number}
    else:
        assert updated == {**before, "indexing_cron": "1 2 3 4 5"}
    assert not {"token", "password", "client_secret", "token_value"} & {*created, *updated}
    assert TOKEN not in str(sandbox.state.integrations)
    other = "dbt" if kind != "dbt" else "mode"
    wrong = f"/api/v1/lineage/bi/{other}/{number}/"
    assert call(sandbox, "PUT", wrong, json=CONFIGS[other]).status_code == 404
    removed = call(sandbox, "DELETE", f"/api/v1/lineage/bi/{number}/")
    assert (removed.status_code, removed.content) == (204, b"")
    assert call(sandbox, "GET", f"/api/v1/lineage/bi/{number}/").status_code == 404
    assert [(entry.action, entry.bi_datasource_id) for entry in sandbox.state.audit] == [
        ("update", number),
        ("create", 1006),
        ("delete", number),
    ]


def test_audit_trail(sandbox: Any) -> None:
    assert call(sandbox, "GET", "/api/v1/lineage/bi/7/sync/").json() is None
    assert call(sandbox, "GET", "/api/v1/lineage/bi/99/sync/").status_code == 404
    call(sandbox, "PUT", PATH, json=BODY)
    assert call(sandbox, "GET", "/sandbox/audit", headers={}).json() == [
        {"action": "sync", "bi_datasource_id": 7, "indexing_cron": "0 0 * * *"},
        {"action": "update", "bi_datasource_id": 7, "indexing_cron": None},
    ]


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
    assert "<td>7<td>hightouch<td>Hightouch 7<td>0 0 * * *" in answer.text
    assert sandbox.state.requests == []
