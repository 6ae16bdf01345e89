"""Data diffs that really compare: those of data sources with a database behind them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from dev.sandbox import contract
from dev.sandbox.problem import Problem, problem
from dev.sandbox.validation import Refusal

Body = dict[str, Any]

_log = logging.getLogger(__name__)

_SERVED = {
    *("archived", "purged", "tags", "data_source1_id", "data_source2_id"),
    *("table1", "table2", "query1", "query2", "filter1", "filter2", "pk_columns"),
    *("infer_pk", "infer_pk_avoid_names", "infer_pk_avoid_types"),
    *("include_columns", "columns_to_compare", "exclude_columns", "column_mapping"),
    *("diff_tolerance", "diff_tolerances_per_column", "tolerance_mode"),
    *("sampling_max_rows", "sampling_ratio", "sampling_threshold"),
}
_IGNORED = {
    *("bisection_factor", "bisection_threshold", "compare_duplicates", "datetime_tolerance"),
    *("data_source1_session_parameters", "data_source2_session_parameters", "download_limit"),
    *("materialization_destination_id", "materialize_dataset1", "materialize_dataset2"),
    *("materialize_without_sampling", "per_column_diff_limit", "run_profiles"),
    *("sampling_confidence", "sampling_tolerance"),
}
"""Options that change nothing here, or without which a comparison only finds more differences."""
_LEAST = {"diff_tolerance": 0, "sampling_max_rows": 1, "sampling_threshold": 0}


def checked(body: Body) -> Body:
    """Return the body of a request for a diff that really compares.

    :raises Refusal: if it asks for something that the sandbox does not do.
    """
    node = contract.resolved(contract.document(), {"$ref": "#/components/schemas/ApiDataDiffData"})
    given = {
        name: value
        for name, value in body.items()
        if value not in (None, node["properties"][name].get("default"))
    }
    if found := [*_problems(body, given)]:
        raise Refusal(found)
    if ignored := sorted(given.keys() & _IGNORED):
        _log.warning("Ignored, because the sandbox compares without it: %s", ", ".join(ignored))
    return body


def _problems(body: Body, given: Body) -> Iterator[Problem]:
    for name in given.keys() - _SERVED - _IGNORED:
        message = "The sandbox does not support this for real comparisons"
        yield problem(("body", name), "not_supported", message, given[name])
    for place in (1, 2):
        if bool(body.get(f"table{place}")) == bool(body.get(f"query{place}")):
            message = f"Input should have either table{place} or query{place}"
            yield problem(("body", f"table{place}"), "value_error", message, None)
    for name, least in _LEAST.items():
        if given.get(name, least) < least:
            message = f"Input should be greater than or equal to {least}"
            yield problem(("body", name), "greater_than_equal", message, given[name])
    ratio = given.get("sampling_ratio", 0.5)
    if not 0 < ratio < 1:
        message = "Input should be between 0 and 1"
        yield problem(("body", "sampling_ratio"), "value_error", message, ratio)
