"""A whole schema in Airflow's UI: the report says what differs, and what has no gate."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest
from playwright.sync_api import Page, expect

from dev.local_airflow import LocalAirflow
from tests.system.window import LONG_ENOUGH, open_trigger_form, picture, trigger

pytestmark = [pytest.mark.ui, pytest.mark.usefixtures("connected")]

SHORT = {"width": 1280, "height": 720}
TABLES = """
create schema shop;
create table shop.order_lines as select range as order_id, 1 as line from range(9);
create table shop.events as select range as id, 'click' as name from range(99);
create table shop.log as select 'a' as line union all select 'a';
create table shop.customers as select range as id, 'name ' || range as name from range(9);
create table shop.products as select range as id, 'title ' || range as title from range(9);
create table shop.orders as select range as id, range * 1.25 as amount from range(99);
"""


def test_the_report_of_a_whole_schema(page: Page, airflow: LocalAirflow, sandbox: Any) -> None:
    for number, more in enumerate(("", "update shop.orders set amount = 7 where id = 42"), 1):
        file = str(airflow.home / f"schema_{number}.duckdb")
        with duckdb.connect(file) as database:
            database.execute(TABLES + more)
        sandbox.state.data_sources.connect(number, file)
    sandbox.state.data_diffs.delay = LONG_ENOUGH
    trigger(open_trigger_form(page, airflow, "datafold_whole_schema", "Advanced Options"))

    page.get_by_role("row").get_by_role("link", name="summarize").click(timeout=60_000)
    report = page.get_by_text("4 of 5 passed, 1 did not; 1 was left out.").first
    expect(report).to_be_visible(timeout=180_000)
    page.goto(page.url.split("/tasks/")[0] + "/tasks/gate/mapped")
    for name in ("customers", "events", "order_lines", "orders", "products"):
        expect(page.get_by_role("row").filter(has_text=f"shop.{name}")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="shop.orders")).to_contain_text("Failed")
    page.set_viewport_size(SHORT)
    picture(page, "whole-schema")
