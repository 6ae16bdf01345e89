"""Datafold's own format of monitors as code: each field of it, and its own examples."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.jobs.monitors.format import Wanted, translate
from airflow_provider_datafold.jobs.monitors.problems import Problems
from dev.sandbox.contract import Operation
from dev.sandbox.validation import Validation
from tests import bodies, documents
from tests.conftest import API_KEY, ROOT
from tests.jobs.monitors import specs
from tests.jobs.monitors.specs import KINDS, LEAST
from tests.sending import failure

EXAMPLES = yaml.safe_load((Path(__file__).parent / "official_examples.yaml").read_text())
PAGE = ROOT / "docs" / "monitors.md"
ON_PAGE = map(yaml.safe_load, documents.blocks(PAGE, "yaml"))


@pytest.fixture
def hook(connections: None) -> Iterator[JobHook]:
    with JobHook() as hook:
        yield hook


def wanted(hook: JobHook, *given: Any) -> list[Wanted]:
    problems = Problems(hook.redactor(), DatafoldInputError)
    found = translate(hook, [(f"{n}.yaml", each) for n, each in enumerate(given)], problems)
    problems.raise_all("Nothing was sent.")
    return found


def body(hook: JobHook, spec: Any, slug: str = "orders") -> Any:
    """What is sent, as a validator allows that reads the published contract."""
    (found,) = wanted(hook, {"monitors": {slug: spec}})
    operation = Operation("POST", f"/api/v1/monitors/create/{found.kind}")
    content = json.dumps(found.body).encode()
    Validation(operation).arguments({}, {}, content, "application/json")
    return found.body


def refused(hook: JobHook, *given: Any) -> list[str]:
    """The lines of the error, one for each thing that is wrong."""
    error = failure(DatafoldInputError, lambda: wanted(hook, *given))
    head, *lines = str(error).split("\n- ")
    count = "1 error" if len(lines) == 1 else f"{len(lines)} errors"
    assert head == f"monitors: {count}. Nothing was sent."
    return lines


def changed(kind: str, path: str, value: Any) -> Any:
    """A least spec with another value at a path; ``...`` takes it out."""
    return specs.changed(LEAST[kind], path, value)


def test_what_is_filled_in(hook: JobHook) -> None:
    for given, name in (({}, "orders"), ({"name": None}, "orders"), ({"name": "Orders"}, "Orders")):
        assert body(hook, {**LEAST["schema"], **given})["name"] == name
    assert body(hook, LEAST["diff"])["datadiff"]["diff_type"] == "indb"
    inmem = changed("diff", "datadiff.diff_type", "inmem")
    assert body(hook, inmem)["datadiff"]["diff_type"] == "inmem"


@pytest.mark.parametrize("monitor_id", [7, None])
def test_an_id_is_no_field_of_the_monitor(monitor_id: int | None, hook: JobHook) -> None:
    (found,) = wanted(hook, {"monitors": {"orders": {**LEAST["test"], "id": monitor_id}}})
    assert found.monitor_id == monitor_id
    assert "id" not in found.body


@pytest.mark.parametrize("kind", KINDS)
def test_all_fields_at_once_are_passed_on(kind: str, hook: JobHook) -> None:
    for given in bodies.full(Operation("POST", f"/api/v1/monitors/create/{kind}")):
        if "cron" in given["schedule"]:
            given["schedule"]["cron"] = "0 6 * * *"
        if "hour" in (interval := given["schedule"].get("interval", {})):
            interval["hour"] = 6
        assert body(hook, {**given, "type": kind}) == given


@pytest.mark.parametrize("name", ["include_tables", "exclude_tables"])
@pytest.mark.parametrize(("kind", "place"), [("schema", ""), ("metric", "metric.")])
def test_patterns_of_tables_are_refused(name: str, kind: str, place: str, hook: JobHook) -> None:
    (line,) = refused(hook, {"monitors": {"orders": changed(kind, f"{place}{name}", "SHOP.*")}})
    assert line == (
        f"0.yaml: orders: {place}{name}: Datafold's public API makes no monitors from patterns. "
        f"Write a monitor with '{place}table' for each table."
    )
    # So the app exports it.
    assert body(hook, changed(kind, f"{place}{name}", None)) == body(hook, LEAST[kind])


_CUSTOM = "a metric of type 'custom' with a query."
INSTEAD = {
    ("table", "total"): "'row_count'.",
    ("table", "distinct"): _CUSTOM,
    ("table", "column_count"): "a monitor of type 'schema', or a metric of type 'custom'",
    ("table", "freshness_seconds"): "'freshness', which is in minutes: divide each threshold by 60",
    ("table", "freshness_minutes"): "'freshness', which is in minutes, too.",
    ("column", "total"): "a metric of type 'table' with 'row_count'.",
    ("column", "distinct"): "'cardinality'.",
    ("column", "nulls"): f"'fill_rate', or {_CUSTOM}",
    ("column", "min"): "'minimum'.",
    ("column", "max"): "'maximum'.",
    ("column", "qmin"): _CUSTOM,
    ("column", "qmax"): _CUSTOM,
    ("column", "stddev"): "'std_dev'.",
    ("column", "col_freshness_minutes"): _CUSTOM,
}


@pytest.mark.parametrize(("kind", "name"), INSTEAD)
def test_a_metric_that_the_public_api_does_not_have(kind: str, name: str, hook: JobHook) -> None:
    metric = {"type": kind, "table": "a", "metric": name}
    if kind == "column":
        metric["column"] = "b"
    (line,) = refused(hook, {"monitors": {"orders": changed("metric", "metric", metric)}})
    assert line.startswith(
        f"0.yaml: orders: metric.metric: Datafold's public API has no metric {name!r}. "
        f"Write {INSTEAD[kind, name]}"
    )


# The examples of Datafold's page, and our own.

BROKEN = {
    # Their own schema has it for diffs within a database only.
    "copied": "datadiff.dataset_a: has no field 'time_travel_point'; its fields are connection_id,",
    # Their own schema has these within datadiff.
    "copied_with_notifications": "monitor: has no field 'sampling'; its fields are alert,",
    "row_counts": "metric.include_tables: Datafold's public API makes no monitors from patterns.",
}


@pytest.mark.parametrize(
    "example", [*EXAMPLES, *ON_PAGE], ids=lambda it: next(iter(it.get("monitors") or it))
)
def test_an_example_of_a_page(example: Any, hook: JobHook) -> None:
    if "monitors" not in example:
        # The page leaves it out.
        (line,) = refused(hook, example)
        assert line == f"0.yaml: {WITHOUT}"
        return
    for slug, spec in example["monitors"].items():
        if slug in BROKEN:
            (line,) = refused(hook, {"monitors": {slug: spec}})
            assert line.startswith(f"0.yaml: {slug}: {BROKEN[slug]}")
        else:
            body(hook, spec, slug)


# What is refused.


WITHOUT = "has no 'monitors:', under which each monitor stands under its slug."
SLUG = "the slug must be a string that is not empty; quote a number."
NO_OBJECT = "must be an object, not a value of type"


@pytest.mark.parametrize(
    ("document", "line"),
    [
        (None, WITHOUT),
        ({"monitors": None}, f"monitors: {NO_OBJECT} NoneType."),
        ({"monitors": {}, "version": 1}, "has an unknown field 'version'; it only has 'monitors'."),
        ({"monitors": {1: {}}}, f"1: {SLUG}"),
        ({"monitors": {" ": {}}}, f" : {SLUG}"),
        (
            {"monitors": {"\ud800": {**LEAST["test"], "name": "a"}}},
            "\\ud800: slug: must be a string of valid Unicode, not '\\ud800' (str).",
        ),
    ],
)
def test_a_document_that_is_refused(document: Any, line: str, hook: JobHook) -> None:
    assert refused(hook, document) == [f"0.yaml: {line}"]


def test_what_yaml_shares_may_stand_beside_the_monitors(hook: JobHook) -> None:
    assert wanted(hook, {"x-defaults": {"password": "p"}, "x-": None, "monitors": {}}) == []


@pytest.mark.parametrize("slug", ["token", "password", "secret"])
def test_a_slug_may_be_the_name_of_a_secret(slug: str, hook: JobHook) -> None:
    sides = {"connection_id": 1, "table": "a", "session_parameters": {"password": "planted"}}
    spec = changed("diff", "datadiff.dataset_a", sides)
    (found,) = wanted(hook, {"monitors": {slug: spec}})
    assert found.slug == slug
    assert "planted" not in repr(found.body)
    (line,) = refused(hook, {"monitors": {slug: {"type": "test"}}})
    assert line == f"0.yaml: {slug}: query, test: one of them must be given."


@pytest.mark.parametrize(
    "given",
    [
        ["https://a.b/planted"],
        "hooks.example.com/services/T0/planted",
    ],
)
def test_no_error_shows_the_address_of_a_webhook(given: Any, hook: JobHook) -> None:
    webhook = [{"type": "webhook", "integration": 1}, {"type": "webhook", "integration": given}]
    (line,) = refused(hook, {"monitors": {"a": changed("test", "notifications", webhook)}})
    assert line == (
        "0.yaml: a: notifications[1].integration: must be the id of an integration, e.g. 7, not "
        "its address."
    )


SESSION = "datadiff.dataset_a.session_parameters"
NO_JSON = f"{SESSION}.day: must be a string, a finite number, true, false or null, not a value of"


def scheduled(schedule: Any) -> Any:
    return changed("test", "schedule", schedule)


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        (None, f"monitor: {NO_OBJECT} NoneType."),
        ({}, "type: is missing. It is one of diff, metric, schema, test."),
        ({"type": "tests"}, "type: must be one of 'diff', 'metric', 'schema', 'test', not 'tests'"),
        ({"type": "diff"}, "schedule: is missing."),
        (changed("diff", "datadiff", ...), "datadiff: is missing."),
        (changed("metric", "metric", ...), "metric: is missing."),
        (changed("metric", "metric.table", ...), "metric.table: is missing."),
        (changed("schema", "table", ...), "table: is missing."),
        (changed("test", "query", ...), "query, test: one of them must be given."),
        (
            changed("test", "querry", "select 1"),
            "monitor: has no field 'querry'; did you mean 'query'?",
        ),
        (
            scheduled({"interval": {"every": "day", "utc_at": 45000}}),
            "schedule.interval.utc_at: must be a time of day in quotes, e.g. '06:30:00', not",
        ),
        (
            scheduled({"interval": {"evry": "day"}}),
            "schedule.interval: has no field 'evry'; did you mean 'ev",
        ),
        (
            scheduled({"cron": "99 6 * * *"}),
            "schedule.cron: '99 6 * * *' is not a valid cron expression (",
        ),
        (scheduled({"interval": {"every": "day", "hour": 24}}), "schedule.interval.hour: must be "),
        (
            scheduled({"interval": {"every": "day", "hour": 6, "utc_at": "07:00:00"}}),
            "schedule.interval: utc_at '07:00:00' and hour 6 are not the same. Leave one out.",
        ),
        (scheduled(None), "schedule: must not be null. Write {type: none} for no schedule."),
        *(
            (changed("test", name, None), f"{name}: must not be null. Write [] for none.")
            for name in ("notifications", "tags")
        ),
        (changed("test", "id", 0), "id: must be a positive integer"),
        (
            changed("test", "tags", ["x", "Airflow-Set:a/b"]),
            "tags[1]: 'Airflow-Set:a/b' is a tag that this operator adds. Leave it out.",
        ),
        *(
            (changed("diff", SESSION, {"day": value}), f"{NO_JSON} type {kind}")
            for value, kind in (
                (date(2024, 1, 31), "date"),
                (math.nan, "float"),
                (b"x", "bytes"),
                ({date.min: 1}, "date"),
            )
        ),
    ],
)
def test_a_spec_that_is_refused(spec: Any, line: str, hook: JobHook) -> None:
    (found,) = refused(hook, {"monitors": {"a": spec}})
    assert found.startswith(f"0.yaml: a: {line}")


def test_all_that_is_wrong_is_said_at_once(hook: JobHook) -> None:
    first = {"monitors": {"a": {}, "b": LEAST["test"], "c": {"type": "diff"}}}
    second = {"monitors": {"b": LEAST["test"], "d": {"type": "x"}}}
    assert [line[:30] for line in refused(hook, first, {}, second)] == [
        "0.yaml: a: type: is missing. I",
        "0.yaml: c: schedule: is missin",
        "1.yaml: has no 'monitors:', un",
        "2.yaml: b: 0.yaml has this slu",
        "2.yaml: d: type: must be one o",
    ]


def test_no_error_shows_a_secret(hook: JobHook) -> None:
    password = "planted-password-3b8a"
    sides = {"connection_id": 1, "table": [password], "session_parameters": {"password": password}}
    given = [
        {"monitors": {API_KEY: {}}},
        {"monitors": {"a": changed("test", "query", [API_KEY])}},
        {"monitors": {}, API_KEY: 1},
        {"monitors": {"b": changed("diff", "datadiff.dataset_a", sides)}},
    ]
    lines = refused(hook, *given)
    assert len(lines) == len(given)
    assert password not in "".join(lines)
