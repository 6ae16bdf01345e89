from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest

from airflow_provider_datafold import fields
from airflow_provider_datafold.exceptions import DatafoldInputError

BINDINGS = [{"remoteId": "1", "boundIds": [1, 2]}]


class Lazy(Sequence):  # as Airflow hands out the results of a mapped task
    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)


def message(check: Any, *arguments: Any) -> str:
    with pytest.raises(DatafoldInputError) as caught:
        check(*arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "result"), [("None", None), (" None\n", None), ("none", "none"), (None, None), (5, 5)]
)
def test_undo_none(value: Any, result: Any) -> None:
    assert fields.undo_none(value) == result


@pytest.mark.parametrize("value", [7, "7", " 7 ", "007"])
def test_positive_integer(value: Any) -> None:
    number = fields.positive_integer("id", value)
    assert number == 7
    assert type(number) is int


def test_positive_integer_may_be_one_and_large() -> None:
    assert fields.positive_integer("id", 1) == 1
    assert fields.positive_integer("id", "9" * 19) == 10**19 - 1


@pytest.mark.parametrize(
    "value",
    [0, -1, "0", "-7", "+7", "7.0", "7_0", "٧", "", " ", "7/../9", "7 9", "9" * 20, "9" * 5000]
    + [True, False, None, 7.0, math.nan, [7], {"id": 7}, b"7", Fraction(7)],
)
def test_no_positive_integer(value: Any) -> None:
    assert message(fields.positive_integer, "id", value).startswith("id: is ")


def test_error_names_the_field_shows_the_value_and_says_what_is_wanted() -> None:
    assert message(fields.positive_integer, "bi_datasource_id", "x") == (
        "bi_datasource_id: is 'x' (str); wanted: a positive integer such as 7, or its text. "
        "Nothing was sent."
    )


def test_error_does_not_show_all_of_a_long_value() -> None:
    assert len(message(fields.positive_integer, "id", "x" * 10_000)) < 300
    assert len(message(fields.positive_integer, "id", [["y" * 1000] * 1000] * 1000)) < 3000


@pytest.mark.parametrize(
    ("value", "result"), [("x", "x"), ("", ""), (5, "5"), (-5, "-5"), (1.5, "1.5")]
)
def test_text(value: Any, result: str) -> None:
    assert fields.text("name", value) == result


@pytest.mark.parametrize("value", [True, math.nan, math.inf, [], {}, b"x"])
def test_no_text(value: Any) -> None:
    said = message(fields.text, "name", value)
    assert said.startswith("name: is ")
    assert "wanted: a text." in said


@pytest.mark.parametrize("value", [0, -7, "-7", " 7 ", 10**18])
def test_integer(value: Any) -> None:
    number = fields.integer("repo_id", value)
    assert number == int(value)
    assert type(number) is int


@pytest.mark.parametrize("value", [True, 1.0, "1.0", "", "x", None, [1]])
def test_no_integer(value: Any) -> None:
    said = message(fields.integer, "repo_id", value)
    assert said.startswith("repo_id: is ")
    assert "wanted: an integer." in said


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (["a", "b"], ["a", "b"]),
        (Lazy(["a"]), ["a"]),
        ("['a', 'b']", ["a", "b"]),
        ('["a"]', ["a"]),
        ((5,), ["5"]),
        ([], []),
    ],
)
def test_texts(value: Any, result: list[str]) -> None:
    assert fields.texts("project_ids", value) == result


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("a", "project_ids: is 'a' (str); wanted: a list like ['a', 'b']. Nothing was sent."),
        (None, "project_ids: is None (NoneType); wanted: a list like ['a', 'b']. Nothing was"),
        (["a", None], "project_ids[1]: is None (NoneType); wanted: a text. Nothing was sent."),
    ],
)
def test_no_texts(value: Any, said: str) -> None:
    assert message(fields.texts, "project_ids", value).startswith(said)


def test_one_of() -> None:
    check = fields.one_of("a", "b")
    assert check("kind", "b") == "b"
    for value in ("c", "", None, ["a"]):
        assert message(check, "kind", value) == (
            f"kind: is {value!r} ({type(value).__name__}); wanted: one of 'a', 'b'. "
            f"Nothing was sent."
        )


def test_mapping() -> None:
    config = {"name": "n"}
    assert fields.mapping("config", config) is config
    assert message(fields.mapping, "config", []) == (
        "config: is of type list; wanted: an object like {'indexing_cron': '0 6 * * *'}. "
        "Nothing was sent."
    )


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("0 6 * * *", "0 6 * * *"),
        ("  0\t6  * * *\n", "0 6 * * *"),
        ("*/15 0-5 1,15 JAN-MAR mon-fri", "*/15 0-5 1,15 JAN-MAR mon-fri"),
        ("0 0 L * *", "0 0 L * *"),
        ("0 0 * APR FRI", "0 0 * APR FRI"),
    ],
)
def test_indexing_cron(value: Any, result: str) -> None:
    assert fields.indexing_cron("indexing_cron", value) == result


@pytest.mark.parametrize(
    "value",
    ["", " ", "0 6 * *", "0 0 6 * * *", "@daily", "60 * * * *", "x * * * *", "* * * * * 2030"]
    + [
        "R * * * *",
        "0 r(1-5) * * *",
        "* * * * MON#9",
        "٠ 6 * * *",
        "None",
        5,
        True,
        None,
        ["0 6 * * *"],
    ],
)
def test_no_indexing_cron(value: Any) -> None:
    said = message(fields.indexing_cron, "indexing_cron", value)
    assert said.startswith(f"indexing_cron: is {value!r} (")
    assert "a cron expression of five fields such as '0 6 * * *'" in said


@pytest.mark.parametrize(
    "value",
    [
        BINDINGS,
        tuple(BINDINGS),
        Lazy(BINDINGS),
        str(BINDINGS),
        f"\n    {BINDINGS}\n",
        '[{"remoteId": "1", "boundIds": [1, 2]}]',
        ["{'remoteId': '1', 'boundIds': [1, 2]}"],
        [{"remoteId": 1, "boundIds": ["1", " 2 "]}],
        [{"remoteId": "1", "boundIds": (1, 2)}],
        [{"remoteId": "1", "boundIds": "[1, 2]"}],
        [{"remoteId": "1", "boundIds": Lazy([1, 2])}],
        [{"remoteId": "1", "boundIds": [1, 2], "id": 5}],
    ],
)
def test_bindings(value: Any) -> None:
    checked = fields.bindings("bindings", value)
    assert checked == BINDINGS
    assert [type(bound_id) for bound_id in checked[0]["boundIds"]] == [int, int]


def test_bindings_may_be_empty_and_bound_ids_negative() -> None:
    assert fields.bindings("bindings", []) == []
    assert fields.bindings("bindings", "[]") == []
    assert fields.bindings("bindings", [{"remoteId": "", "boundIds": [-1, 0, "-5"]}]) == [
        {"remoteId": "", "boundIds": [-1, 0, -5]}
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "bindings: is None (NoneType); wanted: a list like [{'remoteId': '1'"),
        (BINDINGS[0], "bindings: is {"),
        ("", "bindings: is '' (str)"),
        ("[", "bindings: is '[' (str)"),
        ("(" * 100_000, "bindings: is '((("),
        ("__import__('os').getcwd()", "bindings: is "),
        (b"[]", "bindings: is b'[]' (bytes)"),
        (bytearray(b"[]"), "bindings: is bytearray"),
        ({1, 2}, "bindings: is {1, 2} (set)"),
        ([7], "bindings[0]: is 7 (int); wanted: an object with remoteId and boundIds."),
        ([*BINDINGS, None], "bindings[1]: is None (NoneType)"),
        (
            [{"boundIds": [1]}],
            "bindings[0].remoteId: is missing in {'boundIds': [1]} (dict); want",
        ),
        (
            [{"remoteId": "1"}],
            "bindings[0].boundIds: is missing in {'remoteId': '1'} (dict); wanted: an",
        ),
        ([{"remoteId": None, "boundIds": []}], "bindings[0].remoteId: is None (NoneType)"),
        ([{"remoteId": True, "boundIds": []}], "bindings[0].remoteId: is True (bool)"),
        ([{"remoteId": "1", "boundIds": 5}], "bindings[0].boundIds: is 5 (int); wanted: a list of"),
        ([{"remoteId": "1", "boundIds": "12"}], "bindings[0].boundIds: is '12' (str)"),
        ([{"remoteId": "1", "boundIds": [1, True]}], "bindings[0].boundIds[1]: is True (bool)"),
        (
            [{"remoteId": "1", "boundIds": [2.0]}],
            "bindings[0].boundIds[0]: is 2.0 (float); wanted: an integer.",
        ),
        ([{"remoteId": "1", "boundIds": ["x"]}], "bindings[0].boundIds[0]: is 'x' (str); wanted: "),
        ([{"remoteId": "1", "boundIds": [None]}], "bindings[0].boundIds[0]: is None"),
    ],
)
def test_no_bindings(value: Any, said: str) -> None:
    assert message(fields.bindings, "bindings", value).startswith(said)


def test_path() -> None:
    assert fields.path("path", "/a/b?c=d") == "/a/b?c=d"
    for value in ("a", None, "/ü"):
        assert message(fields.path, "path", value).endswith(
            f" is {value!r} ({type(value).__name__}); wanted: a path such as "
            f"'/api/v1/lineage/bi/'. Nothing was sent."
        )


def test_secret() -> None:
    assert fields.secret("token", " abc\n") == "abc"
    for value in ("", " \n", None, 5):
        assert message(fields.secret, "token", value) == (
            "token: is empty or no text. Nothing was sent."
        )
