"""Pictures of tidy tables. Each function knows columns, never models, and returns the axes it drew on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from smstudy.display import apa
from smstudy.display.rules import STABILITY
from smstudy.display.theme import INK, MARKERS, PALETTE, QUIET, style

LABEL_WIDTH = 34
SPOKEN = ("estimate", "alpha", "item_rest", "std_mean", "share", "mean", "n", "n_after", "stability")
Labels = Mapping[str, str]


def new_axes(rows: int, *, width: float = 6.5) -> Axes:
    """Open axes high enough for a number of rows."""
    with style():
        _, ax = plt.subplots(figsize=(width, 1.3 + 0.34 * max(rows, 1)))
    return ax


def estimates(
    ax: Axes,
    frame: pd.DataFrame,
    *,
    labels: Labels,
    title: str,
    value: str = "estimate",
    ends: tuple[str, str] = ("conf_low", "conf_high"),
) -> Axes:
    """Draw one point with its confidence interval per row, first row on top, zero marked when it is in sight."""
    low, high = ends
    rows = _drawn(frame, [value, low, high])
    places = range(len(rows))[::-1]
    with style():
        ax.hlines(places, rows[low], rows[high], color=PALETTE[0], linewidth=2)
        ax.plot(rows[value], places, "o", color=PALETTE[0], markersize=6)
        if len(rows) and rows[low].min() <= 0 <= rows[high].max():
            ax.axvline(0, color=QUIET, linewidth=1, linestyle="--")
        xlabel = f"{apa.column(value).heading} with interval"
        return _finish(ax, places, _names(rows, labels), title=title, xlabel=xlabel)


def group_estimates(ax: Axes, frame: pd.DataFrame, *, labels: Labels, title: str) -> Axes:
    """Draw the means and intervals of the groups for one score, with everybody's mean as a line."""
    rows = _drawn(frame, ["estimate", "conf_low", "conf_high"])
    with style():
        ax.axvline(rows["estimate"].iloc[0], color=QUIET, linewidth=1, linestyle=":")
    estimates(ax, rows, labels=labels, title=title)
    ax.set_xlabel(f"{apa.say('term', rows['term'].iloc[0], labels)}: mean with 95% interval", color=INK)
    return ax


def bars(ax: Axes, frame: pd.DataFrame, *, value: str, labels: Labels, title: str) -> Axes:
    """Draw one horizontal bar per row with its number at the end."""
    rows = _drawn(frame, [value])
    places = range(len(rows))[::-1]
    with style():
        ax.barh(places, rows[value], color=PALETTE[0], height=0.62)
        for place, number in zip(places, rows[value]):
            ax.annotate(apa.write(value, number), (number, place), xytext=(4, 0), textcoords="offset points", va="center")
        ax.margins(x=0.12)
        if apa.column(value).kind == "share":
            ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        return _finish(ax, places, _names(rows, labels), title=title, xlabel=apa.column(value).heading)


def changes(ax: Axes, frame: pd.DataFrame, *, labels: Labels, title: str) -> Axes:
    """Draw the previous and the present value of each row, joined by a line."""
    rows = _drawn(frame, ["previous", "estimate"])
    places = range(len(rows))[::-1]
    with style():
        ax.hlines(places, rows["previous"], rows["estimate"], color=QUIET, linewidth=1.5)
        ax.plot(rows["previous"], places, MARKERS[1], color=QUIET, label="previous wave", linestyle="none")
        ax.plot(rows["estimate"], places, MARKERS[0], color=PALETTE[1], label="this wave", linestyle="none")
        ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncol=2)
        return _finish(ax, places, _names(rows, labels), title=title, xlabel="Mean score")


def profiles(ax: Axes, frame: pd.DataFrame, *, labels: Labels, title: str) -> Axes:
    """Draw the standardized means of each segment over the scales: one line, one color and one marker a segment."""
    rows = _drawn(frame, ["std_mean"])
    terms = list(dict.fromkeys(rows["term"]))
    with style():
        for i, (name, part) in enumerate(rows.groupby("segment", sort=False)):
            places = [terms.index(term) for term in part["term"]]
            look = {"color": PALETTE[i % len(PALETTE)], "marker": MARKERS[i % len(MARKERS)]}
            ax.plot(places, part["std_mean"], linewidth=1.8, label=labels.get(name, str(name)), **look)
        ax.axhline(0, color=QUIET, linewidth=1, linestyle="--")
        ax.set_xticks(range(len(terms)), [fill(labels.get(t, t), 16) for t in terms])
        ax.set_ylabel("Distance from everybody's mean (SD)", color=INK)
        ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncol=2)
        ax.set_title(title)
        return ax


def flow(ax: Axes, frame: pd.DataFrame, *, labels: Labels, title: str) -> Axes:
    """Draw who is left after each rule and, in a second color, whom it removed; rules with hidden totals are left out."""
    rows = _drawn(frame, ["n_after", "n_removed"])
    places = range(len(rows))[::-1]
    with style():
        ax.barh(places, rows["n_after"], color=PALETTE[0], height=0.62, label="left")
        ax.barh(places, rows["n_removed"], left=rows["n_after"], color=PALETTE[1], height=0.62, label="removed")
        for place, after, removed in zip(places, rows["n_after"], rows["n_removed"]):
            text = apa.count(after) + (f" ({apa.MINUS}{apa.count(removed)})" if removed else "")
            ax.annotate(text, (after + removed, place), xytext=(4, 0), textcoords="offset points", va="center")
        ax.margins(x=0.2)
        ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncol=2)
        names = [fill(text, LABEL_WIDTH) for text in rows["reason"]]
        return _finish(ax, places, names, title=title, xlabel="Respondents")


def choices(ax: Axes, frame: pd.DataFrame, *, labels: Labels, title: str) -> Axes:
    """Draw the stability of each number of groups; filled where it beats one group, the needed stability marked."""
    rows = _drawn(frame, ["stability"])
    with style():
        ax.plot(rows["k"], rows["stability"], color=QUIET, linewidth=1.2, zorder=1)
        for beats, words in ((True, "better than one group"), (False, "one group explains it")):
            part = rows[(rows["p_adjusted"] < 0.05) == beats]
            fills = PALETTE[0] if beats else "white"
            ax.scatter(part["k"], part["stability"], s=55, color=fills, edgecolor=PALETTE[0], label=words, zorder=2)
        ax.axhline(STABILITY.cuts[1], color=QUIET, linewidth=1, linestyle="--")
        ax.set_ylim(0, 1.03)
        ax.set_xticks(rows["k"])
        ax.set_xlabel(apa.column("k").heading, color=INK)
        ax.set_ylabel("Stability of the least stable group", color=INK)
        ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncol=2)
        ax.set_title(title)
        return ax


def nothing(ax: Axes, frame: pd.DataFrame, *, labels: Labels, title: str) -> Axes:
    """Say that there is nothing to draw."""
    ax.set_axis_off()
    ax.set_title(title)
    ax.text(0, 0.5, "Nothing to draw: there is no number here that may be shown.", color=QUIET, transform=ax.transAxes)
    return ax


def words(ax: Axes, text: str, *, title: str) -> Axes:
    """Write words where there is nothing to draw."""
    with style():
        ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes, color=INK)
        ax.set_axis_off()
        ax.set_title(title)
        return ax


def save(ax: Axes, numbers: str, stem: Path) -> list[Path]:
    """Save a figure as PNG and SVG, with the numbers it draws as CSV; close it.

    The title is left to the page the figure stands on.

    Parameters
    ----------
    ax : Axes
        What was drawn.
    numbers : str
        The same numbers as CSV text.
    stem : Path
        Where, without an ending.
    """
    figure = ax.get_figure()
    ax.set_title("", loc="left")
    paths = [stem.with_name(stem.name + ending) for ending in (".png", ".svg", ".csv")]
    with style():
        figure.savefig(paths[0], metadata={"Software": None})
        figure.savefig(paths[1], metadata={"Date": None, "Creator": None})
    paths[2].write_text(numbers, encoding="utf-8")
    if isinstance(figure, Figure):
        plt.close(figure)
    return paths


def describe(frame: pd.DataFrame, *, title: str, labels: Labels) -> str:
    """Say in words what a figure shows, for readers who cannot see it."""
    name = next((n for n in ("term", "group", "segment") if n in frame), None)
    value = next((n for n in SPOKEN if n in frame), None)
    if name is None or value is None:
        return title
    rows = frame.dropna(subset=[value])
    parts = [f"{apa.say(name, str(a), labels)} {apa.write(value, b)}" for a, b in zip(rows[name], rows[value])]
    return f"{title}. {apa.column(value).heading}: " + "; ".join(parts[:24]) + "."


def _drawn(frame: pd.DataFrame, needed: Sequence[str]) -> pd.DataFrame:
    return frame.dropna(subset=list(needed)).reset_index(drop=True)


def _names(rows: pd.DataFrame, labels: Labels) -> list[str]:
    varying = [name for name in ("term", "group", "segment", "rule", "k") if name in rows and rows[name].nunique() > 1]
    column = varying[0] if varying else next(name for name in ("term", "group", "segment", "rule", "k") if name in rows)
    return [fill(apa.say(column, str(name), labels), LABEL_WIDTH) for name in rows[column]]


def _finish(ax: Axes, places: Sequence[int], names: Sequence[str], *, title: str, xlabel: str) -> Axes:
    ax.set_yticks(list(places), names)
    ax.set_xlabel(xlabel, color=INK)
    ax.set_title(title)
    ax.tick_params(axis="y", length=0)
    return ax
