"""The contract that the sandbox stands in for, as data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PATH = Path(__file__).parent / "contract.yaml"

_METHODS = ("get", "post", "put", "delete")


@dataclass(frozen=True)
class Operation:
    """What a caller can ask for.

    :param method: the HTTP method.
    :param path: the path, with ``{bi_datasource_id}`` where an id stands.
    """

    method: str
    path: str

    def is_asked_by(self, method: str, path: str) -> bool:
        """Say whether a request is one for this operation.

        :param method: the request's HTTP method.
        :param path: the request's path.
        """
        return method == self.method and bool(
            re.fullmatch(re.sub(r"{\w+}", "[0-9]+", self.path), path)
        )

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def load() -> dict[str, Any]:
    """Read the contract.

    :return: an OpenAPI document.
    """
    document: dict[str, Any] = yaml.safe_load(PATH.read_text())
    return document


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    """Find the operations of Datafold's API.

    :param document: an OpenAPI document.
    :return: its operations in the document's order, without what is the sandbox's own.
    """
    for path, item in document["paths"].items():
        if path.startswith("/api/"):
            yield from (Operation(method.upper(), path) for method in _METHODS if method in item)


def config(document: dict[str, Any], operation: Operation) -> dict[str, Any] | None:
    """Find what an operation takes.

    :param document: an OpenAPI document.
    :param operation: one of its operations.
    :return: the schema of the request's body, ``None`` if it has none.
    """
    body = document["paths"][operation.path][operation.method.lower()].get("requestBody")
    if body is None:
        return None
    content = resolved(document, body)["content"]
    return resolved(document, content["application/json"]["schema"])


def resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference.

    :param document: an OpenAPI document.
    :param node: an object of it.
    :return: the object that it refers to, or itself where it refers to none.
    """
    while "$ref" in node:
        reference: str = node["$ref"]
        node = document
        for name in reference.removeprefix("#/").split("/"):
            node = node[name]
    return node
