"""Take secrets out of text and out of JSON values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_datafold.redaction.names import WRITE_ONLY

MASK = "***"

SHORTEST_PART = 5
"""Characters from which on a secret is also looked for inside of longer texts: to take a
shorter one out of them would make nonsense of most answers. Airflow's own masker leaves
shorter ones alone altogether."""


def secrets_in(value: Any) -> Iterator[str]:
    """Find the secrets in what is going to be sent.

    :param value: what :func:`json.dumps` takes, or a mapping of any other kind.
    :return: the texts under the names of :data:`WRITE_ONLY`, at any depth.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in WRITE_ONLY and isinstance(item, str):
                yield item
            else:
                yield from secrets_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from secrets_in(item)


class Redactor:
    """Replaces known secrets, and whatever text stands under a secret field's name.

    :param secrets: the secrets' plain texts.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        # Longest first, so that a secret which holds another one is replaced as a whole.
        self._secrets = sorted(set(secrets) - {""}, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Replace every known secret in a text.

        :param text: any text.
        :return: the text, with ``***`` in place of each secret.
        """
        for secret in self._secrets:
            if text == secret:
                return MASK
            if len(secret) >= SHORTEST_PART:
                text = text.replace(secret, MASK)
        return text

    def json(self, value: Any) -> Any:
        """Replace secrets in a JSON value, in keys and values at any depth.

        :param value: what :func:`json.loads` gives.
        :return: a value of the same shape without secrets.
        """
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.json(item) for item in value]
        if isinstance(value, dict):
            return {
                self.text(key): (
                    MASK if key in WRITE_ONLY and isinstance(item, str) else self.json(item)
                )
                for key, item in value.items()
            }
        return value

    def finds_in(self, value: Any) -> bool:
        """Say whether a message that shows a value might show a secret.

        :param value: any value.
        :return: whether a known secret is in it, at any depth and as its repr would show it.
        """
        text = repr(value)
        return any(
            repr(secret) in text
            or (len(secret) >= SHORTEST_PART and (secret in text or repr(secret)[1:-1] in text))
            for secret in self._secrets
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._secrets)} secrets)"
