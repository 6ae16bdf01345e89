"""The mark of a field that is left out of a request, which is not the same as null."""

from __future__ import annotations


class Omitted:
    """The type of :data:`OMITTED`, its only object."""

    def __str__(self) -> str:
        """Show this, as a rendered field in Airflow's pages."""
        return "(not given)"

    def __repr__(self) -> str:
        return "OMITTED"

    def __reduce__(self) -> str:
        """Stay the same object when Airflow copies or pickles a task."""
        return "OMITTED"


OMITTED = Omitted()
"""Default of an argument that may be left out: its value is the one that the Airflow connection
has, if that has one, else it is not sent. ``None`` is sent as null."""
