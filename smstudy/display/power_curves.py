"""The picture of how the chance to find an effect, or the precision of an estimate, grows with the sample."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from smstudy.display import apa, figures
from smstudy.display.theme import INK, PALETTE, QUIET, style

USUAL = 0.8


def power_curve(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw the chance to find an effect over the number of respondents, or over the effect if that changes.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        n_planned, smallest, power and, where the chance is simulated, power_error: a band of two such errors.
    labels : mapping
        Not used: there is nothing to name.
    title : str
        Caption.
    """
    if frame.empty:
        return figures.nothing(ax, frame, labels=labels, title=title)
    along = "n_planned" if frame["n_planned"].nunique() > 1 else "smallest"
    rows = frame.sort_values(along)
    with style():
        ax.plot(rows[along], rows["power"], color=PALETTE[0], linewidth=2, marker="o", markersize=4)
        if "power_error" in rows:
            low, high = (rows["power"] + sign * 2 * rows["power_error"] for sign in (-1, 1))
            ax.fill_between(rows[along], low.clip(0, 1), high.clip(0, 1), color=PALETTE[0], alpha=0.15, linewidth=0)
        ax.axhline(USUAL, color=QUIET, linewidth=1, linestyle="--")
        ax.set_ylim(0, 1.03)
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        return _finish(ax, along, "Power; dashed: 80 %", title)


def margin_curve(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw the margin of error over the number of respondents; columns n_planned and margin."""
    if frame.empty:
        return figures.nothing(ax, frame, labels=labels, title=title)
    with style():
        ax.plot(frame["n_planned"], frame["margin"], color=PALETTE[0], linewidth=2, marker="o", markersize=4)
        ax.set_ylim(bottom=0)
        return _finish(ax, "n_planned", apa.column("margin").heading, title)


def curve_words(frame: pd.DataFrame, *, title: str, value: str) -> str:
    """Say in words what a curve shows.

    >>> points = pd.DataFrame({"n_planned": [10, 20], "smallest": 0.5, "power": [0.2, 0.4]})
    >>> curve_words(points, title="T", value="power")
    'T. Power by planned n: 10: 20 %; 20: 40 %.'
    """
    along = "n_planned" if frame["n_planned"].nunique() > 1 else "smallest"
    points = [f"{apa.write(along, x)}: {apa.write(value, y)}" for x, y in zip(frame[along], frame[value], strict=True)]
    return f"{title}. {apa.column(value).heading} by {apa.column(along).heading.lower()}: {'; '.join(points)}."


def department_powers(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw the chance of each department, 80 % marked."""
    drawn = figures.bars(ax, frame, value="power", labels=labels, title=title)
    if len(frame):
        drawn.axvline(USUAL, color=QUIET, linewidth=1, linestyle="--", zorder=0)
        drawn.set_xlim(0, 1.1)
    return drawn


def _finish(ax: Axes, along: str, ylabel: str, title: str) -> Axes:
    ax.set_xlabel(apa.column(along).heading, color=INK)
    ax.set_ylabel(ylabel, color=INK)
    ax.set_title(title, loc="left", parse_math=False)
    return ax
