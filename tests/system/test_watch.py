"""A DAG that watches monitors, as a person sees it: the last test, because Airflow goes on polling."""

from __future__ import annotations

import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dev.local_airflow import LocalAirflow
from dev.sandbox.monitors import run_course
from tests.system.window import picture

pytestmark = [pytest.mark.ui, pytest.mark.usefixtures("connected")]

DAG_ID = "datafold_on_alert"
LONGEST_WAIT = 90.0
LOW = {"width": 1280, "height": 560}


def test_an_alert_starts_a_dag(page: Page, airflow: LocalAirflow, sandbox: Any) -> None:
    page.goto(f"{airflow.url}/dags/{DAG_ID}")
    page.get_by_role("switch").or_(page.locator("[data-scope=switch]")).first.click()
    # What has ended before the first look at a monitor is not told.
    wait_for_look(sandbox, 3)
    sandbox.state.monitors.courses.default = run_course("alert", diff_id=1)
    with sandbox.state.lock:
        job = sandbox.state.monitors.jobs[sandbox.state.monitors.start(3, None)]
        job.stop("alert")

    page.goto(f"{airflow.url}/assets")
    page.get_by_role("link", name="datafold_alerts").click()
    expect(page.get_by_text("No Asset Events found.")).to_have_count(0, timeout=90_000)
    page.wait_for_timeout(5000)
    page.set_viewport_size(LOW)
    picture(page, "alert")
    page.goto(f"{airflow.url}/dags/{DAG_ID}/runs")
    page.wait_for_timeout(3000)
    page.screenshot(path="build/ui/w1.png")


def wait_for_look(sandbox: Any, monitor_id: int) -> None:
    """Wait until Airflow has read the runs of a monitor."""
    deadline = time.monotonic() + LONGEST_WAIT
    while not any(
        request.path == f"/api/v1/monitors/{monitor_id}/runs" for request in sandbox.state.requests
    ):
        assert time.monotonic() < deadline
        time.sleep(0.5)
