"""How a gate handles the end of a data diff. tests/jobs/gate/test_verdict.py has the rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_datafold.exceptions import (
    DatafoldDifferenceError,
    DatafoldError,
    DatafoldInputError,
    DatafoldJobCancelledError,
    DatafoldJobFailedError,
    DatafoldJobInvalidError,
    DatafoldNotComparedError,
    DatafoldWaitingForPersonError,
)
from airflow_provider_datafold.jobs.gate.arguments import PASSING
from airflow_provider_datafold.jobs.gate.decision import Gate
from airflow_provider_datafold.jobs.gate.limits import Limits
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.jobs.job import DATA_DIFF
from airflow_provider_datafold.redaction.secret import conceal
from dev.sandbox.course import Course, Job
from dev.sandbox.data_diffs import DIFFERENT, IDENTICAL, done
from tests.conductor import Conductor, changed
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
    **dict.fromkeys(PASSING),
    "on_difference": "fail",
    "allow_schema_changes": False,
    "on_empty": "fail",
}


class Decide:
    """Lets a gate decide about a data diff that has ended."""

    told: tuple[str, str, dict[str, bool]]
    """Outcome, reason and assertions of the last verdict."""

    def __init__(self, hook: JobHook, sandbox: Any) -> None:
        self._hook, self._sandbox = hook, sandbox

    def __call__(
        self, status: str, outcome: Any = None, given: Any = GIVEN, **arguments: Any
    ) -> Any:
        job = Job(Course((), status, outcome or {}))
        number = self._sandbox.state.data_diffs.add(BODY, job)["id"]
        reading = self._hook.look(DATA_DIFF, {"datadiff_id": number})
        gate = Gate({**ARGUMENTS, **arguments})
        try:
            return gate.decide(self._hook, {}, number, reading, given)
        finally:
            if found := gate.verdict:
                self.told = found.outcome.value, found.reason, dict(found.assertions)


@pytest.fixture
def decide(connect: Any, sandbox: Any, log: Any) -> Iterator[Decide]:
    connect("datafold_default", host=sandbox.url, password=API_KEY, extra={"max_retries": 0})
    with JobHook() as hook:
        yield Decide(hook, sandbox)


def failure(kind: type[DatafoldError], decide: Decide, *how: Any, **arguments: Any) -> str:
    with pytest.raises(DatafoldError) as caught:
        decide(*how, **arguments)
    assert type(caught.value) is kind
    return str(caught.value)


def asked(sandbox: Any) -> list[str]:
    """What was requested of the data diff."""
    found = [request.path for request in sandbox.state.requests]
    return [path.removeprefix("/api/v1/datadiffs/") for path in found]


BAD_KEYS = "primary keys are null or not unique"
DETAILS = {
    **DIFFERENT.outcome,
    "summary_results": {
        "values": {"columns_diff_stats": [{"column_name": "amount", "values_different": 5}]},
        "schema": {"exclusive_columns": [[], ["new"]]},
    },
}


@pytest.mark.parametrize(
    ("status", "outcome", "kind", "text", "verdict"),
    [
        (
            "needs_authentication",
            {},
            DatafoldWaitingForPersonError,
            " waits for a person (needs_authentication), so waiting longer will not help. Confirm "
            # A clear does not find it again if the run had ended.
            "it or log in at Datafold, then wait for it with a DatafoldDataDiffSensor. Or cancel "
            "it at Datafold and clear this task, which starts a new one.",
            ("blocked", "it waits for a person (needs_authentication)", {}),
        ),
        (
            "cancelled",
            {},
            DatafoldJobCancelledError,
            " was cancelled at Datafold, not by this task. Clear the task to start a new one.",
            ("cancelled", "it was cancelled at Datafold, not by this task", {}),
        ),
        (
            "done",
            DETAILS,
            DatafoldDifferenceError,
            " differs: rows added 3, rows removed 2, rows different 5, match ratio 0.95. Values "
            "differ in 'amount' (5). Only side 2 has 'new'.",
            (
                "differs",
                "rows added 3, rows removed 2, rows different 5, match ratio 0.95",
                {"identical": False},
            ),
        ),
        (
            "done",
            {**DETAILS, "result": "bad-pks"},
            DatafoldNotComparedError,
            f": {BAD_KEYS}. Values differ in 'amount' (5). Only side 2 has 'new'.",
            ("not_compared", BAD_KEYS, {"compared": False}),
        ),
        (
            "done",
            {"result": "empty", "summary_results": {"pks": None, "values": None}},
            DatafoldNotComparedError,
            ": there are no rows to compare.",
            ("empty", "there are no rows to compare", {"compared": False}),
        ),
    ],
    ids=["blocked", "cancelled", "different", "bad keys", "empty"],
)
def test_what_does_not_pass(
    decide: Decide, sandbox: Any, status: str, outcome: Any, kind: Any, text: str, verdict: Any
) -> None:
    # Only a difference may.
    on_difference = "fail" if kind is DatafoldDifferenceError else "pass"
    # The link comes last: a terminal makes one of it.
    page = f"{sandbox.url}/datadiffs/3/overview"
    found = failure(kind, decide, status, outcome, on_difference=on_difference)
    assert found == f"Data diff 3{text} See {page}"
    assert decide.told == verdict


RETRY = ". A retry starts a new data diff. See "
SILENCE = "Datafold does not say why"


@pytest.mark.parametrize(
    ("error", "kind", "text", "why"),
    [
        (
            # Only the full stop is cut.
            {"error_type": "QueryError", "error_value": "no column X."},
            DatafoldJobFailedError,
            f": QueryError: no column X{RETRY}",
            "QueryError: no column X",
        ),
        (
            {"error_value": "no such table", "is_retryable": False},
            DatafoldJobInvalidError,
            ", and Datafold says that a retry will not help: no such table. See ",
            "no such table",
        ),
        ({"error_value": ["odd"]}, DatafoldJobFailedError, f": ['odd']{RETRY}", "['odd']"),
        ("odd", DatafoldJobFailedError, f": {SILENCE}{RETRY}", SILENCE),
    ],
    ids=repr,
)
def test_why_it_failed(decide: Decide, error: Any, kind: Any, text: str, why: str) -> None:
    said = {"error": error, "summary_results": {"error": error}}
    # What failed is not judged, even if it has figures.
    for number, status, result in ((3, "failed", "identical"), (4, "done", "error")):
        found = failure(kind, decide, status, {**DIFFERENT.outcome, "result": result, **said})
        assert f"Data diff {number} failed{text}" in found
        assert decide.told == ("failed", why, {})


WITHIN = {"max_rows_added": 3, "max_rows_removed": 2, "max_rows_different": 5}

ECHO = f"cannot log in with {PASSWORD} and Key {API_KEY}"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("failed", {"error": {"error_type": ECHO, "error_value": ECHO, "is_retryable": False}}),
        ("failed", {"error": {"error_value": ECHO}}),
        ("done", {"result": ECHO}),
        ("done", {**DIFFERENT.outcome, "summary_results": {"status": ECHO}}),
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
    ids=["for good", "failed", "result", "status", "columns"],
)
def test_no_secret_is_repeated(decide: Decide, log: Any, status: str, outcome: Any) -> None:
    said = ""
    for on_difference in ("fail", "pass", "skip"):
        try:
            said += str(decide(status, outcome, on_difference=on_difference))
        except (DatafoldError, AirflowSkipException) as error:
            said += str(error)
    for secret in (API_KEY, PASSWORD):
        assert secret not in said
        assert secret not in log.text
    assert "***" in said + log.text


@pytest.mark.parametrize("fault", [403, 404])
def test_results_that_are_refused_leave_the_decision_to_the_figures(
    decide: Decide, monkeypatch: pytest.MonkeyPatch, log: Any, fault: int
) -> None:
    Conductor(monkeypatch, faults={"mine": {"results": [fault, ...]}})
    found = failure(DatafoldDifferenceError, decide, "done", DIFFERENT.outcome)
    assert "match ratio 0.95. See http" in found
    assert decide("done", DIFFERENT.outcome, **WITHIN)["result"] == "different"
    assert f"Could not read the detailed results: {fault}, " in log.warnings[0]
    assert log.warnings[1].endswith("own figures decide. This does not change the verdict.")


def test_an_empty_one_may_pass(decide: Decide) -> None:
    outcome = {"result": "empty", "summary_results": {"pks": None}}
    assert decide("done", outcome, on_empty="pass")["id"] == 3


@pytest.mark.parametrize(("until_ready", "reads"), [(0, 1), (2, 3), (9, 3)])
def test_results_may_be_ready_a_moment_later(
    decide: Decide, sandbox: Any, monkeypatch: pytest.MonkeyPatch, until_ready: int, reads: int
) -> None:
    not_ready = changed(status="running", pks=None, values=None)
    Conductor(monkeypatch, faults={"mine": {"results": [not_ready] * until_ready}})
    assert decide("done", IDENTICAL.outcome)["result"] == "identical"
    assert asked(sandbox) == ["3", *["3/summary_results"] * reads]


ROWS = [-1, 2**63, 1.5, "many"]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("on_difference", ["stop", None]),
        ("on_empty", ["skip", None]),
        *((f"max_rows_{which}", ROWS) for which in ("added", "removed", "different")),
        ("max_values_different", [5, ["a"], "a", {"a": -1}, {"a": "many"}, {None: 5}]),
        ("min_match_ratio", [-0.1, 1.1, "all"]),
        ("allow_schema_changes", [None, "maybe"]),
    ],
)
def test_a_wrong_argument_is_named(name: str, wrong: list[Any]) -> None:
    for value in wrong:
        with pytest.raises(DatafoldInputError, match=rf"^{name}(\['\w+'\])?: "):
            Gate({**ARGUMENTS, name: value})


@pytest.mark.parametrize(
    ("name", "given", "limit"),
    [
        ("max_rows_added", "7", 7),
        ("max_rows_added", "None", None),
        ("max_rows_removed", 0, 0),
        ("max_rows_different", 2**63 - 1, 2**63 - 1),
        ("max_values_different", "{'a': '5', 'b': 'None'}", {"a": 5, "b": None}),
        ("max_values_different", {}, {}),
        ("min_match_ratio", "0.5", 0.5),
        ("min_match_ratio", 1, 1),
        ("allow_schema_changes", "true", True),
    ],
)
def test_each_limit_is_its_own(name: str, given: Any, limit: Any) -> None:
    wanted: Any = {name: limit}
    assert Gate({**ARGUMENTS, name: given}).limits == Limits(**wanted)


def test_a_difference_that_passes_is_returned(decide: Decide, sandbox: Any, log: Any) -> None:
    page = f"{sandbox.url}/datadiffs/3/overview"
    assert decide("done", DETAILS, on_difference="pass") == {
        "id": 3,
        "status": "done",
        "result": "different",
        "url": page,
        "diff_stats": DIFFERENT.outcome["diff_stats"],
    }
    (warning,) = log.warnings
    assert warning.startswith("Data diff 3 differs: rows added 3")
    assert warning.endswith(f"See {page}")


def test_a_difference_may_skip_the_tasks_that_follow(decide: Decide) -> None:
    with pytest.raises(AirflowSkipException, match="^Data diff 3 differs: rows added 3"):
        decide("done", DETAILS, on_difference="skip")


SAMPLED = done("identical", sampled=True).outcome


def test_a_sample_that_passes_is_said_to_be_one(decide: Decide, sandbox: Any, log: Any) -> None:
    returned = decide("done", SAMPLED)
    stats = {**SAMPLED["diff_stats"], "sample": "a sample of 50 rows"}
    assert (returned["result"], returned["diff_stats"]) == ("identical", stats)
    see = f"See {sandbox.url}/datadiffs/3/overview"
    assert f"Data diff 3 passes: identical, in a sample of 50 rows. {see}" in log.messages


def test_a_sample_that_was_asked_for_is_one(decide: Decide) -> None:
    outcome = done("identical", sampled=None).outcome
    asked = {"sampling_ratio": 0.1}
    # The sandbox says in its results that it compared all.
    returned = decide("done", outcome, given=asked)
    assert returned["diff_stats"]["sample"] == "a sample of 100 rows"
    assert "sample" not in decide("done", outcome)["diff_stats"]
    limits = {"given": asked, "max_rows_added": 1}
    assert "only a sample was compared" in failure(
        DatafoldNotComparedError, decide, "done", outcome, **limits
    )


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
            {"error": {"error_value": "no table"}, "feedback": "Check its name."},
            DatafoldJobFailedError,
            "Data diff 3 failed: no table. Datafold says: Check its name. A retry ",
        ),
        ("failed", {"feedback": ["odd"]}, DatafoldJobFailedError, "Datafold does not say why. "),
    ],
)
def test_datafold_s_own_words_are_added(
    decide: Decide, status: str, outcome: Any, kind: Any, text: str
) -> None:
    assert text in failure(kind, decide, status, outcome)
