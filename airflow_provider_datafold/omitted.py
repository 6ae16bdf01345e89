"""The mark of a field that is left out of a request, which is not the same as null."""

from __future__ import annotations


class Omitted:
    """The type of :data:`OMITTED`, its only object."""

    def __str__(self) -> str:
        """Return what Airflow's UI shows as the rendered field."""
        return "(not given)"

    def __repr__(self) -> str:
        return "OMITTED"

    def __reduce__(self) -> str:
        """Stay the same object when Airflow copies or pickles a task."""
        return "OMITTED"


OMITTED = Omitted()
"""Default of an optional argument: the value comes from the Airflow connection if that has one;
otherwise the field is not sent. ``None`` is sent as null."""
