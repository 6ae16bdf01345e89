"""Ids, and names in their place."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.identity import find, id_or_name

SOURCES = [
    {"id": 1, "name": "Warehouse"},
    {"id": 2, "name": "snowflake prod"},
    {"id": 3, "name": "Snowflake Prod"},
    {"id": 4, "name": "lake"},
    {"id": 5, "name": "lake"},
    {"id": 6, "name": "Mart"},
    {"id": 7, "name": "MART"},
    {"id": 8, "name": None},
    {"name": "nobody"},
]


@pytest.mark.parametrize(
    ("given", "checked"),
    [(7, 7), (" 7 ", 7), ("snowflake prod", "snowflake prod"), (" a ", "a"), ("7a", "7a")],
)
def test_a_string_of_digits_is_an_id_and_any_other_one_a_name(given: Any, checked: Any) -> None:
    assert id_or_name("monitor_id", given) == checked


@pytest.mark.parametrize("given", [None, "None", "", " ", 0, "0", "-7", 1.5, True, [7], "9" * 30])
def test_anything_else_is_refused(given: Any) -> None:
    with pytest.raises(DatafoldInputError, match=r"^monitor_id: "):
        id_or_name("monitor_id", given)


@pytest.mark.parametrize(
    ("name", "number"),
    [("WAREHOUSE", 1), ("snowflake prod", 2), ("Snowflake Prod", 3), ("MART", 7)],
)
def test_a_name_is_looked_for_with_case_and_then_without(name: str, number: int) -> None:
    assert find("data_source_id", "data source", name, SOURCES) == number


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "snowflake prd",
            "no data source is called 'snowflake prd'; did you mean 'Snowflake Prod' (id 3)? "
            "Pass an id.",
        ),
        ("xyz", "no data source is called 'xyz'. Pass an id."),
        ("nobody", "no data source is called 'nobody'. Pass an id."),
        ("lake", "2 data sources are called 'lake': 'lake' (id 4, 5). Pass an id."),
        (
            "mart",
            "2 data sources are called 'mart': 'Mart' (id 6), 'MART' (id 7). Pass an id.",
        ),
    ],
)
def test_no_hit_or_several_name_the_nearest(name: str, says: str) -> None:
    with pytest.raises(DatafoldInputError) as caught:
        find("data_source_id", "data source", name, SOURCES)
    assert str(caught.value) == f"data_source_id: {says} Nothing was started."
