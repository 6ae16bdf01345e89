"""``docs/images/performance-waiting.svg``: how late an end is noticed against the polls it took."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, median, quantiles

from dev.benchmarks.figure import DBT, DBT_SHIPPED, NAMES, OURS
from dev.benchmarks.waits import Waits

PATH = Path(__file__).parents[2] / "docs" / "images" / "performance-waiting.svg"

_MOST_DOTS = 200
"""For each contender: more would only be larger."""
_COLOURS = {OURS: "#0b7a5e", DBT: "#c2571a", DBT_SHIPPED: "#5b6bb5"}


def draw(waits: Mapping[str, Waits]) -> None:
    """Draw a dot for each of some jobs, and a cross where mean polls and median lateness meet.

    :param waits: what was seen by contender.
    """
    # Only `make bench` installs it.
    from matplotlib.figure import Figure

    picture = Figure(figsize=(10, 4.75), layout="tight")
    axes = picture.subplots()
    for name, seen in waits.items():
        step = -(-len(seen.looks) // _MOST_DOTS)
        places = range(0, len(seen.looks), step)
        # Polls are whole numbers: side by side the dots would hide each other.
        across = [seen.looks[place] + (place / len(seen.looks) - 0.5) * 0.7 for place in places]
        late, latest = median(seen.shares), quantiles(seen.shares, n=20)[-1]
        label = f"{NAMES[name].replace('`', '')}: median {late:,.0f} %, 95th {latest:,.0f} %"
        upwards = [max(seen.shares[place], 0.1) for place in places]
        axes.scatter(across, upwards, s=9, alpha=0.35, color=_COLOURS[name], label=label)
        axes.plot(fmean(seen.looks), late, "+", color=_COLOURS[name], markersize=16, mew=3.5)
    axes.set(
        title="How late the end of a job is noticed, and the polls that it took",
        xlabel="polls of a job (a cross: mean polls, median lateness)",
        ylabel="how late, in % of its length",
        yscale="log",
    )
    axes.locator_params(axis="x", integer=True)
    axes.legend()
    picture.savefig(PATH, metadata={"Date": None})
