"""Which tables belong together."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.tables.pairing import ByTable, Pair, pair, select


@pytest.mark.parametrize(
    ("first", "second", "pairs", "alone"),
    [
        ("a b", "b a", "a=a b=b", ([], [])),
        ("a B", "A b", "B=b a=A", ([], [])),
        ("A a", "a A", "A=A a=a", ([], [])),
        # An exact partner is taken first.
        ("A a", "a", "a=a", (["A"], [])),
        ("ORDERS", "orders ORDERS", "ORDERS=ORDERS", ([], ["orders"])),
        # Nobody on the other side: nothing is unclear.
        ("A a b", "b", "b=b", (["A", "a"], [])),
        ("straße", "STRASSE", "straße=STRASSE", ([], [])),
        ("a b", "b c", "b=b", (["a"], ["c"])),
        ("a", "b", "", (["a"], ["b"])),
    ],
)
def test_equal_names_and_then_those_that_are_equal_but_for_case(
    first: str, second: str, pairs: str, alone: Any
) -> None:
    found = pair(first.split(), second.split())
    assert " ".join("=".join(each) for each in found.pairs) == pairs
    assert found.alone == alone


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        ("Orders ORDERS", "orders", "Orders, ORDERS on side 1, orders on side 2"),
        ("orders", "Orders ORDERS", "orders on side 1, Orders, ORDERS on side 2"),
    ],
)
def test_two_names_for_one_partner_are_unclear(first: str, second: str, shown: str) -> None:
    with pytest.raises(DatafoldInputError) as caught:
        pair(first.split(), second.split())
    assert str(caught.value) == (
        f"These tables differ only by case, so it is not clear which ones belong together: {shown}."
        f" Exclude them. No gate was started."
    )


NAMES = ["Orders", "order_lines", "a[1]", "a1", "tmp"]


@pytest.mark.parametrize(
    ("include", "exclude", "selected"),
    [
        (None, None, NAMES),
        (["ORDER*"], None, ["Orders", "order_lines"]),
        (["orders", "TMP"], None, ["Orders", "tmp"]),
        (None, ["t*", "no_such"], NAMES[:-1]),
        (["order*"], ["*_lines"], ["Orders"]),
        (["a[1]"], None, ["a[1]", "a1"]),
        (["?1"], None, ["a1"]),
    ],
)
def test_names_and_patterns_select(include: Any, exclude: Any, selected: list[str]) -> None:
    assert select(NAMES, include, exclude) == selected


def test_what_is_said_of_a_table_whatever_its_case() -> None:
    given = ByTable(
        "primary_keys", {"ORDERS": 1, "Lines": 2, "lines": 3}, ["orders", "Lines", "lines"]
    )
    assert given.of(Pair("orders", "Orders")) == 1
    assert given.of(Pair("Lines", "Lines")) == 2
    assert given.of(Pair("lines", "lines")) == 3
    assert given.of(Pair("other", "other")) is None
    with pytest.raises(DatafoldInputError) as caught:
        ByTable("primary_keys", {"ORDERS": 1, "orders": 2}, ["orders"])
    assert str(caught.value) == (
        "primary_keys: 'ORDERS', 'orders' name one table. No gate was started."
    )
