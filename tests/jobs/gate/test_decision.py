"""How a gate handles the end of a data diff. tests/jobs/gate/test_verdict.py has the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any

import pytest

from airflow_provider_datafold.exceptions import (
    DatafoldDifferenceError,
    DatafoldError,
    DatafoldFinalError,
    DatafoldInputError,
    DatafoldJobCancelledError,
    DatafoldJobFailedError,
    DatafoldJobInvalidError,
    DatafoldNotComparedError,
    DatafoldNotFoundError,
    DatafoldServerError,
    DatafoldTransientError,
    DatafoldWaitingForPersonError,
)
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.jobs.gate.decision import Gate
from airflow_provider_datafold.jobs.gate.limits import Limits
from airflow_provider_datafold.jobs.job import DATA_DIFF
from airflow_provider_datafold.redaction.secret import conceal
from dev.sandbox.course import Course, Job
from dev.sandbox.data_diffs import DIFFERENT, IDENTICAL, done
from tests.conductor import Conductor
from tests.conftest import API_KEY

PASSWORD = "planted-password-3b8a"
GIVEN = conceal({"data_source1_session_parameters": {"password": PASSWORD}})
BODY = {
    "data_source1_id": 1,
    "data_source2_id": 1,
    "table1": ["A"],
    "table2": ["B"],
    "pk_columns": ["id"],
    "tags": ["mine"],
}
ARGUMENTS = {
    "on_difference": "fail",
    "max_rows_added": None,
    "max_rows_removed": None,
    "max_rows_different": None,
    "max_values_different": None,
    "min_match_ratio": None,
    "allow_schema_changes": False,
    "on_empty": "fail",
}


@pytest.fixture
def decide(connections: None, sandbox: Any, log: Any) -> Iterator[Callable[..., Any]]:
    """Let a gate decide about a data diff that has ended."""
    with DatafoldHook() as hook:

        def of(
            status: str,
            outcome: Any = None,
            given: Any = GIVEN,
            context: Any = MappingProxyType({}),
            **arguments: Any,
        ) -> Any:
            job = Job(Course((), status, outcome or {}))
            number = sandbox.state.data_diffs.add(BODY, job)["id"]
            reading = hook.look(DATA_DIFF, {"datadiff_id": number})
            return Gate({**ARGUMENTS, **arguments}).decide(hook, context, number, reading, given)

        yield of


def failure(kind: type[DatafoldError], decide: Any, *how: Any, **arguments: Any) -> str:
    with pytest.raises(DatafoldError) as caught:
        decide(*how, **arguments)
    assert type(caught.value) is kind
    return str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        ("needs_confirmation", DatafoldWaitingForPersonError, "waits for a person (needs_conf"),
        ("needs_authentication", DatafoldWaitingForPersonError, "waits for a person (needs_auth"),
        ("cancelled", DatafoldJobCancelledError, "was cancelled at Datafold"),
        ("failed", DatafoldJobFailedError, "failed: Datafold does not say why. A retry starts"),
    ],
)
def test_what_never_was_compared(
    decide: Any, sandbox: Any, status: str, kind: type[DatafoldError], text: str
) -> None:
    found = failure(kind, decide, status)
    assert found.startswith(f"Data diff 3 {text}")
    # The link comes last: a terminal makes one of it.
    assert found.endswith(f" See {sandbox.url}/datadiffs/3/overview")


def test_says_how_to_go_on_after_a_person_was_asked(decide: Any) -> None:
    found = failure(DatafoldWaitingForPersonError, decide, "needs_confirmation")
    # A clear does not find it again if the run had ended.
    assert "then wait for it with a DatafoldDataDiffSensor. Or cancel it at Datafold" in found
    assert "clear this task, which starts a new one" in found


@pytest.mark.parametrize(
    ("error", "kind", "why"),
    [
        (
            {"error_type": "QueryError", "error_value": "no such table."},
            DatafoldJobFailedError,
            "failed: QueryError: no such table. A retry starts a new data diff. See ",
        ),
        (
            {"error_type": "QueryError", "is_retryable": True},
            DatafoldJobFailedError,
            "failed: QueryError. A retry starts a new data diff. See ",
        ),
        (
            {"error_value": "no such table", "is_retryable": False},
            DatafoldJobInvalidError,
            "failed, and Datafold says that a retry will not help: no such table. See ",
        ),
        ({"error_value": ["odd"]}, DatafoldJobFailedError, "failed: ['odd']. A retry "),
        (None, DatafoldJobFailedError, "failed: Datafold does not say why. A retry "),
        ("odd", DatafoldJobFailedError, "failed: Datafold does not say why. A retry "),
    ],
    ids=repr,
)
@pytest.mark.parametrize("status", ["failed", "done"])
def test_why_it_failed(
    decide: Any, monkeypatch: pytest.MonkeyPatch, status: str, error: Any, kind: Any, why: str
) -> None:
    outcome = {"result": "error", "error": error, "summary_results": {"error": error}}
    assert f"Data diff 3 {why}" in failure(kind, decide, status, outcome)
    assert issubclass(kind, DatafoldFinalError) is (kind is DatafoldJobInvalidError)


def test_what_failed_is_not_judged(decide: Any) -> None:
    # Not even if it has figures, which would need to be confirmed.
    outcome = {**DIFFERENT.outcome, "summary_results": {"status": "running"}}
    failure(DatafoldJobFailedError, decide, "failed", outcome, min_match_ratio=0.5)


def test_a_long_error_is_cut_to_one_line(decide: Any) -> None:
    error = {"error_value": "no\nsuch table " + "x" * 5000}
    found = failure(DatafoldJobFailedError, decide, "failed", {"error": error})
    assert "failed: no?such table xxx" in found
    assert len(found) < 400
    assert "\n" not in found


@pytest.mark.parametrize("is_retryable", [True, False])
def test_the_end_of_an_error_is_kept(decide: Any, is_retryable: bool) -> None:
    error = {"error_value": "no column X.", "is_retryable": is_retryable}
    kind = DatafoldJobFailedError if is_retryable else DatafoldJobInvalidError
    assert ": no column X. " in failure(kind, decide, "failed", {"error": error})


ECHO = f"cannot log in with {PASSWORD} and Key {API_KEY}"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("failed", {"error": {"error_type": ECHO, "error_value": ECHO, "is_retryable": False}}),
        ("failed", {"error": {"error_value": ECHO}}),
        ("done", {"result": ECHO}),
        (
            "done",
            {
                **DIFFERENT.outcome,
                "summary_results": {
                    "values": {
                        "columns_diff_stats": [{"column_name": ECHO, "values_different": 5}]
                    },
                    "schema": {
                        "exclusive_columns": [[ECHO], [PASSWORD]],
                        "column_type_differs": [API_KEY],
                    },
                    "pks": {"dupes": [ECHO, 0], "nulls": [API_KEY, PASSWORD]},
                },
            },
        ),
    ],
    ids=["for good", "failed", "result", "columns"],
)
@pytest.mark.parametrize("on_difference", ["fail", "pass", "skip"])
def test_no_secret_is_repeated(
    decide: Any, log: Any, status: str, outcome: Any, on_difference: str
) -> None:
    from airflow.providers.common.compat.sdk import AirflowSkipException

    try:
        said = str(decide(status, outcome, on_difference=on_difference))
    except (DatafoldError, AirflowSkipException) as error:
        said = str(error)
    for secret in (API_KEY, PASSWORD):
        assert secret not in said
        assert secret not in log.text
    assert "***" in said + log.text


@pytest.mark.parametrize("fault", [403, 404, 422])
def test_what_differs_is_a_courtesy(
    decide: Any, monkeypatch: pytest.MonkeyPatch, log: Any, fault: int
) -> None:
    Conductor(monkeypatch, faults={"mine": {"results": [fault, ...]}})
    found = failure(DatafoldDifferenceError, decide, "done", DIFFERENT.outcome)
    assert "match ratio 0.95. See http" in found
    (warning,) = log.warnings
    assert warning.startswith(f"Could not read the details of the data diff: {fault}, ")


def test_what_passes_asks_for_no_more(decide: Any, sandbox: Any) -> None:
    assert decide("done", IDENTICAL.outcome)["result"] == "identical"
    assert decide("done", {"result": "empty"}, on_empty="pass")["result"] == "empty"
    paths = [request.path for request in sandbox.state.requests]
    assert paths == ["/api/v1/datadiffs/3", "/api/v1/datadiffs/4"]
    failure(DatafoldNotComparedError, decide, "done", {"result": "empty"})


ROWS: tuple[list[Any], list[Any]] = ([None, "None", 0, "7", 2**63 - 1], [-1, 2**63, 1.5, "many"])
VALUES: dict[str, tuple[list[Any], list[Any]]] = {
    # What is right, and what is wrong.
    "on_difference": (["fail", "skip", "pass"], ["stop", None]),
    "on_empty": (["fail", "pass"], ["skip", None]),
    "max_rows_added": ROWS,
    "max_rows_removed": ROWS,
    "max_rows_different": ROWS,
    "max_values_different": (
        [None, "None", {}, {"amount": 5, "at": None}, "{'amount': '5', 'at': 'None'}"],
        [5, ["amount"], "amount", {"amount": -1}, {"amount": "many"}, {None: 5}],
    ),
    "min_match_ratio": ([None, "None", 0, 1, "0.5"], [-0.1, 1.1, "all"]),
    "allow_schema_changes": ([True, "false"], [None, "maybe"]),
}


def test_its_arguments() -> None:
    for name, (right, wrong) in VALUES.items():
        for value in right:
            Gate({**ARGUMENTS, name: value})
        for value in wrong:
            with pytest.raises(DatafoldInputError, match=rf"^{name}(\['\w+'\])?: "):
                Gate({**ARGUMENTS, name: value})


def test_each_limit_is_its_own() -> None:
    for name, given, limit in (
        ("max_rows_added", "7", 7),
        ("max_rows_added", "None", None),
        ("max_rows_removed", 7, 7),
        ("max_rows_different", 7, 7),
        ("max_values_different", "{'a': '5', 'b': None}", {"a": 5, "b": None}),
        ("min_match_ratio", "0.5", 0.5),
        ("allow_schema_changes", "true", True),
    ):
        wanted: Any = {name: limit}
        assert Gate({**ARGUMENTS, name: given}).limits == Limits(**wanted)


DETAILS = {
    **DIFFERENT.outcome,
    "summary_results": {
        "values": {"columns_diff_stats": [{"column_name": "amount", "values_different": 5}]},
        "schema": {"exclusive_columns": [[], ["new"]]},
    },
}


@pytest.mark.parametrize(
    ("outcome", "kind", "text"),
    [
        (
            DETAILS,
            DatafoldDifferenceError,
            "Data diff 3 differs: rows added 3, rows removed 2, rows different 5, match ratio "
            "0.95. Values differ in 'amount' (5). Only side 2 has 'new'. See ",
        ),
        (
            {**DETAILS, "result": "bad-pks"},
            DatafoldNotComparedError,
            "Data diff 3: primary keys are null or not unique. Values differ in 'amount' (5). "
            "Only side 2 has 'new'. See ",
        ),
        (
            {"result": "empty", "summary_results": {"values": None}},
            DatafoldNotComparedError,
            "Data diff 3: there are no rows to compare. See ",
        ),
    ],
    ids=["different", "bad keys", "empty"],
)
def test_what_is_said(decide: Any, sandbox: Any, outcome: Any, kind: Any, text: str) -> None:
    page = f"{sandbox.url}/datadiffs/3/overview"
    assert failure(kind, decide, "done", outcome) == text + page


def test_a_difference_that_passes_is_returned(decide: Any, sandbox: Any, log: Any) -> None:
    assert decide("done", DETAILS, on_difference="pass") == {
        "id": 3,
        "status": "done",
        "result": "different",
        "url": f"{sandbox.url}/datadiffs/3/overview",
        "diff_stats": DIFFERENT.outcome["diff_stats"],
    }
    (warning,) = log.warnings
    assert warning.startswith("Data diff 3 differs: rows added 3")
    assert warning.endswith(f"See {sandbox.url}/datadiffs/3/overview")


PASSED_ONCE: list[tuple[Course, dict[str, Any], str]] = [
    (
        done("identical", table_b_row_count=0),
        {},
        "the result is 'identical', but rows on the first side 100, rows on the second side 0",
    ),
    (done("identical", errors=12), {}, "the result is 'identical', but errors 12"),
    (done("identical", rows_removed=5), {}, "the result is 'identical', but rows removed 5"),
    (done("identical", diff_schema=1), {}, "the result is 'identical', but schema differences 1"),
    (
        done("different", table_b_row_count=200),
        {"max_rows_added": 1000},
        "rows on the second side 200, but rows on the first side 100, rows added 0, "
        "rows removed 0, which makes 100",
    ),
    (
        done("different", rows_removed=-1, diff_rows_count=-1),
        {"max_rows_added": 1000},
        "rows removed is -1, but must be a whole number, 0 or more",
    ),
]
"""What let bad data through when a verdict believed the result alone."""


@pytest.mark.parametrize(("course", "limits", "words"), PASSED_ONCE)
@pytest.mark.parametrize("on_difference", ["fail", "skip", "pass"])
def test_an_answer_that_contradicts_itself_never_passes(
    decide: Any, course: Course, limits: Any, words: str, on_difference: str
) -> None:
    arguments = {**limits, "on_difference": on_difference, "on_empty": "pass"}
    found = failure(DatafoldNotComparedError, decide, "done", course.outcome, **arguments)
    assert found.startswith(f"Data diff 3: Datafold's answer contradicts itself: {words}. ")


@pytest.mark.parametrize(
    ("course", "limits", "words"),
    [
        (
            done("identical", table_a_row_count=0),
            {"on_empty": "fail"},
            "there are no rows to compare",
        ),
        (
            done("different", rows_added=100, diff_duplicate_pks=1.0),
            {"max_rows_added": 1000},
            "some primary keys are null or doubled, so the counts of rows say nothing",
        ),
        (
            done("different", rows_removed=100),
            {"min_match_ratio": 0.999},
            "no row is on both sides, so the match ratio says nothing",
        ),
        (
            done("different", diff_rows_count=32, sampled=True),
            {"max_rows_different": 50},
            "only a sample was compared, which says nothing about how many rows of the tables "
            "differ: use min_match_ratio as the only limit, or do not sample",
        ),
    ],
)
def test_what_was_not_compared_never_passes(
    decide: Any, course: Course, limits: Any, words: str
) -> None:
    found = failure(DatafoldNotComparedError, decide, "done", course.outcome, **limits)
    assert found.startswith(f"Data diff 3: {words}. ")


WITHIN = {"max_rows_added": 3, "max_rows_removed": 2, "max_rows_different": 5}


def test_what_passes_by_limits_is_confirmed_by_its_results(decide: Any, sandbox: Any) -> None:
    assert decide("done", DIFFERENT.outcome, **WITHIN)["result"] == "different"
    paths = [request.path for request in sandbox.state.requests]
    assert paths == [f"/api/v1/datadiffs/3{rest}" for rest in ("", "/summary_results")]


def test_results_that_disagree_stop_the_gate(decide: Any, sandbox: Any) -> None:
    results = {"pks": {"exclusives": [500, 3]}}
    outcome = {**DIFFERENT.outcome, "summary_results": results}
    found = failure(DatafoldNotComparedError, decide, "done", outcome, **WITHIN)
    assert "itself: rows removed 2, but rows removed in the results 500. " in found
    # They are not read twice.
    paths = [request.path for request in sandbox.state.requests]
    assert paths == [f"/api/v1/datadiffs/3{end}" for end in ("", "/summary_results", "/summary")]


@pytest.mark.parametrize(
    ("fault", "kind"), [(503, DatafoldServerError), (404, DatafoldNotFoundError)]
)
@pytest.mark.parametrize("arguments", [WITHIN, {"on_difference": "pass", **WITHIN}])
def test_results_that_cannot_be_read_confirm_nothing(
    decide: Any, monkeypatch: pytest.MonkeyPatch, log: Any, fault: int, kind: Any, arguments: Any
) -> None:
    Conductor(monkeypatch, faults={"mine": {"results": [fault, ...]}})
    failure(kind, decide, "done", DIFFERENT.outcome, **arguments)
    assert log.warnings[-1] == "Data diff 3 does not pass before its results are read."


@pytest.mark.parametrize(
    "said",
    [
        *({"status": status} for status in ("running", "pending", "queued", None)),
        # They cannot be of a data diff that was compared.
        {"status": "done", "pks": None, "values": None},
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    ("outcome", "limits"),
    [(DIFFERENT.outcome, WITHIN), (done("identical", sampled=None).outcome, {})],
    ids=["different", "identical"],
)
@pytest.mark.parametrize("on_difference", ["fail", "pass"])
def test_results_that_are_not_complete_confirm_nothing(
    decide: Any, said: Any, outcome: Any, limits: Any, on_difference: str
) -> None:
    outcome = {**outcome, "summary_results": said}
    arguments = {**limits, "on_difference": on_difference}
    found = failure(DatafoldTransientError, decide, "done", outcome, **arguments)
    words = f"are not complete (status {said['status']!r}). A retry looks at them again. See "
    assert words in found


def test_a_status_of_results_repeats_no_secret(decide: Any) -> None:
    outcome = {**DIFFERENT.outcome, "summary_results": {"status": f"held by {API_KEY}"}}
    found = failure(DatafoldTransientError, decide, "done", outcome, **WITHIN)
    assert "(status 'held by ***')" in found


def test_identical_asks_for_more_only_if_it_may_be_a_sample(decide: Any, sandbox: Any) -> None:
    for sampled, requests in ((False, 1), (None, 2)):
        sandbox.state.requests.clear()
        decide("done", done("identical", sampled=sampled).outcome)
        assert len(sandbox.state.requests) == requests


SAMPLED = done("identical", sampled=True).outcome


def test_a_sample_that_passes_is_said_to_be_one(decide: Any, sandbox: Any, log: Any) -> None:
    returned = decide("done", SAMPLED)
    stats = {**SAMPLED["diff_stats"], "sample": "a sample of 50 rows"}
    assert (returned["result"], returned["diff_stats"]) == ("identical", stats)
    see = f"See {sandbox.url}/datadiffs/3/overview"
    assert f"Data diff 3 passes: identical, in a sample of 50 rows. {see}" in log.messages


def test_a_sample_that_differs_and_passes_is_said_to_be_one(decide: Any) -> None:
    outcome = done("different", sampled=True, rows_added=3).outcome
    returned = decide("done", outcome, on_difference="pass")
    assert returned["diff_stats"]["sample"] == "a sample of 50 rows"


def test_a_sample_of_no_rows_never_passes(decide: Any) -> None:
    outcome = {**SAMPLED, "summary_results": {"values": {"total_rows": 0}}}
    found = failure(DatafoldNotComparedError, decide, "done", outcome)
    assert found.startswith("Data diff 3: only a sample was compared, and it holds no rows. ")


def test_a_sample_that_was_asked_for_is_one(decide: Any) -> None:
    outcome = done("identical", sampled=None).outcome
    asked = {"sampling_ratio": 0.1}
    # The sandbox says in its results that it compared all.
    returned = decide("done", outcome, given=asked)
    assert returned["diff_stats"]["sample"] == "a sample of 100 rows"
    assert "sample" not in decide("done", outcome)["diff_stats"]


@pytest.mark.parametrize(
    ("status", "outcome", "kind", "text"),
    [
        (
            "done",
            {"result": "missing-pks", "feedback": " Table B has no column 'id'.\n"},
            DatafoldNotComparedError,
            "Data diff 3: a side lacks primary key columns. Datafold says: Table B has no column "
            "'id'. See ",
        ),
        (
            "done",
            {**DIFFERENT.outcome, "feedback": f"Look at {API_KEY}" + "x" * 500},
            DatafoldDifferenceError,
            f"Datafold says: Look at ***{'x' * 174}.... See ",
        ),
        (
            "done",
            {**DIFFERENT.outcome, "feedback": "rows added 3, rows removed 2"},
            DatafoldDifferenceError,
            "match ratio 0.95. Values differ in 'amount' (5). See ",
        ),
        (
            "failed",
            {"feedback": "The warehouse is asleep."},
            DatafoldJobFailedError,
            "Data diff 3 failed: Datafold says: The warehouse is asleep. A retry ",
        ),
        (
            "failed",
            {"error": {"error_value": "no table"}, "feedback": "Check its name."},
            DatafoldJobFailedError,
            "Data diff 3 failed: no table. Datafold says: Check its name. A retry ",
        ),
        ("failed", {"feedback": ["odd"]}, DatafoldJobFailedError, "Datafold does not say why. "),
    ],
)
def test_datafold_s_own_words_are_added(
    decide: Any, status: str, outcome: Any, kind: Any, text: str
) -> None:
    assert text in failure(kind, decide, status, outcome)


def test_limits_of_columns(decide: Any) -> None:
    for given in ({"amount": 5}, "{'amount': '5', 'loaded_at': None}", '{"amount": 5}'):
        assert decide("done", DIFFERENT_VALUES, max_values_different=given)["id"]
    failure(
        DatafoldDifferenceError, decide, "done", DIFFERENT_VALUES, max_values_different={"a": None}
    )


DIFFERENT_VALUES = done("different", diff_rows_count=5).outcome
