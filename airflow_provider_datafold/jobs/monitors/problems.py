"""Find everything that is wrong before anything is done, and say it all at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_datafold.exceptions import DatafoldError
from airflow_provider_datafold.redaction.redactor import Redactor

_ENDING = " Nothing was sent."


class Problems:
    """Collects errors.

    :param kinds: their classes.
    """

    def __init__(self, *kinds: type[DatafoldError]) -> None:
        self._kinds = kinds
        self._found: list[tuple[type[DatafoldError], str]] = []

    @contextmanager
    def collected(self, *place: str) -> Iterator[None]:
        """Keep an error of the block, which ends with it; say the place in any other one.

        :param place: where the block looks, e.g. a file and a slug.
        """
        try:
            yield
        except DatafoldError as error:
            text = ": ".join((*place, str(error)))
            if not isinstance(error, self._kinds):
                error.args = (text,)
                raise
            self._found.append((type(error), text.removesuffix(_ENDING)))

    def raise_all(self, redactor: Redactor, ending: str) -> None:
        """Raise one error with all that was kept, if anything was. Its class is that of the first.

        :param redactor: knows the secrets.
        :param ending: what the error says was not done.
        """
        if self._found:
            count = "1 error" if len(self._found) == 1 else f"{len(self._found)} errors"
            lines = "".join(f"\n- {redactor.text(text)}" for _, text in self._found)
            raise self._found[0][0](f"monitors: {count}. {ending}{lines}")
