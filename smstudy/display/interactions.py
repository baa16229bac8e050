"""Picture of the slope of a driver over a moderator, with its interval and where respondents are."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from smstudy.display import apa, figures
from smstudy.display.theme import INK, PALETTE, QUIET, style

CLEAR = ("positive", "negative")
WORDS = ("slope differs from 0", "cannot tell")
HEIGHT = 0.16
SMALL = 0.1


def slope_curve(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw the slope as a line with a band, colored where it differs from 0, and respondents as an area at the bottom.

    The values at which that changes are written at the top.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        term, other_term, moderator_value (rising), estimate, conf_low, conf_high, verdict, density, and where the
        stretch of each row begins: region_low.
    labels : mapping
        Names of driver and moderator to their words.
    title : str
        Caption.
    """
    rows = frame.dropna(subset=["estimate", "conf_low", "conf_high"])
    if rows.empty:
        return figures.nothing(ax, frame, labels=labels, title=title)
    values = rows["moderator_value"]
    clear = rows["verdict"].isin(CLEAR)
    with style():
        for chosen, color, words in ((clear, PALETTE[0], WORDS[0]), (~clear, QUIET, WORDS[1])):
            for start, end in _runs(chosen.to_numpy()):
                part = rows.iloc[start:end]
                look = {"color": color, "linewidth": 0}
                ax.fill_between(part["moderator_value"], part["conf_low"], part["conf_high"], alpha=0.22, **look)
                ax.plot(part["moderator_value"], part["estimate"], color=color, linewidth=2, label=words)
        ax.axhline(0, color=QUIET, linewidth=1, linestyle="--")
        ax.set_xlim(values.iloc[0], values.iloc[-1])
        _crowd(ax, rows)
        _borders(ax, rows)
        driver, moderator = (apa.say("term", rows[name].iloc[0], labels) for name in ("term", "other_term"))
        ax.set_xlabel(f"{moderator} (area: where respondents are)", color=INK, parse_math=False)
        ax.set_ylabel(f"Slope of {driver}", color=INK, parse_math=False)
        handles = dict(zip(*reversed(ax.get_legend_handles_labels())))
        ax.legend(handles.values(), handles, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0),
                  borderaxespad=3.6, ncol=2)  # fmt: skip
        ax.set_title(title, loc="left", parse_math=False)
    return ax


def _runs(chosen: pd.Series) -> list[tuple[int, int]]:
    """Starts and ends of unbroken stretches; each reaches to the first row of the next."""
    starts = [i for i in range(len(chosen)) if chosen[i] and (i == 0 or not chosen[i - 1])]
    ends = [next((j for j in range(i, len(chosen)) if not chosen[j]), len(chosen)) for i in starts]
    return [(start, min(end + 1, len(chosen))) for start, end in zip(starts, ends)]


def _borders(ax: Axes, rows: pd.DataFrame) -> None:
    """Mark and name the values at which the verdict changes."""
    starts, verdicts = rows["region_low"].to_numpy(), rows["verdict"].to_numpy()
    for place in (i for i in range(1, len(rows)) if verdicts[i] != verdicts[i - 1]):
        border = starts[place]
        words = apa.number(border) if abs(border) >= SMALL else f"{border:.3g}"
        ax.axvline(border, color=QUIET, linewidth=1, linestyle=":")
        look = {"va": "top", "color": INK, "fontsize": "small"}
        ax.text(border, 0.98, f" {words}", transform=ax.get_xaxis_transform(), **look)


def _crowd(ax: Axes, rows: pd.DataFrame) -> None:
    """Respondents as a low area along the bottom, a sixth of the height."""
    low, high = ax.get_ylim()
    low -= HEIGHT * (high - low)
    top = rows["density"] / rows["density"].max() * HEIGHT * (high - low)
    ax.fill_between(rows["moderator_value"], low, low + top, step="mid", color=QUIET, alpha=0.35, linewidth=0)
    ax.set_ylim(low, high)
