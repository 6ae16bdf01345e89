"""Take secrets out of strings and out of JSON values."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any
from urllib.parse import quote, quote_plus

from airflow_provider_datafold.redaction.names import WRITE_ONLY
from airflow_provider_datafold.redaction.secret import MASK, SHORTEST_PART, Secret

_LONGEST_EXCERPT = 200
_MOST_TEXTS = 10_000
_IN_NUMBERS = re.compile(r"[\d.e+-]*")


class Redactor:
    """Replaces known secrets, including their usual encodings.

    :param secrets: the secrets.
    """

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._secrets = tuple(secrets)

    @cached_property
    def _texts(self) -> frozenset[str]:
        return frozenset(text for secret in self._secrets for text in secret.texts() if text)

    @cached_property
    def _forms(self) -> list[str]:
        forms = {
            form for text in self._texts if len(text) >= SHORTEST_PART for form in _forms_of(text)
        }
        # Longest first, so that a secret that contains another one is replaced as a whole.
        return sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Replace every known secret in a string with ``***``.

        :param text: any string.
        """
        if text in self._texts:
            return MASK
        for form in self._forms:
            text = text.replace(form, MASK)
        return text

    def excerpt(self, text: str) -> str:
        """Make foreign text fit for a log: without secrets, on one line, not long.

        :param text: any text.
        :return: at most 203 printable characters.
        """
        # Redacted before it is cut: a part of a secret would not be recognized.
        redacted = self.text(text)
        printable = "".join(char if char.isprintable() else "?" for char in redacted)
        if len(printable) <= _LONGEST_EXCERPT:
            return printable
        return printable[:_LONGEST_EXCERPT] + "..."

    def may_be_in(self, json_text: str) -> bool:
        """Return whether :meth:`json` could find a known secret, which takes longer to say.

        :param json_text: the value's JSON.
        """
        return (
            # A string with an escape, or a number, need not look like its value.
            "\\" in json_text
            or any(_IN_NUMBERS.fullmatch(text) for text in self._texts)
            or any(form in json_text for form in (*self._texts, *self._forms))
        )

    def json(self, value: Any, *, by_name: bool) -> Any:
        """Replace secrets in a JSON value, in keys and values at any depth.

        :param value: the result of :func:`json.loads`. Its lists are changed in place, so that a
            large response is not in memory twice.
        :param by_name: whether to replace also every value except null under a name in
            :data:`~airflow_provider_datafold.redaction.names.WRITE_ONLY`.
        :return: a value of the same shape without secrets.
        """
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            for place, item in enumerate(value):
                value[place] = self.json(item, by_name=by_name)
            return value
        if isinstance(value, dict):
            return self._object(value, by_name=by_name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return value if self.text(str(value)) == str(value) else MASK
        return value

    def _object(self, value: dict[str, Any], *, by_name: bool) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in value.items():
            is_secret = by_name and key in WRITE_ONLY and item is not None
            name = self.text(key)
            number = 2
            while name in found:
                # Two keys may be equal once they are redacted; keep both.
                name = f"{self.text(key)} ({number})"
                number += 1
            found[name] = MASK if is_secret else self.json(item, by_name=by_name)
        return found

    def finds_in(self, value: Any) -> bool:
        """Return whether a message that shows a value might show a secret.

        :param value: any value.
        :return: ``True`` if it contains a known secret at any depth, or is too large to check.
        """
        try:
            texts = list(islice(_printed_strings(value), _MOST_TEXTS + 1))
        except RecursionError:
            return True
        return len(texts) > _MOST_TEXTS or any(self.text(text) != text for text in texts)


def _printed_strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _printed_strings(key)
            yield from _printed_strings(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _printed_strings(item)
    else:
        # If repr() fails, as for an integer of more than 4,300 digits, no message shows the value.
        with suppress(Exception):
            yield repr(value)


@lru_cache(maxsize=32)
def _forms_of(text: str) -> frozenset[str]:
    # Each call of a hook looks for the same few secrets.
    return frozenset(_spellings(text))


def _spellings(text: str) -> Iterator[str]:
    """Return a secret in all encodings in which a service, a proxy or a library may repeat it."""
    yield text
    for form, safe in ((quote, ""), (quote, "/"), (quote_plus, "")):
        # JSON can bring a lone surrogate, which has no UTF-8.
        quoted = form(text, safe, errors="surrogatepass")
        yield quoted
        if "%" in quoted:
            yield re.sub("%..", lambda found: found[0].lower(), quoted)
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]
    yield html.escape(text)
    yield html.escape(text, quote=False)
    yield from _base64_forms(text.encode(errors="surrogatepass"))


def _base64_forms(content: bytes) -> Iterator[str]:
    """Return a secret as it looks inside the base64 of a longer string, at three offsets."""
    for offset in range(3):
        encoded = b64encode(bytes(offset) + content).decode()
        # Without the letters at both ends, which depend on the neighbours.
        inner = encoded[-(-offset * 8 // 6) : (offset + len(content)) * 8 // 6]
        yield inner
        yield inner.translate(_URL_SAFE)


_URL_SAFE = str.maketrans("+/", "-_")
