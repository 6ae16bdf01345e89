"""The section Monitors: monitors and their runs."""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException

from dev.sandbox import moment
from dev.sandbox.course import Course, Courses, Job, Step
from dev.sandbox.moment import now
from dev.sandbox.register import Register, ordered, page_of
from dev.sandbox.router import Router

Spec = dict[str, Any]

_SHORT = ("id", "name", "enabled", "owner", "tags", "created_at", "modified_at", "monitor_type")
_FULL = ("description", "notifications", "schedule", "alert")
_SORTED_BY = {"last_triggered": "last_alert", "created_by": "owner"}

router = Router()


def run_course(state: str, **outcome: Any) -> Course:
    return Course((Step("queued"), Step("checking")), state, outcome)


class Monitors:
    def __init__(self) -> None:
        self.courses = Courses(run_course("ok"))
        """The courses of the next runs."""
        self.monitors: Register[Spec] = Register("Monitor")
        self.runs: Register[Spec] = Register("Run")
        self.jobs: dict[int, Job] = {}
        hourly = {"interval": {"type": "hourly", "every": "hour"}}
        daily = {"type": "crontab", "cron": "0 6 * * *"}
        side = {"connection_id": 1, "table": "DB.PUBLIC.ORDERS"}
        watched = {"connection_id": 1, "schedule": hourly}
        diff = {"diff_type": "indb", "dataset_a": side, "dataset_b": side, "primary_key": ["id"]}
        self.add("diff", {"name": "Orders are copied", "schedule": daily, "datadiff": diff})
        metric = {"type": "table", "metric": "row_count", "table": "DB.PUBLIC.ORDERS"}
        self.add("metric", {**watched, "name": "Orders grow", "metric": metric})
        self.add("schema", {**watched, "name": "Orders keep their columns", "table": side["table"]})
        query = "select amount from orders where id is null"
        self.add("test", {**watched, "name": "Orders have an id", "query": query})

    def add(self, kind: str, body: Spec) -> int:
        number = self.monitors.number()
        self.monitors[number] = {
            "enabled": True,
            "tags": [],
            "notifications": [],
            **body,
            "id": number,
            "monitor_type": kind,
            "created_at": now(),
            "modified_at": now(),
        }
        return number

    def start(self, number: int) -> int:
        self.monitors.require(number)
        run = self.runs.number()
        self.jobs[run] = self.courses.start(number)
        self.runs[run] = {"run_id": run, "monitor_id": number, "started_at": now()}
        return run

    def runs_of(self, number: int) -> list[Spec]:
        """Return the runs of a monitor in their current state, newest first."""
        runs = [self.run(run) for run in self.runs if self.runs[run]["monitor_id"] == number]
        return runs[::-1]

    def run(self, number: int) -> Spec:
        run, job = self.runs[number], self.jobs[number]
        return {**run, "state": job.status, "diff_id": job.outcome.get("diff_id")}

    def short(self, number: int) -> Spec:
        monitor = self.monitors[number]
        runs = self.runs_of(number)
        alerts = [run for run in runs if run["state"] == "alert"]
        return {
            **{name: monitor.get(name) for name in _SHORT},
            "state": runs[0]["state"] if runs else None,
            "last_run": runs[0]["started_at"] if runs else None,
            "last_alert": alerts[0]["started_at"] if alerts else None,
        }

    def full(self, number: int) -> Spec:
        monitor = self.monitors[number]
        shown = {**self.short(number), **{name: monitor.get(name) for name in _FULL}}
        if monitor["monitor_type"] == "diff" and shown["alert"] is not None:
            # Only here does the contract require the kind of the alert.
            shown["alert"] = {**shown["alert"], "type": "diff"}
        return {**shown, "dataset": _datasets(monitor)}


def _datasets(monitor: Spec) -> list[Spec]:
    match monitor["monitor_type"]:
        case "diff":
            sides = [monitor["datadiff"][side] for side in ("dataset_a", "dataset_b")]
        case "metric":
            sides = [{**monitor["metric"], "connection_id": monitor["connection_id"]}]
        case _:
            sides = [monitor]
    names = ("connection_id", "table", "query", "filter", "column", "metric")
    return [{name: side.get(name) for name in names} for side in sides]


def _serve(kind: str) -> None:
    @router.handles("POST", f"/api/v1/monitors/create/{kind}")
    def create(monitors: Monitors, body: Spec) -> Any:
        return {"id": monitors.add(kind, body)}


for _kind in ("diff", "metric", "schema", "test"):
    _serve(_kind)


@router.handles("GET", "/api/v1/monitors")
def list_page(
    monitors: Monitors,
    page: int,
    page_size: int,
    order_by: str | None,
    sort_order: str,
    tags: str | None,
) -> Any:
    wanted = {tag.strip() for tag in (tags or "").split(",") if tag.strip()}
    every = [monitors.short(number) for number in monitors.monitors]
    found = [monitor for monitor in every if wanted <= set(monitor["tags"])]
    field = _SORTED_BY.get(order_by or "id", order_by or "id")
    return page_of(ordered(found, field, sort_order), page, page_size, "monitors")


@router.handles("GET", "/api/v1/monitors/{id}")
def show(monitors: Monitors, id: int) -> Any:
    return monitors.full(id)


@router.handles("PATCH", "/api/v1/monitors/{id}/update")
def update(monitors: Monitors, id: int, body: Spec) -> Any:
    """Change those fields of a monitor that are in the request."""
    monitor = monitors.monitors[id]
    changes = dict(body)
    if changes.pop("type") != monitor["monitor_type"]:
        raise HTTPException(404, "Monitor not found")
    datadiff = {**monitor.get("datadiff", {}), **(changes.pop("datadiff", None) or {})}
    # A monitor always has these two, so null cannot remove them.
    changes = {
        name: value
        for name, value in changes.items()
        if value is not None or name not in {"name", "schedule"}
    }
    monitor.update(changes, modified_at=now())
    if datadiff:
        monitor["datadiff"] = datadiff
    return monitors.full(id)


@router.handles("PUT", "/api/v1/monitors/{id}/toggle")
def toggle(monitors: Monitors, id: int, body: Spec) -> Any:
    monitors.monitors[id].update(enabled=body["enabled"], modified_at=now())
    return monitors.full(id)


@router.handles("DELETE", "/api/v1/monitors/{id}")
def delete(monitors: Monitors, id: int) -> None:
    monitors.monitors.require(id)
    del monitors.monitors[id]
    for run in [run["run_id"] for run in monitors.runs_of(id)]:
        del monitors.runs[run], monitors.jobs[run]


@router.handles("POST", "/api/v1/monitors/{id}/run")
def run(monitors: Monitors, id: int) -> Any:
    return {"run_id": monitors.start(id)}


@router.handles("GET", "/api/v1/monitors/{id}/runs")
def list_runs(
    monitors: Monitors,
    id: int,
    page: int,
    page_size: int,
    start_time: str | None,
    end_time: str | None,
) -> Any:
    monitors.monitors.require(id)
    runs = [
        run
        for run in monitors.runs_of(id)
        if moment.is_between(run["started_at"], start_time, end_time)
    ]
    return page_of(runs, page, page_size, "runs")


@router.handles("GET", "/api/v1/monitors/{id}/runs/{run_id}")
def show_run(monitors: Monitors, id: int, run_id: int) -> Any:
    """Show a run. This moves it on by a step."""
    monitors.monitors.require(id)
    if monitors.runs[run_id]["monitor_id"] != id:
        raise HTTPException(404, "Run not found")
    job = monitors.jobs[run_id]
    job.read()
    outcome = {"error": job.outcome.get("error"), "warnings": job.outcome.get("warnings", [])}
    return {**monitors.run(run_id), **outcome}
