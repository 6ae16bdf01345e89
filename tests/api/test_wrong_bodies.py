"""A body that does not fit the contract is refused, with the field's place and value."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.redaction.secret import conceal
from dev.sandbox.contract import Operation
from dev.scripts import api_coverage
from tests import bodies
from tests.conftest import API_KEY

SECRET = "planted-secret-5b0e"
HUGE = 10**5000
LOOP: dict[str, Any] = {}
LOOP["session"] = LOOP
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


def sample(operation: str) -> Any:
    return next(bodies.minimal(Operation(*operation.split(" "))))


DIFF = {"data_source1_id": 1, "data_source2_id": 2}
SIDE = {"connection_id": 1, "table": "T"}
INDB = {"diff_type": "indb", "primary_key": ["id"], "dataset_a": SIDE, "dataset_b": SIDE}
ANY = {"name": "n", "schedule": {"type": "none"}}
DIFF_MONITOR = {**ANY, "datadiff": INDB}
METRIC = {**ANY, "connection_id": 1, "metric": {"type": "table", "metric": "row_count"}}
SCHEMA = {**ANY, "connection_id": 1}
TEST = {**SCHEMA, "query": "select 1"}
PG = {"type": "pg", "name": "n"}
OPTIONS = {"host": "h", "user": "u", "dbname": "d"}
PULL_REQUEST = {
    "pr_number": 8,
    "pr_sha": "a1",
    "base_sha": "b2",
    "pr_branch": "feature",
    "base_branch": "main",
}

Call = Callable[[DatafoldHook], Any]


def diff(**fields: Any) -> Call:
    return lambda hook: hook.create_data_diff({**DIFF, **fields})


def monitor(kind: str, spec: dict[str, Any], **fields: Any) -> Call:
    return lambda hook: hook.create_monitor(kind, {**spec, **fields})


def compared(**fields: Any) -> Call:
    return monitor("diff", DIFF_MONITOR, datadiff={**INDB, **fields})


def change(kind: str, **fields: Any) -> Call:
    return lambda hook: hook.update_monitor(kind, 1, fields)


def source(**fields: Any) -> Call:
    return lambda hook: hook.create_data_source({**PG, **fields})


def options(**fields: Any) -> Call:
    return source(options={**OPTIONS, **fields})


def variable(value: Any) -> Call:
    return monitor("test", TEST, test={"type": "unique", "variables": {"v": {"value": value}}})


def changes(*items: Any) -> Call:
    return lambda hook: hook.upload_ci_changes(1, 2, list(items))


def trigger(**fields: Any) -> Call:
    return lambda hook: hook.trigger_ci(1, **{**PULL_REQUEST, **fields})


def bound(*bindings: Any) -> Call:
    config = {"token": SECRET, "bindings": bindings}
    return lambda hook: hook.create_integration("hightouch", config)


def looker(**fields: Any) -> Call:
    config = {"base_url": "u", "client_id": "c", "client_secret": SECRET, "repo_id": 1, **fields}
    return lambda hook: hook.create_integration("looker", config)


def with_nothing(kind: str) -> Call:
    return lambda hook: hook.create_integration(kind, {})


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


PAIR = {"prod": "a", "pr": "b"}
STRING = "must be a string without NUL characters, not "
INTEGER = "must be an integer, not "
LONG_INTEGER = "must be an integer of at most 64 bits, not "
NUMBER = "must be a finite number, not "
BOOLEAN = "must be true or false, not "
LIST = "must be a list, not "
OBJECT = "must be an object, not a value of type "
MOMENT = "must be a date and time with a time zone, e.g. 2024-01-31T06:00:00+00:00, not "
HIDDEN = "must be a non-empty string."
UNKNOWN = "has no field "

WRONG: list[tuple[str, Call]] = [
    # Something that is required is missing.
    ("data_source1_id: is missing.", lambda hook: hook.create_data_diff({"data_source2_id": 1})),
    ("data_source1_id: is missing.", lambda hook: hook.create_data_diff({})),
    ("name: is missing.", lambda hook: hook.create_monitor("diff", without(DIFF_MONITOR, "name"))),
    ("datadiff: is missing.", lambda hook: hook.create_monitor("diff", ANY)),
    ("datadiff.dataset_b: is missing.", monitor("diff", ANY, datadiff=without(INDB, "dataset_b"))),
    ("datadiff.dataset_a.table: is missing.", compared(dataset_a={"connection_id": 1})),
    ("alert.sensitivity: is missing.", monitor("metric", METRIC, alert={"type": "automatic"})),
    ("metric.metric: is missing.", monitor("metric", METRIC, metric={"type": "table"})),
    ("column_rules[1].equal_if: is missing.", diff(column_rules=[{"equal_if": "a"}, {}])),
    ("options.dbname: is missing.", source(options=without(OPTIONS, "dbname"))),
    ("name: is missing.", lambda hook: hook.create_data_source({"type": "pg"})),
    ("changes[1].pr: is missing.", changes(PAIR, {"prod": "a"})),
    # Another type.
    (f"table1: {LIST}'DB.PUBLIC.T' (str)", diff(table1="DB.PUBLIC.T")),
    (f"table1[1]: {STRING}['T'] (list)", diff(table1=["DB", ["T"]])),
    (f"pk_columns: {LIST}{{'id': 1}} (dict)", diff(pk_columns={"id": 1})),
    (f"query1: {STRING}b'x' (bytes)", diff(query1=b"x")),
    (f"data_source1_id: {INTEGER}1.5 (float)", diff(data_source1_id=1.5)),
    (f"data_source1_id: {INTEGER}True (bool)", diff(data_source1_id=True)),
    (f"purged: {BOOLEAN}'maybe' (str)", diff(purged="maybe")),
    (f"archived: {BOOLEAN}1 (int)", diff(archived=1)),
    (f"diff_tolerance: {NUMBER}'a lot' (str)", diff(diff_tolerance="a lot")),
    (f"diff_tolerance: {NUMBER}True (bool)", diff(diff_tolerance=True)),
    (f"file1_options: {OBJECT}str.", diff(file1_options="csv")),
    (f"time_travel_point1: {INTEGER}{{'a': 1}} (dict)", diff(time_travel_point1={"a": 1})),
    (f"tags: {LIST}'a' (str)", monitor("schema", SCHEMA, tags="a")),
    (f"enabled: {BOOLEAN}None (NoneType)", lambda hook: hook.toggle_monitor(1, enabled=None)),
    (f"enabled: {BOOLEAN}'on' (str)", lambda hook: hook.toggle_monitor(1, enabled="on")),
    (f"query: {STRING}None (NoneType)", lambda hook: hook.query_data_source(1, None)),
    (f"params: {LIST}'x' (str)", lambda hook: hook.query_data_source(1, "q", params="x")),
    (f"params[0]: {STRING}{{}} (dict)", lambda hook: hook.query_data_source(1, "q", params=[{}])),
    (f"changes[0]: {OBJECT}int.", changes(7)),
    (f"changes[0].pk[1]: {STRING}None (NoneType)", changes({**PAIR, "pk": ["a", None]})),
    (f"pr_number: {INTEGER}'eight' (str)", trigger(pr_number="eight")),
    (f"pr_sha: {STRING}['a1'] (list)", trigger(pr_sha=["a1"])),
    (f"groups.all: {BOOLEAN}'x' (str)", source(groups={"all": "x"})),
    (f"group_ids[1]: {INTEGER}[2] (list)", source(group_ids=[1, [2]])),
    (f"options.port: {INTEGER}'x' (str)", options(port="x")),
    (f"test.variables.v.value: {STRING}{{}} (dict)", variable({})),
    (f"test.variables.v.value[1]: {STRING}None (NoneType)", variable(["a", None])),
    # A string, or something else, instead of an object.
    (f"config: {OBJECT}str.", lambda hook: hook.create_data_diff("all of it")),
    (f"config: {OBJECT}NoneType.", lambda hook: hook.create_data_diff(None)),
    (f"config: {OBJECT}list.", lambda hook: hook.create_data_source([PG])),
    (f"datadiff.dataset_a: {OBJECT}str.", compared(dataset_a="DB.T")),
    # Null in a field that does not accept it.
    (f"name: {STRING}None (NoneType)", monitor("test", TEST, name=None)),
    (f"options.host: {STRING}None (NoneType)", options(host=None)),
    # Not one of the choices.
    (
        "time_aggregate: must be one of 'minute', 'hour', 'day', 'week', 'month', 'year', not "
        "'fortnight' (str)",
        diff(time_aggregate="fortnight"),
    ),
    (
        "metric.metric: must be one of 'row_count', 'freshness', not 'rows' (str)",
        monitor("metric", METRIC, metric={"type": "table", "metric": "rows"}),
    ),
    ("test.type: must be one of 'unique', ", monitor("test", TEST, test={"type": "odd"})),
    ("options.sslmode: must be one of 'prefer', ", options(sslmode=5)),
    (
        "kind: must be one of 'diff', 'metric', 'schema', 'test', not 'alert' (str)",
        lambda hook: hook.create_monitor("alert", {}),
    ),
    ("kind: must be one of 'diff', ", lambda hook: hook.update_monitor(None, 1, {})),
    ("kind: must be one of 'hightouch', ", lambda hook: hook.create_integration("metabase", {})),
    ("kind: must be one of 'hightouch', ", lambda hook: hook.update_integration(["x"], 1, {})),
    (
        "auth_type: must be one of 'delegated', 'service_principal', not 'x' (str)",
        lambda hook: hook.create_integration("powerbi", {"auth_type": "x"}),
    ),
    (
        "sort_order: must be one of 'asc', 'desc', not 'up' (str)",
        lambda hook: hook.list_data_diffs(sort_order="up"),
    ),
    ("order_by: must be one of 'id', ", lambda hook: hook.list_monitors(order_by="age")),
    # The field that selects a shape.
    (
        "schedule.type: must be one of 'crontab', 'none', or left out if you pass 'interval', not ",
        monitor("test", TEST, schedule={"type": "weekly"}),
    ),
    (
        "schedule.interval.type: must be one of 'hourly', 'daily', not 'x' (str)",
        monitor("test", TEST, schedule={"interval": {"type": "x"}}),
    ),
    (
        "schedule.interval.every: must be one of 'day', not 'hour' (str)",
        monitor(
            "test", TEST, schedule={"interval": {"type": "daily", "every": "hour", "utc_at": None}}
        ),
    ),
    ("datadiff.diff_type: must be one of 'indb', 'inmem', not 'x' (str)", compared(diff_type="x")),
    (
        "datadiff: has no 'diff_type', which must be one of 'indb', 'inmem'.",
        monitor("diff", ANY, datadiff=without(INDB, "diff_type")),
    ),
    (
        "metric: has no 'type', which must be one of 'column', 'custom', 'table'.",
        monitor("metric", METRIC, metric={"metric": "row_count"}),
    ),
    (
        "file1_options.file_type: must be one of 'csv', 'excel', 'parquet', not 'xls' (str)",
        diff(file1_options={"file_type": "xls"}),
    ),
    ("file1_options: has no 'file_type', which must be", diff(file1_options={"delimiter": ";"})),
    (
        "alert.type: must be one of 'absolute', 'automatic', 'percentage', not None (NoneType)",
        monitor("metric", METRIC, alert={"type": None}),
    ),
    ("type: must be one of 'athena', ", lambda hook: hook.create_data_source({"type": "x"})),
    ("config: has no 'type', which must be", lambda hook: hook.create_data_source({"name": "n"})),
    (
        f"schedule: {UNKNOWN}'cron'; its fields are type.",
        monitor("test", TEST, schedule={"type": "none", "cron": "* * * * *"}),
    ),
    # An unknown field.
    (f"config: {UNKNOWN}'table'; did you mean 'table2'?", diff(table=["T"])),
    (f"config: {UNKNOWN}'pk_column'; did you mean 'pk_columns'?", diff(pk_column=["id"])),
    (f"config: {UNKNOWN}'colour'; its fields are ", diff(colour="red")),
    (f"config: {UNKNOWN}7; its fields are ", lambda hook: hook.create_data_diff({**DIFF, 7: 1})),
    (f"spec: {UNKNOWN}'nam'; did you mean 'name'?", monitor("test", TEST, nam="n")),
    (f"spec: {UNKNOWN}'connection_id'; its ", change("test", connection_id=1)),
    (f"options: {UNKNOWN}'hots'; did you mean 'host'?", options(hots="h")),
    (
        f"options: {UNKNOWN}'host'; it takes no fields.",
        lambda hook: hook.create_data_source({"type": "duckdb", "name": "n", "options": OPTIONS}),
    ),
    (f"groups: {UNKNOWN}1; field names must be strings.", source(groups={1: True})),
    (
        f"datadiff.dataset_a: {UNKNOWN}'sesion_parameters'; did you mean 'session_parameters'?",
        compared(dataset_a={"connection_id": 1, "query": "q", "sesion_parameters": {}}),
    ),
    (f"changes[0]: {UNKNOWN}'keys'; its fields are ", changes({**PAIR, "keys": []})),
    (
        "config: has 'colour', but the fields of a dbt integration are ci_config_id, ",
        lambda hook: hook.create_integration("dbt", {"ci_config_id": 1, "colour": 1}),
    ),
    # A list in a list.
    (
        "notifications[1].recipients[0]: " + STRING + "{'a': 1} (dict)",
        monitor(
            "test",
            TEST,
            notifications=[
                {"type": "email", "recipients": ["a"]},
                {"type": "email", "recipients": [{"a": 1}]},
            ],
        ),
    ),
    (
        "notifications[0].features[0]: must be one of ",
        monitor(
            "test", TEST, notifications=[{"type": "webhook", "integration": 1, "features": ["x"]}]
        ),
    ),
    (
        "notifications[0]: has no 'type', which must be one of 'email', ",
        monitor("test", TEST, notifications=[{"recipients": []}]),
    ),
    (
        "notifications[0].type: must be one of 'email', ",
        monitor("test", TEST, notifications=[{"type": "pigeon"}]),
    ),
    (
        "test.tables[0].columns[1]: " + STRING + "None (NoneType)",
        monitor(
            "test", TEST, test={"type": "unique", "tables": [{"path": "p", "columns": ["a", None]}]}
        ),
    ),
    (
        "column_mapping[1]: must be a list of 2 items, not ['a'] (list)",
        diff(column_mapping=[["a", "b"], ["a"]]),
    ),
    (
        "column_mapping[0]: must be a list of 2 items, not ['a', 'b', 'c'] (list)",
        diff(column_mapping=[("a", "b", "c")]),
    ),
    ("column_mapping[0][1]: " + STRING + "None (NoneType)", diff(column_mapping=[["a", None]])),
    ("column_mapping[0]: " + LIST + "'ab' (str)", diff(column_mapping=["ab"])),
    (
        "bindings[0].boundIds[1]: " + INTEGER + "'x' (str)",
        lambda hook: hook.create_integration(
            "hightouch", {"token": SECRET, "bindings": [{"remoteId": "1", "boundIds": [1, "x"]}]}
        ),
    ),
    (
        "bindings[1]: has no 'remoteId' (found: 'boundIds').",
        bound({"remoteId": "1", "boundIds": []}, {"boundIds": [1]}),
    ),
    ("bindings[0]: has no 'boundIds' (found: 'remoteId', 'x').", bound({"remoteId": "1", "x": 1})),
    ("bindings[0]: has no 'remoteId' (found: nothing).", bound({})),
    ("bindings[0]: must be an object with remoteId and boundIds, not 7 (int)", bound(7)),
    (f"bindings[0].remoteId: {STRING}None (NoneType)", bound({"remoteId": None, "boundIds": []})),
    (
        "bindings[0].boundIds: must be a list of integers, not 5 (int)",
        bound({"remoteId": "1", "boundIds": 5}),
    ),
    (
        "bindings: must be a list, e.g. [{'remoteId': '1', 'boundIds': [1, 2]}], not 'x' (str)",
        lambda hook: hook.create_integration("hightouch", {"token": SECRET, "bindings": "x"}),
    ),
    (
        "project_ids: must be a list of strings, e.g. ['a', 'b'], not 'a' (str)",
        looker(project_ids="a"),
    ),
    (f"project_ids[1]: {STRING}None (NoneType)", looker(project_ids=["a", None])),
    ("ci_config_id: is missing; a dbt integration needs it.", with_nothing("dbt")),
    ("token: is missing; a Mode integration needs it.", with_nothing("mode")),
    ("server_url: is missing; a Tableau integration needs it.", with_nothing("tableau")),
    # Duplicates.
    (
        "changes[0].pk: must not contain duplicates, not ['x', 'x'] (list)",
        changes({**PAIR, "pk": ["x", "x"]}),
    ),
    (
        "changes[0].pk: must not contain duplicates, not ['1', '1'] (list)",
        changes({**PAIR, "pk": ["1", 1]}),
    ),
    # Too long, too short.
    ("options.host: must have at most 128 characters, not 129.", options(host="h" * 129)),
    ("file1: must not be empty, not '' (str)", diff(file1="")),
    (
        "column_rules[0].column: must not be empty, not '' (str)",
        diff(column_rules=[{"equal_if": "x", "column": ""}]),
    ),
    # Out of range.
    (
        "alert.sensitivity: must be at most 100, not 101 (int)",
        monitor("metric", METRIC, alert={"type": "automatic", "sensitivity": 101}),
    ),
    (
        "alert.sensitivity: must be at least 0, not -1 (int)",
        monitor("metric", METRIC, alert={"type": "automatic", "sensitivity": "-1"}),
    ),
    (
        "alert.match_ratio_min: must be at most 1, not 1.01 (float)",
        monitor("diff", DIFF_MONITOR, alert={"match_ratio_min": 1.01}),
    ),
    (
        "max_depth: must be an integer from 1 to 99, not 0 (int)",
        lambda hook: hook.list_table_upstreams(1, "T", max_depth=0),
    ),
    (
        "max_depth: must be an integer from 1 to 99, not 100 (int)",
        lambda hook: hook.list_column_downstreams(1, "T.c", max_depth=100),
    ),
    (
        "offset: must be an integer from 0 to 2147483648, not -1 (int)",
        lambda hook: hook.list_ci_runs(1, offset=-1),
    ),
    ("page: must be a positive integer, ", lambda hook: hook.list_data_diffs(page=0)),
    # Not a number, or not one that JSON, a database or the service supports.
    (f"diff_tolerance: {NUMBER}nan (float)", diff(diff_tolerance=math.nan)),
    (f"diff_tolerance: {NUMBER}-inf (float)", diff(diff_tolerance=-math.inf)),
    ("the body cannot be encoded as JSON: ", diff(data_source1_session_parameters={"x": math.nan})),
    ("the body cannot be encoded as JSON: ", diff(data_source1_session_parameters={"x": {1, 2}})),
    (
        "the body cannot be encoded as JSON: ",
        diff(data_source1_session_parameters={"x": "\ud800"}),
    ),
    ("query1: must be a string without lone surrogates, not '\\ud800'", diff(query1="\ud800")),
    (
        "table_path: must be a string without lone surrogates, not '\\udfff'",
        lambda hook: hook.list_table_upstreams(1, "\udfff"),
    ),
    (
        "tags: must be a string without lone surrogates, not '\\udfff'",
        lambda hook: hook.list_monitors(tags="\udfff"),
    ),
    (f"options.password: {HIDDEN}", options(password=HUGE)),
    (f"data_source1_id: {LONG_INTEGER}9223372036854775808 (int)", diff(data_source1_id=2**63)),
    (
        f"data_source1_id: {LONG_INTEGER}-9223372036854775809 (int)",
        diff(data_source1_id=-(2**63) - 1),
    ),
    (
        f"data_source1_id: {LONG_INTEGER}an integer of thousands of digits (int)",
        diff(data_source1_id=HUGE),
    ),
    (f"query1: {LONG_INTEGER}an integer of thousands of digits (int)", diff(query1=HUGE)),
    (f"diff_tolerance: {LONG_INTEGER}10000000000000000000", diff(diff_tolerance=10**19)),
    # Not a date and time.
    (
        f"time_interval_start: {MOMENT}'2024-01-31T06:00:00' (str)",
        diff(time_interval_start="2024-01-31T06:00:00"),
    ),
    (
        f"time_interval_start: {MOMENT}'2024-02-30T06:00:00Z' (str)",
        diff(time_interval_start="2024-02-30T06:00:00Z"),
    ),
    (
        f"start_date: {MOMENT}'yesterday' (str)",
        lambda hook: hook.list_audit_logs(start_date="yesterday"),
    ),
    (f"end_date: {MOMENT}7 (int)", lambda hook: hook.list_audit_logs(end_date=7)),
    (
        f"last_test.tested_at: {MOMENT}'06:00Z' (str)",
        source(last_test={"tested_at": "06:00Z", "results": []}),
    ),
    (
        "last_test.results[0].step: must be one of 'connection', ",
        source(last_test={"tested_at": "2024-01-31T06:00:00Z", "results": [{"step": "x"}]}),
    ),
    # Values without an end.
    (
        "config: is nested too deeply, or contains itself.",
        lambda hook: hook.create_data_diff({**DIFF, "data_source1_session_parameters": LOOP}),
    ),
    (
        "config: is nested too deeply, or contains itself.",
        lambda hook: hook.create_data_diff({**DIFF, "pk_columns": DEEP}),
    ),
    # A secret, which is not shown.
    (f"options.password: {HIDDEN}", options(password=5_0_0_5)),
    (f"options.password: {HIDDEN}", options(password=[SECRET])),
    (f"options.password: {HIDDEN}", options(password={"x": SECRET})),
    (f"options.password: {HIDDEN}", options(password="")),
    (f"options.password: {HIDDEN}", options(password=" \n")),
    (f"options.password: {HIDDEN}", source(options=json.dumps({**OPTIONS, "password": [SECRET]}))),
    (
        f"options.password: {HIDDEN}",
        lambda hook: hook.create_data_source(str({**PG, "options": {"password": {"x": SECRET}}})),
    ),
    (
        f"token: {HIDDEN}",
        lambda hook: hook.create_integration("mode", {"token": [SECRET], "password": "p"}),
    ),
    (
        f"token: {HIDDEN}",
        lambda hook: hook.create_integration("mode", str({"token": [SECRET], "password": "p"})),
    ),
    (
        f"token: {HIDDEN}",
        lambda hook: hook.update_integration("mode", 1, {"token": None, "password": SECRET}),
    ),
    (
        "config: is wrong. Its value is not shown, because one of the values contains the API key",
        lambda hook: hook.create_data_diff({**DIFF, API_KEY: 1}),
    ),
    ("query1: is wrong. Its value is not shown, because ", diff(query1=[API_KEY])),
    (
        "table_path: is wrong. Its value is not shown, because ",
        lambda hook: hook.list_table_upstreams(1, API_KEY + "\0"),
    ),
    (
        "name: is wrong. Its value is not shown, because ",
        lambda hook: hook.create_data_source(
            {**PG, "name": [f"x {SECRET} y"], "options": {**OPTIONS, "password": SECRET}}
        ),
    ),
]


@pytest.fixture
def hook(connections: None, sandbox: Any) -> Iterator[DatafoldHook]:
    with DatafoldHook() as made:
        yield made


@pytest.mark.parametrize(("said", "call"), WRONG, ids=[said[:60] for said, _ in WRONG])
def test_a_wrong_body_is_refused_and_not_sent(
    said: str, call: Call, hook: DatafoldHook, sandbox: Any
) -> None:
    with pytest.raises(DatafoldInputError) as caught:
        call(hook)

    assert str(caught.value).startswith(said)
    assert str(caught.value).endswith("Nothing was sent.")
    assert len(str(caught.value)) < 2000
    shown = [str(caught.value), repr(caught.value)]
    error: BaseException | None = caught.value
    while error is not None:
        shown += map(repr, error.args)
        error = error.__cause__ or error.__context__
    assert not re.search(f"{SECRET}|{API_KEY}|5005", "".join(shown))
    assert sandbox.state.requests == []


@pytest.mark.parametrize("asked", bodies.operations(), ids=str)
def test_each_required_field_is_missed(asked: Operation) -> None:
    (operation,) = [
        each
        for each in api_coverage.declared()
        if api_coverage.name_of(each) == api_coverage.name_of(asked)
    ]
    values = dict.fromkeys(re.findall(r"{(\w+)}", operation.path), 1)
    for body in bodies.minimal(asked):
        for name in body if isinstance(body, dict) else ():
            with pytest.raises(DatafoldInputError, match=rf"^{name}: is missing|: has no '{name}'"):
                operation.request(conceal(without(body, name)), **values)
