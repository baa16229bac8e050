"""Laws of `smstudy.display.priorities`."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd

from smstudy.display import figures, priorities

FRAME = pd.DataFrame(
    {
        "term": ["a", "b"],
        "importance": [0.7, 0.3],
        "importance_low": [0.6, 0.2],
        "importance_high": [0.8, 0.4],
        "performance": [40.0, 60.0],
        "performance_low": [35.0, 55.0],
        "performance_high": [45.0, 65.0],
        "verdict": ["must-have and important", "neither shown"],
    }
)


def draw(frame):
    return priorities.importance_performance(figures.new_axes(8), frame, labels={"a": "Support"}, title="Map")


def test_lines_stand_at_the_means():
    axes = draw(FRAME)
    dotted = [line for line in axes.lines if line.get_linestyle() == ":"]
    assert dotted[0].get_xdata()[0] == 50 and dotted[1].get_ydata()[0] == 0.5
    plt.close(axes.figure)


def test_must_haves_have_a_mark_of_their_own():
    axes = draw(FRAME)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["must-have", "other driver"]
    plt.close(axes.figure)
    axes = draw(FRAME.assign(verdict="cannot tell"))
    assert axes.get_legend() is None
    plt.close(axes.figure)


def test_nothing_to_draw_is_said():
    axes = draw(FRAME.assign(importance=float("nan")))
    assert "Nothing to draw" in axes.texts[0].get_text()
    plt.close(axes.figure)
