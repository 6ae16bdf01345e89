"""Bodies that are forms, as HTML has them. One with a file is read while it is sent."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from io import SEEK_END
from typing import IO, Any
from urllib.parse import urlencode

from airflow_provider_datafold.redaction.secret import Secret

_BLOCK = 64 * 1024


class Multipart:
    """The fields of a form, and one open file after them, which is read again each time."""

    def __init__(self, fields: Mapping[str, str], name: str, file: IO[bytes]) -> None:
        # Nobody who does not know it can write it into the file.
        boundary = secrets.token_hex(16)
        self.media_type = f"multipart/form-data; boundary={boundary}"
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
            for field, value in fields.items()
        )
        about = f'form-data; name="{name}"; filename="{name}.zip"'
        self._head = f"{head}--{boundary}\r\nContent-Disposition: {about}\r\n\r\n".encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._file = file
        self._size = file.seek(0, SEEK_END)

    def __len__(self) -> int:
        return len(self._head) + self._size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        self._file.seek(0)
        while block := self._file.read(_BLOCK):
            yield block
        yield self._tail

    def __bytes__(self) -> bytes:
        return b"".join(self)


def encode(fields: Mapping[str, Any]) -> tuple[str, Secret]:
    """Return media type and content of a form of strings, and perhaps of one open file."""
    texts = {name: value for name, value in fields.items() if isinstance(value, str)}
    files = [(name, value) for name, value in fields.items() if name not in texts]
    if not files:
        return "application/x-www-form-urlencoded", Secret(urlencode(texts).encode())
    form = Multipart(texts, *files[0])
    return form.media_type, Secret(form)
