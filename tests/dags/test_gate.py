"""The gate in a real Airflow and over real sockets: ways to fill it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.gates import BODY, PARAMS, recorded, source_of

pytestmark = pytest.mark.airflow


@dataclass
class Filled:
    """A way to fill a gate.

    :param name: what is special about it.
    :param arguments: source of the arguments that are not the usual ones, or of the whole task.
    :param body: what of the body is not as usual; for a mapped task, of one after the other.
    :param left_out: names that the body has not.
    """

    name: str
    arguments: str
    body: dict[str, Any] | list[dict[str, Any]] = field(default_factory=dict)
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


# The ways to write each value, tests/jobs/test_data_diff.py says.
RIGHT = [
    Filled("text from a param", "table1='{{ params.table }}'"),
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
    Filled("ids from params", "data_source1_id='{{ params.source }}'", {"data_source1_id": 2}),
    Filled(
        "queries",
        "table1=None, query1='{{ params.query }}', table2=None, query2='SELECT 1'",
        {"query1": PARAMS["query"], "query2": "SELECT 1"},
        left_out=("table1", "table2"),
    ),
    Filled(
        "filters of a day",
        "filter1=\"day = '{{ ds_nodash }}'\", filter2='id > {{ params.limit }}'",
        {"filter1": "day = 'DAY'", "filter2": "id > 5"},
    ),
    Filled("options from a param", "options='{{ params.options }}'", PARAMS["options"]),
    Filled("null options", "options='{{ params.nothing }}'"),
    Filled(
        "limits from params",
        "max_rows_added='{{ params.limit }}', max_rows_removed='{{ params.nothing }}', "
        "max_rows_different=0, min_match_ratio='{{ params.ratio }}', "
        "allow_schema_changes='{{ params.yes }}', on_difference='{{ params.choice }}', "
        "on_empty='{{ params.choice }}'",
    ),
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


def _without_day(value: Any) -> Any:
    text = json.dumps(value)
    return json.loads(re.sub(r"\b20\d{6}\b", "DAY", re.sub(r"(?<=T_)20\d{6}\b", "DAY", text)))


@pytest.mark.parametrize("native", [False, True])
def test_right_ways_to_fill_it(native: bool, run_gates: Any, sandbox: Any) -> None:
    first = len(sandbox.state.data_diffs.diffs) + 1
    found = run_gates("right", [case.source for case in RIGHT], native=native)
    sent = [
        json.loads(request.body) for request in sandbox.state.requests if request.method == "POST"
    ]
    for body in sent:
        assert re.fullmatch(r"airflow:\w{12}:0-0-\w{12}", body["tags"].pop())
        if not body["tags"]:
            del body["tags"]
    assert len({case.task_id for case in RIGHT}) == len(RIGHT)
    wrong = {}
    for case in RIGHT:
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
    assert len(sent) == sum(len(case.bodies) for case in RIGHT)


MAPPED = """
least = {name: LEAST[name] for name in LEAST if not name.startswith("table")}
ways = [
    {"table1": "A", "table2": "DB.STAGING.ORDERS"},
    {"table1": "A", "table2": ["DB", "my.schema", "ORDERS"]},
    {"table1": "A", "table2": "{{ params.parts }}"},
    {"table1": "A.B", "query2": "SELECT 1"},
    {"query1": "SELECT 1", "query2": "SELECT 1"},
    {"table1": "A", "table2": ["2024"]},
    {"table1": "A", "table2": ["B" * 300]},
]
Gate.partial(task_id="by_table", **least).expand_kwargs(ways)
mine = {"map_index_template": "mine {{ task.table2 }}"}
Gate.partial(task_id="by_dag", **mine, **least).expand(table1=["A"], table2=["B"])
Gate.partial(task_id="by_default", default_args=mine, **least).expand(table1=["A"], table2=["B"])
"""


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("native", [False, True])
def test_mapped_gates_show_their_tables(native: bool, run_dag: Any, sandbox: Any) -> None:
    run = run_dag(source_of("named", MAPPED, native=native), "named")
    tasks = sorted(run.get_task_instances(), key=lambda task: (task.task_id, task.map_index))
    assert {task.state for task in tasks} == {"success"}
    assert [task.rendered_map_index for task in tasks] == [
        "mine B",
        "mine B",
        "DB.STAGING.ORDERS",
        "DB.my.schema.ORDERS",
        "DB.my.schema.ORDERS",
        "A.B",
        "gate 4",
        "table 2024",
        "B" * 200,
    ]
