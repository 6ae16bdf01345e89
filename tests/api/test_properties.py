"""For any input: a body that fits the contract or a DatafoldError, and no secret anywhere.

``HYPOTHESIS_PROFILE=long`` tries two hundred times as many examples.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Iterable
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, event, given, settings, strategies as st

from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldError,
    DatafoldInputError,
)
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator
from dev.faults.behaviours import answer
from dev.faults.server import Call, FaultServer, Step, Then
from dev.sandbox import contract
from dev.sandbox.contract import Operation
from tests.conftest import API_KEY, TOKEN
from tests.integrations import KINDS, NOT_GIVEN, SECRET_FIELDS

QUIET = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}
settings.register_profile("ci", max_examples=100, **QUIET)
settings.register_profile("long", max_examples=20_000, **QUIET)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

SECRET = st.sampled_from([API_KEY, TOKEN])
SHORT = st.text(max_size=9)
"""Never a secret."""
TEXT = st.text(max_size=20) | st.builds(lambda a, s, b: a + s + b, st.text(), SECRET, st.text())
NUMBER = st.integers() | st.floats() | st.booleans()
LEAF = st.none() | NUMBER | TEXT | st.binary(max_size=5)
ANY = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.dictionaries(TEXT | st.sampled_from(["remoteId", "boundIds", "token"]), inner)
    ),
    max_leaves=8,
)
ALMOST_BINDING = st.fixed_dictionaries(
    {"remoteId": st.text() | st.integers() | LEAF},
    optional={"boundIds": st.lists(st.integers() | LEAF, max_size=3), "more": LEAF},
)
GOOD_BINDING = st.fixed_dictionaries(
    {"remoteId": st.text(), "boundIds": st.lists(st.integers(), max_size=3)}
)
LIST = st.lists(GOOD_BINDING, max_size=3) | st.lists(ALMOST_BINDING, max_size=3) | ANY
BINDINGS = LIST | LIST.map(str) | LIST.map(repr) | st.lists(GOOD_BINDING).map(json.dumps)
CRON = (
    st.sampled_from([None, "None", "0 6 * * *", "*/5 * * * MON-FRI", "0 0 31 2 *"])
    | st.lists(st.text("0123456789*/,-LRH#", min_size=1, max_size=4), max_size=6).map(" ".join)
    | ANY
)
IDENTIFIER = st.integers(min_value=1) | st.integers(1, 99).map(str) | ANY
OPTIONAL = st.just(NOT_GIVEN) | TEXT | ANY

STATUS = st.sampled_from(
    [200, 201, 204, 301, 302, 307, 400, 401, 404, 409, 418, 422, 429, 500, 503]
)
JSON = st.recursive(
    st.none() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SHORT | st.just("token"), inner),
    max_leaves=8,
)
DETAIL = st.fixed_dictionaries(
    {"loc": st.lists(TEXT | st.integers(), max_size=3), "msg": TEXT | JSON, "input": JSON}
)
INTEGRATION = st.fixed_dictionaries(
    {},
    optional={"name": JSON, "workspace": JSON, "bindings": JSON | LIST, "indexing_cron": JSON},
)


def encoded(value: Any) -> bytes:
    return json.dumps(value, default=str).encode()


CONTENT = (
    JSON.map(encoded)
    | INTEGRATION.map(encoded)
    | st.lists(DETAIL | JSON, max_size=4).map(lambda detail: encoded({"detail": detail}))
    | st.binary()
    | TEXT.map(lambda text: f"<html>{text}".encode("utf-8", "replace"))
)
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=255)) | SECRET
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": HEADER,
        "Location": HEADER | SECRET.map("https://{}.example.com/".format),
        "Retry-After": st.integers().map(str) | st.floats().map(str) | HEADER,
    },
)


@pytest.fixture(autouse=True)
def connection(connect: Any) -> None:
    connect("hightouch_default", conn_type="generic", password=TOKEN)


def repeats_the_body(call: Call) -> Iterable[Step]:
    # An integration that is asked for has no bindings.
    body = call.request.body if call.request else b""
    return [answer(200, body or encoded({"bindings": []})), Then.KEEP]


@pytest.fixture
def echo(serve: Any) -> FaultServer:
    """A service that responds with the body of the request."""
    server: FaultServer = serve(repeats_the_body)
    return server


def outcome(call: Callable[[], Any], log: Any, secrets: Iterable[str] = (API_KEY, TOKEN)) -> Any:
    """Make a call, and search everything that comes out for secrets."""
    log.clear()
    try:
        result = call()
    except DatafoldError as error:
        result = error
        written = "".join(traceback.format_exception(error)) + repr(vars(error))
    else:
        written = json.dumps(result) + str(result)
    event(type(result).__name__)
    written += log.text
    assert [secret for secret in secrets if secret in written] == []
    return result


@given(
    bi_datasource_id=IDENTIFIER,
    bindings=BINDINGS,
    indexing_cron=CRON,
    name=OPTIONAL,
    workspace=OPTIONAL,
)
def test_any_input(echo: FaultServer, log: Any, **fields: Any) -> None:
    echo.requests.clear()
    operator = DatafoldUpdateHightouchOperator(task_id="update", **fields)
    result = outcome(lambda: operator.execute({}), log)
    sent = [request for request in echo.requests if request.method != "GET"]
    if isinstance(result, DatafoldInputError):
        assert sent == []
    else:
        (request,) = sent
        body = json.loads(request.body)
        SCHEMAS["hightouch"].validate(body)
        assert body["token"] == TOKEN
        # Airflow's XCom cannot keep each text that comes back.
        assert isinstance(result, (dict, DatafoldAnswerError))


GOOD: dict[str, st.SearchStrategy[Any]] = {
    "bindings": st.lists(GOOD_BINDING, max_size=3) | LIST,
    "indexing_cron": st.sampled_from([None, "0 6 * * *"]) | CRON,
    "auth_type": st.sampled_from(["delegated", "service_principal", None]),
    "project_ids": st.lists(st.text(), max_size=3) | st.lists(LEAF, max_size=2).map(str),
    "repo_id": st.integers() | st.integers().map(str),
    "ci_config_id": st.integers() | st.integers().map(str),
}


def values(name: str, is_secret: bool) -> st.SearchStrategy[Any]:
    """Mostly valid values for a field, and some others."""
    right = st.just(TOKEN) if is_secret else GOOD.get(name, st.text() | TEXT)
    return st.integers(0, 9).flatmap(lambda number: right if number else st.just(NOT_GIVEN) | ANY)


def configs(kind: str) -> st.SearchStrategy[tuple[str, Any]]:
    secrets = KINDS[kind].secrets
    required = {name: values(name, name in secrets) for name in KINDS[kind].required}
    optional = {name: values(name, name in secrets) for name in KINDS[kind].optional}
    config = st.fixed_dictionaries(required, optional=optional)
    stray = st.fixed_dictionaries({**required, "stray": LEAF}, optional=optional)
    return st.tuples(st.just(kind), config | config | stray | ANY)


def schema(kind: str) -> Any:
    found = contract.config(CONTRACT, Operation("POST", f"/api/v1/lineage/bi/{kind}/"))
    return jsonschema.Draft202012Validator({**CONTRACT, **(found or {})})


CONTRACT = contract.load()
SCHEMAS = {kind: schema(kind) for kind in KINDS}


@given(given_=st.sampled_from(list(KINDS)).flatmap(configs))
def test_any_config(echo: FaultServer, log: Any, given_: tuple[str, Any]) -> None:
    kind, config = given_
    # The hook cannot know a secret that is nowhere declared as one.
    named = config.items() if isinstance(config, dict) else ()
    has_token = any(name in SECRET_FIELDS and value == TOKEN for name, value in named)
    secrets = {API_KEY, TOKEN} if has_token else {API_KEY}
    echo.requests.clear()
    with DatafoldHook() as hook:
        result = outcome(lambda: hook.create_integration(kind, config), log, secrets)
    if isinstance(result, DatafoldInputError):
        assert echo.requests == []
    else:
        (request,) = echo.requests
        SCHEMAS[kind].validate(json.loads(request.body))


@pytest.fixture
def told(serve: Any) -> Callable[..., None]:
    """A service that sends a given response and closes the connection."""
    steps: list[bytes] = []
    serve(lambda _: steps)

    def tell(status: int, headers: dict[str, str], content: bytes) -> None:
        steps[:] = [answer(status, content, headers)]

    return tell


@given(status=STATUS, headers=HEADERS, content=CONTENT)
def test_any_response(
    told: Any, log: Any, status: int, headers: dict[str, str], content: bytes
) -> None:
    told(status, headers, content)
    operator = DatafoldUpdateHightouchOperator(
        task_id="update", bi_datasource_id=7, bindings=[], indexing_cron=None, name="n"
    )
    result = outcome(lambda: operator.execute({}), log)
    if isinstance(result, DatafoldError):
        assert result.status_code == status
        assert len(str(result)) < 10_000
    else:
        assert 200 <= status < 300
