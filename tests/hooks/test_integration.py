"""The methods that change BI integrations: they read first, compare, and tell what came back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_datafold.exceptions import DatafoldInputError, DatafoldNotFoundError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.faults.behaviours import answers
from tests.calls import FIRST_OTHER
from tests.integrations import KINDS

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


DAILY, HOURLY = "0 0 * * *", "0 1 * * *"
UNCHANGED: list[tuple[str, int, dict[str, Any], bool]] = [
    ("looker", FIRST_OTHER, {**LOOKER, "indexing_cron": "0  0 * * *", "name": "other"}, True),
    ("looker", FIRST_OTHER, {**LOOKER, "indexing_cron": HOURLY}, False),
    ("looker", FIRST_OTHER, LOOKER, False),
    ("powerbi", POWERBI, {"auth_type": "delegated", "indexing_cron": DAILY}, True),
    ("powerbi", POWERBI, {"auth_type": "service_principal", "indexing_cron": DAILY}, False),
    ("powerbi", POWERBI, {"client_secret": "planted", "indexing_cron": DAILY}, True),
]


@pytest.mark.parametrize(("kind", "number", "config", "is_unchanged"), UNCHANGED)
def test_an_update_that_would_change_nothing_is_not_sent(
    kind: str, number: int, config: Any, is_unchanged: bool, hook: DatafoldHook, sandbox: Any
) -> None:
    found = hook.update_integration(kind, number, config, only_if_changed=True)

    sent = [] if is_unchanged else [f"PUT /api/v1/lineage/bi/{kind}/{number}/"]
    assert asked(sandbox) == [f"GET /api/v1/lineage/bi/{number}/", *sent]
    assert found["id"] == number


@pytest.fixture
def respond(serve: Any) -> Callable[..., Any]:
    """Start a service that sends a list of responses."""
    return lambda *contents: serve(*(answers(200, json.dumps(each).encode()) for each in contents))


@pytest.mark.parametrize("integration", ["x", {"name": "n"}])
def test_an_integration_that_does_not_show_its_schedule_is_updated(
    integration: Any, respond: Any
) -> None:
    config = {**LOOKER, "indexing_cron": None}
    server = respond(integration, "updated")
    with DatafoldHook() as hook:
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


@pytest.mark.parametrize("own", [OWN, []])
@pytest.mark.parametrize(("kind", "number", "config"), KEEPING)
def test_without_bindings_an_update_sends_those_of_the_integration(
    kind: str, number: int, config: Any, own: Any, hook: DatafoldHook, sandbox: Any
) -> None:
    # Beside them what only Datafold knows.
    sandbox.state.integrations[number]["bindings"] = [{**each, "id": 9} for each in own]
    given = {**config, **CHANGED, "bindings": None}
    hook.update_integration(kind, number, given, only_if_changed=bool(own))
    _, update = sandbox.state.requests
    assert json.loads(update.body) == {**config, **CHANGED, "bindings": own}


WITHOUT_BINDINGS = ["x", {}, {"bindings": None}]


@pytest.mark.parametrize("integration", WITHOUT_BINDINGS)
def test_bindings_that_are_optional_are_left_out_if_the_integration_has_none(
    integration: Any, respond: Any
) -> None:
    server = respond(integration, "updated")
    with DatafoldHook() as hook:
        hook.update_integration("looker", 1001, {**LOOKER, **CHANGED, "bindings": None})

    _, update = server.requests
    assert json.loads(update.body) == {**LOOKER, **CHANGED}


@pytest.mark.parametrize(
    ("kind", "number", "config", "integration"),
    [
        *((*KEEPING[0], integration) for integration in WITHOUT_BINDINGS),
        (*KEEPING[1], {"bindings": "x"}),
        (*KEEPING[1], {"bindings": [{"boundIds": []}]}),
    ],
)
def test_bindings_that_the_integration_does_not_show_have_to_be_passed(
    kind: str, number: int, config: dict[str, Any], integration: Any, respond: Any
) -> None:
    server = respond(integration)
    with DatafoldHook() as hook, pytest.raises(DatafoldInputError) as caught:
        hook.update_integration(kind, number, {**config, **CHANGED, "bindings": None})

    assert [request.method for request in server.requests] == ["GET"]
    assert str(caught.value).startswith(
        "bindings: not given, and what Datafold returned for this integration has none that could "
        f"be sent. Check that the id is that of a {kind.capitalize()} integration, or pass them"
    )
    # What was read is none of the causes: its frames would show it.
    assert caught.value.__suppress_context__


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
    ("cron", "only_if_changed"), [(HOURLY, False), (HOURLY, True), (DAILY, True)]
)
def test_bindings_that_count_for_nothing_are_told(
    cron: str, only_if_changed: bool, hook: DatafoldHook, sandbox: Any, log: Any
) -> None:
    given = {**LOOKER, "indexing_cron": cron, "bindings": OWN}
    hook.update_integration("looker", FIRST_OTHER, given, only_if_changed=only_if_changed)
    (said,) = log.warnings
    assert said.startswith("bindings was given as [{'boundIds': [5], 'remoteId': 'own'}], but Data")
    assert "'remoteId': '1'" in said
    assert said.endswith(
        "changes only the schedule. With bindings=None it sends the integration's own."
    )
    # What is not given is not compared.
    given["bindings"] = None
    hook.update_integration("looker", FIRST_OTHER, given, only_if_changed=only_if_changed)
    assert log.warnings == [said]


def test_an_integration_of_another_kind_is_named_as_a_reason(hook: DatafoldHook) -> None:
    config = {"token": "planted", "bindings": BINDINGS}
    with pytest.raises(DatafoldNotFoundError) as caught:
        hook.update_integration("hightouch", FIRST_OTHER, config)

    assert "Check the id, that it is a Hightouch integration, and the con" in str(caught.value)


def test_an_update_tells_what_it_did_and_what_came_back_otherwise(
    hook: DatafoldHook, sandbox: Any, log: Any
) -> None:
    changed = {**LOOKER, "repo_id": 9, "indexing_cron": "0 1 * * *"}
    hook.update_integration("looker", FIRST_OTHER, changed)
    hook.update_integration("powerbi", POWERBI, {"name": "n", "indexing_cron": None})
    hook.update_integration("powerbi", POWERBI, {"name": "n"}, only_if_changed=True)
    unchanged = {"name": "n", "indexing_cron": None}
    hook.update_integration("powerbi", POWERBI, unchanged, only_if_changed=True)
    hook.sync_integration(" 7\n")

    place = f"{sandbox.url} (Airflow connection 'datafold_default')"
    assert [said for said in log.messages if place in said or "returned" in said] == [
        f"Looker integration {FIRST_OTHER}: indexing_cron '0 1 * * *'; accepted by {place}.",
        "repo_id was given as 9, but Datafold returned 3. An update of this kind changes only the "
        "schedule.",
        f"Power BI integration {POWERBI}: schedule removed (indexing_cron null); accepted by "
        f"{place}.",
        f"Power BI integration {POWERBI}: updated without indexing_cron; accepted by {place}.",
        f"Power BI integration {POWERBI}: schedule removed (indexing_cron null) already, so "
        f"nothing was sent to {place}.",
        f"{place} accepted the sync request of integration 7.",
    ]
    assert "planted" not in log.text


@pytest.mark.parametrize("kind", ["hightouch", "powerbi"])
def test_each_field_that_came_back_otherwise_is_told(kind: str, respond: Any, log: Any) -> None:
    respond({"indexing_cron": None, "name": "old", "token": "another"})
    with DatafoldHook() as hook:
        hook.update_integration(kind, 7, {**KINDS[kind].fields, "name": "secret-1"})
    schedule, name = log.warnings
    assert schedule == (
        "indexing_cron was given as '0 6 * * 1-5', but Datafold returned None. Look at the "
        "integration in Datafold."
    )
    # A secret, if it is Hightouch's.
    shown = "***" if "token" in KINDS[kind].fields else "secret-1"
    assert name.startswith(f"name was given as {shown!r}, but Datafold returned 'old'. ")
    assert ("changes only the schedule" in name) is KINDS[kind].only_schedule


@pytest.mark.parametrize("more", [{}, {"name": None, "workspace": "w"}])
def test_hightouch_has_a_method_of_its_own(more: Any, hook: DatafoldHook, sandbox: Any) -> None:
    given: dict[str, Any] = {"token": "planted", "bindings": BINDINGS, "indexing_cron": HOURLY}
    hook.update_hightouch_integration("7", **{**given, "bindings": str(BINDINGS)}, **more)
    hook.update_hightouch_integration(7, **given, only_if_changed=True)

    assert json.loads(sandbox.state.requests[0].body) == {**given, **more}
    assert asked(sandbox) == [
        "PUT /api/v1/lineage/bi/hightouch/7/",
        "GET /api/v1/lineage/bi/7/",
    ]
