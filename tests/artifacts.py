"""What dbt wrote into a target folder, and what arrived of it."""

from __future__ import annotations

import io
import zipfile
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any

SHA = "0a1b2c3d" * 5
FILES = {
    "manifest.json": b'{"metadata": {}}',
    "run_results.json": b"{}",
    "compiled/shop/orders.sql": "select 'é' -- \r\n--x\r\n".encode(),
}


def target(folder: Path, **more: bytes) -> Path:
    """Write a target folder.

    :param folder: where to.
    :param more: the content of further files, by their names.
    """
    for name, content in {**FILES, **more}.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


def form(request: Any) -> dict[str, bytes]:
    """Return the fields of a multipart form, read by Python's own parser for mail."""
    kind = request.headers["content-type"]
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + request.body)
    return {
        str(part.get_param("name", header="Content-Disposition")): bytes(
            part.get_payload(decode=True)
        )
        for part in message.iter_parts()
    }


def unpacked(archive: bytes) -> dict[str, bytes]:
    """Return the files of a zip archive."""
    with zipfile.ZipFile(io.BytesIO(archive)) as found:
        assert {each.compress_type for each in found.infolist()} == {zipfile.ZIP_DEFLATED}
        return {name: found.read(name) for name in found.namelist()}


def archive(*names: str) -> bytes:
    """Return a zip archive of files with odd content."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name in names:
            file.writestr(name, "{\r\n--x\r\n}\x00é")
    return content.getvalue()
