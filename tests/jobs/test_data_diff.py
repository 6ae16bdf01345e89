"""The body of a data diff's creation, from what Airflow rendered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.data_diff import creation, table_path
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


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in BODY.items() if name not in names}


class LazySequence(Sequence[str]):
    """What the XComs of a mapped task look like."""

    def __getitem__(self, index: Any) -> Any:
        return ["A", "B"][index]

    def __len__(self) -> int:
        return 2


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ("TABLE", ["TABLE"]),
        ("DB.SCHEMA.TABLE", ["DB", "SCHEMA", "TABLE"]),
        (" DB.SCHEMA.TABLE\n", ["DB", "SCHEMA", "TABLE"]),
        ("a b.c-d.é", ["a b", "c-d", "é"]),
        ('DB."my.table"', ["DB", "my.table"]),
        ("`my-project`.set.`a.b`", ["my-project", "set", "a.b"]),
        ('"DB"."S"."T"', ["DB", "S", "T"]),
        ('"a.b"', ["a.b"]),
        ('"say ""hi"""', ['say "hi"']),
        ("`a``b`.c", ["a`b", "c"]),
        ('"a`b"."c d "', ["a`b", "c d "]),
        ('DB."{x: 1}"', ["DB", "{x: 1}"]),
        ("X.XX", ["X", "XX"]),
        ("true", ["true"]),
        ("1.5", ["1", "5"]),
        ("None.None", ["None", "None"]),
        ("2024_01", ["2024_01"]),
        (["DB", "my.table"], ["DB", "my.table"]),
        (("DB", "T"), ["DB", "T"]),
        (LazySequence(), ["A", "B"]),
        ("['DB', 'my.table']", ["DB", "my.table"]),
        ('["DB", "my.table"]', ["DB", "my.table"]),
        ("('DB', 'T')", ["DB", "T"]),
        ("\n    ['DB', 'T']\n  ", ["DB", "T"]),
        ('["say \\"hi\\""]', ['say "hi"']),
        (["2024"], ["2024"]),
        ([2024], ["2024"]),
    ],
)
def test_a_table_is_parts_or_a_dotted_text(given: Any, parts: list[str]) -> None:
    assert table_path("table1", given) == parts


@pytest.mark.parametrize(
    "given",
    [
        "",
        "  ",
        ".",
        "A.",
        ".A",
        "A..B",
        "A. .B",
        'A."B',
        'A."B"C',
        'A"B"',
        "A.`B",
        'A.""',
        "[]",
        [],
        [""],
        ["A", " "],
        ["A", None],
        ["A", ["B"]],
        {"A": "B"},
        "{'A': 'B'}",
        "{'A', 'B'}",
        b"A.B",
        7,
        1.5,
        True,
        ["A", "B\0"],
    ],
    ids=repr,
)
def test_anything_else_is_no_table(given: Any) -> None:
    with pytest.raises(DatafoldInputError, match=r"^table2"):
        config(table2=given)


def test_a_wrong_table_is_shown_with_what_is_right() -> None:
    with pytest.raises(DatafoldInputError) as caught:
        config(table2="A..B")
    assert str(caught.value) == (
        "table2: must be a list of path parts or a dotted string, e.g. ['DB', 'SCHEMA', 'TABLE'] "
        "or 'DB.SCHEMA.TABLE' (quote a part that contains a dot: 'DB.\"my.table\"'), not 'A..B' "
        "(str). Nothing was sent."
    )


def test_the_least() -> None:
    assert config() == BODY


def test_all_arguments() -> None:
    more = {
        "include_columns": ["a"],
        "exclude_columns": ["b"],
        "filter1": "a > 1",
        "filter2": "a > 2",
        "tags": ["nightly"],
    }
    assert config(**more) == {**BODY, **more}


@pytest.mark.parametrize("none", [None, "None", " None "])
def test_null_params_are_left_out(none: Any) -> None:
    names = set(COMPARED) - set(LEAST)
    assert config(**dict.fromkeys(names, none), options={"lang": none}) == BODY
    assert config(none) == BODY


@pytest.mark.parametrize(
    "arguments",
    [
        {"data_source1_id": "1", "data_source2_id": " 2 "},
        {"pk_columns": "['id']", "table1": "['A', 'B']"},
        {"pk_columns": '["id"]'},
        {"pk_columns": ("id",)},
    ],
    ids=repr,
)
def test_undoes_what_templating_did(arguments: dict[str, Any]) -> None:
    assert config(**arguments) == BODY


@pytest.mark.parametrize(
    ("options", "fitted"),
    [
        ({"sampling_ratio": 0.1}, {"sampling_ratio": 0.1}),
        ({"sampling_ratio": "0.1"}, {"sampling_ratio": 0.1}),
        ({"compare_duplicates": "True"}, {"compare_duplicates": True}),
        ({"diff_tolerances_per_column": "[]"}, {"diff_tolerances_per_column": []}),
        ("{'materialize_dataset1': true}", None),
        ('{"materialize_dataset1": true}', {"materialize_dataset1": True}),
        ("{'materialize_dataset1': True}", {"materialize_dataset1": True}),
        ({"sampling_threshold": "1000"}, {"sampling_threshold": 1000}),
        ({}, {}),
    ],
    ids=repr,
)
def test_options(options: Any, fitted: dict[str, Any] | None) -> None:
    if fitted is None:
        with pytest.raises(DatafoldInputError, match="^options: must be an object"):
            config(options)
    else:
        assert config(options) == {**BODY, **fitted}


@pytest.mark.parametrize("kind", ["table", "query", "file"])
def test_each_side_is_one_thing(kind: str) -> None:
    side1 = {"table1": ["A", "B"], "query1": "SELECT 1", "file1": "s3://a"}
    name = f"{kind}1"
    arguments = {"table1": None, name: side1[name]}
    options = {name: arguments.pop(name)} if kind == "file" else None
    assert config(options, **arguments) == {**without("table1"), name: side1[name]}


@pytest.mark.parametrize(
    ("side", "given", "found"),
    [
        (1, {}, "none"),
        (2, {}, "none"),
        (1, {"table1": "A", "query1": "SELECT 1"}, "table1 and query1"),
        (2, {"table2": "A", "file2": "s3://a"}, "table2 and file2"),
        (2, {"query2": "SELECT 1", "file2": "s3://a"}, "query2 and file2"),
        (1, {"table1": "A", "query1": "SELECT 1", "file1": "x"}, "table1 and query1 and file1"),
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


@pytest.mark.parametrize("query", ["", "  \n", ["SELECT 1"], "SELECT\0"], ids=repr)
@pytest.mark.parametrize("side", [1, 2])
def test_a_query_is_a_text_that_is_not_blank(side: int, query: Any) -> None:
    with pytest.raises(DatafoldInputError, match=rf"^query{side}: must be a "):
        config(**{f"table{side}": None, f"query{side}": query})


@pytest.mark.parametrize("number", [0, -1, "x", "1/../2", True, 1.5, None, [1]], ids=repr)
@pytest.mark.parametrize("name", ["data_source1_id", "data_source2_id"])
def test_a_data_source_is_a_positive_integer(name: str, number: Any) -> None:
    with pytest.raises(DatafoldInputError, match=rf"^{name}: "):
        config(**{name: number})


@pytest.mark.parametrize("options", [{"infer_pk": True}, {"infer_pk": "True"}], ids=repr)
@pytest.mark.parametrize("columns", [None, [], "[]"])
def test_primary_keys_may_be_inferred(options: Any, columns: Any) -> None:
    assert config(options, pk_columns=columns)["infer_pk"] is True


@pytest.mark.parametrize("options", [None, {"infer_pk": False}, {"infer_pk": "False"}], ids=repr)
@pytest.mark.parametrize("columns", [None, [], "[]"])
def test_primary_keys_are_given_or_inferred(options: Any, columns: Any) -> None:
    with pytest.raises(DatafoldInputError, match=r"^pk_columns: must name the columns"):
        config(options, pk_columns=columns)


@pytest.mark.parametrize("name", COMPARED)
def test_an_option_that_has_an_argument_is_refused(name: str) -> None:
    with pytest.raises(DatafoldInputError) as caught:
        config({name: None})
    assert str(caught.value) == (
        f"options: {name!r} is an argument of the operator: pass {name}=... instead. "
        f"Nothing was sent."
    )


def test_an_unknown_option_is_named_with_the_nearest_one() -> None:
    with pytest.raises(DatafoldInputError) as caught:
        config({"sampling_ration": 0.1})
    assert str(caught.value) == (
        "options: has no field 'sampling_ration'; did you mean 'sampling_ratio'? Nothing was sent."
    )


@pytest.mark.parametrize(
    ("arguments", "options", "field"),
    [
        ({"pk_columns": "id"}, None, "pk_columns"),
        ({"pk_columns": [None]}, None, "pk_columns[0]"),
        ({"pk_columns": [" "]}, None, "pk_columns[0]"),
        ({"pk_columns": [" "]}, {"infer_pk": True}, "pk_columns[0]"),
        ({"pk_columns": ["id", "", "day"]}, None, "pk_columns[1]"),
        ({"pk_columns": "['id', '\\t']"}, None, "pk_columns[1]"),
        ({"include_columns": ["a", "\n"]}, None, "include_columns[1]"),
        ({"exclude_columns": [""]}, None, "exclude_columns[0]"),
        ({}, {"columns_to_compare": ["a", " "]}, "columns_to_compare[1]"),
        ({"tags": "nightly"}, None, "tags"),
        ({"include_columns": {"a": 1}}, None, "include_columns"),
        ({"filter1": ["a"]}, None, "filter1"),
        ({}, {"sampling_ratio": "much"}, "sampling_ratio"),
        ({}, {"compare_duplicates": "maybe"}, "compare_duplicates"),
        ({}, {"sampling_threshold": 1.5}, "sampling_threshold"),
        ({}, "compare_duplicates", "options"),
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
    parameters = {"password": "planted-password-3b8a", "role": "reader"}
    fitted = config({"data_source1_session_parameters": spell(parameters)})
    assert "planted-password-3b8a" not in repr(fitted)
    found = fitted["data_source1_session_parameters"]
    assert found["password"].reveal() == "planted-password-3b8a"
    assert found["role"] == "reader"


def test_all_arguments_are_templated() -> None:
    assert {*COMPARED, "options"} < set(DatafoldRunDataDiffOperator.template_fields)
