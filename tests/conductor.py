"""Leads the data diffs of a sandbox: each through a course, and its requests into faults."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from fastapi import HTTPException, Response

from dev.sandbox.app import Service
from dev.sandbox.course import Course, Job
from dev.sandbox.data_diffs import DataDiffs

Fault = Any
"""What becomes of a request: ``None`` for nothing, a status with which it is refused before it is
carried out, or a function of the response that it would get."""

Faults = Mapping[str, Sequence[Fault]]
"""By operation (``create``, ``list``, ``read``, ``results``, ``cancel``) what becomes of the first
request, the second and so on. The only one is for all if ``...`` follows it."""

_PATH = "/api/v1/datadiffs"
_ONE = re.compile(rf"{_PATH}/(\d+)(/cancel|/summary_results|)")
_OPERATIONS = {"": "read", "/cancel": "cancel", "/summary_results": "results"}


class _Broken(Response):
    """A response that breaks off."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"100"), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})


def lost(response: Any) -> Response:
    """Carry the request out, and lose the response."""
    return _Broken()


def error_500(response: Any) -> Response:
    """Carry the request out, and say that it was not."""
    return Response(b'{"detail": "oops"}', 500)


def busy(response: Any) -> Response:
    """Ask to come again in ten minutes."""
    return Response(b'{"detail": "busy"}', 429, headers={"Retry-After": "600"})


def not_json(response: Any) -> Response:
    return Response(b"<html>", media_type="text/html")


def without_id(response: Any) -> Response:
    return changed(id=None)(response)


def changed(**fields: Any) -> Callable[[Any], Response]:
    """Respond with other fields."""

    def change(response: Any) -> Response:
        content = json.dumps({**response, **fields})
        return Response(content.encode(), media_type="application/json")

    return change


class Conductor:
    """Leads each data diff, and the requests about it, by its first tag.

    :param monkeypatch: puts the sandbox back afterwards.
    :param courses: what a data diff goes through.
    :param faults: what becomes of its requests. Those of a list have the name ``""``.
    """

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        courses: Mapping[str, Course] | None = None,
        faults: Mapping[str, Faults] | None = None,
    ) -> None:
        self._courses = courses or {}
        self._faults = {
            name: {operation: [*those] for operation, those in of_name.items()}
            for name, of_name in (faults or {}).items()
        }
        self.names: dict[int, str] = {}
        """The first tag of each data diff that was created."""
        add, answer = DataDiffs.add, Service._answer

        def add_in_course(diffs: DataDiffs, body: Any, job: Any) -> Any:
            name = (body.get("tags") or [""])[0]
            shown = add(diffs, body, Job(self._courses[name]) if name in self._courses else job)
            self.names[shown["id"]] = name
            return shown

        def answer_with_faults(service: Any, request: Any, path: str, body: bytes) -> Any:
            fault = self._next(request.method, path, body)
            if isinstance(fault, int):
                raise HTTPException(fault, "Not now")
            response = answer(service, request, path, body)
            return response if fault is None else fault(response)

        monkeypatch.setattr(DataDiffs, "add", add_in_course)
        monkeypatch.setattr(Service, "_answer", answer_with_faults)

    def _next(self, method: str, path: str, body: bytes) -> Fault:
        if path == _PATH:
            name = json.loads(body)["tags"][0] if method == "POST" else ""
            operation = "create" if method == "POST" else "list"
        elif found := _ONE.fullmatch(path):
            name, operation = self.names.get(int(found[1]), ""), _OPERATIONS[found[2]]
        else:
            return None
        faults = self._faults.get(name, {}).get(operation, [])
        if faults[1:] == [...]:
            return faults[0]
        return faults.pop(0) if faults else None
