"""The gate in a real Airflow and over real sockets: right and wrong ways to fill it, and what
becomes of it in every course of a data diff, in the worker and in the triggerer."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from airflow_provider_datafold.links import DatafoldDataDiffLink
from dev.sandbox.course import Course, Job, Step
from dev.sandbox.data_diffs import DIFFERENT, IDENTICAL, done, failed
from tests.conductor import Conductor, Fault, error_500, lost, not_json, without_id
from tests.conftest import HOME

pytestmark = pytest.mark.airflow

ERRORS = HOME / "errors.jsonl"

DAG_FILE = """
import json
from contextlib import contextmanager
from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from airflow_provider_datafold.sensors.data_diffs import DatafoldDataDiffSensor


@contextmanager
def kept_error(task_id):
    try:
        yield
    except Exception as error:
        with open(ERRORS, "a") as file:
            print(json.dumps([task_id, type(error).__name__, str(error)]), file=file)
        raise


class Gate(DatafoldRunDataDiffOperator):
    def execute(self, context):
        with kept_error(self.task_id):
            return super().execute(context)

    def resume(self, context, event=None, **more):
        with kept_error(self.task_id):
            return super().resume(context, event, **more)


class Sensor(DatafoldDataDiffSensor):
    def execute(self, context):
        with kept_error(self.task_id):
            return super().execute(context)

    def resume(self, context, event=None, **more):
        with kept_error(self.task_id):
            return super().resume(context, event, **more)


@task
def give(value):
    return value


def gate(task_id, **arguments):
    Gate(task_id=task_id, **{**LEAST, **arguments})


with DAG(
    DAG_ID,
    schedule=None,
    start_date=datetime(2024, 1, 1),
    params=PARAMS,
    render_template_as_native_obj=NATIVE,
    default_args={"retries": 0},
) as dag:
"""

LEAST = {
    "data_source1_id": 1,
    "data_source2_id": 1,
    "table1": "DB.PUBLIC.ORDERS",
    "table2": "DB.STAGING.ORDERS",
    "pk_columns": ["id"],
    "poll_interval": 0.01,
}
BODY = {
    "data_source1_id": 1,
    "data_source2_id": 1,
    "table1": ["DB", "PUBLIC", "ORDERS"],
    "table2": ["DB", "STAGING", "ORDERS"],
    "pk_columns": ["id"],
}
PARAMS = {
    "source": 2,
    "number": "2",
    "zero": 0,
    "nothing": None,
    "yes": True,
    "table": "DB.PUBLIC.ORDERS",
    "quoted": 'DB."my.schema".`a.b`',
    "parts": ["DB", "my.schema", "ORDERS"],
    "columns": ["id", "day"],
    "query": "SELECT * FROM orders WHERE name = 'a, b'",
    "limit": 5,
    "ratio": 0.25,
    "choice": "pass",
    "options": {"sampling_ratio": 0.5, "compare_duplicates": True},
    "blank": "",
}


def source_of(dag_id: str, tasks: str, *, native: bool = False, params: Any = PARAMS) -> str:
    names = {
        "ERRORS": str(ERRORS),
        "DAG_ID": dag_id,
        "PARAMS": params,
        "NATIVE": native,
        "LEAST": LEAST,
    }
    heads = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    body = "\n".join("    " + line for line in tasks.splitlines())
    return f"{heads}{DAG_FILE}{body}\n"


def recorded() -> dict[str, tuple[str, str]]:
    """The errors of a DAG run by task id: kind and text."""
    if not ERRORS.exists():
        return {}
    lines = [json.loads(line) for line in ERRORS.read_text().splitlines()]
    ERRORS.unlink()
    kept = [line for line in lines if line[1] != "AirflowRescheduleException"]
    return {task_id: (kind, text) for task_id, kind, text in kept}


@dataclass
class Filled:
    """A way to fill a gate.

    :param name: what is special about it.
    :param arguments: source of the arguments that are not the usual ones, or of the whole task.
    :param body: what of the body is not as usual; for a mapped task, of one after the other.
    :param native: with native rendering, without, or, ``None``, either way.
    :param left_out: names that the body has not.
    """

    name: str
    arguments: str
    body: dict[str, Any] | list[dict[str, Any]] = field(default_factory=dict)
    native: bool | None = None
    left_out: tuple[str, ...] = ()

    @property
    def task_id(self) -> str:
        return re.sub(r"\W+", "_", self.name)

    @property
    def source(self) -> str:
        if "\n" in self.arguments:
            return self.arguments.replace("TASK_ID", repr(self.task_id))
        return f"gate({self.task_id!r}, {self.arguments})"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        changes = self.body if isinstance(self.body, list) else [self.body]
        return [
            {name: value for name, value in (BODY | change).items() if name not in self.left_out}
            for change in changes
        ]


RIGHT = [
    Filled("plain values", "table1='DB.PUBLIC.ORDERS'"),
    Filled(
        "list of parts", "table1=['DB', 'my.schema', 'T']", {"table1": ["DB", "my.schema", "T"]}
    ),
    Filled("tuple of parts", "table1=('DB', 'T')", {"table1": ["DB", "T"]}),
    Filled("repr of parts", "table1=\"['DB', 'my.schema']\"", {"table1": ["DB", "my.schema"]}),
    Filled("JSON of parts", 'table1=\'["DB", "T"]\'', {"table1": ["DB", "T"]}),
    Filled("quoted parts", 'table1=\'DB."my.t""x"\'', {"table1": ["DB", 'my.t"x']}),
    Filled("one part", "table1='orders'", {"table1": ["orders"]}),
    Filled("text from a param", "table1='{{ params.table }}'"),
    Filled(
        "quoted text from a param",
        "table1='{{ params.quoted }}'",
        {"table1": ["DB", "my.schema", "a.b"]},
    ),
    Filled("parts from a param", "table1='{{ params.parts }}'", {"table1": PARAMS["parts"]}),
    Filled(
        "parts as JSON from a param",
        "table1='{{ params.parts | tojson }}'",
        {"table1": PARAMS["parts"]},
    ),
    Filled(
        "parts with templates in them",
        "table1=['DB', '{{ params.parts[1] }}', '{{ params.source }}']",
        {"table1": ["DB", "my.schema", "2"]},
    ),
    Filled("date in a table", "table1='DB.T_{{ ds_nodash }}'", {"table1": ["DB", "T_DAY"]}),
    Filled("ids from params", "data_source1_id='{{ params.source }}'", {"data_source1_id": 2}),
    Filled("id as text", "data_source2_id='{{ params.number }}'", {"data_source2_id": 2}),
    Filled(
        "queries",
        "table1=None, query1='{{ params.query }}', table2=None, query2='SELECT 1'",
        {"query1": PARAMS["query"], "query2": "SELECT 1"},
        left_out=("table1", "table2"),
    ),
    Filled(
        "a query and a table",
        "table1='{{ params.nothing }}', query1='SELECT 1'",
        {"query1": "SELECT 1"},
        left_out=("table1",),
    ),
    Filled(
        "files",
        "table1=None, options={'file1': 's3://bucket/{{ ds_nodash }}'}",
        {"file1": "s3://bucket/DAY"},
        left_out=("table1",),
    ),
    Filled(
        "columns from a param",
        "pk_columns='{{ params.columns }}'",
        {"pk_columns": PARAMS["columns"]},
    ),
    Filled(
        "all columns",
        "include_columns=['a', '{{ params.columns[1] }}'], exclude_columns='[\"b\"]'",
        {"include_columns": ["a", "day"], "exclude_columns": ["b"]},
    ),
    Filled(
        "filters of a day",
        "filter1=\"day = '{{ ds_nodash }}'\", filter2='id > {{ params.limit }}'",
        {"filter1": "day = 'DAY'", "filter2": "id > 5"},
    ),
    Filled("null filters", "filter1='{{ params.nothing }}', filter2=None"),
    Filled(
        "inferred keys",
        "pk_columns=None, options={'infer_pk': True}",
        {"infer_pk": True},
        left_out=("pk_columns",),
    ),
    Filled(
        "keys inferred by text",
        "pk_columns='{{ params.nothing }}', options={'infer_pk': '{{ params.yes }}'}",
        {"infer_pk": True},
        left_out=("pk_columns",),
    ),
    Filled("options from a param", "options='{{ params.options }}'", PARAMS["options"]),
    Filled(
        "options as JSON from a param", "options='{{ params.options | tojson }}'", PARAMS["options"]
    ),
    Filled("null options", "options='{{ params.nothing }}'"),
    Filled(
        "options of each type",
        "options={"
        "'archived': False, 'bisection_factor': '{{ params.limit }}', 'diff_tolerance': '0.5', "
        "'column_mapping': [['a', 'b']], 'time_column': 'day', 'run_profiles': None, "
        "'time_interval_start': '2024-01-01T00:00:00+00:00', 'tolerance_mode': 'absolute', "
        "'diff_tolerances_per_column': [{'column_name': 'a', 'tolerance_mode': 'absolute', "
        "'tolerance_value': '{{ params.ratio }}'}], "
        "'data_source1_session_parameters': {'role': 'reader'}}",
        {
            "archived": False,
            "bisection_factor": 5,
            "diff_tolerance": 0.5,
            "column_mapping": [["a", "b"]],
            "time_column": "day",
            "time_interval_start": "2024-01-01T00:00:00+00:00",
            "tolerance_mode": "absolute",
            "diff_tolerances_per_column": [
                {"column_name": "a", "tolerance_value": 0.25, "tolerance_mode": "absolute"}
            ],
            "data_source1_session_parameters": {"role": "reader"},
        },
    ),
    Filled("tags", "tags=['nightly', '{{ params.choice }}']", {"tags": ["nightly", "pass"]}),
    Filled(
        "limits from params",
        "max_rows_added='{{ params.limit }}', max_rows_removed='{{ params.nothing }}', "
        "max_rows_different=0, min_match_ratio='{{ params.ratio }}', "
        "allow_schema_changes='{{ params.yes }}', on_difference='{{ params.choice }}', "
        "on_empty='{{ params.choice }}'",
    ),
    Filled("timedeltas", "timeout=timedelta(minutes=5), poll_interval=timedelta(milliseconds=10)"),
    Filled("connection by a template", "datafold_conn_id='datafold_{{ \"default\" }}'"),
    Filled(
        "XComArgs",
        """
Gate(
    task_id=TASK_ID,
    **{
        **LEAST,
        "data_source1_id": give.override(task_id="source")(2),
        "table1": give.override(task_id="parts")(["DB", "my.schema"]),
        "pk_columns": give.override(task_id="columns")(["id", "day"]),
        "options": give.override(task_id="options")({"diff_tolerance": 0.5}),
        "filter1": give.override(task_id="nothing")(None),
    },
)
""",
        {
            "data_source1_id": 2,
            "table1": ["DB", "my.schema"],
            "pk_columns": ["id", "day"],
            "diff_tolerance": 0.5,
        },
    ),
    Filled(
        "xcom pull",
        """
pulled = give.override(task_id="pulled")(["DB", "my.schema"])
pulled >> Gate(task_id=TASK_ID, **{**LEAST, "table1": "{{ ti.xcom_pull('pulled') }}"})
""",
        {"table1": ["DB", "my.schema"]},
    ),
    Filled(
        "parts from a mapped task",
        """
parts = give.override(task_id="mapped_parts").expand(value=["DB", "my.schema"])
Gate(task_id=TASK_ID, **{**LEAST, "table1": parts})
""",
        {"table1": ["DB", "my.schema"]},
    ),
    Filled(
        "mapped",
        """
Gate.partial(task_id=TASK_ID, **{name: LEAST[name] for name in LEAST if name != "table1"}).expand(
    table1=["A.B", ["C", "d.e"], "{{ params.table }}"]
)
""",
        [{"table1": ["A", "B"]}, {"table1": ["C", "d.e"]}, {}],
    ),
    Filled(
        "mapped over the output of a task",
        """
ids = {"data_source1_id": 1, "data_source2_id": 1}
Gate.partial(task_id=TASK_ID, poll_interval=0.01, **ids).expand_kwargs(
    give.override(task_id="kwargs")(
        [
            {"table1": "A.B", "table2": ["C"], "pk_columns": ["id"]},
            {"query1": "SELECT 1", "table2": "C", "pk_columns": "['id']", "max_rows_added": "3"},
        ]
    )
)
""",
        [
            {"table1": ["A", "B"], "table2": ["C"]},
            {"query1": "SELECT 1", "table1": None, "table2": ["C"]},
        ],
    ),
]


_IN_ONE_DAG = 5


@pytest.fixture
def _plain_tracebacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no traceback painted for a task that fails: that takes longer than all the rest."""
    with contextlib.suppress(ImportError):  # Airflow 2 may have none.
        from structlog import dev

        monkeypatch.setattr(
            dev.RichTracebackFormatter,
            "__call__",
            lambda _, out, error: dev.plain_traceback(out, error),
        )


@pytest.fixture
def run(
    run_dag: Any, sandbox: Any, connections: None, _plain_tracebacks: None
) -> Iterator[Callable[..., dict[str, Any]]]:
    """Run tasks, and give by task id the tasks' states, XComs and links."""

    def run_tasks(dag_id: str, tasks: list[str], **more: Any) -> dict[str, Any]:
        recorded()
        sandbox.state.requests.clear()
        found: dict[str, Any] = {}
        # Airflow 3.0 goes over the whole DAG for each of its tasks.
        for begin in range(0, len(tasks), _IN_ONE_DAG):
            some = "\n".join(tasks[begin : begin + _IN_ONE_DAG])
            found |= run_some(f"{dag_id}_{begin}", some, **more)
        return found

    def run_some(dag_id: str, tasks: str, **more: Any) -> dict[str, Any]:
        dag_run = run_dag(source_of(dag_id, tasks, **more), dag_id)
        found: dict[str, Any] = {}
        for ti in sorted(dag_run.get_task_instances(), key=lambda ti: (ti.task_id, ti.map_index)):
            returned, link = (
                ti.xcom_pull(ti.task_id, key=key, map_indexes=ti.map_index)
                for key in ("return_value", DatafoldDataDiffLink.xcom_key)
            )
            found.setdefault(ti.task_id, []).append((str(ti.state), returned, link or None))
        return found

    yield run_tasks
    ERRORS.unlink(missing_ok=True)


def _without_day(value: Any) -> Any:
    text = json.dumps(value)
    return json.loads(re.sub(r"\b20\d{6}\b", "DAY", re.sub(r"(?<=T_)20\d{6}\b", "DAY", text)))


@pytest.mark.parametrize("native", [False, True])
def test_right_ways_to_fill_it(native: bool, run: Any, sandbox: Any) -> None:
    cases = [case for case in RIGHT if case.native in (None, native)]
    first = len(sandbox.state.data_diffs.diffs) + 1
    found = run("right", [case.source for case in cases], native=native)
    sent = [
        json.loads(request.body) for request in sandbox.state.requests if request.method == "POST"
    ]
    for body in sent:
        assert re.fullmatch(r"airflow:\w{12}:0-\w{12}", body["tags"].pop())
        if not body["tags"]:
            del body["tags"]
    assert len({case.task_id for case in cases}) == len(cases) >= 25
    wrong = {}
    for case in cases:
        tasks = found[case.task_id]
        states = [state for state, *_ in tasks]
        returned = [returned for _, returned, _ in tasks if returned]
        assert [link for *_, link in tasks] == [each["url"] for each in returned]
        bodies = [_without_day(sent[each["id"] - first]) for each in returned]
        expected = [
            {name: value for name, value in body.items() if value is not None}
            for body in case.bodies
        ]
        if set(states) != {"success"} or bodies != expected:
            wrong[case.name] = (states, bodies, expected)
    assert wrong == {}
    assert recorded() == {}
    assert len(sent) == sum(len(case.bodies) for case in cases)


@dataclass
class Wrong:
    """A wrong way to fill a gate.

    :param field: the field that the error names.
    :param arguments: source of the arguments that are not the usual ones.
    :param text: what the error says, too.
    """

    field: str
    arguments: str
    text: str = ""


WRONG = [
    Wrong("data_source1_id", "data_source1_id='{{ params.zero }}'", "must be a positive integer"),
    Wrong("data_source1_id", "data_source1_id=-1"),
    Wrong("data_source1_id", "data_source1_id='1/../2'"),
    Wrong("data_source1_id", "data_source1_id='{{ params.yes }}'"),
    Wrong("data_source2_id", "data_source2_id='{{ params.nothing }}'"),
    Wrong("data_source2_id", "data_source2_id=1.5"),
    Wrong("table1", "table1=None", "exactly one of table1, query1 and options['file1']"),
    Wrong("table1", "query1='SELECT 1'", "not table1 and query1"),
    Wrong("table2", "options={'file2': 's3://bucket/a'}", "not table2 and file2"),
    Wrong("table2", "table2='{{ params.nothing }}'", "not none"),
    Wrong("table1", "table1='A..B'", "must be a list of path parts or a dotted text"),
    Wrong("table1", "table1='{{ params.blank }}'"),
    Wrong("table1", "table1='A.\"B'"),
    Wrong("table1", "table1='{{ params.options }}'"),
    Wrong("table1[1]", "table1=['A', None]", "must be a string"),
    Wrong("table2", "table2=[]"),
    Wrong("query1", "table1=None, query1='{{ params.blank }}'", "must be a query"),
    Wrong("query2", "table2=None, query2=['SELECT 1']"),
    Wrong("pk_columns", "pk_columns=None", "options={'infer_pk': True}"),
    Wrong("pk_columns", "pk_columns='id'", "must be a list"),
    Wrong("pk_columns", "pk_columns=[], options={'infer_pk': False}"),
    Wrong("pk_columns[0]", "pk_columns=[None]"),
    Wrong("include_columns", "include_columns='{{ params.table }}'"),
    Wrong("filter1", "filter1=['a']"),
    Wrong("tags", "tags='nightly'"),
    Wrong("options", "options={'sampling_ration': 0.5}", "did you mean 'sampling_ratio'?"),
    Wrong("options", "options={'table1': ['A']}", "'table1' is an argument of its own"),
    Wrong("options", "options='{{ params.parts }}'", "must be an object"),
    Wrong("options", "options='{{ params.table }}'"),
    Wrong("sampling_ratio", "options={'sampling_ratio': '{{ params.table }}'}"),
    Wrong("compare_duplicates", "options={'compare_duplicates': 'maybe'}"),
    Wrong("tolerance_mode", "options={'tolerance_mode': 'fuzzy'}"),
    Wrong("column_mapping[0]", "options={'column_mapping': [['a']]}"),
    Wrong("on_difference", "on_difference='stop'", "must be one of 'fail', 'skip', 'pass'"),
    Wrong("on_difference", "on_difference='{{ params.nothing }}'"),
    Wrong("on_empty", "on_empty='skip'", "must be one of 'fail', 'pass'"),
    Wrong("max_rows_added", "max_rows_added=-1"),
    Wrong("max_rows_removed", "max_rows_removed='{{ params.table }}'"),
    Wrong("max_rows_different", "max_rows_different=0.5"),
    Wrong("min_match_ratio", "min_match_ratio=95", "must be a number from 0 to 1"),
    Wrong("min_match_ratio", "min_match_ratio='{{ params.parts }}'"),
    Wrong("allow_schema_changes", "allow_schema_changes='{{ params.choice }}'"),
    Wrong("timeout", "timeout=0", "must be a number above 0"),
    Wrong("timeout", "timeout=None"),
    Wrong("timeout", "timeout=timedelta(seconds=-1)"),
    Wrong("poll_interval", "poll_interval=0"),
    Wrong("poll_interval", "poll_interval='often'"),
    Wrong("There is no Airflow connection 'nowhere' (Datafold)", "datafold_conn_id='nowhere'"),
]


@pytest.mark.parametrize("native", [False, True])
def test_nothing_arrives_of_wrong_ways_to_fill_it(native: bool, run: Any, sandbox: Any) -> None:
    tasks = [f"gate('wrong_{n}', {case.arguments})" for n, case in enumerate(WRONG)]
    found = run("wrong", tasks, native=native)
    errors = recorded()
    assert {
        case.arguments: errors.get(f"wrong_{number}")
        for number, case in enumerate(WRONG)
        if not _is_right(case, *errors.get(f"wrong_{number}", ("", "")))
    } == {}
    assert {state for tasks in found.values() for state, *_ in tasks} == {"failed"}
    assert {link for tasks in found.values() for *_, link in tasks} == {None}
    assert sandbox.state.requests == []


def _is_right(case: Wrong, kind: str, text: str) -> bool:
    expected = "Configuration" if " " in case.field else "Input"
    start = case.field if " " in case.field else f"{case.field}: "
    is_named = kind == f"Datafold{expected}Error" and text.startswith(start)
    return is_named and case.text in text and "Nothing was sent." in text


@dataclass
class Case:
    """A course of a data diff, and what comes of the task.

    :param name: of the course.
    :param course: what the data diff goes through.
    :param arguments: of the gate that are not the usual ones.
    :param error: the error's class, ``None`` where there is none.
    :param text: what the error says.
    :param state: the task's.
    :param faults: by operation, what becomes of the first request, the second and so on; the last
        one stays if ``...`` follows.
    :param cancelled: whether the data diff is cancelled at the end.
    """

    name: str
    course: Course = IDENTICAL
    arguments: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    text: str = ""
    state: str = ""
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    cancelled: bool = False
    diffs: int = 1

    @property
    def task_id(self) -> str:
        return re.sub(r"\W+", "_", self.name)

    @property
    def end(self) -> str:
        return self.state or ("failed" if self.error else "success")


def _way(*statuses: str) -> Course:
    steps = tuple(Step(status) for status in statuses)
    return Course(steps, IDENTICAL.end, IDENTICAL.outcome)


def _ends(status: str, **outcome: Any) -> Course:
    return Course((Step("waiting"),), status, outcome)


NEVER = Course((Step("processing", seconds=math.inf),), "done")
FAR = done(
    "different",
    rows_added=30,
    rows_removed=20,
    diff_rows_count=50,
    match_ratio=0.4,
    diff_schema=0.5,
)
DIFFERENCE, NOT_COMPARED = "DatafoldDifferenceError", "DatafoldNotComparedError"
CANCELLED = "DatafoldJobCancelledError"
BY_DIFF = {"max_rows_added": 3, "max_rows_removed": 2, "max_rows_different": 5}

COURSES = [
    Case("identical"),
    Case("identical at once", _way()),
    Case("all statuses", _way("waiting", "queued", "processing", "processing")),
    Case("a status that nobody knows", _way("waiting", "paused", "processing")),
    Case(
        "different",
        DIFFERENT,
        error=DIFFERENCE,
        text="Data diff N differs: rows added 3, rows removed 2, rows different 5, match ratio "
        "0.95. Values differ in 'amount' (5). See URL",
    ),
    Case(
        "different skipped",
        DIFFERENT,
        {"on_difference": "skip"},
        "AirflowSkipException",
        "Data diff N differs: rows added 3",
        "skipped",
    ),
    Case("different passed", DIFFERENT, {"on_difference": "pass"}),
    Case("within limits", DIFFERENT, BY_DIFF),
    Case("within a ratio", DIFFERENT, {"min_match_ratio": 0.95}),
    Case(
        "beyond a limit",
        DIFFERENT,
        {**BY_DIFF, "max_rows_removed": 1},
        DIFFERENCE,
        "Data diff N differs: rows removed 2 (at most 1). Values differ in 'amount' (5). See URL",
    ),
    Case(
        "beyond a limit that is not given",
        DIFFERENT,
        {"max_rows_added": 3},
        DIFFERENCE,
        "Data diff N differs: rows removed 2 (at most 0), rows different 5 (at most 0). ",
    ),
    Case(
        "beyond a ratio",
        FAR,
        {"min_match_ratio": 0.5},
        DIFFERENCE,
        "match ratio 0.4 (at least 0.5), schema changed. ",
    ),
    Case(
        "a changed schema",
        done("different", diff_schema=0.5),
        {"max_rows_added": 0},
        DIFFERENCE,
        "Data diff N differs: schema changed. ",
    ),
    Case(
        "a changed schema allowed",
        done("different", diff_schema=0.5),
        {"allow_schema_changes": True},
    ),
    Case(
        "across databases",
        done("different", diff_schema=None),
        {"data_source2_id": 2, "max_rows_added": 0},
    ),
    Case(
        "not measured",
        done("different", match_ratio=None),
        {"min_match_ratio": 0.5},
        NOT_COMPARED,
        "Data diff N: Datafold did not measure what there is a limit for: match ratio. ",
    ),
    Case(
        "empty",
        done("empty"),
        error=NOT_COMPARED,
        text="Data diff N: there are no rows to compare. ",
    ),
    Case("empty passed", done("empty"), {"on_empty": "pass"}),
    Case(
        "missing keys",
        done("missing-pks"),
        error=NOT_COMPARED,
        text="Data diff N: a side lacks primary key columns. ",
    ),
    Case(
        "doubled keys",
        Course(
            (),
            "done",
            {
                "result": "bad-pks",
                "summary_results": {"pks": {"dupes": [3, 0], "nulls": [0, 1]}, "values": {}},
            },
        ),
        {"on_difference": "pass"},
        NOT_COMPARED,
        "Data diff N: primary keys are null or not unique. Doubled primary keys: 3 and 0. Null "
        "primary keys: 0 and 1. See URL",
    ),
    Case(
        "no result",
        _ends("done", result=None),
        error=NOT_COMPARED,
        text="Data diff N: Datafold gives no result. ",
    ),
    Case(
        "a result that nobody knows",
        _ends("done", result="partly"),
        error=NOT_COMPARED,
        text="Data diff N: the result is 'partly'. ",
    ),
    Case(
        "failed",
        failed("QueryError", 'relation\n"orders" does not exist.'),
        error="DatafoldJobFailedError",
        text='Data diff N failed: QueryError: relation?"orders" does not exist. A retry starts a '
        "new one. See URL",
    ),
    Case(
        "failed for good",
        failed("QueryError", "no such table", is_retryable=False),
        error="DatafoldJobInvalidError",
        text="Data diff N failed, and Datafold says that a retry will not help: QueryError: no "
        "such table. See URL",
    ),
    Case(
        "failed without a word",
        _ends("failed"),
        error="DatafoldJobFailedError",
        text="Data diff N failed: Datafold does not say why. A retry starts a new one. See URL",
    ),
    Case(
        "done with an error",
        _ends("done", result="error"),
        error="DatafoldJobFailedError",
        text="Data diff N failed: Datafold does not say why. ",
    ),
    Case(
        "cancelled",
        _ends("cancelled"),
        error=CANCELLED,
        text="Data diff N was cancelled at Datafold, by nobody in this task.",
        cancelled=True,
    ),
    Case(
        "needs confirmation",
        _ends("needs_confirmation"),
        error="DatafoldWaitingForPersonError",
        text="Data diff N waits for a person (needs_confirmation), which no wait mends",
    ),
    Case(
        "needs authentication",
        _ends("needs_authentication"),
        error="DatafoldWaitingForPersonError",
        text="(needs_authentication)",
    ),
    Case(
        "never ends",
        NEVER,
        {"timeout": 1.0},
        "DatafoldDeadlineError",
        "The data diff had not ended after",
        cancelled=True,
    ),
    Case(
        "never ends and is left",
        NEVER,
        {"timeout": 0.5, "cancel_on_kill": False},
        "DatafoldDeadlineError",
        "The data diff had not ended after",
    ),
    Case(
        "a cancel is refused",
        NEVER,
        {"timeout": 0.5},
        "DatafoldDeadlineError",
        "The data diff had not ended after",
        faults={"cancel": [409, ...]},
    ),
    Case(
        "execution timeout",
        NEVER,
        {"execution_timeout": 2.0},
        "DatafoldDeadlineError",
        "The data diff had not ended after",
        cancelled=True,
    ),
    Case("not waited for", NEVER, {"wait_for_completion": False}),
    Case("faults between looks", faults={"read": [503, 500, 429, lost, error_500, 408]}),
    Case(
        "the key is refused later",
        faults={"read": [None, 401, ...]},
        error="DatafoldAuthenticationError",
        text="GET /api/v1/datadiffs/N on HOST",
        cancelled=True,
    ),
    Case(
        "forbidden later",
        faults={"read": [403, ...], "cancel": [403, ...]},
        error="DatafoldPermissionError",
        text="GET /api/v1/datadiffs/N on HOST",
    ),
    Case(
        "gone later",
        faults={"read": [None, 404, ...]},
        error="DatafoldNotFoundError",
        text="GET /api/v1/datadiffs/N on HOST",
        cancelled=True,
    ),
    Case("no JSON between looks", faults={"read": [None, not_json, not_json]}),
    Case("refused at first", faults={"create": [503, 429]}),
    Case("the reply is lost", faults={"create": [lost]}),
    Case("the reply is an error", faults={"create": [error_500]}),
    Case("the reply is no JSON", faults={"create": [not_json]}),
    Case("the reply has no id", faults={"create": [without_id]}),
    Case(
        "nothing comes of it",
        faults={"create": [422]},
        error="DatafoldValidationError",
        text="POST /api/v1/datadiffs on HOST",
        diffs=0,
    ),
    Case(
        "no such data source",
        arguments={"data_source2_id": 99},
        error="DatafoldNotFoundError",
        text="404, there is no such data source",
        diffs=0,
    ),
    Case(
        "the results cannot be read",
        DIFFERENT,
        error=DIFFERENCE,
        text="match ratio 0.95. See URL",
        faults={"results": [403, ...]},
    ),
    Case(
        "why it failed cannot be read",
        failed("QueryError", "no such table"),
        error="DatafoldJobFailedError",
        text="Data diff N failed: Datafold does not say why. ",
        faults={"results": [403, ...]},
    ),
]


def _conductor(patched: pytest.MonkeyPatch, cases: list[Case]) -> Conductor:
    courses = {case.task_id: case.course for case in cases}
    return Conductor(patched, courses, {case.task_id: case.faults for case in cases})


def _neutral(value: Any, url: str) -> Any:
    """Take ids, addresses and times out, which differ between two runs."""
    text = json.dumps(value).replace(url, "HOST")
    text = re.sub(r"(?<=Data diff )\d+|(?<=datadiffs/)\d+|(?<=\"id\": )\d+", "N", text)
    text = re.sub(r"after [\d.]+ s", "after N s", text)
    return json.loads(
        text.replace('"id": N', '"id": "N"').replace("HOST/datadiffs/N/overview", "URL")
    )


def _arguments(case: Case, **more: Any) -> str:
    given = {**case.arguments, **more}
    if "datadiff_id" not in given:
        given["tags"] = [case.task_id]
    limit = given.pop("execution_timeout", None)
    shown = ", ".join(f"{name}={value!r}" for name, value in given.items())
    return shown if limit is None else f"{shown}, execution_timeout=timedelta(seconds={limit})"


def _run_courses(
    run: Any, sandbox: Any, conductor: Conductor, tasks: list[str], cases: list[Case]
) -> dict[str, Any]:
    """Run a task for each case, and give what came of each: the task's state, XCom, link and error,
    and the states of the data diffs that there are for it."""
    found = run("courses", tasks, params={})
    errors = recorded()
    statuses: dict[str, list[str]] = {}
    for number, name in conductor.names.items():
        status = sandbox.state.data_diffs.shown(number)["status"]
        statuses.setdefault(name, []).append(status)
    return {
        case.name: _neutral(
            [*found[case.task_id][0], errors.get(case.task_id), statuses.get(case.task_id, [])],
            sandbox.url,
        )
        for case in cases
    }


def test_courses(run: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len({case.task_id for case in COURSES}) == len(COURSES) >= 25
    both = {}
    for deferrable in (False, True):
        sandbox.state.reset()
        tasks = [
            f"gate({case.task_id!r}, {_arguments(case, deferrable=deferrable)})" for case in COURSES
        ]
        with monkeypatch.context() as patched:
            conductor = _conductor(patched, COURSES)
            both[deferrable] = _run_courses(run, sandbox, conductor, tasks, COURSES)
    # In the worker and in the triggerer the same comes of it, to the letter.
    assert both[True] == both[False]
    assert _unexpected(COURSES, both[False]) == {}


WAITED_FOR = (
    "identical",
    "a status that nobody knows",
    "different",
    "different skipped",
    "different passed",
    "within limits",
    "empty passed",
    "doubled keys",
    "failed",
    "cancelled",
    "needs confirmation",
    "never ends",
    "faults between looks",
    "gone later",
)
"""Some of what a sensor meets, too: it has three modes."""


def test_courses_of_what_a_sensor_waits_for(
    run: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [
        replace(case, cancelled=case.error == CANCELLED)
        for case in COURSES
        if case.name in WAITED_FOR
    ]
    assert len(cases) == len(WAITED_FOR)
    found = {}
    for mode in ("poke", "reschedule", "deferrable"):
        sandbox.state.reset()
        how = {"deferrable": True} if mode == "deferrable" else {"mode": mode, "deferrable": False}
        with monkeypatch.context() as patched:
            conductor = _conductor(patched, cases)
            tasks = []
            for case in cases:
                diff = sandbox.state.data_diffs.add(
                    {**BODY, "tags": [case.task_id]}, Job(case.course)
                )
                arguments = _arguments(case, datadiff_id=diff["id"], poke_interval=0.05, **how)
                tasks.append(f"Sensor(task_id={case.task_id!r}, {arguments})")
            found[mode] = _run_courses(run, sandbox, conductor, tasks, cases)
        methods = {request.method for request in sandbox.state.requests}
        assert methods == {"GET"}, "it never cancels what something else started"
    assert found["poke"] == found["reschedule"] == found["deferrable"]
    assert _unexpected(cases, found["poke"]) == {}


def _unexpected(cases: list[Case], found: dict[str, Any]) -> dict[str, Any]:
    return {
        case.name: found[case.name] for case in cases if not _is_right_end(case, *found[case.name])
    }


def _is_right_end(
    case: Case, state: str, returned: Any, link: Any, error: Any, statuses: list[str]
) -> bool:
    kind, text = error or (None, "")
    if (state, kind) != (case.end, case.error) or case.text not in text:
        return False
    if len(statuses) != case.diffs or ("cancelled" in statuses) != case.cancelled:
        return False
    if link != ("URL" if case.diffs else None):
        return False
    if case.error:
        return returned is None
    return returned == {
        "id": "N",
        "status": "processing" if case.course is NEVER else "done",
        "result": case.course.outcome.get("result"),
        "url": "URL",
        "diff_stats": case.course.outcome.get("diff_stats"),
    }
