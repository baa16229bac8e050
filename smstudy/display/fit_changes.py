"""Picture of the steps of measurement invariance: how much worse each fits than the one before."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from smstudy.display import apa
from smstudy.display.figures import Labels, nothing
from smstudy.display.theme import INK, PALETTE, QUIET, style

ROOM = 0.3  # of the axis, for the numbers beside the points


def fit_changes(ax: Axes, frame: pd.DataFrame, *, labels: Labels, title: str) -> Axes:
    """Draw the change of CFI of each step as a point, with the limit (threshold) beyond which it fits worse."""
    rows = frame.dropna(subset="cfi_change").reset_index(drop=True)
    if rows.empty:
        return nothing(ax, frame, labels=labels, title=title)
    places = list(range(len(rows)))[::-1]
    with style():
        ax.axvline(0, color=QUIET, linewidth=1)
        for place, limit in zip(places, rows["threshold"], strict=True):
            ax.vlines(limit, place - 0.4, place + 0.4, color=QUIET, linewidth=1, linestyle="--")
        ax.hlines(places, 0, rows["cfi_change"], color=PALETTE[0], linewidth=1.5)
        ax.plot(rows["cfi_change"], places, "o", color=PALETTE[0], markersize=6)
        for place, change in zip(places, rows["cfi_change"], strict=True):
            side = -1 if change < 0 else 1
            ax.annotate(
                apa.change(change, 3), (change, place), xytext=(7 * side, 0), textcoords="offset points", va="center",
                ha="right" if side < 0 else "left", color=INK,
            )  # fmt: skip
        ax.set_yticks(places, rows["term"].tolist(), parse_math=False)
        ax.tick_params(axis="y", length=0)
        ax.set_ylim(-0.6, len(places) - 0.4)
        low, high = min(rows["cfi_change"].min(), 2 * rows["threshold"].min()), max(rows["cfi_change"].max(), 0.0)
        ax.set_xlim(low - ROOM * (high - low), high + ROOM * (high - low))
        ax.set_xlabel("Change of CFI against the step before; dashed: beyond it a step fits worse", color=INK)
        ax.set_title(title, loc="left", color=INK, parse_math=False)
    return ax
