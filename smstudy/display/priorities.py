"""The importance-performance map: what matters much, and how much of it is there."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from smstudy.display import figures
from smstudy.display.theme import INK, PALETTE, QUIET, style

NAME_WIDTH = 24
NEEDED = "must-have"
CORNERS = {(0, 1): "look here first", (1, 1): "keep it up", (0, 0): "low priority", (1, 0): "nothing urgent"}


def importance_performance(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw each driver with the intervals of its level and importance, lines at the means, must-haves as squares.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        term, verdict, importance and performance, both with _low and _high.
    labels : mapping
        Names of drivers to their words.
    title : str
        Caption.
    """
    rows = frame.dropna(subset=["importance", "performance"])
    if rows.empty:
        return figures.nothing(ax, frame, labels=labels, title=title)
    needed = rows["verdict"].str.startswith(NEEDED)
    with style():
        ax.hlines(rows["importance"], rows["performance_low"], rows["performance_high"], color=QUIET, linewidth=1.2)
        ax.vlines(rows["performance"], rows["importance_low"], rows["importance_high"], color=QUIET, linewidth=1.2)
        for part, look in (
            (rows[needed], ("s", PALETTE[1], NEEDED)),
            (rows[~needed], ("o", PALETTE[0], "other driver")),
        ):
            if len(part):
                ax.plot(part["performance"], part["importance"], look[0], color=look[1], label=look[2], markersize=7)
        ax.axvline(rows["performance"].mean(), color=QUIET, linewidth=1, linestyle=":")
        ax.axhline(1 / len(rows), color=QUIET, linewidth=1, linestyle=":")
        for row in rows.to_dict("records"):
            words = fill(labels.get(row["term"], row["term"]), NAME_WIDTH, max_lines=2, placeholder=" …")
            ax.annotate(words, (row["performance"], row["importance"]), xytext=(7, 5), textcoords="offset points",
                        color=INK, parse_math=False)  # fmt: skip
        _write_corners(ax)
        return _finish(ax, title, needed=bool(needed.any()))


def _write_corners(ax: Axes) -> None:
    """Name the corners of the map."""
    ax.margins(x=0.25, y=0.18)
    for (right, top), words in CORNERS.items():
        ax.text(0.99 if right else 0.01, 0.98 if top else 0.02, words, transform=ax.transAxes, color=QUIET,
                ha="right" if right else "left", va="top" if top else "bottom", fontsize=8.5)  # fmt: skip


def _finish(ax: Axes, title: str, *, needed: bool) -> Axes:
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel("Level: mean, possible answers 0 to 100", color=INK)
    ax.set_ylabel("Importance", color=INK)
    if needed:
        ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=3.6, ncol=2)
    ax.set_title(title, loc="left", parse_math=False)
    return ax
