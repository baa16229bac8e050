"""Pictures of answers: one bar a question cut by answer, or one bar a choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.container import BarContainer
from matplotlib.ticker import FuncFormatter

from smstudy.display import apa, figures
from smstudy.display.figures import LABEL_WIDTH, Labels
from smstudy.display.theme import INK, PALETTE, QUIET, style

NONE_GIVEN = "No answer"
HIDDEN = "hidden (few people)"
HIDDEN_WIDTH = 0.08
LEAST_LABELED = 0.07
LEGEND_COLUMNS = 3
OPPOSITES = ("dis", "un", "in", "im", "dé")
DIVERGING = LinearSegmentedColormap.from_list("diverging", [PALETTE[1], "#f0d9c8", "#d9d9d9", "#c4dcec", PALETTE[0]])
RISING = LinearSegmentedColormap.from_list("rising", ["#dbe9f4", PALETTE[0], "#00304d"])
NO_ANSWER_COLOR = "#f2f2f2"


def choices(ax: Axes, frame: pd.DataFrame, *, labels: Labels, title: str) -> Axes:
    """Draw one bar for each choice of a question with several answers, the most frequent on top."""
    rows = frame.dropna(subset=["share"])
    if rows.empty:
        return figures.nothing(ax, frame, labels=labels, title=title)
    rows = pd.concat(
        [rows[rows["answer"] != NONE_GIVEN].sort_values("share", ascending=False), rows[rows["answer"] == NONE_GIVEN]]
    )
    places = np.arange(len(rows))[::-1]
    with style():
        ax.barh(places, rows["share"], color=PALETTE[0], height=0.62)
        for place, share in zip(places, rows["share"]):
            words = apa.write("share", share)
            ax.annotate(words, (share, place), xytext=(4, 0), textcoords="offset points", va="center")
        ax.set_xlim(0, 1)
        names = [fill(name, LABEL_WIDTH, max_lines=2, placeholder=" …") for name in rows["answer"]]
        return _finished(ax, places, names, title)


def stacked(ax: Axes, frame: pd.DataFrame, *, labels: Labels, title: str) -> Axes:
    """Draw one bar a question; answers that oppose each other lie on both sides of a middle line.

    Parameters
    ----------
    frame : DataFrame
        Columns term, answer, share (missing where hidden), in the order of the codebook.
    """
    if frame["share"].isna().all():
        return figures.nothing(ax, frame, labels=labels, title=title)
    terms, words = list(dict.fromkeys(frame["term"])), list(dict.fromkeys(frame["answer"]))
    scale = [word for word in words if word != NONE_GIVEN]
    table = frame.pivot(index="term", columns="answer", values="share").loc[terms, words]
    shares = table.fillna(0).assign(**{HIDDEN: hidden_widths(table)})
    shares = shares[[*scale, HIDDEN, *([NONE_GIVEN] if NONE_GIVEN in words else [])]]
    start = -left_of_middle(shares[scale].to_numpy()) if opposed(scale) else np.zeros(len(terms))
    places = np.arange(len(terms))[::-1]
    with style():
        parts = {}
        for name, color in colors(scale, list(shares)).items():
            parts[name] = _segment(ax, places, start, shares[name].to_numpy(), name, color)
            start = start + shares[name].to_numpy()
        if opposed(scale):
            ax.axvline(0, color=INK, linewidth=0.8, zorder=0)
            ax.margins(x=0.03)
        _legend(ax, {name: part for name, part in parts.items() if name in words or (shares[name] > 1e-9).any()})
        names = [fill(labels.get(term, term), LABEL_WIDTH, max_lines=2, placeholder=" …") for term in terms]
        return _finished(ax, places, names, title)


def hidden_widths(table: pd.DataFrame) -> np.ndarray:
    """Width of the hatched part of each bar: the same whatever number it hides.

    Where all answers are hidden, it stands for all who answered.

    Parameters
    ----------
    table : DataFrame, shape (questions, answers)
        Shares, missing where hidden.

    Examples
    --------
    >>> table = pd.DataFrame({"Yes": [0.9, 0.8, np.nan], "No": [0.1, np.nan, np.nan], "Never": [0, np.nan, np.nan]})
    >>> hidden_widths(table)
    array([0.  , 0.08, 1.  ])
    """
    answers = table.drop(columns=NONE_GIVEN, errors="ignore").isna().to_numpy()
    left_out = table[NONE_GIVEN].fillna(0).to_numpy() if NONE_GIVEN in table else 0.0
    some = table.isna().to_numpy().any(axis=1)
    return np.where(answers.all(axis=1), 1 - left_out, np.where(some, HIDDEN_WIDTH, 0.0))


def opposed(scale: Sequence[str]) -> bool:
    """Say whether an answer scale runs from one side over a middle to its opposite.

    >>> opposed(["Strongly disagree", "Neutral", "Strongly agree"]), opposed(["Never", "Sometimes", "Always"])
    (True, False)
    >>> opposed([str(i) for i in range(11)])
    True
    """
    first, last = (set(word.casefold().split()) for word in (scale[0], scale[-1]))
    negated = any(f"{prefix}{word}" in first for prefix in OPPOSITES for word in last)
    return len(scale) == 11 or negated or bool({"not", "nicht", "pas", "niet", "no"} & first - last and first & last)


def left_of_middle(shares: np.ndarray) -> np.ndarray:
    """How much of each bar lies left of the middle: the lower answers and half of the middle ones.

    Eleven answers from 0 to 10 are cut as is usual: 0 to 6 left, 7 and 8 in the middle, 9 and 10 right.

    >>> left_of_middle(np.array([[0.1, 0.2, 0.4, 0.2, 0.1]])).round(2)
    array([0.5])
    """
    k = shares.shape[1]
    low, middle = (7, 2) if k == 11 else (k // 2, k % 2)
    return shares[:, :low].sum(axis=1) + shares[:, low : low + middle].sum(axis=1) / 2


def colors(scale: Sequence[str], names: Sequence[str]) -> dict[str, object]:
    """One color for each part of a bar, in the order of the bar."""
    k = len(scale)
    chart = DIVERGING if opposed(scale) else RISING
    where = [0.0] * 7 + [0.5] * 2 + [1.0] * 2 if k == 11 else np.linspace(0, 1, max(k, 2))
    known = {name: chart(place) for name, place in zip(scale, where)}
    return {name: known.get(name, NO_ANSWER_COLOR) for name in names}


def describe(frame: pd.DataFrame, *, title: str, labels: Labels) -> str:
    """Say in words what the picture shows."""
    rows = frame.dropna(subset=["share"])
    if rows.empty:
        return f"{title}. There is nothing to draw."
    parts = [
        f"{labels.get(term, term)}: "
        + ", ".join(f"{a} {apa.write('share', s)}" for a, s in zip(g["answer"], g["share"]))
        for term, g in rows.groupby("term", sort=False)
    ]
    return f"{title}. {'; '.join(parts)}."


def _segment(
    ax: Axes, places: np.ndarray, start: np.ndarray, width: np.ndarray, name: str, color: object
) -> BarContainer:
    hatch = "////" if name == HIDDEN else None
    part = ax.barh(places, width, left=start, color=color, height=0.68, edgecolor=QUIET, linewidth=0.4, hatch=hatch)
    ink = INK if sum(to_rgb(color)) > 1.6 else "white"
    for place, begin, share in zip(places, start, width):
        if share >= LEAST_LABELED and name != HIDDEN:
            ax.text(begin + share / 2, place, f"{100 * share:.0f}", ha="center", va="center", color=ink, fontsize=8)
    return part


def _legend(ax: Axes, parts: Mapping[str, BarContainer]) -> None:
    """Put the legend below the axes, row by row; matplotlib leaves out words that begin with _, so they come later."""
    names = [name for column in range(LEGEND_COLUMNS) for name in list(parts)[column::LEGEND_COLUMNS]]
    legend = ax.legend(
        [parts[name] for name in names], [f"part {i}" for i in range(len(parts))], frameon=False, loc="upper center",
        bbox_to_anchor=(0.4, 0), borderaxespad=4.2, ncol=LEGEND_COLUMNS, handlelength=1.1, columnspacing=1.2,
    )  # fmt: skip
    for text, name in zip(legend.get_texts(), names):
        text.set(text=fill(name, 24, max_lines=2, placeholder=" …"), parse_math=False)


def _finished(ax: Axes, places: Sequence[int], names: Sequence[str], title: str) -> Axes:
    ax.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * abs(share):.0f} %"))
    ax.set_yticks(list(places), names, parse_math=False)
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.set_xlabel("Share of respondents", color=INK, parse_math=False)
    ax.tick_params(axis="y", length=0)
    ax.set_title(title, loc="left", parse_math=False)
    return ax
