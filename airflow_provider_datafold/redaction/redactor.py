"""Take known secrets out of strings, JSON values, errors, and logs: ours, and other libraries'."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, TypeVar

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.redaction.secret import (
    MASK,
    SHORTEST_PART,
    WRITE_ONLY,
    Secret,
    secrets_in,
)

Checked = TypeVar("Checked")

_LONGEST_EXCERPT = 200

_HOMES = (
    "airflow.sdk.log",  # 3.1 and later
    "airflow.sdk.execution_time.secrets_masker",  # 3.0
    "airflow.utils.log.secrets_masker",  # 2.11
)
"""Where Airflow has its own masker of secrets in logs."""


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


def guarded(check: Callable[[], Checked], api_key: Secret, *values: Any) -> Checked:
    """Run a check of concealed values, whose error then shows neither a secret nor its frames."""
    try:
        return check()
    except DatafoldInputError as error:
        said = Redactor([api_key, *secrets_in(values)]).text(str(error))
    raise DatafoldInputError(said)


def _find_masker() -> Callable[[str], None]:
    for home in _HOMES:
        try:
            found: Callable[[str], None] = import_module(home).mask_secret
        except (ImportError, AttributeError):
            continue
        return found
    raise ImportError(f"This Airflow has no mask_secret in any of {', '.join(_HOMES)}.")


_mask_secret = _find_masker()


def mask(secrets: Iterable[Secret]) -> None:
    """Have Airflow replace secrets with ``***`` in everything that the task logs.

    Do not call it in an event loop: newer versions of Airflow send the secrets to another process.
    """
    for secret in secrets:
        for text in secret.texts():
            # Airflow 2 would replace even a shorter one in every line; later versions do not.
            if len(text) >= SHORTEST_PART:
                _mask_secret(text)


def silence(loggers: Iterable[str], is_ours: Callable[[], object]) -> None:
    """Drop a library's logs while ``is_ours``: of our requests they show paths and headers."""

    def passes(record: logging.LogRecord) -> bool:
        return not is_ours()

    for name in loggers:
        logging.getLogger(name).addFilter(passes)
