"""example_dags/dbt_gates.py, run as docs/dbt.md says: a real dbt project, real comparisons."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from dev.samples import shop
from tests import documents
from tests.conftest import ROOT

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("connections")]

DAG_ID = "datafold_dbt_gates"
PARTIAL = 'task_id="gate",'
FILE = (ROOT / "example_dags" / "dbt_gates.py").read_text()
assert PARTIAL in FILE
DAG = FILE.replace(PARTIAL, f"{PARTIAL} poll_interval=0.01,")
PAGE = ROOT / "docs" / "dbt.md"
FOUND = re.search(r"^cat > conf.json <<END\n(.*?)^END$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
(SUMMARY, *_) = documents.blocks(PAGE, "text")
LIMIT = "max_rows_different=1,"


@pytest.fixture
def conf(sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The params that the page passes, with the production tables built."""
    database = tmp_path / "shop.duckdb"
    shop.build(database, "production")
    sandbox.state.data_sources.connect(1, database)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert FOUND
    text = FOUND[1].replace("$PWD/shop.duckdb", str(database)).replace("$PWD", str(ROOT))
    given: dict[str, Any] = json.loads(text)
    return {**given, "publish": f"{given['publish']} > {tmp_path / 'published'}"}


def test_one_model_stops_all(
    run_file: Any, sandbox: Any, conf: dict[str, Any], tmp_path: Path
) -> None:
    run = run_file(DAG, DAG_ID, conf=conf)

    assert run.state == "failed"
    states = run.states
    ends = ("shop.staging_finance.payments", "summary", "publish")
    assert [states.pop(name) for name in ends] == ["failed", "failed", "upstream_failed"]
    assert len(states) == 10
    assert {*states.values()} == {"success"}
    assert not (tmp_path / "published").exists()
    left_out = run.xcom("models", "left_out")
    assert {each["name"] for each in left_out} == {
        *("debug_notes", "loyalty", "old_orders", "stg_orders")
    }
    text = run.xcom("summary", "text")
    shown = " ".join(SUMMARY.split()).replace("https://app.datafold.com", sandbox.url)
    number = re.compile(r"/datadiffs/\d+/|-+")  # The rule is as long as the address.
    assert number.sub("", " ".join(text.split())) == number.sub("", shown)


def test_all_pass_and_are_published(run_file: Any, conf: dict[str, Any], tmp_path: Path) -> None:
    # What the page tells the reader to add.
    assert f"`{LIMIT.rstrip(',')}`" in PAGE.read_text()

    run = run_file(DAG.replace(PARTIAL, f"{PARTIAL} {LIMIT}"), DAG_ID, conf=conf)

    assert run.state == "success"
    assert set(run.states.values()) == {"success"}
    assert (tmp_path / "published").read_text() == "published\n"
