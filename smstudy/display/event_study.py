"""Picture of how far units in a pilot and others are apart, wave by wave before and after the start."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from smstudy.display import figures
from smstudy.display.theme import INK, PALETTE, QUIET, style

MOST_TICKS = 12


def leads_and_lags(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw one point with its interval per wave; the start is marked, the wave before it is zero by definition.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        event_time, estimate, conf_low, conf_high (missing for the reference).
    labels : mapping
        Not used: waves have no labels.
    title : str
        Caption.
    """
    rows = frame.dropna(subset=["estimate"])
    if rows.empty:
        return figures.nothing(ax, frame, labels=labels, title=title)
    with style():
        ax.axhline(0, color=QUIET, linewidth=1, linestyle="--")
        ax.axvline(-0.5, color=QUIET, linewidth=1, linestyle=":")
        for before, color in ((True, QUIET), (False, PALETTE[0])):
            part = rows[(rows["event_time"] < 0) == before]
            ax.vlines(part["event_time"], part["conf_low"], part["conf_high"], color=color, linewidth=2)
            ax.plot(part["event_time"], part["estimate"], "o", color=color, markersize=6)
        ax.set_xticks(rows["event_time"].astype(int))
        ax.set_xlabel("Waves since the start (dotted); the wave before it is the reference", color=INK)
        ax.set_ylabel("Pilot minus comparison,\nwith interval", color=INK)
        ax.set_title(title, loc="left", parse_math=False)
    return ax


def interrupted(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw a series with the lines fitted before and after a start, and where the first line would have led.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        wave, time, mean, fitted, expected (missing before the start).
    labels : mapping
        Not used: waves have no labels.
    title : str
        Caption.
    """
    rows = frame.dropna(subset=["mean"]).reset_index(drop=True)
    if rows.empty:
        return figures.nothing(ax, frame, labels=labels, title=title)
    after, time = rows["expected"].notna(), rows["time"]
    with style():
        ax.plot(time, rows["mean"], "o", color=QUIET, markersize=4)
        for part in (~after, after):
            ax.plot(time[part], rows["fitted"][part], color=PALETTE[0], linewidth=1.8)
        ax.plot(time[after], rows["expected"][after], color=PALETTE[1], linewidth=1.5, linestyle="--")
        ax.axvline(-0.5, color=QUIET, linewidth=1, linestyle=":")
        step = -(-len(rows) // MOST_TICKS)
        ax.set_xticks(time[::step], [str(name) for name in rows["wave"][::step]], parse_math=False)
        ax.set_ylabel("Mean; dashed: expected\nwithout the start", color=INK)
        ax.set_title(title, loc="left", parse_math=False)
    return ax
