"""Pictures of how many factors there are, and of what loads on which."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from smstudy.display import apa, figures
from smstudy.display.theme import INK, MARKERS, PALETTE, QUIET, style

NAME_WIDTH = 34


def scree(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw eigenvalues in their order, with those that data without any structure reach.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        rule (kind of eigenvalue), n_factors (rank), estimate (eigenvalue), threshold (simulated one).
    labels : mapping
        Not used: kinds of eigenvalues are words already.
    title : str
        Caption.
    """
    if frame.empty:
        return figures.nothing(ax, frame, labels=labels, title=title)
    with style():
        for i, (kind, rows) in enumerate(frame.groupby("rule", sort=False)):
            look = {"color": PALETTE[i], "linewidth": 1.5}
            ax.plot(rows["n_factors"], rows["estimate"], marker=MARKERS[i], label=f"{kind}, observed", **look)
            ax.plot(rows["n_factors"], rows["threshold"], linestyle="--", label=f"{kind}, simulated", **look)
        ax.axhline(1, color=QUIET, linewidth=1, linestyle=":")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("Rank; dotted line: eigenvalue 1", color=INK)
        ax.set_ylabel("Eigenvalue", color=INK)
        ax.legend(frameon=False)
        ax.set_title(title, loc="left", parse_math=False)
    return ax


def loadings(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw one row per item and one column per factor, colored by the loading that is written in the cell.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        term (item), factor, loading.
    labels : mapping
        Names of items to their words.
    title : str
        Caption.
    """
    if frame.empty:
        return figures.nothing(ax, frame, labels=labels, title=title)
    cells = frame.pivot(index="term", columns="factor", values="loading")
    cells = cells.loc[list(dict.fromkeys(frame["term"])), list(dict.fromkeys(frame["factor"]))]
    with style():
        ax.pcolormesh(cells.to_numpy(), cmap=figures.AROUND_ZERO, vmin=-1, vmax=1, edgecolors="white", linewidth=1)
        for (row, column), value in np.ndenumerate(cells.to_numpy()):
            color = "white" if abs(value) > figures.DARK else INK
            words = apa.write("loading", value)
            ax.text(column + 0.5, row + 0.5, words, ha="center", va="center", color=color, parse_math=False)
        ax.invert_yaxis()
        ax.set_xticks(np.arange(cells.shape[1]) + 0.5, list(cells), parse_math=False)
        names = [apa.say("term", name, labels) for name in cells.index]
        names = [fill(name, NAME_WIDTH, max_lines=2, placeholder=" …") for name in names]
        ax.set_yticks(np.arange(len(cells)) + 0.5, names, parse_math=False)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_title(title, loc="left", parse_math=False)
    return ax
