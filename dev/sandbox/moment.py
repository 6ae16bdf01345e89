"""Moments, as the API writes them."""

from __future__ import annotations

from datetime import datetime, timezone


def now() -> str:
    """Return the present moment."""
    return datetime.now(timezone.utc).isoformat()


def parse(text: str) -> datetime:
    """Return the moment that a text of the API names.

    :param text: such as ``"2024-01-01T00:00:00Z"``.
    """
    # Before Python 3.11, fromisoformat does not take the letter.
    return datetime.fromisoformat(text.upper().replace("Z", "+00:00"))


def is_between(text: str, start: str | None, end: str | None) -> bool:
    """Return whether a moment is in a span of time.

    :param text: the moment.
    :param start: the span's first moment, ``None`` for no such limit.
    :param end: its last moment, ``None`` for no such limit.
    """
    found = parse(text)
    return (start is None or parse(start) <= found) and (end is None or found <= parse(end))
