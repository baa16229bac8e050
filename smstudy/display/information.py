"""The picture of where on its scale a test is precise."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from smstudy.display import apa, figures
from smstudy.display.theme import INK, PALETTE, style

BELOW = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "borderaxespad": 4.2, "ncol": 2}


def tells(frame: pd.DataFrame) -> bool:
    """Say whether there is any information to show.

    >>> tells(pd.DataFrame({"attitude": [-1.0, 1.0], "information": [0.0, 0.0]}))
    False
    """
    return bool((frame["information"] > 0).any())


def information_words(frame: pd.DataFrame, *, title: str) -> str:
    """Say in words what `information_curve` draws: where a test tells most, and with which standard error."""
    if not tells(frame):
        return f"{title}. There is nothing to draw: no answer was given by enough respondents to be shown."
    best = frame.loc[frame["information"].idxmax()]
    return (
        f"{title}. The scale tells most at an attitude of {apa.write('estimate', best['attitude'])} SD "
        f"from the mean, with a standard error of {apa.write('estimate', best['std_error'])}."
    )


def information_curve(ax: Axes, frame: pd.DataFrame, *, labels: Mapping[str, str], title: str) -> Axes:
    """Draw the information of a test over the attitude, and the standard error it leaves on a second axis.

    Without any information, as when every answer is too rare to be shown, the picture says that there is nothing.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        attitude, information, std_error.
    labels : mapping
        Not used: there is nothing to name.
    title : str
        Caption.
    """
    if not tells(frame):
        return figures.nothing(ax, frame, labels=labels, title=title)
    with style():
        beside = ax.twinx()
        (told,) = ax.plot(frame["attitude"], frame["information"], color=PALETTE[0], linewidth=2)
        (error,) = beside.plot(frame["attitude"], frame["std_error"], color=PALETTE[1], linewidth=2, linestyle="--")
        ax.set_ylim(bottom=0)
        beside.set_ylim(0, 1.2)
        beside.spines["right"].set_visible(True)
        ax.set_xlabel("Attitude in standard deviations from the mean", color=INK)
        ax.set_ylabel("Information", color=INK)
        beside.set_ylabel("Standard error", color=INK)
        ax.legend([told, error], ["information", "standard error"], frameon=False, **BELOW)
        ax.set_title(title, loc="left", parse_math=False)
    return ax
