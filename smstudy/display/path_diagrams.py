"""Diagram of a mediation: driver on the left, mediators above, outcome on the right, numbers on the arrows.

A moderator stands beside the arrows it acts on, with an arrow to each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
FAR = 0.62
PRODUCT = ":"


def new_axes(frame: pd.DataFrame) -> Axes:
    """Open axes of the size these paths need."""
    height = _height(frame)
    with style():
        figure = plt.figure(figsize=(_width(frame), height + TITLE))
        return figure.add_axes((0, 0, 1, height / (height + TITLE)))


def paths(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw paths as arrows with their estimates; those whose interval includes zero are dashed.

    What the moderator does by itself is not drawn; a product makes an arrow from the moderator to the path that depends
    on it, dashed if its interval includes zero.

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
            _arrow(ax, places[row["term"]], places[row["outcome"]], row, BOX[1] * 2 + _below(rows) * ROW)
        boxes = {place: name for name, place in places.items()}
        for row in _products(rows, places):
            place = _moderator_place(rows, places, row)
            _pointer(ax, place, places[row["start"]], places[row["outcome"]], row)
            boxes[place] = row["moderator"]
        for place, name in boxes.items():
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
    rows = 2.4 + 0.25 * max(0, len(_mediators(frame)) - 2) if _serial(frame) else len(_mediators(frame)) + 0.75
    return (rows + _below(frame)) * ROW


def _below(rows: pd.DataFrame) -> float:
    """Room for a moderator of the direct path, in rows."""
    return float(any(row["outcome"] == rows["outcome"].iloc[-1] and row["start"] == rows["term"].iloc[0]
                     for row in _products(rows, [*rows["term"]])))  # fmt: skip


def _products(rows: pd.DataFrame, known: Iterable[str]) -> list[dict[str, object]]:
    """Paths that depend on a moderator: rows of products with where the path starts and what moderates it."""
    known, found = set(known), []
    for row in rows[rows["term"].str.contains(PRODUCT, regex=False)].to_dict("records"):
        start, _, moderator = str(row["term"]).rpartition(PRODUCT)
        if start in known:
            found.append({**row, "start": start, "moderator": moderator})
    return found


def _moderator_place(rows: pd.DataFrame, places: Mapping[str, Point], row: Mapping[str, object]) -> Point:
    """Above the driver for paths from it, above the outcome for paths from mediators, below the direct path."""
    driver, outcome = str(rows["term"].iloc[0]), str(rows["outcome"].iloc[-1])
    if row["start"] == driver and row["outcome"] == outcome:
        return WIDTH / 2, BOX[1]
    return places[driver if row["start"] == driver else outcome][0], _height(rows) - BOX[1]


def _width(frame: pd.DataFrame) -> float:
    if frame.empty or not _serial(frame):
        return WIDTH
    return BOX[0] + 2 * EDGE + STEP * (len(_mediators(frame)) + 1)


def _places(rows: pd.DataFrame) -> dict[str, Point]:
    """Middles of the boxes, in inches."""
    mediators, height, width = _mediators(rows), _height(rows), _width(rows)
    driver, outcome = rows["term"].iloc[0], rows["outcome"].iloc[-1]
    edge, floor = BOX[0] / 2 + EDGE, BOX[1] + _below(rows) * ROW
    found = {str(driver): (edge, floor), str(outcome): (width - edge, floor)}
    if _serial(rows):
        bend = BEND / 2 * STEP * max(0, len(mediators) - 2)
        return found | {name: (edge + STEP * (i + 1), height - 1.3 * BOX[1] - bend) for i, name in enumerate(mediators)}
    return found | {name: (WIDTH / 2, height - BOX[1] - ROW * i) for i, name in enumerate(mediators)}


def _arrow(ax: Axes, start: Point, end: Point, row: Mapping[str, float], high: float) -> None:
    """An arrow with its number; between boxes above `high` it is bent if another box is between them."""
    clear = row["conf_low"] > 0 or row["conf_high"] < 0
    one, other = _rim(start, end), _rim(end, start)
    bent = start[1] == end[1] > high and other[0] - one[0] > BOX[0]
    if bent:
        one, other = (start[0], start[1] + BOX[1] / 2), (end[0], end[1] + BOX[1] / 2)
    look = {"arrowstyle": "-|>", "mutation_scale": 11, "shrinkA": 0, "shrinkB": 2, "linestyle": "-" if clear else "--"}
    look |= {"connectionstyle": f"arc3,rad={-BEND if bent else 0}"}
    ax.add_patch(FancyArrowPatch(one, other, color=PALETTE[0] if clear else QUIET, linewidth=1.3, **look))
    middle = (one[0] + NEAR * (other[0] - one[0]), one[1] + NEAR * (other[1] - one[1]))
    if bent:
        middle = ((one[0] + other[0]) / 2, one[1] + BEND / 2 * (other[0] - one[0]))
    elif start[1] == end[1] > high:
        middle = ((one[0] + other[0]) / 2, one[1] + ABOVE)
    back = {"facecolor": "white", "edgecolor": "none", "pad": 1.2}
    ax.text(*middle, apa.number(row["estimate"]), ha="center", va="center", fontsize=NUMBER, bbox=back, color=INK)


def _pointer(ax: Axes, place: Point, start: Point, end: Point, row: Mapping[str, float]) -> None:
    """An arrow from a moderator to the path that depends on it."""
    one, other = _rim(start, end), _rim(end, start)
    target = (one[0] + FAR * (other[0] - one[0]), one[1] + FAR * (other[1] - one[1]))
    clear = row["conf_low"] > 0 or row["conf_high"] < 0
    look = {"arrowstyle": "-|>", "mutation_scale": 9, "shrinkA": 0, "shrinkB": 2, "linestyle": "-" if clear else "--"}
    color = PALETTE[0] if clear else QUIET
    ax.add_patch(FancyArrowPatch(_rim(place, target), target, color=color, linewidth=1.0, **look))


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
