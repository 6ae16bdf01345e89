"""Import Datafold's published API contract.

``python -m dev.scripts.contract FILE`` writes three files, all without the contract's prose: the
contract itself, for the sandbox and the tests; the shapes of request bodies; and the names of the
write-only fields, which hold secrets.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = ROOT / "dev" / "sandbox" / "contract.json"
SHAPES = ROOT / "airflow_provider_datafold" / "api" / "shapes.json"
NAMES = ROOT / "airflow_provider_datafold" / "redaction" / "secret_names.json"

_PROSE = frozenset({"title", "description", "summary", "example", "examples"})


def without_prose(node: Any, *, names_fields: bool = False) -> Any:
    """Copy a part of the contract without titles, descriptions, summaries and examples."""
    if isinstance(node, list):
        return [without_prose(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: without_prose(value, names_fields=key == "properties" and not names_fields)
        for key, value in node.items()
        if names_fields or key not in _PROSE
    }


def objects(node: Any, field: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Find all objects in a part of the contract, each with the field that it describes."""
    if isinstance(node, list):
        for item in node:
            yield from objects(item, field)
    elif isinstance(node, dict):
        yield field, node
        for key, value in node.items():
            if key == "properties":
                for name, schema in value.items():
                    yield from objects(schema, name)
            else:
                yield from objects(value, field)


def references(node: Any) -> list[str]:
    return [each["$ref"].rpartition("/")[2] for _, each in objects(node) if "$ref" in each]


def shapes(document: dict[str, Any]) -> dict[str, Any]:
    """Return the bodies of requests, and the schemas that they and the parameters need.

    The bodies are by method and path, such as ``"PUT /api/v1/x/{}"``: without the names of fields,
    because the project has its own names for some.
    """
    operations = {
        f"{method.upper()} {re.sub('{.*?}', '{}', path)}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    bodies = {
        name: operation["requestBody"]["content"]["application/json"]["schema"]
        for name, operation in operations.items()
        if "requestBody" in operation
    }
    schemas = document["components"]["schemas"]
    needed: set[str] = set()
    pending = references([bodies, [each.get("parameters") for each in operations.values()]])
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            pending += references(schemas[name])
    return {"bodies": bodies, "schemas": {name: schemas[name] for name in sorted(needed)}}


def lines_of(value: dict[str, dict[str, Any]]) -> str:
    """Write two levels of an object on separate lines, so that a diff is readable."""
    sections = (
        f"{json.dumps(name)}: {{\n"
        + ",\n".join(f"{json.dumps(key)}: {json.dumps(item)}" for key, item in section.items())
        + "\n}"
        for name, section in value.items()
    )
    return "{\n" + ",\n".join(sections) + "\n}\n"


def main(file: str) -> None:
    """Write the files, given the published contract, an OpenAPI document."""
    stripped = without_prose(json.loads(Path(file).read_text()))
    kept = {
        "openapi": stripped["openapi"],
        "info": {"title": "Datafold API", "version": stripped["info"]["version"]},
        "servers": stripped["servers"],
        "security": stripped["security"],
    }
    head = json.dumps(kept)[1:-1].replace(', "', ',\n"')
    paths = lines_of({"paths": stripped["paths"]}).strip()[1:-1].strip()
    components = lines_of(stripped["components"]).strip()
    CONTRACT.write_text(f'{{\n{head},\n{paths},\n"components": {components}\n}}\n')
    SHAPES.write_text(lines_of(shapes(stripped)))
    names = {field for field, each in objects(stripped) if each.get("writeOnly") is True}
    NAMES.write_text(json.dumps(sorted(names, key=str.lower), indent=2) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
