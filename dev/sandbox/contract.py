"""Datafold's published API contract, as data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PATH = Path(__file__).parent / "contract.json"
SEEN = PATH.with_name("seen.json")
"""Operations that are not in the contract, but in Datafold's own SDK."""
BI = "/api/v1/lineage/bi/"
"""The prefix of the paths in the BI section."""

_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    """An operation of the API."""

    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def load() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(PATH.read_text())
    for item in document["paths"].values():
        for operation in item.values():
            for response in operation["responses"].values():
                # OpenAPI requires a description, but the file has no prose.
                response.setdefault("description", "")
    return document


@cache
def document() -> dict[str, Any]:
    """Return the contract. It is read once, so do not change it."""
    return load()


@cache
def seen() -> dict[str, Any]:
    """Return what Datafold's own SDK calls outside of the contract, as a document of its own."""
    found: dict[str, Any] = json.loads(SEEN.read_text())
    return found


def operations(document: dict[str, Any], prefix: str = "/api/") -> Iterator[Operation]:
    for path, item in document["paths"].items():
        if path.startswith(prefix):
            yield from (Operation(method.upper(), path) for method in _METHODS if method in item)


def declared(document: dict[str, Any], operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][operation.path][operation.method.lower()]
    return found


def config(document: dict[str, Any], operation: Operation) -> dict[str, Any] | None:
    body = declared(document, operation).get("requestBody")
    if body is None:
        return None
    return resolved(document, body["content"]["application/json"]["schema"])


def resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        reference: str = node["$ref"]
        node = document
        for name in reference.removeprefix("#/").split("/"):
            node = node[name]
    return node
