"""Data diffs that really compare: those of data sources with a database behind them."""

from __future__ import annotations

import logging
from typing import Any

from dev.sandbox import contract
from dev.sandbox.validation import refusal

Body = dict[str, Any]

_log = logging.getLogger(__name__)

_SERVED = {
    *("archived", "purged", "tags", "data_source1_id", "data_source2_id"),
    *("table1", "table2", "query1", "query2", "filter1", "filter2", "pk_columns"),
    *("infer_pk", "infer_pk_avoid_names", "infer_pk_avoid_types", "include_columns"),
    *("exclude_columns", "column_mapping", "diff_tolerance", "tolerance_mode"),
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
    if unknown := sorted(given.keys() - _SERVED - _IGNORED):
        raise refusal("The sandbox does not support this", "body", unknown[0])
    for place in (1, 2):
        if bool(body.get(f"table{place}")) == bool(body.get(f"query{place}")):
            message = f"Input should have either table{place} or query{place}"
            raise refusal(message, "body", f"table{place}")
    if given.get("diff_tolerance", 0) < 0:
        raise refusal("Input should not be negative", "body", "diff_tolerance")
    if ignored := sorted(given.keys() & _IGNORED):
        _log.warning("Ignored, because the sandbox compares without it: %s", ", ".join(ignored))
    return body
