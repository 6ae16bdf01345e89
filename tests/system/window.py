"""A real browser window on Airflow's UI, and its screenshots."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect

from dev.local_airflow import LocalAirflow
from tests.conftest import API_KEY, ROOT, TOKEN

LOGS = ROOT / "build" / "ui"
IMAGES = ROOT / "docs" / "images"
LARGEST_IMAGE = 150_000

LONG_ENOUGH = 12.0
"""Extra seconds for data diffs. Where CPU is short, a trigger that fires at once does so before
Airflow has noticed the deferral, which costs a retry and its pause of minutes."""

# Tall, because Airflow's messages cover the lower right corner for a while.
WINDOW = {"width": 1280, "height": 1600}
# A dialog by itself: nothing of what is behind it in its rounded corners.
FRAME = """
    [data-scope=dialog][data-part=backdrop] { background: white !important }
    [data-scope=dialog][data-part=content] { border: 1px solid #cbd5e1; box-shadow: none }
"""
expect.set_options(timeout=30_000)


@contextmanager
def visit(browser: Browser, name: str) -> Iterator[Page]:
    """Open a window that must not show a secret or contact another machine."""
    LOGS.mkdir(parents=True, exist_ok=True)
    traffic = LOGS / f"{name}.har"
    context = browser.new_context(
        viewport=WINDOW,
        color_scheme="light",
        locale="en-GB",
        timezone_id="UTC",
        record_har_path=traffic,
        record_har_content="embed",
    )
    page = context.new_page()
    try:
        yield page
    finally:
        page.screenshot(path=LOGS / f"{name}.png")
        shown = [opened.content() for opened in context.pages]
        context.close()
    assert_nothing_secret(*map(str.encode, shown))
    for entry in json.loads(traffic.read_text())["log"]["entries"]:
        assert entry["request"]["url"].startswith(("http://127.0.0.1:", "blob:", "data:"))
        assert_nothing_secret(json.dumps(entry["response"]).encode(), body(entry["response"]))


def body(response: dict[str, Any]) -> bytes:
    content = response["content"]
    text: str = content.get("text", "")
    return base64.b64decode(text) if content.get("encoding") == "base64" else text.encode()


def assert_nothing_secret(*texts: bytes) -> None:
    assert not any(secret.encode() in text for secret in (API_KEY, TOKEN) for text in texts)


def picture(what: Page | Locator, name: str) -> None:
    file = IMAGES / f"{name}.png"
    what.screenshot(path=file, animations="disabled", style=FRAME)
    assert file.stat().st_size < LARGEST_IMAGE


def open_trigger_form(page: Page, airflow: LocalAirflow, dag_id: str, last: str) -> Locator:
    """Open the form for a new run of a DAG, and wait for its last text."""
    page.goto(f"{airflow.url}/dags/{dag_id}")
    expect(page.get_by_text("Latest Dag Version")).to_be_visible()
    page.get_by_role("button", name="Trigger Dag").click()
    form = page.get_by_role("dialog")
    expect(form.get_by_text(last)).to_be_visible()
    return form


def trigger(form: Locator) -> None:
    form.get_by_role("button", name="Trigger", exact=True).click()


def wait_for_success(page: Page) -> None:
    # The run's badge, and the task's.
    expect(page.get_by_text("Success", exact=True)).to_have_count(2, timeout=90_000)
