"""The ways in which a service may treat a request. Each behaviour returns its steps."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

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
    """Write a whole response.

    :param status: the HTTP status.
    :param body: the body, an integration as JSON by default.
    :param headers: more header fields.
    :return: the bytes, with a Content-Length.
    """
    content = json.dumps(INTEGRATION).encode() if body is None else body
    return head(status, {"Content-Length": str(len(content)), **(headers or {})}) + content


def head(status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    """Write a response up to its body.

    :param status: the HTTP status.
    :param headers: header fields, in addition to the Content-Type of JSON.
    :return: the bytes.
    """
    fields = {"Content-Type": "application/json", **(headers or {})}
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {fields[name]}" for name in fields)]
    return "\r\n".join([*lines, "", ""]).encode()


def says(*steps: Step) -> Behaviour:
    """Take the same steps whatever is asked; none at all to close without a word.

    :param steps: the steps.
    """
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


def repeats(first: bytes, again: bytes, *, pause: float = 0.0) -> Behaviour:
    """Send the first part, then the other one without end."""

    def behave(_: Call) -> Iterator[Step]:
        yield first
        while True:
            yield again
            yield pause

    return behave


def is_huge(status: int, headers: Mapping[str, str] | None = None) -> Behaviour:
    """Respond with :data:`HUGE` bytes: JSON after a lot of white space."""

    def behave(_: Call) -> Iterator[Step]:
        yield head(status, headers)
        for _chunk in range(HUGE // len(_CHUNK) - 1):
            yield _CHUNK
        yield json.dumps(INTEGRATION).encode().rjust(len(_CHUNK))

    return behave


def bomb(layers: int) -> Behaviour:
    """Respond with :data:`HUGE` bytes that are compressed to a few.

    :param layers: how often they are compressed.
    """
    # Many gzip members instead of one, which would take seconds to compress.
    content = gzip.compress(_CHUNK) * (HUGE // len(_CHUNK))
    for _ in range(layers - 1):
        content = gzip.compress(content)
    return answers(200, content, {"Content-Encoding": ", ".join(["gzip"] * layers)})


def redirects(status: int, *, elsewhere: bool) -> Behaviour:
    """Redirect to another address, and accept what arrives there on the same host.

    :param status: the HTTP status.
    :param elsewhere: whether the address is on another host.
    """

    def behave(call: Call) -> Iterable[Step]:
        if call.request is not None and call.request.target == "/moved":
            return [answer(), Then.KEEP]
        location = f"{call.elsewhere if elsewhere else ''}/moved"
        return [answer(status, b"", {"Location": location}), Then.KEEP]

    return behave


def asks_to_wait(status: int, seconds: float, *, ahead: float | None = None) -> Behaviour:
    """Refuse for now, with a ``Retry-After`` that is a date.

    :param status: the HTTP status.
    :param seconds: from now to the date, negative for the past.
    :param ahead: seconds by which the service's clock is ahead of ours, for its ``Date`` header;
        ``None`` to send no ``Date``.
    """

    def behave(_: Call) -> Iterable[Step]:
        now = datetime.now(timezone.utc) + timedelta(seconds=ahead or 0.0)
        fields = {"Retry-After": format_datetime(now + timedelta(seconds=seconds), True)}
        if ahead is not None:
            fields["Date"] = format_datetime(now, True)
        return [answer(status, b"{}", fields), Then.KEEP]

    return behave


def refuses_with_input(call: Call) -> Iterable[Step]:
    """Respond 422 as FastAPI does, and repeat the whole request in every field."""
    sent = json.loads(call.request.body) if call.request else {}
    headers = call.request.headers if call.request else {}
    detail = [
        {
            "loc": ["body", "bindings", 0, sent.get("token")],
            "msg": f"Bad value {sent.get('token')!r} for {headers.get('authorization')}",
            "type": "value_error",
            "input": sent,
        },
        {"loc": ["header"], "msg": "no", "type": "value_error", "input": headers},
    ]
    return [
        answer(422, json.dumps({"detail": detail}).encode(), {"X-Echo": str(headers)}),
        Then.KEEP,
    ]


def echoes(status: int) -> Behaviour:
    """Repeat the whole request, headers and body.

    :param status: the HTTP status.
    """

    def behave(call: Call) -> Iterable[Step]:
        sent = {} if call.request is None else json.loads(call.request.body)
        headers = {} if call.request is None else call.request.headers
        content = json.dumps({**sent, "id": 7, "request": headers}).encode()
        return [answer(status, content), Then.KEEP]

    return behave


def wants_key(key: str) -> Behaviour:
    """Accept the API key, and respond 401 to anything else.

    :param key: the API key.
    """

    def behave(call: Call) -> Iterable[Step]:
        headers = {} if call.request is None else call.request.headers
        status = 200 if headers.get("authorization") == f"Key {key}" else 401
        return [answer(status), Then.KEEP]

    return behave
