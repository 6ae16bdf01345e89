"""Find everything that is wrong before anything is done, and say it all at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_datafold.exceptions import DatafoldFinalError
from airflow_provider_datafold.redaction.redactor import Redactor

_ENDING = " Nothing was sent."


class Problems:
    """Collects errors of one class.

    :param kind: the class.
    """

    def __init__(self, kind: type[DatafoldFinalError]) -> None:
        self._kind = kind
        self._found: list[str] = []

    @contextmanager
    def collected(self, *place: str) -> Iterator[None]:
        """Keep an error of the block, which ends with it.

        :param place: where the block looks, e.g. a file and a slug.
        """
        try:
            yield
        except self._kind as error:
            self._found.append(": ".join((*place, str(error).removesuffix(_ENDING))))

    def raise_all(self, redactor: Redactor, ending: str) -> None:
        """Raise one error with all that was kept, if anything was.

        :param redactor: knows the secrets.
        :param ending: what the error says was not done.
        """
        if self._found:
            count = "1 error" if len(self._found) == 1 else f"{len(self._found)} errors"
            lines = "".join(f"\n- {redactor.text(text)}" for text in self._found)
            raise self._kind(f"monitors: {count}. {ending}{lines}")
