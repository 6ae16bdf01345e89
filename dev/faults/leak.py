"""Find secrets in everything that a run writes, logs and raises."""

from __future__ import annotations

import html
import logging
import os
import re
import sys
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

from dev.faults.fault import SECRETS

CANARY = "a canary sings in the log"
"""A string that each run logs: if it is missing, the log was not captured."""

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,}")
_URL_SAFE = str.maketrans("+/", "-_")


def capture(path: Path) -> Callable[[], str]:
    """Send everything that the process writes and logs into a file; return what reads it."""
    with path.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    logging.getLogger().setLevel(logging.DEBUG)
    logging.getLogger().addHandler(logging.StreamHandler(sys.stderr))

    def read() -> str:
        sys.stdout.flush()
        sys.stderr.flush()
        log = path.read_text(errors="replace")
        if CANARY not in log:
            raise RuntimeError("The log is not captured.")
        return log

    return read


def count(text: str) -> int:
    """Count the secrets in a string, plain and encoded for URLs, JSON, HTML and base64."""
    # No secret contains a backslash, and JSON in JSON adds several.
    spelled_out = html.unescape(unquote(text)).replace("\\", "")
    decoded = [decoded for run in _BASE64.findall(text) for decoded in _decoded(run)]
    return sum(found.count(secret) for found in (spelled_out, *decoded) for secret in SECRETS)


def _decoded(run: str) -> Iterator[str]:
    for offset in range(4):
        rest = run[offset:].translate(_URL_SAFE)
        # A single letter at the end encodes less than a byte.
        whole = rest[:-1] if len(rest) % 4 == 1 else rest
        yield urlsafe_b64decode(whole + "=" * (-len(whole) % 4)).decode(errors="replace")
