"""A real Airflow, and a real browser that uses its UI: ``make test-ui``.

The pictures of the README and of the docs are made on the way.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dev.local_airflow import FOR_PEOPLE, LocalAirflow
from dev.local_airflow.programs import Programs
from dev.samples.warehouse import create_warehouse
from tests.conftest import API_KEY, ROOT, TOKEN
from tests.system.window import LOGS, assert_nothing_secret, picture, visit

LONGEST_START = 180.0
WAREHOUSE = "warehouse.db"
EXAMPLES = ROOT / "example_dags"
DAG_IDS = {
    dag_id
    for file in EXAMPLES.glob("*.py")
    for dag_id in re.findall(r'dag_id="(\w+)"', file.read_text())
}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
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


@pytest.fixture(scope="session")
def airflow() -> Iterator[LocalAirflow]:
    """Airflow with its UI, with the Hightouch token but without a connection to Datafold.

    All DAGs are paused until a test needs them: some would start by themselves.
    """
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    programs = Programs(LOGS, LONGEST_START)
    settings = {
        **FOR_PEOPLE,
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        # Airflow watches for a DAG that is not paused any more when it has read its file again.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
        "AIRFLOW_CONN_HIGHTOUCH_DEFAULT": json.dumps({"conn_type": "generic", "password": TOKEN}),
    }
    before = {number: signal.signal(number, programs.interrupt) for number in SIGNALS}
    try:
        with tempfile.TemporaryDirectory(prefix="datafold-ui-") as folder, programs:
            home = Path(folder)
            settings["AIRFLOW_CONN_WAREHOUSE_DEFAULT"] = json.dumps(
                {"conn_type": "sqlite", "host": str(home / WAREHOUSE)}
            )
            local = LocalAirflow(programs, home, EXAMPLES, settings)
            local.start("dag-processor", "scheduler", "triggerer")
            programs.until("the DAGs were there", lambda: set(dag_ids(home)) >= DAG_IDS)
            # The tests wait in the browser, where only an exception can end them early; what
            # stops the programs must not be interrupted by one.
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


def dag_ids(home: Path) -> list[str]:
    """The DAGs that Airflow has read."""
    with closing(sqlite3.connect(home / "airflow.db")) as connection:
        return [dag_id for (dag_id,) in connection.execute("select dag_id from serialized_dag")]


@pytest.fixture
def warehouse(airflow: LocalAirflow, sandbox: Any) -> Path:
    """The file of a warehouse that has just been loaded, and that the sandbox really compares."""
    for number, name in enumerate((WAREHOUSE, "copy.db"), 1):
        file = airflow.home / name
        file.unlink(missing_ok=True)
        create_warehouse(file)
        sandbox.state.data_sources.connect(number, file)
    return airflow.home / WAREHOUSE


@pytest.fixture(scope="session")
def browser(airflow: LocalAirflow, any_browser: Browser) -> Browser:
    """The browser, with Airflow running."""
    return any_browser


@pytest.fixture(scope="session")
def any_browser() -> Iterator[Browser]:
    """The browser, for an Airflow that a test starts itself."""
    chromium = shutil.which("chromium")
    assert chromium, "There is no chromium; install Debian's package chromium."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=BROWSER_OPTIONS,
            # By default Ctrl-C closes it at once, before the cleanup here.
            handle_sigint=False,
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    with visit(browser, request.node.name) as page:
        yield page


@pytest.fixture(scope="session")
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
        for hidden in ("Login", "Schema"):
            expect(form.get_by_label(hidden, exact=True)).to_have_count(0)
        form.get_by_label("API key").fill(API_KEY)
        form.get_by_label("Datafold URL").fill("https://app.datafold.com")
        form.get_by_label("Port").fill("443")
        picture(form, "connection-form")

        form.get_by_role("button", name="Extra Fields", exact=True).click()
        for field in ("Timeout", "Retries", "CA bundle", "Verify", "Allow plain http"):
            expect(form.get_by_text(field).first).to_be_visible()
        form.get_by_role("button", name="Standard Fields").click()
        url = urlsplit(running_sandbox.url)
        form.get_by_label("Datafold URL").fill(f"{url.scheme}://{url.hostname}")
        form.get_by_label("Port").fill(str(url.port))
        form.get_by_role("button", name="Save").click()
        expect(page.get_by_role("row").filter(has_text="datafold_default")).to_be_visible()
        # Until then the form holds the key that was typed.
        expect(form).to_have_count(0)
