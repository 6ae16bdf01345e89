"""Browser test of Airflow's UI, from the connection to a changed schedule."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from dev.local_airflow import LocalAirflow
from tests.system.window import (
    WINDOW,
    assert_nothing_secret,
    open_trigger_form,
    picture,
    trigger,
    wait_for_success,
)

pytestmark = pytest.mark.ui

DAG_ID = "datafold_update_hightouch"
CRON = "30 5 * * 1-5"
LAST = "Leave this empty"
"""The bindings are last in the form."""


def cron_in(form: Locator) -> Locator:
    return form.locator("[name=element_indexing_cron]")


@pytest.mark.usefixtures("connected")
def test_the_saved_connection_works_and_hides_its_key(page: Page, airflow: LocalAirflow) -> None:
    page.goto(f"{airflow.url}/connections")
    row = page.get_by_role("row").filter(has_text="datafold_default")
    row.get_by_role("button", name="Test Connection").click()
    expect(page.get_by_text("Datafold accepts the API key")).to_be_visible()
    row.get_by_role("button", name="Edit Connection").click()
    expect(page.get_by_role("dialog").get_by_label("API key")).to_have_value("***")


def test_the_providers_page_describes_the_package(page: Page, airflow: LocalAirflow) -> None:
    page.goto(f"{airflow.url}/providers")
    row = page.get_by_role("row").filter(has_text="airflow-provider-datafold")
    expect(row).to_contain_text("BI lineage of Datafold https://www.datafold.com/")
    link = row.get_by_role("link", name="https://www.datafold.com/")
    expect(link).to_have_attribute("href", "https://www.datafold.com/")


@pytest.mark.usefixtures("connected")
def test_a_run_from_the_form_to_datafold(page: Page, airflow: LocalAirflow, sandbox: Any) -> None:
    form = open_trigger_form(page, airflow, DAG_ID, LAST)
    cron_in(form).fill(CRON)
    picture(form, "trigger-form")
    trigger(form)
    wait_for_success(page)
    assert sandbox.state.integrations[7]["indexing_cron"] == CRON
    # The bindings are those of the integration, which is read first.
    assert [request.method for request in sandbox.state.requests] == ["GET", "PUT"]

    page.get_by_role("row").get_by_role("link", name="update_schedule").click()
    expect(page.get_by_text(f"indexing_cron '{CRON}'; accepted by")).to_be_visible()
    assert_nothing_secret(page.content().encode())
    page.get_by_role("link", name="Rendered Templates").click()
    expect(page.get_by_text("hightouch_default")).to_be_visible()
    assert_nothing_secret(page.content().encode())
    page.get_by_role("link", name="Storage").click()
    page.get_by_role("link", name="XCom").click()
    page.get_by_role("button", name="Expand all").click()
    returned = page.get_by_role("row").filter(has_text="return_value")
    # Text elements alone, with the colours that the screenshot must have.
    for text in ('"Hightouch 7"', f'"{CRON}"'):
        expect(returned.get_by_text(text, exact=True)).to_be_visible()
    assert_nothing_secret(page.content().encode())
    page.set_viewport_size({"width": 1280, "height": 860})
    picture(page, "run")

    page.get_by_role("link", name="Details").click()
    expect(page.get_by_role("link", name="Datafold", exact=True)).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 380})
    picture(page, "details")
    page.set_viewport_size(WINDOW)
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Datafold", exact=True).click()
    assert opened.value.url == f"{sandbox.url}/settings/integrations"
    expect(opened.value.get_by_role("row").filter(has_text=CRON)).to_contain_text("Hightouch 7")
