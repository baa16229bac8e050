"""The picture of where on its scale a test is precise."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from smstudy.display import figures
from smstudy.display.theme import INK, PALETTE, style

BELOW = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "borderaxespad": 4.2, "ncol": 2}


def information_curve(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw the information of a test over the attitude, and the standard error it leaves on a second axis.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        attitude, information, std_error.
    labels : mapping
        Not used: there is nothing to name.
    title : str
        Caption.
    """
    if frame.empty:
        return figures.nothing(ax, frame, labels=labels, title=title)
    with style():
        beside = ax.twinx()
        (told,) = ax.plot(frame["attitude"], frame["information"], color=PALETTE[0], linewidth=2)
        (error,) = beside.plot(frame["attitude"], frame["std_error"], color=PALETTE[1], linewidth=2, linestyle="--")
        ax.set_ylim(bottom=0)
        beside.set_ylim(0, 1.2)
        beside.spines["right"].set_visible(True)
        ax.set_xlabel("Attitude in standard deviations from the mean", color=INK)
        ax.set_ylabel("Information", color=INK)
        beside.set_ylabel("Standard error", color=INK)
        ax.legend([told, error], ["information", "standard error"], frameon=False, **BELOW)
        ax.set_title(title, loc="left", parse_math=False)
    return ax
