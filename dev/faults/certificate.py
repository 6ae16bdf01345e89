"""Make the certificates that a service presents."""

from __future__ import annotations

import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path

import trustme


def make_context(certificate: str, folder: Path) -> ssl.SSLContext | None:
    """Make a service's TLS context, and the files that a client may need.

    :param certificate: empty for no TLS, ``good``, ``self-signed``, ``expired``,
        ``other-host``, or ``mutual`` (good, and the service requires a client certificate).
    :param folder: where to put ``ca.pem``, ``other_ca.pem`` and ``netrc``.
    :return: the context, ``None`` for a service without TLS.
    """
    trusted, other = trustme.CA(), trustme.CA()
    trusted.cert_pem.write_to_path(str(folder / "ca.pem"))
    other.cert_pem.write_to_path(str(folder / "other_ca.pem"))
    (folder / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    if not certificate:
        return None
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    issuer = other if certificate == "self-signed" else trusted
    leaf = issuer.issue_cert(
        "other.test" if certificate == "other-host" else "127.0.0.1",
        not_before=yesterday - timedelta(days=1),
        not_after=yesterday if certificate == "expired" else yesterday + timedelta(days=2),
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    leaf.configure_cert(context)
    if certificate == "mutual":
        trusted.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
