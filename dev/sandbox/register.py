"""Things with ids."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from fastapi import HTTPException

T = TypeVar("T")


class Register(dict[int, T]):
    """Things of one kind by their ids. Access to a missing one responds 404."""

    def __init__(self, noun: str, things: dict[int, T] | None = None) -> None:
        super().__init__(things or {})
        self._noun = noun
        self._last = 0

    def __missing__(self, number: int) -> T:
        raise HTTPException(404, f"{self._noun} not found")

    def require(self, number: int) -> None:
        self[number]

    def number(self) -> int:
        """Return an id for a new thing that no other thing has had."""
        self._last = max(self._last, *self, 0) + 1
        return self._last


def page_of(things: Sequence[Any], page: int, page_size: int, name: str) -> dict[str, Any]:
    size = max(page_size, 1)
    start = max(page - 1, 0) * size
    return {
        "count": len(things),
        "page": page,
        "page_size": page_size,
        "total_pages": math.ceil(len(things) / size),
        name: things[start : start + size],
    }


def ordered(things: Iterable[dict[str, Any]], field: str, order: str) -> list[dict[str, Any]]:

    def key(thing: dict[str, Any]) -> tuple[bool, Any, Any]:
        value = thing.get(field)
        comparable = value if isinstance(value, (int, float, str)) else str(value)
        return value is not None, comparable, thing["id"]

    return sorted(things, key=key, reverse=order == "desc")
