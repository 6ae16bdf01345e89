"""What real dbt wrote for the small project in dev/dbt_project, and nodes like dbt's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent / "dev" / "dbt_project"
VERSIONS = ("1.11", "1.5")


def artifact(target: str, name: str = "manifest", version: str = "1.11") -> str:
    """The path of a file that dbt wrote."""
    return str(PROJECT / "artifacts" / version / target / f"{name}.json")


def manifest(target: str = "staging", version: str = "1.11") -> Any:
    """The manifest that dbt wrote."""
    return json.loads(Path(artifact(target, "manifest", version)).read_text())


def a_model(name: str, **more: Any) -> dict[str, Any]:
    """A model's node, with the fields that a test is about."""
    return {
        "unique_id": f"model.shop.{name}",
        "resource_type": "model",
        "name": name,
        "alias": name,
        "database": "shop",
        "schema": "staging",
        "original_file_path": f"models/{name}.sql",
        **more,
    }


def a_test(
    kind: str, model: str, *, config: Any = None, attached_node: Any = "", **more: Any
) -> dict[str, Any]:
    """A test's node. What is no field of it is an argument of the test."""
    fields = {name: more.pop(name) for name in ("resource_type", "depends_on") if name in more}
    unique_id = f"model.shop.{model}"
    return {
        "unique_id": f"test.shop.{kind}_{model}_{'_'.join(map(str, more.values()))}",
        "resource_type": "test",
        "test_metadata": {"name": kind, "kwargs": more},
        "attached_node": unique_id if attached_node == "" else attached_node,
        "depends_on": {"nodes": [unique_id]},
        "config": config,
        **fields,
    }
