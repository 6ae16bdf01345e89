"""What is made of a response: its JSON, or an error that says what to do."""

from __future__ import annotations

import gzip
import json
import logging
import traceback
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.api.operation import Effect, Operation
from airflow_provider_datafold.client.conversation import Conversation, converse
from airflow_provider_datafold.client.response import Response
from airflow_provider_datafold.redaction.secret import conceal
from dev.faults.behaviours import answers, bomb
from dev.faults.server import Behaviour
from tests.conftest import NOW, TOKEN
from tests.drivers import settings_for
from tests.sending import failure

PUT = Operation("PUT", "/path/", Effect.SETS, "thing", object, body=lambda body: body)


def asked() -> Conversation:
    """Begin a call that has sent its request, with a secret in it."""
    settings = settings_for("https://datafold.test")
    request = PUT.request(conceal({"token": TOKEN}))
    conversation = converse(request, settings, logging.getLogger("tests"))
    next(conversation)
    return conversation


def made_of(content: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Any:
    try:
        asked().send(Response(status, headers or {}, content))
    except StopIteration as end:
        return end.value


def error_of(
    kind: type[exceptions.DatafoldError],
    content: bytes,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Any:
    error = failure(kind, lambda: made_of(content, status, headers))
    assert error.status_code == status
    assert error.summary.startswith(f"{status}, ")
    return error


@pytest.mark.parametrize("value", [None, True, 7, 1.5, "text", "\U0001f600", [], {"id": 7}])
@pytest.mark.parametrize("status", [200, 201, 299])
def test_any_json(value: Any, status: int) -> None:
    assert made_of(json.dumps(value).encode(), status) == value


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-le"])
def test_json_of_any_unicode_encoding(encoding: str) -> None:
    assert made_of('{"name": "\U0001f600"}'.encode(encoding)) == {"name": "\U0001f600"}


def wrong(content: bytes, status: int = 200, headers: dict[str, str] | None = None) -> str:
    """Return what is said of a response that cannot be used."""
    said = str(error_of(exceptions.DatafoldAnswerError, content, status, headers))
    assert "may have been carried out" in said
    return said


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"<html>log in</html>", b"\xff\xfe\x00", b'{"a": NaN}', b"Infinity", b"{" * 9),
        *(
            b"'x'",
            b"1e999",
            b'{"id": ' + b"1" * 5000 + b"}",
            b"[" * 100_000,
            b'"\xed\xa0\x80"',
        ),
    ],
)
def test_no_json(content: bytes) -> None:
    wrong(content)


def test_no_json_says_what_came_in_its_place() -> None:
    said = wrong(b"<html>log in</html>", headers={"Content-Type": f"text/html; {TOKEN}"})
    assert "is not JSON (text/html; ***, 19 bytes)" in said
    assert "log in<" not in said
    assert "no content type" in wrong(b"", 204)


@pytest.mark.parametrize(
    ("behaviour", "encoding"),
    [
        (answers(200, gzip.compress(b'{"a": 1}'), {"Content-Encoding": "gzip"}), "gzip"),
        (answers(200, b"no gzip", {"Content-Encoding": "gzip"}), "gzip"),
        (answers(200, b'{"a": 1}', {"Content-Encoding": "br"}), "br"),
        (bomb(1), "gzip"),
        (bomb(2), "gzip, gzip"),
    ],
    ids=["packed", "broken", "another encoding", "huge", "huge twice"],
)
def test_compressed_response_is_refused(serve: Any, behaviour: Behaviour, encoding: str) -> None:
    server = serve(behaviour, extra={"timeout": 60, "max_retries": 3})
    error = failure(exceptions.DatafoldAnswerError)
    assert error.status_code == 200
    assert f"compressed ({encoding})" in str(error)
    assert "may have been carried out" in str(error)
    (request,) = server.requests
    assert request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("encoding", ["identity", "IDENTITY"])
def test_response_that_says_it_is_not_compressed_is_accepted(encoding: str) -> None:
    assert made_of(b'{"a": 1}', headers={"Content-Encoding": encoding}) == {"a": 1}


def test_packed_refusal_is_told_by_its_status() -> None:
    packed = gzip.compress(b"{}")
    error_of(exceptions.DatafoldAuthenticationError, packed, 401, {"Content-Encoding": "gzip"})


def test_too_deep() -> None:
    assert "is not JSON" in wrong(b"[" * 100_000 + b"]" * 100_000)


def test_response_is_shown_without_what_it_says() -> None:
    shown = repr(Response(200, {"Set-Cookie": TOKEN}, TOKEN.encode()))
    assert shown == f"Response(200, {len(TOKEN)} bytes)"


class Interrupted(BaseException):
    """Raised in the handler of a signal, as Airflow does when a task's time is over."""


class Interrupts(dict[str, str]):
    """The header of a response, where the signal comes while it is read."""

    def get(self, *_: Any) -> Any:
        raise Interrupted


@pytest.mark.parametrize("status", [200, 422, 503])
def test_task_that_is_interrupted_while_it_reads_a_response(status: int) -> None:
    conversation = asked()
    with pytest.raises(Interrupted) as caught:
        conversation.send(Response(status, Interrupts(), TOKEN.encode()))
    # The frames below would show the response.
    functions = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert functions[1:] == ["converse"]
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, exceptions.DatafoldAuthenticationError, "API key"),
        (403, exceptions.DatafoldPermissionError, "permission"),
        (404, exceptions.DatafoldNotFoundError, "there is no such thing, or no Datafold API"),
        (409, exceptions.DatafoldConflictError, "state of the thing"),
        (422, exceptions.DatafoldValidationError, "refused"),
        (400, exceptions.DatafoldRejectedError, "refused"),
        (405, exceptions.DatafoldRejectedError, "refused"),
        (499, exceptions.DatafoldRejectedError, "refused"),
        (408, exceptions.DatafoldServerError, "again later"),
        (425, exceptions.DatafoldServerError, "again later"),
        (429, exceptions.DatafoldRateLimitError, "too many requests"),
        (500, exceptions.DatafoldServerError, "again later"),
        (503, exceptions.DatafoldServerError, "again later"),
        (599, exceptions.DatafoldServerError, "again later"),
        (300, exceptions.DatafoldRedirectError, "not followed"),
        (399, exceptions.DatafoldRedirectError, "not followed"),
    ],
)
def test_status(status: int, kind: type[Any], said: str) -> None:
    error = error_of(kind, f"<html>{TOKEN}</html>".encode(), status)
    assert (error.method, error.path) == ("PUT", "/path/")
    assert said in str(error)
    assert "html" not in str(error)
    assert (error.errors, error.retry_after) == ((), None)


def http_date(seconds: float) -> str:
    """A date, so many seconds after a time long ago."""
    return format_datetime(datetime.fromtimestamp(NOW + seconds, timezone.utc), True)


@pytest.mark.parametrize("status", [429, 503, 500])
@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "3600"},
        # By the service's clock.
        {"Retry-After": http_date(3600), "Date": http_date(0)},
    ],
)
def test_wait_that_the_service_asks_for(status: int, headers: dict[str, str]) -> None:
    is_limit = status == 429
    kind = exceptions.DatafoldRateLimitError if is_limit else exceptions.DatafoldServerError
    error = error_of(kind, b"", status, headers)
    assert error.retry_after == 3600
    assert "the service asks to wait 3600 s" in str(error)


@pytest.mark.parametrize(("ahead", "least", "most"), [(3600, 3500, 3600), (-86_400, 0, 0)])
def test_wait_until_a_date_by_our_own_clock(ahead: float, least: float, most: float) -> None:
    date = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=ahead), True)
    error = error_of(exceptions.DatafoldServerError, b"", 503, {"Retry-After": date})
    assert least <= (error.retry_after or 0) <= most


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        (f"https://login.acme.io/sso?key={TOKEN}", "to login.acme.io. "),
        (f"https://{TOKEN}.acme.io/", "to ***.acme.io. "),
        ("/login", "to the same host. "),
        ("https://[bad", "to the same host. "),
        ("https://" + "a" * 500, "to " + "a" * 200 + "..."),
        ("https://PLANTED-" + "x", "to planted-x. "),
    ],
)
def test_redirect(location: str, shown: str) -> None:
    error = error_of(exceptions.DatafoldRedirectError, b"", 302, {"Location": location})
    assert shown in str(error)
    assert "connection's host" in str(error)


# Errors of a request.


def refusal(content: Any, status: int = 422) -> Any:
    written = content if isinstance(content, bytes) else json.dumps(content).encode()
    kinds = {422: exceptions.DatafoldValidationError, 400: exceptions.DatafoldRejectedError}
    return error_of(kinds[status], written, status)


def test_validation_errors_name_the_fields_and_nothing_that_was_sent() -> None:
    detail = [
        {
            "loc": ["body", "bindings", 0, "remoteId"],
            "msg": "Field required",
            "type": "missing",
            "input": {"token": TOKEN, "note": "an input"},
        },
        {"loc": ["body", TOKEN], "msg": f"no {TOKEN}\nhere"},
    ]
    error = refusal({"detail": detail})
    assert error.errors == (
        ("body.bindings.0.remoteId", "Field required"),
        ("body.***", "no ***?here"),
    )
    assert "body.bindings.0.remoteId: Field required; body.***: no ***?here" in str(error)
    assert "an input" not in str(error)


def test_validation_errors_of_odd_shapes() -> None:
    detail = [
        {"loc": "body", "msg": "no list"},
        {"loc": ["body", {"token": "planted-a"}], "msg": {"token": "planted-b", "echo": [TOKEN]}},
        {"loc": {"token": "planted-c"}, "msg": "planted-d"},
        {"msg": "no loc"},
        "no object",
        {"loc": [], "msg": ["planted-e"]},
        {"loc": ["name"], "msg": 5},
    ]
    error = refusal({"detail": detail})
    assert error.errors == (("body", "is wrong"), ("", "is wrong"), ("name", "is wrong"))
    assert "planted" not in str(error)


def test_long_validation_errors_are_cut_after_the_secrets_are_out() -> None:
    message = "x" * 195 + TOKEN + "y" * 100
    error = refusal({"detail": [{"loc": ["a"], "msg": message}] * 50})
    assert len(error.errors) == 20
    assert error.errors[0][1] == "x" * 195 + "***yy..."
    (whole,) = refusal({"detail": [{"loc": ["a"], "msg": "x" * 200}]}).errors
    assert whole == ("a", "x" * 200)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"[]", b"5", b'{"detail": "text"}', b'{"detail": {"loc": []}}', b"{}"]
    + [b"[" * 100_000, b"null"],
)
def test_validation_error_of_another_shape(content: bytes) -> None:
    assert refusal(content).errors == ()


def test_only_422_has_field_errors() -> None:
    assert refusal({"detail": [{"loc": ["a"], "msg": "b"}]}, status=400).errors == ()
