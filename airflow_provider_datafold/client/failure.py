"""The errors of a request that got no usable response."""

from __future__ import annotations

import ssl
from enum import Enum

from airflow_provider_datafold.exceptions import (
    DatafoldCertificateError,
    DatafoldConfigurationError,
    DatafoldConnectionError,
    DatafoldError,
    DatafoldStoppedError,
    DatafoldTimeoutError,
    DatafoldUnreachableError,
)


class Failure(Enum):
    """What may go wrong: the class of the error, and what it says."""

    NO_HOST = (
        DatafoldUnreachableError,
        "there is no such host. Check the connection's host, then the network's DNS",
    )
    UNREACHABLE = (
        DatafoldUnreachableError,
        "could not connect ({reason}). Check the connection's host, scheme (https if it has none) "
        "and port, and the network",
    )
    NO_THREAD = (
        DatafoldUnreachableError,
        "nothing was sent, because no thread could be started. The machine, or the container, has "
        "as many as it may have. Try again later",
    )
    NO_TURN = (
        DatafoldTimeoutError,
        "nothing was sent, because {most} other requests to this host were in progress. The host "
        "responds slowly, or too many tasks wait for it. Try again later, or poll less often",
    )
    TIMED_OUT = (
        DatafoldTimeoutError,
        "no complete response within {seconds:g} s. Try again later, or give the connection a "
        "larger 'timeout'",
    )
    BROKE = (
        DatafoldConnectionError,
        "the connection broke before the response was complete. Try again later",
    )
    UNEXPECTED = (
        DatafoldConnectionError,
        "the request failed with an unexpected error ({name}). Try again later; if it stays, "
        "report it to this provider's authors",
    )
    STOPPED = (
        DatafoldStoppedError,
        "the task was stopped, so no further request was sent. A request that was in progress may "
        "have been carried out",
    )
    PROXY_UNUSABLE = (
        DatafoldConfigurationError,
        "the proxy cannot be used. Check the URL in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY in the "
        "worker's environment; for socks5:// install requests[socks]",
    )
    PROXY_REFUSED = (
        DatafoldConfigurationError,
        "the proxy refuses the connection. Check its user and password in HTTPS_PROXY, whether it "
        "allows the host, and NO_PROXY, in the worker's environment",
    )
    PROXY_UNREACHABLE = (
        DatafoldUnreachableError,
        "could not connect through the proxy. Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY in the "
        "worker's environment",
    )
    CA_BUNDLE = (
        DatafoldConfigurationError,
        "the CA bundle cannot be read. Check the file that 'ca_bundle' or REQUESTS_CA_BUNDLE names",
    )
    CERTIFICATE = (
        DatafoldCertificateError,
        "the TLS certificate was refused ({reason}). If your own CA signed it, put the path of the "
        "CA's file into the connection's 'ca_bundle'",
    )
    HANDSHAKE = (
        DatafoldCertificateError,
        "the TLS handshake failed ({reason}). Check that the host speaks https on this port (if it "
        "does not, begin the connection's host with http://), the proxy if there is one, and the "
        "file that 'ca_bundle' or REQUESTS_CA_BUNDLE names",
    )

    def error(self, **facts: object) -> DatafoldError:
        """Make the error, with what its sentence names."""
        kind, sentence = self.value
        error: DatafoldError = kind(sentence.format(**facts))
        return error


_TLS_BROKE = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


class Causes:
    """An exception and all that led to it, but not what the caller was handling before.

    HTTP clients keep what they caught as a cause, as a context or as an argument, sometimes in a
    circle.
    """

    def __init__(self, error: BaseException, outer: BaseException | None = None) -> None:
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
        """Return the first exception of one of these kinds."""
        return next((found for found in self._found if isinstance(found, kinds)), None)


def tls(causes: Causes) -> DatafoldError | None:
    """Return the error for a TLS failure, or for a file of CA certificates that holds none.

    ``None`` if the connection broke during TLS, or if it is not about TLS.
    """
    if refused := causes.first(ssl.SSLCertVerificationError):
        reason = getattr(refused, "verify_message", "") or "it cannot be verified"
        return Failure.CERTIFICATE.error(reason=reason)
    failed = causes.first(ssl.SSLError)
    library = getattr(failed, "library", None)
    # OpenSSL names this source for files of certificates only.
    if library == "X509":
        return Failure.CA_BUNDLE.error()
    # OpenSSL names the system as its source if it could not send.
    if failed is None or isinstance(failed, _TLS_BROKE) or library == "SYS":
        return None
    return Failure.HANDSHAKE.error(reason=getattr(failed, "reason", None) or "no reason given")
