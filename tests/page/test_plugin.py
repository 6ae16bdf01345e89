"""The page's plugin: what it loads, and when."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from airflow_provider_datafold import __version__
from tests.conftest import AIRFLOW

LOADED = """
import json, sys
from airflow_provider_datafold.page.plugin import DatafoldPlugin as plugin
ours = sorted(name for name in sys.modules if name.startswith("airflow_provider_datafold."))
routes = [(app["destination"], app["bundle_url"], app["url_route"]) for app in plugin.react_apps]
print("found", json.dumps([[app["url_prefix"] for app in plugin.fastapi_apps], routes, ours]))
"""


FOUND = """
from airflow import plugins_manager as manager
print([each["react_apps"] for each in manager.get_plugin_info() if each["name"] == "datafold"])
"""


def printed(code: str, **settings: str) -> str:
    environment = {**os.environ, **settings}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout


def load(**settings: str) -> Any:
    # Airflow may log before and after.
    (found,) = [line for line in printed(LOADED, **settings).splitlines() if "found " in line[:6]]
    return json.loads(found.removeprefix("found "))


def test_it_is_off_unless_it_is_switched_on() -> None:
    assert load()[:2] == [[], []]


def test_no_process_loads_the_page_before_its_first_use() -> None:
    path = "/team/airflow"
    apps, routes, loaded = load(
        AIRFLOW__DATAFOLD__PAGE="True", AIRFLOW__API__BASE_URL=f"http://localhost:8080{path}"
    )
    assert apps == ["/datafold"]
    script = f"{path}/datafold/page.js?{__version__}"
    assert routes == [["dag", script, "datafold-dag"], ["dag_run", script, "datafold-dag-run"]]
    assert loaded == [
        "airflow_provider_datafold.connection",
        "airflow_provider_datafold.connection.form",
        "airflow_provider_datafold.page",
        "airflow_provider_datafold.page.plugin",
    ]


@pytest.mark.skipif(AIRFLOW < (3, 1), reason="Airflow has no such tabs before 3.1")
def test_airflow_finds_it() -> None:
    assert printed(FOUND, AIRFLOW__DATAFOLD__PAGE="True").count("'name': 'Datafold'") == 2
