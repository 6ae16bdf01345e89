"""Bodies of requests, made only from the contract: what an operation accepts, case by case.

Nothing in here knows the package: the contract is read as JSON Schema, and of each choice in it
each branch gets a body of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dev.sandbox import contract
from dev.sandbox.contract import Operation

Schema = dict[str, Any]

CONTRACT = contract.load()
SECRET = "planted-secret"
TEXTS = {
    "date-time": "2024-01-31T06:00:00+00:00",
    "password": SECRET,
    "time": "06:00:00Z",
    "uri": "s3://bucket/file.csv",
    None: "text",
}
BY_NAME = {
    "indexing_cron": "0 6 * * 1-5",
    # What each of them needs or excludes is said in words only.
    "infer_pk": False,
    "infer_pk_avoid_names": [],
    "infer_pk_avoid_types": [],
}
"""Fields that accept less than the contract's type."""


def minimal(operation: Operation) -> Iterator[Any]:
    """Bodies with the required fields only: one for each branch at the top."""
    for branch in _branches(_schema(operation)):
        yield _least(branch)
        if branch.get("type") == "array":
            yield [_least(branch["items"])]


def full(operation: Operation) -> Iterator[Any]:
    """Bodies with all fields: one for each branch and each choice, at any depth."""
    yield from _unlike(_all(_schema(operation)))


def null(operation: Operation) -> Iterator[Any]:
    """Bodies in which all fields of an object are null that may be: one for each such object."""
    schema = _schema(operation)
    if _is_nullable(schema):
        yield None
    yield from _unlike(_nulls(schema))


def operations() -> list[Operation]:
    """The operations that have a body."""
    return [each for each in contract.operations(CONTRACT) if contract.config(CONTRACT, each)]


def _schema(operation: Operation) -> Schema:
    found = contract.config(CONTRACT, operation)
    assert found is not None
    return found


def _branches(schema: Schema) -> list[Schema]:
    """The branches of a choice, each with the field that it is chosen by; null is none."""
    schema = contract.resolved(CONTRACT, schema)
    if "discriminator" in schema:
        name = schema["discriminator"]["propertyName"]
        return [
            _tagged(contract.resolved(CONTRACT, {"$ref": reference}), name, tag)
            for tag, reference in schema["discriminator"]["mapping"].items()
        ]
    if "anyOf" in schema:
        return [
            found
            for branch in schema["anyOf"]
            if branch.get("type") != "null"
            for found in _branches(branch)
        ]
    return [schema]


def _tagged(branch: Schema, name: str, tag: str) -> Schema:
    required = [name, *(field for field in branch.get("required", ()) if field != name)]
    properties = {**branch["properties"], name: {"const": tag}}
    return {**branch, "properties": properties, "required": required}


def _is_nullable(schema: Schema) -> bool:
    schema = contract.resolved(CONTRACT, schema)
    return any(branch.get("type") == "null" for branch in schema.get("anyOf", ()))


def _least(schema: Schema) -> Any:
    branch = _branches(schema)[0]
    if branch.get("type") == "object":
        properties = branch.get("properties", {})
        return {
            name: BY_NAME.get(name) or _least(properties[name])
            for name in branch.get("required", ())
        }
    if branch.get("type") == "array":
        items = branch.get("prefixItems", [branch["items"]] if branch.get("minItems") else [])
        return [_least(item) for item in items]
    return _all(branch)[0]


def _all(schema: Schema) -> list[Any]:
    """Every value of a schema that differs from the first in one choice."""
    return [value for branch in _branches(schema) for value in _all_of(branch)]


def _all_of(branch: Schema) -> list[Any]:
    if "const" in branch:
        return [branch["const"]]
    if "enum" in branch:
        return list(branch["enum"])
    match branch.get("type"):
        case "boolean":
            return [True, False]
        case "integer":
            return [1]
        case "number":
            return [0.5, 1]
        case "string":
            return [TEXTS[branch.get("format")]]
        case "array" if "prefixItems" in branch:
            return [[_all(item)[0] for item in branch["prefixItems"]]]
        case "array":
            items = _all(branch["items"])
            lists = [[item] for item in items] if len(items) > 1 else [items]
            return [*lists, items, []] if len(items) > 1 else [*lists, []]
        case "object":
            return _objects(branch)
    return [{"any": [1, None, "thing"]}]


def _objects(branch: Schema) -> list[Any]:
    choices = {
        name: [BY_NAME[name]] if name in BY_NAME else _all(schema)
        for name, schema in branch.get("properties", {}).items()
    }
    others = branch.get("additionalProperties", False)
    if others is not False:
        choices["some key"] = _all({} if others is True else others)
    first = {name: values[0] for name, values in choices.items()}
    return [first] + [
        {**first, name: value} for name, values in choices.items() for value in values[1:]
    ]


def _nulls(schema: Schema) -> Iterator[Any]:
    for branch in _branches(schema):
        if branch.get("type") == "array" and "items" in branch:
            yield from ([item] for item in _nulls(branch["items"]))
        for name, inner in branch.get("properties", {}).items():
            for value in _nulls(inner):
                yield {**_objects(branch)[0], name: value}
        nullable = [
            name for name, inner in branch.get("properties", {}).items() if _is_nullable(inner)
        ]
        if nullable:
            yield {**_objects(branch)[0], **dict.fromkeys(nullable)}


def _unlike(bodies: Any) -> Iterator[Any]:
    """Leave out duplicates; True and 1 are different in JSON."""
    seen = set()
    for body in bodies:
        if repr(body) not in seen:
            seen.add(repr(body))
            yield body
