"""The limits that the figures have to keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dev.benchmarks import imports, parsing, rate_limit, updates, waits
from dev.benchmarks.figure import BARE, DBT, FLOOR, OURS, THEIRS, Figure


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
    Requirement(imports.MEMORY, 1),
    Requirement(imports.TIME_OF_ALL, 15),
    Requirement(parsing.BUILD, 1.3, FLOOR),
    Requirement(parsing.SERIALIZE, 1.1, FLOOR),
    Requirement(updates.ONE, 1.25, FLOOR),
    Requirement(updates.ONE, 1, THEIRS),
    Requirement(updates.KEPT_HTTP, 0.8, BARE),
    Requirement(updates.KEPT_TLS, 0.35, BARE),
    Requirement(updates.CONNECTIONS, 1),
    Requirement(rate_limit.WALL, 1.3, FLOOR),
    Requirement(rate_limit.REQUESTS, 1.5),
    Requirement(rate_limit.LOST, 0),
    *(
        requirement
        for setting in waits.SETTINGS
        for requirement in (
            Requirement(setting.lag, 0.25),
            Requirement(setting.polls, 16),
            Requirement(setting.late, 8.5),
            Requirement(setting.latest, 18),
            Requirement(setting.memory, 16),
            # Measured in turn with the other one: how fast the machine is does not matter.
            Requirement(setting.cpu, 0.5 if setting.is_tls else 0.9, DBT),
        )
    ),
    Requirement(waits.LONG_RATE, 40),
    Requirement(waits.LONG_RATE_SEEN, 40),
)


def missed(figures: Mapping[str, Figure]) -> list[str]:
    """Return a sentence for each limit that is missed.

    :param figures: the figures by name.
    :return: the sentences, in the order of the requirements.
    """
    return [
        f'This provider misses a limit: "{figure.name}" is {requirement.found(figure)}, '
        f"and the limit is {requirement.limit(figure)}."
        for requirement in REQUIREMENTS
        if not requirement.is_met(figure := figures[requirement.figure])
    ]
