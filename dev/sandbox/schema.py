"""The contract's schemas, prepared for the validation of requests."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from dev.sandbox import contract

Schema = dict[str, Any]


def prepare(document: Schema, node: Any) -> Any:
    """Return a schema of a request in the form in which its errors name the right field.

    It has no references. Its objects have no fields that the contract does not name, which is
    the one thing that is stricter than the contract. Where the contract offers a choice, it has
    conditions, so that a validator complains about the one branch that was meant: by the
    discriminator, which must be there as OpenAPI demands, or by not being null.
    """
    if isinstance(node, list):
        return [prepare(document, item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return prepare(document, contract.resolved(document, node))
    if "discriminator" in node:
        return _discriminated(document, node)
    if len(_values(node)) == 1 and len(node["anyOf"]) == 2:
        return {"if": {"type": "null"}, "else": prepare(document, _values(node)[0])}
    prepared = {
        key: {name: prepare(document, schema) for name, schema in value.items()}
        if key == "properties"
        else prepare(document, value)
        for key, value in node.items()
        if key not in {"default", "enum", "const"}
    }
    prepared |= {key: node[key] for key in ("default", "enum", "const") if key in node}
    if "properties" in node:
        prepared.setdefault("additionalProperties", False)
    return prepared


def completed(document: Schema, node: Schema, body: Schema) -> Schema:
    """Return a body with all fields that a caller may read, with defaults for missing ones."""
    properties = contract.resolved(document, node)["properties"]
    return {
        name: body[name] if name in body else copy.deepcopy(schema.get("default"))
        for name, schema in properties.items()
        if not is_secret(document, schema)
    }


def secrets(document: Schema, node: Any) -> Iterator[str]:
    """Find the write-only fields."""
    if isinstance(node, list):
        for item in node:
            yield from secrets(document, item)
    elif isinstance(node, dict):
        node = contract.resolved(document, node)
        for name, schema in node.get("properties", {}).items():
            if is_secret(document, schema):
                yield name
            else:
                yield from secrets(document, schema)
        for key in ("anyOf", "oneOf", "items"):
            yield from secrets(document, node.get(key))


def is_secret(document: Schema, node: Schema) -> bool:
    """Return whether a field is write-only."""
    node = contract.resolved(document, node)
    return bool(node.get("writeOnly")) or any(
        is_secret(document, branch) for branch in node.get("anyOf", ()) if "$ref" not in branch
    )


def without(value: Any, names: frozenset[str]) -> Any:
    """Copy a value without some fields, at any depth."""
    if isinstance(value, list):
        return [without(item, names) for item in value]
    if isinstance(value, dict):
        return {key: without(item, names) for key, item in value.items() if key not in names}
    return value


def _values(node: Schema) -> list[Any]:
    """Return the branches of a choice that are not for null."""
    return [branch for branch in node.get("anyOf", ()) if branch != {"type": "null"}]


def _discriminated(document: Schema, node: Schema) -> Schema:
    name = node["discriminator"]["propertyName"]
    mapping = node["discriminator"]["mapping"]

    def chosen(value: str) -> Schema:
        # A condition on a field also holds for other types, and for objects without the field.
        return {"type": "object", "required": [name], "properties": {name: {"const": value}}}

    return {
        "type": "object",
        "required": [name],
        "properties": {name: {"enum": list(mapping)}},
        "allOf": [
            {"if": chosen(value), "then": _with(name, prepare(document, {"$ref": reference}))}
            for value, reference in mapping.items()
        ],
    }


def _with(name: str, branch: Schema) -> Schema:
    """Add the discriminator to a branch, because not every branch names it."""
    return {**branch, "properties": {name: {}, **branch["properties"]}}
