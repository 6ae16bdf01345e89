"""Find everything that is wrong before anything is done, and say it all at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_datafold.exceptions import DatafoldError
from airflow_provider_datafold.redaction.redactor import Redactor

_ENDING = " Nothing was sent."


class Problems:
    """Collects errors.

    :param redactor: knows the secrets.
    :param kinds: their classes.
    """

    def __init__(self, redactor: Redactor, *kinds: type[DatafoldError]) -> None:
        self._redactor = redactor
        self._kinds = kinds
        self._found: list[tuple[type[DatafoldError], str]] = []

    @contextmanager
    def collected(self, *place: str) -> Iterator[None]:
        """Keep an error of the block, which ends there; any other one tells what was kept, too."""
        try:
            yield
        except DatafoldError as error:
            text = ": ".join((*place, str(error).removesuffix(_ENDING)))
            text = self._redactor.text(text).encode(errors="backslashreplace").decode()
            if not isinstance(error, self._kinds):
                before = f"\nBefore that, {self._listed('')}" if self._found else ""
                error.args = (text + before,)
                raise
            self._found.append((type(error), text))

    def raise_all(self, ending: str) -> None:
        """Raise one error with all that was kept, if anything was; its class is the first one's."""
        if self._found:
            raise self._found[0][0](f"monitors: {self._listed(f'. {ending}')}")

    def _listed(self, ending: str) -> str:
        count = "1 error" if len(self._found) == 1 else f"{len(self._found)} errors"
        return "\n- ".join((f"{count}{ending or ':'}", *(text for _, text in self._found)))
