"""The stand-in for Datafold: it refuses as the contract and FastAPI do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters

from dev.sandbox import contract, seen as seen_in_sdk
from dev.sandbox.app import routes
from tests.calls import ROWS, Row, named, prepare
from tests.conftest import API_KEY, TOKEN

PATH = "/api/v1/lineage/bi/hightouch/7/"
BODY = {"token": TOKEN, "bindings": [{"remoteId": "1", "boundIds": [1]}], "name": "new"}
KEY = {"Authorization": f"Key {API_KEY}"}


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


# Every operation, over a real socket; `call` checks each response against the contract.


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_serves(sandbox: Any, row: Row) -> None:
    prepare(sandbox.state)
    query = {name: str(value).lower() for name, value in row.query.items()}
    more = {} if row.body is None else {"json": row.body}
    path = row.path or row.asked.path
    assert call(sandbox, row.asked.method, path, params=query, **more).status_code == 200


def test_no_operation_is_left_out() -> None:
    operations = set(contract.operations(contract.load()))
    seen = set(contract.operations(contract.seen()))
    assert {row.asked for row in ROWS} == operations == set(routes()) - seen
    assert seen == set(seen_in_sdk.router)


DIFFS = "/api/v1/datadiffs"
DIFF = {
    "data_source1_id": 1,
    "data_source2_id": 1,
    "table1": ["DB", "PUBLIC", "A"],
    "table2": ["DB", "PUBLIC", "B"],
    "pk_columns": ["id"],
    "include_columns": ["amount", "day"],
}
HIGHTOUCH = "/api/v1/lineage/bi/hightouch/"
METRIC = {
    "name": "measured",
    "connection_id": 1,
    "schedule": {"type": "none"},
    "metric": {"type": "table", "metric": "row_count", "table": "A"},
    "alert": {"type": "automatic", "sensitivity": 101},
}
UPSTREAMS = "tables/a/upstreams"


@pytest.mark.parametrize(
    ("method", "path", "body", "location", "kind"),
    [
        ("POST", HIGHTOUCH, {**BODY, "colour": 1}, "body.colour", "additional"),
        ("PUT", f"{HIGHTOUCH}x/", BODY, "path.bi_datasource_id", "type"),
        ("POST", DIFFS, {**DIFF, "data_source1_id": "1"}, "body.data_source1_id", "type"),
        ("POST", "/api/v1/monitors/create/metric", METRIC, "body.alert.sensitivity", "maximum"),
        ("GET", f"{DIFFS}?accessible_only=True", None, "query.accessible_only", "type"),
        ("GET", f"/api/v1/explore/db/0/{UPSTREAMS}", None, "path.data_connection_id", "min"),
    ],
)
def test_names_what_is_wrong(
    sandbox: Any, method: str, path: str, body: Any, location: str, kind: str
) -> None:
    answer = call(sandbox, method, path, **({} if body is None else {"json": body}))
    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]
    assert ".".join(map(str, problem["loc"])) == location
    assert problem["type"].startswith(kind)
    # FastAPI repeats what was sent, so the provider must redact it.
    assert "input" in problem
    assert sandbox.state.changes == []


@pytest.mark.parametrize("headers", [{}, {"Authorization": API_KEY}, {"Authorization": "Key x"}])
def test_wants_the_key(sandbox: Any, headers: dict[str, str]) -> None:
    assert call(sandbox, "PUT", PATH, headers=headers).status_code == 401


# As a browser sends it for a page whose name leads to 127.0.0.1.
@pytest.mark.parametrize("host", ["evil.example:{port}", "localhost.evil.example", ""])
@pytest.mark.parametrize("path", [PATH, "/settings/integrations"])
def test_serves_the_loopback_address_only(sandbox: Any, path: str, host: str) -> None:
    headers = {**KEY, "Host": host.format(port=sandbox.port)}
    method = "PUT" if path == PATH else "GET"
    assert call(sandbox, method, path, headers=headers, json=BODY).status_code == 400
    assert not sandbox.state.audit
