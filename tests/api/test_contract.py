"""BI lineage: each operation's request, sent over a real socket, fits the contract."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import Headers

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.sandbox import contract, schema
from dev.sandbox.bi import FIRST_OTHER
from dev.sandbox.contract import Operation
from dev.sandbox.journal import Request
from tests.conftest import API_KEY
from tests.integrations import BINDINGS, KINDS

CONTRACT = contract.load()
OPERATIONS = list(contract.operations(CONTRACT, contract.BI))

IDS = {"hightouch": 7} | {
    kind: FIRST_OTHER + place
    for place, kind in enumerate(("looker", "mode", "tableau", "powerbi", "dbt"))
}


def config_of(kind: str) -> dict[str, Any]:
    """The contract's schema for a kind's configuration, the same in its two operations."""
    path = f"/api/v1/lineage/bi/{kind}/"
    found = contract.config(CONTRACT, Operation("POST", path))
    assert found is not None
    assert found == contract.config(CONTRACT, Operation("PUT", path + "{bi_datasource_id}/"))
    return found


def strict() -> dict[str, Any]:
    """The contract, without unknown fields, which it would accept."""
    document = contract.load()
    for operation in OPERATIONS:
        declared = contract.declared(document, operation)
        if "requestBody" in declared:
            content = declared["requestBody"]["content"]["application/json"]
            content["schema"] = schema.prepare(CONTRACT, content["schema"])
    return document


def configs(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    full = KINDS[kind].fields
    yield "full", full
    yield "minimal", {name: full[name] for name in config_of(kind).get("required", ())}
    yield "nulls", full | dict.fromkeys(KINDS[kind].nullable)


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
    for kind in KINDS:
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
    """A request that the sandbox has recorded, in the form for openapi-core."""

    host_url = CONTRACT["servers"][0]["url"]

    def __init__(self, request: Request) -> None:
        self.path = request.path
        self.method = request.method.lower()
        self.body = request.body or None
        self.content_type = request.headers.get("content-type", "")
        self.parameters = RequestParameters(header=Headers(request.headers))


@cache
def validator() -> OpenAPI:
    return OpenAPI.from_dict(strict())


def validate(request: Request) -> None:
    validator().validate_request(Recorded(request))


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(("operation", "call"), CALLS)
def test_request_is_as_the_contract_asks(operation: Operation, call: Call, sandbox: Any) -> None:
    with DatafoldHook() as hook:
        call(hook)

    (request,) = sandbox.state.requests
    assert request.status < 300
    assert operation.is_asked_by(request.method, request.path)
    # The contract describes the header only in prose.
    assert request.headers["authorization"] == f"Key {API_KEY}"
    validate(request)


def test_no_operation_is_left_out() -> None:
    assert [call.values[0] for call in CALLS if call.values[0] not in OPERATIONS] == []
    assert {call.values[0] for call in CALLS} == set(OPERATIONS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_know_what_the_contract_does(kind: str) -> None:
    fields = config_of(kind)["properties"]
    assert set(KINDS[kind].fields) == set(fields)
    assert set(KINDS[kind].required) == set(config_of(kind).get("required", ()))
    assert KINDS[kind].secrets == {
        name for name, node in fields.items() if schema.is_secret(CONTRACT, node)
    }
    assert KINDS[kind].nullable == {name for name, node in fields.items() if is_nullable(node)}


def is_nullable(node: dict[str, Any]) -> bool:
    return {"type": "null"} in node.get("anyOf", ())


def is_taken(kind: str, config: dict[str, Any]) -> bool:
    with DatafoldHook() as hook:
        try:
            hook.create_integration(kind, config)
        except DatafoldInputError:
            return False
    return True


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind in KINDS for field in config_of(kind)["properties"]]
)
def test_the_package_takes_what_the_contract_does(kind: str, field: str, sandbox: Any) -> None:
    full = KINDS[kind].fields
    config = config_of(kind)
    required = config.get("required", ())
    assert is_taken(kind, without(full, field)) is (field not in required)
    assert is_taken(kind, {**full, field: None}) is is_nullable(config["properties"][field])
    assert not is_taken(kind, {**full, "colour": "red"})


def test_the_package_knows_the_contract_s_kinds(connections: None) -> None:
    created = [
        operation.path.split("/")[-2] for operation in OPERATIONS if operation.method == "POST"
    ]
    assert set(KINDS) == set(created)
    with DatafoldHook() as hook, pytest.raises(DatafoldInputError) as caught:
        hook.create_integration("another", {})
    assert set(re.findall(r"'(\w+)'", str(caught.value))) == {"another", *created}


@pytest.fixture
def right(connections: None, sandbox: Any) -> Request:
    with DatafoldHook() as hook:
        hook.update_integration("looker", IDS["looker"], KINDS["looker"].fields)
    request: Request = sandbox.state.requests[-1]
    return request


def without(mapping: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key != name}


LOOKER = KINDS["looker"].fields
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
