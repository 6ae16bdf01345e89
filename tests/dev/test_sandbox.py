"""The stand-in for Datafold: it refuses as the contract and FastAPI do."""

from __future__ import annotations

import json
import math
import socket
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError

from dev.sandbox import Sandbox, contract, data_diffs, data_sources, monitors, seen as seen_in_sdk
from dev.sandbox.app import Disturbance, routes
from dev.sandbox.contract import Operation
from dev.sandbox.course import Course, Job, Step
from dev.sandbox.server import listen
from dev.sandbox.state import State
from tests.calls import ROWS, Row, named, prepare
from tests.conftest import API_KEY, ROOT, TOKEN
from tests.integrations import KINDS, SECRET_FIELDS

PATH = "/api/v1/lineage/bi/hightouch/7/"
BODY = {"token": TOKEN, "bindings": [{"remoteId": "1", "boundIds": [1]}], "name": "new"}
KEY = {"Authorization": f"Key {API_KEY}"}


JSON = {"Content-Type": "application/json"}


def of_answers(node: Any) -> Any:
    """The contract for responses: no secrets, and no unknown fields."""
    if isinstance(node, list):
        return [of_answers(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: of_answers(value) for key, value in node.items()}
    if isinstance(node.get("properties"), dict):
        secrets = {name for name, value in node["properties"].items() if "writeOnly" in str(value)}
        node["properties"] = {
            name: node["properties"][name] for name in node["properties"] if name not in secrets
        }
        if "required" in node:
            node["required"] = [name for name in node["required"] if name not in secrets]
        node.setdefault("additionalProperties", False)
    return node


def load() -> OpenAPI:
    document = contract.load()
    document["paths"] |= contract.seen()["paths"]
    schemas = document["components"]["schemas"]
    document["components"]["schemas"] = contract.seen()["components"]["schemas"] | schemas
    # FastAPI's problems have more fields than the contract names.
    document["components"]["schemas"]["ValidationError"]["additionalProperties"] = True
    # That the contract itself is valid, tests/api/test_operations.py finds.
    return OpenAPI.from_dict(of_answers(document), config=Config(spec_validator_cls=None))


ANSWERS = load()


def validate(answer: requests.Response) -> None:
    """Check a response against the contract."""
    request = SimpleNamespace(
        host_url="https://app.datafold.com",
        path=urlsplit(str(answer.request.url)).path,
        method=str(answer.request.method).lower(),
        parameters=RequestParameters(),
        content_type="",
        body=None,
    )
    response = SimpleNamespace(
        status_code=answer.status_code,
        content_type=answer.headers["Content-Type"],
        headers=answer.headers,
        data=answer.content,
    )
    ANSWERS.validate_response(request, response)


def call(sandbox: Any, method: str, path: str, **more: Any) -> requests.Response:
    url = sandbox.url + path
    answer = requests.request(method, url, timeout=10, **{"headers": KEY, **more})
    if path.startswith("/api/") and answer.status_code in {200, 422}:
        validate(answer)
    return answer


def test_responses_on_a_kept_connection_do_not_wait_for_an_ack() -> None:
    # asyncio sets TCP_NODELAY for such sockets only.
    with listen(0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_a_port_in_use_is_an_error() -> None:
    with listen(0) as listener, pytest.raises(OSError, match="in use"):
        listen(listener.getsockname()[1])


def test_update_changes_the_schedule_only(sandbox: Any) -> None:
    answer = call(sandbox, "PUT", PATH, json={**BODY, "indexing_cron": "1 2 3 4 5"}).json()
    assert answer["indexing_cron"] == "1 2 3 4 5"
    assert answer["name"] == "Hightouch 7"
    assert "token" not in answer
    assert call(sandbox, "GET", "/api/v1/lineage/bi/7/").json() == answer
    assert answer in call(sandbox, "GET", "/api/v1/lineage/bi/").json()


@pytest.mark.parametrize(
    ("host", "is_served"),
    [
        ("127.0.0.1:{port}", True),
        ("LocalHost:{port}", True),
        ("localhost", True),
        ("[::1]:{port}", True),
        # As a browser sends them for a page whose name leads to 127.0.0.1.
        ("evil.example:{port}", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:{port}", False),
        ("evil.example/localhost", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("path", [PATH, "/settings/integrations", "/sandbox/requests", "/docs"])
def test_serves_the_loopback_address_only(
    sandbox: Any, path: str, host: str, is_served: bool
) -> None:
    headers = {**KEY, "Host": host.format(port=sandbox.port)}
    method = "PUT" if path == PATH else "GET"
    answer = call(sandbox, method, path, headers=headers, json=BODY)
    assert answer.status_code == (200 if is_served else 421)
    assert bool(sandbox.state.audit) is (is_served and path == PATH)


@pytest.mark.parametrize("headers", [{}, {"Authorization": API_KEY}, {"Authorization": "Key x"}])
@pytest.mark.parametrize(("method", "path"), [("PUT", PATH), ("GET", "/api/v1/lineage/bi/")])
def test_wants_the_key(sandbox: Any, method: str, path: str, headers: dict[str, str]) -> None:
    answer = call(sandbox, method, path, headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})


@pytest.mark.parametrize(("number", "kind"), list(enumerate(KINDS, 1000)))
def test_each_kind_can_be_created_updated_and_removed(sandbox: Any, number: int, kind: str) -> None:
    number = number if kind != "hightouch" else 1
    path = f"/api/v1/lineage/bi/{kind}/"
    before = call(sandbox, "GET", f"/api/v1/lineage/bi/{number}/").json()
    assert before["type"] == kind
    config = {**KINDS[kind].fields, "name": "new", "indexing_cron": "1 2 3 4 5"}
    updated = call(sandbox, "PUT", f"{path}{number}/", json=config).json()
    created = call(sandbox, "POST", path, json=config).json()
    assert created["id"] == 1006
    assert created["name"] == "new"
    if kind in {"powerbi", "dbt"}:
        assert updated == {**created, "id": number}
    else:
        assert updated == {**before, "indexing_cron": "1 2 3 4 5"}
    assert not SECRET_FIELDS & {*created, *updated}
    assert "secret-" not in str(sandbox.state.integrations)
    other = "dbt" if kind != "dbt" else "mode"
    wrong = f"/api/v1/lineage/bi/{other}/{number}/"
    assert call(sandbox, "PUT", wrong, json=KINDS[other].required).status_code == 404
    removed = call(sandbox, "DELETE", f"/api/v1/lineage/bi/{number}/")
    assert (removed.status_code, removed.json()) == (200, None)
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
        disturbance = Disturbance(flaky=0.2, seed=1)
        return [disturbance.refusal() for _ in range(1000)]

    found = refusals()
    assert found == refusals()
    assert 150 < sum(status is not None for status in found) < 250
    assert set(found) == {None, 429, 503}


@pytest.mark.parametrize("rate", [0.5, 5.0])
def test_rate_lets_some_through_and_refuses_the_rest(rate: float) -> None:
    disturbance = Disturbance(rate=rate)
    found = [disturbance.refusal() for _ in range(20)]
    assert found.count(None) in {max(1, int(rate)), max(1, int(rate)) + 1}
    assert found[-1] == 429
    time.sleep(1 / rate + 0.1)
    assert disturbance.refusal() is None


def test_refusal_says_when_to_come_back() -> None:
    with Sandbox(state=State(count=1), disturbance=Disturbance(flaky=1)) as bad:
        answer = call(bad, "GET", "/api/v1/lineage/bi/")
    assert answer.status_code in {429, 503}
    assert answer.headers["Retry-After"] == "1"


# Every operation, over a real socket; `call` checks each response against the contract.

TABLE = "DB.PUBLIC.ORDERS"
SIDE = {"connection_id": 1, "table": TABLE}
CRON = {"type": "crontab", "cron": "0 6 * * *"}
DAILY = {"interval": {"type": "daily", "every": "day", "utc_at": "06:00:00"}}
EMAIL = {"type": "email", "recipients": ["a@example.com"]}
DIFF = {
    "data_source1_id": 1,
    "data_source2_id": 1,
    "table1": ["DB", "PUBLIC", "A"],
    "table2": ["DB", "PUBLIC", "B"],
    "pk_columns": ["id"],
    "include_columns": ["amount", "day"],
    "tags": ["airflow:1"],
    "time_interval_start": "2024-01-01T00:00:00Z",
    "file1_options": {"file_type": "csv", "delimiter": ";"},
    "column_mapping": [["a", "b"]],
    "data_source1_session_parameters": {"anything": 1},
}
PULL_REQUEST = {
    "pr_number": 7,
    "pr_sha": "a1",
    "base_sha": "b2",
    "pr_branch": "feature",
    "base_branch": "main",
}
SPECS: dict[str, dict[str, Any]] = {
    "diff": {
        "name": "compared",
        "schedule": CRON,
        "alert": {"different_rows_count": 3},
        "datadiff": {
            "diff_type": "inmem",
            "dataset_a": SIDE,
            "dataset_b": {"connection_id": 2, "query": "select 1"},
            "primary_key": ["id"],
        },
        "tags": ["nightly"],
        "notifications": [EMAIL, {"type": "slack", "integration": 1, "channel": "#data"}],
    },
    "metric": {
        "name": "measured",
        "connection_id": 1,
        "schedule": DAILY,
        "metric": {"type": "column", "column": "amount", "metric": "sum", "table": TABLE},
        "alert": {"type": "automatic", "sensitivity": 50},
    },
    "schema": {"name": "shaped", "connection_id": 1, "schedule": {"type": "none"}, "table": TABLE},
    "test": {
        "name": "tested",
        "connection_id": 1,
        "schedule": CRON,
        "test": {"type": "unique", "tables": [{"path": TABLE, "columns": ["id"]}]},
    },
}
SOURCE = {
    "type": "mysql",
    "name": "Shop",
    "options": {"host": "shop", "user": "u", "db": "d", "password": TOKEN},
}
QUOTED = quote('DB."www.my site".T', safe="")
EXPLORE = "/api/v1/explore/db/1"


@pytest.fixture
def begun(sandbox: Any) -> Any:
    """A sandbox with a test of a data source, a CI run and a monitor's run, each number 1."""
    call(sandbox, "POST", "/api/v1/data_sources/1/test")
    call(sandbox, "POST", "/api/v1/ci/1/trigger", json=PULL_REQUEST)
    call(sandbox, "POST", "/api/v1/monitors/1/run")
    return sandbox


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_serves(sandbox: Any, row: Row) -> None:
    prepare(sandbox.state)
    query = {name: str(value).lower() for name, value in row.query.items()}
    more = {} if row.body is None else {"json": row.body}
    path = row.path or row.asked.path
    assert call(sandbox, row.asked.method, path, params=query, **more).status_code == 200


def test_takes_what_the_hook_does_not_send(sandbox: Any) -> None:
    assert call(sandbox, "GET", "/api/v1/datadiffs/1?poll=1").status_code == 200
    query = "/api/v1/data_sources/1/query?stream=false"
    assert call(sandbox, "POST", query, json={"query": "select 1"}).status_code == 200


def test_no_operation_is_left_out() -> None:
    operations = set(contract.operations(contract.load()))
    seen = set(contract.operations(contract.seen()))
    assert {row.asked for row in ROWS} == operations == set(routes()) - seen
    assert seen == set(seen_in_sdk.router)


def test_an_operation_without_a_handler_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    cancel = Operation("POST", "/api/v1/datadiffs/{datadiff_id}/cancel")
    monkeypatch.delitem(data_diffs.router, cancel)
    assert set(contract.operations(contract.load())) - set(routes()) == {cancel}


def test_knows_nothing_of_the_package() -> None:
    command = "import sys, dev.sandbox.__main__; print([*sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert "dev.sandbox.bi" in done.stdout
    assert "airflow" not in done.stdout


def test_it_explains_itself() -> None:
    command = [sys.executable, "-m", "dev.sandbox", "--help"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert "own assumption" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        ("finished", {}),
        ("done", {"result": "equal"}),
        ("done", {"diff_stats": {"version": "1", "rows_added": "3"}}),
        ("done", {"diff_stats": {"version": "1", "colour": 1}}),
    ],
)
def test_a_response_against_the_contract_is_noticed(sandbox: Any, end: str, outcome: Any) -> None:
    sandbox.state.data_diffs.courses.coming.append(Course((), end, outcome))
    with pytest.raises(OpenAPIError):
        call(sandbox, "POST", "/api/v1/datadiffs", json=DIFF)


# Refused requests.

CREATE = ("POST", "/api/v1/datadiffs")
MONITOR = "/api/v1/monitors/create/"
HIGHTOUCH = "/api/v1/lineage/bi/hightouch/"
WRONG: list[tuple[str, str, Any, list[str | int], str]] = [
    ("POST", HIGHTOUCH, {**BODY, "colour": 1}, ["body", "colour"], "extra_forbidden"),
    ("POST", HIGHTOUCH, {"token": "t"}, ["body", "bindings"], "missing"),
    ("PUT", HIGHTOUCH + "x/", BODY, ["path", "bi_datasource_id"], "int_parsing"),
    (
        "POST",
        "/api/v1/lineage/bi/powerbi/",
        {"auth_type": "password"},
        ["body", "auth_type"],
        "literal_error",
    ),
    (*CREATE, [], ["body"], "dict_type"),
    (*CREATE, {**DIFF, "data_source1_id": "1"}, ["body", "data_source1_id"], "int_type"),
    (*CREATE, {**DIFF, "infer_pk": "true"}, ["body", "infer_pk"], "bool_type"),
    (*CREATE, {**DIFF, "table1": "DB.A"}, ["body", "table1"], "list_type"),
    (*CREATE, {**DIFF, "tags": ["a", None]}, ["body", "tags", 1], "string_type"),
    (*CREATE, {**DIFF, "file1": "no address"}, ["body", "file1"], "format"),
    (*CREATE, {**DIFF, "column_mapping": [["a"]]}, ["body", "column_mapping", 0], "minItems"),
    (
        "GET",
        "/api/v1/datadiffs?accessible_only=True",
        None,
        ["query", "accessible_only"],
        "bool_parsing",
    ),
    (
        "POST",
        MONITOR + "metric",
        {**SPECS["metric"], "alert": {"type": "automatic", "sensitivity": 101}},
        ["body", "alert", "sensitivity"],
        "maximum",
    ),
    (
        "POST",
        "/api/v1/ci/1/7",
        [{"prod": "A", "pr": "B", "pk": ["a", "a"]}],
        ["body", 0, "pk"],
        "uniqueItems",
    ),
    (
        "POST",
        "/api/v1/data_sources",
        {"type": "pg", "name": "x", "options": {"host": "h" * 129, "user": "u", "dbname": "d"}},
        ["body", "options", "host"],
        "maxLength",
    ),
    ("GET", "/api/v1/explore/db/0/tables/a/upstreams", None, ["path", "data_connection_id"], "min"),
    ("GET", f"{EXPLORE}/tables/a/upstreams?max_depth=100", None, ["query", "max_depth"], "exclus"),
]


@pytest.mark.parametrize(("method", "path", "body", "location", "kind"), WRONG)
def test_names_what_is_wrong(
    sandbox: Any, method: str, path: str, body: Any, location: list[str | int], kind: str
) -> None:
    more = {} if body is None else {"json": body}
    answer = call(sandbox, method, path, **more)
    assert answer.status_code == 422
    # FastAPI repeats what was sent, so the provider must redact it.
    assert all("input" in problem for problem in answer.json()["detail"])
    found = {tuple(problem["loc"]): problem["type"] for problem in answer.json()["detail"]}
    assert list(found) == [tuple(location)]
    assert found[tuple(location)].startswith(kind)
    assert sandbox.state.changes == []


@pytest.mark.parametrize(
    ("content", "headers", "location"),
    [
        (b"{", {}, ["body", 1]),
        (b"\xff", {}, ["body", 0]),
        (b'{"pr_number": NaN}', {}, ["body", 0]),
        (json.dumps(PULL_REQUEST).encode(), {"Content-Type": "text/plain"}, ["body"]),
    ],
    ids=str,
)
def test_wants_json(sandbox: Any, content: bytes, headers: Any, location: Any) -> None:
    headers = {**KEY, "Content-Type": "application/json", **headers}
    path = "/api/v1/ci/1/trigger"
    answer = call(sandbox, "POST", path, data=content, headers=headers)
    assert answer.status_code == 422
    assert [problem["loc"] for problem in answer.json()["detail"]] == [location]


UNKNOWN = [
    ("GET", "/api/v1/lineage/bi/99/", None, "Integration"),
    ("GET", "/api/v1/datadiffs/99", None, "Data diff"),
    ("PATCH", "/api/v1/datadiffs/99", {}, "Data diff"),
    ("POST", "/api/v1/datadiffs/99/cancel", None, "Data diff"),
    ("GET", "/api/v1/datadiffs/99/summary", None, "Data diff"),
    ("GET", "/api/v1/datadiffs/99/summary_results", None, "Data diff"),
    ("POST", "/api/v1/datadiffs", {**DIFF, "data_source2_id": 99}, "Data source"),
    ("GET", "/api/v1/monitors/99", None, "Monitor"),
    ("DELETE", "/api/v1/monitors/99", None, "Monitor"),
    ("POST", "/api/v1/monitors/99/run", None, "Monitor"),
    ("GET", "/api/v1/monitors/99/runs", None, "Monitor"),
    ("GET", "/api/v1/monitors/1/runs/99", None, "Run"),
    ("GET", "/api/v1/monitors/2/runs/1", None, "Run"),
    ("PUT", "/api/v1/monitors/99/toggle", {"enabled": True}, "Monitor"),
    ("PATCH", "/api/v1/monitors/99/update", {"type": "diff"}, "Monitor"),
    ("PATCH", "/api/v1/monitors/1/update", {"type": "test"}, "Monitor"),
    ("GET", "/api/v1/ci/99/runs", None, "CI config"),
    ("POST", "/api/v1/ci/99/trigger", PULL_REQUEST, "CI config"),
    ("POST", "/api/v1/ci/99/7", [], "CI config"),
    ("GET", "/api/v1/data_sources/99", None, "Data source"),
    ("GET", "/api/v1/data_sources/99/summary", None, "Data source"),
    ("POST", "/api/v1/data_sources/99/test", None, "Data source"),
    ("POST", "/api/v1/data_sources/99/query", {"query": "x"}, "Data source"),
    ("GET", "/api/v1/data_sources/test/99", None, "Test"),
    ("GET", "/api/v1/explore/db/99/tables/a/upstreams", None, "Data source"),
    ("GET", f"{EXPLORE}/tables/a/upstreams", None, "Table"),
    ("GET", f"{EXPLORE}/columns/a/downstreams", None, "Column"),
]


@pytest.mark.parametrize(("method", "path", "body", "noun"), UNKNOWN)
def test_knows_only_what_there_is(begun: Any, method: str, path: str, body: Any, noun: str) -> None:
    more = {} if body is None else {"json": body}
    answer = call(begun, method, path, **more)
    assert (answer.status_code, answer.json()) == (404, {"detail": f"{noun} not found"})


def test_responds_to_other_paths_as_fastapi_does(sandbox: Any) -> None:
    assert call(sandbox, "GET", "/api/v1/nothing").json() == {"detail": "Not Found"}
    for method in ("PUT", "OPTIONS"):
        refused = call(sandbox, method, "/api/v1/datadiffs")
        assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, POST")
    moved = call(sandbox, "GET", "/api/v1/datadiffs/?page=2", allow_redirects=False)
    assert (moved.status_code, moved.headers["Location"]) == (
        307,
        f"{sandbox.url}/api/v1/datadiffs?page=2",
    )
    assert call(sandbox, "GET", "/docs").status_code == 200
    assert "/api/v1/datadiffs" in call(sandbox, "GET", "/openapi.json").json()["paths"]


# Data diffs.


def create(sandbox: Any, path: str, body: Any) -> Any:
    answer = call(sandbox, "POST", path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def statuses(sandbox: Any, path: str, field: str = "status", reads: int = 6) -> list[str]:
    return [call(sandbox, "GET", path).json()[field] for _ in range(reads)]


def test_data_diff_comes_back_with_its_fields(sandbox: Any) -> None:
    created = create(sandbox, "/api/v1/datadiffs", DIFF)
    assert DIFF.items() <= created.items()
    assert (created["id"], created["status"], created["kind"]) == (3, "waiting", "in_db")
    page = call(sandbox, "GET", "/api/v1/datadiffs?sort_order=desc&page_size=2").json()
    assert page.pop("results")[0] == created
    assert page == {"count": 3, "page": 1, "page_size": 2, "total_pages": 2}
    pages = [call(sandbox, "GET", f"/api/v1/datadiffs?page={n}&page_size=2") for n in (1, 2, 3)]
    assert [[diff["id"] for diff in page.json()["results"]] for page in pages] == [[1, 2], [3], []]


@pytest.mark.parametrize("field", ["id", "created_at", "tags", "table1", "ci_run_id", "result"])
def test_data_diffs_can_be_ordered(sandbox: Any, field: str) -> None:
    create(sandbox, "/api/v1/datadiffs", DIFF)
    path = f"/api/v1/datadiffs?order_by={field}&sort_order="
    up, down = (call(sandbox, "GET", path + order).json()["results"] for order in ("asc", "desc"))
    assert up == down[::-1]


def test_data_diff_is_done_after_two_reads(sandbox: Any) -> None:
    path = f"/api/v1/datadiffs/{create(sandbox, '/api/v1/datadiffs', DIFF)['id']}"
    assert call(sandbox, "GET", f"{path}/summary_results").json() == {"status": "pending"}
    assert call(sandbox, "GET", f"{path}/summary_results").json() == {"status": "running"}
    done = call(sandbox, "GET", path).json()
    assert (done["status"], done["done"], done["result"]) == ("done", True, "identical")
    assert done["diff_stats"]["match_ratio"] == 1.0
    assert call(sandbox, "GET", f"{path}/summary").json()["data_source1_name"] == "Warehouse"
    results = call(sandbox, "GET", f"{path}/summary_results").json()
    names = [column["column_name"] for column in results["values"]["columns_diff_stats"]]
    assert names == ["amount", "day"]


def test_data_diff_across_databases(sandbox: Any) -> None:
    sandbox.state.data_diffs.courses.default = data_diffs.DIFFERENT
    body = {"data_source1_id": 1, "data_source2_id": 2, "query1": "a", "query2": "b"}
    path = f"/api/v1/datadiffs/{create(sandbox, '/api/v1/datadiffs', body)['id']}"
    assert statuses(sandbox, path, reads=4) == ["waiting", "processing", "done", "done"]
    assert call(sandbox, "GET", path).json()["kind"] == "cross_db"
    assert "schema" not in call(sandbox, "GET", f"{path}/summary_results").json()


@pytest.mark.parametrize("retryable", [True, False, None])
def test_data_diff_that_fails(sandbox: Any, retryable: bool | None) -> None:
    course = data_diffs.failed("QueryError", "no such table", retryable)
    sandbox.state.data_diffs.courses.coming.append(course)
    path = f"/api/v1/datadiffs/{create(sandbox, '/api/v1/datadiffs', DIFF)['id']}"
    assert statuses(sandbox, path, reads=4) == ["waiting", "processing", "failed", "failed"]
    assert call(sandbox, "GET", f"{path}/summary").json()["error"] == "no such table"
    assert call(sandbox, "GET", f"{path}/summary_results").json()["error"] == {
        "error_type": "QueryError",
        "error_value": "no such table",
        "is_retryable": retryable,
    }
    other = create(sandbox, "/api/v1/datadiffs", DIFF)["id"]
    assert statuses(sandbox, f"/api/v1/datadiffs/{other}")[-1] == "done"


def test_data_diff_can_be_cancelled(sandbox: Any) -> None:
    path = f"/api/v1/datadiffs/{create(sandbox, '/api/v1/datadiffs', DIFF)['id']}"
    assert statuses(sandbox, path, reads=2) == ["waiting", "processing"]
    assert call(sandbox, "POST", f"{path}/cancel").json() == {"id": 3, "status": "cancelled"}
    assert set(statuses(sandbox, path)) == {"cancelled"}
    assert call(sandbox, "GET", path).json()["result"] is None
    failed = call(sandbox, "GET", f"{path}/summary_results").json()
    assert failed["error"]["error_type"] == "Cancelled"
    assert call(sandbox, "POST", "/api/v1/datadiffs/1/cancel").json()["status"] == "done"


def test_data_diff_can_be_archived(sandbox: Any) -> None:
    path = "/api/v1/datadiffs/1"
    call(sandbox, "PATCH", path, json={"archived": True, "purged": None})
    shown = call(sandbox, "GET", path).json()
    assert (shown["archived"], shown["purged"]) == (True, False)
    assert call(sandbox, "PATCH", path).status_code == 200


# Courses.


def test_course_by_time() -> None:
    now = [0.0]
    way = (Step("waiting", reads=0, seconds=2), Step("processing", reads=1, seconds=3))
    job = Job(Course(way, "done", {"result": "different"}), lambda: now[0])
    assert [job.read(), job.read(), job.outcome] == ["waiting", "waiting", {}]
    now[0] = 2
    assert [job.read(), job.read()] == ["processing", "processing"]
    now[0] = 5
    assert (job.read(), job.ended, job.outcome) == ("done", True, {"result": "different"})
    job.stop("cancelled")
    assert job.status == "done"


def test_a_job_ends_when_it_ends_and_not_when_somebody_looks() -> None:
    moment = 0.0
    started = datetime.now(timezone.utc)
    job = Job(Course((Step("waiting", reads=0, seconds=5),), "done"), lambda: moment)
    assert job.finished_at is None
    now = datetime.now(timezone.utc)
    moment = 3600.0
    finished_at = job.finished_at
    assert finished_at is not None
    assert started <= datetime.fromisoformat(finished_at) - timedelta(seconds=5) <= now
    job.stop("cancelled")
    assert job.finished_at == finished_at


def test_course_without_an_end() -> None:
    job = Job(Course((Step("needs_confirmation", seconds=math.inf),), "done"))
    assert {job.read() for _ in range(1000)} == {"needs_confirmation"}
    job.stop("cancelled")
    assert (job.status, job.ended) == ("cancelled", True)


def test_looking_is_no_read() -> None:
    job = Job(Course((Step("waiting"),), "done"))
    assert {job.status for _ in range(10)} == {"waiting"}
    assert [job.read(), job.read()] == ["waiting", "done"]


# Monitors.


@pytest.mark.parametrize("kind", SPECS)
def test_monitor_from_its_creation_to_its_end(sandbox: Any, kind: str) -> None:
    number = create(sandbox, f"/api/v1/monitors/create/{kind}", SPECS[kind])["id"]
    path = f"/api/v1/monitors/{number}"
    listed = call(sandbox, "GET", "/api/v1/monitors").json()
    assert (listed["monitors"][0]["id"], listed["count"]) == (number, 5)
    shown = call(sandbox, "GET", path).json()
    assert (shown["monitor_type"], shown["enabled"]) == (kind, True)
    for name in {"name", "schedule", "tags", "notifications"} & set(SPECS[kind]):
        assert shown[name] == SPECS[kind][name]
    assert shown["dataset"][0]["connection_id"] == 1

    change = {"type": kind, "name": "renamed", "tags": ["a"], "schedule": DAILY}
    assert call(sandbox, "PATCH", f"{path}/update", json=change).status_code == 200
    call(sandbox, "PATCH", f"{path}/update", json={"type": kind, "name": None, "schedule": None})
    assert call(sandbox, "PUT", f"{path}/toggle", json={"enabled": False}).status_code == 200
    changed = call(sandbox, "GET", path).json()
    assert {**changed, "modified_at": shown["modified_at"]} == {
        **shown,
        "name": "renamed",
        "tags": ["a"],
        "schedule": DAILY,
        "enabled": False,
    }
    tagged = call(sandbox, "GET", "/api/v1/monitors?tags=a").json()
    assert [monitor["id"] for monitor in tagged["monitors"]] == [number]

    run = create(sandbox, f"{path}/run", None)["run_id"]
    assert statuses(sandbox, f"{path}/runs/{run}", "state", 4) == ["queued", "checking", "ok", "ok"]
    assert call(sandbox, "GET", path).json()["state"] == "ok"
    assert call(sandbox, "GET", f"{path}/runs").json()["runs"][0]["run_id"] == run
    assert call(sandbox, "GET", f"{path}/runs?end_time=2024-01-01T00:00:00Z").json()["runs"] == []
    assert call(sandbox, "DELETE", path).json() is None
    assert call(sandbox, "GET", path).status_code == 404
    assert call(sandbox, "GET", f"{path}/runs/{run}").status_code == 404
    again = create(sandbox, f"/api/v1/monitors/create/{kind}", SPECS[kind])["id"]
    assert again == number + 1


def test_update_of_a_monitor_keeps_the_rest_of_its_diff(sandbox: Any) -> None:
    number = create(sandbox, "/api/v1/monitors/create/diff", SPECS["diff"])["id"]
    path = f"/api/v1/monitors/{number}"
    shown = call(sandbox, "GET", path).json()
    assert shown["alert"] == {"type": "diff", "different_rows_count": 3}
    change = {"type": "diff", "datadiff": {"diff_type": "inmem", "primary_key": ["day"]}}
    call(sandbox, "PATCH", f"{path}/update", json=change)
    assert call(sandbox, "GET", path).json()["dataset"] == shown["dataset"]
    assert sandbox.state.monitors.monitors[number]["datadiff"]["primary_key"] == ["day"]


def test_run_that_alerts(sandbox: Any) -> None:
    course = monitors.run_course("alert", diff_id=2, warnings=["late"])
    sandbox.state.monitors.courses.default = course
    run = create(sandbox, "/api/v1/monitors/1/run", None)["run_id"]
    path = f"/api/v1/monitors/1/runs/{run}"
    assert statuses(sandbox, path, "state")[-1] == "alert"
    shown = call(sandbox, "GET", path).json()
    assert (shown["diff_id"], shown["warnings"], shown["error"]) == (2, ["late"], None)
    assert call(sandbox, "GET", "/api/v1/monitors/1").json()["last_alert"] == shown["started_at"]


# CI.


def test_ci_run(sandbox: Any) -> None:
    changes = [{"prod": "DB.A", "pr": "DB.B"}]
    assert create(sandbox, "/api/v1/ci/1/7", changes) == {"run_id": None}
    run = create(sandbox, "/api/v1/ci/1/trigger", PULL_REQUEST)["ci_run_id"]
    other = create(sandbox, "/api/v1/ci/1/trigger", {**PULL_REQUEST, "pr_number": 8})["ci_run_id"]
    assert create(sandbox, "/api/v1/ci/1/7", changes) == {"run_id": run}
    assert create(sandbox, "/api/v1/ci/2/7", changes) == {"run_id": None}
    assert sandbox.state.ci.changes == {run: changes}
    path = "/api/v1/ci/1/runs?pr_num=7&pr_sha=a1"
    seen = [call(sandbox, "GET", path).json() for _ in range(3)]
    assert [[run["status"] for run in runs] for runs in seen] == [
        ["processing"],
        ["processing"],
        ["done"],
    ]
    assert seen[0][0]["pr_num"] == "7"
    assert create(sandbox, "/api/v1/ci/1/7", changes) == {"run_id": None}
    listed = [call(sandbox, "GET", f"/api/v1/ci/1/runs?limit=1&offset={n}").json() for n in (0, 1)]
    assert [[run["id"] for run in runs] for runs in listed] == [[other], [run]]
    assert call(sandbox, "GET", "/api/v1/ci/1/runs?pr_sha=other").json() == []


# Data sources.


def test_data_source_comes_back_without_its_secrets(sandbox: Any) -> None:
    created = create(sandbox, "/api/v1/data_sources", SOURCE)
    shown = call(sandbox, "GET", f"/api/v1/data_sources/{created['id']}")
    assert shown.json() == created == call(sandbox, "GET", "/api/v1/data_sources").json()[-1]
    assert created["options"] == {"host": "shop", "user": "u", "db": "d"}
    assert TOKEN not in str(sandbox.state.data_sources.sources)
    summary = call(sandbox, "GET", f"/api/v1/data_sources/{created['id']}/summary").json()
    assert summary == {"id": created["id"], "name": "Shop", "type": "mysql"}


def test_every_type_of_data_source_can_be_created(sandbox: Any) -> None:
    listed = call(sandbox, "GET", "/api/v1/data_sources/types").json()
    types = [found["type"] for found in listed]
    assert len(types) == 27
    shown = {found["type"]: found["configuration_schema"] for found in listed}
    assert (shown["pg"]["title"], shown["pg"]["secret"]) == (
        "PostgreSQLConfig",
        ["password", "rootcert"],
    )
    assert {"host", "user", "port", "dbname"} <= shown["pg"]["properties"].keys()
    for kind in types:
        create(sandbox, "/api/v1/data_sources", {"type": kind, "name": kind})
    assert len(call(sandbox, "GET", "/api/v1/data_sources").json()) == 2 + 27


@pytest.mark.parametrize("failed", [None, *data_sources.STEPS])
def test_test_of_a_data_source(sandbox: Any, failed: str | None) -> None:
    sandbox.state.data_sources.courses.default = data_sources.checked(failed)
    job = create(sandbox, "/api/v1/data_sources/1/test", None)["job_id"]
    path = f"/api/v1/data_sources/test/{job}"
    assert statuses(sandbox, path, reads=3) == ["queued", "processing", "done"]
    results = call(sandbox, "GET", path).json()["results"]
    assert [result["step"] for result in results] == list(data_sources.STEPS)
    # Only the result tells of a failure.
    assert {result["status"] for result in results} == {"done"}
    codes = {result["step"]: result["result"]["code"] for result in results}
    passed = data_sources.STEPS[: data_sources.STEPS.index(failed)] if failed else codes
    assert {step for step, code in codes.items() if code == "OK"} == {*passed}
    assert codes.get(failed) in {None, "ERROR"}
    shown = call(sandbox, "GET", "/api/v1/data_sources/1").json()["last_test"]
    assert shown["results"] == results


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("select token", ["token"]),
        ("SELECT t.id, sum(amount) AS total\nFROM t WHERE 1;", ["id", "total"]),
        ("delete from t", []),
    ],
)
def test_query(sandbox: Any, query: str, columns: list[str]) -> None:
    body = {"query": query, "params": ["a"]}
    result = create(sandbox, "/api/v1/data_sources/1/query", body)
    assert [column["name"] for column in result["columns"]] == columns
    assert result["rows"] == [dict.fromkeys(columns, number) for number in (1, 2, 3)]


def test_response_to_a_query_can_be_set(sandbox: Any) -> None:
    sandbox.state.data_sources.answers["select 1"] = {"rows": [{"token": 5}]}
    found = create(sandbox, "/api/v1/data_sources/1/query", {"query": "select 1"})
    assert found == {"rows": [{"token": 5}]}


# Explore and audit logs.


def names(sandbox: Any, path: str) -> list[str]:
    return [found["name"] for found in call(sandbox, "GET", EXPLORE + path).json()]


def test_lineage(sandbox: Any) -> None:
    slash, raw = quote("a/b", safe=""), "DB.PUBLIC.RAW"
    assert names(sandbox, f"/tables/{QUOTED}/upstreams") == ["RAW"]
    assert names(sandbox, f"/tables/{QUOTED}/downstreams") == ["a/b", "ORDERS"]
    assert names(sandbox, f"/tables/{QUOTED}/downstreams?max_depth=1") == ["a/b"]
    assert names(sandbox, f"/tables/{slash}/downstreams") == ["ORDERS"]
    columns = f"/columns/{slash}.{quote('100%')}/upstreams"
    assert names(sandbox, f"{columns}?include_tabular_nodes=false") == ["amount", "amount"]
    assert names(sandbox, columns) == ["amount", "amount", "T", "RAW"]
    assert names(sandbox, f"/columns/{raw}.amount/downstreams")[:2] == ["amount", "100%"]
    assert sandbox.state.requests[0].path == f"{EXPLORE}/tables/{QUOTED}/upstreams"


def test_a_slash_in_a_path_must_be_encoded(sandbox: Any) -> None:
    answer = call(sandbox, "GET", f"{EXPLORE}/tables/a/b/upstreams")
    assert answer.json() == {"detail": "Not Found"}


def test_audit_logs(sandbox: Any) -> None:
    create(sandbox, "/api/v1/datadiffs", DIFF)
    call(sandbox, "POST", "/api/v1/datadiffs/3/cancel")
    call(sandbox, "POST", "/api/v1/datadiffs/99/cancel")
    call(sandbox, "GET", "/api/v1/lineage/bi/7/sync/")
    call(sandbox, "GET", "/api/v1/monitors")
    logs = call(sandbox, "GET", "/api/v1/audit_logs").json()["logs"]
    assert [(log["object_type"], log["action"], log["object_id"]) for log in logs] == [
        ("data_diffs", "create", 3),
        ("data_diffs", "cancel", 3),
        ("bi", "sync", 7),
    ]
    for span, found in [
        (None, 3),
        ({}, 3),
        ({"start_date": logs[1]["timestamp"]}, 2),
        ({"start_date": None, "end_date": "2024-01-01T00:00:00Z"}, 0),
    ]:
        answer = call(sandbox, "GET", "/api/v1/audit_logs", json=span)
        assert len(answer.json()["logs"]) == found
    # The client leaves out a body that is null.
    answer = call(sandbox, "GET", "/api/v1/audit_logs", data="null", headers={**KEY, **JSON})
    assert len(answer.json()["logs"]) == 3


def test_shows_a_data_diff_to_people(sandbox: Any) -> None:
    body = {**DIFF, "table2": None, "query2": "select '<b>'"}
    create(sandbox, "/api/v1/datadiffs", body)
    page = call(sandbox, "GET", "/datadiffs/3/overview", headers={}).text
    assert '<span class="badge quiet">waiting</span>' in page
    assert "<td>Warehouse (1)</td><td>Warehouse (1)</td>" in page
    assert "<pre>DB.PUBLIC.A</pre>" in page
    assert "select &#39;&lt;b&gt;" in page
    page = call(sandbox, "GET", "/datadiffs/2/overview").text
    assert 'added (only in the second)</th><td class="number">3</td>' in page
    assert '<td>amount</td><td class="number">5</td>' in page
    assert call(sandbox, "GET", "/datadiffs/99/overview").status_code == 404
