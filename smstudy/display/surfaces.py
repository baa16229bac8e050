"""Picture of an outcome over two numbers that may agree."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes

from smstudy.display import figures
from smstudy.display.theme import INK, PALETTE, style

NAME_WIDTH = 40
LEVELS = 9
FEWEST_POINTS = 2


def contours(
    ax: Axes,
    frame: pd.DataFrame,
    *,
    labels: Mapping[str, str],
    title: str,
    names: tuple[str, str, str],
    ridge: tuple[float, float] | None = None,
) -> Axes:
    """Draw the expected outcome as lines of equal height, the line of agreement, and the ridge of the surface.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        first, second, fitted: a grid, fitted being missing where there are too few respondents.
    labels : mapping
        Names of variables to their words.
    title : str
        Caption.
    names : tuple of str
        First and second variable, and the outcome.
    ridge : (float, float), optional
        Second variable along the ridge: intercept, slope.
    """
    grid = frame.pivot(index="second", columns="first", values="fitted")
    seen = grid.notna().to_numpy()
    if min(seen.any(axis=0).sum(), seen.any(axis=1).sum()) < FEWEST_POINTS or frame["fitted"].nunique() < FEWEST_POINTS:
        return figures.nothing(ax, frame, labels=labels, title=title)
    low, high = grid.columns.min(), grid.columns.max()
    first, second, outcome = (fill(labels.get(name, name), NAME_WIDTH) for name in names)
    with style():
        drawn = ax.contourf(grid.columns, grid.index, grid, levels=LEVELS, cmap="Blues", alpha=0.85)
        ax.contour(
            grid.columns, grid.index, grid, levels=drawn.levels, colors="white", linewidths=0.6, linestyles="solid"
        )
        ax.plot([low, high], [low, high], color=INK, linewidth=1, linestyle="--", label="both agree")
        if ridge is not None:
            ends = [ridge[0] + ridge[1] * low, ridge[0] + ridge[1] * high]
            ax.plot([low, high], ends, color=PALETTE[1], linewidth=1.6, label="ridge")
        ax.set_xlim(low, high)
        ax.set_ylim(low, high)
        ax.set_aspect("equal")
        ax.set_xlabel(first, color=INK, parse_math=False)
        ax.set_ylabel(second, color=INK, parse_math=False)
        bar = ax.figure.colorbar(drawn, ax=ax, shrink=0.8)
        bar.set_label(outcome, color=INK, parse_math=False)
        ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=4.2, ncol=2)
        ax.set_title(title, loc="left", parse_math=False)
    return ax
