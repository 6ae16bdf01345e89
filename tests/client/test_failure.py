"""What the errors of a broken request say, and which exceptions they follow."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from airflow_provider_datafold.client.failure import Causes, tls
from airflow_provider_datafold.exceptions import DatafoldCertificateError


def said(kind: type[ssl.SSLError] = ssl.SSLError, **fields: Any) -> str | None:
    """Return what is said of an error of TLS."""
    error = kind(1, "tls")
    for name, value in fields.items():
        setattr(error, name, value)
    found = tls(Causes(error))
    assert found is None or type(found) is DatafoldCertificateError
    return str(found) if found else None


FAILED = "the TLS handshake failed "
REFUSED = "the TLS certificate was refused "


@pytest.mark.parametrize(
    ("kind", "fields", "text"),
    [
        (
            ssl.SSLError,
            {"reason": "TLSV1_ALERT_UNKNOWN_CA"},
            f"{FAILED}(TLSV1_ALERT_UNKNOWN_CA). Check that the host speaks https",
        ),
        (ssl.SSLError, {"reason": None}, f"{FAILED}(no reason given). Check that the host speaks"),
        (ssl.SSLCertVerificationError, {"verify_message": "expired"}, f"{REFUSED}(expired). If"),
        (ssl.SSLCertVerificationError, {"verify_message": ""}, f"{REFUSED}(it cannot be verified)"),
        (ssl.SSLCertVerificationError, {}, f"{REFUSED}(it cannot be verified)"),
    ],
)
def test_tls_that_fails(kind: type[ssl.SSLError], fields: Any, text: str) -> None:
    assert (said(kind, **fields) or "").startswith(text)


@pytest.mark.parametrize("kind", [ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError])
def test_a_connection_that_breaks_during_tls_is_not_about_tls(kind: type[ssl.SSLError]) -> None:
    assert said(kind, reason="EOF") is None
    # A system that cannot send.
    assert said(reason=None, library="SYS") is None


def chain(link: str, value: object) -> BaseException:
    error = ValueError(value if link == "argument" else "text")
    if link != "argument":
        setattr(error, link, value)
    return error


@pytest.mark.parametrize("link", ["argument", "__cause__", "__context__"])
def test_an_exception_is_found_wherever_another_keeps_it(link: str) -> None:
    inner = KeyError("inner")
    outermost = chain(link, chain(link, inner))
    assert Causes(outermost).first(KeyError) is inner
    assert Causes(outermost).first(OSError) is None


@pytest.mark.parametrize(
    ("link", "other"), [("__context__", "__cause__"), ("__cause__", "__context__")]
)
def test_the_nearest_of_several_exceptions_is_found(link: str, other: str) -> None:
    near = KeyError("near")
    error = chain(link, near)
    setattr(error, other, chain("__cause__", KeyError("far")))
    assert Causes(error).first(KeyError) is near


def test_exceptions_in_a_circle_have_an_end() -> None:
    first, second = ValueError("first"), TypeError("second")
    first.__cause__, second.__cause__ = second, first
    assert Causes(first).first(TypeError) is second
    assert Causes(first).first(KeyError) is None
