"""Make the certificates that a service presents."""

from __future__ import annotations

import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path

import trustme


def make_context(certificate: str, folder: Path) -> ssl.SSLContext | None:
    """Make a service's TLS context, and the files ``ca.pem``, ``other_ca.pem`` and ``netrc``.

    The certificate is empty for no TLS, ``good``, ``self-signed``, ``expired``, ``other-host``, or
    ``mutual``: good, and the service requires a client certificate.
    """
    trusted, other = trustme.CA(), trustme.CA()
    trusted.cert_pem.write_to_path(str(folder / "ca.pem"))
    other.cert_pem.write_to_path(str(folder / "other_ca.pem"))
    (folder / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    if not certificate:
        return None
    now, day = datetime.now(timezone.utc), timedelta(days=1)
    leaf = (other if certificate == "self-signed" else trusted).issue_cert(
        "other.test" if certificate == "other-host" else "127.0.0.1",
        not_before=now - 2 * day,
        not_after=now - day if certificate == "expired" else now + day,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    leaf.configure_cert(context)
    if certificate == "mutual":
        trusted.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
