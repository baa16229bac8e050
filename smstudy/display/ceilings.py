"""Picture of what level of each condition goes with a level of the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes

from smstudy.display import figures
from smstudy.display.theme import INK, MARKERS, PALETTE, style

NAME_WIDTH = 34
APART = 0.12
SIDESTEP = 0.012


def steps(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw one line per condition: the level needed at each level of the outcome; what is not needed is at the bottom.

    Lines are set a little apart, so that none hides another.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        term (condition), outcome_level, needed_level; rows without a level are left out.
    labels : mapping
        Names of conditions to their words.
    title : str
        Caption.
    """
    rows = frame.dropna(subset=["needed_level"])
    if rows.empty:
        return figures.nothing(ax, frame, labels=labels, title=title)
    with style():
        for place, (_, part) in enumerate(rows.groupby("term", sort=False)):
            look = {"color": PALETTE[place % len(PALETTE)], "marker": MARKERS[place % len(MARKERS)]}
            aside = SIDESTEP * place * (rows["needed_level"].max() - rows["needed_level"].min())
            look |= {"linewidth": 1.5, "markersize": 5, "drawstyle": "steps-pre", "label": f"line {place}"}
            ax.plot(part["outcome_level"], part["needed_level"] + aside, **look)
        ax.set_xlabel("Level of the outcome that is reached", color=INK)
        ax.set_ylabel("Level of the condition\nthat nearly all have", color=INK)
        ax.margins(y=APART)
        legend = ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=4.2, ncol=2)
        for text, name in zip(legend.get_texts(), rows["term"].unique(), strict=True):
            text.set(text=fill(labels.get(name, name), NAME_WIDTH, max_lines=2, placeholder=" …"), parse_math=False)
        ax.set_title(title, loc="left", parse_math=False)
    return ax
