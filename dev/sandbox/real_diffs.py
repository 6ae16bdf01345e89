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
    *("infer_pk", "include_columns", "exclude_columns", "column_mapping"),
    *("diff_tolerance", "tolerance_mode"),
}
_IGNORED = {
    *("bisection_factor", "bisection_threshold", "compare_duplicates", "datetime_tolerance"),
    *("data_source1_session_parameters", "data_source2_session_parameters", "download_limit"),
    *("materialization_destination_id", "materialize_dataset1", "materialize_dataset2"),
    *("materialize_without_sampling", "per_column_diff_limit", "run_profiles"),
    *("sampling_confidence", "sampling_tolerance"),
}
"""Options that change nothing here, or without which a comparison only finds more differences."""


def checked(body: Body) -> Body:
    """Return the body of a request for a diff that really compares."""
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
    if given.get("diff_tolerance", 0) < 0:
        message = "Input should be greater than or equal to 0"
        yield problem(("body", "diff_tolerance"), "greater_than_equal", message, None)
