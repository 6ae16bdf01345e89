"""The checks of single fields, of a request's address, and of an integration's bindings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timezone
from enum import Enum
from fractions import Fraction
from typing import Any

import pytest

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.api.bi import bindings
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.redaction.secret import Secret
from tests.conftest import TOKEN

LARGEST = 2**63 - 1
BINDINGS = [{"remoteId": "1", "boundIds": [1, 2]}]


from_2_to_5 = fields.between(2, 5)
first_or_3 = fields.one_of("first", 3)


class Colour(str, Enum):
    RED = "red"


class Lazy(Sequence[Any]):
    """A sequence like the results of a mapped task."""

    def __init__(self, *items: Any) -> None:
        self._items = items

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)


UNCHANGED: list[tuple[fields.Check, list[Any]]] = [
    (fields.integer, [0, LARGEST, -LARGEST]),
    (from_2_to_5, [2, 5]),
    (fields.number, [0, 7, -1.5, LARGEST, 1e300]),
    (fields.positive_number, [1, 0.001]),
    (fields.share, [0, 1, 0.5]),
    (fields.boolean, [True, False]),
    (fields.text, ["", " x ", "ü", "\N{PILE OF POO}"]),
    (fields.time_of_day, ["06:30:00", "06:30", "06:30:00Z", "06:30:00z", "06:30:00+01:00"]),
    (first_or_3, ["first", 3]),
    (fields.sha, ["0123456789abcdefABCDEF", "a" * 7, "a" * 64]),
    (fields.path, ["/", "/a/b?c=d&e=%20", "/!~", "/.a/..b/c..", "/a?b=..", "/..."]),
    (fields.path_part, ["a/b", "...", " ", "%2e"]),
    (fields.mapping, [{}, {"a": None}]),
    (fields.sequence, [[], [1], (1, "a")]),
    (bindings, [[], [{"remoteId": "", "boundIds": [-1, 0]}]]),
]

ACCEPTED: list[tuple[fields.Check, Any, list[Any]]] = [
    (fields.positive_integer, 1, [1, "1"]),
    (fields.positive_integer, 7, [7, "7", " 7\n", "007"]),
    (fields.positive_integer, LARGEST, [LARGEST, str(LARGEST)]),
    (fields.integer, -7, ["-7", " -7 "]),
    (fields.integer, -LARGEST, [str(-LARGEST)]),
    (from_2_to_5, 3, ["3"]),
    (fields.number, 7, ["7", " 7 "]),
    (fields.number, -7, ["-7"]),
    (fields.number, 0.5, ["0.5", "5e-1", "5E-1", "0.05e+1", "0.005e2"]),
    (fields.number, -0.5, [" -0.5 "]),
    (fields.positive_number, 0.001, ["0.001"]),
    (fields.share, 1, ["1"]),
    (fields.boolean, True, ["true", " TRUE\n"]),
    (fields.boolean, False, ["false", "False"]),
    (fields.text, "red", [Colour.RED]),
    (fields.text, "1.5", [1.50]),
    (fields.text, "-5", [-5]),
    (fields.texts, ["a", "5"], [("a", 5), Lazy("a", 5), "['a', 5]", ' ["a", "5"]\n']),
    (
        fields.date_time,
        "2024-01-31T06:00:00+00:00",
        [datetime(2024, 1, 31, 6, tzinfo=timezone.utc), "2024-01-31T06:00:00Z"]
        + ["2024-01-31T06:00:00z", " 2024-01-31 06:00:00+00:00\n"],
    ),
    (fields.time_of_day, "06:30", [" 06:30\n"]),
    (first_or_3, 3, ["3", " 3 "]),
    (fields.http_method, "GET", ["GET", "get"]),
    (fields.name, "x y", [" x y\n"]),
    (fields.name, "2024", [2024]),
    (fields.sha, "1234567", [1234567, " 1234567\n"]),
    (fields.path_part, "5", [5]),
    (fields.mapping, {"a": None}, ['{"a": null}', " {'a': None}\n"]),
    (fields.sequence, [1], ["[1]", " [1]\n"]),
    (fields.sequence, (1,), ["(1,)"]),
    (
        bindings,
        BINDINGS,
        [
            *(tuple(BINDINGS), Lazy(*BINDINGS), f"\n    {BINDINGS}\n", [str(BINDINGS[0])]),
            '[{"remoteId": "1", "boundIds": [1, 2]}]',
            [{"remoteId": 1, "boundIds": ["1", " 2 "]}],
            [{"remoteId": "1", "boundIds": "[1, 2]", "id": 5}],
        ],
    ),
]

_NO_INTEGER = [True, False, 1.0, "1.0", "x", "", " ", "+7", "1_0", "٧", None, Fraction(7)]

REFUSED: list[tuple[fields.Check, str, list[Any]]] = [
    (
        fields.positive_integer,
        "a positive integer",
        [0, -1, "-7", LARGEST + 1, str(LARGEST + 1), "7 9", *_NO_INTEGER, [7]],
    ),
    (fields.integer, "an integer, not", _NO_INTEGER),
    (from_2_to_5, "an integer from 2 to 5", [1, 6, "6", *_NO_INTEGER]),
    (
        fields.number,
        "a finite number",
        [True, None, math.nan, math.inf, "nan", "1e999", "", "٧", "1.5x", [1]],
    ),
    (fields.positive_number, "a number above 0", [0, -1, "0", "-0.5"]),
    (fields.share, "a number from 0 to 1", [-0.1, 1.1, "2"]),
    (fields.boolean, "true or false", [1, 0, None, "yes", "", "1", []]),
    (fields.text, "a string", ["\ud800", True, None, b"x", math.nan, math.inf, [], {}]),
    (fields.texts, "a list of strings", ["a", None, b"a", {"a": 1}]),
    (
        fields.date_time,
        "a date and time with a time zone",
        [datetime(2024, 1, 31), "2024-01-31T06:00:00", "2024-01-31", "x", 5, None]
        + ["2024-02-30T06:00:00Z", "06:00Z"],
    ),
    (fields.time_of_day, "a time of day", [23400, "25:00", "x", None]),
    (first_or_3, "one of 'first', 3", [" first", "First", 4, "", True, None, [], ["first"]]),
    (fields.http_method, "an HTTP method", ["", "GET /", "GET\n", "a" * 21, 7, None, b"GET"]),
    (fields.name, "a name", ["", " \n", "None", " None "]),
    (fields.name, "a string", [None, ["a"]]),
    (
        fields.sha,
        "7 to 64 hexadecimal digits",
        ["a" * 6, "a" * 65, "g" * 7, "٠" * 7, 123456, -1234567, True, None, 1e7, b"a" * 7],
    ),
    (
        fields.path,
        "a path that begins with '/'",
        ["", "a", "/a b", "/ü", "/a#b", "/\n", None]
        + ["/..", "/.", "/a/../b", "/a/./b", "/a/..?b", "/%2e%2E/a", "/a/.%2e", "/a/%2E"],
    ),
    (fields.path_part, "not be empty, '.' or '..'", ["", ".", ".."]),
    (fields.path_part, "a string, not", [None, [], True]),
    (fields.mapping, "must be an object, not a value of type", [None, "x", "[1]", [1], 5]),
    (fields.sequence, "must be a list, not", ["x", "'x'", b"x", bytearray(b"x"), {}, {1}, None, 5]),
    (
        fields.secret,
        "a non-empty string. ",
        [*map(Secret, ("", " \n", None, 5, [TOKEN], TOKEN.encode())), TOKEN],
    ),
    (
        bindings,
        "must be a list, e.g. [{'remoteId'",
        ["x", None, "", "[", "(" * 100_000, b"[]", bytearray(b"[]"), {1, 2}, BINDINGS[0]],
    ),
]

PLACES: list[tuple[fields.Check, Any, str]] = [
    (fields.texts, ["a", None], "[1]: must be a string, not None"),
    (bindings, [7], "[0]: must be an object, not a value of type int"),
    (bindings, [*BINDINGS, {"boundIds": [1]}], "[1].remoteId: is missing."),
    (bindings, [{"remoteId": None, "boundIds": []}], "[0].remoteId: must be a string"),
    (bindings, [{"remoteId": "1", "boundIds": "12"}], "[0].boundIds: must be a list, not '12'"),
    (bindings, [{"remoteId": "1", "boundIds": [1, True]}], "[0].boundIds[1]: must be an integer"),
]


@pytest.mark.parametrize(("check", "values"), UNCHANGED)
def test_leaves_what_fits(check: fields.Check, values: list[Any]) -> None:
    # With their types.
    assert repr([check("field", value) for value in values]) == repr(values)


@pytest.mark.parametrize(("check", "result", "values"), ACCEPTED)
def test_undoes_what_templating_did(check: fields.Check, result: Any, values: list[Any]) -> None:
    assert repr([check("field", value) for value in values]) == repr([result] * len(values))


@pytest.mark.parametrize(("check", "wanted", "values"), REFUSED)
def test_refuses(check: fields.Check, wanted: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(DatafoldInputError) as caught:
            check("field", value)
        said = str(caught.value)
        assert said.startswith("field: ")
        assert wanted in said
        assert said.endswith("Nothing was sent.")
        assert len(said) < 300
        assert TOKEN not in said


@pytest.mark.parametrize(("check", "value", "said"), PLACES)
def test_an_error_names_the_place(check: fields.Check, value: Any, said: str) -> None:
    with pytest.raises(DatafoldInputError) as caught:
        check("field", value)
    assert str(caught.value).startswith(f"field{said}")


@pytest.mark.parametrize(
    "value",
    ["x", "a: b", "[", "[" * 100_000, "f()", "9" * 5_000, b"[]", 5],
    ids=lambda value: repr(value)[:9],
)
def test_what_is_no_literal_stays(value: Any) -> None:
    assert fields.literal(value) == value


@pytest.mark.parametrize(
    ("rendered", "meant"),
    [("None", None), (" None\n", None), (None, None), ("none", "none"), ("", ""), (0, 0)],
)
def test_null_is_told_from_texts(rendered: Any, meant: Any) -> None:
    assert fields.undo_none(rendered) == meant


@pytest.mark.parametrize(
    ("value", "length"), [("x" * 118, 120), ("x" * 119, 120), ("x" * 1_000, 120), (10**500, 40)]
)
def test_a_long_value_is_shown_in_part(value: Any, length: int) -> None:
    assert len(fields.format_value(value)) == length


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ([1, 2, 3, 4], "[1, 2, 3, 4]"),
        ([1, 2, 3, 4, 5], "[1, 2, 3, 4, ...]"),
        (dict.fromkeys("abcde"), "{'a': None, 'b': None, 'c': None, 'd': None, ...}"),
        ([[[[[1]]]]], "[[[[[...]]]]]"),
        (10**5000, "an integer of thousands of digits"),
    ],
    ids=lambda value: type(value).__name__,  # Python writes no huge integer.
)
def test_of_a_large_value_the_beginning_is_shown(value: Any, shown: str) -> None:
    assert fields.format_value(value) == shown
