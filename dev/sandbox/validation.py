"""Check whether a request fits the contract. What does not is a 422, in FastAPI's format."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from datetime import time
from email.parser import BytesParser
from email.policy import HTTP
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from fastapi.exceptions import HTTPException
from jsonschema.exceptions import best_match
from openapi_schema_validator import OAS31Validator

from dev.sandbox import contract, schema
from dev.sandbox.contract import Operation

_JSON = "application/json"
# The validator does not check addresses, and its check of a time does not accept a time zone, which
# the standard requires.
_FORMATS = copy.deepcopy(OAS31Validator.FORMAT_CHECKER)
_NAMED = re.compile(r"'(\w+)' (is a required|was unexpected)")
"""How the validator's messages name a field that is missing or unknown."""


def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or bool(re.match(r"[A-Za-z][\w+.-]*:.", value))


def _is_time(value: object) -> bool:
    return not isinstance(value, str) or bool(time.fromisoformat(value.replace("Z", "+00:00")))


_FORMATS.checks("uri")(_is_uri)
_FORMATS.checks("time", raises=ValueError)(_is_time)

Problem = dict[str, Any]


def refusal(message: str, *place: str, value: Any = None) -> HTTPException:
    """Return the error for a request that fits the contract, but cannot be served."""
    return HTTPException(422, [_problem("value_error", message, place, value)])


def _problem(kind: str, message: str, place: tuple[str | int, ...], value: Any) -> Problem:
    return {"type": kind, "loc": list(place), "msg": message, "input": value}


class Validation:
    def __init__(self, operation: Operation) -> None:
        in_contract = operation.path in contract.document()["paths"]
        self._document = _strict(in_contract=in_contract)
        declared = contract.declared(self._document, operation)
        parameters = declared.get("parameters", ())
        self._parameters = [each for each in parameters if each["in"] != "header"]
        self._body = declared.get("requestBody")

    def arguments(
        self, path: Mapping[str, str], query: Mapping[str, str], content: bytes, media_type: str
    ) -> dict[str, Any]:
        """Return what the operation is asked with: parameters by name, and the ``body``."""
        found: list[Problem] = []
        values = {"path": path, "query": query}
        arguments = {}
        for each in self._parameters:
            place, name, node = each["in"], each["name"], each["schema"]
            if name in values[place]:
                arguments[name] = _parsed(values[place][name], node)
                found += self._problems(arguments[name], node, place, name)
            else:
                arguments[name] = node.get("default")
        if self._body is not None:
            arguments["body"] = self._read(self._body, content, media_type, found)
        if found:
            raise HTTPException(422, found)
        return arguments

    def _read(self, body: Any, content: bytes, media_type: str, found: list[Problem]) -> Any:
        ((wanted, declared),) = body["content"].items()
        if not content:
            if body.get("required"):
                found.append(_problem("missing", "Field required", ("body",), None))
            return None
        try:
            if media_type.partition(";")[0].strip().lower() != wanted:
                raise ValueError(f"Input should be {wanted}")
            # FastAPI takes NaN, and then can't answer with it.
            value = (
                json.loads(content, parse_constant=_refuse)
                if wanted == _JSON
                else _fields(content, media_type)
            )
        except ValueError as error:
            kind = "json_invalid" if wanted == _JSON else "form_invalid"
            found.append(_problem(kind, str(error), ("body", getattr(error, "pos", 0)), {}))
            return None
        found += self._problems(value, declared["schema"], "body")
        return value

    def _problems(self, value: Any, node: Any, *place: str) -> Iterator[Problem]:
        whole = {**node, "components": self._document["components"]}
        for error in OAS31Validator(whole, format_checker=_FORMATS).iter_errors(value):
            leaf = best_match([error])
            named = _NAMED.search(leaf.message)
            where = (*place, *leaf.absolute_path, *([named[1]] if named else ()))
            yield _problem(str(leaf.validator), leaf.message, where, leaf.instance)


@cache
def _strict(*, in_contract: bool) -> dict[str, Any]:
    return schema.strict(contract.document() if in_contract else contract.seen())


def _parsed(text: str, node: dict[str, Any]) -> Any:
    """Return a value of the path or the query as JSON, or its text, which a validator refuses."""
    if node.get("type") not in {"integer", "number", "boolean"}:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _fields(content: bytes, media_type: str) -> dict[str, str]:
    """Return the fields of a form by their names; the bytes of a file are characters of Latin 1."""
    if "multipart" not in media_type:
        return dict(parse_qsl(content.decode(), keep_blank_values=True))
    head = f"Content-Type: {media_type}\r\n\r\n".encode("latin-1")
    message = BytesParser(policy=HTTP).parsebytes(head + content)
    return {
        str(part.get_param("name", header="Content-Disposition")): bytes(
            part.get_payload(decode=True)
        ).decode("latin-1" if part.get_filename() else "utf-8")
        for part in message.iter_parts()
    }
