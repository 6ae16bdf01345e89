from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.redaction import Redactor

REDACTOR = Redactor(["s3cret-key", "s3cret-key-longer", "abcd"], {"token"})


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("s3cret-key", "***"),
        ("Key s3cret-key!", "Key ***!"),
        ("s3cret-key-longer s3cret-key", "*** ***"),
        ("abcd", "***"),
        ("abcde", "abcde"),
        ("", ""),
    ],
)
def test_text(text: str, redacted: str) -> None:
    assert REDACTOR.text(text) == redacted


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
def test_json(value: Any, redacted: Any) -> None:
    assert REDACTOR.json(value) == redacted


def test_no_secret_fields_by_default() -> None:
    assert Redactor([]).json({"token": "x"}) == {"token": "x"}


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
def test_finds_in(value: Any, found: bool) -> None:
    assert REDACTOR.finds_in(value) is found


def test_finds_what_a_repr_would_write_in_another_way() -> None:
    assert Redactor(["it's\n5"]).finds_in(["x it's\n5 x"])
    assert Redactor(['it\'s "5"']).finds_in('it\'s "5"')
    assert not Redactor([]).finds_in("anything")


def test_repr_shows_no_secret() -> None:
    assert repr(REDACTOR) == "Redactor(3 secrets)"
