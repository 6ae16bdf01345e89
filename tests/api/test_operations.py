"""Each operation of the contract through the hook: what is sent, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl

import pytest
from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from starlette.responses import JSONResponse
from werkzeug.datastructures import Headers, ImmutableMultiDict

from airflow_provider_datafold.api import bi, data_diffs, data_sources, explore
from airflow_provider_datafold.exceptions import DatafoldAnswerError, DatafoldInputError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.faults.behaviours import answers
from dev.sandbox import contract
from dev.sandbox.journal import Request
from tests import bodies
from tests.calls import (
    END,
    MONITOR_KINDS,
    MONITORS,
    ROWS,
    TABLE,
    WITH_BODY,
    Row,
    declared,
    named,
    prepare,
    values_in,
)
from tests.conftest import API_KEY

EMPTY = {"delete_integration", "sync_integration", "delete_monitor"}
"""Methods to which the sandbox responds with null or nothing."""


class Arrived:
    """A request that the sandbox has seen, in the form for openapi-core."""

    host_url = bodies.CONTRACT["servers"][0]["url"]

    def __init__(self, request: Request) -> None:
        self.path = request.path
        self.method = request.method.lower()
        self.body = request.body or None
        self.content_type = request.headers.get("content-type", "")
        self.parameters = RequestParameters(
            header=Headers(request.headers), query=ImmutableMultiDict(parse_qsl(request.query))
        )


@cache
def validator() -> OpenAPI:
    return OpenAPI.from_dict(bodies.CONTRACT)


@pytest.fixture
def hook(connections: None, sandbox: Any) -> Iterator[DatafoldHook]:
    """A hook of a sandbox that has a run of a monitor and a test of a data source."""
    prepare(sandbox.state)
    with DatafoldHook() as made:
        yield made


@pytest.fixture
def responses(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The JSON with which the sandbox responds."""
    found: list[Any] = []
    render = JSONResponse.render

    def keep(self: Any, content: Any) -> bytes:
        rendered: bytes = render(self, content)
        found.append(json.loads(rendered))
        return rendered

    monkeypatch.setattr(JSONResponse, "render", keep)
    return found


def test_no_operation_is_left_out() -> None:
    contracted = list(map(str, contract.operations(bodies.CONTRACT)))
    assert sorted(map(named, ROWS)) == sorted(contracted)
    assert len(ROWS) == 51
    assert sorted(str(row.asked) for row in WITH_BODY) == sorted(map(str, bodies.operations()))


def text_of(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_a_method_sends_its_operation_once_and_returns_the_response(
    row: Row, hook: DatafoldHook, sandbox: Any, responses: list[Any]
) -> None:
    found = row.call(hook, **row.query)

    (request,) = sandbox.state.requests
    assert request.status in (200, 204)
    assert (request.method, request.path) == (row.asked.method, row.path or row.asked.path)
    assert parse_qsl(request.query) == [(name, text_of(row.query[name])) for name in row.query]
    assert request.body == b"" if row.body is None else json.loads(request.body) == row.body
    assert request.headers["authorization"] == f"Key {API_KEY}"
    assert ("content-type" in request.headers) == (row.body is not None)
    validator().validate_request(Arrived(request))

    assert found == (responses[0] if responses else None)
    assert (found is None) == (row.method in EMPTY)


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_a_declaration_returns_what_the_contract_says(row: Row) -> None:
    operation = contract.declared(bodies.CONTRACT, row.asked)
    schema = operation["responses"]["200"].get("content", {}).get("application/json", {})
    schema = schema.get("schema", {})
    wanted = object if schema == {} else list if schema.get("type") == "array" else dict
    assert declared(row).returns is wanted
    assert wanted is object or not declared(row).may_be_empty
    names = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"}
    assert set(row.query) == names - {"poll", "stream"}


def test_null_is_not_sent_where_it_means_to_leave_something_as_it_is(
    hook: DatafoldHook, sandbox: Any
) -> None:
    hook.update_data_diff(1, archived=None, purged=False)
    hook.query_data_source(1, "select 1", params=None)
    hook.list_audit_logs(end_date=END)
    hook.list_audit_logs()

    *sent, nothing = sandbox.state.requests
    assert [json.loads(request.body) for request in sent] == [
        {"purged": False},
        {"query": "select 1"},
        {"end_date": END},
    ]
    assert nothing.body == b""
    assert "content-type" not in nothing.headers


# Bodies.


def typed(row: Row, hook: DatafoldHook, body: Any) -> tuple[str, Any]:
    """Call a method with a body; return path and body of the request that it must make."""
    if row.method == "update_monitor":
        number = 1 + MONITOR_KINDS.index(body["type"])
        hook.update_monitor(body["type"], number, body)
        return f"{MONITORS}/{number}/update", body
    row.call(hook, body)
    if row.spread:
        # No null where that means nothing.
        body = {name: value for name, value in body.items() if value is not None}
    return row.path or row.asked.path, body


@pytest.mark.parametrize("row", WITH_BODY, ids=named)
def test_a_body_arrives_as_it_was_given(row: Row, hook: DatafoldHook, sandbox: Any) -> None:
    for body in chain(*(make(row.asked) for make in (bodies.minimal, bodies.full, bodies.null))):
        ways = [typed] if body is not None and (not row.spread or any_of(body)) else []
        for send in [*ways, *([as_declared] if row.spread and body is not None else [])]:
            sandbox.state.requests.clear()
            path, wanted = send(row, hook, body)
            (request,) = sandbox.state.requests
            assert request.status == 200, body
            assert (request.method, request.path) == (row.asked.method, path)
            # As JSON: in Python 1 is True and 1.0.
            assert sorted_json(json.loads(request.body)) == sorted_json(wanted)
            validator().validate_request(Arrived(request))


def as_declared(row: Row, hook: DatafoldHook, body: Any) -> tuple[str, Any]:
    """Call an operation with a body, in which null is null."""
    hook.call(declared(row), body, **values_in(row))
    return row.path or row.asked.path, body


def any_of(body: dict[str, Any]) -> bool:
    return any(value is not None for value in body.values())


def sorted_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


ODD_TEXTS = [
    *(TABLE, "?x=1#y", "%2F", "../../lineage/bi/", "Ünïcödé.日本.🦀", "a b+c&d;e=f", "a\nb\r\n"),
    *("\\..\\x", "~!$'()*,:@"),
]
LINEAGE = (
    (explore.TABLE_UPSTREAMS, "table_path", "tables/{}/upstreams"),
    (explore.TABLE_DOWNSTREAMS, "table_path", "tables/{}/downstreams"),
    (explore.COLUMN_UPSTREAMS, "column_path", "columns/{}/upstreams"),
    (explore.COLUMN_DOWNSTREAMS, "column_path", "columns/{}/downstreams"),
)


@pytest.mark.parametrize("text", ODD_TEXTS, ids=ascii)
def test_text_in_a_path_stays_in_its_place(text: str, serve: Any) -> None:
    server = serve(answers(200, b"[]"))
    with DatafoldHook() as hook:
        for operation, name, _ in LINEAGE:
            hook.call(operation, data_connection_id=3, max_depth=2, **{name: text})

    quoted = "".join(
        chr(byte) if byte in b"-._~" or (byte < 128 and chr(byte).isalnum()) else f"%{byte:02X}"
        for byte in text.encode()
    )
    assert [request.target for request in server.requests] == [
        f"/api/v1/explore/db/3/{place.format(quoted)}?max_depth=2" for *_, place in LINEAGE
    ]


# Results.


@pytest.mark.parametrize(
    ("operation", "right", "wanted"),
    [(data_sources.LIST, [[]], "a list"), (data_diffs.LIST, [{}], "an object")]
    + [(bi.LIST, [[], {}, None, "x", 7], "")],
)
def test_a_response_has_the_type_that_is_documented(
    operation: Any, right: list[Any], wanted: str, serve: Any
) -> None:
    values: list[Any] = [[], {}, None, "x", 7]
    serve(*(answers(200, json.dumps(value).encode()) for value in values))
    with DatafoldHook() as hook:
        for value in values:
            if value in right:
                assert hook.call(operation) == value
                continue
            with pytest.raises(DatafoldAnswerError, match=f"200, but the .* is not {wanted}, as"):
                hook.call(operation)


def test_only_names_of_columns_are_a_key(serve: Any) -> None:
    keys = ["id", None, [], [""], ["id", " "], ["id", "day"]], [["id"], ["id", 1]]
    candidates = [[7, *({"pk": key} for key in each)] for each in keys]
    serve(*(answers(200, json.dumps({"candidates": each}).encode()) for each in candidates))
    with DatafoldHook() as hook:
        assert hook.guess_primary_key(1, "shop.orders") == [["id", "day"]]
        said = r"guessed the primary key \['id', 1\] of the table shop.orders, but a column's name"
        with pytest.raises(DatafoldAnswerError, match=said):
            hook.guess_primary_key(1, "shop.orders")


def test_an_empty_response_is_accepted_only_if_nothing_is_documented(serve: Any) -> None:
    serve(answers(204, b""))
    with DatafoldHook() as hook:
        assert hook.delete_monitor(1) is None
        with pytest.raises(DatafoldAnswerError, match="is not JSON"):
            hook.get_monitor(1)


# What the methods check before they send.


def test_the_kind_of_a_monitor_and_an_update_of_one_are_checked(
    hook: DatafoldHook, sandbox: Any
) -> None:
    wrong: list[tuple[str, Callable[[], Any]]] = [
        *(("kind", lambda kind=kind: hook.create_monitor(kind, {})) for kind in (None, API_KEY)),
        *(("kind", lambda kind=kind: hook.update_monitor(kind, 4, {})) for kind in (None, API_KEY)),
        ("spec", lambda: hook.update_monitor("test", 4, {"colour": "red"})),
        ("spec", lambda: hook.update_monitor("test", 4, [API_KEY])),  # type: ignore[arg-type]
    ]
    for name, call in wrong:
        with pytest.raises(DatafoldInputError, match=f"^{name}: ") as caught:
            call()
        assert API_KEY not in str(caught.value)
    assert sandbox.state.requests == []
    hook.update_monitor("test", 4, '{"name": "other"}')  # type: ignore[arg-type]
    assert json.loads(sandbox.state.requests[0].body) == {"name": "other", "type": "test"}
