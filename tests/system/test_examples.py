"""The example DAGs in Airflow: all of them load, monitors are made and run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dev.local_airflow import LocalAirflow
from dev.sandbox.monitors import run_course
from tests.system.conftest import DAG_IDS
from tests.system.window import open_trigger_form, picture, trigger

pytestmark = [pytest.mark.ui, pytest.mark.usefixtures("connected")]

LINK = "Datafold data diff"
SHORT = {"width": 1280, "height": 480}


def test_all_load_without_an_error(page: Page, airflow: LocalAirflow) -> None:
    page.goto(airflow.url)
    expect(page.get_by_text("Stats", exact=True)).to_be_visible()
    expect(page.get_by_text("Dag Import Errors")).to_have_count(0)
    page.goto(f"{airflow.url}/dags?limit=50")
    for dag_id in DAG_IDS:
        expect(page.get_by_role("link", name=dag_id, exact=True).first).to_be_visible()


def test_a_monitor_that_alerts(
    page: Page, airflow: LocalAirflow, sandbox: Any, warehouse: Path
) -> None:
    sandbox.state.monitors.courses.default = run_course("alert", diff_id=1)
    form = open_trigger_form(page, airflow, "datafold_maintenance_window", "monitor_id")
    form.locator("[name=element_monitor_id]").fill("1")
    trigger(form)
    page.get_by_role("row").get_by_role("link", name="check").click(timeout=60_000)
    expect(page.get_by_text("Failed", exact=True)).to_be_visible(timeout=90_000)
    page.get_by_role("link", name="Details").click()
    expect(page.get_by_role("link", name=LINK)).to_be_visible()
    page.set_viewport_size(SHORT)
    picture(page, "monitor-run")
    with page.expect_popup() as opened:
        page.get_by_role("link", name=LINK).click()
    expect(opened.value.get_by_role("heading", name="Data diff 1")).to_be_visible()
