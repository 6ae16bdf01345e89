"""What lives in users' databases, and at Datafold, while this package is upgraded."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_datafold import get_provider_info
from airflow_provider_datafold.jobs.alerts import Memory, Reported
from airflow_provider_datafold.jobs.job import JOBS, State
from airflow_provider_datafold.jobs.once.ownership import owner_of
from airflow_provider_datafold.jobs.trouble import DEADLINE, TROUBLE
from airflow_provider_datafold.sensors.data_diffs import DatafoldDataDiffSensor
from airflow_provider_datafold.triggers.job import DatafoldJobTrigger
from tests.contexts import RUN_START, context_of
from tests.waits import deferred, gate

try:
    from airflow_provider_datafold.triggers import monitors
except Exception:  # Airflow 2
    monitors = None  # type: ignore[assignment]

needs_events = pytest.mark.skipif(monitors is None, reason="Airflow watches assets from 3.0 on")

STORED: dict[str, Any] = {
    # Class path and fields of a trigger.
    "job trigger": (
        "airflow_provider_datafold.triggers.job.DatafoldJobTrigger",
        {
            "job": "data_diff",
            "ids": {"datadiff_id": 1},
            "datafold_conn_id": "datafold_default",
            "deadline": 4e9,
            "since": 0.5,
            "poll_interval": 0.01,
            "cancel_on_kill": True,
            "not_before": 0.5,
        },
    ),
    "alert trigger": (
        "airflow_provider_datafold.triggers.monitors.DatafoldMonitorAlertTrigger",
        {"monitor_ids": [1, 2], "datafold_conn_id": "datafold_default", "poll_interval": 60.0},
    ),
    # What they fire.
    "job event": {
        "state": "succeeded",
        "status": "done",
        "job": "data_diff",
        "ids": {"datadiff_id": 1},
    },
    "event of a job not seen to its end": {
        "state": "trouble",
        "error": "KeyError",
        "is_lasting": False,
        "job": "data_diff",
        "ids": {},
    },
    "states in events": [
        "running",
        "succeeded",
        "failed",
        "cancelled",
        "blocked",
        "deadline",
        "trouble",
    ],
    # Kinds of job and their ids, in triggers and events.
    "jobs": {
        "data_diff": ["datadiff_id"],
        "monitor_run": ["monitor_id", "run_id"],
        "data_source_test": ["job_id"],
        "ci_run": ["ci_config_id", "pr_num"],
    },
    # Of a deferred operator or sensor: the method that goes on, and its arguments.
    "deferred task": (
        "execute_complete",
        ["try_number", "ids", "since", "deadline", "is_taken_over", "tag", "is_doubtful"],
    ),
    # Of a link: name and XCom key.
    "links": {
        "airflow_provider_datafold.links.DatafoldLink": ("Datafold", "datafold_url"),
        "airflow_provider_datafold.links.DatafoldDataDiffLink": (
            "Datafold data diff",
            "datafold_data_diff_url",
        ),
    },
    # In the store of an asset: a key for each connection and monitor, with what was reported, by
    # host.
    "asset store": {
        "datafold_reported_runs_datafold_default_7": {
            "https://app.datafold.com": {"runs": [5, 7], "floor": 3},
        },
    },
    # At Datafold: the tag of a data diff, by which a retry finds it.
    "tag": "airflow:a4f703b0a9af:0-0-44136fa355b3",
}
"""Nothing in here ever changes: what an older release has stored must still work. A new field has
a default, with which the older release's trigger or event does what it did."""

JOB_PATH, JOB_FIELDS = STORED["job trigger"]
ALERT_PATH, ALERT_FIELDS = STORED["alert trigger"]
JOB_OPTIONAL = ("since", "poll_interval", "cancel_on_kill", "not_before")
ALERT_OPTIONAL = ("datafold_conn_id", "poll_interval")


@pytest.fixture(autouse=True)
def _connected(connections: None) -> None:
    """All of these send to the sandbox, whose first data diff is done, and identical."""


def sensor(datadiff_id: Any = 1, **more: Any) -> DatafoldDataDiffSensor:
    return DatafoldDataDiffSensor(
        task_id="sensor", datadiff_id=datadiff_id, poke_interval=0.01, **more
    )


def load(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def first_event(fields: dict[str, Any]) -> Any:
    async def first() -> Any:
        return (await anext(load(JOB_PATH)(**fields).run())).payload

    return asyncio.run(first())


# That the list is what the package stores.


def test_triggers_keep_their_places_and_their_fields() -> None:
    assert DatafoldJobTrigger(**JOB_FIELDS).serialize() == (JOB_PATH, JOB_FIELDS)
    # Any other field would be one that this release needs.
    assert {*JOB_FIELDS} == {*load(JOB_PATH).__init__.__annotations__} - {"return"}


@needs_events
def test_event_trigger_keeps_its_place_and_its_fields() -> None:
    assert load(ALERT_PATH)(**ALERT_FIELDS).serialize() == (ALERT_PATH, ALERT_FIELDS)


def test_events_keep_their_fields() -> None:
    assert first_event(JOB_FIELDS) == STORED["job event"]
    lost = {**JOB_FIELDS, "ids": {}}
    assert first_event(lost) == STORED["event of a job not seen to its end"]
    states = [*(state.value for state in State), DEADLINE, TROUBLE]
    assert states == STORED["states in events"]


def test_kinds_of_job_keep_their_names_and_ids() -> None:
    assert {name: list(job.asks) for name, job in JOBS.items()} == STORED["jobs"]


def test_deferred_tasks_keep_their_method_and_its_arguments() -> None:
    task = gate(deferrable=True)
    found = deferred(task.execute, context_of(task))
    assert (found.method_name, list(found.kwargs)) == STORED["deferred task"]
    # This one still runs.
    look = sensor(3, deferrable=True)
    found = deferred(look.execute, context_of(look))
    assert (found.method_name, list(found.kwargs)) == STORED["deferred task"]


def test_links_keep_their_names_and_keys() -> None:
    paths = get_provider_info()["extra-links"]
    found = {path: (load(path).name, load(path).xcom_key) for path in paths}
    assert found == STORED["links"]


@needs_events
def test_asset_store_keeps_its_key_and_its_form() -> None:
    ((key, kept),) = STORED["asset store"].items()
    store: dict[str, Any] = {key: kept}

    async def get(name: str) -> Any:
        return store[name]

    async def nothing(name: str) -> Any:
        return None

    async def put(name: str, value: Any) -> None:
        store[name] = json.loads(json.dumps(value))

    accessor = SimpleNamespace(aget=get, aset=put)
    memory = Memory(accessor, "datafold_default", logging.getLogger())
    known = asyncio.run(memory.load(7))
    assert known == {"https://app.datafold.com": Reported({5, 7}, 3)}
    store.clear()
    memory = Memory(
        SimpleNamespace(aget=nothing, aset=put), "datafold_default", logging.getLogger()
    )
    asyncio.run(memory.load(7)).update(known)
    asyncio.run(memory.keep())
    assert store == STORED["asset store"]


def test_tag_is_found_again() -> None:
    assert owner_of(context_of(gate(retries=0), start=RUN_START), {}).tag == STORED["tag"]


# That what an older release has stored, without a field of this one, still works.


def without(fields: dict[str, Any], missing: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != missing}


@pytest.mark.parametrize("missing", JOB_OPTIONAL)
def test_trigger_of_an_older_release_waits(missing: str) -> None:
    fields = without(JOB_FIELDS, missing)
    assert first_event(fields) == STORED["job event"]
    _, serialized = DatafoldJobTrigger(**fields).serialize()
    defaults = {"cancel_on_kill": False, "not_before": 0.0}
    assert serialized == fields | {missing: defaults.get(missing)}


@needs_events
@pytest.mark.parametrize("missing", ALERT_OPTIONAL)
def test_event_trigger_of_an_older_release_watches(missing: str) -> None:
    fields = without(ALERT_FIELDS, missing)

    async def look() -> Any:
        return await anext(load(ALERT_PATH).open_shared_stream(fields))

    assert {*ALERT_FIELDS["monitor_ids"]} <= {*asyncio.run(look()).monitors}
    assert load(ALERT_PATH)(**fields).serialize() == (ALERT_PATH, ALERT_FIELDS)


WAIT = {
    "try_number": 1,
    "ids": {"datadiff_id": 1},
    "since": 0.0,
    "deadline": 4e9,
    "is_taken_over": False,
    "tag": STORED["tag"],
    "is_doubtful": True,
}
OF_A_SENSOR = {**WAIT, "tag": None, "is_doubtful": False}
TROUBLED = STORED["event of a job not seen to its end"]
EVENTS = [
    None,
    {},
    *(without(STORED["job event"], name) for name in STORED["job event"]),
    *(without(TROUBLED, name) for name in TROUBLED),
    {"state": "deadline"},
    {"state": "a state of a newer release"},
]
TASKS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "operator": (gate, WAIT),
    "sensor": (sensor, OF_A_SENSOR),
}


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("event", EVENTS, ids=repr)
def test_event_of_an_older_release_is_enough_to_resume(event: Any, kind: str) -> None:
    make, stored = TASKS[kind]
    task = make()
    returned = task.execute_complete(context_of(task), event, **stored)
    assert (returned["id"], returned["result"]) == (1, "identical")


@pytest.mark.parametrize(
    ("kind", "missing"), [(kind, name) for kind, (_, stored) in TASKS.items() for name in stored]
)
def test_deferred_task_of_an_older_release_is_resumed(kind: str, missing: str) -> None:
    make, stored = TASKS[kind]
    task = make()
    returned = task.execute_complete(
        context_of(task), STORED["job event"], **without(stored, missing)
    )
    assert (returned["id"], returned["result"]) == (1, "identical")
