"""The errors of a request that got no usable response."""

from __future__ import annotations

import re
import ssl

from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import (
    DatafoldCertificateError,
    DatafoldConfigurationError,
    DatafoldConnectionError,
    DatafoldError,
    DatafoldStoppedError,
    DatafoldTimeoutError,
    DatafoldUnreachableError,
)

PROXY_REFUSES = re.compile(r"\b(401|403|407)\b")
"""Statuses of a proxy that refuses to forward the request."""

_TLS_BROKE = (
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
    ssl.SSLSyscallError,
)


_NO_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "UNKNOWN_PROTOCOL"}
)
"""OpenSSL's names, which depend on its version, for a response in plain text."""

_NOT_HTTPS = (
    "The service on this port does not speak https, the default for a host without a scheme. If it "
    "speaks plain http, begin the connection's host with http://; otherwise check the port and, if "
    "there is one, the proxy"
)
_CHECK_TLS = (
    "Check that the host speaks https on this port (if it does not, begin the connection's host "
    "with http://), and the file that 'ca_bundle' or REQUESTS_CA_BUNDLE names"
)


class Causes:
    """An exception and all that led to it.

    HTTP clients keep what they caught as a cause, as a context or as an argument, sometimes in a
    circle.
    """

    def __init__(self, error: BaseException) -> None:
        self._found: list[BaseException] = []
        seen = set[int]()
        pending: list[object] = [error]
        while pending:
            found = pending.pop(0)
            if isinstance(found, BaseException) and id(found) not in seen:
                seen.add(id(found))
                self._found.append(found)
                pending += [*found.args, found.__cause__, found.__context__]

    def first(self, *kinds: type[BaseException]) -> BaseException | None:
        """Return the first exception of one of these kinds."""
        return next((found for found in self._found if isinstance(found, kinds)), None)


def tls(causes: Causes) -> DatafoldError | None:
    """Return the error for a TLS failure, or for a file of CA certificates that holds none.

    ``None`` if the connection broke during TLS, or if it is not about TLS.
    """
    refused = causes.first(ssl.SSLCertVerificationError)
    if refused:
        reason = getattr(refused, "verify_message", "") or "it cannot be verified"
        return DatafoldCertificateError(
            f"the TLS certificate was refused ({reason}). If your own CA signed it, put the path "
            f"of the CA's file into the connection's 'ca_bundle'"
        )
    failed = causes.first(ssl.SSLError)
    # OpenSSL names this source for files of certificates only.
    if getattr(failed, "library", None) == "X509":
        return ca_bundle()
    # OpenSSL names the system as its source if it could not send.
    is_broken = isinstance(failed, _TLS_BROKE) or getattr(failed, "library", None) == "SYS"
    if failed and not is_broken:
        reason = getattr(failed, "reason", None) or "no reason given"
        advice = _NOT_HTTPS if reason in _NO_TLS else _CHECK_TLS
        return DatafoldCertificateError(f"the TLS handshake failed ({reason}). {advice}")
    return None


def ca_bundle() -> DatafoldError:
    """Return the error for a file of CA certificates that cannot be read."""
    return DatafoldConfigurationError(
        "the CA bundle cannot be read. Check the file that 'ca_bundle' or REQUESTS_CA_BUNDLE names"
    )


def proxy_unusable() -> DatafoldError:
    """Return the error for an invalid proxy URL, and for a missing library."""
    return DatafoldConfigurationError(
        "the proxy cannot be used. Check the URL in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY in the "
        "worker's environment; for socks5:// install requests[socks]"
    )


def proxy_refused() -> DatafoldError:
    """Return the error for a proxy that refuses to forward the request."""
    return DatafoldConfigurationError(
        "the proxy refuses the connection. Check its user and password in HTTPS_PROXY, whether it "
        "allows the host, and NO_PROXY, in the worker's environment"
    )


def proxy_unreachable() -> DatafoldError:
    """Return the error for a proxy that did not connect. Nothing was sent."""
    return DatafoldUnreachableError(
        "could not connect through the proxy. Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY in the "
        "worker's environment"
    )


def no_such_host() -> DatafoldError:
    """Return the error for a host name without an address."""
    return DatafoldUnreachableError(
        "there is no such host. Check the connection's host, then the network's DNS"
    )


def unreachable(causes: Causes | None = None) -> DatafoldError:
    """Return the error for a host that did not connect, in time without ``causes``."""
    reason = "refused" if causes and causes.first(ConnectionRefusedError) else "timed out"
    return DatafoldUnreachableError(
        f"could not connect ({reason}). Check the connection's host, scheme (https if it has "
        f"none) and port, and the network"
    )


def no_thread() -> DatafoldError:
    """Return the error for a process that may start no more threads. Nothing was sent."""
    return DatafoldUnreachableError(
        "nothing was sent, because no thread could be started. The machine, or the container, has "
        "as many as it may have. Try again later"
    )


def timed_out(settings: Settings) -> DatafoldError:
    """Return the error for a response that was not complete in time."""
    return DatafoldTimeoutError(
        f"no complete response within {settings.timeout:g} s. Try again later, or give the "
        f"connection a larger 'timeout'"
    )


def no_turn(most: int) -> DatafoldError:
    """Return the error for a request whose turn did not come. Nothing was sent."""
    return DatafoldTimeoutError(
        f"nothing was sent, because {most} other requests to this host were in progress. The host "
        f"responds slowly, or too many tasks wait for it. Try again later, or poll less often"
    )


def broke() -> DatafoldError:
    """Return the error for a connection that broke."""
    return DatafoldConnectionError(
        "the connection broke before the response was complete. Try again later"
    )


def unexpected(error: Exception) -> DatafoldError:
    """Return the error for an exception that nobody foresaw. Its text may quote a secret."""
    return DatafoldConnectionError(
        f"the request failed with an unexpected error ({type(error).__name__}). Try again later; "
        f"if it stays, report it to this provider's authors"
    )


def stopped() -> DatafoldError:
    """Return the error for a task that was stopped."""
    return DatafoldStoppedError(
        "the task was stopped, so no further request was sent. A request that was in progress may "
        "have been carried out"
    )
