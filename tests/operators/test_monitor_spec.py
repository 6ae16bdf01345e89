"""Monitors as code: what is compared, what is sent, and what is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from airflow_provider_datafold import api
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldConflictError,
    DatafoldInputError,
    DatafoldServerError,
)
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.operators import monitor_spec, once
from airflow_provider_datafold.operators.monitor_spec import Difference, compare
from tests.conftest import API_KEY, Log
from tests.sending import failure

KINDS = ("diff", "metric", "schema", "test")
CRON = {"type": "crontab", "cron": "0 6 * * *"}
SLACK = {"type": "slack", "integration": 3, "channel": "#data", "mentions": ["ann", "bob"]}
MAIL = {"type": "email", "recipients": ["ann@example.com", "bob@example.com"]}
SIDE = {"connection_id": 1, "table": "DB.PUBLIC.ORDERS", "filter": "id > 0"}
OF_ALL: dict[str, Any] = {
    "name": "Orders",
    "description": "What came in",
    "enabled": True,
    "notifications": [SLACK, MAIL],
    "owner": "ann@example.com",
    "schedule": CRON,
    "tags": ["orders", "daily"],
}
SPECS: dict[str, dict[str, Any]] = {
    "diff": {
        **OF_ALL,
        "alert": {"different_rows_count": 5},
        "datadiff": {
            "diff_type": "indb",
            "dataset_a": SIDE,
            "dataset_b": {"connection_id": 1, "query": "select 1"},
            "primary_key": ["id"],
            "include_columns": ["amount"],
        },
    },
    "metric": {
        **OF_ALL,
        "connection_id": 1,
        "alert": {"type": "absolute", "min": 1, "max": 9.5},
        "metric": {
            "type": "column",
            "metric": "sum",
            "table": "DB.PUBLIC.ORDERS",
            "column": "amount",
            "filter": "id > 0",
        },
    },
    "schema": {**OF_ALL, "connection_id": 1, "table": "DB.PUBLIC.ORDERS"},
    "test": {
        **OF_ALL,
        "connection_id": 1,
        "query": "select 1 where false",
        "test": {"type": "unique", "tables": [{"path": "DB.PUBLIC.ORDERS", "columns": ["id"]}]},
    },
}
UNSEEN = {
    "diff": (
        "datadiff.diff_type",
        "datadiff.primary_key",
        "datadiff.include_columns",
    ),
    "metric": ("metric.type",),
    "schema": (),
    "test": ("test",),
}


@pytest.fixture
def hook(connections: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatafoldHook]:
    monkeypatch.setattr(once, "_PAUSES", (0.0, 0.01))
    monkeypatch.setattr(once, "_LAST_PAUSES", ())
    with DatafoldHook() as hook:
        yield hook


def shown(hook: DatafoldHook, kind: str, **changes: Any) -> dict[str, Any]:
    """The monitor of a spec as the API shows it."""
    created = hook.create_monitor(kind, {**SPECS[kind], **changes})
    return hook.get_monitor(created["id"])


def nested(kind: str, path: str, value: Any) -> dict[str, Any]:
    """A spec with another value at a path."""
    spec: dict[str, Any] = json.loads(json.dumps(SPECS[kind]))
    place = spec
    *parts, last = path.split(".")
    for part in parts:
        place = place[part]
    place[last] = value
    return spec


@pytest.mark.parametrize("kind", KINDS)
def test_a_monitor_is_as_its_spec_says(kind: str, hook: DatafoldHook) -> None:
    _, spec = monitor_spec.read_spec(hook, kind, SPECS[kind])

    difference = compare(kind, spec, shown(hook, kind))

    assert (difference.changed, difference.fixed) == ((), ())
    assert sorted(difference.unseen) == sorted(UNSEEN[kind])


CHANGED = [
    (kind, path, value)
    for kind in KINDS
    for path, value in (
        ("description", "Another"),
        ("description", None),
        ("enabled", False),
        ("notifications", []),
        ("notifications", [SLACK]),
        ("notifications", [SLACK, SLACK, MAIL]),
        ("notifications", [{**SLACK, "channel": "#other"}, MAIL]),
        ("notifications", [{**SLACK, "mentions": ["ann"]}, MAIL]),
        ("notifications", [{**SLACK, "features": ["attach_csv"]}, MAIL]),
        ("owner", "bob@example.com"),
        ("schedule", {"type": "crontab", "cron": "0 7 * * *"}),
        ("schedule", {"interval": {"type": "hourly", "every": "hour"}}),
        ("schedule", {"type": "none"}),
        ("tags", ["orders"]),
        ("tags", ["orders", "daily", "new"]),
    )
] + [
    ("diff", "alert", {"different_rows_count": 6}),
    ("diff", "alert", {"different_rows_percent": 5}),
    ("diff", "alert", {}),
    ("diff", "alert", None),
    ("metric", "alert", {"type": "absolute", "min": 1}),
    ("metric", "alert", {"type": "absolute", "min": 1, "max": None}),
    ("metric", "alert", {"type": "automatic", "sensitivity": 50}),
    ("metric", "alert", None),
    ("test", "query", "select 2"),
]
FIXED = [
    ("diff", "datadiff.dataset_a.connection_id", 2),
    ("diff", "datadiff.dataset_a.table", "DB.PUBLIC.OTHERS"),
    ("diff", "datadiff.dataset_a.filter", None),
    ("diff", "datadiff.dataset_b.query", "select 2"),
    ("metric", "connection_id", 2),
    ("metric", "metric.metric", "average"),
    ("metric", "metric.table", "DB.PUBLIC.OTHERS"),
    ("metric", "metric.column", "id"),
    ("metric", "metric.filter", "id > 1"),
    ("schema", "connection_id", 2),
    ("schema", "table", "DB.PUBLIC.OTHERS"),
    ("test", "connection_id", 2),
]
SAME = [
    ("metric", "tags", ["daily", "orders"]),
    ("metric", "notifications", [MAIL, {**SLACK, "mentions": ["bob", "ann"]}]),
    ("metric", "notifications", [{**MAIL, "features": None}, SLACK]),
    ("metric", "alert", {"type": "absolute", "min": 1.0, "max": 9.5}),
    ("diff", "alert", {"different_rows_count": 5, "match_ratio_min": None}),
    ("diff", "datadiff.primary_key", ["other"]),
]


@pytest.mark.parametrize(
    ("kind", "path", "value", "changed", "fixed"),
    [
        *((*case, (case[1],), ()) for case in CHANGED),
        *((*case, (), (case[1],)) for case in FIXED),
        *((*case, (), ()) for case in SAME),
    ],
)
def test_compare(
    kind: str,
    path: str,
    value: Any,
    changed: tuple[str, ...],
    fixed: tuple[str, ...],
    hook: DatafoldHook,
) -> None:
    _, spec = monitor_spec.read_spec(hook, kind, nested(kind, path, value))

    difference = compare(kind, spec, shown(hook, kind))

    assert (difference.changed, difference.fixed) == (changed, fixed)


@pytest.mark.parametrize(("kind", "path", "value"), CHANGED)
def test_what_differs_is_changed(kind: str, path: str, value: Any, hook: DatafoldHook) -> None:
    monitor_id = shown(hook, kind)["id"]
    _, spec = monitor_spec.read_spec(hook, kind, nested(kind, path, value))

    results = [monitor_spec.apply(hook, kind, spec) for _ in range(2)]

    assert results == [
        {"monitor_id": monitor_id, "action": action} for action in ("updated", "unchanged")
    ]


@pytest.mark.parametrize(("kind", "path", "value"), FIXED)
def test_what_cannot_be_changed_is_refused(
    kind: str, path: str, value: Any, hook: DatafoldHook, sandbox: Any
) -> None:
    shown(hook, kind)
    _, spec = monitor_spec.read_spec(hook, kind, nested(kind, path, value))
    sandbox.state.requests.clear()

    error = failure(DatafoldConflictError, lambda: monitor_spec.apply(hook, kind, spec))

    assert f"differs from the spec in fields that Datafold cannot change: {path}." in str(error)
    assert {seen.method for seen in sandbox.state.requests} == {"GET"}


def test_a_spec_leaves_alone_what_it_does_not_name(hook: DatafoldHook) -> None:
    monitor = shown(hook, "metric")
    least = {name: SPECS["metric"][name] for name in ("name", "schedule", "connection_id")}
    least["metric"] = {"type": "column", "metric": "sum"}

    difference = compare("metric", least, monitor)

    assert difference == Difference(unseen=("metric.type",))


@pytest.mark.parametrize("dataset", [None, [], ["nonsense"]])
@pytest.mark.parametrize("kind", KINDS)
def test_a_monitor_that_is_shown_without_its_data(
    kind: str, dataset: Any, hook: DatafoldHook
) -> None:
    _, spec = monitor_spec.read_spec(hook, kind, SPECS[kind])

    difference = compare(kind, spec, {**shown(hook, kind), "dataset": dataset})

    assert (difference.changed, difference.fixed) == ((), ())
    assert difference.unseen


@pytest.mark.parametrize("found", [None, "nonsense", {"type": "diff"}, 5])
def test_an_alert_that_is_shown_otherwise(found: Any, hook: DatafoldHook) -> None:
    monitor = {**shown(hook, "diff"), "alert": found}

    assert compare("diff", SPECS["diff"], monitor).changed == ("alert",)


def test_an_update_sends_what_datafold_does_not_show(hook: DatafoldHook, sandbox: Any) -> None:
    monitor_id = shown(hook, "diff")["id"]
    changed = nested("diff", "datadiff.primary_key", ["number"])
    changed["tags"] = ["new"]
    sandbox.state.requests.clear()

    monitor_spec.apply(hook, *monitor_spec.read_spec(hook, "diff", changed))

    body = json.loads(sandbox.state.requests[-1].body)
    assert body == {
        "type": "diff",
        **{name: value for name, value in changed.items() if name not in ("enabled", "datadiff")},
        "datadiff": {"diff_type": "indb", "primary_key": ["number"]},
    }
    monitor = sandbox.state.monitors.monitors[monitor_id]
    assert monitor["datadiff"]["dataset_a"] == SIDE


def test_a_monitor_is_only_switched(hook: DatafoldHook, sandbox: Any) -> None:
    monitor_id = shown(hook, "test")["id"]
    spec = {**SPECS["test"], "enabled": False}
    sandbox.state.requests.clear()

    result = monitor_spec.apply(hook, *monitor_spec.read_spec(hook, "test", spec))

    assert result == {"monitor_id": monitor_id, "action": "updated"}
    sent = [(seen.method, seen.path) for seen in sandbox.state.requests if seen.method != "GET"]
    assert sent == [("PUT", f"/api/v1/monitors/{monitor_id}/toggle")]
    assert sandbox.state.monitors.monitors[monitor_id]["enabled"] is False


def test_two_monitors_of_a_name_are_refused(hook: DatafoldHook, sandbox: Any) -> None:
    numbers = [shown(hook, kind)["id"] for kind in ("test", "metric")]
    sandbox.state.requests.clear()

    error = failure(DatafoldConflictError, lambda: monitor_spec.apply(hook, "test", SPECS["test"]))

    assert f"2 monitors named 'Orders' (ids {numbers[0]}, {numbers[1]})" in str(error)
    assert {seen.method for seen in sandbox.state.requests} == {"GET"}


def test_a_monitor_of_another_kind_is_refused(hook: DatafoldHook, sandbox: Any) -> None:
    number = shown(hook, "metric")["id"]
    sandbox.state.requests.clear()

    error = failure(DatafoldConflictError, lambda: monitor_spec.apply(hook, "test", SPECS["test"]))

    assert f"Monitor {number} ('Orders') is of kind 'metric', not 'test'." in str(error)
    assert {seen.method for seen in sandbox.state.requests} == {"GET"}


@pytest.mark.parametrize("place", [0, 99, 100, 230])
def test_a_monitor_is_found_on_each_page(place: int, hook: DatafoldHook, sandbox: Any) -> None:
    for number in range(4, 240):
        sandbox.state.monitors.add("test", {**SPECS["test"], "name": f"Other {number}"})
    monitor = list(sandbox.state.monitors.monitors.values())[place]
    monitor.update(**SPECS["test"], monitor_type="test")

    result = monitor_spec.apply(hook, *monitor_spec.read_spec(hook, "test", SPECS["test"]))

    assert result == {"monitor_id": monitor["id"], "action": "unchanged"}


def test_monitors_are_listed_by_their_ids_so_that_none_is_missed(
    hook: DatafoldHook, sandbox: Any
) -> None:
    monitor_spec.apply(hook, *monitor_spec.read_spec(hook, "schema", SPECS["schema"]))

    query = dict(parse_qsl(sandbox.state.requests[0].query))
    assert query == {"page": "1", "page_size": "100", "order_by": "id", "sort_order": "asc"}


Answer = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("answers", "last"),
    [
        pytest.param(
            lambda page: {"monitors": [{"id": 1, "name": "a"}, "nonsense"]},
            2,
            id="the same page again and again",
        ),
        pytest.param(lambda page: {}, 1, id="nothing"),
        pytest.param(
            lambda page: {"monitors": [{"id": page, "name": "a"}], "total_pages": 3},
            3,
            id="the number of pages",
        ),
        pytest.param(
            lambda page: {"monitors": [{"id": page, "name": "a"}] if page < 4 else []},
            4,
            id="an empty page",
        ),
    ],
)
def test_pages_come_to_an_end(
    answers: Answer, last: int, hook: DatafoldHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def list_monitors(*, page: int, **_: Any) -> dict[str, Any]:
        asked.append(page)
        assert page < 9
        return answers(page)

    monkeypatch.setattr(hook, "list_monitors", list_monitors)
    monkeypatch.setattr(hook, "create_monitor", lambda kind, spec: {"id": 5})

    assert monitor_spec.apply(hook, "test", SPECS["test"])["action"] == "created"
    assert asked == list(range(1, last + 1))


def test_a_monitor_whose_creation_gets_no_response_is_found(
    hook: DatafoldHook, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = hook.create_monitor

    def lost(kind: str, spec: Any) -> Any:
        create(kind, spec)
        raise DatafoldServerError("The reply is lost")

    monkeypatch.setattr(hook, "create_monitor", lost)

    result = monitor_spec.apply(hook, "schema", SPECS["schema"])

    assert result["action"] == "created"
    assert sandbox.state.monitors.monitors[result["monitor_id"]]["name"] == "Orders"


def test_a_monitor_that_is_created_and_never_found_is_an_error(
    hook: DatafoldHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook, "create_monitor", lambda kind, spec: {"id": "5"})

    error = failure(
        DatafoldAnswerError, lambda: monitor_spec.apply(hook, "schema", SPECS["schema"])
    )

    assert "no new monitor was found" in str(error)


@pytest.mark.parametrize("kind", ["metric", "schema"])
def test_what_was_not_compared_is_told(kind: str, hook: DatafoldHook, log: Log) -> None:
    shown(hook, kind)

    monitor_spec.apply(hook, *monitor_spec.read_spec(hook, kind, SPECS[kind]))

    told = [text for text in log.messages if text.startswith("Not compared, because")]
    fields = ", ".join(UNSEEN[kind])
    wanted = f"Not compared, because Datafold does not return these fields: {fields}."
    assert told == ([wanted] if fields else [])


def test_an_unknown_kind_is_named(hook: DatafoldHook) -> None:
    error = failure(DatafoldInputError, lambda: monitor_spec.read_spec(hook, "table", {}))

    assert str(error).startswith("kind: ")


YAML = """
name: Orders
schedule: {type: crontab, cron: "0 6 * * *"}
connection_id: 1
table: DB.PUBLIC.ORDERS
"""
LEAST = {"name": "Orders", "schedule": CRON, "connection_id": 1, "table": "DB.PUBLIC.ORDERS"}


@pytest.mark.parametrize(
    "spec", [LEAST, YAML, json.dumps(LEAST), f"\n  {LEAST!r}\n", YAML.replace("1", "'1'")]
)
def test_ways_to_write_a_spec(spec: Any, hook: DatafoldHook) -> None:
    assert monitor_spec.read_spec(hook, "schema", spec) == ("schema", LEAST)


def test_a_spec_may_be_written_as_airflow_renders_a_dictionary(hook: DatafoldHook) -> None:
    spec = {**LEAST, "description": None, "enabled": False}

    assert monitor_spec.read_spec(hook, "schema", str(spec)) == ("schema", spec)


@pytest.mark.parametrize("utc_at", ["06:30", "06:30:00", "06:30:00Z", "06:30:00+02:00"])
def test_a_time_of_day(utc_at: str, hook: DatafoldHook) -> None:
    schedule = {"interval": {"every": "day", "utc_at": utc_at}}

    _, spec = monitor_spec.read_spec(hook, "schema", {**LEAST, "schedule": schedule})

    assert spec["schedule"]["interval"]["utc_at"] == utc_at


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("name: [", "spec: is neither valid YAML nor JSON (line 1)."),
        ("a: 2024-02-31", "spec: is neither valid YAML nor JSON."),
        ("", "spec: must be an object, not a value of type NoneType."),
        ("- a\n- b", "spec: must be an object, not a value of type list."),
        (None, "spec: must be an object, not a value of type NoneType."),
        (7, "spec: must be an object, not a value of type int."),
        ({**LEAST, "table": [1]}, "table: must be a string"),
        (YAML.replace("table", "tabel"), "spec: has no field 'tabel'; did you mean 'table'?"),
        (
            YAML.replace(
                'type: crontab, cron: "0 6 * * *"', "interval: {every: day, utc_at: 12:30:00}"
            ),
            "schedule.interval.utc_at: must be a time of day in quotes, e.g. '06:30:00', not 45000",
        ),
        (
            {**LEAST, "schedule": {"interval": {"every": "day", "utc_at": "25:00"}}},
            "schedule.interval.utc_at: must be a time of day",
        ),
    ],
)
def test_a_wrong_spec_is_refused(spec: Any, message: str, hook: DatafoldHook, sandbox: Any) -> None:
    error = failure(DatafoldInputError, lambda: monitor_spec.read_spec(hook, "schema", spec))

    assert str(error).startswith(message)
    assert str(error).endswith("Nothing was sent.")
    assert sandbox.state.requests == []


def test_a_spec_nested_too_deeply_is_refused(hook: DatafoldHook, sandbox: Any) -> None:
    limit = sys.getrecursionlimit()
    # Airflow raises it in a copy of an operator, and what is deeper takes seconds to read.
    sys.setrecursionlimit(1000)
    try:
        error = failure(
            DatafoldInputError, lambda: monitor_spec.read_spec(hook, "schema", "[" * 1000)
        )
    finally:
        sys.setrecursionlimit(limit)

    assert str(error) == "spec: is neither valid YAML nor JSON. Nothing was sent."
    assert sandbox.state.requests == []


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (API_KEY, LEAST),
        ("schema", {**LEAST, "table": [API_KEY]}),
        ("schema", f"name: {API_KEY}\n[: {{"),
        ("schema", YAML.replace("table: ", f"table: [{API_KEY}] # ")),
    ],
)
def test_a_message_shows_no_secret(kind: str, spec: Any, hook: DatafoldHook) -> None:
    failure(DatafoldInputError, lambda: monitor_spec.read_spec(hook, kind, spec))


def test_a_message_shows_no_secret_of_the_spec(hook: DatafoldHook) -> None:
    password = "planted-password-3b8a"
    spec = {**LEAST, "table": [password], "connection": {"password": password}}

    error = failure(DatafoldInputError, lambda: monitor_spec.read_spec(hook, "schema", spec))

    assert password not in str(error)


SHAPES = json.loads((Path(api.__file__).parent / "shapes.json").read_text())


def properties(reference: str) -> set[str]:
    return set(SHAPES["schemas"][reference.rpartition("/")[2]]["properties"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_fields_that_an_update_takes_are_those_of_the_contract(kind: str) -> None:
    update = SHAPES["bodies"]["PATCH /api/v1/monitors/{}/update"]

    taken = properties(update["discriminator"]["mapping"][kind])

    assert monitor_spec.CHANGEABLE[kind] == taken - {"type"}


@pytest.mark.parametrize("diff_type", ["indb", "inmem"])
def test_the_fixed_fields_of_a_diff_are_those_of_the_contract(diff_type: str) -> None:
    def fields(schema: str) -> set[str]:
        shape = SHAPES["schemas"][schema]["properties"]["datadiff"]
        (choice,) = [
            each["discriminator"]
            for each in (shape, *shape.get("anyOf", ()))
            if "discriminator" in each
        ]
        return properties(choice["mapping"][diff_type])

    fixed = fields("DataDiffMonitorSpecPublic") - fields("DataDiffUpdateMonitorSpecPublic")

    assert fixed == monitor_spec.FIXED_IN_DATADIFF
