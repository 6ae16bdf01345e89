"""The arguments of a gate, named once: operators template them, and the gate checks them."""

from __future__ import annotations

COMPARED = (
    "data_source1_id",
    "data_source2_id",
    "table1",
    "table2",
    "query1",
    "query2",
    "pk_columns",
    "include_columns",
    "exclude_columns",
    "filter1",
    "filter2",
    "tags",
)
"""The fields of a data diff's creation that are arguments of the operator; others are options."""

PASSING = (
    "on_difference",
    "max_rows_added",
    "max_rows_removed",
    "max_rows_different",
    "max_values_different",
    "min_match_ratio",
    "allow_schema_changes",
    "on_empty",
)
"""The arguments of an operator or a sensor that set what passes."""
