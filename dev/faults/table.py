"""Declare the faults and how a task that meets each must end: the provider's promise.

After a temporary fault a call is tried four times (three retries by default, with waits that
double); then Airflow may retry the task. After a permanent fault no retry can succeed, so a call is
tried once.
"""

from __future__ import annotations

import gzip

from dev.faults.behaviours import (
    FOR_EVER,
    HUGE,
    answer,
    answers,
    asks_to_wait,
    bomb,
    drips,
    echoes,
    head,
    html,
    is_huge,
    redirects,
    refuses_with_input,
    repeats,
    says,
    wants_key,
)
from dev.faults.fault import (
    API_KEY,
    AUTHENTICATION,
    CERTIFICATE,
    CONFIGURATION,
    CONFLICT,
    CONNECTION,
    NOT_FOUND,
    PERMISSION,
    RATE_LIMIT,
    REDIRECT,
    REJECTED,
    SERVER,
    SUCCESS,
    TIMEOUT,
    TOKEN,
    UNREACHABLE,
    UNUSABLE,
    VALIDATION,
    Ending,
    Fault,
)
from dev.faults.server import Door, Then

_TRIES = 4
_ONCE = 4.0
"""Seconds for one try with a timeout of one second."""

_HUGE = 8.0
"""Seconds for one try with a large response."""

_PATIENT = {"timeout": _HUGE}
"""Extra fields of a connection for large responses: a second is short on a busy machine."""

_RETRIED = 12.0
"""Seconds for four tries of up to one second, and for the waits between them."""

_OK = answer()
_HALF = _OK[: len(_OK) - len(_OK) // 3]
_CHUNKED = head(200, {"Transfer-Encoding": "chunked"})

_PACKED = gzip.compress(b'{"id": 7}')
_TEN_MB = b"x" * (10 << 20)
_ECHOED = f"X-Key: {API_KEY}\r\nX-Token: {TOKEN}\r\n{API_KEY} {TOKEN}\r\n".encode()
_LARGE_FIELD = b"X-Large: " + b"x" * 65_000 + b"\r\n"
_UNAVAILABLE = answers(503, b'{"detail": "Not now"}')
_PROXIED = "https://datafold.test"
_PROXY_UNUSABLE = "the proxy cannot be used"
_SOCKS = "socks5h://127.0.0.1:{port}"
_SOCKS_REPLY = b"\5\0" + b"\5\0\0\3\xff" + bytes(257)
_PROXY = {"HTTPS_PROXY": "http://127.0.0.1:{port}"}
_LARGE_RECORD = b"\x16\3\3\x40\0" + bytes(1 << 14)
"""A TLS record of a handshake, of the largest size."""


def _interim(status: int, fields: bytes = b"") -> bytes:
    return f"HTTP/1.1 {status} Interim\r\n".encode() + fields + b"\r\n"


_NO_CONNECTION = (
    Fault(
        "refused",
        "no process listens on the port",
        UNREACHABLE,
        0,
        _RETRIED,
        door=Door.CLOSED,
    ),
    Fault(
        "late",
        "no process listens on the port for one second, then one does",
        SUCCESS,
        1,
        _RETRIED,
        door=Door.LATE,
    ),
    Fault(
        "queue-full",
        "the port accepts no connection, like a firewall that drops packets",
        UNREACHABLE,
        0,
        _RETRIED,
        door=Door.FULL,
    ),
    Fault(
        "no-such-host",
        "the host name does not exist",
        UNREACHABLE,
        0,
        _RETRIED,
        host="https://datafold.test",
    ),
    Fault(
        "six-addresses",
        "the host name has six addresses, and all of them drop packets",
        UNREACHABLE,
        0,
        _RETRIED,
        door=Door.FULL,
        host="https://datafold.test:{port}",
        addresses=6,
    ),
    Fault(
        "resolver-hangs",
        "the DNS lookup of the host takes a minute",
        UNREACHABLE,
        0,
        _RETRIED,
        host="https://datafold.test:{port}",
        addresses=1,
        resolver=FOR_EVER,
    ),
)

_BROKEN_CONNECTION = (
    Fault(
        "closed-at-once",
        "closes each connection before it reads the request",
        CONNECTION,
        0,
        _RETRIED,
        [says()],
        reads=False,
        connections=_TRIES,
    ),
    Fault(
        "closed-unanswered",
        "reads the request and closes the connection",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [says()],
    ),
    Fault(
        "reset-unanswered",
        "reads the request and resets the connection",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [says(Then.RESET)],
    ),
    Fault(
        "reset-in-body",
        "resets the connection in the middle of the body",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [says(_HALF, 0.1, Then.RESET)],
    ),
    Fault(
        "truncated",
        "closes the connection before the body is as long as Content-Length says",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [says(_HALF)],
    ),
    Fault(
        "truncated-chunks",
        "closes the connection between two chunks of the body",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [says(_CHUNKED, b'8\r\n{"id": 7\r\n')],
    ),
    Fault(
        "broken-chunks",
        "sends a chunk whose size is not a number",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [says(_CHUNKED, b'eight\r\n{"id": 7\r\n0\r\n\r\n')],
    ),
    Fault(
        "resets-twice",
        "resets the connection twice, then responds normally",
        SUCCESS,
        3,
        _RETRIED,
        [says(Then.RESET), says(Then.RESET), answers()],
    ),
    Fault(
        "closed-in-between",
        "responds with 503, promises to keep the connection and closes it before the next request",
        SUCCESS,
        2,
        _RETRIED,
        [says(answer(503, b"{}")), answers()],
    ),
    Fault(
        "closed-on-reuse",
        "responds with 503, keeps the connection and closes it as the next request arrives",
        SUCCESS,
        3,
        _RETRIED,
        [_UNAVAILABLE, says(), answers()],
    ),
    Fault(
        "no-http",
        "greets with the banner of SSH",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [says(b"SSH-2.0-OpenSSH_9.6\r\n")],
    ),
    Fault(
        "garbage",
        "responds with random bytes",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [says(bytes(range(255, 0, -1)) * 40 + b"\r\n\r\n")],
    ),
    Fault(
        "huge-header",
        "responds with a header field of 1 MB",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [answers(200, None, {"X-Huge": "x" * (1 << 20)})],
    ),
    Fault(
        "many-headers",
        "responds with 1000 header fields",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [answers(200, None, {f"X-{number}": "x" for number in range(1000)})],
    ),
    Fault(
        "two-lengths",
        "responds with two Content-Lengths that differ",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [says(head(200, {"Content-Length": "2, 3"}), b"{}\n")],
    ),
    Fault(
        "malformed-header",
        "sends a header line without a colon, then the key, the token and a body of 10 MB",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [says(b"HTTP/1.1 200 OK\r\nX-Fine: 1\r\nmalformed\r\n", _ECHOED, b"\r\n", _TEN_MB)],
    ),
    Fault(
        "malformed-header-large",
        "sends a header line without a colon, then the key, the token and 5 MB of header",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [says(b"HTTP/1.1 200 OK\r\nmalformed\r\n", _ECHOED, _LARGE_FIELD * 80, b"\r\n{}")],
    ),
    Fault(
        "endless-header",
        "sends a header line that does not end",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [repeats(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 65536)],
    ),
    Fault(
        "endless-chunk-size",
        "sends a chunk size that does not end",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [repeats(_CHUNKED, b"0" * 65536)],
    ),
    Fault(
        "endless-chunk-extension",
        "sends a chunk extension that does not end",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [repeats(_CHUNKED + b"2;", b"x" * 65536)],
    ),
    Fault(
        "endless-trailer",
        "ends a chunked body with a trailer line that does not end",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [repeats(_CHUNKED + b"2\r\n{}\r\n0\r\nX-Long: ", b"x" * 65536)],
    ),
    Fault(
        "many-trailers",
        "ends a chunked body with trailers that do not end, as fast as it can",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [repeats(_CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-More: x\r\n" * 5000)],
    ),
)

_INTERIM = (
    *(
        Fault(
            f"interim-{status}",
            f"sends the interim response {status} before the final one",
            SUCCESS,
            1,
            _ONCE,
            [says(_interim(status) + _OK, Then.KEEP)],
        )
        for status in (100, 102, 103)
    ),
    Fault(
        "interim-with-header",
        "sends two interim responses with header fields before the final one",
        SUCCESS,
        1,
        _ONCE,
        [says(_interim(103, b"Link: </a>\r\n"), 0.1, _interim(103, b"X: y\r\n"), _OK, Then.KEEP)],
    ),
    Fault(
        "endless-interim",
        "sends 102 ten thousand times a second",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [repeats(b"", _interim(102) * 100, pause=0.01)],
        or_else=TIMEOUT,
    ),
    Fault(
        "endless-interim-slow",
        "sends 102 repeatedly",
        TIMEOUT,
        _TRIES,
        _RETRIED,
        [repeats(b"", _interim(102), pause=0.1)],
    ),
    Fault(
        "switches-protocols",
        "responds with 101, and switches to another protocol",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [says(head(101, {"Upgrade": "h2c", "Connection": "Upgrade"}), b"PRI * HTTP/2.0\r\n")],
    ),
)

_SLOW = (
    Fault(
        "stalls",
        "reads the request and never responds",
        TIMEOUT,
        _TRIES,
        _RETRIED,
        [says(FOR_EVER)],
    ),
    Fault(
        "stalls-after-headers",
        "sends nothing after the headers",
        TIMEOUT,
        _TRIES,
        _RETRIED,
        [says(head(200, {"Content-Length": "100"}), FOR_EVER)],
    ),
    Fault(
        "stalls-in-body",
        "stops in the middle of the body",
        TIMEOUT,
        _TRIES,
        _RETRIED,
        [says(_HALF, FOR_EVER)],
    ),
    Fault(
        "stalls-once",
        "never responds to the first request, then responds normally",
        SUCCESS,
        2,
        _RETRIED,
        [says(FOR_EVER), answers()],
    ),
    Fault(
        "drips-headers",
        "sends the whole response one byte every half second",
        TIMEOUT,
        _TRIES,
        _RETRIED,
        [drips(b"", _OK)],
    ),
    Fault(
        "drips-body",
        "sends the body one byte every half second",
        TIMEOUT,
        _TRIES,
        _RETRIED,
        [drips(head(200, {"Content-Length": "1000"}), b" " * 1000)],
    ),
    Fault(
        "drips-once",
        "sends the first body one byte every half second, the next one at once",
        SUCCESS,
        2,
        _RETRIED,
        [drips(head(200, {"Content-Length": "1000"}), b" " * 1000), answers()],
    ),
    Fault(
        "endless-continue",
        "sends 100 Continue repeatedly",
        TIMEOUT,
        _TRIES,
        _RETRIED,
        [repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.1)],
    ),
    Fault(
        "endless-trailers",
        "ends a chunked body with trailers that do not end",
        TIMEOUT,
        _TRIES,
        _RETRIED,
        [repeats(_CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-More: x\r\n", pause=0.1)],
    ),
    Fault(
        "failure-without-end",
        "responds with 500 and a body that never arrives",
        SERVER,
        _TRIES,
        _RETRIED,
        [says(head(500, {"Content-Length": "100"}), FOR_EVER)],
    ),
    Fault(
        "refusal-without-end",
        "responds with 401 and a body that never arrives",
        AUTHENTICATION,
        1,
        _ONCE,
        [says(head(401, {"Content-Length": "100"}), FOR_EVER)],
    ),
)


def _body(
    name: str, service: str, body: bytes, ending: Ending = UNUSABLE, *, may_succeed: bool = False
) -> Fault:
    is_large = len(body) > 1 << 20
    return Fault(
        name,
        f"responds with 200 and {service}",
        ending,
        1,
        _HUGE if is_large else _ONCE,
        [answers(200, body)],
        extra=_PATIENT if is_large else {},
        may_succeed=may_succeed,
    )


_BODIES = (
    Fault(
        "login-page",
        "responds with 200 and an HTML login page",
        UNUSABLE,
        1,
        _ONCE,
        [html(200)],
    ),
    _body("empty", "an empty body", b""),
    Fault(
        "no-content",
        "responds with 204, which has no body",
        UNUSABLE,
        1,
        _ONCE,
        [says(head(204))],
    ),
    _body("text", "text that is not JSON", b"OK"),
    _body("half-json", "half of a JSON document", b'{"id": 7, "name'),
    _body("bad-utf-8", "JSON in invalid UTF-8", b'{"name": "\xc3\x28\xff"}'),
    _body("nan", "NaN, which JSON does not have", b'{"id": NaN}', may_succeed=True),
    _body(
        "infinite",
        "a number that is too large for a float, 1e999",
        b'{"id": 1e999}',
        may_succeed=True,
    ),
    _body(
        "deep",
        "JSON that is nested 100,000 deep",
        b"[" * 100_000 + b"]" * 100_000,
        may_succeed=True,
    ),
    _body("deep-150", "JSON that is nested 150 deep", b"[" * 150 + b"]" * 150, may_succeed=True),
    _body(
        "huge-integer",
        "an integer of 70 bits, which XCom can't hold",
        b'{"id": %d}' % (1 << 69),
        may_succeed=True,
    ),
    *(
        _body(
            f"reserved{key}",
            f"the key `{key}`, which has a special meaning in XCom",
            b'{"id": 7, "more": [{"%s": "builtins.print"}]}' % key.encode(),
            may_succeed=True,
        )
        for key in ("__classname__", "__data__", "__version__", "__type", "__var")
    ),
    _body(
        "nul",
        "a string with a NUL character, which databases refuse",
        b'{"name": "a\\u0000b"}',
        may_succeed=True,
    ),
    Fault(
        "trailer",
        "sends the body in chunks, and a trailer after them",
        SUCCESS,
        1,
        _ONCE,
        [says(_CHUNKED, b'3\r\n{"i\r\n6\r\nd": 7}\r\n0\r\nX-Trailer: fine\r\n\r\n', Then.KEEP)],
    ),
    _body("null", "null, which is JSON", b"null", SUCCESS),
    _body("list", "a list, which is JSON", b"[1, 2]", SUCCESS),
    _body("byte-order-mark", "JSON after a byte order mark", b'\xef\xbb\xbf{"id": 7}', SUCCESS),
    Fault(
        "echo",
        "responds with 200 and repeats the token and the key",
        SUCCESS,
        1,
        _ONCE,
        [echoes(200)],
    ),
    Fault(
        "no-gzip",
        "responds with 200 and a body that is not gzip, although its header says gzip",
        UNUSABLE,
        1,
        _ONCE,
        [answers(200, None, {"Content-Encoding": "gzip"})],
    ),
    *(
        Fault(
            name,
            f"responds with 200 and {words}, although it was not requested",
            UNUSABLE,
            1,
            _ONCE,
            [answers(200, body, {"Content-Encoding": encoding})],
            says=f"is compressed ({encoding}), which was not requested",
            may_succeed=True,
        )
        for name, words, encoding, body in (
            ("gzip", "JSON in gzip", "gzip", _PACKED),
            ("double-gzip", "JSON in gzip, compressed twice", "gzip, gzip", gzip.compress(_PACKED)),
            (
                "unknown-encoding",
                "JSON in an unknown encoding",
                "pied-piper",
                b'{"id": 7}',
            ),
        )
    ),
    Fault(
        "huge",
        f"responds with 200 and {HUGE >> 20} MB, announced in Content-Length",
        UNUSABLE,
        1,
        _HUGE,
        [is_huge(200, {"Content-Length": str(HUGE)})],
        extra=_PATIENT,
        heavy=True,
    ),
    Fault(
        "huge-unannounced",
        f"responds with 200 and {HUGE >> 20} MB, not announced",
        UNUSABLE,
        1,
        _HUGE,
        [is_huge(200)],
        extra=_PATIENT,
        heavy=True,
    ),
    Fault(
        "gzip-bomb",
        f"responds with 200 and {HUGE >> 20} MB compressed to less than 1 MB",
        UNUSABLE,
        1,
        _HUGE,
        [bomb(1)],
        extra=_PATIENT,
        heavy=True,
    ),
    Fault(
        "double-gzip-bomb",
        f"responds with 200 and {HUGE >> 20} MB compressed twice",
        UNUSABLE,
        1,
        _HUGE,
        [bomb(2)],
        extra=_PATIENT,
        heavy=True,
    ),
    Fault(
        "huge-failure",
        f"responds with 500 and {HUGE >> 20} MB",
        SERVER,
        _TRIES,
        _RETRIED,
        [is_huge(500)],
        heavy=True,
    ),
)

_REDIRECTS = (
    *(
        Fault(
            f"redirect-{status}",
            f"responds with {status}, a redirect to another path of the host",
            REDIRECT,
            1,
            _ONCE,
            [redirects(status, elsewhere=False)],
            # These two keep method and body, so a client that follows them makes the update.
            may_succeed=status in (307, 308),
        )
        for status in (301, 302, 303, 307, 308)
    ),
    *(
        Fault(
            f"redirect-{status}-elsewhere",
            f"responds with {status}, a redirect to another host",
            REDIRECT,
            1,
            _ONCE,
            [redirects(status, elsewhere=True)],
        )
        for status in (301, 302, 303, 307, 308)
    ),
    Fault(
        "redirect-nowhere",
        "responds with 302 without a Location",
        REDIRECT,
        1,
        _ONCE,
        [answers(302, b"")],
    ),
    Fault(
        "redirect-unreadable",
        "responds with 302 and a Location that is not a URL",
        REDIRECT,
        1,
        _ONCE,
        [answers(302, b"", {"Location": "http://[moved"})],
    ),
    Fault(
        "redirect-huge",
        f"responds with 302 and a body of {HUGE >> 20} MB",
        REDIRECT,
        1,
        _HUGE,
        [is_huge(302, {"Location": "/moved"}), answers()],
        heavy=True,
    ),
)

_REFUSALS = (
    *(
        Fault(
            str(status),
            f"responds with {status}",
            ending,
            1,
            _ONCE,
            [answers(status, b'{"detail": "No"}')],
        )
        for status, ending in (
            (400, REJECTED),
            (401, AUTHENTICATION),
            (403, PERMISSION),
            (404, NOT_FOUND),
            (405, REJECTED),
            (409, CONFLICT),
            (413, REJECTED),
        )
    ),
    Fault(
        "404-page",
        "responds with 404 and an HTML page",
        NOT_FOUND,
        1,
        _ONCE,
        [html(404)],
    ),
    Fault(
        "422-echo",
        "responds with 422 and repeats token and key in each field of the response",
        VALIDATION,
        1,
        _ONCE,
        [refuses_with_input],
    ),
    Fault(
        "422-page",
        "responds with 422 and an HTML page",
        VALIDATION,
        1,
        _ONCE,
        [html(422)],
    ),
)

_FAILURES = (
    *(
        Fault(
            str(status),
            f"responds with {status}, each time",
            ending,
            _TRIES,
            _RETRIED,
            [answers(status, b'{"detail": "Not now"}')],
        )
        for status, ending in (
            (408, SERVER),
            (425, SERVER),
            (429, RATE_LIMIT),
            (500, SERVER),
            (503, SERVER),
            (504, SERVER),
        )
    ),
    Fault(
        "502-page",
        "responds with 502 and a proxy's HTML page, each time",
        SERVER,
        _TRIES,
        _RETRIED,
        [html(502)],
    ),
    Fault(
        "500-echo",
        "responds with 500 and repeats the request, key and token included",
        SERVER,
        _TRIES,
        _RETRIED,
        [echoes(500)],
    ),
    Fault(
        "503-twice",
        "responds with 503 twice, then normally",
        SUCCESS,
        3,
        _RETRIED,
        [_UNAVAILABLE, _UNAVAILABLE, answers()],
    ),
    Fault(
        "429-once",
        "responds with 429 once, then normally",
        SUCCESS,
        2,
        _RETRIED,
        [answers(429, b"{}"), answers()],
    ),
    Fault(
        "retry-after",
        "responds with 429 and `Retry-After: 2`, then normally",
        SUCCESS,
        2,
        _RETRIED,
        [answers(429, b"{}", {"Retry-After": "2"}), answers()],
        no_sooner=2.0,
    ),
    Fault(
        "retry-after-date",
        "responds with 503 and a `Retry-After` date 3 s ahead, then normally",
        SUCCESS,
        2,
        _RETRIED,
        [asks_to_wait(503, 3.0), answers()],
        # A date has no fractions of a second.
        no_sooner=2.0,
    ),
    Fault(
        "retry-after-past",
        "responds with 503 and a `Retry-After` date in the past, then normally",
        SUCCESS,
        2,
        _RETRIED,
        [asks_to_wait(503, -3600.0), answers()],
    ),
    *(
        Fault(
            f"retry-after-date-{name}",
            f"responds with 503 and a date 3 s ahead by its clock, an hour {words} the worker's",
            SUCCESS,
            2,
            _RETRIED,
            [asks_to_wait(503, 3.0, ahead=ahead), answers()],
            no_sooner=3.0,
        )
        for name, words, ahead in (("ahead", "ahead of", 3600.0), ("behind", "behind", -3600.0))
    ),
    Fault(
        "retry-after-garbage",
        "responds with 429 and `Retry-After: soon`, then normally",
        SUCCESS,
        2,
        _RETRIED,
        [answers(429, b"{}", {"Retry-After": "soon"}), answers()],
    ),
    Fault(
        "retry-after-hour",
        "responds with 429 and `Retry-After: 3600`",
        RATE_LIMIT,
        1,
        _ONCE,
        [answers(429, b"{}", {"Retry-After": "3600"})],
        retry_after=3600.0,
    ),
    Fault(
        "retry-after-hour-failing",
        "responds with 503 and `Retry-After: 3600`",
        SERVER,
        1,
        _ONCE,
        [answers(503, b"{}", {"Retry-After": "3600"})],
        retry_after=3600.0,
    ),
)

_TLS = (
    *(
        Fault(
            f"certificate-{certificate}",
            words,
            CERTIFICATE,
            0,
            _ONCE,
            certificate=certificate,
        )
        for certificate, words in (
            ("self-signed", "presents a certificate from an unknown CA"),
            ("other-host", "presents a certificate for another host"),
            ("expired", "presents an expired certificate"),
            ("mutual", "presents a valid certificate and requires a client certificate"),
        )
    ),
    Fault(
        "plain-http",
        "speaks plain HTTP on the https port",
        CERTIFICATE,
        0,
        _ONCE,
        [answers(400)],
        reads=False,
        host="https://127.0.0.1:{port}",
    ),
    Fault(
        "tls-closed",
        "closes the connection in the TLS handshake",
        CONNECTION,
        0,
        _RETRIED,
        [says()],
        reads=False,
        connections=_TRIES,
        host="https://127.0.0.1:{port}",
    ),
    Fault(
        "tls-reset",
        "resets the connection in the TLS handshake",
        CONNECTION,
        0,
        _RETRIED,
        [says(0.2, Then.RESET)],
        reads=False,
        connections=_TRIES,
        host="https://127.0.0.1:{port}",
    ),
    Fault(
        "tls-stalls",
        "stops in the TLS handshake",
        TIMEOUT,
        0,
        _RETRIED,
        [says(FOR_EVER)],
        reads=False,
        connections=_TRIES,
        host="https://127.0.0.1:{port}",
    ),
    Fault(
        "tls-drips",
        "sends the TLS handshake one byte every half second",
        TIMEOUT,
        0,
        _RETRIED,
        [drips(b"\x16\x03\x03\x40\x00", bytes(1000))],
        reads=False,
        connections=_TRIES,
        host="https://127.0.0.1:{port}",
    ),
    Fault(
        "tls-drips-body",
        "sends the body one byte every half second, over TLS",
        TIMEOUT,
        _TRIES,
        _RETRIED,
        [drips(head(200, {"Content-Length": "1000"}), b" " * 1000)],
        certificate="good",
    ),
    Fault(
        "tls-truncated",
        "closes the connection in the middle of the body, over TLS",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [says(_HALF)],
        certificate="good",
    ),
)


def _proxy(name: str, does: str, ending: Ending, seconds: float, *steps: bytes | float) -> Fault:
    return Fault(
        f"proxy-{name}",
        f"the proxy in HTTPS_PROXY {does}",
        ending,
        0,
        seconds,
        [says(*steps)],
        connections=1 if seconds == _ONCE else _TRIES,
        host=_PROXIED,
        environment=_PROXY,
    )


_WORKER = (
    Fault(
        "proxy-refused",
        "no process listens on the port in HTTPS_PROXY",
        UNREACHABLE,
        0,
        _RETRIED,
        host=_PROXIED,
        environment={"HTTPS_PROXY": "http://127.0.0.1:{closed_port}"},
    ),
    _proxy("closed", "closes the connection", CONNECTION, _RETRIED),
    _proxy("502", "responds with 502", UNREACHABLE, _RETRIED, answer(502, b"")),
    _proxy("stalls", "never responds", TIMEOUT, _RETRIED, FOR_EVER),
    Fault(
        "proxy-drips",
        "the proxy in HTTPS_PROXY, which uses TLS, forwards one byte of the handshake every half "
        "second",
        TIMEOUT,
        0,
        _RETRIED,
        [drips(answer(200, b""), _LARGE_RECORD)],
        certificate="good",
        connections=_TRIES,
        host=_PROXIED,
        environment={"HTTPS_PROXY": "https://127.0.0.1:{port}"},
    ),
    _proxy(
        "403",
        "responds with 403: it refuses to forward the request",
        CONFIGURATION,
        _ONCE,
        answer(403, b""),
    ),
    _proxy(
        "407", "responds with 407: it requires a password", CONFIGURATION, _ONCE, answer(407, b"")
    ),
    *(
        Fault(
            f"proxy-{name}",
            words,
            CONFIGURATION,
            0,
            _ONCE,
            host=_PROXIED,
            environment={"HTTPS_PROXY": url},
            without=without,
            says=_PROXY_UNUSABLE,
        )
        for name, words, url, without in (
            (
                "nonsense",
                "HTTPS_PROXY is `nonsense://127.0.0.1`",
                "nonsense://127.0.0.1:{port}",
                (),
            ),
            ("no-host", "HTTPS_PROXY is `http://`", "http://", ()),
            ("no-port", "the port in HTTPS_PROXY is not a number", "http://127.0.0.1:port", ()),
            (
                "no-socks",
                "HTTPS_PROXY names a SOCKS proxy, and the library for it is not installed",
                _SOCKS,
                ("socks",),
            ),
        )
    ),
    *(
        Fault(
            f"socks-{name}",
            f"the SOCKS proxy in HTTPS_PROXY {words}",
            UNREACHABLE,
            0,
            _RETRIED,
            [behaviour],
            reads=False,
            connections=_TRIES,
            host=_PROXIED,
            environment={"HTTPS_PROXY": _SOCKS},
            says="could not connect through the proxy",
        )
        for name, words, behaviour in (
            ("closed", "closes the connection", says()),
            ("stalls", "never responds", says(FOR_EVER)),
            ("drips", "responds one byte every half second", drips(b"", _SOCKS_REPLY)),
            ("no-route", "cannot reach the host", says(b"\5\0", 0.1, b"\5\4\0\1" + bytes(6))),
            ("garbage", "speaks HTTP", answers(400)),
        )
    ),
    Fault(
        "netrc",
        "the worker's .netrc has a login for the host",
        SUCCESS,
        1,
        _ONCE,
        [wants_key(API_KEY)],
        environment={"NETRC": "{folder}/netrc"},
    ),
    Fault(
        "other-ca-bundle",
        "REQUESTS_CA_BUNDLE names a wrong CA, and the Airflow connection names the right one",
        SUCCESS,
        1,
        _ONCE,
        certificate="good",
        environment={"REQUESTS_CA_BUNDLE": "{folder}/other_ca.pem"},
    ),
    Fault(
        "no-ca-bundle",
        "REQUESTS_CA_BUNDLE names a file that does not exist",
        CONFIGURATION,
        0,
        _ONCE,
        certificate="good",
        environment={"REQUESTS_CA_BUNDLE": "{folder}/no-such-file"},
        extra={"ca_bundle": None},
    ),
    Fault(
        "no-conn-ca-bundle",
        "the Airflow connection names a CA file that does not exist",
        CONFIGURATION,
        0,
        _ONCE,
        certificate="good",
        extra={"ca_bundle": "/no/such/file"},
    ),
)

FAULTS: tuple[Fault, ...] = (
    *_NO_CONNECTION,
    *_BROKEN_CONNECTION,
    *_INTERIM,
    *_SLOW,
    *_BODIES,
    *_REDIRECTS,
    *_REFUSALS,
    *_FAILURES,
    *_TLS,
    *_WORKER,
)
"""All faults, in the order of the page."""
