"""YAML and JSON that people wrote: what is read, what is refused, what an error shows."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.monitors import yaml_text
from airflow_provider_datafold.redaction.secret import Secret
from tests.sending import failure

PLANTED = "planted-in-a-file-6b21"
NOT_A_NUMBER = "has a number with a leading 0 or a colon, which YAML reads as another one"


def read(text: str) -> Any:
    return yaml_text.read("a.yaml", Secret(text))


def refused(text: str) -> str:
    return str(failure(DatafoldInputError, lambda: read(text)))


def levels(line: str) -> str:
    """Nine lines, of which each names the one before nine times."""
    first = "a0: &a0 {x: 1}\n"
    return first + "".join(
        line.format(name=f"a{n}", items=", ".join([f"*a{n - 1}"] * 9)) for n in range(1, 10)
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: 1\nb: [x, null]", {"a": 1, "b": ["x", None]}),
        ('{"a": null, "b": "\\/\\ud83d\\ude00"}', {"a": None, "b": "/\N{GRINNING FACE}"}),
        (
            "a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}",
            {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "y": 2}},
        ),
        ("a: &a {x: 1}\nb: {<<: *a, x: 2}", {"a": {"x": 1}, "b": {"x": 2}}),
        ("a: |\n  one\n  two\n", {"a": "one\ntwo\n"}),
        ("a: ['012', \"1:30\"]", {"a": ["012", "1:30"]}),
        ("a: [0, 10, 0.5, -0.5, 1_000, 08]", {"a": [0, 10, 0.5, -0.5, 1000, "08"]}),
    ],
)
def test_what_is_read(text: str, value: Any) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\nb: 012", f"{NOT_A_NUMBER} (line 2)"),
        ("a: [1, -0_12]", f"{NOT_A_NUMBER} (line 1)"),
        ("a: 1:30", f"{NOT_A_NUMBER} (line 1)"),
        ("012: a", f"{NOT_A_NUMBER} (line 1)"),
        (f"a: 1\nb: [{PLANTED}", "is neither valid YAML nor JSON (line 2)"),
        (f'{{"a": "{PLANTED}",}} x', "is neither valid YAML nor JSON (line 1)"),
        (f"a: \x00{PLANTED}", "is neither valid YAML nor JSON"),
        (f"a: 2024-02-31 # {PLANTED}", "is neither valid YAML nor JSON"),
        (f"a: 1\n---\nb: {PLANTED}", "is neither valid YAML nor JSON"),
        (f"? [{PLANTED}]\n: 1", "is neither valid YAML nor JSON (line 1)"),
        ("a: " + "1" * 5000, "is neither valid YAML nor JSON"),
        (f"a: 1\n{PLANTED[:3]}: 2\na: 3", "has the key 'a' twice (line 3)"),
        ("a:\n  - {b: 1, 'b': 2}", "has the key 'b' twice (line 2)"),
        ("a: &a {}\nb: {<<: *a, <<: *a}", "has the key '<<' twice (line 2)"),
        (f'{{"a": 1, "b": {{"c": "{PLANTED}", "c": 2}}}}', "has the key 'c' twice"),
        (
            f"a: !!python/object/apply:os.system ['{PLANTED}']",
            "has a YAML tag that is not allowed (line 1)",
        ),
        (f"a: 1\nb: !include {PLANTED}", "has a YAML tag that is not allowed (line 2)"),
        (levels("{name}: &{name} [{items}]\n"), "its YAML aliases repeat more than 10,000 values"),
        (levels("{name}: &{name} {{<<: [{items}]}}\n"), "its YAML aliases repeat more than 10,000"),
        (f"a: &a [*a, {PLANTED}]", "its YAML aliases repeat more than 10,000 values, or contain"),
    ],
)
def test_what_is_refused(text: str, reason: str) -> None:
    error = refused(text)
    assert error.startswith(f"a.yaml: {reason}")
    assert error.endswith(". Nothing was sent.")
    assert PLANTED not in error


def test_what_is_nested_too_deeply_is_refused() -> None:
    limit = sys.getrecursionlimit()
    # Airflow raises it in a copy of an operator, and what is deeper takes seconds to read.
    sys.setrecursionlimit(1000)
    try:
        assert refused("[" * 1000) == ("a.yaml: is neither valid YAML nor JSON. Nothing was sent.")
    finally:
        sys.setrecursionlimit(limit)


def test_many_aliases_of_a_small_value_are_allowed() -> None:
    text = "a: &a {x: 1, y: 2}\n" + "".join(f"b{n}: {{<<: *a}}\n" for n in range(1000))
    assert len(read(text)) == 1001
