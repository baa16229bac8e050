"""Picture of the share to whom something has not happened yet, over time and by group."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from smstudy.display import figures
from smstudy.display.theme import INK, MARKERS, PALETTE, style

BAND = 0.15


def curves(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw one curve with its band per group; points are the times told, lines between them lead the eye.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        group, time, estimate, conf_low, conf_high.
    labels : mapping
        Not used: groups are named by the answers.
    title : str
        Caption.
    """
    rows = frame.dropna(subset=["estimate"])
    if rows.empty:
        return figures.nothing(ax, frame, labels=labels, title=title)
    with style():
        for place, (_, part) in enumerate(rows.groupby("group", sort=False)):
            color = PALETTE[place % len(PALETTE)]
            ax.fill_between(part["time"], part["conf_low"], part["conf_high"], color=color, alpha=BAND, linewidth=0)
            look = {"color": color, "marker": MARKERS[place % len(MARKERS)], "label": f"line {place}"}
            ax.plot(part["time"], part["estimate"], linewidth=1.5, markersize=4, **look)
        ax.set_ylim(0, 1.03)
        ax.set_xlim(left=0)
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.set_xlabel("Time", color=INK)
        ax.set_ylabel("Not yet", color=INK)
        names = rows["group"].unique()
        if len(names) > 1:
            legend = ax.legend(frameon=False)
            for text, name in zip(legend.get_texts(), names, strict=True):
                text.set(text=str(name), parse_math=False)
        ax.set_title(title, loc="left", parse_math=False)
    return ax
