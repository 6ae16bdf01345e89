"""Timestamps in the API's format."""

from __future__ import annotations

from datetime import datetime, timezone


def now() -> str:
    return datetime.now(timezone.utc).isoformat()


def parse(text: str) -> datetime:
    # Before Python 3.11, fromisoformat does not accept the letter Z.
    return datetime.fromisoformat(text.upper().replace("Z", "+00:00"))


def is_between(text: str, start: str | None, end: str | None) -> bool:
    found = parse(text)
    return (start is None or parse(start) <= found) and (end is None or found <= parse(end))
