from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from airflow_provider_datafold.redaction.redactor import Redactor, secrets_in


@pytest.fixture
def redactor() -> Redactor:
    return Redactor(["s3cret-key", "my-s3cret-key-longer", "abcd"])


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("s3cret-key", "***"),
        ("Key s3cret-key!", "Key ***!"),
        ("my-s3cret-key-longer s3cret-key", "*** ***"),
        ("abcd", "***"),
        ("abcde", "abcde"),
        ("", ""),
    ],
)
def test_text(redactor: Redactor, text: str, redacted: str) -> None:
    assert redactor.text(text) == redacted


def test_an_empty_secret_is_none() -> None:
    assert Redactor([""]).text("") == ""
    assert not Redactor([""]).finds_in("")


def test_five_characters_are_looked_for_in_longer_texts() -> None:
    assert Redactor(["abcde"]).text("xabcdex") == "x***x"


@pytest.mark.parametrize(
    ("value", "redacted"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (1.5, 1.5),
        (["a", ["s3cret-key"]], ["a", ["***"]]),
        ({"a": {"b": ["x s3cret-key"]}}, {"a": {"b": ["x ***"]}}),
        ({"s3cret-key": 1}, {"***": 1}),
        ({"token": "another"}, {"token": "***"}),
        ({"a": [{"token": "another"}]}, {"a": [{"token": "***"}]}),
        ({"token": None}, {"token": None}),
        ({"token": {"a": "abcd"}}, {"token": {"a": "***"}}),
        ({"other": "another"}, {"other": "another"}),
    ],
)
def test_json(redactor: Redactor, value: Any, redacted: Any) -> None:
    assert redactor.json(value) == redacted


@pytest.mark.parametrize("field", ["token", "password", "client_secret", "token_value"])
def test_write_only_fields_are_secret_in_both_directions(field: str) -> None:
    assert Redactor([]).json([{field: "x", "name": "y"}]) == [{field: "***", "name": "y"}]
    assert list(secrets_in({"a": [({field: "x"},), {"name": "y"}], field: "z"})) == ["x", "z"]
    assert list(secrets_in({field: [{field: "x"}, None, 5]})) == ["x"]
    assert list(secrets_in(MappingProxyType({field: "x"}))) == ["x"]


@pytest.mark.parametrize("value", [None, "text", 5, ["text"], {"name": "text"}])
def test_nothing_else_is_taken_for_a_secret(value: Any) -> None:
    assert list(secrets_in(value)) == []


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("s3cret-key", True),
        ([{"a": ("x s3cret-key x",)}], True),
        (b"s3cret-key", True),
        ("abcd", True),
        (["abcd"], True),
        ("abcde", False),
        ("s3cret", False),
        (None, False),
    ],
)
def test_finds_in(redactor: Redactor, value: Any, found: bool) -> None:
    assert redactor.finds_in(value) is found


def test_finds_what_a_repr_would_write_in_another_way() -> None:
    assert Redactor(["it's\n5"]).finds_in(["x it's\n5 x"])
    assert Redactor(['it\'s "5"']).finds_in('it\'s "5"')
    assert not Redactor([]).finds_in("anything")
    assert Redactor(["abcde"]).finds_in("xabcdex")
    assert not Redactor(["abcde"]).finds_in("xbcdex")
    assert not Redactor(["abcde\n"]).finds_in("xabcdex")
    assert not Redactor(["\nabcde"]).finds_in("xabcdex")


def test_repr_shows_no_secret(redactor: Redactor) -> None:
    assert repr(redactor) == "Redactor(3 secrets)"
