"""Path diagrams of factor models: factors, questions, and the numbers on the arrows between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse, FancyArrowPatch, PathPatch, Rectangle
from matplotlib.path import Path

from smstudy.display import apa
from smstudy.display.diagrams import wrap_to
from smstudy.display.figures import nothing
from smstudy.display.theme import INK, PALETTE, QUIET, style

Point = tuple[float, float]

SIZE, NUMBER = 9.0, 8.0
ROW, GAP, LEAST_BLOCK = 0.27, 0.16, 0.62  # inches
BOX = (3.0, 0.21)
OVAL = (1.35, 0.5)
REACH = 1.75  # from an oval to the boxes
ARC = 0.42  # how far an arc stands off for each factor it passes
MARGIN = 0.15
TITLE = 0.4
WEAK = 0.4
LOADING, SECOND, FACTORS, ERRORS = "loading", "second-order loading", "factor correlation", "error correlation"


class Layout(NamedTuple):
    """Where everything stands, in inches: middles of factors and items, the upper factors, size of the drawing."""

    factors: dict[str, Point]
    items: dict[str, Point]
    upper: dict[str, Point]
    beside: dict[str, Point]
    left: float
    right: float
    height: float


def new_axes(frame: pd.DataFrame) -> Axes:
    """Open axes of the size this model needs."""
    layout = _layout(frame) if len(frame) else None
    width, height = (layout.right - layout.left, layout.height) if layout else (5.0, 1.0)
    with style():
        figure = plt.figure(figsize=(width, height + TITLE))
        return figure.add_axes((0, 0, 1, height / (height + TITLE)))


def factor_model(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw factors as ovals on the left, items as boxes on the right, loadings on arrows, correlations on arcs.

    A factor that shares all its items with others, such as one of wording, stands on the right. Loadings below .40 are
    dashed.

    Parameters
    ----------
    ax : Axes
        Where to draw; `new_axes` gives the right size, on any other the letters are scaled.
    frame : DataFrame
        Rows of a factor model: parameter, term, other_term, estimate.
    labels : mapping
        Words for items and factors.
    title : str
        Caption.
    """
    if frame.empty or "estimate" not in frame:
        return nothing(ax, frame, labels=labels, title=title)
    layout = _layout(frame)
    inches = ax.get_window_extent().transformed(ax.get_figure().dpi_scale_trans.inverted())
    scale = min(inches.width / (layout.right - layout.left), inches.height / layout.height)
    with style():
        ax.set(xlim=(layout.left, layout.right), ylim=(layout.height, 0))
        ax.set_axis_off()
        for row in frame.dropna(subset=["estimate"]).itertuples():
            _connect(ax, layout, row.parameter, row.term, row.other_term, row.estimate, scale)
        for name, place in (*layout.factors.items(), *layout.upper.items(), *layout.beside.items()):
            _oval(ax, place, apa.say("term", name, labels), scale)
        for name, place in layout.items.items():
            _box(ax, place, apa.say("term", name, labels), scale)
        ax.set_title(title, loc="left", parse_math=False)
    return ax


def _layout(frame: pd.DataFrame) -> Layout:
    loadings = frame[frame["parameter"] == LOADING]
    members = {name: list(rows["term"]) for name, rows in loadings.groupby("other_term", sort=False)}
    own = _own_items(members)
    items: dict[str, Point] = {}
    factors: dict[str, Point] = {}
    y = MARGIN
    for name, mine in own.items():
        block = max(ROW * len(mine), LEAST_BLOCK)
        first = y + (block - ROW * len(mine)) / 2 + ROW / 2
        items |= {item: (OVAL[0] / 2 + REACH + BOX[0] / 2, first + ROW * i) for i, item in enumerate(mine)}
        factors[name] = (0.0, y + block / 2)
        y += block + GAP
    upper, left = _upper(frame, factors)
    beside, right = _beside(frame, members, items, factors)
    return Layout(factors, items, upper, beside, left, right, y - GAP + MARGIN)


def _own_items(members: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Each item with the first factor it loads on; factors without an item of their own are left out."""
    taken: set[str] = set()
    own: dict[str, list[str]] = {}
    for name, each in members.items():
        mine = [item for item in each if item not in taken]
        taken |= set(mine)
        if mine:
            own[name] = mine
    return own


def _upper(frame: pd.DataFrame, factors: Mapping[str, Point]) -> tuple[dict[str, Point], float]:
    """Factors of second order, to the left, and where the drawing begins."""
    paths = frame[frame["parameter"] == SECOND]
    arcs = frame[(frame["parameter"] == FACTORS) & frame["term"].isin(factors) & frame["other_term"].isin(factors)]
    order = {name: place for place, name in enumerate(factors)}
    steps = max((abs(order[a] - order[b]) for a, b in zip(arcs["term"], arcs["other_term"])), default=0)
    left = -OVAL[0] / 2 - ARC * steps - 0.3 * bool(steps) - MARGIN
    if paths.empty:
        return {}, left
    x = left - REACH + MARGIN
    upper = {}
    for name, rows in paths.groupby("other_term", sort=False):
        heights = [factors[term][1] for term in rows["term"]]
        upper[str(name)] = (x, sum(heights) / len(heights))
    return upper, x - OVAL[0] / 2 - MARGIN


def _beside(
    frame: pd.DataFrame, members: Mapping[str, list[str]], items: Mapping[str, Point], factors: Mapping[str, Point]
) -> tuple[dict[str, Point], float]:
    """Factors that only share items, to the right, and where the drawing ends."""
    edge = OVAL[0] / 2 + REACH + BOX[0]
    errors = frame[frame["parameter"] == ERRORS]
    if len(errors):
        edge += 0.35 + max(abs(items[a][1] - items[b][1]) for a, b in zip(errors["term"], errors["other_term"])) * 0.3
    beside = {}
    for name in (name for name in members if name not in factors):
        heights = [items[item][1] for item in members[name]]
        beside[name] = (edge + REACH + OVAL[0] / 2, sum(heights) / len(heights))
        edge += REACH + OVAL[0]
    return beside, edge + MARGIN


def _connect(ax: Axes, layout: Layout, parameter: str, term: str, other: str, value: float, scale: float) -> None:
    if parameter == LOADING and other in layout.beside:
        start, end = _edge(layout.beside[other], OVAL, -1), _edge(layout.items[term], BOX, 1)
        _arrow(ax, start, end, value, scale, near=0.2)
    elif parameter == LOADING:
        first = layout.factors[other][1] - layout.items[term][1]
        near = 0.2 if abs(first) < ROW * 8 else 0.26
        _arrow(ax, _edge(layout.factors[other], OVAL, 1), _edge(layout.items[term], BOX, -1), value, scale, near=near)
    elif parameter == SECOND:
        start, end = _edge(layout.upper[other], OVAL, 1), _edge(layout.factors[term], OVAL, -1)
        _arrow(ax, start, end, value, scale, near=0.3)
    elif parameter == ERRORS:
        one, two = (_edge(layout.items[name], BOX, 1) for name in (term, other))
        _arc(ax, one, two, one[0] + 0.2 + 0.3 * abs(one[1] - two[1]), value, scale)
    elif term in layout.factors and other in layout.factors:
        order = {name: place for place, name in enumerate(layout.factors)}
        one, two = (_edge(layout.factors[name], OVAL, -1) for name in (term, other))
        _arc(ax, one, two, one[0] - ARC * abs(order[term] - order[other]), value, scale)


def _edge(place: Point, size: tuple[float, float], side: int) -> Point:
    return place[0] + side * size[0] / 2, place[1]


def _arrow(ax: Axes, start: Point, end: Point, value: float, scale: float, *, near: float) -> None:
    """An arrow with its number close to the head, where arrows are apart."""
    dashes = "--" if abs(value) < WEAK else "-"
    look = {"arrowstyle": "-|>", "mutation_scale": 8 * scale, "shrinkA": 0, "shrinkB": 0, "linestyle": dashes}
    ax.add_patch(FancyArrowPatch(start, end, color=QUIET, linewidth=0.9 * scale, **look))
    place = (end[0] - near * (end[0] - start[0]), end[1] - near * (end[1] - start[1]))
    _number(ax, place, value, scale)


def _arc(ax: Axes, one: Point, two: Point, apex: float, value: float, scale: float) -> None:
    """A curve whose middle stands at `apex`, with its number there."""
    middle = (one[1] + two[1]) / 2
    control = 2 * apex - one[0]
    curve = Path([one, (control, middle), two], [Path.MOVETO, Path.CURVE3, Path.CURVE3])
    ax.add_patch(PathPatch(curve, facecolor="none", edgecolor=PALETTE[4], linewidth=0.9 * scale))
    _number(ax, (apex, middle), value, scale)


def _number(ax: Axes, place: Point, value: float, scale: float) -> None:
    back = {"facecolor": "white", "edgecolor": "none", "pad": 0.6 * scale}
    ax.text(*place, apa.bounded(value), ha="center", va="center", fontsize=NUMBER * scale, bbox=back, color=INK)


def _oval(ax: Axes, place: Point, words: str, scale: float) -> None:
    ax.add_patch(Ellipse(place, *OVAL, facecolor="white", edgecolor=PALETTE[0], linewidth=1.4 * scale))
    _words(ax, place, "\n".join(wrap_to(words, OVAL[0] * 0.78)[:2]), scale)


def _box(ax: Axes, place: Point, words: str, scale: float) -> None:
    corner = (place[0] - BOX[0] / 2, place[1] - BOX[1] / 2)
    ax.add_patch(Rectangle(corner, *BOX, facecolor="white", edgecolor=QUIET, linewidth=scale))
    lines = wrap_to(words, BOX[0] - 0.1)
    _words(ax, place, lines[0] + ("…" if len(lines) > 1 else ""), scale)


def _words(ax: Axes, place: Point, words: str, scale: float) -> None:
    ax.text(*place, words, ha="center", va="center", fontsize=SIZE * scale, linespacing=1.1, parse_math=False)
