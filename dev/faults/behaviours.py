"""What a service may do with a request. Each act gives the steps; the server takes them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

from dev.faults.server import Act, Call, Step, Then

INTEGRATION = {
    "id": 7,
    "name": "Hightouch",
    "bindings": [{"remoteId": "1", "boundIds": [1, 2]}],
    "indexing_cron": "0 6 * * *",
}
HUGE = 300 << 20
"""Bytes of an answer that is far too large."""

LOGIN_PAGE = b"<!doctype html><html><title>Log in</title><form>...</form></html>"
FOR_EVER = 60.0
"""Seconds, longer than any trial lasts."""

_DRIP = 0.5
_CHUNK = b" " * (1 << 16)


def answer(
    status: int = 200, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """Write an answer whole.

    :param status: the HTTP status.
    :param body: the body, an integration as JSON by default.
    :param headers: more header fields.
    :return: the bytes, with a Content-Length.
    """
    content = json.dumps(INTEGRATION).encode() if body is None else body
    return head(status, {"Content-Length": str(len(content)), **(headers or {})}) + content


def head(status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    """Write an answer up to its body.

    :param status: the HTTP status.
    :param headers: header fields, in addition to the Content-Type of JSON.
    :return: the bytes.
    """
    fields = {"Content-Type": "application/json", **(headers or {})}
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {fields[name]}" for name in fields)]
    return "\r\n".join([*lines, "", ""]).encode()


def says(*steps: Step) -> Act:
    """Take the same steps whatever is asked; none at all to close without a word.

    :param steps: the steps.
    """
    return lambda _: steps


def answers(
    status: int = 200, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Act:
    """Answer whole, as :func:`answer` does, and keep the connection."""
    return says(answer(status, body, headers), Then.KEEP)


def html(status: int, body: bytes = LOGIN_PAGE) -> Act:
    """Answer with a page for people."""
    return answers(status, body, {"Content-Type": "text/html"})


def drips(first: bytes, dripping: bytes) -> Act:
    """Send the first part at once and of the rest one byte each half second."""

    def act(_: Call) -> Iterator[Step]:
        yield first
        for byte in dripping:
            yield bytes([byte])
            yield _DRIP

    return act


def repeats(first: bytes, again: bytes, *, pause: float = 0.0) -> Act:
    """Send the first part, then the other one without end."""

    def act(_: Call) -> Iterator[Step]:
        yield first
        while True:
            yield again
            yield pause

    return act


def is_huge(status: int, headers: Mapping[str, str] | None = None) -> Act:
    """Answer with :data:`HUGE` bytes: a JSON text between much white space."""

    def act(_: Call) -> Iterator[Step]:
        yield head(status, headers)
        for _chunk in range(HUGE // len(_CHUNK) - 1):
            yield _CHUNK
        yield json.dumps(INTEGRATION).encode().rjust(len(_CHUNK))

    return act


def bomb(layers: int) -> Act:
    """Answer with :data:`HUGE` bytes that are packed into few.

    :param layers: how often they are packed.
    """
    # Many members rather than one, which would take seconds to pack.
    content = gzip.compress(_CHUNK) * (HUGE // len(_CHUNK))
    for _ in range(layers - 1):
        content = gzip.compress(content)
    return answers(200, content, {"Content-Encoding": ", ".join(["gzip"] * layers)})


def redirects(status: int, *, elsewhere: bool) -> Act:
    """Point to another address, and take over what arrives there on the same host.

    :param status: the HTTP status.
    :param elsewhere: whether the address is on another host.
    """

    def act(call: Call) -> Iterable[Step]:
        if call.request is not None and call.request.target == "/moved":
            return [answer(), Then.KEEP]
        location = f"{call.elsewhere if elsewhere else ''}/moved"
        return [answer(status, b"", {"Location": location}), Then.KEEP]

    return act


def asks_to_wait(status: int, seconds: float) -> Act:
    """Refuse for now, with a ``Retry-After`` that is a date.

    :param status: the HTTP status.
    :param seconds: from now to the date, negative for the past.
    """

    def act(_: Call) -> Iterable[Step]:
        date = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=seconds), True)
        return [answer(status, b"{}", {"Retry-After": date}), Then.KEEP]

    return act


def refuses_with_input(call: Call) -> Iterable[Step]:
    """Answer 422 as FastAPI does, with all that was sent, in every place that it can be in."""
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


def echoes(status: int) -> Act:
    """Answer with all that was sent, headers and body.

    :param status: the HTTP status.
    """

    def act(call: Call) -> Iterable[Step]:
        sent = {} if call.request is None else json.loads(call.request.body)
        headers = {} if call.request is None else call.request.headers
        content = json.dumps({**sent, "id": 7, "request": headers}).encode()
        return [answer(status, content), Then.KEEP]

    return act


def wants_key(key: str) -> Act:
    """Answer only who knows the API key, and 401 to everybody else.

    :param key: the API key.
    """

    def act(call: Call) -> Iterable[Step]:
        headers = {} if call.request is None else call.request.headers
        status = 200 if headers.get("authorization") == f"Key {key}" else 401
        return [answer(status), Then.KEEP]

    return act
