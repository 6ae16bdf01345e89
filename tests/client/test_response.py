"""What the hook makes of an answer: its JSON, or an error that says what to do."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.api import bi
from airflow_provider_datafold.client.conversation import converse
from airflow_provider_datafold.client.response import Response
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.redaction.secret import Secret
from dev.faults.behaviours import answers
from tests.conftest import API_KEY, TOKEN
from tests.sending import ask, failure


@pytest.mark.parametrize("value", [None, True, 7, 1.5, "text", "\U0001f600", [], {"id": 7}])
@pytest.mark.parametrize("status", [200, 201, 299])
def test_any_json(serve: Any, value: Any, status: int) -> None:
    serve(answers(status, json.dumps(value).encode()))
    assert ask() == value


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-le"])
def test_json_of_any_unicode_encoding(serve: Any, encoding: str) -> None:
    serve(answers(200, '{"name": "\U0001f600"}'.encode(encoding)))
    assert ask() == {"name": "\U0001f600"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>log in</html>",
        b"\xff\xfe\x00",
        b'{"a": NaN}',
        b"Infinity",
        b"{" * 9,
        b"'x'",
        b"1e999",
    ]
    + [b"[" * 100_000, rb'"\ud800"', b'"\xed\xa0\x80"', r'"\ud800"'.encode("utf-16")],
)
def test_no_json(serve: Any, content: bytes) -> None:
    serve(answers(200, content, {"Content-Type": f"text/html; {TOKEN}"}))
    error = failure(exceptions.DatafoldAnswerError)
    assert error.status_code == 200
    assert "200, " in str(error)
    assert "may have been carried out" in str(error)


def test_no_json_says_what_came_in_its_place(serve: Any) -> None:
    serve(answers(200, b"<html>log in</html>", {"Content-Type": f"text/html; {TOKEN}"}))
    error = failure(exceptions.DatafoldAnswerError)
    assert "JSON" in str(error)
    assert "text/html; ***" in str(error)
    assert "19 bytes" in str(error)
    assert "log in<" not in str(error)


def test_no_json_without_content_type(serve: Any) -> None:
    serve(answers(204, b"", {"Content-Type": ""}))
    error = failure(exceptions.DatafoldAnswerError)
    assert error.status_code == 204
    assert "no content type" in str(error)


# Values that Airflow cannot keep, or that take much memory.

MOST_VALUES = 524_288
"""How many values a response may have."""


def wrong(serve: Any, content: bytes) -> str:
    serve(answers(200, content), extra={"timeout": 60})
    error = failure(exceptions.DatafoldAnswerError)
    assert error.status_code == 200
    assert "may have been carried out" in str(error)
    return str(error)


@pytest.mark.parametrize("one", [b"1", b'"a"', b"{}", b"[]"])
def test_too_many_values(serve: Any, one: bytes) -> None:
    content = b"[" + b",".join([one] * (MOST_VALUES + 1)) + b"]"
    assert f"has more than {MOST_VALUES} values. Request less" in wrong(serve, content)


def test_as_many_values_as_there_may_be(serve: Any) -> None:
    content = b"[" + b",".join([b"1"] * MOST_VALUES) + b"]"
    serve(answers(200, content), extra={"timeout": 60})
    assert ask() == [1] * MOST_VALUES


@pytest.mark.parametrize(
    "text",
    [
        "," * 2 * MOST_VALUES,
        # Quotation marks and backslashes, in every place where a piece may begin.
        '"' + ",[{" * MOST_VALUES,
        ("," * 9 + '"') * (MOST_VALUES // 4),
        ("," * 9 + "\\") * (MOST_VALUES // 4),
        "," * MOST_VALUES + '\\"',
    ],
    ids=["commas", "one quotation mark", "quotation marks", "backslashes", "both"],
)
def test_what_stands_in_a_text_is_no_value(serve: Any, text: str) -> None:
    content = json.dumps([text, 7, text]).encode()
    serve(answers(200, content), extra={"timeout": 60})
    assert ask() == [text, 7, text]
    # Everything after the end of a string is counted.
    more = content[:-1] + b",1" * MOST_VALUES + b"]"
    assert f"has more than {MOST_VALUES} values" in wrong(serve, more)


@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a": ', "}")])
def test_too_deep(serve: Any, opens: str, closes: str) -> None:
    content = opens * 101 + "7" + closes * 101
    serve(answers(200, content.encode()))
    assert ask() == json.loads(content)
    assert "is nested more than 100 deep" in wrong(serve, f"{opens}{content}{closes}".encode())


@pytest.mark.parametrize(
    "key", ["__classname__", "__data__", "__version__", "__type", "__var", "__id__"]
)
def test_key_that_airflow_keeps_for_itself(serve: Any, key: str) -> None:
    said = f"has the key {key!r}, which Airflow reserves for itself"
    assert said in wrong(serve, json.dumps({key: 1}).encode())
    said = f"has the key {key!r} at .a[1].b, which Airflow reserves for itself"
    assert said in wrong(serve, json.dumps({"a": [0, {"b": {"c": 1, key: 2}}]}).encode())
    escaped = json.dumps({key: 1}).replace("__", r"\u005f_")
    assert f"has the key {key!r}" in wrong(serve, escaped.encode())
    serve(answers(200, json.dumps([key, {f"{key}x": key}]).encode()))
    assert ask() == [key, {f"{key}x": key}]


def test_characters_that_xcom_cannot_keep(serve: Any) -> None:
    nul, half = rb'{"a": ["x\u0000"]}', rb'{"a": ["x\ud800"]}'
    assert "has a NUL character at .a[0], which databases refuse" in wrong(serve, nul)
    assert "has a lone surrogate at .a[0], which UTF-8 cannot encode" in wrong(serve, half)


def test_response_is_shown_without_what_it_says() -> None:
    shown = repr(Response(200, {"Set-Cookie": TOKEN}, TOKEN.encode()))
    assert TOKEN not in shown
    assert shown == f"Response(200, {len(TOKEN)} bytes)"


class Interrupted(BaseException):
    """Raised in the handler of a signal, as Airflow does when a task's time is over."""


class Interrupts(dict[str, str]):
    """The header of a response, where the signal comes while it is read."""

    def get(self, *_: Any) -> Any:
        raise Interrupted


@pytest.mark.parametrize("status", [200, 422, 503])
def test_task_that_is_interrupted_while_it_reads_a_response(status: int) -> None:
    settings = Settings("mine", "https://datafold.test", Secret(API_KEY), max_retries=0)
    request = bi.GET.request(bi_datasource_id=7)
    conversation = converse(request, settings, logging.getLogger("tests"))
    next(conversation)
    with pytest.raises(Interrupted) as caught:
        conversation.send(Response(status, Interrupts(), TOKEN.encode()))
    # The frames below would show the response.
    functions = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert functions[1:] == ["converse"]
    assert caught.value.__context__ is None


STATUSES = [
    (401, exceptions.DatafoldAuthenticationError, "API key"),
    (403, exceptions.DatafoldPermissionError, "permission"),
    (409, exceptions.DatafoldConflictError, "state"),
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
]


@pytest.mark.parametrize(("status", "kind", "said"), STATUSES)
def test_status(serve: Any, status: int, kind: type[Any], said: str) -> None:
    serve(answers(status, f"<html>{TOKEN}</html>".encode()))
    error = failure(kind)
    assert (error.method, error.path, error.status_code) == ("PUT", "/path/", status)
    assert f"{status}, " in str(error)
    assert error.summary.startswith(f"{status}, ")
    assert said in str(error)
    assert "html" not in str(error)
    assert error.errors == ()
    assert error.retry_after is None


def test_not_found(serve: Any) -> None:
    serve(answers(404))
    error = failure(exceptions.DatafoldNotFoundError)
    assert error.status_code == 404
    assert "404, " in str(error)
    assert "host" in str(error)


@pytest.mark.parametrize("status", [429, 503, 500])
def test_retry_after(serve: Any, status: int) -> None:
    serve(answers(status, b"", {"Retry-After": "3600"}))
    with pytest.raises(exceptions.DatafoldTransientError) as caught:
        ask()
    assert caught.value.retry_after == 3600
    assert "wait 3600 s" in str(caught.value)


EAST = timezone(timedelta(hours=5))


def date(seconds: float, zone: timezone = timezone.utc) -> str:
    return format_datetime(
        (datetime.now(timezone.utc) + timedelta(seconds=seconds)).astimezone(zone)
    )


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("7", 7),
        ("1", 1),
        ("0.5", 0.5),
        (" 7 ", 7),
        ("1.5", 1.5),
        ("99999999999", 99999999999),
        ("0", None),
        ("-5", None),
        ("1e3", None),
        ("soon", None),
        ("", None),
        ("٧", None),
        ("9" * 5000, 1e12),
        ("Fri, 99 Jan 2026 03:04:15 GMT", None),
        ("Fri, 02 Jan 99999999999 03:04:15 GMT", None),
    ],
)
def test_what_the_service_asks_for(serve: Any, asked: str, seconds: float | None) -> None:
    serve(answers(503, b"", {"Retry-After": asked}))
    assert failure(exceptions.DatafoldServerError).retry_after == seconds


@pytest.mark.parametrize(
    ("zone", "written"),
    [(timezone.utc, "GMT"), (timezone.utc, "-0000"), (EAST, "+0500")],
)
def test_the_service_may_ask_with_a_date(serve: Any, zone: timezone, written: str) -> None:
    asked = date(3600, zone)[: -len("+0000")] + written
    serve(answers(503, b"", {"Retry-After": asked}))
    seconds = failure(exceptions.DatafoldServerError).retry_after
    assert seconds is not None
    assert 3500 < seconds <= 3600


def test_a_date_counts_by_the_clock_of_the_service(serve: Any) -> None:
    serve(answers(503, b"", {"Date": date(86_400), "Retry-After": date(86_430)}))
    assert failure(exceptions.DatafoldServerError).retry_after == pytest.approx(30, abs=1)


@pytest.mark.parametrize("seconds", [0, -86_400])
def test_a_date_that_is_past_asks_for_nothing(serve: Any, seconds: float) -> None:
    serve(answers(503, b"", {"Retry-After": date(seconds)}))
    assert failure(exceptions.DatafoldServerError).retry_after is None


@pytest.mark.parametrize(
    ("number", "is_kept"),
    [(2**64 - 1, True), (2**64, False), (-(2**63), True), (-(2**63) - 1, False)],
)
def test_an_integer_has_64_bits_at_most(serve: Any, number: int, is_kept: bool) -> None:
    serve(answers(200, json.dumps([number]).encode()))
    if is_kept:
        assert ask() == [number]
    else:
        error = failure(exceptions.DatafoldAnswerError)
        assert "the response has an integer of more than 64 bits at [0]." in str(error)


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
def test_redirect(serve: Any, location: str, shown: str) -> None:
    serve(answers(302, b"", {"Location": location}))
    error = failure(exceptions.DatafoldRedirectError)
    assert error.status_code == 302
    assert shown in str(error)
    assert "connection's host" in str(error)


# Errors of a request.


def refused(serve: Any, content: Any, status: int = 422) -> exceptions.DatafoldError:
    serve(answers(status, content if isinstance(content, bytes) else json.dumps(content).encode()))
    kinds = {422: exceptions.DatafoldValidationError, 400: exceptions.DatafoldRejectedError}
    return failure(kinds[status])


def test_validation_errors_name_the_fields_and_nothing_that_was_sent(serve: Any) -> None:
    detail = [
        {
            "loc": ["body", "bindings", 0, "remoteId"],
            "msg": "Field required",
            "type": "missing",
            "input": {"token": TOKEN, "note": "an input"},
        },
        {"loc": ["body", TOKEN], "msg": f"no {TOKEN}\nhere"},
    ]
    error = refused(serve, {"detail": detail})
    assert error.errors == (
        ("body.bindings.0.remoteId", "Field required"),
        ("body.***", "no ***?here"),
    )
    assert "body.bindings.0.remoteId: Field required" in str(error)
    assert "body.***: no ***?here" in str(error)
    assert "an input" not in str(error)


def test_validation_errors_of_odd_shapes(serve: Any) -> None:
    detail = [
        {"loc": "body", "msg": "no list"},
        {"loc": ["body", {"a": 1}], "msg": 5},
        {"msg": "no loc"},
        "no object",
        {"loc": []},
    ]
    assert refused(serve, {"detail": detail}).errors == (("body", "is wrong"), ("", "is wrong"))


def test_long_validation_errors_are_cut_after_the_secrets_are_out(serve: Any) -> None:
    message = "x" * 195 + TOKEN + "y" * 100
    error = refused(serve, {"detail": [{"loc": ["a"], "msg": message}] * 50})
    assert len(error.errors) == 20
    assert error.errors[0][1] == "x" * 195 + "***yy..."
    (whole,) = refused(serve, {"detail": [{"loc": ["a"], "msg": "x" * 200}]}).errors
    assert whole == ("a", "x" * 200)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"[]", b"5", b'{"detail": "text"}', b'{"detail": {"loc": []}}', b"{}"]
    + [b"[" * 100_000, b"null"],
)
def test_validation_error_of_another_shape(serve: Any, content: bytes) -> None:
    error = refused(serve, content)
    assert error.errors == ()
    assert "422, " in str(error)


def test_only_422_has_field_errors(serve: Any) -> None:
    assert refused(serve, {"detail": [{"loc": ["a"], "msg": "b"}]}, status=400).errors == ()
