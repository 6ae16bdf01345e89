"""The tables of ``dev/dbt_project`` in a DuckDB file, without dbt: from what dbt wrote for it.

``python -m dev.samples.shop FILE TARGET`` stands in for ``dbt build --target TARGET``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb

ARTIFACTS = Path(__file__).resolve().parent.parent / "dbt_project" / "artifacts" / "1.11"
DATABASE = "shop"
"""What dbt calls the database. DuckDB names it after its file."""


def manifest(target: str) -> Path:
    """Return the manifest that dbt wrote for ``"production"`` or ``"staging"``."""
    return ARTIFACTS / target / "manifest.json"


def build(file: Path, target: str) -> None:
    """Create the tables of a target, or create them again, in a file named for the database."""
    nodes = json.loads(manifest(target).read_text())["nodes"].values()
    tables = [node for node in nodes if node["resource_type"] == "model" and node["relation_name"]]
    with duckdb.connect(str(file)) as connection:
        # One that selects from another comes after it.
        for table in sorted(tables, key=lambda node: len(node["depends_on"]["nodes"])):
            connection.execute(f'create schema if not exists "{table["schema"]}"')
            name, select = table["relation_name"], table["compiled_code"]
            connection.execute(f"create or replace table {name} as {select}")


if __name__ == "__main__":
    build(Path(sys.argv[1]), sys.argv[2])
