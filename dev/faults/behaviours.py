"""The ways in which a service may treat a request. Each behaviour returns its steps."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from dev.faults.server import Behaviour, Call, Step, Then

INTEGRATION = {
    "id": 7,
    "name": "Hightouch",
    "bindings": [{"remoteId": "1", "boundIds": [1, 2]}],
    "indexing_cron": "0 6 * * *",
}
HUGE = 300 << 20
"""Size of a response that is far too large."""

LOGIN_PAGE = b"<!doctype html><html><title>Log in</title><form>...</form></html>"
FOR_EVER = 60.0
"""Seconds, longer than any run takes."""

_DRIP = 0.5
_CHUNK = b" " * (1 << 16)


def answer(
    status: int = 200, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """Write a whole response, with an integration as JSON by default."""
    content = json.dumps(INTEGRATION).encode() if body is None else body
    return head(status, {"Content-Length": str(len(content)), **(headers or {})}) + content


def head(status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    """Write a response up to its body."""
    fields = {"Content-Type": "application/json", **(headers or {})}
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {fields[name]}" for name in fields)]
    return "\r\n".join([*lines, "", ""]).encode()


def says(*steps: Step) -> Behaviour:
    """Take the same steps whatever is asked; none at all to close without a word."""
    return lambda _: steps


def answers(
    status: int = 200, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Behaviour:
    """Send a whole response, as :func:`answer` writes it, and keep the connection."""
    return says(answer(status, body, headers), Then.KEEP)


def html(status: int, body: bytes = LOGIN_PAGE) -> Behaviour:
    """Respond with an HTML page."""
    return answers(status, body, {"Content-Type": "text/html"})


def drips(first: bytes, dripping: bytes) -> Behaviour:
    """Send the first part at once, and the rest one byte every half second."""

    def behave(_: Call) -> Iterator[Step]:
        yield first
        for byte in dripping:
            yield bytes([byte])
            yield _DRIP

    return behave


def is_huge(status: int, headers: Mapping[str, str] | None = None) -> Behaviour:
    """Respond with :data:`HUGE` bytes: JSON after a lot of white space."""

    def behave(_: Call) -> Iterator[Step]:
        yield head(status, headers)
        for _chunk in range(HUGE // len(_CHUNK) - 1):
            yield _CHUNK
        yield json.dumps(INTEGRATION).encode().rjust(len(_CHUNK))

    return behave


def redirects(status: int) -> Behaviour:
    """Redirect to another host."""
    return lambda call: [answer(status, b"", {"Location": f"{call.elsewhere}/moved"}), Then.KEEP]
