"""Laws of `smstudy.display.ceilings`."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from smstudy.display import ceilings, figures

FRAME = pd.DataFrame(
    {"term": ["a", "a", "_b", "_b"], "outcome_level": [0.0, 50, 0, 50], "needed_level": [0.0, 20, 10, np.nan]}
)


def draw(frame):
    return ceilings.steps(figures.new_axes(5), frame, labels={"a": "Support $x$"}, title="Levels")


def test_every_condition_has_a_line_and_a_name():
    axes = draw(FRAME)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["Support $x$", "_b"]
    assert len(axes.lines) == 2
    plt.close(axes.figure)


def test_hidden_levels_are_not_drawn():
    axes = draw(FRAME)
    assert [len(line.get_xdata()) for line in axes.lines] == [2, 1]
    plt.close(axes.figure)


def test_nothing_to_draw_is_said():
    axes = draw(FRAME.assign(needed_level=np.nan))
    assert "Nothing to draw" in axes.texts[0].get_text()
    plt.close(axes.figure)
