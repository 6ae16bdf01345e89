"""Two schemas, a DuckDB and a PostgreSQL, made into gates. tests/dags runs them in Airflow."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import duckdb
import psycopg2
import pytest

from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldError,
    DatafoldInputError,
    DatafoldPermissionError,
    DatafoldServerError,
    DatafoldStoppedError,
)
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.operators.tables import DatafoldTablesOperator
from dev.faults.behaviours import answers
from dev.sandbox import data_sources
from tests.conftest import Log
from tests.contexts import context_of
from tests.postgresql import postgresql
from tests.waits import sent

pytestmark = pytest.mark.usefixtures("connections")

COMMON = [f"t{number:02}" for number in range(33)]
GIVEN = {"T00": ["a", "b"], "t01": ["id"], "Loud": ["id"]}
OLD = [*COMMON, "Loud", "Quiet", "keyless", "old_1", "old_2"]
NEW = [*COMMON, "LOUD", "quiet", "keyless", "new_1", "new_2"]
LEFT = {
    **dict.fromkeys(("old_1", "old_2"), "only on side 1, main of data source 1"),
    **dict.fromkeys(("new_1", "new_2"), "only on side 2, o'hara of data source 2"),
}
NONE = "Datafold finds none in the data"
NO_KEY = f"no primary key (side 1: {NONE}; side 2: {NONE})"
EVERY_KEY = {name: ["id"] for name in [*COMMON, "loud", "quiet", "keyless"]}
SIDES = {"data_source1_id": 1, "schema1": "main", "data_source2_id": 2, "schema2": ["o'hara"]}


def sql_of(names: list[str], schema: str) -> str:
    rows = "select 1 as id, 2 as a, 3 as b union all select 2, 2, 4"
    same = "select 1 as id union all select 1"
    return ";".join(
        f'create table {schema}."{name}" as {same if name == "keyless" else rows}' for name in names
    )


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Two databases with 38 tables and a view each, 36 of them the same."""
    old = tmp_path_factory.mktemp("old") / "old.duckdb"
    with duckdb.connect(str(old)) as database:
        database.execute(sql_of(OLD, "main"))
        database.execute("create view a_view as select 1 as id")
    with postgresql() as new, closing(psycopg2.connect(new)) as database:
        database.autocommit = True
        database.cursor().execute('create schema "o\'hara"; create table other (id int)')
        database.cursor().execute(sql_of(NEW, '"o\'hara"'))
        database.cursor().execute('create view "o\'hara".a_view as select 1 as id')
        yield str(old), new


@pytest.fixture
def warehouses(sandbox: Any, addresses: tuple[str, str]) -> Any:
    sandbox.state.data_sources.sources[2]["type"] = "pg"
    for number, address in enumerate(addresses, 1):
        sandbox.state.data_sources.connect(number, address)
    return sandbox


def run(**arguments: Any) -> tuple[list[dict[str, Any]] | DatafoldError, dict[str, str]]:
    """Return the gates, or the error, and what is left out."""
    task = DatafoldTablesOperator(task_id="tables", **{**SIDES, **arguments})
    context = context_of(task)
    try:
        found: Any = task.execute(context)
    except DatafoldError as error:
        found = error
    left_out = context["ti"].pushed["left_out"]
    return found, {each["name"]: each["reason"] for each in left_out}


def refused(**arguments: Any) -> str:
    found, _ = run(**arguments)
    assert isinstance(found, DatafoldInputError), found
    assert found.__context__ is None
    return str(found)


def answer(sandbox: Any, *names: Any) -> None:
    """Let the query of both sides answer with these names."""
    rows = [{"name": name} for name in names]
    sandbox.state.data_sources.answers["SELECT names"] = {"columns": [], "rows": rows}


def rows_of(*names: Any) -> Any:
    return answers(200, json.dumps({"rows": [{"name": name} for name in names]}).encode())


def tables(**more: Any) -> dict[str, Any]:
    """Arguments for which no database is asked."""
    return {**SIDES, **dict.fromkeys(("query1", "query2"), "SELECT names"), **more}


def test_tables_are_paired_and_their_keys_found(warehouses: Any) -> None:
    found, left_out = run(one_sided="skip", missing_pk="skip", primary_keys=GIVEN)

    assert json.loads(json.dumps(found)) == found
    assert left_out == {**LEFT, "keyless": NO_KEY}
    assert [each["table1"] for each in found] == [
        ["main", name] for name in sorted([*COMMON, "Loud", "Quiet"])
    ]
    by_name = {each["table1"][-1]: each for each in found}
    assert by_name["Loud"] == {
        "data_source1_id": 1,
        "table1": ["main", "Loud"],
        "data_source2_id": 2,
        "table2": ["o'hara", "LOUD"],
        "pk_columns": ["id"],
    }
    assert by_name["t00"]["pk_columns"] == ["a", "b"]
    assert by_name["t02"]["pk_columns"] == ["id"]
    # Two sources, two lists, a guess for each of 33 tables, and a second one for that without key.
    assert Counter(sent(warehouses)) == {
        **{f"GET /data_sources/{side}/summary": 1 for side in (1, 2)},
        **{f"POST /data_sources/{side}/query": 1 for side in (1, 2)},
        "POST /data_sources/1/guess_pk": 33,
        "POST /data_sources/2/guess_pk": 1,
    }


BOTH = "Side 1 is main of data source 1, side 2 is o'hara of data source 2."


@pytest.mark.parametrize(
    "wrong", [{"include": ["x"]}, {"primary_keys": {"x": ["id"]}}, {"exclude": ["*"]}], ids=repr
)
def test_an_error_about_both_sides_names_both(warehouses: Any, wrong: Any) -> None:
    found, _ = run(**wrong)
    assert str(found).endswith(f" No gate was started. {BOTH}")


def test_one_sided_tables_fail_before_anything_else(warehouses: Any) -> None:
    found, left_out = run(missing_pk="skip")
    assert str(found) == (
        "one_sided: these tables are on one side only: only on side 1, main of data source 1: "
        "old_1, old_2; only on side 2, o'hara of data source 2: new_1, new_2. Exclude them, or "
        f"pass one_sided='skip' to leave them out. No gate was started. {BOTH}"
    )
    assert left_out == LEFT
    assert len(sent(warehouses)) == 4
    found, left_out = run(exclude=["old_*", "NEW_?"], include=["*"], primary_keys=EVERY_KEY)
    assert (len(found), left_out) == (36, {})


def test_tables_without_a_key_fail_and_are_named(warehouses: Any) -> None:
    found, left_out = run(one_sided="skip", include=["keyless", "t01"])
    assert str(found) == (
        f"missing_pk: {NO_KEY}: keyless. Name their keys in primary_keys; missing_pk='skip' leaves "
        f"out tables without one. No gate was started. {BOTH}"
    )
    assert left_out == {"keyless": NO_KEY}
    found, left_out = run(missing_pk="skip", include=["keyless"])
    assert str(found).startswith("missing_pk: no primary key")


def test_further_arguments_of_gates(warehouses: Any) -> None:
    arguments = {
        "*": {"on_difference": "pass", "max_rows_added": 1},
        "T01": {"max_rows_added": "10", "options": {"diff_tolerance": 0.5}},
        "loud": {},
    }
    found, _ = run(include=["t01", "loud"], arguments=arguments, primary_keys=GIVEN)
    own = {*SIDES, "table1", "table2", "pk_columns"}
    assert [{key: each[key] for key in each.keys() - own} for each in found] == [
        {"on_difference": "pass", "max_rows_added": 1},
        {"on_difference": "pass", "max_rows_added": "10", "options": {"diff_tolerance": 0.5}},
    ]


def test_names_stand_for_ids(warehouses: Any) -> None:
    found, _ = run(
        data_source1_id="WAREHOUSE", data_source2_id="Lake", include=["t01"], primary_keys=GIVEN
    )
    assert (found[0]["data_source1_id"], found[0]["data_source2_id"]) == (1, 2)
    assert len(sent(warehouses)) == 5


def test_a_schema_that_is_not_there(warehouses: Any) -> None:
    assert refused(schema2="o'hare") == (
        "schema2: Datafold shows no tables in o'hare of data source 2. Check the spelling, where "
        "case matters, and the rights of its user. No gate was started."
    )
    # What could end the string finds no schema of that name, and does nothing else.
    for schema in ("o'hara' OR '1'='1", "'; drop table other; --"):
        assert refused(schema2=[schema]).startswith("schema2: Datafold shows no tables in ")


def test_a_response_that_is_cut_is_an_error(
    warehouses: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_sources, "MOST_ROWS", 37)
    found, _ = run()
    assert isinstance(found, DatafoldAnswerError)
    assert str(found) == (
        "Datafold returned only 37 of the 38 tables in main of data source 1: it cuts long "
        "responses. Pass query1 with SQL for fewer of them, and use several tasks. No gate was "
        "started."
    )
    found, _ = run(
        query1="select table_name from information_schema.tables where table_schema = 'main';"
    )
    assert str(found).startswith("Datafold returned only 37 of the 39 tables in main of ")


def test_a_query_of_ones_own(warehouses: Any) -> None:
    names = "select table_name, 1 from information_schema.tables where table_name like 't0%' -- a"
    found, left_out = run(
        query1=names, query2=f"{names};", primary_keys={name: ["id"] for name in COMMON[:10]}
    )
    assert (len(found), left_out) == (10, {})
    # Each query, and its count.
    assert sent(warehouses) == [f"POST /data_sources/{side}/query" for side in (1, 1, 2, 2)]


def test_what_a_query_returns(sandbox: Any, task_log: Log) -> None:
    keys = {"a": ["id"], "b": ["id"]}
    answer(sandbox, "a", "b", "a")
    found, _ = run(**tables(primary_keys=keys))
    assert [each["table2"] for each in found] == [["o'hara", "a"], ["o'hara", "b"]]
    for blank in (None, " ", 7):
        answer(sandbox, "a", blank)
        assert refused(**tables()) == (
            "query1: row 2 has no table's name in its first column. No gate was started."
        )
    answer(sandbox)
    assert refused(**tables()).startswith("query1: Datafold shows no tables in main of data ")


def test_what_cannot_be_counted_is_a_warning(serve: Any, log: Log) -> None:
    refusal = answers(422, b'{"detail": []}')
    service = serve(rows_of("a"), refusal, rows_of("a"), refusal)
    found, _ = run(**tables(primary_keys={"a": ["id"]}))
    assert len(found) == 1
    assert log.warnings == [
        f"Could not count the tables in {place}: if Datafold has cut their list, some are missing."
        for place in ("main of data source 1", "o'hara of data source 2")
    ]
    assert len(service.requests) == 4


ARGUMENTS = "Tables, data sources and keys come from the other arguments of the task."


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"schema1": " "}, "schema1: must be a list of path parts or a dotted string, e.g. ['DB'"),
        ({"schema1": ["main", 202401]}, "schema1[1]: must be a name, a string that is not blank"),
        ({"data_source1_id": 0}, "data_source1_id: must be a positive integer"),
        ({"data_source2_id": "1", "schema2": "main"}, "schema2: both sides are main of data sou"),
        ({"missing_pk": "infer"}, "missing_pk: must be one of 'fail', 'skip', not 'infer'"),
        ({"one_sided": "warn"}, "one_sided: must be one of 'fail', 'skip', not 'warn'"),
        ({"include": "t01"}, "include: must be a list of strings"),
        ({"include": []}, "include: no table on either side fits an empty list."),
        (
            {"exclude": ["*"]},
            "one_sided: no table is on both sides: include and exclude leave none",
        ),
        ({"primary_keys": {"t01": "id"}}, "primary_keys['t01']: must be a list of strings"),
        ({"primary_keys": {"t01": []}}, "primary_keys['t01']: must name a column"),
        ({"primary_keys": {"x": ["id"]}}, "primary_keys: no table on either side is called 'x'."),
        ({"arguments": {"x": {}}}, "arguments: no table on either side is called 'x'."),
        ({"arguments": {"t01": 7}}, "arguments['t01']: must be an object"),
        (
            {"arguments": {"*": {"max_row_added": 1}}},
            f"arguments['*']: has no argument 'max_row_added'; did you mean 'max_rows_added'? "
            f"{ARGUMENTS} Nothing was sent.",
        ),
        ({"arguments": {"*": {"query2": "a"}}}, "arguments['*']: has no argument 'query2';"),
        (
            {"arguments": {"*": {"max_rows_added": -1}}},
            "arguments['*']: max_rows_added: must be an integer from 0",
        ),
        (
            {"arguments": {"*": {"options": {"infer_pk": True}}}},
            "arguments['*']: options: infer_pk works across data sources only",
        ),
        (
            {"arguments": {"*": {"options": {"x": {"password": "planted-password"}}}}},
            "arguments['*']: its options have a secret, which would land in XCom.",
        ),
        ({"arguments": {"*": {"include_columns": ["{% raw %}"]}}}, "Table 'Loud': Airflow would "),
        ({"schema1": ["a", "b", "c"]}, "schema1: must be a schema, or a database and a schema"),
        ({"schema1": ["a\\"]}, "schema1: must be a schema, or a database and a schema, without"),
    ],
    ids=lambda value: None if isinstance(value, str) else repr(value)[:60],
)
def test_wrong_input_starts_nothing(warehouses: Any, arguments: dict[str, Any], says: str) -> None:
    given = {"one_sided": "skip", "primary_keys": EVERY_KEY}
    assert refused(**{**given, **arguments}).startswith(says)
    started = {"/api/v1/datadiffs", "/api/v1/data_sources/1/guess_pk"}
    assert not started & {each.path for each in warehouses.state.requests}


def test_a_type_without_sql_asks_for_a_query(sandbox: Any) -> None:
    sandbox.state.data_sources.sources[1]["type"] = "oracle"
    assert refused() == (
        "query1: no SQL is known that lists the tables of data source 1, whose type is 'oracle'. "
        "Pass query1, SQL whose first column is the table's name. No gate was started."
    )


def test_a_table_whose_name_is_a_template_is_refused(sandbox: Any) -> None:
    answer(sandbox, "a{{ var.value.x }}")
    assert refused(**tables(primary_keys={"a{{ var.value.x }}": ["id"]})).startswith(
        "Table 'a{{ var.value.x }}': Airflow would take its table1 for a template"
    )


def test_more_tables_than_airflow_maps(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "2")
    answer(sandbox, "a", "b", "c")
    assert refused(**tables()).startswith("include: 3 tables are more than Airflow maps (2, its")
    assert not any(path.endswith("guess_pk") for path in sent(sandbox))


@pytest.mark.parametrize(
    ("status", "error"), [(403, DatafoldPermissionError), (503, DatafoldServerError)]
)
def test_a_guess_that_is_refused_for_all_fails_the_task(
    serve: Any, status: int, error: type[Exception]
) -> None:
    service = serve(*[rows_of(*"abcdefghijklmnop"), rows_of(16)] * 2, answers(status, b"{}"))
    found, left_out = run(**tables(missing_pk="skip"))
    assert isinstance(found, error)
    assert left_out == {}
    # The others are stopped.
    assert len(service.requests) < 4 + 16


def test_at_most_eight_guesses_at_a_time_and_a_stop_ends_them(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(sandbox, *(f"t{number}" for number in range(30)))
    task = DatafoldTablesOperator(task_id="tables", **tables())
    eight, go = threading.Barrier(9), threading.Event()
    running = []

    def guess(*asked: Any, **more: Any) -> Any:
        running.append(asked[0])
        if len(running) <= 8:
            eight.wait(10)
        go.wait(10)
        return original(*asked, **more)

    original = JobHook.guess_primary_key
    monkeypatch.setattr(JobHook, "guess_primary_key", guess)

    def kill() -> None:
        eight.wait(10)
        task.on_kill()
        go.set()

    # Airflow 2 executes a task in the main thread only.
    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(DatafoldStoppedError):
        task.execute(context_of(task))
    killer.join(10)
    assert not any(path.endswith("guess_pk") for path in sent(sandbox))
    # Each has its own connection.
    assert len(set(map(id, running))) == 8
