"""The contract as a judge is to read it: with what it leaves out written in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dev.sandbox import contract

# Pydantic's, which repeats what was sent as "input".
_OPEN = "ValidationError"


def written_out() -> dict[str, Any]:
    """Return the contract with what it leaves out, and the sandbox does.

    Both Datafold and the sandbox respond with 401 and 404, too. The sandbox refuses fields that the
    contract does not name, and a choice without its discriminator.
    """
    document = contract.load()
    for node in _objects(document):
        if node.get("properties"):
            node.setdefault("additionalProperties", False)
    del document["components"]["schemas"][_OPEN]["additionalProperties"]
    for node in _objects(document):
        if "mapping" in node.get("discriminator", {}):
            _require_discriminator(document, node["discriminator"])
    for operation in contract.operations(document):
        responses = contract.declared(document, operation)["responses"]
        responses |= {status: {"description": ""} for status in ("401", "404")}
    return document


def _require_discriminator(document: dict[str, Any], discriminator: dict[str, Any]) -> None:
    name = discriminator["propertyName"]
    for value, reference in discriminator["mapping"].items():
        branch = contract.resolved(document, {"$ref": reference})
        branch["properties"].setdefault(name, {"const": value})
        branch["required"] = sorted({*branch.get("required", ()), name})


def _objects(node: Any) -> Iterator[dict[str, Any]]:
    """Find all objects in a document, the innermost first."""
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for each in inner:
        yield from _objects(each)
    if isinstance(node, dict):
        yield node
