"""Values held against shapes of the contract, and what templating did to them undone."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.api import shape
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.omitted import OMITTED
from airflow_provider_datafold.redaction.secret import Secret

SOURCES = {"data_source1_id": 1, "data_source2_id": 2, "pk_columns": ["id"]}
SIDE = {"connection_id": 1, "table": "a"}


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        # A template makes text of everything.
        ("DayIntervalSchedule", "{'every': 'day', 'hour': 6}", {"every": "day", "hour": 6}),
        ("DayIntervalSchedule", {"every": "day", "hour": "6"}, {"every": "day", "hour": 6}),
        ("DayIntervalSchedule", {"every": "day", "hour": None}, {"every": "day", "hour": None}),
        ("DayIntervalSchedule", {"every": "day", "hour": "None"}, {"every": "day", "hour": None}),
        ("DayIntervalSchedule", {"every": "day", "hour": OMITTED}, {"every": "day"}),
        ("SDTVariable", {"value": "7"}, {"value": "7"}),
        ("SDTVariable", {"value": "None"}, {"value": "None"}),
        ("SDTVariable", {"value": (1, 2)}, {"value": [1, 2]}),
        ("SDTVariable", {"value": 7}, {"value": 7}),
        ("SDTVariable", {"value": 7.5}, {"value": 7.5}),
        ("SDTVariable", {"value": [1, 2]}, {"value": [1, 2]}),
        ("SDTVariable", {"value": ("a", "b")}, {"value": ["a", "b"]}),
        ("SDTVariable", {"value": ["a", 1]}, {"value": ["a", 1]}),
        ("SDTVariable", {"value": "a", "quote": "False"}, {"value": "a", "quote": False}),
    ],
)
def test_a_value_that_fits(name: str, value: Any, wanted: Any) -> None:
    found = shape.named(name)("it", value)
    assert found == wanted
    assert repr(found) == repr(wanted)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DayIntervalSchedule", {"every": "week"}, "it.every: must be one of 'day'"),
        ("DayIntervalSchedule", {}, "it.every: is missing. Nothing was sent."),
        ("DayIntervalSchedule", {"every": OMITTED}, "it.every: is missing. Nothing was sent."),
        ("DayIntervalSchedule", {"every": "day", "utc_at": "25:00"}, "it.utc_at: must be a time"),
        ("DayIntervalSchedule", {"every": "day", "hours": 1}, "it: has no field 'hours'; did you"),
        ("DayIntervalSchedule", {"every": "day", "x": 1}, "it: has no field 'x'; its fields are "),
        ("DayIntervalSchedule", {"every": "day", 7: 1}, "it: has no field 7; its fields are "),
        ("DayIntervalSchedule", {"every": "day", "hour": "six"}, "it.hour: must be an integer"),
        ("DayIntervalSchedule", [], "it: must be an object, not a value of type list"),
        ("ApiDownloadAuditLogs", {"start_date": "soon"}, "it.start_date: must be a date"),
        ("SDTVariable", {"value": {}}, "it.value: must be"),
        ("SDTVariable", {"value": True}, "it.value: must be"),
        ("SDTVariable", {"value": [True]}, "it.value"),
    ],
)
def test_a_value_that_does_not_fit(name: str, value: Any, message: str) -> None:
    with pytest.raises(DatafoldInputError) as caught:
        shape.named(name)("it", value)
    assert str(caught.value).startswith(message)


def fitted(**fields: Any) -> Any:
    return shape.fit("POST", "/api/v1/datadiffs", "options", {**SOURCES, **fields})


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"column_mapping": [("a", "b")]}, {"column_mapping": [["a", "b"]]}),
        ({"column_mapping": "[['a', 'b']]"}, {"column_mapping": [["a", "b"]]}),
        ({"diff_tolerance": "0.5"}, {"diff_tolerance": 0.5}),
        ({"archived": "true"}, {"archived": True}),
        (
            {"data_source1_session_parameters": {"a": {"b": [1]}}},
            {"data_source1_session_parameters": {"a": {"b": [1]}}},
        ),
        (
            {"data_source1_session_parameters": "{'a': 1}"},
            {"data_source1_session_parameters": {"a": 1}},
        ),
    ],
)
def test_a_body_that_fits(fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert fitted(**fields) == {**SOURCES, **wanted}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"column_mapping": [["a"]]}, "column_mapping[0]: must be a list of 2 items"),
        ({"column_mapping": [["a", []]]}, "column_mapping[0][1]: must be a string"),
        ({"pk_column": ["a"]}, "options: has no field 'pk_column'; did you mean 'pk_columns'?"),
        ({"file1": ""}, "file1: must not be empty"),
        ({"file1_options": {}}, "file1_options: has no 'file_type', which must be one of 'csv', "),
        (
            {"file1_options": {"file_type": "cvs"}},
            "file1_options.file_type: must be one of 'csv', 'excel', 'parquet'",
        ),
        (
            {"file1_options": {"file_type": "csv", "sheet": "a"}},
            "file1_options: has no field 'sheet'",
        ),
    ],
)
def test_a_body_that_does_not_fit(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(DatafoldInputError) as caught:
        fitted(**fields)
    assert str(caught.value).startswith(message)


def test_a_name_that_only_looks_like_that_of_a_secret() -> None:
    groups = {"password": Secret("true"), "token": Secret(False)}
    source = shape.named("ApiDataSourcePostgres")(
        "it",
        {
            "name": "a",
            "type": "pg",
            "groups": groups,
            "options": {"host": "db", "dbname": "d", "user": "u", "password": "secret"},
        },
    )
    assert source["groups"] == {"password": True, "token": False}
    # That is one, though it came as plain text.
    assert repr(source["options"]["password"]) == "***"


def test_any_value_keeps_a_secret() -> None:
    parameters = {"password": Secret("abc")}
    assert repr(fitted(data_source1_session_parameters=parameters)) == repr(
        {**SOURCES, "data_source1_session_parameters": parameters}
    )
