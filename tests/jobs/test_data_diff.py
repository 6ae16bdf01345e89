"""The body of a data diff's creation, from what Airflow rendered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_datafold.api.fields import table_path
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.data_diff import creation
from airflow_provider_datafold.jobs.gate.arguments import COMPARED
from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator

LEAST = {
    "data_source1_id": 1,
    "data_source2_id": 2,
    "table1": "A.B",
    "table2": "A.C",
    "pk_columns": ["id"],
}
BODY = {**LEAST, "table1": ["A", "B"], "table2": ["A", "C"]}


def config(options: Any = None, **arguments: Any) -> dict[str, Any]:
    made: dict[str, Any] = creation({**dict.fromkeys(COMPARED), **LEAST, **arguments}, options).body
    return made


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ("DB.SCHEMA.TABLE", ["DB", "SCHEMA", "TABLE"]),
        (" DB.SCHEMA.TABLE\n", ["DB", "SCHEMA", "TABLE"]),
        ('DB."my.table"', ["DB", "my.table"]),
        ('"say ""hi"""', ['say "hi"']),
        ("`a``b`.c", ["a`b", "c"]),
        ('"a`b"."c d "', ["a`b", "c d "]),
        ('DB."{x: 1}"', ["DB", "{x: 1}"]),
        ("None.None", ["None", "None"]),
        (("DB", "T"), ["DB", "T"]),
        ("['DB', 'my.table']", ["DB", "my.table"]),
    ],
)
def test_a_table_is_parts_or_a_dotted_text(given: Any, parts: list[str]) -> None:
    assert table_path("table1", given) == parts


@pytest.mark.parametrize(
    "given",
    [
        *("", ".", "A..B", "A. .B", 'A."B', 'A."B"C', 'A"B"', 'A.""'),
        *("[]", [], ["A", " "], ["A", None], ["A", 202401], "['A', 2024_01]", {"A": "B"}, b"A", 7),
    ],
    ids=repr,
)
def test_anything_else_is_no_table(given: Any) -> None:
    with pytest.raises(DatafoldInputError, match=r"^table2"):
        config(table2=given)


def test_all_arguments() -> None:
    more = {
        "include_columns": ["a"],
        "exclude_columns": ["b"],
        "filter1": "a > 1",
        "filter2": "a > 2",
        "tags": ["nightly"],
    }
    options = {"sampling_ratio": "0.1"}
    assert config(options, **more) == {**BODY, **more, "sampling_ratio": 0.1}


@pytest.mark.parametrize("none", [None, " None "])
def test_null_params_are_left_out(none: Any) -> None:
    names = set(COMPARED) - set(LEAST)
    assert config(**dict.fromkeys(names, none), options={"lang": none}) == BODY
    assert config(none) == BODY


def test_options_may_be_json() -> None:
    found = config('{"materialize_dataset1": true}', data_source1_id="1")
    assert found == {**BODY, "materialize_dataset1": True}


def test_each_side_is_one_thing() -> None:
    others = {name: item for name, item in BODY.items() if name != "table1"}
    query, file = {"query1": "SELECT 1"}, {"file1": "s3://a"}
    assert config(table1=None, **query) == {**others, **query}
    assert config(file, table1=None) == {**others, **file}


@pytest.mark.parametrize(
    ("side", "given", "found"),
    [
        (1, {}, "none"),
        (1, {"table1": "A", "query1": "SELECT 1"}, "table1 and query1"),
        (2, {"table2": "A", "file2": "s3://a"}, "table2 and file2"),
        (1, {"table1": "None", "query1": None}, "none"),
    ],
)
def test_exactly_one_of_table_query_and_file(side: int, given: dict[str, Any], found: str) -> None:
    file = f"file{side}"
    options = {file: given.pop(file)} if file in given else None
    with pytest.raises(DatafoldInputError) as caught:
        config(options, **{f"table{side}": None, **given})
    assert str(caught.value) == (
        f"table{side}: pass exactly one of table{side}, query{side} and options['{file}']; "
        f"found: {found}. Nothing was sent."
    )


@pytest.mark.parametrize("columns", [None, [], "[]"])
def test_primary_keys_are_given_or_inferred(columns: Any) -> None:
    for infer in (True, "True"):
        made = config({"infer_pk": infer}, pk_columns=columns, data_source2_id=1)
        assert made["infer_pk"] is True
    for options in (None, {"infer_pk": False}, {"infer_pk": "False"}):
        with pytest.raises(DatafoldInputError, match=r"^pk_columns: must name the columns"):
            config(options, pk_columns=columns)


QUERY = "SELECT 1"
QUERIES = {"table1": None, "query1": QUERY, "table2": None, "query2": QUERY}
ACROSS = "works across data sources only with a query on both sides"


@pytest.mark.parametrize(
    ("options", "arguments", "why"),
    [
        # Within one data source, and with two queries, it works.
        ({"infer_pk": True}, {"data_source2_id": 1}, None),
        ({"infer_pk": True}, {"data_source2_id": "1", "table1": None, "query1": QUERY}, None),
        ({"infer_pk": True}, QUERIES, None),
        ({"infer_pk": True, "infer_pk_avoid_names": ["a"]}, {"data_source2_id": 1}, None),
        ({"infer_pk_avoid_types": []}, {"pk_columns": ["id"]}, None),
        ({"infer_pk": True}, {}, f"infer_pk {ACROSS}"),
        ({"infer_pk": True}, {"table1": None, "query1": QUERY}, f"infer_pk {ACROSS}"),
        (
            {"infer_pk": True, "file1": "s3://a"},
            {"table1": None, "data_source2_id": 1},
            "infer_pk does not work with files",
        ),
        (
            {"infer_pk": True, "infer_pk_avoid_types": ["text"]},
            {"pk_columns": ["id"], "data_source2_id": 1},
            "infer_pk_avoid_types cannot be used with pk_columns: then no key is inferred",
        ),
        (
            {"infer_pk_avoid_names": ["a"]},
            {"pk_columns": ["id"]},
            "infer_pk_avoid_names needs infer_pk, too",
        ),
    ],
    ids=repr,
)
def test_a_key_is_inferred_only_where_the_contract_says_so(
    options: Any, arguments: dict[str, Any], why: str | None
) -> None:
    arguments = {"pk_columns": None, **arguments}
    if why is None:
        assert config(options, **arguments)
        return
    with pytest.raises(DatafoldInputError) as caught:
        config(options, **arguments)
    assert str(caught.value).startswith(f"options: {why}. Pass pk_columns instead; ")


@pytest.mark.parametrize("name", COMPARED)
def test_an_option_that_has_an_argument_is_refused(name: str) -> None:
    with pytest.raises(DatafoldInputError, match=f"pass {name}=... instead. Nothing was sent."):
        config({name: None})


@pytest.mark.parametrize(
    ("arguments", "options", "field"),
    [
        ({"table1": None, "query1": "  \n"}, None, "query1"),
        ({"table2": None, "query2": ["SELECT 1"]}, None, "query2"),
        ({"table2": "A..B"}, None, "table2"),
        ({"pk_columns": ["id", "", "day"]}, None, "pk_columns[1]"),
        # Native rendering made a number of 2024_01.
        ({"pk_columns": [202401]}, None, "pk_columns[0]"),
        ({"exclude_columns": [""]}, None, "exclude_columns[0]"),
        ({}, {"columns_to_compare": ["a", " "]}, "columns_to_compare[1]"),
        ({"data_source2_id": 0}, None, "data_source2_id"),
        # What the contract allows is checked, too.
        ({"tags": "nightly"}, None, "tags"),
        ({}, {"sampling_ratio": "much"}, "sampling_ratio"),
        ({}, {"sampling_ration": 0.1}, "options"),
        ({}, ["compare_duplicates"], "options"),
    ],
)
def test_a_wrong_value_is_named(arguments: dict[str, Any], options: Any, field: str) -> None:
    with pytest.raises(DatafoldInputError) as caught:
        config(options, **arguments)
    assert str(caught.value).startswith(f"{field}: ")
    assert str(caught.value).endswith("Nothing was sent.")


@pytest.mark.parametrize("spell", [dict, json.dumps, repr], ids=["object", "JSON", "repr"])
def test_a_secret_stays_concealed(spell: Any) -> None:
    fitted = config({"data_source1_session_parameters": spell({"password": "planted-password"})})
    assert "planted-password" not in repr(fitted)
    found = fitted["data_source1_session_parameters"]["password"]
    assert found.reveal() == "planted-password"


def test_all_arguments_are_templated() -> None:
    assert {*COMPARED, "options"} < set(DatafoldRunDataDiffOperator.template_fields)
