"""The DAGs that users copy: each loads without a complaint and runs in a real Airflow."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.conftest import HOME, ROOT, TOKEN

pytestmark = pytest.mark.airflow

UPDATE = ROOT / "example_dags" / "update_hightouch.py"


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("cron", ["15 4 * * 1-5", None])
def test_update_hightouch(run_dag: Any, sandbox: Any, cron: str | None) -> None:
    run = run_dag(
        UPDATE.read_text(),
        "datafold_update_hightouch",
        conf={"bi_datasource_id": 3, "indexing_cron": cron},
    )
    assert run.state == "success"
    (request,) = sandbox.state.requests
    assert request.path == "/api/v1/lineage/bi/hightouch/3/"
    assert json.loads(request.body) == {
        "token": TOKEN,
        "bindings": [{"remoteId": "1", "boundIds": [1, 2]}],
        "indexing_cron": cron,
    }
    assert sandbox.state.integrations[3]["indexing_cron"] == cron
    (task,) = run.get_task_instances()
    assert task.xcom_pull(task.task_id) == sandbox.state.integrations[3]
    page = f"{sandbox.url}/settings/integrations"
    assert task.xcom_pull(task.task_id, key="datafold_url") == page
    assert keys(run.run_id) == ["datafold_url", "return_value"]


def keys(run_id: str) -> list[str]:
    """What the run has left in XCom; Airflow 3 keeps more for a link than the task itself does."""
    with closing(sqlite3.connect(HOME / "airflow.db")) as database:
        query = "select key from xcom where run_id = ? order by key"
        return [key for (key,) in database.execute(query, [run_id])]


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(
    "conf",
    [
        {"bi_datasource_id": 0},
        {"bi_datasource_id": "7"},
        {"indexing_cron": "0 6 * *"},
        {"indexing_cron": ""},
        {"bindings": [{"remoteId": "1"}]},
        {"bindings": [{"remoteId": "1", "boundIds": ["1"]}]},
    ],
)
def test_the_form_refuses_what_is_wrong(run_dag: Any, sandbox: Any, conf: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="Invalid input for param"):
        run_dag(UPDATE.read_text(), "datafold_update_hightouch", conf=conf)
    assert sandbox.state.requests == []
