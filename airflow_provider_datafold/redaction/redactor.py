"""Take known secrets out of strings and out of JSON values."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from airflow_provider_datafold.redaction.names import WRITE_ONLY
from airflow_provider_datafold.redaction.secret import MASK, SHORTEST_PART, Secret

_LONGEST_EXCERPT = 200


class Redactor:
    """Replaces secrets by ``***``, as they are and as JSON or Python would write them."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        texts = {text for each in secrets for text in each.texts() if len(text) >= SHORTEST_PART}
        forms = texts | {write(text)[1:-1] for text in texts for write in (json.dumps, repr)}
        # Longest first, so that a secret that contains another one is replaced as a whole.
        self._forms = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Replace every known secret in a string."""
        for form in self._forms:
            text = text.replace(form, MASK)
        return text

    def excerpt(self, text: str) -> str:
        """Make foreign text fit for a log: without secrets, on one line, not long."""
        # Redacted before it is cut: a part of a secret would not be recognized.
        redacted = self.text(text)
        printable = "".join(char if char.isprintable() else "?" for char in redacted)
        if len(printable) <= _LONGEST_EXCERPT:
            return printable
        return printable[:_LONGEST_EXCERPT] + "..."

    def may_be_in(self, json_text: str) -> bool:
        """Return whether a value with this JSON repeats a known secret."""
        return self.text(json_text) != json_text

    def json(self, value: Any, *, by_name: bool) -> Any:
        """Replace secrets in a JSON value, with ``by_name`` also what stands under their names."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.json(item, by_name=by_name) for item in value]
        if isinstance(value, dict):
            return {
                key: MASK
                if by_name and key in WRITE_ONLY and item is not None
                else self.json(item, by_name=by_name)
                for key, item in value.items()
            }
        return value
