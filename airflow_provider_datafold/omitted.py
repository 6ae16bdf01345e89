"""The mark of a field that is left out of a request, which is not the same as null."""

from __future__ import annotations

from enum import Enum


class Omitted(Enum):
    """The type of :data:`OMITTED`.

    An enumeration's member stays the same object when Airflow copies or pickles a task, and
    its text stays the same between two parses of a DAG.
    """

    OMITTED = "omitted"

    def __str__(self) -> str:
        """Show, as a rendered field in Airflow's pages, what becomes of the field."""
        return "(not sent)"


OMITTED = Omitted.OMITTED
"""Default of an optional, nullable field: it is not sent. ``None`` is sent as null."""
