"""Pictures of tidy tables. Each function knows columns, never models, and returns the axes it drew on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from smstudy.display import apa
from smstudy.display.prose import join_words
from smstudy.display.rules import STABILITY
from smstudy.display.theme import INK, MARKERS, PALETTE, QUIET, style

LABEL_WIDTH = 34
SPOKEN = (
    "icc_agreement", "difference", "estimate", "alpha", "icc_1", "rwg", "item_rest", "std_mean", "response", "share",
    "mean", "stability", "n_after", "htmt", "extracted", "n",
)  # fmt: skip
SPOKEN_ROWS = 24
LEAST_SPAN = 1.0
AROUND_ZERO = LinearSegmentedColormap.from_list("around zero", [PALETTE[1], "white", PALETTE[0]])
MOST_NUMBERS = 12
DARK = 0.6
ABOUT = ("term", "group", "segment", "rule", "k")
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
    xlabel: str = "",
    yardsticks: Sequence[float] = (),
    zero: bool = True,
) -> Axes:
    """Draw one point with its confidence interval per row, first row on top.

    Zero is always in sight, since an effect is as large as its distance from it; for numbers that are no effects, such
    as means (`zero=False`), only where an interval holds it. `yardsticks` are usual limits of a number that cannot
    exceed 1, drawn as dotted lines.
    """
    low, high = ends
    rows = _drawn(frame, [value, low, high])
    if rows.empty:
        return nothing(ax, frame, labels=labels, title=title)
    places = range(len(rows))[::-1]
    with style():
        ax.hlines(places, rows[low], rows[high], color=PALETTE[0], linewidth=2)
        ax.plot(rows[value], places, "o", color=PALETTE[0], markersize=6)
        if (zero and not yardsticks) or rows[low].min() <= 0 <= rows[high].max():
            ax.axvline(0, color=QUIET, linewidth=1, linestyle="--")
        for limit in yardsticks:
            ax.axvline(limit, color=QUIET, linewidth=1, linestyle=":")
        limits = join_words([apa.bounded(limit) for limit in yardsticks])
        words = (xlabel or f"{_meaning(value)}, with interval") + (f"; dotted: usual limit {limits}" if limits else "")
        return _finish(ax, places, _names(rows, labels), title=title, xlabel=words)


def group_estimates(ax: Axes, frame: pd.DataFrame, *, labels: Labels, title: str) -> Axes:
    """Draw the means and intervals of the groups for one score, with everybody's mean as a line."""
    rows = _drawn(frame, ["estimate", "conf_low", "conf_high"])
    if rows.empty:
        return nothing(ax, frame, labels=labels, title=title)
    with style():
        ax.axvline(rows["estimate"].iloc[0], color=QUIET, linewidth=1, linestyle=":")
    estimates(ax, rows, labels=labels, title=title, zero=False)
    words = f"{apa.say('term', rows['term'].iloc[0], labels)}: mean with 95% interval"
    ax.set_xlabel(words, color=INK, parse_math=False)
    return ax


def bars(ax: Axes, frame: pd.DataFrame, *, value: str, labels: Labels, title: str) -> Axes:
    """Draw one horizontal bar per row with its number at the end."""
    rows = _drawn(frame, [value])
    if rows.empty:
        return nothing(ax, frame, labels=labels, title=title)
    places = range(len(rows))[::-1]
    with style():
        ax.barh(places, rows[value], color=PALETTE[0], height=0.62)
        for place, number in zip(places, rows[value]):
            ax.annotate(
                apa.write(value, number), (number, place), xytext=(4, 0), textcoords="offset points", va="center"
            )
        ax.margins(x=0.12)
        if apa.column(value).kind == "share":
            ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        return _finish(ax, places, _names(rows, labels), title=title, xlabel=_meaning(value))


def changes(ax: Axes, frame: pd.DataFrame, *, labels: Labels, title: str) -> Axes:
    """Draw the previous and the present value of each row, joined by a line."""
    rows = _drawn(frame, ["previous", "mean"])
    if rows.empty:
        return nothing(ax, frame, labels=labels, title=title)
    places = range(len(rows))[::-1]
    with style():
        ax.hlines(places, rows["previous"], rows["mean"], color=QUIET, linewidth=1.5)
        ax.plot(rows["previous"], places, MARKERS[1], color=QUIET, label="previous wave", linestyle="none")
        ax.plot(rows["mean"], places, MARKERS[0], color=PALETTE[1], label="this wave", linestyle="none")
        _legend(ax)
        _widen(ax, LEAST_SPAN)
        return _finish(ax, places, _names(rows, labels), title=title, xlabel="Mean score")


def profiles(ax: Axes, frame: pd.DataFrame, *, labels: Labels, title: str) -> Axes:
    """Draw the standardized means of each segment over the scales: one line, one color and one marker a segment."""
    rows = _drawn(frame, ["std_mean"])
    if rows.empty:
        return nothing(ax, frame, labels=labels, title=title)
    terms = list(dict.fromkeys(rows["term"]))
    segments = list(dict.fromkeys(rows["segment"]))
    with style():
        for i, name in enumerate(segments):
            part = rows[rows["segment"] == name]
            places = [terms.index(term) for term in part["term"]]
            look = {"color": PALETTE[i % len(PALETTE)], "marker": MARKERS[i % len(MARKERS)]}
            ax.plot(places, part["std_mean"], linewidth=1.8, label=f"line {i}", **look)
        ax.axhline(0, color=QUIET, linewidth=1, linestyle="--")
        ax.set_xticks(range(len(terms)), [_short(labels.get(t, t), 16, 3) for t in terms], parse_math=False)
        ax.set_ylabel("Distance from everybody's mean (SD)", color=INK)
        _legend(ax, [labels.get(name, str(name)) for name in segments])
        return _titled(ax, title)


def choices(ax: Axes, frame: pd.DataFrame, *, labels: Labels, title: str) -> Axes:
    """Draw the stability of each number of groups; filled where it beats one group, the needed stability marked."""
    rows = _drawn(frame, ["stability"])
    if rows.empty:
        return nothing(ax, frame, labels=labels, title=title)
    with style():
        ax.plot(rows["k"], rows["stability"], color=QUIET, linewidth=1.2, zorder=1)
        for beats, words in ((True, "better than one group"), (False, "not clearer than one group")):
            part = rows[(rows["p_adjusted"] < 0.05) == beats]
            fills = PALETTE[0] if beats else "white"
            ax.scatter(part["k"], part["stability"], s=55, color=fills, edgecolor=PALETTE[0], label=words, zorder=2)
        ax.axhline(STABILITY.cuts[1], color=QUIET, linewidth=1, linestyle="--")
        ax.set_ylim(0, 1.03)
        ax.set_xticks(rows["k"])
        ax.set_xlabel(apa.column("k").heading, color=INK)
        ax.set_ylabel("Stability of the\nleast stable group", color=INK)
        _legend(ax)
        return _titled(ax, title)


def heat_map(ax: Axes, frame: pd.DataFrame, *, labels: Labels, title: str) -> Axes:
    """Draw the estimate of each pair of `term` and `other_term` as a cell of a lower triangle, blue above zero.

    Numbers stand in the cells where there is room for them, else a bar of colors beside.
    """
    rows = _drawn(frame, ["estimate"])
    if rows.empty:
        return nothing(ax, frame, labels=labels, title=title)
    names = list(dict.fromkeys([*frame["term"], *frame["other_term"]]))
    cells = pd.pivot(rows, index="other_term", columns="term", values="estimate").reindex(index=names, columns=names)
    places = [place + 0.5 for place in range(len(names))]
    with style():
        drawn = ax.pcolormesh(cells.iloc[1:, :-1], cmap=AROUND_ZERO, vmin=-1, vmax=1, edgecolors="white", linewidth=1)
        if len(names) <= MOST_NUMBERS:
            _write_cells(ax, cells.iloc[1:, :-1])
        else:
            ax.figure.colorbar(drawn, ax=ax, shrink=0.6)
        ax.invert_yaxis()
        ax.set_xticks(places[:-1], [str(place + 1) for place in range(len(names) - 1)])
        words = [f"{place + 1}. {apa.say('term', str(name), labels)}" for place, name in enumerate(names)]
        ax.set_yticks(places[:-1], [_short(each, LABEL_WIDTH, 2) for each in words[1:]], parse_math=False)
        ax.set_xlabel(
            f"1. {_short(apa.say('term', str(names[0]), labels), LABEL_WIDTH, 2)}", color=INK, parse_math=False
        )
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        return _titled(ax, title)


def nothing(ax: Axes, frame: pd.DataFrame, *, labels: Labels, title: str) -> Axes:
    """Say that there is nothing to draw."""
    return words(ax, "Nothing to draw: there is no number here that may be shown.", title=title)


def words(ax: Axes, text: str, *, title: str) -> Axes:
    """Write words where there is nothing to draw."""
    with style():
        ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes, color=INK, parse_math=False)
        ax.set_axis_off()
        return _titled(ax, title)


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
        figure.draw_without_rendering()  # the tight box costs a drawing: found once for both files
        box = figure.get_tightbbox().padded(mpl.rcParams["savefig.pad_inches"])
        figure.savefig(paths[0], metadata={"Software": None}, bbox_inches=box)
        figure.savefig(paths[1], metadata={"Date": None, "Creator": None}, bbox_inches=box)
    paths[2].write_text(numbers, encoding="utf-8")
    if isinstance(figure, Figure):
        plt.close(figure)
    return paths


def describe(frame: pd.DataFrame, *, title: str, labels: Labels) -> str:
    """Say in words what a figure shows, for readers who cannot see it."""
    value = next((n for n in SPOKEN if n in frame and frame[n].notna().any()), None)
    if value is None or not set(ABOUT) & set(frame):
        return f"{title}. There is nothing to draw." if frame.empty else title
    rows = _drawn(frame, [value])
    parts = [f"{name} {apa.write(value, number)}" for name, number in zip(_row_words(rows, labels), rows[value])]
    more = [f"and {len(parts) - SPOKEN_ROWS} more"] if len(parts) > SPOKEN_ROWS else []
    return f"{title}. {apa.column(value).heading}: {'; '.join(parts[:SPOKEN_ROWS] + more)}."


def _drawn(frame: pd.DataFrame, needed: Sequence[str]) -> pd.DataFrame:
    return frame.dropna(subset=list(needed)).reset_index(drop=True)


def _write_cells(ax: Axes, cells: pd.DataFrame) -> None:
    for row, values in enumerate(cells.to_numpy()):
        for column, value in enumerate(values):
            if value == value:
                color = "white" if abs(value) > DARK else INK
                ax.text(column + 0.5, row + 0.5, apa.bounded(value), ha="center", va="center", color=color, fontsize=8)


def _names(rows: pd.DataFrame, labels: Labels) -> list[str]:
    return [_short(words, LABEL_WIDTH, 2) for words in _row_words(rows, labels)]


def _row_words(rows: pd.DataFrame, labels: Labels) -> list[str]:
    """Name each row by what tells it from the others."""
    there = [name for name in ABOUT if name in rows]
    telling: list[str] = []
    for name in there:
        if rows[name].nunique() > 1 and (not telling or rows[telling].duplicated().any()):
            telling.append(name)
    telling = telling or there[:1]
    named = [[apa.say(name, str(value), labels) for value in rows[name]] for name in telling]
    return [", ".join(words) for words in zip(*named)]


def _short(text: str, width: int, lines: int) -> str:
    return fill(text, width, max_lines=lines, placeholder=" …")


def _meaning(name: str) -> str:
    meaning = apa.column(name).meaning
    return meaning[:1].upper() + meaning[1:]


def _widen(ax: Axes, least: float) -> None:
    """Keep small differences small: show at least this much of the axis."""
    low, high = ax.get_xlim()
    more = max(0.0, least - (high - low)) / 2
    ax.set_xlim(low - more, high + more)


def _legend(ax: Axes, names: Sequence[str] = ()) -> None:
    """Put the legend below the axes; names are set afterwards, since matplotlib leaves out those that begin with _."""
    legend = ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=4.2, ncol=2)
    for text, name in zip(legend.get_texts(), names):
        text.set(text=_short(name, LABEL_WIDTH, 2), parse_math=False)


def _titled(ax: Axes, title: str) -> Axes:
    ax.set_title(title, loc="left", parse_math=False)
    return ax


def _finish(ax: Axes, places: Sequence[int], names: Sequence[str], *, title: str, xlabel: str) -> Axes:
    ax.set_yticks(list(places), names, parse_math=False)
    ax.set_xlabel(xlabel, color=INK, parse_math=False)
    ax.set_ylim(-0.6, len(places) - 0.4)
    ax.tick_params(axis="y", length=0)
    return _titled(ax, title)
