"""docs/dbt.md says what the operator does. Its snippets run in tests/dags/test_dbt.py."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_datafold.api import operation
from airflow_provider_datafold.jobs.dbt import artifact, key, results, settings, target
from airflow_provider_datafold.operators.dbt import (
    DatafoldDbtModelsOperator,
    DatafoldUploadDbtArtifactsOperator,
)
from tests import dbt, documents
from tests.conftest import ROOT, Log
from tests.docs.test_data_diffs_page import default
from tests.docs.test_operators_page import arguments

PAGE = ROOT / "docs" / "dbt.md"


OPERATORS = (DatafoldDbtModelsOperator, DatafoldUploadDbtArtifactsOperator)


@pytest.mark.parametrize("operator", OPERATORS)
def test_each_argument_is_in_the_table(operator: Any) -> None:
    wanted = [
        [f"`{name}`", "yes" if name in operator.template_fields else "no", text]
        for name, parameter in arguments(operator).items()
        for text in [default(parameter)]
    ]
    section = PAGE.read_text().split(f"## {operator.__name__}\n", 1)[1].split("\n#", 1)[0]
    assert [row[:3] for row in documents.rows(section)] == wanted


@pytest.mark.parametrize("operator", OPERATORS)
def test_help_explains_each_argument(operator: Any) -> None:
    explained = re.findall(r":param (\w+):", operator.__doc__ or "")
    assert explained == list(arguments(operator))


@pytest.mark.usefixtures("connections")
def test_what_it_returns_and_what_it_logs(task_log: Log) -> None:
    found = DatafoldDbtModelsOperator(
        task_id="models",
        manifest=dbt.artifact("staging"),
        production_manifest=dbt.artifact("production"),
        data_source_id=1,
    ).execute({})
    (shown,) = documents.blocks(PAGE, "json")
    assert json.loads(shown) == [each for each in found if each["table2"][-1] == "customers"]
    (line,) = documents.blocks_in(documents.section(PAGE, "What is left out"), "text")
    assert " ".join(line.split()) in task_log.messages


def test_the_places_of_keys_are_those_of_the_code() -> None:
    rows = documents.rows(documents.section(PAGE, "Where the key comes from"))
    assert [place for place, _ in rows] == list(key._WAYS)


def test_the_settings_are_those_of_the_code() -> None:
    rows = documents.rows(documents.section(PAGE, "What a model can say"))
    assert {setting.strip("`") for setting, _ in rows} == set(settings._CHECKS)


@pytest.mark.usefixtures("connections")
def test_what_a_model_says_is_what_the_gate_gets(tmp_path: Path) -> None:
    (block,) = documents.blocks(PAGE, "yaml")
    (model,) = yaml.safe_load(block)["models"]
    node = dbt.a_model(**model)
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps({"nodes": {node["unique_id"]: node}}))

    found = DatafoldDbtModelsOperator(
        task_id="models", manifest=str(file), production={"schema": "public"}, data_source_id=1
    ).execute({})

    meta: dict[str, Any] = model["config"]["meta"]
    datadiff = meta["datafold"]["datadiff"]
    assert found == [
        {
            "data_source1_id": 1,
            "data_source2_id": 1,
            "table1": ["shop", "public", "orders"],
            "table2": ["shop", "staging", "orders"],
            "pk_columns": meta["primary-key"],
            "filter1": datadiff["filter"],
            "filter2": datadiff["filter"],
            "exclude_columns": datadiff["exclude_columns"],
            "options": {"time_travel_point1": datadiff["prod_time_travel"]},
            **meta["datafold"]["gate"],
        }
    ]


def test_numbers_and_names_on_the_page() -> None:
    text = " ".join(PAGE.read_text().split())
    assert f"A file may have {artifact.MOST_BYTES // 1024**2} MB." in text
    assert set(results._BUILDERS) == {"build", "run", "retry"}
    assert "of `dbt build`, `dbt run` or `dbt retry`;" in text
    assert f"may have {target.MOST_BYTES // 1024**2:,} MB in {target.MOST_FILES:,}" in text
    assert f"a second for each {operation._SLOWEST / 1024:g} KB longer" in text
