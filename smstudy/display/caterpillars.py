"""Picture of many groups in one column, sorted by what is estimated for each."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from smstudy.display.figures import Labels, estimates, nothing
from smstudy.display.theme import INK, PALETTE, QUIET, style

MOST_NAMED = 40
AXIS = "Distance from the average group, with interval"


def caterpillar(ax: Axes, frame: pd.DataFrame, *, labels: Labels, title: str) -> Axes:
    """Draw estimate and interval of each group from the lowest to the highest; names only of up to 40 groups."""
    rows = frame.dropna(subset=["estimate", "conf_low", "conf_high"]).sort_values("estimate", kind="stable")
    if rows.empty:
        return nothing(ax, frame, labels=labels, title=title)
    if len(rows) <= MOST_NAMED:
        return estimates(ax, rows.iloc[::-1], labels=labels, title=title, xlabel=AXIS)
    apart = (rows["conf_low"] > 0) | (rows["conf_high"] < 0)
    places = pd.Series(range(len(rows)), index=rows.index)
    with style():
        for told, color in ((False, QUIET), (True, PALETTE[0])):
            part = rows[apart == told]
            ax.hlines(places[part.index], part["conf_low"], part["conf_high"], color=color, linewidth=1)
            ax.plot(part["estimate"], places[part.index], ".", color=color, markersize=3)
        ax.axvline(0, color=INK, linewidth=1, linestyle="--")
        ax.set_yticks([])
        ax.set_ylabel(f"{len(rows):,} groups, sorted", color=INK)
        ax.set_xlabel(AXIS, color=INK)
        ax.set_title(title, loc="left", parse_math=False)
    return ax
