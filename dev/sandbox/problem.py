"""Validation errors in FastAPI's format."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from jsonschema import ValidationError

Problem = dict[str, Any]

_TYPES = {
    "string": ("string_type", "Input should be a valid string"),
    "integer": ("int_type", "Input should be a valid integer"),
    "number": ("float_type", "Input should be a valid number"),
    "boolean": ("bool_type", "Input should be a valid boolean"),
    "array": ("list_type", "Input should be a valid list"),
    "object": ("dict_type", "Input should be a valid dictionary"),
    "null": ("none_required", "Input should be None"),
}
_CHOICES = ("anyOf", "oneOf")


def problem(location: Sequence[str | int], kind: str, message: str, value: Any) -> Problem:
    """Return an entry of the ``detail`` of a 422."""
    return {"type": kind, "loc": list(location), "msg": message, "input": value}


def missing(location: Sequence[str | int], value: Any) -> Problem:
    """Return the problem of a missing field."""
    return problem(location, "missing", "Field required", value)


def problems(errors: Iterator[ValidationError], *place: str) -> list[Problem]:
    """Translate the errors of a validator."""
    found: dict[str, Problem] = {}
    for error in errors:
        for leaf in _leaves(error):
            for each in _translated(leaf, (*place, *leaf.absolute_path)):
                found.setdefault(f"{each['loc']} {each['type']}", each)
    return list(found.values())


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    """Return the errors of the branch that was most likely meant."""
    if error.validator not in _CHOICES or not error.context:
        yield error
        return
    branches: dict[Any, list[ValidationError]] = defaultdict(list)
    for inner in error.context:
        branches[inner.schema_path[0]].append(inner)
    for inner in min(branches.values(), key=_distance):
        yield from _leaves(inner)


def _distance(errors: list[ValidationError]) -> tuple[bool, bool, int]:
    """Return how far a value is from a branch: another type, another kind, wrong fields."""
    other_type = any(error.validator == "type" and not error.path for error in errors)
    other_kind = any(error.validator == "const" for error in errors)
    return other_type, other_kind, sum(len(list(_translated(error, ()))) for error in errors)


def _translated(error: ValidationError, location: tuple[str | int, ...]) -> Iterator[Problem]:
    value, wanted = error.instance, error.validator_value
    match error.validator:
        case "required":
            # A validator reports each missing field separately, and names it only in its message.
            for name in wanted:
                if name not in value:
                    yield missing((*location, name), value)
        case "additionalProperties":
            for name in value.keys() - error.schema["properties"].keys():
                message = "Extra inputs are not permitted"
                yield problem((*location, name), "extra_forbidden", message, value[name])
        case "type":
            yield problem(location, *_TYPES[wanted], value)
        case "enum" | "const":
            wanted = wanted if error.validator == "enum" else [wanted]
            *others, last = map(repr, wanted)
            names = f"{', '.join(others)} or {last}" if others else last
            yield problem(location, "literal_error", f"Input should be {names}", value)
        case kind:
            yield problem(location, str(kind), error.message, value)
