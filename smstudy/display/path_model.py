"""Pictures of path models: constructs and the paths between them, and the importance-performance map."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill
from typing import NamedTuple

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse, FancyArrowPatch
from matplotlib.path import Path

from smstudy.display import apa, figures
from smstudy.display.diagrams import wrap_to
from smstudy.display.priorities import CORNERS
from smstudy.display.theme import INK, PALETTE, QUIET, style

Point = tuple[float, float]
Pair = tuple[str, str]
Labels = Mapping[str, str]

OVAL = (1.75, 0.74)  # inches
APART = (2.9, 1.05)
LANE = 0.45  # of the height of a row: what an arrow needs that passes ovals
MARGIN, TITLE = 0.15, 0.4
SIZE, NUMBER = 9.0, 8.0
NAME_WIDTH = 24
MAP_ROWS = 10


class _Layout(NamedTuple):
    """Middles of ovals, and the points by which each path passes the ovals between."""

    places: dict[str, Point]
    ways: dict[Pair, list[Point]]

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top of the drawing."""
        x, y = zip(*self.places.values(), *(point for way in self.ways.values() for point in way), strict=True)
        across, up = OVAL[0] / 2 + MARGIN, OVAL[1] / 2 + MARGIN
        return min(x) - across, max(x) + across, min(y) - up, max(y) + up


def new_axes(frame: pd.DataFrame) -> Axes:
    """Open axes of the size this model needs."""
    left, right, bottom, top = _layout(frame).edges if len(frame) else (0.0, 5.0, 0.0, 1.0)
    with style():
        figure = plt.figure(figsize=(right - left, top - bottom + TITLE))
        return figure.add_axes((0, 0, 1, (top - bottom) / (top - bottom + TITLE)))


def path_model(ax: Axes, frame: pd.DataFrame, *, labels: Labels, title: str) -> Axes:
    """Draw constructs as ovals, drivers on the left, and paths as arrows with their coefficients.

    A path is dashed and gray if its interval holds 0, or if it has none.

    Parameters
    ----------
    ax : Axes
        Where to draw; `new_axes` gives the right size.
    frame : DataFrame
        One row per path: term, outcome, estimate, conf_low, conf_high and the R² of the outcome.
    labels : mapping
        Words for constructs.
    title : str
        Caption.
    """
    if frame.empty:
        return figures.nothing(ax, frame, labels=labels, title=title)
    layout = _layout(frame)
    left, right, bottom, top = layout.edges
    explained = dict(zip(frame["outcome"], frame["r_squared"], strict=True))
    with style():
        ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
        ax.set_axis_off()
        for row in frame.to_dict("records"):
            _arrow(ax, layout, row)
        for name, place in layout.places.items():
            told = f"\nR² {apa.bounded(explained[name])}" if name in explained else ""
            _oval(ax, place, "\n".join(wrap_to(labels.get(name, name), OVAL[0] * 0.8)[:2]) + told)
        ax.set_title(title, loc="left", parse_math=False)
    return ax


def map_axes() -> Axes:
    """Open axes for a map."""
    return figures.new_axes(MAP_ROWS)


def importance_performance(ax: Axes, frame: pd.DataFrame, *, labels: Labels, title: str) -> Axes:
    """Draw each construct with the intervals of its level and its total effect, lines at the means.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        term, estimate with conf_low and conf_high, performance with performance_low and performance_high.
    labels : mapping
        Words for constructs.
    title : str
        Caption.
    """
    rows = frame.dropna(subset=["estimate", "performance"])
    if rows.empty:
        return figures.nothing(ax, frame, labels=labels, title=title)
    with style():
        ax.hlines(rows["estimate"], rows["performance_low"], rows["performance_high"], color=QUIET, linewidth=1.2)
        ax.vlines(rows["performance"], rows["conf_low"], rows["conf_high"], color=QUIET, linewidth=1.2)
        ax.plot(rows["performance"], rows["estimate"], "o", color=PALETTE[0], markersize=7)
        ax.axvline(rows["performance"].mean(), color=QUIET, linewidth=1, linestyle=":")
        ax.axhline(rows["estimate"].mean(), color=QUIET, linewidth=1, linestyle=":")
        for row in rows.to_dict("records"):
            words = fill(labels.get(row["term"], row["term"]), NAME_WIDTH, max_lines=2, placeholder=" …")
            ax.annotate(words, (row["performance"], row["estimate"]), xytext=(7, 5), textcoords="offset points",
                        color=INK, parse_math=False)  # fmt: skip
        ax.margins(x=0.25, y=0.18)
        for (right, top), words in CORNERS.items():
            ax.text(0.99 if right else 0.01, 0.98 if top else 0.02, words, transform=ax.transAxes, color=QUIET,
                    ha="right" if right else "left", va="top" if top else "bottom", fontsize=8.5)  # fmt: skip
        ax.set_xlabel("Level: mean, possible answers 0 to 100", color=INK)
        ax.set_ylabel("Total effect", color=INK)
        ax.set_title(title, loc="left", parse_math=False)
    return ax


def _layout(frame: pd.DataFrame) -> _Layout:
    """Put constructs one step to the right of their last driver; a path over several steps gets lanes of its own."""
    pairs = list(zip(frame["term"], frame["outcome"], strict=True))
    steps = _steps(pairs)
    columns: list[list[str | Pair]] = [
        [name for name in steps if steps[name] == s] for s in range(max(steps.values()) + 1)
    ]
    before: dict[tuple[str | Pair, int], list[str | Pair]] = {}
    for pair in pairs:
        lanes = range(steps[pair[0]] + 1, steps[pair[1]])
        for step in lanes:
            columns[step].append(pair)
        slots: list[str | Pair] = [pair[0], *(pair for _ in lanes), pair[1]]
        for number, step in enumerate((*lanes, steps[pair[1]])):
            before.setdefault((slots[number + 1], step), []).append(slots[number])
    heights: list[dict[str | Pair, float]] = []
    for step, column in enumerate(columns):
        if step:
            drivers = [[heights[-1][slot] for slot in before[slot_here, step]] for slot_here in column]
            column = [
                slot for _, slot in sorted(zip([-sum(d) / len(d) for d in drivers], column), key=lambda pair: pair[0])
            ]
        heights.append(_stacked(column))
    places = {name: (steps[name] * APART[0], heights[steps[name]][name]) for name in steps}
    ways = {
        pair: [(s * APART[0], heights[s][pair]) for s in range(steps[pair[0]] + 1, steps[pair[1]])] for pair in pairs
    }
    return _Layout(places, ways)


def _steps(pairs: list[Pair]) -> dict[str, int]:
    """How many steps each construct stands to the right."""
    steps = dict.fromkeys([*(term for term, _ in pairs), *(outcome for _, outcome in pairs)], 0)
    for _ in steps:
        for term, outcome in pairs:
            steps[outcome] = max(steps[outcome], steps[term] + 1)
    return steps


def _stacked(column: list[str | Pair]) -> dict[str | Pair, float]:
    """Heights of the ovals and lanes of one step, from the top."""
    sizes = [APART[1] * (1 if isinstance(slot, str) else LANE) for slot in column]
    top, heights = sum(sizes) / 2, {}
    for slot, size in zip(column, sizes, strict=True):
        heights[slot] = top - size / 2
        top -= size
    return heights


def _arrow(ax: Axes, layout: _Layout, row: Mapping[str, object]) -> None:
    pair = (str(row["term"]), str(row["outcome"]))
    start, end = layout.places[pair[0]], layout.places[pair[1]]
    lanes = [(x + side * OVAL[0] / 2, y) for x, y in layout.ways[pair] for side in (-1, 1)]
    points = [_rim(start, [*lanes, end][0]), *lanes, _rim(end, [start, *lanes][-1])]
    sure = row["conf_low"] > 0 or row["conf_high"] < 0
    look = {"arrowstyle": "-|>", "mutation_scale": 9, "shrinkA": 0, "shrinkB": 0, "joinstyle": "round"}
    ax.add_patch(
        FancyArrowPatch(
            path=Path(points),
            color=PALETTE[0] if sure else QUIET,
            linestyle="-" if sure else "--",
            linewidth=0.8 + 3 * min(abs(float(row["estimate"])), 1),
            fill=False,
            zorder=1,
            **look,
        )
    )
    place = layout.ways[pair][0] if lanes else tuple(0.55 * a + 0.45 * b for a, b in zip(*points, strict=True))
    back = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    ax.text(*place, apa.number(float(row["estimate"])), ha="center", va="center", fontsize=NUMBER, bbox=back, zorder=2)


def _rim(place: Point, towards: Point) -> Point:
    """Where the line between two middles leaves the oval."""
    x, y = towards[0] - place[0], towards[1] - place[1]
    reach = 1 / ((2 * x / OVAL[0]) ** 2 + (2 * y / OVAL[1]) ** 2) ** 0.5
    return place[0] + reach * x, place[1] + reach * y


def _oval(ax: Axes, place: Point, words: str) -> None:
    ax.add_patch(Ellipse(place, *OVAL, facecolor="white", edgecolor=PALETTE[0], linewidth=1.4, zorder=3))
    ax.text(*place, words, ha="center", va="center", fontsize=SIZE, linespacing=1.1, parse_math=False, zorder=4)
