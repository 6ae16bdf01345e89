"""How a server of a test speaks TLS."""

from __future__ import annotations

import ssl

import trustme


def tls(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """Return the TLS of a server.

    :param authority: what signs its certificate; a fixture of this name is what ``bundle`` trusts.
    :param names: whose certificate it is, by default that of this machine.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ["127.0.0.1"])).configure_cert(context)
    return context
