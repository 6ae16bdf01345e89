"""Check the body of a request against its shape in Datafold's contract.

The shapes are data, generated from the contract (``shapes.json``): a subset of JSON Schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.api.fields import format_value, input_error
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.omitted import OMITTED
from airflow_provider_datafold.redaction.secret import Secret, conceal

Schema = Mapping[str, Any]

_CHECKS: dict[str, fields.Check] = {
    "boolean": fields.boolean,
    "integer": fields.integer,
    "number": fields.number,
    "string": fields.text,
    "date-time": fields.date_time,
    "time": fields.time_of_day,
}
"""By a schema's format, or else its type."""

_TYPES: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str, Secret),
    "array": (list, tuple),
    "object": (Mapping,),
}


@cache
def _shapes() -> Any:
    return json.loads(Path(__file__).with_name("shapes.json").read_text())


def of(method: str, path: str) -> Schema:
    """Return the schema of an operation's body; the names in a path are the project's own."""
    return _resolved(_shapes()["bodies"][f"{method} {re.sub('{.*?}', '{}', path)}"])


def fit(method: str, path: str, name: str, value: Any) -> Any:
    """Check the concealed body of a request, and undo what templating did to its fields.

    An error names the place of the field that is wrong, unknown or missing, e.g.
    ``column_rules[0].equal_if``.
    """
    return _fit(name, value, of(method, path), is_top=True)


def named(schema: str) -> fields.Check:
    """Return a check for a value whose shape the contract names."""
    return lambda field, value: _fit(field, value, {"$ref": schema})


def _fit(name: str, value: Any, schema: Schema, *, is_top: bool = False) -> Any:
    schema = _resolved(schema)
    if "anyOf" in schema:
        return _fit_any(name, value, schema["anyOf"], is_top=is_top)
    if "oneOf" in schema:
        return _fit_one(name, value, schema["discriminator"], is_top=is_top)
    if "const" in schema:
        return fields.one_of(schema["const"])(name, value)
    if "enum" in schema:
        return fields.one_of(*schema["enum"])(name, value)
    if schema.get("type") == "object":
        return _fit_object(name, value, schema, is_top)
    if schema.get("writeOnly"):
        # A secret that was inside a JSON string is not concealed yet.
        return fields.secret(name, value if isinstance(value, Secret) else Secret(value))
    if schema.get("type") == "array":
        value = _fit_array(name, value, schema)
    elif check := _CHECKS.get(schema.get("format", "")) or _CHECKS.get(schema.get("type", "")):
        value = check(name, value)
    _check_limits(name, value, schema)
    return value


def _resolved(schema: Schema) -> Schema:
    while "$ref" in schema:
        schema = _shapes()["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _fit_any(name: str, value: Any, branches: list[Schema], *, is_top: bool) -> Any:
    branches = [_resolved(branch) for branch in branches]
    if isinstance(value, str) and not any(_is_kind(value, branch) for branch in branches):
        spelled = fields.literal(value)
        # No branch is a string, so this one is null or an object that a template rendered.
        value = spelled if spelled is None or isinstance(spelled, Mapping) else value
    # A value that fits the type of one branch must not be converted for another one.
    branches.sort(key=lambda branch: (not _has_type(value, branch), not _is_kind(value, branch)))
    if isinstance(value, Mapping):
        _check_names(name, value, branches)
        branches.sort(key=lambda branch: _distance(value, branch))
    errors = []
    for branch in branches:
        if branch.get("type") == "null":
            if value is None:
                return None
            continue
        try:
            return _fit(name, value, branch, is_top=is_top)
        except DatafoldInputError as error:
            errors.append(error.with_traceback(None))
    raise errors[0]


def _has_type(value: Any, schema: Schema) -> bool:
    """Return whether a value has a schema's type, and each item of a list that of the items."""
    if "anyOf" in schema:
        return any(_has_type(value, _resolved(branch)) for branch in schema["anyOf"])
    if not isinstance(value, (list, tuple)) or "items" not in schema:
        return _is_kind(value, schema)
    return all(_has_type(item, _resolved(schema["items"])) for item in value)


def _is_kind(value: Any, schema: Schema) -> bool:
    """Return whether a value has a schema's type, whatever it contains; an empty schema has any."""
    return not schema or isinstance(value, _TYPES.get(schema.get("type", ""), ()))


def _check_names(name: str, value: Mapping[str, Any], branches: list[Schema]) -> None:
    """Refuse an object that selects no branch: the error of one branch would name only that one."""
    for key, item in value.items():
        found = [branch["properties"][key] for branch in branches if key in _properties(branch)]
        choices = [schema["const"] for schema in found if "const" in schema]
        if choices and len(choices) == len(found) and item not in (OMITTED, *choices):
            # A branch without this field is selected by its other fields.
            others = [names for branch in branches if (names := _names_instead(branch, key))]
            instead = f", or left out if you pass {', '.join(others)}" if others else ""
            wanted = f"must be one of {', '.join(map(repr, choices))}{instead}"
            raise input_error(f"{name}.{key}", item, wanted)


def _names_instead(branch: Schema, key: str) -> str:
    names = _properties(branch)
    return "" if key in names else " and ".join(map(repr, names))


def _properties(branch: Schema) -> Mapping[str, Any]:
    properties: Mapping[str, Any] = branch.get("properties", {})
    return properties


def _distance(value: Mapping[str, Any], branch: Schema) -> tuple[bool, int]:
    """Return how far an object is from a branch: whether no constant matches, unknown fields."""
    properties = _properties(branch)
    constants = {key: schema["const"] for key, schema in properties.items() if "const" in schema}
    is_named = any(value.get(key) == const for key, const in constants.items())
    return not is_named, len(value.keys() - properties.keys())


def _fit_one(name: str, value: Any, discriminator: Schema, *, is_top: bool) -> Any:
    """Check an object that names its shape in one of its fields."""
    key, choices = discriminator["propertyName"], discriminator["mapping"]
    given = fields.mapping(name, value)
    tag = given.get(key, OMITTED)
    if tag is OMITTED:
        raise DatafoldInputError(
            f"{name}: has no {key!r}, which must be one of {', '.join(map(repr, choices))}. "
            f"Nothing was sent."
        )
    tag = fields.one_of(*choices)(key if is_top else f"{name}.{key}", tag)
    others = {other: item for other, item in given.items() if other != key}
    # Not every shape names the field that chose it.
    shape = _resolved({"$ref": choices[tag]})
    known = {**shape, "properties": {key: {"const": tag}, **shape["properties"]}}
    fitted: dict[str, Any] = _fit(name, {key: tag, **others}, known, is_top=is_top)
    return fitted


def _fit_object(name: str, value: Any, schema: Schema, is_top: bool) -> dict[str, Any]:
    value = fields.mapping(name, value)
    given = {key: item for key, item in value.items() if item is not OMITTED}
    known = _properties(schema)
    others = schema.get("additionalProperties")
    place = "" if is_top else f"{name}."
    fitted = {}
    for key, item in given.items():
        if not isinstance(key, str) or not (key in known or others):
            raise DatafoldInputError(_unknown(name, key, known))
        shape: Any = known.get(key, others)
        if key not in known and shape is not True and isinstance(item, Secret):
            # A name that the user chose, e.g. of a column, which only looks like that of a secret.
            item = item.reveal()
        if shape is True:
            # An object that was inside a JSON string is not concealed yet.
            fitted[key] = conceal(item, key)
        else:
            fitted[key] = _fit(f"{place}{key}", item, shape)
    for key in schema.get("required", ()):
        if key not in given:
            raise DatafoldInputError(f"{place}{key}: is missing. Nothing was sent.")
    return fitted


def _unknown(name: str, key: Any, known: Mapping[str, Any]) -> str:
    nearest = fields.near(key, known)
    if nearest:
        hint = f"did you mean {nearest[0]!r}?"
    elif known:
        hint = f"its fields are {', '.join(known)}."
    else:
        hint = "it takes no fields." if isinstance(key, str) else "field names must be strings."
    return f"{name}: has no field {format_value(key)}; {hint} Nothing was sent."


def _fit_array(name: str, value: Any, schema: Schema) -> list[Any]:
    items = fields.sequence(name, value)
    shapes = schema.get("prefixItems", [schema.get("items", {})] * len(items))
    if len(shapes) != len(items):
        raise input_error(name, value, f"must be a list of {len(shapes)} items")
    return [
        _fit(f"{name}[{index}]", item, shape)
        for index, (item, shape) in enumerate(zip(items, shapes, strict=True))
    ]


def _check_limits(name: str, value: Any, schema: Schema) -> None:
    """Check the limits that the contract sets for a number, a string or a list."""
    if "minimum" in schema and value < schema["minimum"]:
        raise input_error(name, value, f"must be at least {schema['minimum']:g}")
    if "maximum" in schema and value > schema["maximum"]:
        raise input_error(name, value, f"must be at most {schema['maximum']:g}")
    if isinstance(value, str) and len(value) < schema.get("minLength", 0):
        raise input_error(name, value, "must not be empty")
    if isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
        raise DatafoldInputError(
            f"{name}: must have at most {schema['maxLength']} characters, not {len(value)}. "
            f"Nothing was sent."
        )
    if schema.get("uniqueItems") and len(set(map(json.dumps, value))) < len(value):
        raise input_error(name, value, "must not contain duplicates")
