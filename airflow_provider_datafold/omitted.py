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
        """Show this, as a rendered field in Airflow's pages."""
        return "(not given)"


OMITTED = Omitted.OMITTED
"""Default of an argument that may be left out: its value is the one that the Airflow connection
has, if that has one, else it is not sent. ``None`` is sent as null."""
