"""Laws of the picture of a response surface."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from smstudy.display import figures
from smstudy.display.surfaces import contours

FIRST, SECOND = (part.ravel() for part in np.meshgrid(np.arange(1.0, 6), np.arange(1.0, 6)))
GRID = pd.DataFrame({"first": FIRST, "second": SECOND, "fitted": -((FIRST - SECOND) ** 2)})
NAMES = ("say", "do", "trust")


def drawn(frame, **options):
    return contours(figures.new_axes(5), frame, labels={"say": "What we say"}, title="T", names=NAMES, **options)


def test_axes_carry_words_and_the_ridge_is_a_line_of_its_own():
    plain, ridged = drawn(GRID), drawn(GRID, ridge=(0.5, 1.0))
    assert plain.get_xlabel() == "What we say" and plain.get_ylabel() == "do"
    assert len(ridged.get_lines()) == len(plain.get_lines()) + 1
    for ax in (plain, ridged):
        plt.close(ax.get_figure())


def test_without_a_region_nothing_is_drawn():
    ax = drawn(GRID.assign(fitted=float("nan")))
    assert "Nothing to draw" in ax.texts[0].get_text()
    plt.close(ax.get_figure())
