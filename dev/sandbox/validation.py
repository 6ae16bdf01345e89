"""Check whether a request fits the contract."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from datetime import time
from typing import Any

from fastapi.exceptions import HTTPException
from openapi_schema_validator import OAS31Validator

from dev.sandbox import contract, form, schema
from dev.sandbox.contract import Operation
from dev.sandbox.problem import Problem, missing, problem, problems


def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or bool(re.match(r"[A-Za-z][\w+.-]*:.", value))


def _is_time(value: object) -> bool:
    return not isinstance(value, str) or bool(time.fromisoformat(value.replace("Z", "+00:00")))


# The validator does not check addresses, and its check of a time does not accept a time zone, which
# the standard requires.
_FORMATS = copy.deepcopy(OAS31Validator.FORMAT_CHECKER)
_FORMATS.checks("uri")(_is_uri)
_FORMATS.checks("time", raises=ValueError)(_is_time)

_JSON = "application/json"
_PARSING = {
    "integer": ("int_parsing", "Input should be a valid integer"),
    "number": ("float_parsing", "Input should be a valid number"),
    "boolean": ("bool_parsing", "Input should be true or false"),
}


def _refuse(constant: str) -> None:
    raise ValueError(constant)


class Refusal(HTTPException):
    """A request does not fit the contract."""

    def __init__(self, found: list[Problem]) -> None:
        super().__init__(422, found)
        self.found = found


class Parameter:
    """A value in the path or in the query."""

    def __init__(self, document: dict[str, Any], declared: dict[str, Any]) -> None:
        self.name: str = declared["name"]
        self.place: str = declared["in"]
        self._required: bool = declared["required"]
        node = declared["schema"]
        self._default = node.get("default")
        branches = node.get("anyOf", [node])
        # Nothing in a URL is null.
        node = next(branch for branch in branches if branch != {"type": "null"})
        prepared = schema.prepare(document, node)
        self._type = prepared.get("type")
        self._validator = OAS31Validator(prepared, format_checker=_FORMATS)

    def read(self, values: Mapping[str, str], found: list[Problem]) -> Any:
        """Return the parameter's value."""
        location = (self.place, self.name)
        if self.name not in values:
            if self._required:
                found.append(missing(location, None))
            return self._default
        text = values[self.name]
        try:
            value = self._parsed(text)
        except ValueError:
            found.append(problem(location, *_PARSING[str(self._type)], text))
            return None
        found += problems(self._validator.iter_errors(value), *location)
        return value

    def _parsed(self, text: str) -> Any:
        if self._type == "boolean":
            if text not in {"true", "false"}:
                raise ValueError(text)
            return text == "true"
        if self._type in {"integer", "number"}:
            if not re.fullmatch(r"-?[0-9]+", text) and self._type == "integer":
                raise ValueError(text)
            return int(text) if self._type == "integer" else float(text)
        return text


class Body:
    """The JSON of a request, or its form."""

    def __init__(self, document: dict[str, Any], declared: dict[str, Any]) -> None:
        self._required = declared.get("required", False)
        ((self._media_type, content),) = declared["content"].items()
        node = content["schema"]
        self._validator = OAS31Validator(schema.prepare(document, node), format_checker=_FORMATS)

    def read(self, content: bytes, media_type: str, found: list[Problem]) -> Any:
        """Return the body."""
        if not content:
            if self._required:
                found.append(missing(("body",), None))
            return None
        if media_type.partition(";")[0].strip().lower() != self._media_type:
            wanted = "JSON" if self._media_type == _JSON else "a form"
            message = f"Input should be {wanted}, named so by the Content-Type"
            found.append(problem(("body",), "media_type", message, media_type))
            return None
        try:
            body = self._parsed(content, media_type)
        except ValueError as error:
            location = ("body", getattr(error, "pos", 0))
            found.append(problem(location, "json_invalid", "JSON decode error", {}))
            return None
        found += problems(self._validator.iter_errors(body), "body")
        return body

    def _parsed(self, content: bytes, media_type: str) -> Any:
        if self._media_type != _JSON:
            return form.fields_of(content, media_type)
        # FastAPI takes NaN, and then can't answer with it.
        return json.loads(content, parse_constant=_refuse)


class Validation:
    """Judges the requests for one operation."""

    def __init__(self, document: dict[str, Any], operation: Operation) -> None:
        declared = contract.declared(document, operation)
        parameters = [Parameter(document, node) for node in declared.get("parameters", ())]
        self._path = [each for each in parameters if each.place == "path"]
        self._query = [each for each in parameters if each.place == "query"]
        self._body = Body(document, declared["requestBody"]) if "requestBody" in declared else None

    def arguments(
        self, path: Mapping[str, str], query: Mapping[str, str], content: bytes, media_type: str
    ) -> dict[str, Any]:
        """Return what the operation is asked with: parameters by name, and the ``body``."""
        found: list[Problem] = []
        arguments = {each.name: each.read(path, found) for each in self._path}
        arguments |= {each.name: each.read(query, found) for each in self._query}
        if self._body is not None:
            arguments["body"] = self._body.read(content, media_type, found)
        if found:
            raise Refusal(found)
        return arguments
