from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
from airflow_provider_datafold.answer import Answer, parse

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.redaction.redactor import Redactor

SECRET = "Planted-Secret"
REDACTOR = Redactor([SECRET])


def error(status: int, content: Any = b"", **headers: str) -> exceptions.DatafoldError:
    if not isinstance(content, bytes):
        content = json.dumps(content).encode()
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    with pytest.raises(exceptions.DatafoldError) as caught:
        parse(Answer(status, fields, content), REDACTOR)
    assert SECRET not in str(caught.value)
    assert caught.value.status_code == status
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize("value", [None, True, 7, 1.5, "text", "\U0001f600", [], {"id": 7}])
@pytest.mark.parametrize("status", [200, 201, 299])
def test_any_json(value: Any, status: int) -> None:
    assert parse(Answer(status, {}, json.dumps(value).encode()), REDACTOR) == value


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-le"])
def test_json_of_any_unicode_encoding(encoding: str) -> None:
    content = '{"name": "\U0001f600"}'.encode(encoding)
    assert parse(Answer(200, {}, content), REDACTOR) == {"name": "\U0001f600"}


def test_secrets_are_replaced() -> None:
    content = json.dumps({"a": [SECRET], "token": "another"}).encode()
    assert parse(Answer(200, {}, content), REDACTOR) == {"a": ["***"], "token": "***"}


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
def test_no_json(content: bytes) -> None:
    caught = error(200, content, Content_Type=f"text/html; {SECRET}")
    assert type(caught) is exceptions.DatafoldAnswerError
    assert str(caught) == (
        f"200, but the answer is no JSON: text/html; ***, {len(content)} bytes. The request may "
        f"have been carried out. A login page or a proxy's page looks like this: check the "
        f"connection's host"
    )


def test_no_json_without_content_type() -> None:
    assert "no JSON: no content type, 0 bytes" in str(error(204))


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, exceptions.DatafoldAuthenticationError, "401, the API key was refused. Put a valid"),
        (403, exceptions.DatafoldPermissionError, "403, the API key's user may not do this. Ask"),
        (404, exceptions.DatafoldNotFoundError, "404, there is no such integration, or no Dataf"),
        (409, exceptions.DatafoldConflictError, "409, the request is at odds with the integrati"),
        (422, exceptions.DatafoldValidationError, "422, the request was refused"),
        (400, exceptions.DatafoldRejectedError, "400, the request was refused. Check it and the"),
        (405, exceptions.DatafoldRejectedError, "405, the request was refused. Check it and the"),
        (499, exceptions.DatafoldRejectedError, "499, the request was refused. Check it and the"),
        (199, exceptions.DatafoldRejectedError, "199, the request was refused. Check it and the"),
        (408, exceptions.DatafoldServerError, "408, the service gave up waiting for the request"),
        (425, exceptions.DatafoldServerError, "425, the service does not want the request yet."),
        (429, exceptions.DatafoldRateLimitError, "429, too many requests. Try again later"),
        (500, exceptions.DatafoldServerError, "500, the service failed. Try again later"),
        (503, exceptions.DatafoldServerError, "503, the service failed. Try again later"),
        (599, exceptions.DatafoldServerError, "599, the service failed. Try again later"),
        (300, exceptions.DatafoldRedirectError, "300, a redirect to the same host. It was not f"),
        (399, exceptions.DatafoldRedirectError, "399, a redirect to the same host. It was not f"),
    ],
)
def test_status(status: int, kind: type[Exception], said: str) -> None:
    caught = error(status, f"<html>{SECRET}</html>".encode())
    assert type(caught) is kind
    assert str(caught).startswith(said)
    assert caught.errors == ()
    assert caught.retry_after is None


@pytest.mark.parametrize("status", [429, 503, 500])
def test_retry_after(status: int) -> None:
    caught = error(status, Retry_After="3600")
    assert caught.retry_after == 3600
    assert str(caught).endswith("; the service asks to wait 3600 s")


def test_retry_after_as_a_date() -> None:
    date = format_datetime(datetime.now(timezone.utc) + timedelta(hours=1), usegmt=True)
    seconds = error(503, Retry_After=date).retry_after
    assert seconds is not None
    assert 3590 < seconds <= 3600


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://login.acme.io/sso?key=Planted-Secret", "a redirect to login.acme.io. It"),
        ("https://Planted-Secret.acme.io/", "a redirect to ***.acme.io. It"),
        ("/login", "a redirect to the same host. It"),
        ("https://[bad", "a redirect to the same host. It"),
        ("https://" + "a" * 500, "a redirect to " + "a" * 200 + "...."),
        ("https://PLANTED-" + "x", "a redirect to planted-x. It"),
    ],
)
def test_redirect(location: str, shown: str) -> None:
    text = str(error(302, Location=location))
    assert shown in text
    assert "check the connection's host" in text.lower()


def test_validation_errors_name_the_fields_and_nothing_that_was_sent() -> None:
    detail = [
        {
            "loc": ["body", "bindings", 0, "remoteId"],
            "msg": "Field required",
            "type": "missing",
            "input": {"token": SECRET},
        },
        {"loc": ["body", SECRET], "msg": f"no {SECRET}\nhere"},
        {"loc": "body", "msg": "no list"},
        {"loc": ["body", {"a": 1}], "msg": 5},
        {"msg": "no loc"},
        "no object",
        {"loc": []},
    ]
    caught = error(422, {"detail": detail})
    assert caught.errors == (
        ("body.bindings.0.remoteId", "Field required"),
        ("body.***", "no ***?here"),
        ("body", "5"),
        ("", ""),
    )
    assert str(caught).startswith(
        "422, the request was refused: body.bindings.0.remoteId: Field required; body.***: no"
    )
    assert str(caught).endswith("Correct what it names")


def test_long_validation_errors_are_cut_after_the_secrets_are_out() -> None:
    message = "x" * 195 + SECRET + "y" * 100
    caught = error(422, {"detail": [{"loc": ["a"], "msg": message}] * 50})
    assert len(caught.errors) == 20
    assert caught.errors[0][1] == "x" * 195 + "***yy..."
    (whole,) = error(422, {"detail": [{"loc": ["a"], "msg": "x" * 200}]}).errors
    assert whole == ("a", "x" * 200)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"[]", b"5", b'{"detail": "text"}', b'{"detail": {"loc": []}}', b"{}"]
    + [b"[" * 100_000, b"null"],
)
def test_validation_error_of_another_shape(content: bytes) -> None:
    caught = error(422, content)
    assert caught.errors == ()
    assert str(caught) == "422, the request was refused"


def test_only_422_has_field_errors() -> None:
    assert error(400, {"detail": [{"loc": ["a"], "msg": "b"}]}).errors == ()
