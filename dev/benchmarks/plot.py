"""``docs/images/performance.svg``: bars for the figures, and a line for the rate limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from dev.benchmarks import imports, parsing, rate_limit, tasks, updates
from dev.benchmarks.figure import FLOOR, OURS, Figure

PATH = Path(__file__).parents[2] / "docs" / "images" / "performance.svg"

_ROWS = (
    (imports.TIME, imports.MEMORY),
    (tasks.CPU, updates.ONE),
    (updates.KEPT_HTTP, updates.KEPT_TLS),
    (parsing.BUILD, parsing.SERIALIZE),
)
_COLUMNS = 2
_WIDTH, _MARGIN, _BAR, _STEP = 960, 28, 18, 26
_PANEL_WIDTH = (_WIDTH - (_COLUMNS + 1) * _MARGIN) / _COLUMNS
_HEAD, _LABELS, _VALUES = 22, 176, 70
_LINE_HEIGHT = 250

# The page around it may be dark, so that the plot needs its own white background.
STYLE = """\
text { font: 14px system-ui, sans-serif; fill: #1f2933 }
.title { font-weight: 600 }
.quiet { fill: #667684 }
.ours { fill: #0b7a5e }
.other { fill: #c3ccd4 }
.line { fill: none; stroke: #0b7a5e; stroke-width: 2.5 }
.ideal { fill: none; stroke: #8696a4; stroke-width: 1.5; stroke-dasharray: 5 4 }
.axis { stroke: #c3ccd4 }
"""


def render(figures: Mapping[str, Figure], accepted: Sequence[float]) -> str:
    """Draw the plot.

    :param figures: the figures by name.
    :param accepted: when each update was accepted under the rate limit, in seconds.
    :return: the text of an SVG file.
    """
    panels: list[str] = []
    top = _MARGIN
    for row in _ROWS:
        for column, name in enumerate(row):
            panels += _bars(figures[name], _MARGIN + column * (_PANEL_WIDTH + _MARGIN), top)
        top += _HEAD + max(len(figures[name].values) for name in row) * _STEP + _MARGIN
    panels += _line(figures[rate_limit.WALL], accepted, top)
    height = top + _LINE_HEIGHT
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
            f'width="{_WIDTH}" height="{height}" role="img">',
            "<title>What the provider costs, beside its alternatives</title>",
            f"<style>{STYLE}</style>",
            f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="#fff"/>',
            *panels,
            "</svg>",
            "",
        ]
    )


def write(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    """Return a line of text.

    :param x: where it is anchored.
    :param y: its base line.
    :param text: the text, perhaps with code marks.
    :param kind: its class.
    :param anchor: ``start``, ``middle`` or ``end``.
    :return: the element.
    """
    shown = escape(text.replace("`", ""))
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}" text-anchor="{anchor}">{shown}</text>'


def _bars(figure: Figure, left: float, top: float) -> Iterator[str]:
    """Draw a bar for each contender, the shortest first."""
    yield write(left, top + 12, figure.name, "title")
    room = _PANEL_WIDTH - _LABELS - _VALUES
    longest = max(figure.values.values())
    for index, (name, value) in enumerate(sorted(figure.values.items(), key=lambda it: it[1])):
        y = top + _HEAD + index * _STEP
        start, length = left + _LABELS, max(value / longest * room, 1.5)
        kind = "ours" if name == OURS else "other"
        yield write(
            start - 8, y + 14, figure.label(name), "title" if name == OURS else "quiet", "end"
        )
        yield (
            f'<rect x="{start:.1f}" y="{y:.1f}" width="{length:.1f}" height="{_BAR}" '
            f'rx="2" class="{kind}"/>'
        )
        yield write(start + length + 6, y + 14, figure.shown(name), "quiet")


def _line(figure: Figure, accepted: Sequence[float], top: float) -> Iterator[str]:
    """Draw the number of accepted updates over time."""
    ideal = figure.values[FLOOR]
    count, seconds = len(accepted), max([*accepted, ideal])
    left, right, bottom = _MARGIN + 40, _WIDTH - _MARGIN, top + _LINE_HEIGHT - 50

    def point(second: float, number: float) -> str:
        x = left + second / seconds * (right - left)
        return f"{x:.1f},{bottom - number / max(count, 1) * (bottom - top - 30):.1f}"

    yield write(
        _MARGIN,
        top + 12,
        f"{rate_limit.PROCESSES} processes, {count} updates, a service that allows "
        f"{rate_limit.PER_SECOND} a second: updates done, by second",
        "title",
    )
    yield f'<line x1="{left}" y1="{bottom}" x2="{right}" y2="{bottom}" class="axis"/>'
    for second in range(int(seconds) + 1):
        x = left + second / seconds * (right - left)
        yield write(x, bottom + 20, str(second), "quiet", "middle")
    yield write(left - 8, bottom, "0", "quiet", "end")
    yield write(left - 8, top + 40, str(count), "quiet", "end")
    yield f'<polyline points="{point(0, 0)} {point(ideal, count)}" class="ideal"/>'
    yield write(right, bottom - 16, "dashed: what the limit allows, evenly", "quiet", "end")
    yield write(right, bottom + 38, "seconds; a window of the limit opens at once", "quiet", "end")
    steps = [
        point(second, number + after)
        for number, second in enumerate(sorted(accepted))
        for after in (0, 1)
    ]
    yield f'<polyline points="{" ".join(steps)}" class="line"/>'
