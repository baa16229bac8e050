"""Laws of `smstudy.display.survival_curves`."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd

from smstudy.display import figures, survival_curves

FRAME = pd.DataFrame(
    {"group": ["$a$", "$a$", "_b", "_b"], "time": [0.0, 2, 0, 4], "estimate": [1.0, 0.6, 1, 0.3],
     "conf_low": [None, 0.4, None, 0.1], "conf_high": [None, 0.8, None, 0.5]}
)  # fmt: skip


def draw(frame):
    return survival_curves.curves(figures.new_axes(5), frame, labels={}, title="Curves")


def test_every_group_has_a_curve_and_a_name():
    axes = draw(FRAME)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["$a$", "_b"]
    assert [list(line.get_xdata()) for line in axes.lines] == [[0, 2], [0, 4]]
    plt.close(axes.figure)


def test_one_group_needs_no_legend_and_none_nothing():
    assert draw(FRAME[:2]).get_legend() is None
    assert "Nothing to draw" in draw(FRAME[:0]).texts[0].get_text()
    plt.close("all")
