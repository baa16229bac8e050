"""Pictures of missing answers: which go missing together, and whether chains of imputations have settled."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.ticker import MaxNLocator

from smstudy.display import apa, figures
from smstudy.display.theme import INK, PALETTE, QUIET, style

LIGHT = "#e6e6e6"
NAME_WIDTH = 24


def combinations(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw which variables are missing together.

    One line per combination with its respondents at the right, one column per variable; dark cells are missing. Column
    `missing_terms` holds the names of the variables, joined by commas.
    """
    rows = frame[frame["n"].notna()]
    sets = [terms.split(", ") if terms else [] for terms in rows["missing_terms"]]
    names = list(dict.fromkeys(name for terms in sets for name in terms))
    if not names:
        return figures.words(ax, "No combination of missing answers is shared by enough respondents.", title=title)
    cells = np.array([[name in terms for name in names] for terms in sets], dtype=float)
    with style():
        ax.pcolormesh(cells, cmap=ListedColormap([LIGHT, PALETTE[1]]), vmin=0, vmax=1, edgecolors="white", linewidth=1)
        for place, n in enumerate(rows["n"]):
            ax.annotate(apa.count(n), (len(names), place + 0.5), xytext=(5, 0), textcoords="offset points", va="center")
        ax.invert_yaxis()
        words = [_shortened(labels.get(name, name)) for name in names]
        ax.set_xticks(np.arange(len(names)) + 0.5, words, rotation=90, parse_math=False)
        ax.set_yticks(np.arange(len(rows)) + 0.5, list(rows["group"]), parse_math=False)
        ax.set_xlabel("Dark cells are missing; at the right the respondents", color=INK)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_title(title, loc="left", parse_math=False)
    return ax


def traces(ax: Axes, frame: pd.DataFrame, *, name: str, title: str) -> Axes:
    """Draw the mean of the imputed values of one variable over the iterations, one line per column (chain)."""
    with style():
        ax.plot(frame.index, frame.to_numpy(), color=PALETTE[0], linewidth=0.8, alpha=0.6)
        ax.plot(frame.index, frame.mean(axis=1), color=INK, linewidth=1.8)
        ax.set_xlabel("Iteration; thin lines are the imputations, the thick one their mean", color=INK)
        ax.set_ylabel(f"Mean of imputed\n{_shortened(name)}", color=INK, parse_math=False)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(axis="y", color=QUIET, alpha=0.2)
        ax.set_title(title, loc="left", parse_math=False)
    return ax


def _shortened(words: str) -> str:
    return words if len(words) <= NAME_WIDTH else words[: NAME_WIDTH - 1].rstrip() + "…"
