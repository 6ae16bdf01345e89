"""What Airflow, and a process that only imports it, learns about the package."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

import airflow_provider_datafold
from tests.conftest import AIRFLOW


def run(code: str) -> list[str]:
    """Run code in a fresh process; it leaves a list in ``found``."""
    command = [sys.executable, "-c", f"{code}\nimport json; print('found:', json.dumps(found))"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("found:")]
    result: list[str] = json.loads(line.partition(":")[2])
    return result


def test_provider_info_fits_airflows_schema() -> None:
    info = airflow_provider_datafold.get_provider_info()
    jsonschema.validate(info, schema_of("provider_info.schema.json"))


def schema_of(name: str) -> Any:
    return json.loads((Path(airflow.__file__).parent / name).read_text())


newest = pytest.mark.skipif(AIRFLOW < (3, 3), reason="what this asks for is there from 3.3 on")


@newest
def test_provider_info_has_only_keys_that_airflow_knows() -> None:
    """The schema accepts other names, too, so it would not find a misspelt one."""
    properties = schema_of("provider_info.schema.json")["properties"]
    info = airflow_provider_datafold.get_provider_info()
    # Registries of providers ask for the versions, and Airflow does not.
    assert set(info) - {"versions"} <= set(properties)
    for kind in ("integrations", "hooks", "operators"):
        for part in info[kind]:
            assert set(part) <= set(properties[kind]["items"]["properties"])


@newest
def test_connection_type_fits_airflows_schema() -> None:
    schema = schema_of("provider.yaml.schema.json")["properties"]["connection-types"]
    known = schema["items"]["properties"]
    (connection_type,) = airflow_provider_datafold.get_provider_info()["connection-types"]
    jsonschema.validate([connection_type], schema)
    assert set(connection_type) <= set(known)


@newest
def test_connection_form_is_shown_without_the_hook() -> None:
    loaded = run(
        """
import sys
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
(meta,) = [meta for meta in HookMetaService.hook_meta_data() if meta.connection_type == "datafold"]
standard = meta.standard_fields
found = [
    *meta.extra_fields, standard.host.title, standard.password.title, standard.login.hidden,
    standard.port.hidden, standard.url_schema.hidden, *sys.modules,
]
"""
    )
    assert loaded[:11] == [
        *["timeout", "max_retries", "call_timeout", "ca_bundle", "verify_ssl", "allow_http"],
        *["Datafold URL", "API key", True, False, True],
    ]
    assert "airflow_provider_datafold.hooks.datafold" not in loaded
    assert "requests" not in loaded


KINDS = ("hooks", "operators", "sensors", "triggers")


def test_provider_info_names_modules_that_exist() -> None:
    info = airflow_provider_datafold.get_provider_info()
    modules = [module for kind in KINDS for part in info[kind] for module in part["python-modules"]]
    assert {module.split(".")[1] for module in modules} == {*KINDS}
    assert all(find_spec(module) for module in modules)


def test_airflow_knows_the_provider_and_its_connection_type() -> None:
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    found = manager.providers["airflow-provider-datafold"]
    assert found.version == airflow_provider_datafold.__version__
    hook = manager.hooks["datafold"]
    assert hook is not None
    assert hook.hook_class_name == "airflow_provider_datafold.hooks.datafold.DatafoldHook"
    assert hook.connection_id_attribute_name == "datafold_conn_id"
    assert hook.hook_name == "Datafold"


def imported_over_airflow(module: str) -> str:
    """A program that finds what a module of the provider loads which Airflow has not."""
    return f"""
import sys
try:
    import airflow.sdk
except ImportError:
    import airflow.models.dag
before = set(sys.modules)
import airflow_provider_datafold.{module}
found = sorted(set(sys.modules) - before)
"""


def test_reading_the_provider_info_imports_no_airflow() -> None:
    loaded = run(
        """
import sys
import airflow_provider_datafold
airflow_provider_datafold.get_provider_info()
found = sorted(sys.modules)
"""
    )
    assert "airflow_provider_datafold" in loaded
    assert not [name for name in loaded if name.split(".")[0] == "airflow"]


@pytest.mark.parametrize("module", ["operators.bi", "hooks.datafold"])
def test_what_a_dag_file_imports_is_light(module: str) -> None:
    """Each DAG parse pays for each module that it loads. The benchmarks measure the time."""
    prefix = "airflow_provider_datafold."
    loaded = run(imported_over_airflow(module))
    own = {name.removeprefix(prefix) for name in loaded if name.startswith(prefix)}
    assert module in own
    assert not {"aiohttp", "croniter", "requests", "urllib3"}.intersection(loaded)
    if module == "operators.bi":
        assert not own & {"client", "hooks", "jobs.job", "triggers"}
        assert len(own) <= 18
