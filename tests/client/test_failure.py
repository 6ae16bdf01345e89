"""What the errors of a broken request say, and which exceptions they follow."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from airflow_provider_datafold.client import failure
from airflow_provider_datafold.client.failure import Causes
from airflow_provider_datafold.exceptions import DatafoldCertificateError


def tls_error(reason: str | None, kind: type[ssl.SSLError] = ssl.SSLError) -> ssl.SSLError:
    error = kind(1, "tls")
    error.reason = reason  # type: ignore[assignment]
    return error


def said(error: BaseException) -> str | None:
    found = failure.tls(Causes(error))
    assert found is None or type(found) is DatafoldCertificateError
    return str(found) if found else None


@pytest.mark.parametrize(
    ("reason", "is_plain"),
    [
        ("WRONG_VERSION_NUMBER", True),
        ("RECORD_LAYER_FAILURE", True),
        ("PACKET_LENGTH_TOO_LONG", True),
        ("UNKNOWN_PROTOCOL", True),
        ("TLSV1_ALERT_UNKNOWN_CA", False),
    ],
)
def test_a_port_without_tls(reason: str, is_plain: bool) -> None:
    text = said(tls_error(reason)) or ""
    assert text.startswith(f"the TLS handshake failed ({reason}). ")
    assert ("does not speak https" in text) is is_plain
    assert ("'ca_bundle' or REQUESTS_CA_BUNDLE" in text) is not is_plain


def test_a_handshake_that_fails_for_no_reason() -> None:
    assert (said(tls_error(None)) or "").startswith(
        "the TLS handshake failed (no reason given). Check that the host speaks https"
    )


@pytest.mark.parametrize(
    ("message", "reason"),
    [("expired", "expired"), ("", "it cannot be verified"), (None, "it cannot be verified")],
)
def test_a_certificate_that_is_refused(message: str | None, reason: str) -> None:
    error = tls_error("CERTIFICATE_VERIFY_FAILED", ssl.SSLCertVerificationError)
    if message is not None:
        error.verify_message = message  # type: ignore[attr-defined]
    text = said(error) or ""
    assert text.startswith(f"the TLS certificate was refused ({reason}). If your own CA")


@pytest.mark.parametrize(
    "kind",
    [ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError],
)
def test_a_connection_that_breaks_during_tls_is_not_about_tls(kind: type[ssl.SSLError]) -> None:
    assert said(tls_error("EOF", kind)) is None
    assert said(OSError("other")) is None


def test_a_system_that_cannot_send_during_tls_is_not_about_tls() -> None:
    error = tls_error(None)
    error.library = "SYS"
    assert said(error) is None


def chain(**links: Any) -> BaseException:
    error = ValueError(links.pop("argument", "text"))
    for name, value in links.items():
        setattr(error, name, value)
    return error


@pytest.mark.parametrize("link", ["argument", "__cause__", "__context__"])
def test_an_exception_is_found_wherever_another_keeps_it(link: str) -> None:
    inner = KeyError("inner")
    outermost = chain(**{link: chain(**{link: inner})})
    assert Causes(outermost).first(KeyError) is inner
    assert Causes(outermost).first(OSError) is None


@pytest.mark.parametrize(
    ("link", "other"), [("__context__", "__cause__"), ("__cause__", "__context__")]
)
def test_the_nearest_of_several_exceptions_is_found(link: str, other: str) -> None:
    near, far = KeyError("near"), KeyError("far")
    deep = chain(__cause__=far)
    assert Causes(chain(**{link: near, other: deep})).first(KeyError) is near


def test_exceptions_in_a_circle_have_an_end() -> None:
    first, second = ValueError("first"), TypeError("second")
    first.__cause__, second.__cause__ = second, first
    assert Causes(first).first(TypeError) is second
    assert Causes(first).first(KeyError) is None
