"""Ways to fill the operator, each in a real Airflow and over a real socket.

What is wrong, tests/api and tests/operators say.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.conftest import TOKEN

pytestmark = pytest.mark.airflow

DAG_FILE = """
from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator as Update

BINDINGS = [{{"remoteId": "1", "boundIds": [1, 2]}}]

@task
def give(value):
    return value

with DAG(
    "{dag_id}",
    schedule=None,
    start_date=datetime(2024, 1, 1),
    params={params!r},
    render_template_as_native_obj={native},
    default_args={{"retries": 0}},
) as dag:
{tasks}
"""

BINDINGS = [{"remoteId": "1", "boundIds": [1, 2]}]
PARAMS = {"id": 7, "bindings": BINDINGS, "cron": "0 6 * * *", "nothing": None}
FROM_PARAMS = (
    'Update(task_id="t", bi_datasource_id="{{ params.id }}", bindings="{{ params.bindings }}", '
    'indexing_cron="{{ params.cron }}"%s)'
)
FILLED = 'Update(task_id="t", bi_datasource_id=7, bindings=%s, indexing_cron="0 6 * * *"%s)'


@dataclass
class Case:
    """A DAG, and the bodies that must arrive, by the integration's id.

    :param name: what is special about it.
    :param tasks: the source of its tasks.
    :param bodies: by integration id, the body without the token.
    :param params: the DAG's params, in place of or beside the usual ones.
    :param native: whether the DAG renders native objects.
    """

    name: str
    tasks: str
    bodies: dict[int, dict[str, Any]] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    native: bool = False

    @property
    def reads(self) -> bool:
        """Whether the bindings are those that the integration has."""
        return "bindings=" not in self.tasks or self.params.get("bindings", 0) is None

    @property
    def dag_id(self) -> str:
        return re.sub(r"\W+", "_", self.name)

    @property
    def source(self) -> str:
        tasks = "\n".join("    " + line for line in self.tasks.strip().splitlines())
        return DAG_FILE.format(
            dag_id=self.dag_id, params=PARAMS | self.params, native=self.native, tasks=tasks
        )


def body(bindings: Any = BINDINGS, cron: Any = "0 6 * * *", **more: Any) -> dict[str, Any]:
    return {"bindings": bindings, "indexing_cron": cron, **more}


NESTED: tuple[Any, ...] = (
    FILLED
    % (
        '[{"remoteId": "{{ params.remote }}", "boundIds": ["{{ params.id }}", 2]},'
        ' {"remoteId": "x", "boundIds": "{{ params.ids }}"}, "{{ params.bindings[0] }}"]',
        "",
    ),
    {
        7: body(
            [
                {"remoteId": "123", "boundIds": [7, 2]},
                {"remoteId": "x", "boundIds": [4, 5]},
                *BINDINGS,
            ]
        )
    },
    {"remote": "123", "ids": [4, 5]},
)

RIGHT = [
    Case("params as text", FROM_PARAMS % "", {7: body()}),
    Case("params native", FROM_PARAMS % "", {7: body()}, native=True),
    Case("null bindings as text", FROM_PARAMS % "", {7: body()}, {"bindings": None}),
    Case(
        "no bindings",
        'Update(task_id="t", bi_datasource_id=7, indexing_cron="0 6 * * *")',
        {7: body()},
    ),
    Case("null params as text", FROM_PARAMS % "", {7: body(cron=None)}, {"cron": None}),
    Case(
        "native null name and number workspace",
        FROM_PARAMS % ', name="{{ params.nothing }}", workspace="{{ params.workspace }}"',
        {7: body(name=None, workspace="2024")},
        {"workspace": "2024"},
        native=True,
    ),
    Case(
        "bindings as JSON text",
        FILLED % ('"{{ params.bindings | tojson }}"', ""),
        {7: body()},
    ),
    Case("bindings nested", *NESTED),
    Case(
        "from XComArgs",
        """
Update(
    task_id="t",
    bi_datasource_id=give.override(task_id="id")(7),
    bindings=give.override(task_id="bindings")(BINDINGS),
    indexing_cron=give.override(task_id="cron")("0 6 * * *"),
    name=give.override(task_id="name")(None),
)
""",
        {7: body(name=None)},
    ),
    Case(
        "from xcom_pull",
        """
given = give(BINDINGS)
given >> Update(
    task_id="t", bi_datasource_id=7, bindings="{{ ti.xcom_pull('give') }}", indexing_cron=None
)
""",
        {7: body(cron=None)},
    ),
    Case(
        "expand",
        """
Update.partial(task_id="t", bindings=BINDINGS, indexing_cron="0 6 * * *").expand(
    bi_datasource_id=[1, "2", "{{ params.id }}"]
)
""",
        {1: body(), 2: body(), 7: body()},
    ),
    Case(
        "expand over XComArgs native",
        """
Update.partial(task_id="t", bindings="{{ params.bindings }}").expand_kwargs(
    give([{"bi_datasource_id": 3, "indexing_cron": "5 4 * * *"}])
)
""",
        {3: body(cron="5 4 * * *")},
        native=True,
    ),
    Case(
        "bindings from a mapped task",
        """
bindings = give.expand(value=BINDINGS * 2)
Update(task_id="t", bi_datasource_id=7, bindings=bindings, indexing_cron=" 0  6 * * MON ")
""",
        {7: body(BINDINGS * 2, "0 6 * * MON")},
    ),
]


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("case", RIGHT, ids=lambda case: case.dag_id)
def test_arrives(case: Case, run_dag: Any, sandbox: Any) -> None:
    run = run_dag(case.source, case.dag_id)
    assert run.state == "success"
    arrived = {
        int(request.path.split("/")[-2]): json.loads(request.body)
        for request in sandbox.state.requests
        if request.method == "PUT"
    }
    assert arrived == {
        bi_datasource_id: {"token": TOKEN, **body} for bi_datasource_id, body in case.bodies.items()
    }
    read = len(case.bodies) if case.reads else 0
    assert len(sandbox.state.requests) == len(case.bodies) + read
    returned = [
        ti.xcom_pull("t", map_indexes=ti.map_index)
        for ti in run.get_task_instances()
        if ti.task_id == "t"
    ]
    assert sorted(returned, key=lambda integration: integration["id"]) == [
        sandbox.state.integrations[bi_datasource_id] for bi_datasource_id in sorted(case.bodies)
    ]
