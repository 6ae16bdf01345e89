"""Import Datafold's published API contract.

``make contract CONTRACT=FILE`` writes three files, all without the contract's prose: the contract
itself, for the sandbox and the tests; the shapes of request bodies; and the names of the write-only
fields, which hold secrets.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = ROOT / "dev" / "sandbox" / "contract.json"
SHAPES = ROOT / "airflow_provider_datafold" / "api" / "shapes.json"
NAMES = ROOT / "airflow_provider_datafold" / "redaction" / "names.py"

_REFERENCE = "#/components/schemas/"
_PROSE = frozenset({"title", "description", "summary", "example", "examples"})
_NAMES_PAGE = '''"""Names of the fields that hold secrets. Written by ``make contract``."""

from __future__ import annotations

WRITE_ONLY = frozenset(
    {{
{names}
    }}
)
"""Fields that the contract calls write-only, of all request bodies."""
'''


def without_prose(node: Any, *, names_fields: bool = False) -> Any:
    """Copy a part of the contract without its prose.

    :param node: any part of an OpenAPI document.
    :param names_fields: whether its keys are names of fields, one of which may be "title".
    :return: the same without titles, descriptions, summaries and examples.
    """
    if isinstance(node, list):
        return [without_prose(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: without_prose(value, names_fields=key == "properties" and not names_fields)
        for key, value in node.items()
        if names_fields or key not in _PROSE
    }


def bodies(document: dict[str, Any]) -> dict[str, Any]:
    """Find the bodies of the operations.

    :param document: an OpenAPI document.
    :return: the schema of the request's body by method and path, such as ``"PUT /api/v1/x/{}"``,
        without the names of fields, because the project has its own names for some.
    """
    return {
        f"{method.upper()} {re.sub('{.*?}', '{}', path)}": operation["requestBody"]["content"][
            "application/json"
        ]["schema"]
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if "requestBody" in operation
    }


def references(node: Any) -> Iterator[str]:
    """Find the schemas that a part of the contract names.

    :param node: any part of an OpenAPI document.
    :return: their names, in order, with repetitions.
    """
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].removeprefix(_REFERENCE)
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def needed(roots: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """Find the schemas that others refer to, directly or indirectly.

    :param roots: where to start.
    :param schemas: all schemas, by name.
    :return: the schemas that are needed, by name in alphabetical order.
    """
    found: set[str] = set()
    pending = list(references(roots))
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += references(schemas[name])
    return {name: schemas[name] for name in sorted(found)}


def write_only(node: Any, name: str = "") -> Iterator[str]:
    """Find the fields that hold secrets.

    :param node: any part of an OpenAPI document.
    :param name: the name of the field with this schema.
    :return: names of fields, with repetitions.
    """
    if isinstance(node, list):
        for item in node:
            yield from write_only(item, name)
    elif isinstance(node, dict):
        if node.get("writeOnly") is True:
            yield name
        for key, value in node.items():
            if key == "properties":
                for field, schema in value.items():
                    yield from write_only(schema, field)
            else:
                yield from write_only(value, name)


def shapes(document: dict[str, Any]) -> dict[str, Any]:
    """Return the shapes of requests.

    :param document: an OpenAPI document without prose.
    :return: ``bodies`` by method and path, and the ``schemas`` for them and for the parameters.
    """
    found = bodies(document)
    parameters = [
        operation.get("parameters")
        for item in document["paths"].values()
        for operation in item.values()
    ]
    roots = [found, parameters]
    return {"bodies": found, "schemas": needed(roots, document["components"]["schemas"])}


def lines_of(value: dict[str, dict[str, Any]]) -> str:
    """Write two levels of an object on separate lines, so that a diff is readable.

    :param value: an object of objects.
    :return: its JSON.
    """
    sections = (
        f"{json.dumps(name)}: {{\n"
        + ",\n".join(f"{json.dumps(key)}: {json.dumps(item)}" for key, item in section.items())
        + "\n}"
        for name, section in value.items()
    )
    return "{\n" + ",\n".join(sections) + "\n}\n"


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(prog="python -m dev.scripts.contract", description=__doc__)
    parser.add_argument("contract", type=Path, help="the published contract, an OpenAPI document")
    document = json.loads(parser.parse_args().contract.read_text())
    stripped = without_prose(document)
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
    names = sorted(set(write_only(stripped)), key=str.lower)
    NAMES.write_text(_NAMES_PAGE.format(names="\n".join(f'        "{name}",' for name in names)))


if __name__ == "__main__":
    main()
