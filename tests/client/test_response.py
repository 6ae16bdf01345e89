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
from dev.faults.behaviours import answers
from tests.conftest import NOW, TOKEN
from tests.drivers import call_sync, fails, settings_for
from tests.sending import failure

PUT = Operation("PUT", "/path/", Effect.SETS, "thing", object, body=lambda body: body)
GZIP = {"Content-Encoding": "gzip"}
DEEP = b"[" * 100_000


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
def test_any_json(value: Any) -> None:
    assert made_of(json.dumps(value).encode(), 299, {"Content-Encoding": "IDENTITY"}) == value


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-le"])
def test_json_of_any_unicode_encoding(encoding: str) -> None:
    assert made_of('{"name": "\U0001f600"}'.encode(encoding)) == {"name": "\U0001f600"}


@pytest.mark.parametrize(
    "content",
    [
        *(b"\xff\xfe\x00", b'{"a": NaN}', b"Infinity", b"{" * 9, b"'x'", b"1e999", DEEP),
        *(b'{"id": ' + b"1" * 5000 + b"}", DEEP + b"]" * 100_000, b'"\xed\xa0\x80"'),
    ],
)
def test_no_json(content: bytes) -> None:
    said = str(error_of(exceptions.DatafoldAnswerError, content))
    assert "is not JSON (no content type, " in said
    assert "may have been carried out" in said


def test_no_json_says_what_came_in_its_place() -> None:
    headers = {"Content-Type": f"text/html; {TOKEN}"}
    said = str(error_of(exceptions.DatafoldAnswerError, b"<html>log in</html>", 200, headers))
    assert "is not JSON (text/html; ***, 19 bytes)" in said
    assert "log in<" not in said


def test_compressed_response_is_not_unpacked(serve: Any) -> None:
    serve(answers(200, gzip.compress(b" " * (300 << 20), 1), GZIP), extra={"timeout": 60})
    fails(call_sync, exceptions.DatafoldAnswerError, "the response is not JSON")


def test_packed_refusal_is_told_by_its_status() -> None:
    error_of(exceptions.DatafoldAuthenticationError, gzip.compress(b"{}"), 401, GZIP)


def test_response_is_shown_without_what_it_says() -> None:
    shown = repr(Response(200, {"Set-Cookie": TOKEN}, TOKEN.encode()))
    assert shown == f"Response(200, {len(TOKEN)} bytes)"


class Interrupted(BaseException):
    """Raised in the handler of a signal, as Airflow does when a task's time is over."""


class Interrupts(dict[str, str]):
    """The header of a response, where the signal comes while it is read."""

    def get(self, *_: Any) -> Any:
        raise Interrupted


@pytest.mark.parametrize("status", [200, 422])
def test_task_that_is_interrupted_while_it_reads_a_response(status: int) -> None:
    conversation = asked()
    with pytest.raises(Interrupted) as caught:
        conversation.send(Response(status, Interrupts(), TOKEN.encode()))
    # The frames below would show the response.
    functions = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert functions[1:] == ["converse"]
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("statuses", "kind", "said"),
    [
        ([401], exceptions.DatafoldAuthenticationError, "API key"),
        ([403], exceptions.DatafoldPermissionError, "permission"),
        ([404], exceptions.DatafoldNotFoundError, "there is no such thing, or no Datafold API"),
        ([409], exceptions.DatafoldConflictError, "state of the thing"),
        ([422], exceptions.DatafoldValidationError, "refused"),
        ([400, 405, 499], exceptions.DatafoldRejectedError, "refused"),
        ([408, 425, 500, 503, 599], exceptions.DatafoldServerError, "again later"),
        ([429], exceptions.DatafoldRateLimitError, "too many requests"),
        ([300, 399], exceptions.DatafoldRedirectError, "not followed"),
    ],
)
def test_status(statuses: list[int], kind: type[Any], said: str) -> None:
    for status in statuses:
        error = error_of(kind, f"<html>{TOKEN}</html>".encode(), status)
        assert (error.method, error.path) == ("PUT", "/path/")
        assert said in str(error)
        assert "html" not in str(error)
        assert (error.errors, error.retry_after) == ((), None)


def http_date(seconds: float) -> str:
    """A date, so many seconds after a time long ago."""
    return format_datetime(datetime.fromtimestamp(NOW + seconds, timezone.utc), True)


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "3600"},
        # By the service's clock.
        {"Retry-After": http_date(3600), "Date": http_date(0)},
    ],
)
def test_wait_that_the_service_asks_for(headers: dict[str, str]) -> None:
    for status, kind in (
        (429, exceptions.DatafoldRateLimitError),
        (500, exceptions.DatafoldServerError),
    ):
        error = error_of(kind, b"", status, headers)
        assert error.retry_after == 3600
        assert "the service asks to wait 3600 s" in str(error)


def test_wait_until_a_date_by_our_own_clock() -> None:
    date = format_datetime(datetime.now(timezone.utc) + timedelta(hours=1), True)
    error = error_of(exceptions.DatafoldServerError, b"", 503, {"Retry-After": date})
    assert 3000 <= error.retry_after <= 3600


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        (f"https://{TOKEN}.acme.io/sso?key={TOKEN}", "to ***.acme.io. "),
        ("/login", "to the same host. "),
        ("https://[bad", "to the same host. "),
        ("https://" + "a" * 500, "to " + "a" * 200 + "..."),
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
    given = {"token": TOKEN, "note": "planted"}
    detail = [
        {"loc": ["body", "bindings", 0, "remoteId"], "msg": "Field required", "input": given},
        {"loc": ["body", TOKEN], "msg": f"no {TOKEN}\nhere"},
        {"loc": ["body", {"token": "planted-a"}], "msg": {"token": "planted-b", "echo": [TOKEN]}},
        *({"loc": "body", "msg": "no list"}, {"loc": {"token": "planted-c"}, "msg": "planted-d"}),
        *({"msg": "no loc"}, "no object", {"loc": [], "msg": ["planted-e"]}),
    ]
    error = refusal({"detail": detail})
    assert error.errors == (
        ("body.bindings.0.remoteId", "Field required"),
        ("body.***", "no ***?here"),
        ("body", "is wrong"),
        ("", "is wrong"),
    )
    assert "body.bindings.0.remoteId: Field required; body.***: no ***?here; body:" in str(error)
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
    [b"", b"\xff", b"[]", b"5", b'{"detail": "text"}', b'{"detail": {"loc": []}}', b"{}", DEEP],
)
def test_validation_error_of_another_shape(content: bytes) -> None:
    assert refusal(content).errors == ()


def test_only_422_has_field_errors() -> None:
    assert refusal({"detail": [{"loc": ["a"], "msg": "b"}]}, status=400).errors == ()
