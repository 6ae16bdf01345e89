"""The limits that the figures have to keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dev.benchmarks import imports, serialize, update, waits
from dev.benchmarks.figure import DBT, FLOOR, OURS, THEIRS, Figure


@dataclass(frozen=True)
class Requirement:
    """A limit for a value of this provider, or for its ratio to another contender's.

    :param figure: the figure's name.
    :param most: the highest value or ratio that is allowed.
    :param over: the contender to divide by, ``None`` for the value itself.
    """

    figure: str
    most: float
    over: str | None = None

    def is_met(self, figure: Figure) -> bool:
        """Return whether the figure keeps the limit.

        :param figure: the figure of that name.
        :return: ``True`` where it does; a value equal to the limit keeps it.
        """
        return self._value(figure) <= self.most

    def found(self, figure: Figure) -> str:
        """Return the measured value or ratio as text.

        :param figure: the figure of that name.
        :return: three digits, and the unit or the other contender.
        """
        return self._shown(self._value(figure), figure)

    def limit(self, figure: Figure) -> str:
        """Return the limit as text.

        :param figure: the figure of that name.
        :return: three digits, and the unit or the other contender.
        """
        return self._shown(self.most, figure)

    def _value(self, figure: Figure) -> float:
        value = figure.values[OURS]
        return value if self.over is None else value / figure.values[self.over]

    def _shown(self, value: float, figure: Figure) -> str:
        if self.over is None:
            return f"{value:.3g} {figure.unit}".rstrip()
        return f"{value:.3g} of {figure.label(self.over)}"


REQUIREMENTS = (
    Requirement(imports.TIME, 6),
    Requirement(imports.TIME_OF_ALL, 15),
    Requirement(serialize.SERIALIZE, 1.1, FLOOR),
    Requirement(update.ONE, 1.25, FLOOR),
    Requirement(update.ONE, 1.05, THEIRS),
    *(
        Requirement(waits.name_of(scheme, what), most)
        for scheme in (waits.HTTP, waits.HTTPS)
        for what, most in ((waits.LAG, 0.5), (waits.LATE, 8.5), (waits.MEMORY, 16))
    ),
    # Measured in turn with the other one: how fast the machine is does not matter.
    Requirement(waits.name_of(waits.HTTP, waits.CPU), 0.9, DBT),
    Requirement(waits.name_of(waits.HTTPS, waits.CPU), 0.6, DBT),
    Requirement(waits.LONG_RATE, 40),
)
"""What shapes decisions; the other figures only inform."""


def missed(figures: Mapping[str, Figure]) -> list[str]:
    """Return a sentence for each limit that is missed.

    :param figures: the figures by name, all or some.
    :return: the sentences, in the order of the requirements.
    """
    return [
        f'This provider misses a limit: "{figure.name}" is {requirement.found(figure)}, '
        f"and the limit is {requirement.limit(figure)}."
        for requirement in REQUIREMENTS
        if (figure := figures.get(requirement.figure)) and not requirement.is_met(figure)
    ]
