"""A DAG that watches monitors, in Airflow's UI. The last test, because Airflow keeps polling."""

from __future__ import annotations

import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dev.local_airflow import LocalAirflow
from dev.sandbox.course import Course
from tests.system.window import picture

pytestmark = [pytest.mark.ui, pytest.mark.usefixtures("connected")]

DAG_ID = "datafold_on_alert"
LONGEST_WAIT = 90.0
LOW = {"width": 1280, "height": 560}


def test_an_alert_starts_a_dag(page: Page, airflow: LocalAirflow, sandbox: Any) -> None:
    page.goto(f"{airflow.url}/dags/{DAG_ID}")
    page.locator("[data-scope=switch]").first.click()
    # Runs that ended before the first poll of a monitor are not reported.
    wait_for_look(sandbox, 3)
    monitors = sandbox.state.monitors
    with sandbox.state.lock:
        monitors.courses.default = Course((), "alert", {"diff_id": 1})
        monitors.start(3)

    page.goto(f"{airflow.url}/dags/{DAG_ID}/runs")
    expect(page.get_by_text("Success", exact=True)).to_have_count(1, timeout=90_000)
    page.get_by_role("row").get_by_role("link").first.click()
    page.get_by_role("row").get_by_role("link", name="report").click()
    expect(page.get_by_text("[{'monitor_id': 3, 'run_id': 1, 'diff_id': 1}]")).to_be_visible()

    page.set_viewport_size(LOW)
    page.goto(f"{airflow.url}/assets")
    page.get_by_role("link", name="datafold_alerts").click()
    expect(page.get_by_text("Triggered Dag Run:")).to_be_visible()
    expect(page.locator(".react-flow__node").filter(has_text=DAG_ID)).to_be_visible()
    page.wait_for_timeout(1000)  # The graph moves into the middle.
    picture(page, "alert")


def wait_for_look(sandbox: Any, monitor_id: int) -> None:
    """Wait until Airflow has read the runs of a monitor."""
    deadline = time.monotonic() + LONGEST_WAIT
    while not any(
        request.path == f"/api/v1/monitors/{monitor_id}/runs" for request in sandbox.state.requests
    ):
        assert time.monotonic() < deadline
        time.sleep(0.5)
