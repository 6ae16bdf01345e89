"""docs/schemas.md says what the operator takes, and which SQL it sends."""

from __future__ import annotations

import inspect
import re

from airflow_provider_datafold.jobs.tables.dialect import DIALECTS, listing
from airflow_provider_datafold.operators.tables import DatafoldTablesOperator
from tests import documents
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "schemas.md"


def named(cell: str) -> list[str]:
    return re.findall(r"`([a-z_0-9]+)`", cell)


def test_each_argument_is_in_the_table_with_its_default() -> None:
    rows = documents.rows(documents.section(PAGE, "Arguments"))
    found = {name: default.strip("`") for cell, default, _ in rows for name in named(cell)}
    assert found == {
        name: "required"
        if each.default is each.empty
        else str(each.default).join('""')
        if isinstance(each.default, str)
        else str(each.default)
        for name, each in inspect.signature(DatafoldTablesOperator).parameters.items()
        if each.kind is not each.VAR_KEYWORD
    }
    assert {*found} <= {*DatafoldTablesOperator.template_fields}


def test_each_type_is_in_the_table_with_its_source() -> None:
    rows = documents.rows(documents.section(PAGE, "Which tables"))
    sources = {
        kind: re.sub("^`+ ?| ?`+$", "", cell) for kinds, cell, _ in rows for kind in named(kinds)
    }
    assert sources.keys() == DIALECTS.keys()
    for kind, source in sources.items():
        path = ["PROJECT", "DATASET"] if kind == "bigquery" else ["DB", "PUBLIC"]
        assert f"FROM {source} WHERE " in listing(DIALECTS[kind], path)


def test_the_query_is_the_one_that_is_sent() -> None:
    (sql,) = documents.blocks(PAGE, "sql")
    assert sql.strip() == listing(DIALECTS["snowflake"], ["DB", "PUBLIC"])
