"""Bodies that are forms."""

from __future__ import annotations

from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl

MULTIPART = "multipart/form-data"
URL_ENCODED = "application/x-www-form-urlencoded"


def fields_of(content: bytes, media_type: str) -> dict[str, str]:
    """Return the fields of a form by their names; the bytes of a file are characters of Latin 1."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind == URL_ENCODED:
        return dict(parse_qsl(content.decode(), keep_blank_values=True))
    if kind != MULTIPART:
        raise ValueError(f"Not a form: {kind}")
    head = f"Content-Type: {media_type}\r\n\r\n".encode("latin-1")
    message = BytesParser(policy=HTTP).parsebytes(head + content)
    return {
        str(part.get_param("name", header="Content-Disposition")): bytes(
            part.get_payload(decode=True)
        ).decode("latin-1" if part.get_filename() else "utf-8")
        for part in message.iter_parts()
    }
