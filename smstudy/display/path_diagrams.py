"""Diagram of a mediation: driver on the left, mediators above, outcome on the right, numbers on the arrows."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle

from smstudy.display import apa
from smstudy.display.diagrams import wrap_to
from smstudy.display.figures import nothing
from smstudy.display.theme import INK, PALETTE, QUIET, style

Point = tuple[float, float]
WIDTH, STEP, ROW, TITLE = 6.8, 2.0, 1.15, 0.4  # inches
BEND, EDGE = 0.22, 0.1
BOX = (1.55, 0.56)
LETTERS, NUMBER = 9.0, 8.5
NEAR, ABOVE = 0.4, 0.16


def new_axes(frame: pd.DataFrame) -> Axes:
    """Open axes of the size these paths need."""
    height = _height(frame)
    with style():
        figure = plt.figure(figsize=(_width(frame), height + TITLE))
        return figure.add_axes((0, 0, 1, height / (height + TITLE)))


def paths(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw paths as arrows with their estimates; those whose interval includes zero are dashed.

    Paths of products and of the moderator by itself are not drawn.

    Parameters
    ----------
    ax : Axes
        Where to draw; `new_axes` gives the right size.
    frame : DataFrame
        outcome, term, estimate, conf_low, conf_high: the equations of the mediators in order, then that of the outcome.
    labels : mapping
        Names of columns to their words.
    title : str
        Caption.
    """
    rows = frame.dropna(subset=["estimate"])
    if rows.empty:
        return nothing(ax, frame, labels=labels, title=title)
    places = _places(rows)
    with style():
        ax.set(xlim=(0, _width(rows)), ylim=(0, _height(rows)))
        ax.set_axis_off()
        for row in rows[rows["term"].isin(places)].to_dict("records"):
            _arrow(ax, places[row["term"]], places[row["outcome"]], row)
        for name, place in places.items():
            _box(ax, place, apa.say("term", name, labels))
        ax.set_title(title, loc="left", parse_math=False)
    return ax


def _mediators(rows: pd.DataFrame) -> list[str]:
    outcomes = list(dict.fromkeys(rows["outcome"]))
    return outcomes[:-1]


def _serial(rows: pd.DataFrame) -> bool:
    return bool(rows.loc[rows["outcome"] != rows["outcome"].iloc[-1], "term"].isin(_mediators(rows)).any())


def _height(frame: pd.DataFrame) -> float:
    if frame.empty:
        return 1.0
    return (2.4 + 0.25 * max(0, len(_mediators(frame)) - 2) if _serial(frame) else len(_mediators(frame)) + 0.75) * ROW


def _width(frame: pd.DataFrame) -> float:
    if frame.empty or not _serial(frame):
        return WIDTH
    return BOX[0] + 2 * EDGE + STEP * (len(_mediators(frame)) + 1)


def _places(rows: pd.DataFrame) -> dict[str, Point]:
    """Middles of the boxes, in inches."""
    mediators, height, width = _mediators(rows), _height(rows), _width(rows)
    driver, outcome = rows["term"].iloc[0], rows["outcome"].iloc[-1]
    edge = BOX[0] / 2 + EDGE
    found = {str(driver): (edge, BOX[1]), str(outcome): (width - edge, BOX[1])}
    if _serial(rows):
        bend = BEND / 2 * STEP * max(0, len(mediators) - 2)
        return found | {name: (edge + STEP * (i + 1), height - 1.3 * BOX[1] - bend) for i, name in enumerate(mediators)}
    return found | {name: (WIDTH / 2, height - BOX[1] - ROW * i) for i, name in enumerate(mediators)}


def _arrow(ax: Axes, start: Point, end: Point, row: Mapping[str, float]) -> None:
    clear = row["conf_low"] > 0 or row["conf_high"] < 0
    one, other = _rim(start, end), _rim(end, start)
    bent = start[1] == end[1] > 2 * BOX[1] and other[0] - one[0] > BOX[0]
    if bent:
        one, other = (start[0], start[1] + BOX[1] / 2), (end[0], end[1] + BOX[1] / 2)
    look = {"arrowstyle": "-|>", "mutation_scale": 11, "shrinkA": 0, "shrinkB": 2, "linestyle": "-" if clear else "--"}
    look |= {"connectionstyle": f"arc3,rad={-BEND if bent else 0}"}
    ax.add_patch(FancyArrowPatch(one, other, color=PALETTE[0] if clear else QUIET, linewidth=1.3, **look))
    middle = (one[0] + NEAR * (other[0] - one[0]), one[1] + NEAR * (other[1] - one[1]))
    if bent:
        middle = ((one[0] + other[0]) / 2, one[1] + BEND / 2 * (other[0] - one[0]))
    elif start[1] == end[1] > 2 * BOX[1]:
        middle = ((one[0] + other[0]) / 2, one[1] + ABOVE)
    back = {"facecolor": "white", "edgecolor": "none", "pad": 1.2}
    ax.text(*middle, apa.number(row["estimate"]), ha="center", va="center", fontsize=NUMBER, bbox=back, color=INK)


def _rim(place: Point, other: Point) -> Point:
    """Where the line from the middle of a box to another point leaves the box."""
    x, y = other[0] - place[0], other[1] - place[1]
    reach = min(BOX[0] / 2 / abs(x) if x else float("inf"), BOX[1] / 2 / abs(y) if y else float("inf"))
    return place[0] + reach * x, place[1] + reach * y


def _box(ax: Axes, place: Point, words: str) -> None:
    corner = (place[0] - BOX[0] / 2, place[1] - BOX[1] / 2)
    ax.add_patch(Rectangle(corner, *BOX, facecolor="white", edgecolor=QUIET, linewidth=1))
    lines = wrap_to(words, BOX[0] - 0.1)
    text = "\n".join([lines[0], lines[1] + ("…" if len(lines) > 2 else "")] if len(lines) > 1 else lines)
    ax.text(*place, text, ha="center", va="center", fontsize=LETTERS, linespacing=1.1, parse_math=False)
