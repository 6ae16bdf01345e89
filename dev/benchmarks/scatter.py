"""``docs/images/performance-waiting.svg``: how late an end is noticed against the polls it took."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean, median, quantiles

from dev.benchmarks.figure import DBT, DBT_SHIPPED, NAMES, OURS
from dev.benchmarks.plot import STYLE, write
from dev.benchmarks.waits import Waits

PATH = Path(__file__).parents[2] / "docs" / "images" / "performance-waiting.svg"

_WIDTH, _HEIGHT = 960, 456
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 932, 60, 392
_LEAST, _MOST = 0.1, 2000.0
"""Percent: the ends of the upright axis, which is logarithmic."""
_MOST_DOTS = 350
"""For each contender: more would only be larger."""

_COLOURS = {OURS: "#0b7a5e", DBT: "#c2571a", DBT_SHIPPED: "#5b6bb5"}


def render(waits: Mapping[str, Waits]) -> str:
    """Draw the plot.

    :param waits: what was seen by contender.
    :return: the text of an SVG file.
    """
    most_polls = max(max(seen.looks) for seen in waits.values()) + 1
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            f'width="{_WIDTH}" height="{_HEIGHT}" role="img">',
            "<title>How late the end of a job is noticed, and the polls that it took</title>",
            f"<style>{STYLE}</style>",
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="8" fill="#fff"/>',
            write(
                28, 32, "How late the end of a job is noticed, and the polls that it took", "title"
            ),
            *_axes(most_polls),
            *(
                line
                for place, (name, seen) in enumerate(waits.items())
                for line in _cloud(name, seen, most_polls, place)
            ),
            "</svg>",
            "",
        ]
    )


def _x(polls: float, most_polls: float) -> float:
    return _LEFT + polls / most_polls * (_RIGHT - _LEFT)


def _y(percent: float) -> float:
    inside = min(max(percent, _LEAST), _MOST)
    share = math.log(inside / _LEAST) / math.log(_MOST / _LEAST)
    return _BOTTOM - share * (_BOTTOM - _TOP)


def _axes(most_polls: int) -> Iterator[str]:
    for percent in (0.1, 1, 10, 100, 1000):
        y = _y(percent)
        yield f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_RIGHT}" y2="{y:.1f}" class="axis"/>'
        yield write(_LEFT - 8, y + 5, f"{percent:,g} %", "quiet", "end")
    for polls in range(0, most_polls + 1, 5):
        yield write(_x(polls, most_polls), _BOTTOM + 20, str(polls), "quiet", "middle")
    caption = (
        "across: polls of a job; upwards: how late, as a share of its length; "
        "a cross: mean polls, median lateness"
    )
    yield write(_RIGHT, _BOTTOM + 42, caption, "quiet", "end")


def _cloud(name: str, seen: Waits, most_polls: int, place: int) -> Iterator[str]:
    """Draw a dot for each of some jobs, and a cross where mean polls and median lateness meet."""
    colour, step = _COLOURS[name], -(-len(seen.looks) // _MOST_DOTS)
    yield f'<g fill="{colour}" fill-opacity=".35">'
    for index in range(0, len(seen.looks), step):
        # Polls are whole numbers: side by side the dots would hide each other.
        aside = (index / len(seen.looks) - 0.5) * 0.7
        x = _x(seen.looks[index] + aside, most_polls)
        yield f'<circle cx="{x:.1f}" cy="{_y(seen.shares[index]):.1f}" r="2.5"/>'
    yield "</g>"
    x, y = _x(fmean(seen.looks), most_polls), _y(median(seen.shares))
    yield (
        f'<path d="M{x - 9:.1f} {y:.1f}h18M{x:.1f} {y - 9:.1f}v18" stroke="{colour}" '
        f'stroke-width="3.5"/>'
    )
    late, latest = median(seen.shares), quantiles(seen.shares, n=20)[-1]
    # Nobody is late by that much after so many polls, so that there is room.
    left, top = _RIGHT - 390, _TOP + 14 + place * 22
    yield f'<circle cx="{left}" cy="{top - 5}" r="6" fill="{colour}"/>'
    text = f"{NAMES[name]}: median {late:,.0f} %, 95th {latest:,.0f} %"
    yield write(left + 12, top, text)
