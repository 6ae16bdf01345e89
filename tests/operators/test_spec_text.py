"""The text of a spec: what is read, and what is refused before it becomes large or ambiguous."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.operators.spec_text import MOST_REPEATED, parse
from airflow_provider_datafold.redaction.redactor import Redactor
from airflow_provider_datafold.redaction.secret import Secret
from tests.conftest import API_KEY
from tests.sending import failure


def refusal(text: str) -> str:
    """The problem of a text, which the error names without quoting a line."""
    error = failure(DatafoldInputError, lambda: parse(text, Redactor([Secret(API_KEY)])))
    assert error.__cause__ is error.__context__ is None
    assert "secret" not in str(error)
    return str(error).removeprefix("spec: ").removesuffix(". Nothing was sent.")


def nested(first: str, again: str, levels: int) -> str:
    """A text in which each of many anchors holds ten times the one before."""
    lines = [f"a0: &a0 {first}"]
    for level in range(1, levels):
        aliases = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} {again.format(aliases)}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("a: &x [1, 2]\nb: *x\nc: *x", {"a": [1, 2], "b": [1, 2], "c": [1, 2]}),
        ("a: &x {b: 1}\nc:\n  <<: *x\n  b: 2\n  =: 3", {"a": {"b": 1}, "c": {"b": 2, "=": 3}}),
        ("a: &x {b: 1}\nc: {<<: [*x, *x]}", {"a": {"b": 1}, "c": {"b": 1}}),
        # Keys that look alike, but are not.
        ('1: a\n"1": b', {1: "a", "1": "b"}),
        ("a: {x: 1}\nb: {x: 1}", {"a": {"x": 1}, "b": {"x": 1}}),
        ("a: [b, c]", {"a": ["b", "c"]}),
        ("", None),
        ("7", 7),
        # What YAML reads otherwise, or not at all.
        ('{"a":\t"\\ud83d\\ude00"}', {"a": "😀"}),
        ("\n  {'a': None,\n  'b': True}\n", {"a": None, "b": True}),
        ("{**{'a': 1}}", DatafoldInputError),
    ],
)
def test_a_text_is_read(text: str, spec: Any) -> None:
    if spec is DatafoldInputError:
        refusal(text)
    else:
        assert parse(text, Redactor([])) == spec


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (nested("[x, x]", "[{}]", 9), "(line 6)"),
        # These are expanded while YAML is read.
        (nested("{x: 1}", "{{<<: [{}]}}", 9), "(line 6)"),
        # A long value counts by its characters.
        (f"a: &x {'y' * 1000}\nb:\n- z\n" + "- *x\n" * 1000, "(line 3)"),
    ],
    ids=["lists", "merges", "text"],
)
def test_aliases_that_repeat_much_are_refused(text: str, problem: str) -> None:
    assert refusal(text) == f"has aliases that repeat over {MOST_REPEATED:,} characters {problem}"


def test_many_small_aliases_are_fine() -> None:
    spec = parse("a: &x {b: c}\nd:\n" + "- *x\n" * 1000, Redactor([]))
    assert spec["d"] == [{"b": "c"}] * 1000


@pytest.mark.parametrize("text", ["a: &x [*x]", "a: &x {b: {<<: *x}}", "a: &x {b: [{c: *x}]}"])
def test_an_alias_in_its_own_value_is_refused(text: str) -> None:
    assert refusal(text) == "has an alias that stands for a value around it (line 1)"


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("a: secret\nb: 1\na: secret", "'a'", 3),
        ("b:\n  - a: secret\n    'a': secret", "'a'", 3),
        ("yes: secret\ntrue: secret", "True", 2),
        ("<<: {a: 1}\n<<: {b: 1}", "'<<'", 2),
        ("? {x: 1, x: 2}\n: secret", "'x'", 1),
        (json.dumps({"a": {"b": "secret"}}).replace("}}", ',\n"b": 1}}'), "'b'", 2),
        ('\n\n{"a": true,\n"a": "secret"}', "'a'", 4),
        ("\n {'a': 1,\n  'a': 'secret'}", "'a'", 3),
        (f'{{"{API_KEY}": 1, "{API_KEY}": 2}}', "'***'", 1),
    ],
)
def test_a_doubled_key_is_refused(text: str, key: str, line: int) -> None:
    assert refusal(text) == f"has the key {key} twice in one mapping (line {line})"


def test_a_doubled_key_may_be_too_deep_to_know_its_line() -> None:
    text = '{"a":' * 250 + '{"b": 1, "b": 2}' + "}" * 250
    assert refusal(text) == "has the key 'b' twice in one mapping"


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("a: 1\nb: !!python/object/apply:os.system [secret]", "!!python/object/apply:os.system"),
        ("a: 1\n!mine b: secret", "!mine"),
    ],
)
def test_a_tag_for_other_than_plain_data_is_refused(text: str, tag: str) -> None:
    assert refusal(text) == f"has the tag {tag!r}, which does not stand for plain data (line 2)"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: [secret", " (line 1)"),
        ("a: 1\n--- \nb: secret", " (line 2)"),
        ("a: 1\nb: *secret", " (line 2)"),
        ("a: 1\n? [secret]\n: 1", " (line 2)"),
        ("a: 1\n? !!set {secret}\n: 1", " (line 2)"),
        ("a: 1\n? !!set secret\n: 1", " (line 2)"),
        ("a: =", " (line 1)"),
        ("a: 2024-02-31", ""),
        ("a: secret\0", ""),
    ],
)
def test_what_is_no_yaml_is_refused_without_quoting_it(text: str, place: str) -> None:
    assert refusal(text) == f"is neither valid YAML nor JSON{place}"
