"""The page in Airflow, in a real browser: one real run, and seeded ones."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from playwright.sync_api import Page, expect
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from dev.local_airflow import LocalAirflow
from dev.sandbox.data_diffs import DIFFERENT
from tests import seed
from tests.seed import verdict
from tests.system.window import WINDOW, open_trigger_form, picture, trigger

pytestmark = pytest.mark.ui

DAG_ID = "datafold_migrate_tables"
EVIL = "<img src=x onerror=document.title='hacked'>"
RUN = "seeded+1"
MANY = "many"
GATES, RUNS = 200, 30
SHORT = {"width": 1200, "height": 720}
AIRFLOW = ".".join(airflow_version.split(".")[:2])


def differs(table: str, rows: int = 5, **more: Any) -> dict[str, Any]:
    figures = {"rows_added": rows, "rows_removed": 0, "diff_rows_count": 2, "match_ratio": 0.987}
    reason = f"rows added {rows}, rows removed 0, rows different 2, match ratio 0.987"
    columns = [{"name": "amount", "different": 2, "match": 0.98}]
    more = {"figures": figures, "columns": columns, "reason": reason, **more}
    return verdict("differs", table, **more)


def monitor(outcome: str, name: str) -> dict[str, Any]:
    reason = "3 rows failed the test" if outcome == "alert" else "ok"
    told = {"kind": "monitor_run", "id": 5, "monitor_id": 3, "name": name, "url": None}
    return {**told, "outcome": outcome, "reason": reason}


def outcomes(rows: int) -> dict[str, Any]:
    """Tasks with every outcome."""
    gates = [
        ("success", verdict(table="SHOP.PRODUCTS", doubts=["match_ratio is 0.99, not 1"])),
        ("success", verdict(table="SHOP.PRICES", sampled=True)),
        ("failed", differs("SHOP.ORDERS", rows)),
        ("success", differs("SHOP.CUSTOMERS", 1, accepted_by={"id": "7", "name": "ada"})),
        (
            "skipped",
            verdict("not_compared", "SHOP.EVENTS", reason="primary keys are null", skips=True),
        ),
        ("failed", verdict("failed", "SHOP.RETURNS", reason="the warehouse is suspended")),
        ("failed", verdict("blocked", "SHOP.NOTES", reason="it waits for a person")),
        ("failed", verdict("cancelled", "SHOP.LINES", reason="it was cancelled at Datafold")),
        ("failed", verdict("empty", "SHOP.CARTS", reason="neither side has rows")),
        ("skipped", None),
        ("upstream_failed", None),
        ("running", None),
    ]
    monitors = [("failed", monitor("alert", "Freshness")), ("success", monitor("passes", "Volume"))]
    left_out = [{"name": "shop.debug_notes", "reason": "no primary key"}]
    return {
        "models": {-1: ("success", {"left_out": left_out})},
        **{
            name: {
                index: (state, {"verdict": told} if told else {})
                for index, (state, told) in enumerate(each)
            }
            for name, each in (("gate", gates), ("monitor", monitors))
        },
    }


@pytest.fixture(scope="module")
def seeded(airflow: LocalAirflow) -> Iterator[None]:
    """Runs of a DAG that has a file, and of one with many gates."""
    engine = create_engine(f"sqlite:///{airflow.home}/airflow.db")
    with Session(engine) as session:
        version = airflow.get(f"dags/{DAG_ID}/dagVersions")["dag_versions"][0]["id"]
        more = {"dag_version_id": uuid.UUID(version)}
        for number in range(RUNS):
            tasks = outcomes(number % 7) if number == RUNS - 1 else history(number)
            run_id = RUN if number == RUNS - 1 else f"run-{number}"
            seed.add_run(session, DAG_ID, run_id, tasks, number=number, state="failed", **more)
        evil = verdict("differs", EVIL, url="javascript:alert(1)", reason=EVIL)
        tasks = {"gate": {-1: ("failed", {"verdict": evil}), 0: ("failed", {"verdict": EVIL})}}
        seed.add_run(session, DAG_ID, "evil+~:run", tasks, number=-9, **more)
        for number in range(RUNS):
            gates = {
                index: ("success", {"verdict": verdict(table=f"SHOP.T{index:03}")})
                if (index + number) % 40
                else ("failed", {"verdict": differs(f"SHOP.T{index:03}", number)})
                for index in range(GATES)
            }
            tasks = {"gate": gates}
            seed.add_run(session, "datafold_dbt_gates", f"{MANY}-{number}", tasks, number=number)
    engine.dispose()
    return


def history(number: int) -> dict[str, Any]:
    """Three tables, one of which differs now and then, and a monitor."""
    often = number % 4 == 2
    gates = {
        0: ("success", {"verdict": verdict(table="SHOP.PRODUCTS")}),
        1: ("success", {"verdict": verdict(table="SHOP.PRICES")}),
        2: ("failed", {"verdict": differs("SHOP.ORDERS", number)})
        if often
        else ("success", {"verdict": verdict(table="SHOP.ORDERS")}),
        3: ("failed", {"verdict": verdict("not_compared", "SHOP.EVENTS")})
        if number in (3, 11)
        else ("success", {"verdict": verdict(table="SHOP.EVENTS")}),
    }
    alert = monitor("alert" if number == 20 else "passes", "Freshness")
    monitors = {0: ("failed" if number == 20 else "success", {"verdict": alert})}
    return {"gate": gates, "monitor": monitors if number > 4 else {0: ("skipped", {})}}


def dark(page: Page) -> None:
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.reload()


def shoot(page: Page, name: str) -> None:
    """Take a picture; beside the newest Airflow's, one that names the version."""
    page.set_viewport_size(SHORT)
    picture(page, name if AIRFLOW == "3.3" else f"{name}-{AIRFLOW}")
    page.set_viewport_size(WINDOW)


@pytest.fixture(autouse=True)
def _logged_in(page: Page, airflow: LocalAirflow) -> None:
    """Airflow 3.1 forgets at the first visit which page was asked for."""
    page.goto(airflow.url)
    expect(page.get_by_text("Stats", exact=True)).to_be_visible()


def until(condition: Callable[[], Any]) -> Any:
    """Wait for what comes when Airflow has noticed that a triggerer is gone, and return it."""
    deadline = time.monotonic() + 120
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return found


def open_tab(page: Page) -> None:
    page.locator("a[href*='/plugin/datafold-']").click()


def tab(page: Page) -> Any:
    return page.locator(".datafold")


@pytest.mark.usefixtures("seeded")
def test_a_run_and_the_last_runs(page: Page, airflow: LocalAirflow) -> None:
    page.goto(f"{airflow.url}/dags/{DAG_ID}/runs/{RUN.replace('+', '%2B')}")
    open_tab(page)
    expect(tab(page).get_by_role("heading").first).to_have_text(
        "4 of 14 passed (1 accepted by a person), 8 did not, 1 was skipped; 1 was left out. "
        "1 not ended yet."
    )
    for said in ("differs", "alert", "failed", "blocked", "cancelled", "empty", "not_compared"):
        expect(tab(page).get_by_role("cell", name=said).first).to_be_visible()
    accepted = tab(page).get_by_role("row").filter(has_text="SHOP.CUSTOMERS")
    expect(accepted).to_contain_text("accepted by ada")
    expect(tab(page)).to_contain_text("shop.debug_notes: no primary key")
    shoot(page, "page-run")
    dark(page)
    expect(tab(page).get_by_role("heading").first).to_be_visible()
    shoot(page, "page-dark")

    # From a run to its DAG, in the same window: Airflow keeps the component.
    page.locator(f"a[href$='/dags/{DAG_ID}']").first.click()
    expect(page.locator("a[href$='/plugin/datafold-dag']")).to_be_visible()
    open_tab(page)
    expect(tab(page).get_by_role("heading")).to_have_text(f"Gates and monitors, last {RUNS} runs")
    page.evaluate("localStorage.setItem('theme', 'light')")
    page.reload()
    row = tab(page).get_by_role("row").filter(has_text="SHOP.ORDERS")
    expect(row).to_contain_text("8 of 30")
    shoot(page, "page-history")

    # By keyboard: one stop in each row, then the arrows.
    cells = row.locator("a")
    cells.last.focus()
    page.keyboard.press("ArrowLeft")
    expect(cells.nth(RUNS - 2)).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(tab(page).get_by_role("heading").first).to_contain_text("4 of 14 passed")
    assert "seeded%2B1" in page.url


@pytest.mark.usefixtures("seeded")
def test_what_anyone_wrote_is_text(page: Page, airflow: LocalAirflow) -> None:
    page.goto(f"{airflow.url}/dags/{DAG_ID}/runs/evil%2B~%3Arun/plugin/datafold-dag-run")
    expect(tab(page).get_by_role("link", name=EVIL)).to_be_visible()
    assert tab(page).locator("img").count() == 0
    assert page.title() != "hacked"
    assert "javascript:" not in tab(page).inner_html()
    page.goto(f"{airflow.url}/dags/{DAG_ID}/runs/unknown/plugin/datafold-dag-run")


@pytest.mark.usefixtures("seeded")
def test_many_gates_are_drawn_in_time(page: Page, airflow: LocalAirflow) -> None:
    seconds = {}
    for name, path in (("history", ""), ("run", f"/runs/{MANY}-1")):
        page.goto(f"{airflow.url}/dags/datafold_dbt_gates{path}")
        link = page.locator("a[href*='/plugin/datafold-']")
        expect(link).to_be_visible()
        begin = time.monotonic()
        link.click()
        tab(page).get_by_role("row").nth(GATES).wait_for()
        seconds[name] = time.monotonic() - begin
        if not path:
            shoot(page, "page-many")
    print(f"Airflow {AIRFLOW}: drawn after {seconds}")


@pytest.mark.usefixtures("connected")
def test_a_person_accepts_though_the_triggerer_was_killed(
    page: Page, airflow: LocalAirflow, sandbox: Any
) -> None:
    sandbox.state.data_diffs.courses.default = DIFFERENT
    dag_id, run_id = "datafold_approve_difference", "asks"
    run = f"dags/{dag_id}/dagRuns/{run_id}"
    gate = f"{run}/taskInstances/gate"
    airflow.send("PATCH", f"dags/{dag_id}", json={"is_paused": False})
    airflow.trigger(dag_id, run_id)

    def triggerer() -> Any:
        return (airflow.get(gate)["triggerer_job"] or {}).get("id")

    first = until(triggerer)
    airflow.parts["triggerer"].restart()
    until(lambda: triggerer() not in (None, first))
    (question,) = airflow.get(f"{run}/hitlDetails")["hitl_details"]
    assert question["subject"].startswith("DB.STAGING.ORDERS differs: rows added 3")
    answer = {"chosen_options": [question["options"][0]], "params_input": {}}
    airflow.send("PATCH", f"{gate}/-1/hitlDetails", json=answer)
    until(lambda: airflow.get(run)["state"] == "success")
    told = airflow.get(f"{gate}/xcomEntries/verdict", deserialize=True)["value"]
    assert told["outcome"] == "differs"
    name = told["accepted_by"]["name"]
    page.goto(f"{airflow.url}/dags/{dag_id}/runs/{run_id}")
    open_tab(page)
    expect(tab(page).get_by_role("row").filter(has_text="DB.STAGING.ORDERS")).to_contain_text(
        f"accepted by {name}"
    )


@pytest.mark.usefixtures("connected")
def test_a_run_that_goes_on_refreshes_itself(
    page: Page, airflow: LocalAirflow, warehouse: Any
) -> None:
    form = open_trigger_form(page, airflow, DAG_ID, "Advanced Options")
    trigger(form)
    open_tab(page)
    for table in ("customers", "products", "prices"):
        expect(tab(page).get_by_role("row").filter(has_text=table)).to_contain_text(
            "passes", timeout=120_000
        )
