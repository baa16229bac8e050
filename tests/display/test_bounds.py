"""Laws of the picture of an effect and its bounds."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd

from smstudy.display import figures
from smstudy.display.bounds import within_bounds

ROWS = pd.DataFrame({
    "term": ["use", "fear"], "verdict": ["equivalent", "cannot tell"], "estimate": [0.0, 0.2], "conf_low": [-0.2, -0.2],
    "conf_high": [0.2, 0.6], "narrow_low": [-0.1, -0.1], "narrow_high": [0.1, 0.5], "bound_low": -0.3,
    "bound_high": 0.3,
})  # fmt: skip


def test_each_row_says_its_verdict_and_shows_its_bounds():
    ax = within_bounds(figures.new_axes(2), ROWS, labels={"use": "Use"}, title="T")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Use: equivalent", "fear: cannot tell"]
    assert ax.get_xlim()[0] < -0.3 and ax.get_xlim()[1] > 0.6
    plt.close(ax.get_figure())


def test_hidden_rows_are_not_drawn():
    ax = within_bounds(figures.new_axes(1), ROWS.assign(estimate=float("nan")), labels={}, title="T")
    assert "Nothing to draw" in ax.texts[0].get_text()
    plt.close(ax.get_figure())
