"""The faults, and what has to come of each: this is the provider's promise on a bad day.

Time may mend what is transient, so the hook tries it four times in all (three retries by
default, with waits that double) and leaves it to Airflow then. Nothing but a change of
something mends what is final, so it is tried once.
"""

from __future__ import annotations

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
    NO_JSON,
    NOT_FOUND,
    PERMISSION,
    RATE_LIMIT,
    REDIRECT,
    REJECTED,
    SERVER,
    SUCCESS,
    TIMEOUT,
    UNREACHABLE,
    VALIDATION,
    Ending,
    Fault,
)
from dev.faults.server import Door, Then

_TRIES = 4
_ONCE = 4.0
"""Seconds for one try with a timeout of one second."""

_HUGE = 8.0
"""Seconds for one try that has a lot to read."""

_RETRIED = 10.0
"""Seconds for four tries that each take up to one, and for the waits between them."""

_OK = answer()
_HALF = _OK[: len(_OK) - len(_OK) // 3]
_CHUNKED = head(200, {"Transfer-Encoding": "chunked"})
_UNAVAILABLE = answers(503, b'{"detail": "Not now"}')
_PROXIED = "https://datafold.test"
_PROXY = {"HTTPS_PROXY": "http://127.0.0.1:{port}"}

_NO_CONNECTION = (
    Fault(
        "refused",
        "no process listens at the port",
        UNREACHABLE,
        0,
        _RETRIED,
        door=Door.CLOSED,
    ),
    Fault(
        "late",
        "no process listens at the port for one second, then one does",
        SUCCESS,
        1,
        _RETRIED,
        door=Door.LATE,
    ),
    Fault(
        "queue-full",
        "the port takes no connection, as behind a firewall that drops packets",
        UNREACHABLE,
        0,
        _RETRIED,
        door=Door.FULL,
    ),
    Fault(
        "no-such-host",
        "the host's name is not known",
        UNREACHABLE,
        0,
        _RETRIED,
        host="https://datafold.test",
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
        "sends a chunk whose size is no number",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [says(_CHUNKED, b'eight\r\n{"id": 7\r\n0\r\n\r\n')],
    ),
    Fault(
        "resets-twice",
        "resets the connection twice, then answers",
        SUCCESS,
        3,
        _RETRIED,
        [says(Then.RESET), says(Then.RESET), answers()],
    ),
    Fault(
        "closed-in-between",
        "answers 503, promises to keep the connection and closes it before the next request",
        SUCCESS,
        2,
        _RETRIED,
        [says(answer(503, b"{}")), answers()],
    ),
    Fault(
        "closed-on-reuse",
        "answers 503, keeps the connection and closes it as the next request arrives",
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
        "answers with random bytes",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [says(bytes(range(255, 0, -1)) * 40 + b"\r\n\r\n")],
    ),
    Fault(
        "huge-header",
        "answers with a header field of 1 MB",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [answers(200, None, {"X-Huge": "x" * (1 << 20)})],
    ),
    Fault(
        "many-headers",
        "answers with 1000 header fields",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [answers(200, None, {f"X-{number}": "x" for number in range(1000)})],
    ),
    Fault(
        "two-lengths",
        "answers with two Content-Lengths that differ",
        CONNECTION,
        _TRIES,
        _RETRIED,
        [says(head(200, {"Content-Length": "2, 3"}), b"{}\n")],
    ),
)

_SLOW = (
    Fault(
        "stalls",
        "reads the request and is silent",
        TIMEOUT,
        _TRIES,
        _RETRIED,
        [says(FOR_EVER)],
    ),
    Fault(
        "stalls-after-headers",
        "is silent after the headers",
        TIMEOUT,
        _TRIES,
        _RETRIED,
        [says(head(200, {"Content-Length": "100"}), FOR_EVER)],
    ),
    Fault(
        "stalls-in-body",
        "is silent in the middle of the body",
        TIMEOUT,
        _TRIES,
        _RETRIED,
        [says(_HALF, FOR_EVER)],
    ),
    Fault(
        "stalls-once",
        "is silent once, then answers",
        SUCCESS,
        2,
        _RETRIED,
        [says(FOR_EVER), answers()],
    ),
    Fault(
        "drips-headers",
        "answers one byte each half second, from the first on",
        TIMEOUT,
        _TRIES,
        _RETRIED,
        [drips(b"", _OK)],
    ),
    Fault(
        "drips-body",
        "answers the body one byte each half second",
        TIMEOUT,
        _TRIES,
        _RETRIED,
        [drips(head(200, {"Content-Length": "1000"}), b" " * 1000)],
    ),
    Fault(
        "drips-once",
        "answers the body one byte each half second once, then as it should",
        SUCCESS,
        2,
        _RETRIED,
        [drips(head(200, {"Content-Length": "1000"}), b" " * 1000), answers()],
    ),
    Fault(
        "endless-continue",
        "answers 100 Continue again and again",
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
        "answers 500 with a body that never comes",
        SERVER,
        _TRIES,
        _RETRIED,
        [says(head(500, {"Content-Length": "100"}), FOR_EVER)],
    ),
    Fault(
        "refusal-without-end",
        "answers 401 with a body that never comes",
        AUTHENTICATION,
        1,
        _ONCE,
        [says(head(401, {"Content-Length": "100"}), FOR_EVER)],
    ),
)


def _body(
    name: str, service: str, body: bytes, ending: Ending = NO_JSON, *, may_succeed: bool = False
) -> Fault:
    return Fault(
        name,
        f"answers 200 with {service}",
        ending,
        1,
        _ONCE,
        [answers(200, body)],
        may_succeed=may_succeed,
    )


_BODIES = (
    Fault(
        "login-page",
        "answers 200 with the HTML page of a login",
        NO_JSON,
        1,
        _ONCE,
        [html(200)],
    ),
    _body("empty", "an empty body", b""),
    Fault(
        "no-content",
        "answers 204, which has no body",
        NO_JSON,
        1,
        _ONCE,
        [says(head(204))],
    ),
    _body("text", "a text that is no JSON", b"OK"),
    _body("half-json", "half of a JSON text", b'{"id": 7, "name'),
    _body("bad-utf-8", "JSON in invalid UTF-8", b'{"name": "\xc3\x28\xff"}'),
    _body("nan", "NaN, which JSON does not have", b'{"id": NaN}', may_succeed=True),
    _body(
        "infinite", "a number that is larger than any, 1e999", b'{"id": 1e999}', may_succeed=True
    ),
    _body(
        "surrogate",
        "half of a surrogate pair, which UTF-8 and so XCom can't hold",
        b'{"name": "\\ud800"}',
        may_succeed=True,
    ),
    _body(
        "deep",
        "JSON that is nested 100 000 deep",
        b"[" * 100_000 + b"]" * 100_000,
        may_succeed=True,
    ),
    _body("null", "null, which is JSON", b"null", SUCCESS),
    _body("list", "a list, which is JSON", b"[1, 2]", SUCCESS),
    _body("byte-order-mark", "JSON behind a byte order mark", b'\xef\xbb\xbf{"id": 7}', SUCCESS),
    Fault(
        "echo",
        "answers 200 with the token and the key in it",
        SUCCESS,
        1,
        _ONCE,
        [echoes(200)],
    ),
    Fault(
        "no-gzip",
        "answers 200 with a body that is said to be gzip and is not",
        NO_JSON,
        1,
        _ONCE,
        [answers(200, None, {"Content-Encoding": "gzip"})],
    ),
    Fault(
        "huge",
        f"answers 200 with {HUGE >> 20} MB, announced in Content-Length",
        NO_JSON,
        1,
        _HUGE,
        [is_huge(200, {"Content-Length": str(HUGE)})],
        heavy=True,
    ),
    Fault(
        "huge-unannounced",
        f"answers 200 with {HUGE >> 20} MB, not announced",
        NO_JSON,
        1,
        _HUGE,
        [is_huge(200)],
        heavy=True,
    ),
    Fault(
        "gzip-bomb",
        f"answers 200 with {HUGE >> 20} MB packed into less than one",
        NO_JSON,
        1,
        _HUGE,
        [bomb(1)],
        heavy=True,
    ),
    Fault(
        "double-gzip-bomb",
        f"answers 200 with {HUGE >> 20} MB packed twice",
        NO_JSON,
        1,
        _HUGE,
        [bomb(2)],
        heavy=True,
    ),
    Fault(
        "huge-failure",
        f"answers 500 with {HUGE >> 20} MB",
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
            f"answers {status}, a redirect to another path of the host",
            REDIRECT,
            1,
            _ONCE,
            [redirects(status, elsewhere=False)],
            # These two keep method and body, so the update arrives after all.
            may_succeed=status in (307, 308),
        )
        for status in (301, 302, 303, 307, 308)
    ),
    *(
        Fault(
            f"redirect-{status}-elsewhere",
            f"answers {status}, a redirect to another host",
            REDIRECT,
            1,
            _ONCE,
            [redirects(status, elsewhere=True)],
        )
        for status in (301, 302, 303, 307, 308)
    ),
    Fault(
        "redirect-nowhere",
        "answers 302 without a Location",
        REDIRECT,
        1,
        _ONCE,
        [answers(302, b"")],
    ),
    Fault(
        "redirect-unreadable",
        "answers 302 with a Location that is no URL",
        REDIRECT,
        1,
        _ONCE,
        [answers(302, b"", {"Location": "http://[moved"})],
    ),
    Fault(
        "redirect-huge",
        f"answers 302 with a body of {HUGE >> 20} MB",
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
            f"answers {status}",
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
        "answers 404 with an HTML page",
        NOT_FOUND,
        1,
        _ONCE,
        [html(404)],
    ),
    Fault(
        "422-echo",
        "answers 422 and repeats token and key in each field of the answer",
        VALIDATION,
        1,
        _ONCE,
        [refuses_with_input],
    ),
    Fault(
        "422-page",
        "answers 422 with an HTML page",
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
            f"answers {status}, again and again",
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
        "answers 502 with a proxy's HTML page, again and again",
        SERVER,
        _TRIES,
        _RETRIED,
        [html(502)],
    ),
    Fault(
        "500-echo",
        "answers 500 and repeats the request, key and token included",
        SERVER,
        _TRIES,
        _RETRIED,
        [echoes(500)],
    ),
    Fault(
        "503-twice",
        "answers 503 twice, then as it should",
        SUCCESS,
        3,
        _RETRIED,
        [_UNAVAILABLE, _UNAVAILABLE, answers()],
    ),
    Fault(
        "429-once",
        "answers 429 once, then as it should",
        SUCCESS,
        2,
        _RETRIED,
        [answers(429, b"{}"), answers()],
    ),
    Fault(
        "retry-after",
        "answers 429 with `Retry-After: 2`, then as it should",
        SUCCESS,
        2,
        _RETRIED,
        [answers(429, b"{}", {"Retry-After": "2"}), answers()],
        no_sooner=2.0,
    ),
    Fault(
        "retry-after-date",
        "answers 503 with a `Retry-After` date that is 3 s ahead, then as it should",
        SUCCESS,
        2,
        _RETRIED,
        [asks_to_wait(503, 3.0), answers()],
        # A date has no fractions of a second.
        no_sooner=2.0,
    ),
    Fault(
        "retry-after-past",
        "answers 503 with a `Retry-After` date that is past, then as it should",
        SUCCESS,
        2,
        _RETRIED,
        [asks_to_wait(503, -3600.0), answers()],
    ),
    Fault(
        "retry-after-garbage",
        "answers 429 with `Retry-After: soon`, then as it should",
        SUCCESS,
        2,
        _RETRIED,
        [answers(429, b"{}", {"Retry-After": "soon"}), answers()],
    ),
    Fault(
        "retry-after-hour",
        "answers 429 with `Retry-After: 3600`",
        RATE_LIMIT,
        1,
        _ONCE,
        [answers(429, b"{}", {"Retry-After": "3600"})],
        retry_after=3600.0,
    ),
    Fault(
        "retry-after-hour-failing",
        "answers 503 with `Retry-After: 3600`",
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
            f"shows {words}",
            CERTIFICATE,
            0,
            _ONCE,
            certificate=certificate,
        )
        for certificate, words in (
            ("self-signed", "a certificate that nobody knows the signer of"),
            ("other-host", "a certificate for another host"),
            ("expired", "a certificate that has expired"),
            ("mutual", "a good certificate and wants one of the client's"),
        )
    ),
    Fault(
        "plain-http",
        "speaks plain HTTP on the port of https",
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
        host="https://127.0.0.1:{port}",
    ),
    Fault(
        "tls-stalls",
        "is silent in the TLS handshake",
        TIMEOUT,
        0,
        _RETRIED,
        [says(FOR_EVER)],
        reads=False,
        host="https://127.0.0.1:{port}",
    ),
    Fault(
        "tls-drips",
        "sends the TLS handshake one byte each half second",
        TIMEOUT,
        0,
        _RETRIED,
        [drips(b"\x16\x03\x03\x40\x00", bytes(1000))],
        reads=False,
        host="https://127.0.0.1:{port}",
    ),
    Fault(
        "tls-drips-body",
        "answers over TLS, the body one byte each half second",
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
        host=_PROXIED,
        environment=_PROXY,
    )


_WORKER = (
    Fault(
        "proxy-refused",
        "no process listens at the port in HTTPS_PROXY",
        UNREACHABLE,
        0,
        _RETRIED,
        host=_PROXIED,
        environment={"HTTPS_PROXY": "http://127.0.0.1:{closed_port}"},
    ),
    _proxy("closed", "closes the connection", CONNECTION, _RETRIED),
    _proxy("502", "answers 502", UNREACHABLE, _RETRIED, answer(502, b"")),
    _proxy("stalls", "is silent", TIMEOUT, _RETRIED, FOR_EVER),
    _proxy("403", "answers 403, it does not let through", CONFIGURATION, _ONCE, answer(403, b"")),
    _proxy("407", "answers 407, it wants a password", CONFIGURATION, _ONCE, answer(407, b"")),
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
        "REQUESTS_CA_BUNDLE names another CA than the Airflow connection, which is right",
        SUCCESS,
        1,
        _ONCE,
        certificate="good",
        environment={"REQUESTS_CA_BUNDLE": "{folder}/other_ca.pem"},
    ),
    Fault(
        "no-ca-bundle",
        "REQUESTS_CA_BUNDLE names a file that is not there",
        CONFIGURATION,
        0,
        _ONCE,
        certificate="good",
        environment={"REQUESTS_CA_BUNDLE": "{folder}/no-such-file"},
        extra={"ca_bundle": None},
    ),
    Fault(
        "no-conn-ca-bundle",
        "the Airflow connection names a CA file that is not there",
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
    *_SLOW,
    *_BODIES,
    *_REDIRECTS,
    *_REFUSALS,
    *_FAILURES,
    *_TLS,
    *_WORKER,
)
"""All faults, in the order of the page."""
