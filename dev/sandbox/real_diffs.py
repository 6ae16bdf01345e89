"""Data diffs that really compare: those of data sources with a database behind them."""

from __future__ import annotations

import logging
from typing import Any

from dev.comparison.question import Question, Side, Tolerance
from dev.sandbox import contract
from dev.sandbox.problem import Problem, problem
from dev.sandbox.validation import Refusal

Body = dict[str, Any]

_log = logging.getLogger(__name__)

_SERVED = {
    *("archived", "purged", "tags", "data_source1_id", "data_source2_id"),
    *("table1", "table2", "query1", "query2", "filter1", "filter2", "pk_columns", "infer_pk"),
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


def question(body: Body, addresses: list[str], delay: float = 0.0) -> Question:
    """Return the question of a diff that really compares.

    :param body: the body of the request.
    :param addresses: the database of each side.
    :param delay: extra seconds that it takes.
    :raises Refusal: if it asks for something that the sandbox does not do.
    """
    if found := [*_unsupported(body), *_input_problems(body)]:
        raise Refusal(found)
    if ignored := sorted(_given(body).keys() & _IGNORED):
        _log.warning("Ignored, because the sandbox compares without it: %s", ", ".join(ignored))
    included = body.get("include_columns")
    return Question(
        sides=[
            Side(
                address,
                table=body.get(f"table{place}"),
                query=body.get(f"query{place}"),
                filter=body.get(f"filter{place}"),
            )
            for place, address in enumerate(addresses, 1)
        ],
        judges_schema=body["data_source1_id"] == body["data_source2_id"],
        keys=body.get("pk_columns") or [],
        infers_keys=body.get("infer_pk", False),
        included=included or body.get("columns_to_compare") or None,
        excluded=[] if included else body.get("exclude_columns") or [],
        renamed=body.get("column_mapping") or [],
        tolerance=_tolerance(body.get("diff_tolerance"), body.get("tolerance_mode")),
        tolerances={
            each["column_name"]: _tolerance(each["tolerance_value"], each["tolerance_mode"])
            for each in body.get("diff_tolerances_per_column") or ()
        },
        sample_ratio=body.get("sampling_ratio"),
        sample_rows=body.get("sampling_max_rows"),
        sample_threshold=body.get("sampling_threshold") or 0,
        delay=delay,
    )


def _tolerance(value: float | None, mode: str | None) -> Tolerance:
    return Tolerance(value or 0.0, relative=mode == "relative")


def _unsupported(body: Body) -> list[Problem]:
    """Return a problem for each option that the sandbox does not support."""
    message = "The sandbox does not support this for real comparisons"
    return [
        problem(("body", name), "not_supported", message, value)
        for name, value in _given(body).items()
        if name not in _SERVED | _IGNORED
    ]


def _given(body: Body) -> Body:
    """Return the fields that differ from the contract's defaults."""
    node = contract.resolved(contract.document(), {"$ref": "#/components/schemas/ApiDataDiffData"})
    return {
        name: value
        for name, value in body.items()
        if value not in (None, node["properties"][name].get("default"))
    }


def _input_problems(body: Body) -> list[Problem]:
    found = []
    for place in (1, 2):
        if bool(body.get(f"table{place}")) == bool(body.get(f"query{place}")):
            message = f"Input should have either table{place} or query{place}"
            found.append(problem(("body", f"table{place}"), "value_error", message, None))
    for name, least in _LEAST.items():
        value = body.get(name)
        if value is not None and value < least:
            message = f"Input should be greater than or equal to {least}"
            found.append(problem(("body", name), "greater_than_equal", message, value))
    ratio = body.get("sampling_ratio")
    if ratio is not None and not 0 < ratio < 1:
        message = "Input should be between 0 and 1"
        found.append(problem(("body", "sampling_ratio"), "value_error", message, ratio))
    return found
