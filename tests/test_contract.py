"""Each operation's request, sent over a real socket, is what the contract asks for."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from airflow_provider_datafold.kinds import KINDS
from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import Headers

from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.sandbox import contract
from dev.sandbox.app import Weather, create_app
from dev.sandbox.contract import Operation
from dev.sandbox.state import FIRST_OTHER, Request, State
from tests.conftest import API_KEY

CONTRACT = contract.load()
OPERATIONS = list(contract.operations(CONTRACT, contract.BI))

BINDINGS = [{"remoteId": "1", "boundIds": [1, 2]}, {"remoteId": "x", "boundIds": []}]
SHARED: dict[str, Any] = {"indexing_cron": "0 6 * * 1-5", "name": "Ours"}
FULL: dict[str, dict[str, Any]] = {
    "hightouch": {"token": "s1", "bindings": BINDINGS, "workspace": "analytics", **SHARED},
    "looker": {
        "base_url": "https://looker.example.com:19999",
        "client_id": "datafold",
        "client_secret": "s2",
        "repo_id": 3,
        "project_ids": ["sales", "ops"],
        "bindings": BINDINGS,
        **SHARED,
    },
    "mode": {"token": "s3", "password": "s4", "workspace": "analytics", **SHARED},
    "tableau": {
        "server_url": "https://tableau.example.com",
        "site_id": "sales",
        "token_name": "datafold",
        "token_value": "s5",
        **SHARED,
    },
    "powerbi": {
        "auth_type": "service_principal",
        "tenant_id": "tenant",
        "client_id": "datafold",
        "client_secret": "s6",
        **SHARED,
    },
    "dbt": {"ci_config_id": 4, **SHARED},
}
IDS = {"hightouch": 7} | {
    kind: FIRST_OTHER + place
    for place, kind in enumerate(("looker", "mode", "tableau", "powerbi", "dbt"))
}


def schema(kind: str) -> dict[str, Any]:
    found = contract.config(CONTRACT, Operation("POST", f"/api/v1/lineage/bi/{kind}/"))
    assert found is not None
    return found


def configs(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    full = FULL[kind]
    nulls = {field.name: None for field in KINDS[kind].fields if field.nullable}
    yield "full", full
    yield "minimal", {name: full[name] for name in schema(kind).get("required", ())}
    yield "nulls", full | nulls


Call = Callable[[DatafoldHook], Any]


def calls() -> Iterator[Any]:
    """Every operation, and for those that take a configuration, several of these."""
    bi = "/api/v1/lineage/bi/"
    one = bi + "{bi_datasource_id}/"

    def call(operation: Operation, variant: str, call: Call) -> Any:
        return pytest.param(operation, call, id=f"{operation} {variant}".strip())

    yield call(Operation("GET", bi), "", lambda hook: hook.list_integrations())
    yield call(Operation("GET", one), "", lambda hook: hook.get_integration(7))
    yield call(Operation("DELETE", one), "", lambda hook: hook.delete_integration(7))
    yield call(Operation("GET", one + "sync/"), "", lambda hook: hook.sync_integration(7))
    for kind in FULL:
        for variant, config in configs(kind):
            create = Operation("POST", f"{bi}{kind}/")
            update = Operation("PUT", f"{bi}{kind}/{{bi_datasource_id}}/")
            yield call(
                create, variant, lambda hook, k=kind, c=config: hook.create_integration(k, c)
            )
            yield call(
                update,
                variant,
                lambda hook, k=kind, c=config: hook.update_integration(k, IDS[k], c),
            )


CALLS = list(calls())


class Recorded:
    """A request that the sandbox has recorded, as openapi-core wants to see it."""

    host_url = CONTRACT["servers"][0]["url"]

    def __init__(self, request: Request) -> None:
        self.path = request.path
        self.method = request.method.lower()
        self.body = request.body or None
        self.content_type = request.headers.get("content-type", "")
        self.parameters = RequestParameters(header=Headers(request.headers))


VALIDATOR = OpenAPI.from_dict(CONTRACT)


def validate(request: Request) -> None:
    VALIDATOR.validate_request(Recorded(request))


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(("operation", "call"), CALLS)
def test_request_is_as_the_contract_asks(operation: Operation, call: Call, sandbox: Any) -> None:
    with DatafoldHook() as hook:
        call(hook)

    (request,) = sandbox.state.requests
    assert request.status < 300
    assert operation.is_asked_by(request.method, request.path)
    # Of the header, the contract can only say in words what is in it.
    assert request.headers["authorization"] == f"Key {API_KEY}"
    validate(request)


def test_no_operation_is_left_out() -> None:
    assert [call.values[0] for call in CALLS if call.values[0] not in OPERATIONS] == []
    assert {call.values[0] for call in CALLS} == set(OPERATIONS)


@pytest.mark.parametrize("kind", FULL)
def test_full_is_full(kind: str) -> None:
    assert set(FULL[kind]) == set(schema(kind)["properties"])


@pytest.mark.parametrize("kind", FULL)
def test_the_package_declares_what_the_contract_does(kind: str) -> None:
    properties = schema(kind)["properties"]
    resolved = {name: contract.resolved(CONTRACT, node) for name, node in properties.items()}
    fields = {field.name: field for field in KINDS[kind].fields}

    assert set(fields) == set(resolved)
    for name, node in resolved.items():
        assert fields[name].required == (name in schema(kind).get("required", ()))
        assert fields[name].secret == node.get("writeOnly", False)
        assert fields[name].nullable == ("null" in node["type"])


def test_the_package_knows_the_contract_s_kinds() -> None:
    created = [
        operation.path.split("/")[-2] for operation in OPERATIONS if operation.method == "POST"
    ]
    assert set(KINDS) == set(FULL) == set(created)


@pytest.fixture
def right(connections: None, sandbox: Any) -> Request:
    with DatafoldHook() as hook:
        hook.update_integration("looker", IDS["looker"], FULL["looker"])
    request: Request = sandbox.state.requests[-1]
    return request


def without(mapping: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key != name}


LOOKER = FULL["looker"]
WRONG_BODIES = {
    "stray field": {**LOOKER, "colour": "red"},
    "required field missing": without(LOOKER, "repo_id"),
    "secret missing": without(LOOKER, "client_secret"),
    "text in place of a number": {**LOOKER, "repo_id": "3"},
    "null where none may be": {**LOOKER, "base_url": None},
    "stray field in a binding": {**LOOKER, "bindings": [{**BINDINGS[0], "type": "x"}]},
    "text in place of a bound id": {**LOOKER, "bindings": [{"remoteId": "1", "boundIds": ["1"]}]},
    "no object": [LOOKER],
}


@pytest.mark.parametrize("body", WRONG_BODIES.values(), ids=WRONG_BODIES)
def test_wrong_body_is_noticed(body: Any, right: Request) -> None:
    validate(right)
    with pytest.raises(OpenAPIError):
        validate(replace(right, body=json.dumps(body).encode()))


@pytest.mark.parametrize(
    "changes",
    [
        {"body": b""},
        {"method": "PATCH"},
        {"path": "/api/v1/lineage/bi/looker/1001"},
        {"path": "/api/v1/lineage/bi/looker/x/"},
        {"path": "/api/v1/lineage/bi/metabase/1001/"},
    ],
    ids=str,
)
def test_wrong_request_is_noticed(changes: dict[str, Any], right: Request) -> None:
    with pytest.raises(OpenAPIError):
        validate(replace(right, **changes))


@pytest.mark.parametrize("header", ["authorization", "content-type"])
def test_missing_header_is_noticed(header: str, right: Request) -> None:
    with pytest.raises(OpenAPIError):
        validate(replace(right, headers=without(right.headers, header)))


def test_auth_type_is_one_of_two(right: Request) -> None:
    path = f"/api/v1/lineage/bi/powerbi/{IDS['powerbi']}/"
    validate(replace(right, path=path, body=b'{"auth_type": "delegated"}'))
    with pytest.raises(OpenAPIError):
        validate(replace(right, path=path, body=b'{"auth_type": "password"}'))


# The sandbox, which generates a contract of its own out of its code.


@pytest.fixture(scope="module")
def served() -> dict[str, Any]:
    return create_app(API_KEY, State(), Weather()).openapi()


def disagreements(served: dict[str, Any]) -> list[str]:
    """What the sandbox takes otherwise than the contract says."""
    theirs = set(contract.operations(served, contract.BI))
    found = [f"{operation}: only in one" for operation in theirs ^ set(OPERATIONS)]
    for operation in theirs & set(OPERATIONS):
        ours, its = contract.config(CONTRACT, operation), contract.config(served, operation)
        for part in ("properties", "required"):
            if set((ours or {}).get(part, ())) != set((its or {}).get(part, ())):
                found.append(f"{operation}: {part}")
    return found


def test_the_sandbox_serves_the_contract(served: dict[str, Any]) -> None:
    assert disagreements(served) == []


def test_a_sandbox_that_serves_another_contract_is_noticed(served: dict[str, Any]) -> None:
    path = "/api/v1/lineage/bi/dbt/"
    served = copy.deepcopy(served)
    served["components"]["schemas"]["DbtConfig"]["required"] = []
    served["paths"].pop(path)

    assert disagreements(served) == [
        f"POST {path}: only in one",
        f"PUT {path}{{bi_datasource_id}}/: required",
    ]
