"""Declare the faults of one update, and how a task that meets each must end.

After a temporary fault a call is tried four times (three retries by default); then Airflow may
retry the task. After a permanent fault no retry can succeed, so a call is tried once.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

from dev.faults.behaviours import (
    FOR_EVER,
    HUGE,
    answer,
    answers,
    drips,
    head,
    html,
    is_huge,
    redirects,
    says,
)
from dev.faults.fault import TRIES, Fault
from dev.faults.server import Behaviour, Door, Then

_SHORT, _MIDDLE = 0.7, 1.5
"""Seconds for a request that stalls, and for one that another follows."""

_OK = answer()
_HALF = _OK[: len(_OK) - len(_OK) // 3]
_CHUNKED = head(200, {"Transfer-Encoding": "chunked"})
_LONG = head(200, {"Content-Length": "1000"})
_DRIPPING = drips(_LONG, b" " * 1000)
_UNAVAILABLE = answers(503, b'{"detail": "Not now"}')
_HTTPS = "https://127.0.0.1:{port}"


def _no_connection() -> Iterator[Fault]:
    none: dict[str, Any] = {"error": "Unreachable", "requests": 0}
    yield Fault("refused", **none, door=Door.CLOSED, says="connect (refused)")
    yield Fault("no-such-host", **none, host="https://datafold.test", says="no such host")
    full: dict[str, Any] = {**none, "door": Door.FULL, "timeout": _SHORT, "says": "(timed out)"}
    yield Fault("queue-full", **full)
    full["host"] = "https://datafold.test:{port}"
    yield Fault("six-addresses", **full, addresses=6)
    yield Fault("resolver-hangs", **full, addresses=1, resolver=FOR_EVER, in_worker=False)


def _broken_connection() -> Iterator[Fault]:
    yield Fault("closed-at-once", "Connection", [says()], 0, TRIES, reads=False)
    broken = {
        "closed-unanswered": (),
        "reset-unanswered": (Then.RESET,),
        "reset-in-body": (_HALF, 0.1, Then.RESET),
        "truncated": (_HALF,),
        "truncated-chunks": (_CHUNKED, b'8\r\n{"id": 7\r\n'),
        "broken-chunks": (_CHUNKED, b'eight\r\n{"id": 7\r\n0\r\n\r\n'),
        "negative-chunk": (_CHUNKED, b'-8\r\n{"id": 7\r\n'),
        "two-lengths": (answer(200, b"{}", {"Content-Length": "2, 3"}),),
        "no-http": (b"SSH-2.0-OpenSSH_9.6\r\n",),
    }
    for name, steps in broken.items():
        yield Fault(name, "Connection", [says(*steps)], says="the connection broke")
    yield Fault("truncated-tls", "Connection", [says(_HALF)], certificate="good")
    yield Fault("resets-twice", "", [says(Then.RESET), says(Then.RESET), answers()])
    yield Fault("closed-in-between", "", [says(answer(503, b"{}")), answers()])
    yield Fault("closed-on-reuse", "", [_UNAVAILABLE, says(), answers()])


def _slow() -> Iterator[Fault]:
    slow = {
        "stalls": says(FOR_EVER),
        "stalls-in-body": says(_HALF, FOR_EVER),
        "drips-headers": drips(b"", _OK),
        "drips-body": _DRIPPING,
        "drips-unannounced": drips(head(), b" " * 1000),
        "drips-chunk": drips(_CHUNKED + b"1\r\n \r\n", b"0" * 1000),
    }
    for name, behaviour in slow.items():
        yield Fault(
            name,
            "Timeout",
            [behaviour],
            timeout=_SHORT,
            in_worker=name not in ("drips-headers", "drips-chunk"),
            says="no complete response within",
        )
    yield Fault("drips-tls", "Timeout", [_DRIPPING], certificate="good", timeout=_SHORT)
    yield Fault("stalls-once", "", [says(FOR_EVER), answers()], timeout=_MIDDLE)
    for status, error in ((500, "Server"), (401, "Authentication")):
        unfinished = says(head(status, {"Content-Length": "100"}), FOR_EVER)
        yield Fault(f"{status}-without-end", error, [unfinished], timeout=_MIDDLE)


def _bodies() -> Iterator[Fault]:
    unusable = {
        "login-page": (html(200), "is not JSON (text/html, "),
        "no-content": (says(head(204)), "is not JSON"),
        "half-json": (answers(200, b'{"id": 7, "name'), "is not JSON"),
        "huge": (is_huge(200, {"Content-Length": str(HUGE)}), "larger than 10 MiB"),
        "huge-unannounced": (is_huge(200), "larger than 10 MiB"),
        "gzip": (answers(200, gzip.compress(b"{}"), {"Content-Encoding": "gzip"}), "is not JSON"),
    }
    for name, (behaviour, text) in unusable.items():
        yield Fault(name, "Answer", [behaviour], says=text)


def _statuses() -> Iterator[Fault]:
    for status, error in ((401, "Authentication"), (404, "NotFound"), (429, "RateLimit")):
        yield Fault(str(status), error, [answers(status, b'{"detail": "No"}')])
    for status, error in ((404, "NotFound"), (422, "Validation"), (502, "Server")):
        yield Fault(f"{status}-page", error, [html(status)])
    yield Fault("503-twice", "", [_UNAVAILABLE, _UNAVAILABLE, answers()])
    for status in (302, 307):
        yield Fault(f"redirect-{status}", "Redirect", [redirects(status)])
    yield Fault("redirect-nowhere", "Redirect", [answers(302, b"")])
    yield Fault("redirect-unreadable", "Redirect", [is_huge(302, {"Location": "http://[x"})])


def _waits() -> Iterator[Fault]:
    def busy(seconds: int) -> Behaviour:
        return answers(429, b"{}", {"Retry-After": str(seconds)})

    yield Fault("retry-after", "", [busy(2), answers()], no_sooner=2.0)
    yield Fault("retry-after-hour", "RateLimit", [busy(3600)], 1, retry_after=3600.0)


def _tls() -> Iterator[Fault]:
    for certificate in ("self-signed", "other-host", "expired", "mutual"):
        yield Fault(
            f"certificate-{certificate}", "Certificate", requests=0, certificate=certificate
        )
    hint = "begin the connection's host with http://"
    yield Fault("plain-http", "Certificate", [answers(400)], 0, reads=False, host=_HTTPS, says=hint)
    broken = {
        "closed": ("Connection", says()),
        "reset": ("Connection", says(0.2, Then.RESET)),
        "stalls": ("Timeout", says(FOR_EVER)),
        "drips": ("Timeout", drips(b"\x16\x03\x03\x40\x00", bytes(1000))),
    }
    for name, (error, behaviour) in broken.items():
        timeout = _SHORT if error == "Timeout" else 10.0
        yield Fault(
            f"tls-{name}", error, [behaviour], 0, TRIES, reads=False, host=_HTTPS, timeout=timeout
        )


def _proxies() -> Iterator[Fault]:
    def through(name: str, error: str, url: str, *behaviours: Behaviour, **fields: Any) -> Fault:
        given = {"requests": 0, "environment": {"HTTPS_PROXY": url}, **fields}
        return Fault(f"proxy-{name}", error, behaviours, host="https://datafold.test", **given)

    http, https = "http://127.0.0.1:{port}", "https://127.0.0.1:{port}"
    each: dict[str, Any] = {"connections": TRIES}
    slow: dict[str, Any] = {**each, "timeout": _SHORT}
    no_way: dict[str, Any] = {"says": "could not connect through the proxy"}
    yield through("refused", "Unreachable", "http://127.0.0.1:{closed_port}", **no_way)
    yield through("unknown", "Unreachable", "http://unknown.test:3128", **no_way)
    for status in (404, 502):
        refuses = says(answer(status, b""))
        yield through(str(status), "Unreachable", http, refuses, **each, **no_way)
    for status in (401, 403, 407):
        refuses = says(answer(status, b""))
        yield through(str(status), "Configuration", http, refuses, connections=1)
    yield through("closed", "Connection", http, says(), **each)
    yield through("stalls", "Timeout", http, says(FOR_EVER), **slow)
    then_closes = says(answer(200, b""))
    yield through("tls-closed", "Connection", https, then_closes, certificate="good", **each)
    record = drips(answer(200, b""), b"\x16\3\3\x40\0" + bytes(1 << 14))
    yield through("drips", "Timeout", https, record, certificate="good", in_worker=False, **slow)
    wrong = {
        "nonsense": "nonsense://127.0.0.1:{port}",
        "no-host": "http://",
        "no-url": "http://[x",
        "no-port": "http://127.0.0.1:port",
    }
    for name, url in wrong.items():
        yield through(name, "Configuration", url, says="the proxy cannot be used")
    socks = {
        "closed": says(),
        "wants-user": says(b"\5\xff"),
        "no-route": says(b"\5\0", 0.1, b"\5\4\0\1" + bytes(6)),
        "garbage": answers(400),
        "stalls": says(FOR_EVER),
        "stalls-later": says(b"\5\0", FOR_EVER),
        "drips": drips(b"", b"\5\0" + b"\5\0\0\3\xff" + bytes(257)),
    }
    for name, behaviour in socks.items():
        limit = slow if name.startswith(("stalls", "drips")) else each
        url = "socks5h://127.0.0.1:{port}"
        given = {**limit, **no_way, "in_worker": name != "drips"}
        yield through(f"socks-{name}", "Unreachable", url, behaviour, reads=False, **given)


def _worker() -> Iterator[Fault]:
    tls: dict[str, Any] = {"certificate": "good"}
    yield Fault("netrc", environment={"NETRC": "{folder}/netrc"})
    yield Fault(
        "other-ca-bundle", environment={"REQUESTS_CA_BUNDLE": "{folder}/other_ca.pem"}, **tls
    )
    missing = "{folder}/no-such-file"
    environment = {"REQUESTS_CA_BUNDLE": missing}
    none: dict[str, Any] = {**tls, "error": "Configuration", "requests": 0}
    yield Fault("no-ca-bundle", **none, environment=environment, ca_bundle=None)
    yield Fault("no-conn-ca-bundle", **none, ca_bundle=missing)


_ROOMS = (
    *(_no_connection, _broken_connection, _slow, _bodies, _statuses, _waits, _tls),
    *(_proxies, _worker),
)
FAULTS: tuple[Fault, ...] = tuple(fault for room in _ROOMS for fault in room())
