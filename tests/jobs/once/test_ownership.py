"""Whose data diff it is: tags, generations, and the choice among those of an account."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_datafold.jobs.once import ownership
from airflow_provider_datafold.jobs.once.ownership import (
    Owner,
    asks_for,
    choose,
    created_at,
    owner_of,
    running,
    tells_of_each_clear,
)
from airflow_provider_datafold.redaction.secret import Secret, conceal

SINCE = datetime(2024, 5, 1, 6, 0, tzinfo=timezone.utc)
BODY = {"data_source1_id": 1, "data_source2_id": 1, "table1": ["A"], "table2": ["B"]}
OWNER = Owner("airflow:0123456789ab", "0-ba9876543210", SINCE)
OTHER_GENERATION = f"{OWNER.task}:1-ba9876543210"


@pytest.fixture(params=[True, False], ids=["each clear", "few clears"])
def tells(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether Airflow counts each clear, as it does from 3.2 on."""
    monkeypatch.setattr(ownership, "tells_of_each_clear", lambda: request.param)
    return bool(request.param)


def owner(
    body: Any = BODY, retries: Any = 2, start: Any = SINCE, clears: Any = 0, **ti: Any
) -> Owner:
    names = {"dag_id": "d", "task_id": "t", "run_id": "r", "map_index": -1}
    counts = {"max_tries": 2, "try_number": 1}
    context: Any = {
        "ti": SimpleNamespace(**{**names, **counts, **ti}),
        "task": SimpleNamespace(retries=retries),
        "dag_run": SimpleNamespace(start_date=start, clear_number=clears),
    }
    return owner_of(context, body)


def diff(number: Any, status: Any, *tags: Any, **more: Any) -> dict[str, Any]:
    made = {"created_at": SINCE.isoformat()}
    return {"id": number, "status": status, "tags": list(tags), **made, **more}


def test_the_tag_names_task_and_generation() -> None:
    assert re.fullmatch(r"airflow:[0-9a-f]{12}:2-2-[0-9a-f]{12}", owner().tag)
    assert owner() == owner()
    assert owner().since == SINCE


@pytest.mark.parametrize(
    "other",
    [
        {"dag_id": "e"},
        {"task_id": "u"},
        {"run_id": "s"},
        {"map_index": 0},
        {"start": SINCE + timedelta(microseconds=1)},
        {"start": None},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_run_is_another_task(other: dict[str, Any]) -> None:
    # Equal run ids in two Airflows with one account: the start distinguishes them.
    assert owner(**other).task != owner().task
    assert owner(**other).generation == owner().generation


@pytest.mark.parametrize(
    "other",
    [
        {"max_tries": 3},
        {"retries": 1},
        # The DAG file has another one by now, of which the clear did not know.
        {"max_tries": 3, "retries": 3},
        # A clear of a task that runs leaves no other trace.
        {"clears": 1},
        {"clears": 2},
        {"body": {**BODY, "table1": ["C"]}},
    ],
    ids=repr,
)
def test_what_was_cleared_or_asks_for_something_else_is_another_generation(
    tells: bool, other: dict[str, Any]
) -> None:
    assert owner(**other).task == owner().task
    assert owner(**other).generation != owner().generation


@pytest.mark.parametrize("clears", [0, 1])
def test_a_retry_is_another_generation_only_where_it_may_be_a_clear(
    tells: bool, clears: int
) -> None:
    tries = [owner(clears=clears, try_number=number).tag for number in (1, 2, 3)]
    assert len(set(tries)) == (1 if tells else 3)
    # The same try, which Airflow may start twice, finds its own.
    assert owner(clears=clears, try_number=2).tag == tries[1]


@pytest.mark.parametrize(
    ("version", "tells_of_each"),
    [("2.11.2", False), ("3.0.6", False), ("3.1.8", False), ("3.2.0", True), ("3.3.2", True)]
    + [("3.4.0b2", True), ("3.10.0", True), ("4.0", True)],
)
def test_airflow_counts_each_clear_from_3_2_on(
    monkeypatch: pytest.MonkeyPatch, version: str, tells_of_each: bool
) -> None:
    monkeypatch.setattr("airflow.__version__", version)
    assert tells_of_each_clear() is tells_of_each


def test_the_order_of_a_body_does_not_matter() -> None:
    assert owner(dict(reversed(BODY.items()))) == owner()


def test_what_airflow_does_not_know_is_no_error() -> None:
    assert owner(max_tries=None, retries=None).generation.startswith("0-0-")
    names: Any = SimpleNamespace(
        dag_id="d", task_id="t", run_id="r", map_index=-1, max_tries=2, try_number=1
    )
    context: Any = {"ti": names, "task": SimpleNamespace(retries=2), "dag_run": None}
    assert owner_of(context, BODY) == owner(start=None, clears=None)


def test_no_secret_gets_into_a_tag() -> None:
    bodies = [
        conceal({**BODY, "data_source1_session_parameters": {"password": password}})
        for password in ("one-planted-password", "another-planted-password")
    ]
    # Not even a hash of it, which could be guessed.
    assert owner(bodies[0]).tag == owner(bodies[1]).tag != owner().tag


@pytest.mark.parametrize(
    ("tags", "owns", "owned_before"),
    [
        ([OWNER.tag], True, False),
        (["nightly", OWNER.tag], True, False),
        ([OTHER_GENERATION], False, True),
        ([OTHER_GENERATION, OWNER.tag], True, False),
        ([OWNER.task], False, False),
        ([f"{OWNER.task}x:0-ba9876543210"], False, False),
        (["airflow:another-task:0-ba9876543210"], False, False),
        ([None, 5, {"a": 1}], False, False),
        ([], False, False),
        (None, False, False),
        (OWNER.tag, False, False),
    ],
)
def test_tells_its_own(tags: Any, owns: bool, owned_before: bool) -> None:
    found = {"id": 1, "tags": tags}
    assert OWNER.owns(found) is owns
    assert OWNER.owned_before(found) is owned_before


ASKED = {
    "data_source1_id": 1,
    "data_source2_id": 2,
    "table1": ["DB", "Public", "Orders"],
    "query2": "SELECT *\n  FROM orders WHERE state = 'Paid'",
    "filter1": "day = '2024-05-01'",
    "pk_columns": ["id", "Line"],
    "exclude_columns": ["loaded_at"],
    "sampling_ratio": 0.5,
    "infer_pk": False,
    "tags": ["nightly"],
}


@pytest.mark.parametrize(
    ("changed", "is_asked_for"),
    [
        # As the contract shows it, and as a service may write it.
        ({}, True),
        ({"table2": None, "query1": None, "filter2": "", "include_columns": []}, True),
        ({"table1": ["db", "PUBLIC", "ORDERS"]}, True),
        ({"query2": "SELECT * FROM orders WHERE state = 'Paid' "}, True),
        ({"pk_columns": ["LINE", "ID"], "exclude_columns": ["LOADED_AT"]}, True),
        ({"table1": None, "query2": None, "pk_columns": []}, True),
        ({"tags": ["other"], "run_profiles": True, "download_limit": 5}, True),
        ({"sampling_ratio": None, "infer_pk": None}, True),
        # Not what was asked for.
        ({"data_source1_id": 2}, False),
        ({"table1": ["DB", "PUBLIC", "CUSTOMERS"]}, False),
        ({"table1": ["DB", "ORDERS", "PUBLIC"]}, False),
        ({"table2": ["DB", "PUBLIC", "ORDERS"]}, False),
        ({"query2": "SELECT * FROM orders WHERE state = 'paid'"}, False),
        ({"query1": "SELECT 1"}, False),
        ({"file1": "s3://bucket/file.csv"}, False),
        ({"filter1": "false"}, False),
        ({"filter2": "false"}, False),
        ({"pk_columns": ["id"]}, False),
        ({"include_columns": ["id"]}, False),
        ({"exclude_columns": ["loaded_at", "amount"]}, False),
        ({"sampling_ratio": 0.01}, False),
        ({"infer_pk": True}, False),
        # Less is compared, or more counts as equal, than the task asked for.
        ({"diff_tolerance": 1e9}, False),
        ({"diff_tolerances_per_column": [{"column_name": "a", "tolerance_value": 9}]}, False),
        ({"datetime_tolerance": 0}, False),
        ({"columns_to_compare": ["id"]}, False),
        ({"column_rules": [{"column": "a", "equal_if": "true"}]}, False),
        ({"sort_array_columns": True}, False),
        ({"table_modifiers": ["case_insensitive_strings"]}, False),
        ({"time_travel_point1": -130}, False),
        ({"time_travel_point2": 0}, False),
        ({"time_interval_start": "2024-04-30T00:00:00"}, False),
        ({"sampling_max_rows": 5}, False),
        ({"compare_duplicates": False}, False),
        ({"filter1": None}, False),
        ({"filter1": ""}, False),
        ({"exclude_columns": None}, False),
        # Defaults that the service fills in, and nothing in other words.
        ({"compare_duplicates": True, "materialize_without_sampling": False}, True),
        ({"compare_duplicates": None, "datetime_tolerance": None}, True),
        ({"diff_tolerance": 0.0, "sort_array_columns": False, "table_modifiers": []}, True),
        ({"tags": ["nightly", "mine"], "archived": True, "purged": True}, True),
        # A response may hide what was a secret elsewhere in the request.
        ({"filter1": "day = '***'"}, True),
    ],
    ids=repr,
)
def test_a_copy_with_another_question_is_not_its_own(
    changed: dict[str, Any], is_asked_for: bool
) -> None:
    found = {**ASKED, **changed}
    assert asks_for(ASKED, found) is is_asked_for
    mine = replace(OWNER, asked=ASKED)
    copy = {**found, **diff(1, "processing", mine.tag)}
    assert (choose(mine, [copy]).taken is not None) is is_asked_for
    assert running(mine, [copy]) == ((1,) if is_asked_for else ())
    # Nor one of an earlier generation, which asked for the same.
    copy["tags"] = [OTHER_GENERATION]
    assert choose(mine, [copy]).left == ((1,) if is_asked_for else ())


@pytest.mark.parametrize(
    ("name", "asked", "found", "is_same"),
    [
        ("diff_tolerance", 0.1, 0.1, True),
        ("diff_tolerance", 0.1, 5, False),
        ("diff_tolerance", 0.1, None, False),
        ("datetime_tolerance", 0, 0, True),
        ("datetime_tolerance", 0, None, False),
        ("columns_to_compare", ["id", "a"], ["A", "ID"], True),
        ("columns_to_compare", ["id", "a"], ["id", "b"], False),
        ("columns_to_compare", ["id", "a"], [], False),
        ("columns_to_compare", ["id", "id"], ["id", "a"], False),
        ("time_travel_point1", -130, "-130", True),
        ("time_travel_point1", "2024-01-15T00:00:00", "2024-01-15T00:00:00+00:00", True),
        ("time_travel_point1", "2024-01-15T00:00:00", "2024-01-15T01:00:00", False),
        ("time_travel_point1", "2024-01-15T00:00:00", "a hash", False),
        ("time_travel_point1", "a hash", "another", False),
        ("time_travel_point1", "a hash", None, False),
        ("tolerance_mode", "relative", "absolute", False),
        ("column_mapping", [["a", "b"], ["c", "d"]], [["C", "D"], ["A", "B"]], True),
        ("column_mapping", [["a", "b"]], [["b", "a"]], False),
        ("column_mapping", [["a", "b"]], None, True),
        ("download_limit", 5, 6, False),
        ("compare_duplicates", False, False, True),
        ("compare_duplicates", False, True, False),
        ("file1_options", {"file_type": "csv"}, {"file_type": "csv", "delimiter": ","}, True),
        ("file1_options", {"delimiter": ";"}, {"file_type": "csv", "delimiter": ","}, False),
        ("data_source1_session_parameters", {"password": Secret("x")}, {"password": "***"}, True),
    ],
)
def test_lists_texts_mappings_and_numbers_are_compared(
    name: str, asked: Any, found: Any, is_same: bool
) -> None:
    assert asks_for({name: asked}, {name: found}) is is_same


def test_tolerances_may_come_in_another_order() -> None:
    one, other = (
        {"column_name": name, "tolerance_value": 1, "tolerance_mode": "absolute"} for name in "ab"
    )
    field = "diff_tolerances_per_column"
    assert asks_for({field: [one, other]}, {field: [other, one]})
    assert not asks_for({field: [one]}, {field: [{**one, "tolerance_value": 1e9}]})


@pytest.mark.parametrize(
    ("source", "is_ours"),
    [(None, True), ("api", True)]
    + [(word, False) for word in ("interactive", "manual", "ci", "schedule", "auto", 5)],
)
def test_what_was_not_made_through_the_api_is_not_ours(source: Any, is_ours: bool) -> None:
    copy = diff(1, "processing", OWNER.tag, source=source)
    assert (choose(OWNER, [copy]).taken is not None) is is_ours
    assert running(OWNER, [copy]) == ((1,) if is_ours else ())
    # Nor where nobody knows what was asked for.
    for old in (OTHER_GENERATION, f"{OWNER.task}:0-0000aaaa1111"):
        copy["tags"] = [old]
        assert choose(OWNER, [copy]).left == ((1,) if is_ours else ())


@pytest.mark.parametrize(
    ("answer", "may_be"),
    [
        ({}, True),
        ({"tags": None}, True),
        ({"tags": []}, True),
        ({"tags": ["nightly", OWNER.tag], "table1": ["A"]}, True),
        ({"tags": ["nightly"]}, False),
        ({"tags": [OTHER_GENERATION]}, False),
        # Datafold may complete the path of a table.
        ({"tags": [OWNER.tag], "table1": ["DB", "A"]}, True),
        ({"tags": [], "table1": ["C"]}, False),
        ({"query1": "SELECT 1"}, False),
        # Datafold may fill in what it chooses itself.
        ({"sampling_ratio": 0.5, "table1": None}, True),
    ],
    ids=repr,
)
def test_what_a_creation_may_have_made(answer: dict[str, Any], may_be: bool) -> None:
    assert replace(OWNER, asked=BODY).may_have_made(answer) is may_be


@pytest.mark.parametrize(
    ("tags", "may_be"),
    [
        (None, True),
        ([], True),
        (["seen", OWNER.tag], True),
        ([OTHER_GENERATION], True),
        (["seen"], False),
        ([f"{OWNER.task}x:0-ba9876543210"], False),
    ],
    ids=repr,
)
def test_what_the_tags_of_an_end_allow(tags: Any, may_be: bool) -> None:
    assert OWNER.may_be_tagged_as({"tags": tags}) is may_be


def test_inferred_keys_are_no_other_question() -> None:
    assert asks_for({"infer_pk": True}, {"infer_pk": True, "pk_columns": ["id"]})


def test_what_an_earlier_generation_asked_for_may_be_something_else() -> None:
    # The DAG's file has another table by now.
    before = diff(1, "processing", f"{OWNER.task}:0-0000aaaa1111", table1=["OTHER"])
    assert choose(replace(OWNER, asked=ASKED), [before]).left == (1,)


def test_what_may_be_older_than_the_run_is_not_taken_over() -> None:
    old = (SINCE - timedelta(hours=1, seconds=1)).isoformat()
    for made in (old, None, "yesterday"):
        over = diff(1, "done", OWNER.tag, created_at=made)
        assert choose(OWNER, [over]).taken is None
        # What runs cannot have seen older data than the gate that made it.
        assert choose(OWNER, [over | {"status": "processing"}]).taken is not None
    young = diff(1, "done", OWNER.tag, created_at=(SINCE - timedelta(minutes=59)).isoformat())
    assert choose(OWNER, [young]).taken == young
    assert choose(replace(OWNER, since=None), [young]).taken is None


def test_what_runs_of_a_generation() -> None:
    diffs = [
        diff(1, "processing", OWNER.tag),
        diff(2, "needs_confirmation", OWNER.tag),
        diff(3, "a new status", OWNER.tag),
        diff(4, "done", OWNER.tag),
        diff(5, "failed", OWNER.tag),
        diff(6, "cancelled", OWNER.tag),
        diff(7, "processing", OTHER_GENERATION),
    ]
    assert running(OWNER, diffs) == (1, 2, 3)


MINE, OLD = OWNER.tag, OTHER_GENERATION


@pytest.mark.parametrize(
    ("diffs", "taken", "left"),
    [
        ([], None, ()),
        ([diff(1, "processing"), diff(2, "done", "nightly")], None, ()),
        # One of this generation that runs, is done, or is in an unknown state.
        ([diff(1, "processing", MINE)], 1, ()),
        ([diff(1, "waiting", MINE)], 1, ()),
        ([diff(1, "done", MINE)], 1, ()),
        ([diff(1, "paused", MINE)], 1, ()),
        ([diff(1, None, MINE)], 1, ()),
        # Never one that failed or was cancelled.
        ([diff(1, "failed", MINE)], None, ()),
        ([diff(1, "cancelled", MINE)], None, ()),
        ([diff(3, "cancelled", MINE), diff(2, "failed", MINE), diff(1, "done", MINE)], 1, ()),
        # The newest; an older one that also runs is left running.
        ([diff(2, "processing", MINE), diff(1, "processing", MINE)], 2, (1,)),
        ([diff(2, "processing", MINE), diff(1, "done", MINE)], 2, ()),
        ([diff(2, "done", MINE), diff(1, "waiting", MINE)], 2, (1,)),
        # One of another generation is cancelled if it still runs.
        ([diff(1, "processing", OLD)], None, (1,)),
        ([diff(1, "needs_confirmation", OLD)], None, (1,)),
        ([diff(1, "paused", OLD)], None, (1,)),
        ([diff(1, "done", OLD)], None, ()),
        ([diff(1, "cancelled", OLD), diff(2, "failed", OLD)], None, ()),
        ([diff(3, "processing", OLD), diff(2, "done", MINE), diff(1, "queued", OLD)], 2, (3, 1)),
        # The contract lets an id be null.
        ([diff(None, "processing", MINE)], None, ()),
        ([diff("1", "processing", OLD)], None, ()),
        ([diff([1], "processing", MINE), diff({}, "done", MINE)], None, ()),
        ([{"status": "processing", "tags": [MINE]}], None, ()),
        # Pages shift while others make diffs: one diff may appear twice.
        ([diff(2, "processing", MINE), diff(2, "done", MINE)], 2, ()),
        ([diff(2, "processing", OLD), diff(2, "processing", OLD)], None, (2,)),
    ],
)
def test_chooses(diffs: list[dict[str, Any]], taken: int | None, left: tuple[int, ...]) -> None:
    choice = choose(OWNER, diffs)
    assert (choice.taken and choice.taken["id"]) == taken
    assert choice.left == left


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-05-01T06:00:00Z", SINCE),
        ("2024-05-01T08:00:00+02:00", SINCE),
        ("2024-05-01T06:00:00.000000+00:00", SINCE),
        # The API's times are UTC.
        ("2024-05-01T06:00:00", SINCE),
        ("yesterday", None),
        ("", None),
        (None, None),
        (1714543200, None),
    ],
)
def test_reads_when_a_diff_was_made(text: Any, moment: datetime | None) -> None:
    assert created_at({"created_at": text}) == moment


@pytest.mark.parametrize(
    ("made", "precedes"),
    [
        (SINCE - timedelta(hours=1, seconds=1), True),
        (SINCE - timedelta(hours=1), False),
        (SINCE, False),
        (None, False),
    ],
)
def test_clocks_may_differ_by_an_hour(made: datetime | None, precedes: bool) -> None:
    found = {"created_at": made and made.isoformat()}
    assert OWNER.precedes(found) is precedes
    assert replace(OWNER, since=None).precedes(found) is False
