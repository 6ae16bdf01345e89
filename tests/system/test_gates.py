"""A gate in Airflow's UI: its form, how it waits, why it failed, and the data diff itself."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dev.local_airflow import LocalAirflow
from dev.samples.warehouse import NEW_PAYMENTS, PAYMENTS
from tests.system.window import LOGS, LONG_ENOUGH, open_trigger_form, picture, trigger

pytestmark = [pytest.mark.ui, pytest.mark.usefixtures("connected")]

DAG_ID = "datafold_write_audit_publish"
LINK = "Datafold data diff"
NARROW = {"width": 360, "height": 1600}
PAGE = {"width": 720, "height": 1080}
SHORT = {"width": 1280, "height": 480}


def damage(warehouse: Path) -> None:
    """Make the load lose a payment and change 37 others."""
    with closing(sqlite3.connect(warehouse)) as connection:
        connection.execute(
            "UPDATE raw_payments SET amount = amount + 1 WHERE id BETWEEN 101 AND 137"
        )
        connection.execute("DELETE FROM raw_payments WHERE id = 7")
        connection.commit()


def payments(warehouse: Path) -> int:
    """How many are published."""
    with closing(sqlite3.connect(warehouse)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM payments").fetchone()
        return int(count)


def test_a_gate_that_stops_a_load(
    page: Page, airflow: LocalAirflow, sandbox: Any, warehouse: Path
) -> None:
    damage(warehouse)
    sandbox.state.data_diffs.delay = LONG_ENOUGH
    form = open_trigger_form(page, airflow, DAG_ID, "Rows added at most")
    picture(form, "gate-form")
    trigger(form)

    page.get_by_role("row").get_by_role("link", name="audit").click(timeout=60_000)
    expect(page.get_by_text("Started data diff 3:")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Running", exact=True)).to_be_visible()
    page.set_viewport_size(SHORT)
    picture(page, "gate-running")

    expect(page.get_by_text("Failed", exact=True)).to_be_visible(timeout=90_000)
    expect(page.get_by_text("rows removed 1 (at most 0), rows different 37")).to_be_visible()
    page.get_by_role("link", name="Details").click()
    expect(page.get_by_role("link", name=LINK)).to_be_visible()
    details = page.url
    page.goto(f"{airflow.url}/dags/{DAG_ID}/runs")
    expect(page.get_by_text("Failed", exact=True)).to_have_count(1)
    assert payments(warehouse) == PAYMENTS - NEW_PAYMENTS
    page.goto(details)
    expect(page.get_by_role("link", name=LINK)).to_be_visible()
    picture(page, "gate-failed")
    with page.expect_popup() as opened:
        page.get_by_role("link", name=LINK).click()
    assert opened.value.url == f"{sandbox.url}/datadiffs/3/overview"
    look_at_the_data_diff(opened.value)


def look_at_the_data_diff(page: Page) -> None:
    page.set_viewport_size(PAGE)
    expect(page.get_by_role("heading", name="Data diff 3")).to_contain_text("different")
    for row in (
        "Table or query payments payments_staging",
        "Rows 975 999",
        "Rows added (only in the second) 25",
        "Rows removed (only in the first) 1",
        "Rows different 37",
        "amount 37 96.2012 %",
        "removed 7 - 3.5",
        "different 101 - 50.5 + 51.5",
    ):
        expect(page.get_by_role("row", name=row, exact=True)).to_be_visible()
    picture(page, "data-diff")
    assert brightness(page, "backgroundColor") > brightness(page, "color")

    page.set_viewport_size(NARROW)
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert page.evaluate(wide) is False
    page.screenshot(path=LOGS / "data-diff-narrow.png")
    page.emulate_media(color_scheme="dark")
    assert brightness(page, "backgroundColor") < brightness(page, "color")
    page.screenshot(path=LOGS / "data-diff-dark.png")


def brightness(page: Page, of: str) -> float:
    colour = page.evaluate(f"getComputedStyle(document.documentElement).{of}")
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3]))
