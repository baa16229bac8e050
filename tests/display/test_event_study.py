"""Laws of `smstudy.display.event_study`."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from smstudy.display import event_study, figures

STUDY = pd.DataFrame(
    {"event_time": [-2, -1, 0], "estimate": [0.1, 0.0, 0.5], "conf_low": [-0.1, np.nan, 0.2],
     "conf_high": [0.3, np.nan, 0.8]}
)  # fmt: skip
SERIES = pd.DataFrame(
    {"wave": list("abce"), "time": [-2, -1, 0, 2], "mean": [1.0, 2, 4, 6], "fitted": [1.0, 2, 4, 6],
     "expected": [np.nan, np.nan, 3, 5]}
)  # fmt: skip


def test_every_wave_has_a_point():
    axes = event_study.leads_and_lags(figures.new_axes(5), STUDY, labels={}, title="Study")
    points = np.concatenate([line.get_xdata() for line in axes.lines if line.get_marker() == "o"])
    assert sorted(points) == [-2, -1, 0]
    plt.close(axes.figure)


def test_the_course_before_is_drawn_on_after_the_start_only():
    axes = event_study.interrupted(figures.new_axes(5), SERIES, labels={}, title="Series")
    dashed = next(line for line in axes.lines if line.get_linestyle() == "--")
    assert list(dashed.get_ydata()) == [3, 5] and list(dashed.get_xdata()) == [0, 2]
    plt.close(axes.figure)


def test_nothing_to_draw_is_said():
    for draw, frame in ((event_study.leads_and_lags, STUDY[:0]), (event_study.interrupted, SERIES[:0])):
        axes = draw(figures.new_axes(5), frame, labels={}, title="Empty")
        assert "Nothing to draw" in axes.texts[0].get_text()
        plt.close(axes.figure)
