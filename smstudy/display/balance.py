"""Picture of how alike two groups are before and after matching (Love plot)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes

from smstudy.display import apa, figures
from smstudy.display.theme import INK, PALETTE, QUIET, style

NAME_WIDTH = 34


def love(
    ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str, yardsticks: Sequence[float] = ()
) -> Axes:
    """Draw the difference of each variable before (hollow) and after matching (filled), zero and limits marked.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        term, balance_before, balance_after.
    labels : mapping
        Names of variables to their words.
    title : str
        Caption.
    yardsticks : sequence of float
        Differences that count as small.
    """
    rows = frame.dropna(subset=["balance_before", "balance_after"]).reset_index(drop=True)
    if rows.empty:
        return figures.nothing(ax, frame, labels=labels, title=title)
    places = list(range(len(rows)))[::-1]
    with style():
        ax.hlines(places, rows["balance_before"], rows["balance_after"], color=QUIET, linewidth=1)
        look = {"markersize": 7, "color": PALETTE[0], "linestyle": "none", "marker": "o"}
        ax.plot(rows["balance_before"], places, label="all units", **{**look, "markerfacecolor": "white"})
        ax.plot(rows["balance_after"], places, label="matched units", **look)
        ax.axvline(0, color=QUIET, linewidth=1, linestyle="--")
        for limit in yardsticks:
            for side in (-limit, limit):
                ax.axvline(side, color=QUIET, linewidth=1, linestyle=":")
        names = [
            fill(apa.say("term", name, labels), NAME_WIDTH, max_lines=2, placeholder=" …") for name in rows["term"]
        ]
        ax.set_yticks(places, names, parse_math=False)
        ax.set_ylim(-0.6, len(rows) - 0.4)
        ax.set_xlabel("Pilot minus comparison, in standard deviations between units", color=INK)
        ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=4.2, ncol=2)
        ax.set_title(title, loc="left", parse_math=False)
    return ax
