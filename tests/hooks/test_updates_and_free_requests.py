"""The methods that do more than one checked request: read first, compare, or send any request."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_datafold.api.caller import Caller
from airflow_provider_datafold.api.data_diffs import LIST
from airflow_provider_datafold.api.kinds import differences
from airflow_provider_datafold.api.operation import Effect, free_request
from airflow_provider_datafold.exceptions import DatafoldInputError, DatafoldNotFoundError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.faults.server import FaultServer
from tests.calls import FIRST_OTHER
from tests.conftest import API_KEY

BINDINGS = [{"remoteId": "1", "boundIds": [1, 2]}]
LOOKER = {
    "base_url": "https://looker.example.com",
    "client_id": "looker-client",
    "client_secret": "planted",
    "repo_id": 3,
}
POWERBI = FIRST_OTHER + 3


@pytest.fixture
def hook(connections: None, sandbox: Any) -> Iterator[DatafoldHook]:
    with DatafoldHook() as made:
        yield made


def asked(sandbox: Any) -> list[str]:
    return [f"{request.method} {request.path}" for request in sandbox.state.requests]


UNCHANGED: list[tuple[str, int, dict[str, Any], bool]] = [
    ("looker", FIRST_OTHER, {**LOOKER, "indexing_cron": "0 0 * * *"}, True),
    ("looker", FIRST_OTHER, {**LOOKER, "indexing_cron": "0  0 * * *", "name": "other"}, True),
    ("looker", FIRST_OTHER, {**LOOKER, "indexing_cron": "0 1 * * *"}, False),
    ("looker", FIRST_OTHER, {**LOOKER, "indexing_cron": None}, False),
    ("looker", FIRST_OTHER, LOOKER, False),
    ("powerbi", POWERBI, {"auth_type": "delegated", "indexing_cron": "0 0 * * *"}, True),
    ("powerbi", POWERBI, {"auth_type": "service_principal", "indexing_cron": "0 0 * * *"}, False),
    ("powerbi", POWERBI, {"client_secret": "planted", "indexing_cron": "0 0 * * *"}, True),
    ("powerbi", POWERBI, {"tenant_id": "t", "indexing_cron": "0 0 * * *"}, False),
]


@pytest.mark.parametrize(("kind", "number", "config", "is_unchanged"), UNCHANGED)
def test_an_update_that_would_change_nothing_is_not_sent(
    kind: str,
    number: int,
    config: dict[str, Any],
    is_unchanged: bool,
    hook: DatafoldHook,
    sandbox: Any,
) -> None:
    found = hook.update_integration(kind, number, config, only_if_changed=True)

    path = f"/api/v1/lineage/bi/{kind}/{number}/"
    sent = [] if is_unchanged else [f"PUT {path}"]
    assert asked(sandbox) == [f"GET /api/v1/lineage/bi/{number}/", *sent]
    assert found["id"] == number


def answering(*contents: Any) -> FaultServer:
    """A service that sends a list of responses."""

    def act(content: bytes) -> Any:
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        return lambda call: [head % len(content) + content]

    return FaultServer([act(json.dumps(content).encode()) for content in contents])


@pytest.mark.parametrize("integration", [None, [], "x", {}, {"name": "n"}])
def test_an_integration_that_does_not_show_its_schedule_is_updated(
    integration: Any, connect: Any
) -> None:
    config = {**LOOKER, "indexing_cron": None}
    with answering(integration, "updated") as server, DatafoldHook() as hook:
        connect("datafold_default", host=f"http://127.0.0.1:{server.port}", password=API_KEY)
        found = hook.update_integration("looker", 1001, config, only_if_changed=True)

    assert found == "updated"
    assert [request.method for request in server.requests] == ["GET", "PUT"]


OWN = [{"remoteId": "own", "boundIds": [5]}]
CHANGED = {"indexing_cron": "0 1 * * *"}
KEEPING: list[tuple[str, int, dict[str, Any]]] = [
    ("hightouch", 7, {"token": "planted"}),
    ("looker", FIRST_OTHER, LOOKER),
]
"""The kinds that have bindings."""


@pytest.mark.parametrize("only_if_changed", [False, True])
@pytest.mark.parametrize("own", [OWN, []])
@pytest.mark.parametrize(("kind", "number", "config"), KEEPING)
def test_without_bindings_an_update_sends_those_of_the_integration(
    kind: str,
    number: int,
    config: dict[str, Any],
    own: Any,
    only_if_changed: bool,
    hook: DatafoldHook,
    sandbox: Any,
) -> None:
    # Beside them what only Datafold knows.
    sandbox.state.integrations[number]["bindings"] = [{**each, "id": 9} for each in own]
    hook.update_integration(
        kind, number, {**config, **CHANGED, "bindings": None}, only_if_changed=only_if_changed
    )

    path = f"/api/v1/lineage/bi/{kind}/{number}/"
    assert asked(sandbox) == [f"GET /api/v1/lineage/bi/{number}/", f"PUT {path}"]
    assert json.loads(sandbox.state.requests[1].body) == {**config, **CHANGED, "bindings": own}


WITHOUT_BINDINGS = [None, [], "x", {}, {"bindings": None}]
WRONG_BINDINGS = [{"bindings": "x"}, {"bindings": [{"boundIds": []}]}]


@pytest.mark.parametrize("integration", WITHOUT_BINDINGS)
def test_bindings_that_are_optional_are_left_out_if_the_integration_has_none(
    integration: Any, connect: Any
) -> None:
    with answering(integration, "updated") as server, DatafoldHook() as hook:
        connect("datafold_default", host=f"http://127.0.0.1:{server.port}", password=API_KEY)
        hook.update_integration("looker", 1001, {**LOOKER, **CHANGED, "bindings": None})

    assert [request.method for request in server.requests] == ["GET", "PUT"]
    assert json.loads(server.requests[1].body) == {**LOOKER, **CHANGED}


@pytest.mark.parametrize(
    ("kind", "number", "config", "integration"),
    [
        *((*KEEPING[0], integration) for integration in WITHOUT_BINDINGS),
        *((*each, integration) for each in KEEPING for integration in WRONG_BINDINGS),
    ],
)
def test_bindings_that_the_integration_does_not_show_have_to_be_passed(
    kind: str, number: int, config: dict[str, Any], integration: Any, connect: Any
) -> None:
    with answering(integration) as server, DatafoldHook() as hook:
        connect("datafold_default", host=f"http://127.0.0.1:{server.port}", password=API_KEY)
        with pytest.raises(DatafoldInputError) as caught:
            hook.update_integration(kind, number, {**config, **CHANGED, "bindings": None})

    assert [request.method for request in server.requests] == ["GET"]
    assert str(caught.value) == (
        "bindings: not given, and what Datafold returned for this integration has none that could "
        f"be sent. Check that the id is that of a {kind.capitalize()} integration, or pass them, "
        "e.g. bindings=[{'remoteId': '1', 'boundIds': [1, 2]}]. No update was sent."
    )
    # What was read is none of the causes: its frames would show it.
    assert caught.value.__context__ is None


def test_what_is_wrong_is_told_before_the_bindings_are_read(
    hook: DatafoldHook, sandbox: Any
) -> None:
    with pytest.raises(DatafoldInputError, match="repo_id"):
        hook.update_integration("looker", 1001, {**LOOKER, "repo_id": "x", "bindings": None})
    # Only an update knows an integration that has some.
    with pytest.raises(DatafoldInputError, match="bindings"):
        hook.create_integration("hightouch", {"token": "planted", "bindings": None})

    assert sandbox.state.requests == []


@pytest.mark.parametrize(
    ("cron", "only_if_changed", "methods"),
    [
        ("0 1 * * *", False, ["PUT"]),
        ("0 1 * * *", True, ["GET", "PUT"]),
        ("0 0 * * *", True, ["GET"]),
    ],
)
@pytest.mark.parametrize("wrong", [[], OWN])
@pytest.mark.parametrize(("kind", "number", "config"), KEEPING)
def test_bindings_that_count_for_nothing_are_told(
    kind: str,
    number: int,
    config: dict[str, Any],
    wrong: Any,
    cron: str,
    only_if_changed: bool,
    methods: list[str],
    hook: DatafoldHook,
    sandbox: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hook._log = logging.getLogger("tests")
    given = {**config, "indexing_cron": cron, "bindings": wrong}
    hook.update_integration(kind, number, given, only_if_changed=only_if_changed)

    assert [request.method for request in sandbox.state.requests] == methods
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said.startswith("bindings was given as [")
    assert "'remoteId': '1'" in said
    assert said.endswith(
        " An update of this kind changes only the schedule. With bindings=None it sends the "
        "integration's own."
    )


@pytest.mark.parametrize(("kind", "number", "config"), KEEPING)
def test_bindings_that_are_not_given_are_not_compared(
    kind: str,
    number: int,
    config: dict[str, Any],
    hook: DatafoldHook,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hook._log = logging.getLogger("tests")
    unchanged = {**config, "indexing_cron": "0 0 * * *", "bindings": None}
    hook.update_integration(kind, number, unchanged, only_if_changed=True)
    hook.update_integration(kind, number, unchanged)

    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


@pytest.mark.parametrize("number", [FIRST_OTHER, FIRST_OTHER + 1, 999])
def test_an_integration_of_another_kind_is_named_as_a_reason(
    number: int, hook: DatafoldHook
) -> None:
    with pytest.raises(DatafoldNotFoundError) as caught:
        hook.update_integration("hightouch", number, {"token": "planted", "bindings": BINDINGS})

    assert "Check the id, that it is a Hightouch integration, and the con" in str(caught.value)


def test_an_update_tells_what_it_did_and_what_came_back_otherwise(
    hook: DatafoldHook, caplog: pytest.LogCaptureFixture
) -> None:
    hook._log = logging.getLogger("tests")
    with caplog.at_level(logging.INFO):
        hook.update_integration(
            "looker", FIRST_OTHER, {**LOOKER, "repo_id": 9, "indexing_cron": "0 1 * * *"}
        )
        hook.update_integration("powerbi", POWERBI, {"name": "n", "indexing_cron": None})
        hook.update_integration("powerbi", POWERBI, {"name": "n"}, only_if_changed=True)
        hook.sync_integration(7)

    for said in (
        f"Looker integration {FIRST_OTHER}: indexing_cron '0 1 * * *'; accepted by http",
        "repo_id was given as 9, but Datafold returned 3. An update of this kind changes only the "
        "schedule.\n",
        f"Power BI integration {POWERBI}: schedule removed (indexing_cron null); accepted by http",
        f"Power BI integration {POWERBI}: updated without indexing_cron; accepted by http",
        "accepted the sync request of integration 7.",
    ):
        assert said in caplog.text
    assert "planted" not in caplog.text


def test_a_schedule_that_came_back_otherwise_is_told(
    connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with answering({"indexing_cron": None, "client_secret": "planted"}) as server:
        connect("datafold_default", host=f"http://127.0.0.1:{server.port}", password=API_KEY)
        with DatafoldHook() as hook:
            hook._log = logging.getLogger("tests")
            hook.update_integration("looker", 7, {**LOOKER, "indexing_cron": "0 1 * * *"})

    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said == (
        "indexing_cron was given as '0 1 * * *', but Datafold returned None. Look at the "
        "integration in Datafold."
    )


@pytest.mark.parametrize("is_full", [False, True])
def test_hightouch_has_a_method_of_its_own(is_full: bool, hook: DatafoldHook, sandbox: Any) -> None:
    more: dict[str, Any] = {"name": None, "workspace": "w"} if is_full else {}
    hook.update_hightouch_integration(
        "7", token="planted", bindings=str(BINDINGS), indexing_cron="0 1 * * *", **more
    )
    hook.update_hightouch_integration(
        7, token="planted", bindings=BINDINGS, indexing_cron="0 1 * * *", only_if_changed=True
    )

    body = {"token": "planted", "bindings": BINDINGS, "indexing_cron": "0 1 * * *", **more}
    assert json.loads(sandbox.state.requests[0].body) == body
    assert asked(sandbox) == [
        "PUT /api/v1/lineage/bi/hightouch/7/",
        "GET /api/v1/lineage/bi/7/",
    ]


SAME = [
    ({"name": "n"}, {"name": "n"}),
    ({"base_url": "https://x/"}, {"base_url": "https://x"}),
    ({"project_ids": ["a", "b"]}, {"project_ids": ["b", "a"]}),
    ({"bindings": BINDINGS}, {"bindings": [{"boundIds": [2, 1], "remoteId": "1", "id": 5}]}),
    ({"name": "n"}, {}),
    ({"name": "n"}, None),
    ({"name": "n"}, ["n"]),
    ({"token": "a"}, {"token": "b"}),
    ({"repo_id": 3}, {"repo_id": 3}),
]
OTHER = [
    ({"name": "n"}, {"name": None}),
    ({"project_ids": ["a"]}, {"project_ids": ["a", "a"]}),
    ({"bindings": BINDINGS}, {"bindings": [{"remoteId": "1", "boundIds": [1]}]}),
    ({"bindings": BINDINGS}, {"bindings": [7]}),
    ({"bindings": BINDINGS}, {"bindings": [{"remoteId": "1"}]}),
    ({"bindings": BINDINGS}, {"bindings": "x"}),
    ({"repo_id": 3}, {"repo_id": 4}),
]


@pytest.mark.parametrize(("sent", "answer"), SAME)
def test_what_came_back_is_the_same(sent: Any, answer: Any) -> None:
    assert list(differences(sent, answer)) == []


@pytest.mark.parametrize(("sent", "answer"), OTHER)
def test_what_came_back_is_another(sent: Any, answer: Any) -> None:
    assert list(differences(sent, answer)) == [(name, sent[name], answer[name]) for name in sent]


# Any request.


@pytest.mark.parametrize("path", ["/api/v1/datadiffs?page=1&page_size=2", "/api/v1/monitors"])
def test_any_path_can_be_asked_for(path: str, hook: DatafoldHook, sandbox: Any) -> None:
    assert hook.run("get", path)["page"] == 1

    (request,) = sandbox.state.requests
    assert (request.method, request.path) == ("GET", path.partition("?")[0])
    assert request.query == path.partition("?")[2]
    assert request.body == b""


def test_any_body_can_be_sent(hook: DatafoldHook, sandbox: Any) -> None:
    found = hook.run("PUT", "/api/v1/monitors/1/toggle", {"enabled": True})

    assert found["id"] == 1
    assert json.loads(sandbox.state.requests[0].body) == {"enabled": True}


@pytest.mark.parametrize(
    ("method", "path", "json_", "said"),
    [
        ("GET IT", "/a", None, "method: must be an HTTP method, e.g. 'GET', not 'GET IT' (str)"),
        ("", "/a", None, "method: must be"),
        (7, "/a", None, "method: must be"),
        ("GET\n", "/a", None, "method: must be"),
        ("G" * 21, "/a", None, "method: must be"),
        (
            "GET",
            "a",
            None,
            "path: must be a path that begins with '/' and has no '..', e.g.",
        ),
        ("GET", "/ü", None, "path: must be"),
        ("GET", "/a b", None, "path: must be"),
        ("GET", "/a/../b", None, "path: must be"),
        ("GET", "/a/./b", None, "path: must be"),
        ("GET", "/a/..", None, "path: must be"),
        ("GET", "/..?x", None, "path: must be"),
        ("GET", None, None, "path: must be"),
        ("POST", "/a", {1, 2}, "the body cannot be encoded as JSON: "),
        ("POST", "/a", float("nan"), "the body cannot be encoded as JSON: "),
    ],
)
def test_no_request_is_refused(
    method: Any, path: Any, json_: Any, said: str, hook: DatafoldHook, sandbox: Any
) -> None:
    with pytest.raises(DatafoldInputError) as caught:
        hook.run(method, path, json_)

    assert str(caught.value).startswith(said)
    assert sandbox.state.requests == []


@pytest.mark.parametrize("path", ["/a/.../b", "/..a", "/a?x=../y", "/.well-known/x"])
def test_dots_that_lead_nowhere_may_stay(path: str, hook: DatafoldHook, sandbox: Any) -> None:
    with pytest.raises(Exception, match="404"):
        hook.run("GET", path)


@pytest.mark.parametrize(
    ("method", "given", "effect"),
    [
        *((name, None, Effect.SETS) for name in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")),
        *((name, None, Effect.STARTS) for name in ("POST", "PATCH", "BREW")),
        ("POST", True, Effect.SETS),
        ("GET", False, Effect.STARTS),
    ],
)
def test_whether_a_request_may_be_sent_twice(method: str, given: Any, effect: Effect) -> None:
    request = free_request(method, "/a", {}, is_repeatable=given, may_be_empty=True)

    assert request.operation.effect is effect
    assert request.operation.may_be_empty
    assert request.operation.carries_secrets
    assert effect.is_repeatable == (effect is Effect.SETS)
    assert Effect.READS.is_repeatable


def test_a_section_alone_calls_nothing() -> None:
    with pytest.raises(NotImplementedError):
        Caller().call(LIST)
