"""docs/data_diffs.md says what the operator and the sensor for data diffs do."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.exceptions import (
    DatafoldDeadlineError,
    DatafoldError,
    DatafoldInputError,
    DatafoldNotComparedError,
)
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.jobs.data_diff import creation
from airflow_provider_datafold.jobs.gate.arguments import COMPARED
from airflow_provider_datafold.jobs.watch import PollInterval
from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from airflow_provider_datafold.sensors.data_diffs import DatafoldDataDiffSensor
from dev.sandbox.course import Course, Job
from dev.sandbox.data_diffs import DIFFERENT, IDENTICAL, done, failed
from tests import documents
from tests.conftest import ROOT
from tests.contexts import context_of
from tests.docs.test_operators_page import arguments

PAGE = ROOT / "docs" / "data_diffs.md"
BODY = {"data_source1_id": 1, "data_source2_id": 1, "table1": ["T"], "table2": ["U"]}
TABLES = {"table1": ["DB", "PUBLIC", "ORDERS"], "table2": ["DB", "STAGING", "ORDERS"]}

ANY_LIMITS: list[dict[str, Any]] = [{}, {"max_rows_added": 9}, {"min_match_ratio": 0.5}]
KEPT: list[dict[str, Any]] = [
    {"max_rows_added": 3, "max_rows_removed": 2, "max_rows_different": 5},
    {"min_match_ratio": 0.95},
]
EXCEEDED: list[dict[str, Any]] = [
    {"max_rows_added": 3},
    {"max_rows_added": 2, "max_rows_removed": 2, "max_rows_different": 5},
    {"min_match_ratio": 0.96},
    {"allow_schema_changes": True},
]
UNMEASURED = Course(
    (),
    "done",
    {
        **done("different", rows_added=None).outcome,
        "summary_results": {"pks": None, "values": None},
    },
)
EMPTY = [done("empty"), done("identical", table_a_row_count=0)]
BAD_KEYS = [
    done("different", rows_added=3, diff_duplicate_pks=1.0),
    done("different", rows_added=3, diff_null_pks=0.5),
]
ON_COUNTS: list[dict[str, Any]] = [
    {"max_rows_added": 9},
    {"max_rows_removed": 9, "min_match_ratio": 0.5},
]
SAMPLE = done("identical", sampled=True)


def with_results(course: Course, **sections: Any) -> Course:
    """Change the detailed results of a course."""
    return replace(course, outcome={**course.outcome, "summary_results": sections})


def with_values(course: Course, **values: Any) -> Course:
    return with_results(course, values={"columns_diff_stats": [], **values})


NO_ROWS_SAMPLED = with_values(SAMPLE, total_rows=0)
CONTRADICTION = done("identical", rows_removed=5)
SCHEMA = {"diff_schema": 1.0}
VERDICTS: list[tuple[list[Course], list[dict[str, Any]]]] = [
    ([IDENTICAL, done("identical", sampled=None)], ANY_LIMITS),
    ([DIFFERENT], [{}]),
    ([DIFFERENT], KEPT),
    ([DIFFERENT], EXCEEDED),
    ([done("identical", **SCHEMA), done("different", rows_added=3, **SCHEMA)], ANY_LIMITS),
    ([UNMEASURED], [{"max_rows_added": 3}, {"max_rows_removed": 0}]),
    (BAD_KEYS, ON_COUNTS),
    ([SAMPLE, done("different", rows_added=3, sampled=True)], ON_COUNTS),
    ([DIFFERENT], [{"max_rows_added": 9}, {"min_match_ratio": 0.5}]),
    ([SAMPLE], [{}]),
    ([NO_ROWS_SAMPLED], [{}, {"min_match_ratio": 0.5}]),
    ([CONTRADICTION, done("identical", errors=12)], ANY_LIMITS),
    (EMPTY, ANY_LIMITS),
    (EMPTY, [{**limits, "on_empty": "pass"} for limits in ANY_LIMITS]),
    ([done("missing-pks")], ANY_LIMITS),
    ([done("bad-pks")], ANY_LIMITS),
    ([Course((), "done"), done("similar")], ANY_LIMITS),
    ([failed("QueryError", "no such table"), done("error")], ANY_LIMITS),
    ([failed("QueryError", "no such table", is_retryable=False)], ANY_LIMITS),
    ([Course((), "cancelled")], ANY_LIMITS),
    ([Course((), "needs_confirmation"), Course((), "needs_authentication")], ANY_LIMITS),
]
"""The courses and arguments for the rows of the page's table, except the last one."""

CUT = {"data_source2_id": 2, "download_limit": 100}
"""What makes a search end early."""

ROWS = documents.rows(documents.section(PAGE, "The verdict"))

RATIO, GENEROUS = {"min_match_ratio": 0.5}, {"max_rows_added": 1000, "max_rows_removed": 1000}
GROWN = done("different", rows_added=5)
NEVER_GREEN: list[tuple[Course, dict[str, Any]]] = [
    (done("different", rows_added=-1), GENEROUS),
    (done("different", rows_added=3, errors=1), GENEROUS),
    (with_results(IDENTICAL, pks={"exclusives": [0, 1]}), {}),
    (done("identical", table_b_row_count=0), {}),
    (with_values(IDENTICAL, compared_columns=0), {}),
    (with_results(GROWN, pks={"dupes": [0, 1]}), GENEROUS),
    (NO_ROWS_SAMPLED, {}),
    (GROWN, GENEROUS),
    (done("different", rows_removed=100), RATIO),
    (done("different", rows_added=3, match_ratio=1.1), RATIO),
    (DIFFERENT, {**GENEROUS, "max_values_different": {"other": 5}}),
]
"""A course and limits that break the rule of each row, in the order of the page."""

RULES = documents.rows(documents.section(PAGE, "What a green gate means"))


def ended(sandbox: Any, course: Course, more: Any = ()) -> int:
    """Start a data diff, and read it until it has ended."""
    sandbox.state.data_diffs.courses.coming.append(course)
    with DatafoldHook() as hook:
        number: int = hook.create_data_diff({**BODY, "pk_columns": ["id"], **dict(more)})["id"]
        for _ in range(3):
            hook.get_data_diff(number)
    return number


def judge(number: int, given: dict[str, Any]) -> Any:
    """Judge a data diff: return the task's value or its exception."""
    sensor = DatafoldDataDiffSensor(task_id="gate", datadiff_id=number, **given)
    try:
        return sensor.execute({})
    except (DatafoldError, AirflowSkipException) as error:
        return error


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(
    ("row", "courses", "limits"),
    [(row, *verdict) for row, verdict in zip(ROWS[:-1], VERDICTS, strict=True)],
)
def test_a_row_says_what_the_verdict_is(
    row: list[str], courses: list[Course], limits: list[dict[str, Any]], sandbox: Any
) -> None:
    _, _, task, error = row
    for course in courses:
        number = ended(sandbox, course, CUT if "its search ended" in row[0] else ())
        for given in limits:
            found = judge(number, given)
            if task.startswith("succeeds"):
                assert found["id"] == number
            else:
                assert f"`{type(found).__name__}`" == error
            leeway = [judge(number, {**given, "on_difference": way}) for way in ("skip", "pass")]
            if task.startswith("as `on_difference`"):
                assert isinstance(leeway[0], AirflowSkipException)
                assert leeway[1]["id"] == number
            else:
                assert [type(other) for other in leeway] == [type(found)] * 2


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(
    ("row", "course", "limits"),
    [(row, *broken) for row, broken in zip(RULES, NEVER_GREEN, strict=True)],
    ids=[" ".join(row) for row in RULES],
)
def test_a_rule_says_what_never_passes(
    row: list[str], course: Course, limits: dict[str, Any], sandbox: Any
) -> None:
    number = ended(sandbox, course, CUT if "`download_limit`" in row[1] else ())
    found = judge(number, {"on_difference": "pass", **limits})
    assert type(found) is DatafoldNotComparedError


@pytest.mark.usefixtures("connections")
def test_a_sample_is_said_to_be_one_as_on_the_page(sandbox: Any, page_text: str) -> None:
    value = judge(ended(sandbox, with_values(SAMPLE, total_rows=500)), {})
    assert f'`"sample": "{value["diff_stats"]["sample"]}"`' in page_text


@pytest.mark.usefixtures("connections")
def test_the_last_row_is_about_the_deadline(sandbox: Any) -> None:
    number = ended(sandbox, Course((), "a new status"))
    sensor = DatafoldDataDiffSensor(
        task_id="gate", datadiff_id=number, poke_interval=0.01, timeout=0.02
    )
    with pytest.raises(DatafoldDeadlineError):
        sensor.execute({})
    assert ROWS[-1][-1] == "`DatafoldDeadlineError`"


def test_only_a_failed_data_diff_uses_up_retries() -> None:
    errors = {row[-1].strip("`") for row in ROWS} - {""}
    assert {
        name
        for name in errors
        if not issubclass(getattr(exceptions, name), exceptions.DatafoldFinalError)
    } == {"DatafoldJobFailedError"}


@pytest.mark.parametrize(
    ("operator", "title"),
    [(DatafoldRunDataDiffOperator, "Arguments"), (DatafoldDataDiffSensor, "The sensor")],
)
def test_each_argument_is_in_a_table(operator: Any, title: str) -> None:
    wanted = [
        [f"`{name}`", "yes" if name in operator.template_fields else "no", default(parameter)]
        for name, parameter in arguments(operator).items()
    ]
    rows = documents.rows(documents.section(PAGE, title))
    assert [row[:3] for row in rows] == wanted


def default(parameter: Any) -> str:
    if parameter.default is parameter.empty:
        return "required"
    if parameter.default == timedelta(hours=24):
        return "24 hours"
    is_text = isinstance(parameter.default, str)
    return f"`{json.dumps(parameter.default) if is_text else parameter.default}`"


@pytest.mark.parametrize("operator", [DatafoldRunDataDiffOperator, DatafoldDataDiffSensor])
def test_help_explains_each_argument(operator: Any) -> None:
    explained = [line.split()[1][:-1] for line in operator.__doc__.splitlines() if ":param" in line]
    assert explained == list(arguments(operator))


def test_waiting_takes_as_many_requests_as_the_page_says() -> None:
    seconds = {"s": 1, "minute": 60, "minutes": 60, "hour": 3600, "hours": 3600}
    rows = [
        row
        for row in documents.rows(documents.section(PAGE, "What waiting costs"))
        if row[1].isdigit()
    ]
    assert len(rows) == 5
    for time, requests in rows:
        number, unit = time.split()
        assert looks(int(number) * seconds[unit]) == int(requests)


def looks(seconds: int) -> int:
    """The number of polls until a job has ended, with the first one at once."""
    waited = 0.0
    for number in count(1):
        if waited >= seconds:
            return number
        waited += PollInterval().pause(waited, jitter=0.5)
    raise AssertionError


@pytest.fixture
def page_text() -> str:
    return " ".join(PAGE.read_text().split())


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("course", [DIFFERENT, CONTRADICTION], ids=["different", "contradiction"])
def test_the_error_of_a_gate_is_the_one_on_the_page(
    sandbox: Any, page_text: str, course: Course
) -> None:
    error = judge(ended(sandbox, course), {})
    text = str(error).replace(sandbox.url, "https://app.datafold.com")
    assert f"{type(error).__name__}: {text}" in page_text


def test_the_error_of_an_option_is_the_one_on_the_page(page_text: str) -> None:
    given: dict[str, Any] = {**dict.fromkeys(COMPARED), **BODY, "pk_columns": ["id"]}
    with pytest.raises(DatafoldInputError) as caught:
        creation(given, {"diff_tolerence": 0.01})
    assert f"DatafoldInputError: {caught.value}" in page_text


@pytest.mark.usefixtures("connections")
def test_what_comes_back_is_what_the_page_shows(sandbox: Any) -> None:
    number = sandbox.state.data_diffs.add(
        {**BODY, **TABLES, "pk_columns": ["id"]}, Job(Course((), "done", DIFFERENT.outcome))
    )["id"]
    sensor = DatafoldDataDiffSensor(task_id="gate", datadiff_id=number, on_difference="pass")
    context = context_of(sensor)
    value = sensor.execute(context)
    shown = [
        json.loads(block.replace("https://app.datafold.com", sandbox.url))
        for block in documents.blocks(PAGE, "json")
    ]
    assert shown == [value, context["ti"].pushed["verdict"]]
