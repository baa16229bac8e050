"""Picture of an effect between the bounds within which it does not matter."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes

from smstudy.display import figures
from smstudy.display.theme import INK, PALETTE, QUIET, style

NAME_WIDTH = 34
BAND = 0.7
ASIDE = 0.12


def within_bounds(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw the estimate of each row with its 90 % interval (thick) and 95 % interval (thin) over its band of bounds.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        term, verdict, estimate, conf_low, conf_high, narrow_low, narrow_high, bound_low, bound_high.
    labels : mapping
        Names of terms to their words.
    title : str
        Caption.
    """
    rows = frame.dropna(subset=["estimate", "conf_low", "conf_high"]).reset_index(drop=True)
    if rows.empty:
        return figures.nothing(ax, frame, labels=labels, title=title)
    places = range(len(rows))[::-1]
    with style():
        ax.barh(places, rows["bound_high"] - rows["bound_low"], left=rows["bound_low"], height=BAND,
                color=PALETTE[4], alpha=0.25, label="too small to matter")  # fmt: skip
        ax.hlines(places, rows["conf_low"], rows["conf_high"], color=PALETTE[0], linewidth=1.2, label="95% interval")
        ax.hlines(places, rows["narrow_low"], rows["narrow_high"], color=PALETTE[0], linewidth=4, label="90% interval")
        ax.plot(rows["estimate"], places, "o", color=PALETTE[0], markersize=7)
        ax.axvline(0, color=QUIET, linewidth=1, linestyle="--")
        words = [f"{labels.get(term, term)}: {verdict}" for term, verdict in rows[["term", "verdict"]].to_numpy()]
        ax.set_yticks(list(places), [fill(each, NAME_WIDTH) for each in words], parse_math=False)
        ax.set_ylim(-0.6, len(rows) - 0.4)
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel("Effect, with the bounds from which on it matters", color=INK)
        ax.use_sticky_edges = False
        ax.margins(x=ASIDE)
        ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=4.2, ncol=3)
        ax.set_title(title, loc="left", parse_math=False)
    return ax
