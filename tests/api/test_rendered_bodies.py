"""The effects of templating on the fields of a request are undone before it is sent."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pytest

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.omitted import OMITTED, Omitted
from airflow_provider_datafold.redaction.secret import conceal, secrets_in

DIFF = {"data_source1_id": 1, "data_source2_id": 2}
SIDE = {"connection_id": 1, "table": "T"}
INDB = {"diff_type": "indb", "primary_key": ["id"], "dataset_a": SIDE, "dataset_b": SIDE}
MONITOR = {"name": "n", "schedule": {"type": "none"}}
TEST = {**MONITOR, "connection_id": 1, "query": "select 1"}
METRIC = {**MONITOR, "connection_id": 1, "metric": {"type": "table", "metric": "row_count"}}
PG = {"type": "pg", "name": "n"}
OPTIONS = {"host": "h", "user": "u", "dbname": "d"}
BERLIN = timezone(timedelta(hours=1))
MOMENT = datetime(2024, 1, 31, 6, tzinfo=BERLIN)


class Lazy(Sequence[Any]):
    """A sequence like the results of a mapped task."""

    def __init__(self, *items: Any) -> None:
        self._items = items

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)


Fields = dict[str, Any]


def diff(hook: DatafoldHook, fields: Fields) -> None:
    hook.create_data_diff({**DIFF, **fields})


def with_test(hook: DatafoldHook, fields: Fields) -> None:
    hook.create_monitor("test", {**TEST, **fields})


def metric(hook: DatafoldHook, fields: Fields) -> None:
    hook.create_monitor("metric", {**METRIC, **fields})


def compared(hook: DatafoldHook, fields: Fields) -> None:
    hook.create_monitor("diff", {**MONITOR, "datadiff": {**INDB, **fields}})


def source(hook: DatafoldHook, fields: Fields) -> None:
    hook.create_data_source({**PG, **fields})


def changes(hook: DatafoldHook, fields: Fields) -> None:
    hook.upload_ci_changes(1, 2, [{"prod": "a", "pr": "b", **fields}])


def variable(hook: DatafoldHook, fields: Fields) -> None:
    hook.create_monitor("test", {**TEST, "test": {"type": "unique", "variables": {"v": fields}}})


def step(result: Any) -> Fields:
    """The only thing in the contract that may be anything."""
    results = [{"step": "connection", "status": "done", "result": result}]
    return {"tested_at": "2024-01-31T06:00:00+00:00", "results": results}


Send = Callable[[DatafoldHook, Fields], None]

RENDERED: list[tuple[Send, str, Any, Any]] = [
    # A number as a string.
    (diff, "bisection_factor", "7", 7),
    (diff, "bisection_factor", " 7\n", 7),
    (diff, "bisection_factor", "-7", -7),
    (diff, "bisection_factor", "007", 7),
    (diff, "bisection_factor", 7, 7),
    (diff, "diff_tolerance", "0.5", 0.5),
    (diff, "diff_tolerance", " -0.5 ", -0.5),
    (diff, "diff_tolerance", "1e-06", 0.000001),
    (diff, "diff_tolerance", "2.5E+3", 2500.0),
    (diff, "diff_tolerance", "5", 5),
    (diff, "diff_tolerance", "-5", -5),
    (source, "group_ids", ["1", 2, " 3 "], [1, 2, 3]),
    # A boolean as a string.
    (diff, "purged", "True", True),
    (diff, "purged", "False", False),
    (diff, "purged", " true\n", True),
    (diff, "purged", False, False),
    (source, "groups", {"all": "False"}, {"all": False}),
    # A list as a string, or another sequence.
    (diff, "table1", "['DB', 'T']", ["DB", "T"]),
    (diff, "table1", '["DB", "T"]', ["DB", "T"]),
    (diff, "table1", "\n    ['DB', 'T']\n", ["DB", "T"]),
    (diff, "table1", "('DB', 'T')", ["DB", "T"]),
    (diff, "table1", ("DB", "T"), ["DB", "T"]),
    (diff, "table1", Lazy("DB", 5), ["DB", "5"]),
    (diff, "table1", "[]", []),
    (source, "group_ids", "[1, 2]", [1, 2]),
    (diff, "column_mapping", [("a", "b"), ["c", "d"]], [["a", "b"], ["c", "d"]]),
    (diff, "column_mapping", "[('a', 'b')]", [["a", "b"]]),
    (diff, "column_mapping", ["['a', 5]"], [["a", "5"]]),
    (changes, "pk", "['a', 'b']", ["a", "b"]),
    # An object as a string.
    (source, "options", json.dumps(OPTIONS), OPTIONS),
    (source, "options", repr(OPTIONS), OPTIONS),
    (source, "options", MappingProxyType(OPTIONS), OPTIONS),
    (source, "groups", '{"all": true}', {"all": True}),
    (diff, "file1_options", "{'file_type': 'csv'}", {"file_type": "csv"}),
    (diff, "column_rules", '[{"equal_if": "x"}]', [{"equal_if": "x"}]),
    (diff, "column_rules", ['{"equal_if": "x"}'], [{"equal_if": "x"}]),
    (
        compared,
        "dataset_a",
        "{'connection_id': '1', 'query': 'q'}",
        {"connection_id": 1, "query": "q"},
    ),
    (compared, "sampling", "{'rate': '0.5'}", {"rate": 0.5}),
    (
        with_test,
        "schedule",
        '{"type": "crontab", "cron": "0 6 * * *"}',
        {"type": "crontab", "cron": "0 6 * * *"},
    ),
    (
        with_test,
        "schedule",
        {"interval": "{'type': 'hourly', 'every': 'hour'}"},
        {"interval": {"type": "hourly", "every": "hour"}},
    ),
    (
        with_test,
        "notifications",
        "[{'type': 'webhook', 'integration': '1'}]",
        [{"type": "webhook", "integration": 1}],
    ),
    # Null as a string, if the field takes no other string.
    (diff, "bisection_factor", "None", None),
    (diff, "bisection_factor", "null", None),
    (diff, "compare_duplicates", " None ", None),
    (diff, "table1", "None", None),
    (diff, "file1_options", "None", None),
    (diff, "filter1", "None", "None"),
    (diff, "filter1", None, None),
    # A string that became a number.
    (diff, "query1", 5, "5"),
    (diff, "query1", -1.5, "-1.5"),
    (diff, "pk_columns", [1, 2.5, "x"], ["1", "2.5", "x"]),
    (with_test, "name", 2024, "2024"),
    (source, "options", {**OPTIONS, "dbname": 7}, {**OPTIONS, "dbname": "7"}),
    # A string that stays one, although it looks like something else.
    (diff, "query1", "7", "7"),
    (diff, "query1", "[1, 2]", "[1, 2]"),
    (diff, "query1", " True ", " True "),
    (diff, "query1", '{"a": 1}', '{"a": 1}'),
    (diff, "query1", "", ""),
    (source, "last_test", step('{"a": 1}'), step('{"a": 1}')),
    (source, "last_test", step("None"), step("None")),
    (source, "last_test", step([1, "7"]), step([1, "7"])),
    (source, "last_test", step(None), step(None)),
    (diff, "query1", "日本 🦀", "日本 🦀"),
    (variable, "value", "7", "7"),
    (variable, "value", "[1]", "[1]"),
    (variable, "value", 7, 7),
    (variable, "value", 0.5, 0.5),
    (variable, "value", [1, 2], [1, 2]),
    (variable, "value", (1, 0.5), [1, 0.5]),
    (variable, "value", [1, "a", 0.5], [1, "a", 0.5]),
    (variable, "value", ["1", "2"], ["1", "2"]),
    (variable, "value", [], []),
    (diff, "time_travel_point1", 7, 7),
    (
        diff,
        "data_source1_session_parameters",
        {"a": "7", "b": [True, None]},
        {"a": "7", "b": [True, None]},
    ),
    # A date and time.
    (diff, "time_interval_start", MOMENT, "2024-01-31T06:00:00+01:00"),
    (diff, "time_interval_start", str(MOMENT), "2024-01-31T06:00:00+01:00"),
    (diff, "time_interval_start", " 2024-01-31T06:00:00Z\n", "2024-01-31T06:00:00+00:00"),
    (diff, "time_interval_start", "2024-01-31 06:00:00z", "2024-01-31T06:00:00+00:00"),
    (diff, "time_travel_point1", MOMENT, "2024-01-31T06:00:00+01:00"),
    (diff, "time_travel_point1", "2024-01-31T06:00:00Z", "2024-01-31T06:00:00+00:00"),
    (
        source,
        "last_test",
        {"tested_at": MOMENT, "results": ()},
        {"tested_at": "2024-01-31T06:00:00+01:00", "results": []},
    ),
    # A number in a range, as a string.
    (
        metric,
        "alert",
        {"type": "automatic", "sensitivity": "100"},
        {"type": "automatic", "sensitivity": 100},
    ),
    (
        metric,
        "alert",
        {"type": "automatic", "sensitivity": 0},
        {"type": "automatic", "sensitivity": 0},
    ),
    # Names that the user chose and that look like those of secrets.
    (compared, "column_remapping", {"token": " a ", "b": "c"}, {"token": " a ", "b": "c"}),
    (source, "groups", {"password": "True"}, {"password": True}),
    (
        with_test,
        "test",
        {"type": "unique", "variables": {"secret": {"value": [1]}}},
        {"type": "unique", "variables": {"secret": {"value": [1]}}},
    ),
    (
        diff,
        "data_source1_session_parameters",
        {"password": {"a": 1}, "token": None},
        {"password": {"a": 1}, "token": None},
    ),
    # Omitted fields.
    (compared, "sampling", {"rate": 1, "threshold": OMITTED}, {"rate": 1}),
    (source, "options", {**OPTIONS, "port": OMITTED, "password": OMITTED}, OPTIONS),
    (with_test, "schedule", {"type": "none", "cron": OMITTED}, {"type": "none"}),
    (with_test, "schedule", {"type": OMITTED, "cron": "* * * * *"}, {"cron": "* * * * *"}),
    (source, "groups", {"a": OMITTED, "b": True}, {"b": True}),
]
MISSING = object()
LEFT_OUT: list[tuple[Send, str]] = [
    (diff, "query1"),
    (source, "options"),
    (with_test, "tags"),
    (compared, "sampling"),
    (changes, "pk"),
    (diff, "no_such_field"),
]


@pytest.fixture
def hook(connections: None, sandbox: Any) -> Iterator[DatafoldHook]:
    with DatafoldHook() as made:
        yield made


def found(body: Any, name: str) -> Any:
    """The field of this name, wherever it is in the body."""
    if isinstance(body, dict):
        if name in body:
            return body[name]
        body = list(body.values())
    for item in body if isinstance(body, list) else ():
        if (value := found(item, name)) is not MISSING:
            return value
    return MISSING


def arrived(sandbox: Any) -> Any:
    (request,) = sandbox.state.requests
    assert request.status == 200
    return json.loads(request.body)


@pytest.mark.parametrize(("send", "name", "value", "wanted"), RENDERED, ids=lambda v: None)
def test_a_field_arrives_as_it_was_meant(
    send: Send, name: str, value: Any, wanted: Any, hook: DatafoldHook, sandbox: Any
) -> None:
    send(hook, {name: value})

    field = found(arrived(sandbox), name)
    # In Python, but not in JSON, 1 is True and 1.0.
    assert json.dumps(field) == json.dumps(wanted)


@pytest.mark.parametrize(("send", "name"), LEFT_OUT, ids=lambda v: getattr(v, "__name__", v))
def test_an_omitted_field_is_not_sent(
    send: Send, name: str, hook: DatafoldHook, sandbox: Any
) -> None:
    send(hook, {name: OMITTED})

    assert found(arrived(sandbox), name) is MISSING


@pytest.mark.parametrize("form", [dict, repr, json.dumps, MappingProxyType, lambda d: f"\n {d}\n"])
def test_a_whole_body_may_be_a_text(form: Any, hook: DatafoldHook, sandbox: Any) -> None:
    sent = []
    for call, body in (
        (hook.create_data_diff, DIFF),
        (hook.create_data_source, {**PG, "options": {**OPTIONS, "password": "planted"}}),
        (lambda spec: hook.create_monitor("test", spec), TEST),
        (lambda spec: hook.update_monitor("test", 4, spec), {"name": "other"}),
        (lambda spec: hook.create_integration("mode", spec), {"token": "t1", "password": "p1"}),
        (lambda spec: hook.update_integration("dbt", 1005, spec), {"ci_config_id": 4}),
    ):
        call(form(body))
        sent.append(body)

    bodies = [json.loads(request.body) for request in sandbox.state.requests]
    sent[3] = {"name": "other", "type": "test"}
    assert bodies == sent
    assert {request.status for request in sandbox.state.requests} == {200}


def test_a_whole_list_may_be_a_text(hook: DatafoldHook, sandbox: Any) -> None:
    pair = {"prod": "a", "pr": "b"}
    for form in ([pair], (pair,), repr([pair]), json.dumps([pair]), Lazy(pair), [repr(pair)]):
        hook.upload_ci_changes("1", "2", form)

    assert {request.path for request in sandbox.state.requests} == {"/api/v1/ci/1/2"}
    assert [json.loads(request.body) for request in sandbox.state.requests] == [[pair]] * 6


def test_arguments_for_path_and_query_may_be_texts(hook: DatafoldHook, sandbox: Any) -> None:
    hook.list_data_diffs(page=" 2 ", page_size="5", accessible_only="False")
    hook.list_ci_runs("1", pr_num=8, pr_sha=123, limit="3", offset="0")
    hook.list_monitor_runs("2", start_time=MOMENT, end_time="2024-02-29T06:00:00Z")
    hook.list_column_upstreams(" 1 ", 'DB."www.my site".T.id', include_tabular_nodes="True")

    assert [(request.status, request.query) for request in sandbox.state.requests] == [
        (200, "page=2&page_size=5&accessible_only=false"),
        (200, "pr_sha=123&pr_num=8&limit=3&offset=0"),
        (
            200,
            "start_time=2024-01-31T06%3A00%3A00%2B01%3A00&end_time=2024-02-29T06%3A00%3A00%2B00%3A00",
        ),
        (200, "include_tabular_nodes=true"),
    ]


def test_keyword_arguments_may_be_texts(hook: DatafoldHook, sandbox: Any) -> None:
    hook.toggle_monitor("2", enabled="False")
    hook.update_data_diff(1, archived="True", purged="false")
    hook.query_data_source("1", 7, params="('a', 5)")
    hook.list_audit_logs(start_date=MOMENT, end_date="2024-02-29T06:00:00Z")
    hook.trigger_ci(1, pr_number="8", pr_sha=123, base_sha="b2", pr_branch=5, base_branch="main")

    assert [json.loads(request.body) for request in sandbox.state.requests] == [
        {"enabled": False},
        {"archived": True, "purged": False},
        {"query": "7", "params": ["a", "5"]},
        {"start_date": "2024-01-31T06:00:00+01:00", "end_date": "2024-02-29T06:00:00+00:00"},
        {
            "pr_number": 8,
            "pr_sha": "123",
            "base_sha": "b2",
            "pr_branch": "5",
            "base_branch": "main",
        },
    ]


def test_what_was_given_stays_as_it_is(hook: DatafoldHook) -> None:
    given = {**DIFF, "table1": ("a",), "column_rules": [{"equal_if": 1}], "query1": OMITTED}
    before = {**given, "column_rules": [{"equal_if": 1}]}
    hook.create_data_diff(given)

    assert given == before


def test_the_mark_of_what_is_left_out_stays_itself_and_can_be_read() -> None:
    assert pickle.loads(pickle.dumps(OMITTED)) is OMITTED
    assert str(OMITTED) == "(not given)"
    assert repr(OMITTED) == "OMITTED"
    assert isinstance(OMITTED, Omitted)


def test_a_secret_in_a_text_is_taken_out_of_what_comes_back(
    hook: DatafoldHook, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_datafold.hooks import datafold

    masked: list[str] = []
    monkeypatch.setattr(
        datafold, "mask", lambda secrets: masked.extend(t for s in secrets for t in s.texts())
    )
    config = {
        **PG,
        "name": "my planted-secret-77",
        "options": {**OPTIONS, "password": "planted-secret-77"},
    }
    answer = hook.create_data_source(json.dumps(config))  # type: ignore[arg-type]

    assert answer["name"] == "my ***"
    assert "planted-secret-77" in masked
    assert json.loads(sandbox.state.requests[0].body)["options"]["password"] == "planted-secret-77"


def test_a_secret_may_be_left_out(hook: DatafoldHook, sandbox: Any) -> None:
    hook.create_integration("powerbi", {"client_secret": OMITTED, "name": "n"})

    assert arrived(sandbox) == {"name": "n"}
    assert list(secrets_in(conceal({"token": OMITTED}))) == []


@pytest.mark.parametrize(
    ("rendered", "meant"),
    [("None", None), (" None\n", None), (None, None), ("none", "none"), ("", ""), (0, 0)],
)
def test_null_is_told_from_texts(rendered: Any, meant: Any) -> None:
    assert fields.undo_none(rendered) == meant
