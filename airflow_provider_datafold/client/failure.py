"""What went wrong on the way: one error for each way to fail, whichever driver met it."""

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
"""Statuses with which a proxy says that it lets nobody through."""

_TLS_BROKE = (
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
    ssl.SSLSyscallError,
    # What an event loop waited for, when the connection broke.
    ssl.SSLWantReadError,
    ssl.SSLWantWriteError,
)


_NO_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "UNKNOWN_PROTOCOL"}
)
"""What OpenSSL, by its version, calls an answer in plain text."""

_NOT_HTTPS = (
    "What answers on this port does not speak https, which a host without a scheme gets. Write "
    "http:// before the connection's host if it is plain http; otherwise check the port and, if "
    "there is one, the proxy"
)
_CHECK_TLS = (
    "Check that the host speaks https on this port (write http:// before it if it does not), and "
    "the file that 'ca_bundle' or REQUESTS_CA_BUNDLE names"
)


class Causes:
    """An exception and all that led to it, as far as it belongs to one request.

    HTTP clients hand on what they caught as a cause, as a context or as an argument, and not
    always without a circle.

    :param error: what was caught.
    :param outer: what the caller was handling before the request, which Python makes the context
        of all that is raised meanwhile; ``None`` for nothing.
    """

    def __init__(self, error: BaseException, outer: BaseException | None) -> None:
        self._found: list[BaseException] = []
        seen = {id(outer)}
        pending: list[object] = [error]
        while pending:
            found = pending.pop(0)
            if isinstance(found, BaseException) and id(found) not in seen:
                seen.add(id(found))
                self._found.append(found)
                pending += [*found.args, found.__cause__, found.__context__]

    def first(self, *kinds: type[BaseException]) -> BaseException | None:
        """Return the first of them that is of one of these kinds."""
        return next((found for found in self._found if isinstance(found, kinds)), None)


def tls(causes: Causes) -> DatafoldError | None:
    """Say what TLS found wrong, if it did.

    :param causes: what a driver caught.
    :return: the error; ``None`` where TLS merely broke off, and where it was not the matter.
    """
    refused = causes.first(ssl.SSLCertVerificationError)
    if refused:
        reason = getattr(refused, "verify_message", "") or "it cannot be verified"
        return DatafoldCertificateError(
            f"the TLS certificate was refused ({reason}). If a CA of your own signed it, name the "
            f"CA's file in the connection's 'ca_bundle'"
        )
    failed = causes.first(ssl.SSLError)
    if failed and not isinstance(failed, _TLS_BROKE):
        reason = getattr(failed, "reason", None) or "no reason given"
        advice = _NOT_HTTPS if reason in _NO_TLS else _CHECK_TLS
        return DatafoldCertificateError(f"the TLS handshake failed ({reason}). {advice}")
    return None


def address_unusable() -> DatafoldError:
    """Say that the client cannot make a request to the host at all."""
    return DatafoldConfigurationError("the address cannot be used. Check the connection's host")


def ca_bundle() -> DatafoldError:
    """Say that the file of CA certificates cannot be read."""
    return DatafoldConfigurationError(
        "the CA bundle cannot be read. Check the file that 'ca_bundle' or REQUESTS_CA_BUNDLE names"
    )


def proxy_unusable() -> DatafoldError:
    """Say that the proxy's URL makes no sense, or that a library for it is missing."""
    return DatafoldConfigurationError(
        "the proxy cannot be used. Check the URL in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY in the "
        "worker's environment; for socks5:// install requests[socks] and httpx[socks]"
    )


def proxy_refused() -> DatafoldError:
    """Say that the proxy lets nobody through."""
    return DatafoldConfigurationError(
        "the proxy refuses the connection. Check its user and password in HTTPS_PROXY, whether it "
        "allows the host, and NO_PROXY, in the worker's environment"
    )


def proxy_unreachable() -> DatafoldError:
    """Say that the proxy did not connect, so that nothing was sent."""
    return DatafoldUnreachableError(
        "could not connect through the proxy. Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY in the "
        "worker's environment"
    )


def no_such_host() -> DatafoldError:
    """Say that the host's name has no address."""
    return DatafoldUnreachableError(
        "there is no such host. Check the connection's host, then the network's DNS"
    )


def unreachable(causes: Causes | None = None) -> DatafoldError:
    """Say that the host did not connect, so that nothing was sent.

    :param causes: what a driver caught; ``None`` where the time was over.
    """
    reason = "refused" if causes and causes.first(ConnectionRefusedError) else "no answer in time"
    return DatafoldUnreachableError(
        f"could not connect ({reason}). Check the connection's host, its scheme (https where it "
        f"has none) and port, and the network between"
    )


def timed_out(settings: Settings) -> DatafoldError:
    """Say that the response was not there in time."""
    return DatafoldTimeoutError(
        f"no whole response within {settings.timeout:g} s. Try again later, or give the "
        f"connection a larger 'timeout'"
    )


def broke() -> DatafoldError:
    """Say that the connection broke."""
    return DatafoldConnectionError(
        "the connection broke before the whole response was there. Try again later"
    )


def stopped() -> DatafoldError:
    """Say that the task was stopped."""
    return DatafoldStoppedError(
        "the task was stopped, so no further request was sent. One that was under way may have "
        "been carried out"
    )
