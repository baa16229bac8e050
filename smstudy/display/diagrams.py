"""Diagrams made of boxes and arrows: the flow of respondents as CONSORT draws it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from textwrap import wrap
from typing import NamedTuple

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath

from smstudy.display import apa
from smstudy.display.figures import nothing
from smstudy.display.theme import INK, PALETTE, QUIET, style

WIDTH = 5.0  # inches: 400 pixels wide a letter of 9 points is still 10 pixels high
SIZE = 9.0
LINE = 1.32 * SIZE / 72
PADDING = 0.09
GAP = 0.16
TITLE = 0.4
MAIN = (0.03, 1.75)  # left edge and width of the boxes on the spine
SIDE = (2.05, 2.92)  # and of the boxes beside it
MOST_LINES = 4
MEASURED = 160  # letters: more than fit into the lines
SPACE = "\u00a0"  # no line breaks here
HIDDEN = f"n{SPACE}hidden"
KEPT_IN = {"flag": "flagged", "set_missing": "set missing", "recode": "recoded"}
POOLED = "several"


class Box(NamedTuple):
    """A box of text: its upper left corner, size and lines, in inches from the upper left corner of the diagram."""

    x: float
    y: float
    width: float
    height: float
    text: str

    @property
    def on_spine(self) -> bool:
        return self.x == MAIN[0]

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


def new_axes(frame: pd.DataFrame) -> Axes:
    """Open axes of the size the diagram of this flow needs."""
    height = _height(_boxes(frame)) if len(frame) else 1.0
    with style():
        figure = plt.figure(figsize=(WIDTH, height + TITLE))
        return figure.add_axes((0, 0, 1, height / (height + TITLE)))


def flow(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw who entered, whom the rules of each stage left out and why, and who is left.

    Rules that hit nobody stay in the picture; numbers that may not be shown are said to be hidden.

    Parameters
    ----------
    ax : Axes
        Where to draw; `new_axes` gives the right size, on any other the letters are scaled.
    frame : DataFrame
        A gated flow: stage, reason, action, n_before, n_hit, n_removed, n_after; NaN where hidden.
    labels : mapping
        Not used: stages and reasons are words already.
    title : str
        Caption.

    References
    ----------
    Hopewell et al. (2025), CONSORT 2025 statement, BMJ 389, e081123: the flow diagram.
    """
    if frame.empty:
        return nothing(ax, frame, labels=labels, title=title)
    boxes = _boxes(frame)
    height = _height(boxes)
    inches = ax.get_window_extent().transformed(ax.get_figure().dpi_scale_trans.inverted())
    size = SIZE * min(inches.width / WIDTH, inches.height / height)
    with style():
        ax.set(xlim=(0, WIDTH), ylim=(height, 0))
        ax.set_axis_off()
        for box in boxes:
            _draw(ax, box, size)
        for start, end in _arrows(boxes):
            look = {"arrowstyle": "-|>", "color": INK, "linewidth": 1, "shrinkA": 0, "shrinkB": 0}
            ax.annotate("", end, start, arrowprops=look)
        ax.set_title(title, loc="left", parse_math=False)
    return ax


def _draw(ax: Axes, box: Box, size: float) -> None:
    color, wide = (PALETTE[0], 1.4) if box.on_spine else (QUIET, 1)
    ax.add_patch(Rectangle(box[:2], box.width, box.height, facecolor="white", edgecolor=color, linewidth=wide))
    side = "center" if box.on_spine else "left"
    x = box.x + (box.width / 2 if box.on_spine else PADDING)
    ax.text(x, box.middle, box.text, ha=side, va="center", fontsize=size, linespacing=1.32, parse_math=False)


def _arrows(boxes: list[Box]) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """From box to box down the spine, and from the spine to each box beside it."""
    spine = MAIN[0] + MAIN[1] / 2
    mains = [box for box in boxes if box.on_spine]
    down = [((spine, a.y + a.height), (spine, b.y)) for a, b in zip(mains, mains[1:])]
    return down + [((spine, box.middle), (box.x, box.middle)) for box in boxes if not box.on_spine]


def _height(boxes: list[Box]) -> float:
    return boxes[-1].y + boxes[-1].height + 0.03


def _boxes(frame: pd.DataFrame) -> list[Box]:
    """Lay the flow out from top to bottom; the last box is on the spine."""
    boxes: list[Box] = []
    for main, text in _texts(frame):
        x, width = MAIN if main else SIDE
        y = boxes[-1].y + boxes[-1].height + GAP if boxes else 0.03
        boxes.append(Box(x, y, width, LINE * (text.count("\n") + 1) + 2 * PADDING, text))
    return boxes


def _texts(frame: pd.DataFrame) -> list[tuple[bool, str]]:
    """What the boxes say, in order, and whether each is on the spine."""
    texts = [(True, _counted("Entered", _entered(frame)))]
    left = frame["n_after"].dropna().iloc[-1] if frame["n_after"].notna().any() else float("nan")
    for stage, rows in frame.groupby("stage", sort=False):
        texts.append((False, _stage_text(str(stage), rows)))
        removing = rows.loc[rows["action"] == "exclude", "n_after"].dropna()
        if len(removing):
            texts.append((True, _counted(_after(str(stage)), removing.iloc[-1])))
    if texts[-1][0] and len(texts) > 1:
        texts.pop()
    return [*texts, (True, _counted("Left for analysis", left))]


def _after(stage: str) -> str:
    return "After hidden rules" if stage == POOLED else f"After {stage}"


def _entered(frame: pd.DataFrame) -> float:
    """How many entered; not told if some removals are hidden and not counted together."""
    excluding = frame[frame["action"] == "exclude"]
    told = excluding["n_removed"].notna().all() or (frame["stage"] == POOLED).any()
    return frame["n_before"].dropna().iloc[0] if told and frame["n_before"].notna().any() else float("nan")


def _stage_text(stage: str, rows: pd.DataFrame) -> str:
    excluding = rows.loc[rows["action"] == "exclude", "n_removed"]
    heading = "Hidden above" if stage == POOLED else stage.capitalize()
    if len(excluding) > 1 and excluding.notna().all():
        heading += f": {apa.count(excluding.sum())} left out"
    lines = list(wrap_to(heading, SIDE[1] - 2 * PADDING))
    for reason, action, hit, removed in zip(rows["reason"], rows["action"], rows["n_hit"], rows["n_removed"]):
        n = f"{KEPT_IN[action]}, {_n(hit)}" if action in KEPT_IN else _n(removed)
        first, *more = wrap_to(f"{reason} ({n})", SIDE[1] - 2 * PADDING - 0.14, ending=f"… ({n})")
        lines += [f"• {first}", *(f"   {line}" for line in more)]
    return "\n".join(lines)


def _counted(words: str, n: float) -> str:
    return "\n".join([*wrap_to(words, MAIN[1] - 2 * PADDING), _n(n)])


def _n(n: float) -> str:
    return HIDDEN if pd.isna(n) else f"n{SPACE}={SPACE}{apa.count(n)}"


@lru_cache(maxsize=512)
def wrap_to(text: str, inches: float, *, ending: str = "…") -> tuple[str, ...]:
    """Break text into lines of a width in the letters of the diagram; what does not fit gives way to the ending."""
    sample = text[:MEASURED]
    each = TextPath((0, 0), sample, size=SIZE).get_extents().width / 72 / max(len(sample), 1)
    letters = max(int(0.93 * inches / each), len(ending) + 1) if each > 0 else len(text)
    return tuple(wrap(text, letters, max_lines=MOST_LINES, placeholder=f" {ending}")) or ("",)
