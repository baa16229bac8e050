"""Picture of an indirect effect over the strength of an unmeasured confounder."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from smstudy.display import apa, figures
from smstudy.display.theme import INK, PALETTE, QUIET, style


def sensitivity_curve(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw each effect as a line with a band over rho, zero marked, what is assumed (rho = 0) as a dotted line.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        term (the mediator), rho (rising), estimate, conf_low, conf_high.
    labels : mapping
        Names of mediators to their words, for a legend of several.
    title : str
        Caption.
    """
    rows = frame.dropna(subset=["estimate", "conf_low", "conf_high"])
    if rows.empty:
        return figures.nothing(ax, frame, labels=labels, title=title)
    with style():
        for place, (name, own) in enumerate(rows.groupby("term", sort=False)):
            color = PALETTE[place % len(PALETTE)]
            ax.fill_between(own["rho"], own["conf_low"], own["conf_high"], alpha=0.22, color=color, linewidth=0)
            ax.plot(own["rho"], own["estimate"], color=color, linewidth=2, label=apa.say("term", name, labels))
        if rows["term"].nunique() > 1:
            ax.legend(frameon=False)
        ax.axhline(0, color=QUIET, linewidth=1, linestyle="--")
        ax.axvline(0, color=QUIET, linewidth=1, linestyle=":")
        ax.set_xlabel("rho: correlation of what is unexplained in mediator and outcome", color=INK)
        ax.set_ylabel("Indirect effect", color=INK)
        ax.set_title(title, loc="left", parse_math=False)
    return ax
