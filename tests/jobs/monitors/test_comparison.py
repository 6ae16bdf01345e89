"""Monitors as code: what differs between a monitor and its spec."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_datafold import api
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.jobs.monitors.comparison import (
    CHANGEABLE,
    Difference,
    compare,
    fingerprint,
    hidden_and_fixed,
    update_of,
)
from airflow_provider_datafold.jobs.monitors.format import ALIASES
from airflow_provider_datafold.redaction.secret import Secret
from tests.jobs.monitors.specs import KINDS, changed

CRON = {"type": "crontab", "cron": "0 6 * * *"}
SLACK = {"type": "slack", "integration": 3, "channel": "#data", "mentions": ["ann", "bob"]}
ANN = "Ann@Example.com "
MAIL = {"type": "email", "recipients": ["ann@example.com", "bob@example.com"]}
SHAPES = json.loads((Path(api.__file__).parent / "shapes.json").read_text())
METRIC = {"type": "column", "metric": "sum"}
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
        "metric": {**METRIC, "table": "DB.PUBLIC.ORDERS", "column": "amount", "filter": "id > 0"},
    },
    "schema": {**OF_ALL, "connection_id": 1, "table": "DB.PUBLIC.ORDERS"},
    "test": {
        **OF_ALL,
        "connection_id": 1,
        "query": "select 1 where false",
        "test": {"type": "unique", "tables": [{"path": "DB.PUBLIC.ORDERS", "columns": ["id"]}]},
    },
}
HIDDEN: dict[str, dict[str, Any]] = {
    "diff": {
        "datadiff.dataset_a.session_parameters": {"role": "reader"},
        "datadiff.dataset_b.time_travel_point": "2024-01-31",
        "datadiff.diff_type": "inmem",
        "datadiff.exclude_columns": ["tax"],
        "datadiff.include_columns": ["id"],
        "datadiff.primary_key": ["number"],
        "datadiff.sampling": {"rate": 0.5},
        "datadiff.tolerance": {"float": {"default": {"type": "absolute", "value": 1}}},
    },
    "metric": {"metric.alert_on_missing_data": True},
    "schema": {},
    "test": {"test": {"type": "not_null", "tables": []}},
}
"""Fields that Datafold does not return."""
SIDES = ("dataset_a.session_parameters", "dataset_b.time_travel_point")
HIDDEN_AND_FIXED = {
    *(f"datadiff.{name}" for name in (*SIDES, "diff_type", "exclude_columns", "include_columns")),
    "metric.alert_on_missing_data",
}


@pytest.fixture
def hook(connections: None) -> Iterator[JobHook]:
    with JobHook() as hook:
        yield hook


def shown(hook: JobHook, kind: str, **changes: Any) -> dict[str, Any]:
    """The monitor of a spec as the API shows it."""
    created = hook.create_monitor(kind, {**SPECS[kind], **changes})
    return hook.get_monitor(created["id"])


def nested(kind: str, path: str, value: Any) -> dict[str, Any]:
    return changed(SPECS[kind], path, value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_monitor_is_as_its_spec_says(kind: str, hook: JobHook) -> None:
    assert compare(kind, SPECS[kind], shown(hook, kind)) == Difference()


CHANGED: list[tuple[str, str, Any]] = [
    ("metric", path, value)
    for path, value in (
        ("description", "Another"),
        ("enabled", False),
        ("notifications", []),
        ("notifications", [SLACK]),
        ("notifications", [SLACK, SLACK]),
        ("notifications", [{**SLACK, "mentions": ["ann"]}, MAIL]),
        ("notifications", [{**SLACK, "features": ["attach_csv"]}, MAIL]),
        ("owner", "bob@example.com"),
        ("schedule", {"type": "crontab", "cron": "0 7 * * *"}),
        ("schedule", {"type": "none"}),
        ("tags", ["orders"]),
        ("tags", ["orders", "daily", "new"]),
    )
] + [
    ("diff", "alert", {"different_rows_count": 6}),
    ("diff", "alert", {"different_rows_percent": 5}),
    ("diff", "alert", None),
    ("metric", "alert", {"type": "absolute", "min": 1}),
    ("metric", "alert", {"type": "automatic", "sensitivity": 50}),
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
    *((kind, path, value) for kind, fields in HIDDEN.items() for path, value in fields.items()),
]


@pytest.mark.parametrize(
    ("kind", "path", "value", "expected"),
    [
        *((*case, ((case[1],), ())) for case in CHANGED),
        *((*case, ((), (case[1],))) for case in FIXED),
        *((*case, ((), ())) for case in SAME),
    ],
)
def test_compare(kind: str, path: str, value: Any, expected: Any, hook: JobHook) -> None:
    difference = compare(kind, nested(kind, path, value), shown(hook, kind))
    assert (difference.changed, difference.fixed) == expected


def test_a_spec_leaves_alone_what_it_does_not_name(hook: JobHook) -> None:
    least = {"name": "Orders", "schedule": CRON, "connection_id": 1, "metric": METRIC}
    assert compare("metric", least, shown(hook, "metric")) == Difference()


@pytest.mark.parametrize("dataset", [None, ["nonsense"]])
@pytest.mark.parametrize("kind", KINDS)
def test_a_monitor_that_is_shown_without_its_data(kind: str, dataset: Any, hook: JobHook) -> None:
    difference = compare(kind, SPECS[kind], {**shown(hook, kind), "dataset": dataset})
    assert (difference.changed, difference.fixed) == ((), ())
    assert difference.unseen


# Normal forms that a service may have.


def daily(**at: Any) -> dict[str, Any]:
    return {"interval": {"every": "day", **at}}


@pytest.mark.parametrize(
    ("path", "wanted", "found", "is_same"),
    [
        ("tags", ["Orders"], ["orders"], True),
        ("tags", ["orders"], ["orders", "airflow-set:a/b", "Airflow-Spec:0123ABCD-01234567"], True),
        ("tags", ["orders"], None, False),
        ("description", "What\ncame in\n", "What\ncame in", True),
        ("query", "select 1\nwhere false\n", "select 1\nwhere false", True),
        ("description", None, "", True),
        ("description", "  ", None, True),
        ("notifications", [], None, True),
        ("notifications", [SLACK, SLACK], [SLACK, {**SLACK, "channel": "#evil"}], False),
        # The one that says less must not take what only the other one fits.
        (
            "notifications",
            [{"type": "slack"}, {"type": "slack", "channel": "#data"}],
            [SLACK, {**SLACK, "channel": "#other"}],
            True,
        ),
        ("notifications", [{**MAIL, "features": None}], [{**MAIL, "features": []}], True),
        ("notifications", [MAIL], [{**MAIL, "recipients": ["BOB@example.com", ANN]}], True),
        ("notifications", [SLACK], [{**SLACK, "channel": "#DATA"}], False),
        ("owner", "Ann@example.com", "ann@example.com", True),
        ("owner", None, "", True),
        ("tags", ["a,b", "c"], ["a", "b", "c"], True),
        ("tags", ["a,", ""], ["a"], True),
        ("enabled", False, None, False),
        ("alert", {}, None, True),
        ("alert", None, {"type": "diff", "different_rows_count": None}, True),
        ("alert", None, {"type": "automatic", "sensitivity": 5}, False),
        ("alert", {"different_rows_count": 5}, "nonsense", False),
        ("schedule", daily(hour=8), daily(utc_at="08:00:00"), True),
        ("schedule", daily(hour=8), daily(hour=8, utc_at="08:00:00", type="daily"), True),
        ("schedule", daily(hour=8), daily(utc_at="08:30:00"), False),
        ("schedule", daily(utc_at="06:30"), daily(utc_at="06:30:00"), True),
        ("schedule", daily(utc_at="06:30:00Z"), daily(utc_at="06:30:00+00:00"), True),
        ("schedule", daily(utc_at="06:30:00+02:00"), daily(utc_at="04:30:00"), True),
        ("schedule", daily(utc_at="06:30:00"), daily(utc_at="soon"), False),
        ("schedule", daily(), daily(utc_at="00:00:00"), True),
        ("schedule", daily(hour=8), daily(), False),
        ("schedule", daily(), {"interval": {"every": "hour", "type": "hourly"}}, False),
        ("schedule", CRON, {"cron": "0 6 * * *"}, True),
        ("schedule", {"cron": "0  6 * * mon"}, {"cron": "0 6 * * MON"}, True),
        ("schedule", CRON, daily(), False),
        ("schedule", daily(), CRON, False),
        ("schedule", {"type": "none"}, {}, True),
        ("schedule", {"type": "none"}, CRON, False),
        ("schedule", {"type": "none"}, daily(), False),
        ("schedule", {"type": "none"}, None, False),
    ],
    ids=repr,
)
def test_a_normal_form_is_no_difference(path: str, wanted: Any, found: Any, is_same: bool) -> None:
    dataset = [{"query": found}] if path == "query" else []
    kind = "diff" if path == "alert" else "test"
    difference = compare(kind, {path: wanted}, {path: found, "dataset": dataset})
    assert difference == Difference(changed=() if is_same else (path,))


@pytest.mark.parametrize(
    ("wanted", "found", "is_same"),
    [
        ({"table": "DB.Public.ORDERS"}, {"table": "db.public.orders"}, True),
        ({"table": "DB.PUBLIC.ORDERS"}, {"table": "DB.PUBLIC.OTHERS"}, False),
        ({"column": "Amount"}, {"column": "AMOUNT"}, True),
        ({"filter": None}, {"filter": ""}, True),
        ({"filter": ""}, {}, True),
        ({"filter": "a = 'X'"}, {"filter": " a = 'X'\n"}, True),
        ({"filter": "a = 'X'"}, {"filter": "a = 'x'"}, False),
        *(({"metric": name}, {"metric": alias}, True) for alias, name in ALIASES.items()),
        ({"metric": "median"}, {"metric": "median"}, True),
        ({"metric": "row_count"}, {"metric": "qmin"}, False),
    ],
    ids=repr,
)
def test_a_normal_form_is_no_reason_to_refuse(wanted: Any, found: Any, is_same: bool) -> None:
    difference = compare("metric", {"metric": wanted}, {"dataset": [found]})
    assert bool(difference.fixed) is not is_same


# What Datafold does not return.


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [(kind, path, value) for kind, fields in HIDDEN.items() for path, value in fields.items()],
)
def test_a_fingerprint_shows_what_datafold_does_not_return(
    kind: str, path: str, value: Any
) -> None:
    before = fingerprint(kind, SPECS[kind]).split("-")
    after = fingerprint(kind, nested(kind, path, value)).split("-")
    is_fixed = path in HIDDEN_AND_FIXED
    assert [a != b for a, b in zip(before, after, strict=True)] == [not is_fixed, is_fixed]
    assert (path in hidden_and_fixed(kind, nested(kind, path, value))) is is_fixed


@pytest.mark.parametrize(
    ("kind", "path", "value"), [case for case in CHANGED + FIXED if case[0] != "diff"]
)
def test_a_fingerprint_shows_nothing_else(kind: str, path: str, value: Any) -> None:
    assert fingerprint(kind, nested(kind, path, value)) == fingerprint(kind, SPECS[kind])


@pytest.mark.parametrize("value", [None, "default"])
@pytest.mark.parametrize(
    ("kind", "path", "default"),
    [
        *(("diff", f"datadiff.dataset_{side}.materialize", True) for side in "ab"),
        ("diff", "datadiff.compare_duplicates", True),
        ("diff", "datadiff.ignore_string_case", False),
        ("diff", "datadiff.materialize_results", False),
        ("diff", "datadiff.null_equals_empty_string", False),
        ("diff", "datadiff.sampling", None),
        ("diff", "datadiff.tolerance", None),
        ("metric", "metric.alert_on_missing_data", False),
        ("test", "test.variables", None),
    ],
)
def test_what_is_the_default_anyway_is_no_change(
    kind: str, path: str, default: Any, value: Any
) -> None:
    spec = nested(kind, path, default if value == "default" else value)
    assert fingerprint(kind, spec) == fingerprint(kind, SPECS[kind])
    if isinstance(default, bool):
        spec = nested(kind, path, not default)
        assert fingerprint(kind, spec) != fingerprint(kind, SPECS[kind])


@pytest.mark.parametrize(
    ("path", "found", "other"),
    [
        ("test.variables", {"of": {"value": 1}}, {"of": {"value": 1, "quote": True}}),
        ("test.tables", [{"path": "a", "columns": []}], [{"path": "a", "columns": [], "x": None}]),
    ],
)
def test_defaults_may_be_anywhere(path: str, found: Any, other: Any) -> None:
    assert fingerprint("test", nested("test", path, found)) == fingerprint(
        "test", nested("test", path, other)
    )


def test_a_fingerprint_is_the_same_in_each_version() -> None:
    # Another one would make each monitor look changed.
    assert [fingerprint(kind, SPECS[kind]) for kind in KINDS] == [
        "55954279-0a0ae8fa",
        "44136fa3-581e96ec",
        "44136fa3-44136fa3",
        "606ce806-44136fa3",
    ]


def test_a_fingerprint_shows_no_secret() -> None:
    path = "datadiff.dataset_a.session_parameters"
    one, other = (
        fingerprint("diff", nested("diff", path, {"password": Secret(text)}))
        for text in ("planted-1", "planted-2")
    )
    assert one == other


@pytest.mark.parametrize("kind", KINDS)
def test_an_update_has_all_that_it_can_change(kind: str, hook: JobHook) -> None:
    monitor_id = shown(hook, kind)["id"]
    update = update_of(kind, SPECS[kind])
    hook.update_monitor(kind, monitor_id, update)
    assert update.keys() == SPECS[kind].keys() & CHANGEABLE[kind]
    if kind == "diff":
        assert update["datadiff"] == {"diff_type": "indb", "primary_key": ["id"]}
    assert compare(kind, SPECS[kind], hook.get_monitor(monitor_id)) == Difference()


@pytest.mark.parametrize("kind", KINDS)
def test_the_fields_that_an_update_takes_are_those_of_the_contract(kind: str) -> None:
    update = SHAPES["bodies"]["PATCH /api/v1/monitors/{}/update"]
    shape = update["discriminator"]["mapping"][kind].rpartition("/")[2]
    assert CHANGEABLE[kind] == {*SHAPES["schemas"][shape]["properties"]} - {"type"}
