"""Picture of an indirect effect over the strength of an unmeasured confounder."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from smstudy.display import figures
from smstudy.display.theme import INK, PALETTE, QUIET, style


def sensitivity_curve(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw the effect as a line with a band over rho, zero marked, what is assumed (rho = 0) as a dotted line.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        rho (rising), estimate, conf_low, conf_high.
    labels : mapping
        Not used: the axes name no variable.
    title : str
        Caption.
    """
    rows = frame.dropna(subset=["estimate", "conf_low", "conf_high"])
    if rows.empty:
        return figures.nothing(ax, frame, labels=labels, title=title)
    with style():
        look = {"color": PALETTE[0], "linewidth": 0}
        ax.fill_between(rows["rho"], rows["conf_low"], rows["conf_high"], alpha=0.22, **look)
        ax.plot(rows["rho"], rows["estimate"], color=PALETTE[0], linewidth=2)
        ax.axhline(0, color=QUIET, linewidth=1, linestyle="--")
        ax.axvline(0, color=QUIET, linewidth=1, linestyle=":")
        ax.set_xlabel("rho: correlation of what is unexplained in mediator and outcome", color=INK)
        ax.set_ylabel("Indirect effect", color=INK)
        ax.set_title(title, loc="left", parse_math=False)
    return ax
