"""A person's way through Airflow's pages, in a real browser: ``make test-ui``.

The pictures of the README are made on the way.
"""

from __future__ import annotations

import base64
import json
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect, sync_playwright

from dev.local_airflow import FOR_PEOPLE, LocalAirflow
from dev.local_airflow.programs import Programs
from tests.conftest import API_KEY, ROOT, TOKEN

pytestmark = pytest.mark.ui

LOGS = ROOT / "build" / "ui"
IMAGES = ROOT / "docs" / "images"
LARGEST_IMAGE = 150_000
LONGEST_START = 180.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DAG_ID = "datafold_update_hightouch"
CRON = "30 5 * * 1-5"

# Tall, because what Airflow has to tell covers the lower right corner for a while.
WINDOW = {"width": 1280, "height": 1600}
# A dialog by itself: nothing of what is behind it in its rounded corners.
FRAME = """
    [data-scope=dialog][data-part=backdrop] { background: white !important }
    [data-scope=dialog][data-part=content] { border: 1px solid #cbd5e1; box-shadow: none }
"""
BROWSER_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def airflow() -> Iterator[LocalAirflow]:
    """Airflow as people see it, with the Hightouch token but without a connection to Datafold."""
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    programs = Programs(LOGS, LONGEST_START)
    settings = {
        **FOR_PEOPLE,
        "AIRFLOW_CONN_HIGHTOUCH_DEFAULT": json.dumps({"conn_type": "generic", "password": TOKEN}),
    }
    before = {number: signal.signal(number, programs.interrupt) for number in SIGNALS}
    try:
        with tempfile.TemporaryDirectory(prefix="datafold-ui-") as folder, programs:
            home = Path(folder)
            local = LocalAirflow(programs, home, ROOT / "example_dags", settings)
            local.start("dag-processor", "scheduler")
            programs.until("the DAG was there", lambda: is_parsed(home / "airflow.db"))
            # The tests wait in the browser, where only an exception can end them early; what
            # stops the programs is not to be cut short by one.
            for number in SIGNALS:
                signal.signal(number, signal.default_int_handler)
            try:
                yield local
            finally:
                for number in SIGNALS:
                    signal.signal(number, programs.interrupt)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert_nothing_secret(*(log.read_bytes() for log in LOGS.rglob("*.log")))


def is_parsed(database: Path) -> bool:
    with closing(sqlite3.connect(database)) as connection:
        query = "select count(*) from serialized_dag where dag_id = ?"
        return bool(connection.execute(query, [DAG_ID]).fetchone()[0])


@pytest.fixture(scope="module")
def browser(airflow: LocalAirflow) -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "There is no chromium; install Debian's package chromium."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=BROWSER_OPTIONS,
            # By default Ctrl-C closes it at once, under the hands of what tidies up here.
            handle_sigint=False,
        )
        yield browser
        browser.close()


@contextmanager
def visit(browser: Browser, name: str) -> Iterator[Page]:
    """Open a window, in which no secret may appear and which may ask no other machine."""
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


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    with visit(browser, request.node.name) as page:
        yield page


@pytest.fixture(scope="module")
def connected(browser: Browser, airflow: LocalAirflow, running_sandbox: Any) -> None:
    """The connection to Datafold, added with the form."""
    with visit(browser, "connection_form") as page:
        page.goto(airflow.url)
        page.get_by_role("button", name="Admin").click()
        page.get_by_role("menuitem", name="Connections").click()
        page.get_by_role("button", name="Add Connection").click()
        form = page.get_by_role("dialog")
        form.get_by_label("Connection ID").fill("datafold_default")
        form.get_by_role("combobox").fill("Datafold")
        form.get_by_role("combobox").press("Enter")
        expect(form.get_by_label("API key")).to_be_visible()
        for hidden in ("Login", "Schema", "Port"):
            expect(form.get_by_label(hidden, exact=True)).to_have_count(0)
        form.get_by_label("API key").fill(API_KEY)
        form.get_by_label("Datafold URL").fill("https://eu.datafold.com")
        picture(form, "connection-form")

        form.get_by_role("button", name="Extra Fields", exact=True).click()
        for field in ("Timeout", "Retries", "CA bundle", "Verify", "Allow plain http"):
            expect(form.get_by_text(field).first).to_be_visible()
        form.get_by_role("button", name="Standard Fields").click()
        form.get_by_label("Datafold URL").fill(running_sandbox.url)
        form.get_by_role("button", name="Save").click()
        expect(page.get_by_role("row").filter(has_text="datafold_default")).to_be_visible()


def picture(what: Page | Locator, name: str) -> None:
    file = IMAGES / f"{name}.png"
    what.screenshot(path=file, animations="disabled", style=FRAME)
    assert file.stat().st_size < LARGEST_IMAGE


def open_trigger_form(page: Page, airflow: LocalAirflow) -> Locator:
    page.goto(f"{airflow.url}/dags/{DAG_ID}")
    expect(page.get_by_text("Latest Dag Version")).to_be_visible()
    page.get_by_role("button", name="Trigger Dag").click()
    form = page.get_by_role("dialog")
    # The editor of the bindings comes last.
    expect(form.get_by_text("remoteId")).to_be_visible()
    return form


def cron_in(form: Locator) -> Locator:
    return form.locator("[name=element_indexing_cron]")


def trigger(form: Locator) -> None:
    form.get_by_role("button", name="Trigger", exact=True).click()


def wait_for_success(page: Page) -> None:
    # The run's badge, and the task's.
    expect(page.get_by_text("Success", exact=True)).to_have_count(2, timeout=90_000)


@pytest.mark.usefixtures("connected")
def test_the_saved_connection_works_and_hides_its_key(page: Page, airflow: LocalAirflow) -> None:
    page.route("**/connections/test", without_port_zero)
    page.goto(f"{airflow.url}/connections")
    row = page.get_by_role("row").filter(has_text="datafold_default")
    with page.expect_response("**/connections/test") as answer:
        row.get_by_role("button", name="Test Connection").click()
    assert answer.value.json()["status"] is True
    assert "Datafold accepts the API key" in answer.value.json()["message"]
    row.get_by_role("button", name="Edit Connection").click()
    expect(page.get_by_role("dialog").get_by_label("API key")).to_have_value("***")


def without_port_zero(route: Route) -> None:
    # Airflow 3.3.1 and 3.3.2 send 0 for no port, and then take it for another port than the
    # saved one (apache/airflow, pull request 73298).
    sent = route.request.post_data_json
    route.continue_(post_data=json.dumps({**sent, "port": sent["port"] or None}))


@pytest.mark.usefixtures("connected")
def test_the_form_refuses_a_wrong_schedule(page: Page, airflow: LocalAirflow, sandbox: Any) -> None:
    form = open_trigger_form(page, airflow)
    cron_in(form).fill("0 6 * *")
    trigger(form)
    expect(form.get_by_text("Invalid input for param indexing_cron: '0 6 * *'")).to_be_visible()
    assert sandbox.state.requests == []


@pytest.mark.usefixtures("connected")
def test_a_run_from_the_form_to_datafold(page: Page, airflow: LocalAirflow, sandbox: Any) -> None:
    form = open_trigger_form(page, airflow)
    cron_in(form).fill(CRON)
    picture(form, "trigger-form")
    trigger(form)
    wait_for_success(page)
    assert sandbox.state.integrations[7]["indexing_cron"] == CRON

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
    # Texts by themselves: coloured, as they are to be in the picture.
    for text in ('"Hightouch 7"', f'"{CRON}"'):
        expect(returned.get_by_text(text, exact=True)).to_be_visible()
    assert_nothing_secret(page.content().encode())
    page.set_viewport_size({"width": 1280, "height": 860})
    picture(page, "run")
    page.set_viewport_size(WINDOW)

    page.get_by_role("link", name="Details").click()
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Datafold", exact=True).click()
    assert opened.value.url == f"{sandbox.url}/settings/integrations"
    expect(opened.value.get_by_role("row").filter(has_text=CRON)).to_contain_text("Hightouch 7")


@pytest.mark.usefixtures("connected")
def test_an_empty_schedule_is_none(page: Page, airflow: LocalAirflow, sandbox: Any) -> None:
    form = open_trigger_form(page, airflow)
    cron_in(form).fill("")
    trigger(form)
    wait_for_success(page)
    assert sandbox.state.integrations[7]["indexing_cron"] is None
