"""Laws of the picture of where a scale is precise: what it says in words, and that nothing is said of nothing."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import pytest

from smstudy.display import figures
from smstudy.display.information import information_curve, information_words, tells

matplotlib.use("Agg")


def curve(*information: float) -> pd.DataFrame:
    told = np.array(information)
    with np.errstate(divide="ignore"):
        error = 1 / np.sqrt(told)
    return pd.DataFrame({"attitude": np.linspace(-4, 4, len(told)), "information": told, "std_error": error})


def test_the_words_name_the_attitude_that_is_told_best() -> None:
    assert information_words(curve(1, 4, 2), title="Use") == (
        "Use. The scale tells most at an attitude of 0.00 SD from the mean, with a standard error of 0.50."
    )


@pytest.mark.parametrize("frame", [curve(0, 0, 0), curve()])
def test_without_information_nothing_is_said_but_that(frame: pd.DataFrame) -> None:
    words = information_words(frame, title="Use")
    assert not tells(frame)
    assert "nothing to draw" in words and "\u221e" not in words and "4.00" not in words
    ax = information_curve(figures.new_axes(2), frame, labels={}, title="Use")
    assert "Nothing to draw" in ax.texts[0].get_text() and len(ax.figure.axes) == 1
    matplotlib.pyplot.close(ax.figure)
