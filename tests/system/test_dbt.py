"""The gates of a dbt project in Airflow's UI: one for each model, by name."""

from __future__ import annotations

import shlex
import sys
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dev.local_airflow import LocalAirflow
from dev.samples import shop
from tests.conftest import ROOT
from tests.system.window import LONG_ENOUGH, open_trigger_form, picture, trigger

pytestmark = [pytest.mark.ui, pytest.mark.usefixtures("connected")]

DAG_ID = "datafold_dbt_gates"
STOPPED = "shop.staging_finance.payments"
PASSED = 8
SHORT = {"width": 1280, "height": 720}


def test_the_gates_have_the_names_of_the_tables(
    page: Page, airflow: LocalAirflow, sandbox: Any
) -> None:
    database = airflow.home / f"{shop.DATABASE}.duckdb"
    shop.build(database, "production")
    sandbox.state.data_sources.connect(1, database)
    sandbox.state.data_diffs.delay = LONG_ENOUGH
    build = [sys.executable, "-m", "dev.samples.shop", str(database), "staging"]
    form = open_trigger_form(page, airflow, DAG_ID, "Builds the published schema")
    for name, value in (
        ("build", f"cd {shlex.quote(str(ROOT))} && {shlex.join(build)}"),
        ("manifest", str(shop.manifest("staging"))),
        ("production_manifest", str(shop.manifest("production"))),
    ):
        form.locator(f"[name=element_{name}]").fill(value)
    trigger(form)

    page.get_by_role("row").get_by_role("link", name="summary").click(timeout=60_000)
    expect(page.get_by_text("8 of 9 passed, 1 did not").first).to_be_visible(timeout=180_000)
    page.goto(page.url.split("/tasks/")[0] + "/tasks/gate/mapped")
    gate = page.get_by_role("row").filter(has_text=STOPPED)
    expect(gate).to_contain_text("Failed")
    others = page.get_by_role("row").filter(has_text="shop.staging").filter(has_text="Success")
    expect(others).to_have_count(PASSED)
    page.set_viewport_size(SHORT)
    picture(page, "dbt-gates")
    gate.get_by_role("link", name=STOPPED).click()
    expect(page.get_by_text("rows removed 0, rows different 1")).to_be_visible()
