"""The contract's schemas."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from dev.sandbox import contract

Schema = dict[str, Any]


def strict(document: Schema) -> Schema:
    """Copy a contract so that its objects have no fields that it does not name."""
    tags: list[tuple[str, str]] = []

    def copied(node: Any) -> Any:
        if isinstance(node, list):
            return [copied(item) for item in node]
        if not isinstance(node, dict):
            return node
        found = {key: copied(value) for key, value in node.items() if key != "properties"}
        if "properties" in node:
            fields = {name: copied(schema) for name, schema in node["properties"].items()}
            found = {"additionalProperties": False, **found, "properties": fields}
        if choice := node.get("discriminator"):
            tags.extend((choice["propertyName"], branch) for branch in choice["mapping"].values())
        return found

    made: Schema = copied(document)
    # Not every branch of a choice names the field by which it is chosen.
    for name, branch in tags:
        contract.resolved(made, {"$ref": branch})["properties"].setdefault(name, {})
    return made


@cache
def secrets() -> frozenset[str]:
    """Return the names of the write-only fields. No other field has such a name."""
    schemas = contract.document()["components"]["schemas"].values()
    fields = [item for each in schemas for item in each.get("properties", {}).items()]
    return frozenset(name for name, schema in fields if "writeOnly" in str(schema))


def completed(node: Schema, body: Schema) -> Schema:
    """Return a body with all fields that a caller may read, with defaults for missing ones."""
    properties = contract.resolved(contract.document(), node)["properties"]
    return {
        name: body[name] if name in body else copy.deepcopy(schema.get("default"))
        for name, schema in properties.items()
        if name not in secrets()
    }


def without_secrets(value: Any) -> Any:
    """Copy a value without write-only fields, at any depth."""
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    if isinstance(value, dict):
        return {
            name: without_secrets(item) for name, item in value.items() if name not in secrets()
        }
    return value
