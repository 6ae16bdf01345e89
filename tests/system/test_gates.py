"""A gate as a person sees it: its form, how it waits, why it failed, and the data diff itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dev.local_airflow import LocalAirflow
from tests.system.window import LOGS, open_trigger_form, picture, trigger

pytestmark = [pytest.mark.ui, pytest.mark.usefixtures("connected")]

DAG_ID = "datafold_write_audit_publish"
LONG_ENOUGH = 20.0
"""Seconds that the data diff takes longer, so that somebody can look at the gate meanwhile."""
LINK = "Datafold data diff"
NARROW = {"width": 360, "height": 1600}
WIDE = {"width": 1280, "height": 1000}


def damage(warehouse: Path) -> None:
    """Have the load lose a payment, and bring 37 others wrongly."""
    with closing(sqlite3.connect(warehouse)) as connection:
        connection.execute(
            "UPDATE raw_payments SET amount = amount + 1 WHERE id BETWEEN 101 AND 137"
        )
        connection.execute("DELETE FROM raw_payments WHERE id = 7")
        connection.commit()


def test_a_gate_that_stops_a_load(
    page: Page, airflow: LocalAirflow, sandbox: Any, warehouse: Path
) -> None:
    damage(warehouse)
    sandbox.state.data_diffs.delay = LONG_ENOUGH
    form = open_trigger_form(page, airflow, DAG_ID, "Rows added at most")
    picture(form, "gate-form")
    trigger(form)

    page.get_by_role("row").get_by_role("link", name="audit").click(timeout=60_000)
    page.screenshot(path=LOGS / "t1.png")
    expect(page.get_by_text("Data diff 3")).to_be_visible(timeout=60_000)
    page.screenshot(path=LOGS / "t2.png")
