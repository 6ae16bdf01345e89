"""What the figures have to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dev.benchmarks import imports, parsing, rate_limit, updates
from dev.benchmarks.figure import BARE, FLOOR, OURS, SAME_FIELDS, THEIRS, Figure

YES, NO = "yes", "**no**"


@dataclass(frozen=True)
class Requirement:
    """A limit for a value of this provider, or for its ratio to another contender's.

    :param figure: the figure's name.
    :param most: what the value may be at most.
    :param over: the contender to divide by, ``None`` for the value itself.
    :param least: a contender that does no more than this provider; where it misses the limit as
        well, that is no failure.
    """

    figure: str
    most: float
    over: str | None = None
    least: str | None = None

    def value(self, figure: Figure, contender: str = OURS) -> float:
        """Give what has to be within the limit.

        :param figure: the figure of that name.
        :param contender: whose value.
        :return: the value, or the ratio.
        """
        value = figure.values[contender]
        return value if self.over is None else value / figure.values[self.over]

    def verdict(self, figure: Figure) -> str:
        """Say whether the limit is kept.

        :param figure: the figure of that name.
        :return: :data:`YES`, :data:`NO`, or that it is not, and who else misses it.
        """
        if self.value(figure) <= self.most:
            return YES
        if self.least is not None and self.value(figure, self.least) > self.most:
            return f"no; missed as well: {figure.label(self.least)}"
        return NO

    def wanted(self, figure: Figure) -> str:
        """Say what is wanted.

        :param figure: the figure of that name.
        :return: a short text.
        """
        return f"≤ {self._shown(self.most, figure)}"

    def found(self, figure: Figure) -> str:
        """Say what was found.

        :param figure: the figure of that name.
        :return: a short text.
        """
        return self._shown(self.value(figure), figure)

    def _shown(self, value: float, figure: Figure) -> str:
        if self.over is None:
            return f"{value:.3g} {figure.unit}".rstrip()
        # A small ratio says more the other way round.
        ratio = f"1/{1 / value:.0f}" if 0 < value < 0.05 else f"{value:.3g}"
        return f"{ratio} of {figure.label(self.over)}"


REQUIREMENTS = (
    Requirement(imports.TIME, 5),
    Requirement(imports.TIME, 1 / 60, THEIRS),
    Requirement(imports.MEMORY, 1),
    Requirement(imports.MEMORY, 1 / 60, THEIRS),
    Requirement(parsing.BUILD, 1.3, FLOOR),
    Requirement(parsing.SERIALIZE, 1.3, FLOOR, least=SAME_FIELDS),
    Requirement(parsing.SERIALIZE, 1.1, SAME_FIELDS),
    Requirement(updates.ONE, 1.4, BARE, least=FLOOR),
    Requirement(updates.ONE, 1, THEIRS),
    Requirement(updates.ONE, 1.25, FLOOR),
    Requirement(updates.KEPT_HTTP, 0.8, BARE),
    Requirement(updates.KEPT_TLS, 0.35, BARE),
    Requirement(updates.CONNECTIONS, 1),
    Requirement(rate_limit.WALL, 1.3, FLOOR),
    Requirement(rate_limit.REQUESTS, 1.5),
    Requirement(rate_limit.LOST, 0),
)


def failures(figures: Mapping[str, Figure]) -> list[str]:
    """List the requirements that do not hold.

    :param figures: the figures by name.
    :return: a sentence for each, but for what is missed without this provider, too.
    """
    return [
        f"{requirement.figure}: {requirement.found(figure)}, wanted {requirement.wanted(figure)}"
        for requirement in REQUIREMENTS
        if requirement.verdict(figure := figures[requirement.figure]) == NO
    ]
