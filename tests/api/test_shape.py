"""Bodies held against their shapes in the contract, and what templating did to them undone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pytest

from airflow_provider_datafold.api import ci, data_diffs, data_sources, monitors, shape
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.omitted import OMITTED
from airflow_provider_datafold.redaction.secret import Secret, conceal, encode
from tests import bodies
from tests.api.test_fields import Lazy
from tests.calls import WITH_BODY, Row, declared, named

SECRET = "planted-secret-5b0e"
MOMENT = datetime(2024, 1, 31, 6, tzinfo=timezone(timedelta(hours=1)))
SIDE = {"connection_id": 1, "table": "T"}
OPTIONS = {"host": "h", "user": "u", "dbname": "d"}
PAIR = {"prod": "a", "pr": "b"}

Asked = tuple[Any, Any]
"""An operation and a body for it."""
Ask = Callable[..., Asked]


def diff(**fields: Any) -> Asked:
    return data_diffs.CREATE, {"data_source1_id": 1, "data_source2_id": 2, **fields}


def monitor(kind: str, **fields: Any) -> Asked:
    return monitors.CREATE[kind], {"name": "n", "schedule": {"type": "none"}, **fields}


def compared(**fields: Any) -> Asked:
    sides = {"dataset_a": SIDE, "dataset_b": SIDE}
    datadiff = {"diff_type": "indb", "primary_key": ["id"], **sides, **fields}
    return monitor("diff", datadiff=datadiff)


def metric(**fields: Any) -> Asked:
    found = {"type": "table", "metric": "row_count"}
    return monitor("metric", connection_id=1, **{"metric": found, **fields})


def checked(**fields: Any) -> Asked:
    return monitor("test", connection_id=1, query="select 1", **fields)


def variable(**fields: Any) -> Asked:
    return checked(test={"type": "unique", "variables": {"v": fields}})


def source(**fields: Any) -> Asked:
    return data_sources.CREATE, {"type": "pg", "name": "n", **fields}


def options(**fields: Any) -> Asked:
    return source(options={**OPTIONS, **fields})


def automatic(sensitivity: Any) -> dict[str, Any]:
    return {"type": "automatic", "sensitivity": sensitivity}


def changes(**fields: Any) -> Asked:
    return ci.UPLOAD, [{**PAIR, **fields}]


def mapped(pair: list[str]) -> Asked:
    return diff(column_mapping=[["a", "b"], pair])


def without(asked: Asked, *path: str) -> Asked:
    """Leave one field out of a body."""

    def cut(body: Any, name: str, *rest: str) -> Any:
        if rest:
            return {**body, name: cut(body[name], *rest)}
        return {key: value for key, value in body.items() if key != name}

    return asked[0], cut(asked[1], *path)


def step(result: Any) -> dict[str, Any]:
    """The only thing in the contract that may be anything."""
    results = [{"step": "connection", "status": "done", "result": result}]
    return {"last_test": {"tested_at": "2024-01-31T06:00:00+00:00", "results": results}}


def fitted(asked: Asked) -> Any:
    operation, body = asked
    return operation.fit(conceal(body))


def written(body: Any) -> Any:
    """Return what arrives, with its types: in Python, but not in JSON, 1 is True and 1.0."""
    return json.dumps(json.loads(encode(body).reveal()), sort_keys=True)


Fields = dict[str, Any]


def same(ask: Ask, **fields: Any) -> tuple[Ask, Fields, Fields]:
    """What stays as it is."""
    return ask, fields, fields


MEANT: list[tuple[Ask, Fields, Fields]] = [
    (changes, {"pk": "['a', 'b']"}, {"pk": ["a", "b"]}),
    # A number or a boolean as a string.
    (diff, {"bisection_factor": " 7\n"}, {"bisection_factor": 7}),
    (diff, {"purged": "False"}, {"purged": False}),
    # A list as a string, or another sequence.
    (diff, {"table1": "\n    ['DB', 'T']\n"}, {"table1": ["DB", "T"]}),
    (diff, {"table1": Lazy("DB", 5)}, {"table1": ["DB", "5"]}),
    (
        diff,
        {"column_mapping": ["['a', 5]", ("b", 6)]},
        {"column_mapping": [["a", "5"], ["b", "6"]]},
    ),
    # An object as a string, or another mapping.
    (source, {"options": json.dumps(OPTIONS)}, {"options": OPTIONS}),
    (source, {"options": MappingProxyType(OPTIONS)}, {"options": OPTIONS}),
    (diff, {"file1_options": "{'file_type': 'csv'}"}, {"file1_options": {"file_type": "csv"}}),
    (diff, {"column_rules": ['{"equal_if": "x"}']}, {"column_rules": [{"equal_if": "x"}]}),
    (
        compared,
        {"dataset_a": "{'connection_id': '1', 'query': 'q'}"},
        {"dataset_a": {"connection_id": 1, "query": "q"}},
    ),
    (
        checked,
        {"notifications": "[{'type': 'webhook', 'integration': '1'}]"},
        {"notifications": [{"type": "webhook", "integration": 1}]},
    ),
    # Null as a string, if the field takes no other string.
    *((diff, {"bisection_factor": null}, {"bisection_factor": None}) for null in ("None", "null")),
    (diff, {"table1": "None"}, {"table1": None}),
    same(diff, filter1="None"),
    # A string that became a number.
    (diff, {"query1": -1.5}, {"query1": "-1.5"}),
    (diff, {"pk_columns": [1, 2.5, "x"]}, {"pk_columns": ["1", "2.5", "x"]}),
    # A string that stays one, although it looks like something else.
    *(same(diff, query1=text) for text in ("7", "[1]", " True ", '{"a": 1}', "")),
    *(same(source, **step(any_)) for any_ in ('{"a": 1}', "None", [1, "7"], None)),
    # What may have several types.
    *(same(variable, value=value) for value in ("7", "[1]", "None", 7, 7.5)),
    *(same(variable, value=value) for value in ([1, 2], [1, "a", 0.5], ["1", "2"], [])),
    (variable, {"value": (1, 0.5)}, {"value": [1, 0.5]}),
    (
        diff,
        {"data_source1_session_parameters": "{'a': '7', 'b': [True, None]}"},
        {"data_source1_session_parameters": {"a": "7", "b": [True, None]}},
    ),
    # A date and time.
    *(
        (diff, {name: MOMENT}, {name: "2024-01-31T06:00:00+01:00"})
        for name in ("time_interval_start", "time_travel_point1")
    ),
    # The ends of a range.
    (metric, {"alert": automatic("100")}, {"alert": automatic(100)}),
    same(metric, alert=automatic(0)),
    # Names that the user chose and that look like those of secrets.
    same(compared, column_remapping={"token": " a "}),
    (source, {"groups": {"password": "True"}}, {"groups": {"password": True}}),
    same(checked, test={"type": "unique", "variables": {"secret": {"value": [1]}}}),
    same(diff, data_source1_session_parameters={"password": {"a": 1}, "token": None}),
    # Omitted fields.
    (diff, {"query1": OMITTED, "no_such_field": OMITTED}, {}),
    (compared, {"sampling": {"rate": 1, "threshold": OMITTED}}, {"sampling": {"rate": 1}}),
    (
        checked,
        {"schedule": {"type": OMITTED, "cron": "* * * * *"}},
        {"schedule": {"cron": "* * * * *"}},
    ),
]


@pytest.mark.parametrize(("ask", "given", "meant"), MEANT, ids=lambda value: None)
def test_a_field_is_sent_as_it_was_meant(ask: Ask, given: Fields, meant: Fields) -> None:
    assert written(fitted(ask(**given))) == written(ask(**meant)[1])


@pytest.mark.parametrize("form", [dict, repr, json.dumps, MappingProxyType, lambda d: f"\n {d}\n"])
@pytest.mark.parametrize("asked", [diff(), options(password=SECRET), checked(), variable(value=1)])
def test_a_whole_body_may_be_a_text(form: Any, asked: Asked) -> None:
    operation, body = asked
    found = fitted((operation, form(body)))
    assert written(found) == written(body)
    assert SECRET not in repr(found)


def test_a_shape_that_the_contract_names_is_a_check() -> None:
    check = shape.named("DayIntervalSchedule")
    meant = {"every": "day", "hour": 6}
    assert check("it", "{'every': 'day', 'hour': '6'}") == meant
    with pytest.raises(DatafoldInputError, match=r"^it\.every: must be one of 'day', not 'week'"):
        check("it", {"every": "week"})
    with pytest.raises(DatafoldInputError, match=r"^it\.utc_at: must be a time of day"):
        check("it", {"every": "day", "utc_at": "25:00"})


def test_only_what_the_contract_calls_a_secret_is_one() -> None:
    groups = {"password": Secret("true"), "token": Secret(False)}
    found = fitted(source(groups=groups, options=json.dumps({**OPTIONS, "password": "secret"})))
    assert found["groups"] == {"password": True, "token": False}
    # That is one, though it came inside of a text.
    assert repr(found["options"]["password"]) == "***"
    # And so may be what is under its name in any value.
    for given in ({"password": Secret("abc")}, "{'password': 'abc'}"):
        found = fitted(diff(data_source1_session_parameters=given))
        assert repr(found["data_source1_session_parameters"]) == "{'password': ***}"


# What is wrong.

STRING = "must be a string, not "
INTEGER = "must be an integer, not "
OBJECT = "must be an object, not a value of type "
HIDDEN = "must be a non-empty string."
UNKNOWN = "has no field "

WRONG: list[tuple[str, Asked]] = [
    # Something that is required is missing.
    ("data_source1_id: is missing.", (data_diffs.CREATE, {})),
    ("datadiff.dataset_b: is missing.", without(compared(), "datadiff", "dataset_b")),
    ("datadiff.dataset_a.table: is missing.", compared(dataset_a={"connection_id": 1})),
    ("column_rules[1].equal_if: is missing.", diff(column_rules=[{"equal_if": "a"}, {}])),
    ("options.dbname: is missing.", without(options(), "options", "dbname")),
    # Another type.
    ("table1: must be a list, not 'DB.PUBLIC.T' (str)", diff(table1="DB.PUBLIC.T")),
    (f"data_source1_id: {INTEGER}1.5 (float)", diff(data_source1_id=1.5)),
    (f"file1_options: {OBJECT}str.", diff(file1_options="csv")),
    (f"time_travel_point1: {INTEGER}{{'a': 1}} (dict)", diff(time_travel_point1={"a": 1})),
    (f"test.variables.v.value[1]: {STRING}None (NoneType)", variable(value=["a", None])),
    (f"test.variables.v.value[1]: {INTEGER}True (bool)", variable(value=["a", True])),
    ("time_interval_start: must be a date and time with", diff(time_interval_start="2024-01-31")),
    (f"config: {OBJECT}str.", (data_diffs.CREATE, "all of it")),
    (
        f"notifications[1].recipients[0]: {STRING}{{'a': 1}} (dict)",
        checked(notifications=[{"type": "email", "recipients": [it]} for it in ("a", {"a": 1})]),
    ),
    # Null in a field that does not accept it.
    (f"name: {STRING}None (NoneType)", checked(name=None)),
    # Not one of the choices.
    ("time_aggregate: must be one of 'minute', 'hour', 'day', ", diff(time_aggregate="fortnight")),
    # The field that selects a shape.
    ("type: must be one of 'athena', ", source(type="x")),
    (
        "file1_options.file_type: must be one of 'csv', 'excel', 'parquet', not 'xls' (str)",
        diff(file1_options={"file_type": "xls"}),
    ),
    (
        "schedule.type: must be one of 'crontab', 'none', or left out if you pass 'interval', not ",
        checked(schedule={"type": "weekly"}),
    ),
    (
        "schedule.interval.every: must be one of 'day', not 'hour' (str)",
        checked(schedule={"interval": {"type": "daily", "every": "hour", "utc_at": None}}),
    ),
    (
        "metric: has no 'type', which must be one of 'column', 'custom', 'table'.",
        metric(metric={"metric": "row_count"}),
    ),
    (
        f"schedule: {UNKNOWN}'cron'; its fields are type.",
        checked(schedule={"type": "none", "cron": "* * * * *"}),
    ),
    # An unknown field.
    (f"options: {UNKNOWN}'hots'; did you mean 'host'?", options(hots="h")),
    (
        f"datadiff.dataset_a: {UNKNOWN}'sesion_parameters'; did you mean 'session_parameters'?",
        compared(dataset_a={"connection_id": 1, "query": "q", "sesion_parameters": {}}),
    ),
    (f"config: {UNKNOWN}'colour'; its fields are ", diff(colour="red")),
    (f"spec: {UNKNOWN}'connection_id'", (monitors.UPDATE, {"type": "test", "connection_id": 1})),
    (f"options: {UNKNOWN}'host'; it takes no fields.", source(type="duckdb", options=OPTIONS)),
    (f"groups: {UNKNOWN}1; field names must be strings.", source(groups={1: True})),
    # Duplicates, too many, too few, too long, too short, out of range.
    *(
        (f"column_mapping[1]: must be a list of 2 items, not {wrong} (list)", mapped(wrong))
        for wrong in (["a"], ["a", "b", "c"])
    ),
    ("changes[0].pk: must not contain duplicates, not ['1', '1'] (list)", changes(pk=["1", 1])),
    ("options.host: must have at most 128 characters, not 129.", options(host="h" * 129)),
    (
        "column_rules[0].column: must not be empty, not '' (str)",
        diff(column_rules=[{"equal_if": "x", "column": ""}]),
    ),
    ("alert.sensitivity: must be at most 100, not 101 (int)", metric(alert=automatic(101))),
    ("alert.sensitivity: must be at least 0, not -1 (int)", metric(alert=automatic("-1"))),
    # A secret, which is not shown.
    *(
        (f"options.password: {HIDDEN}", options(password=wrong))
        for wrong in (5_0_0_5, [SECRET], {"x": SECRET}, "", " \n")
    ),
    (
        f"options.password: {HIDDEN}",
        (data_sources.CREATE, str(source(options={"password": {"x": SECRET}})[1])),
    ),
]


@pytest.mark.parametrize(("said", "asked"), WRONG, ids=[said[:60] for said, _ in WRONG])
def test_what_does_not_fit_is_refused(said: str, asked: Asked) -> None:
    with pytest.raises(DatafoldInputError) as caught:
        fitted(asked)

    assert str(caught.value).startswith(said)
    assert str(caught.value).endswith("Nothing was sent.")
    assert len(str(caught.value)) < 2000
    shown = [str(caught.value), repr(caught.value)]
    error: BaseException | None = caught.value
    while error is not None:
        shown += map(repr, error.args)
        error = error.__cause__ or error.__context__
    assert not re.search(f"{SECRET}|5005", "".join(shown))


REQUIRED = [
    pytest.param(row, body, name, id=f"{named(row)}-{name}")
    for row in WITH_BODY
    for body in bodies.minimal(row.asked)
    if isinstance(body, dict)
    for name in body
]


@pytest.mark.parametrize(("row", "body", "name"), REQUIRED)
def test_each_required_field_is_missed(row: Row, body: Any, name: str) -> None:
    with pytest.raises(DatafoldInputError, match=rf"^{name}: is missing|: has no '{name}'"):
        fitted(without((declared(row), body), name))
