"""Laws of `smstudy.display.interactions`: what is clear is told apart from what is not."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from smstudy.display.interactions import slope_curve


@pytest.fixture
def curve():
    values = np.linspace(1, 5, 41)
    estimate = 0.2 * (values - 3)
    frame = pd.DataFrame({"term": "a", "other_term": "b", "moderator_value": values, "estimate": estimate})
    frame = frame.assign(conf_low=estimate - 0.2, conf_high=estimate + 0.2, density=0.25)
    verdict = np.select([estimate > 0.2, estimate < -0.2], ["positive", "negative"], "cannot tell")
    return frame.assign(verdict=verdict, region_low=np.select([estimate > 0.2, estimate < -0.2], [3.987, 1.0], 2.013))


def draw(frame):
    axes = plt.subplots()[1]
    return slope_curve(axes, frame, labels={"a": "Support", "b": "Readiness"}, title="Slopes")


def test_stretches_are_drawn_one_by_one_and_named_once(curve):
    axes = draw(curve)
    assert [text.get_text().strip() for text in axes.texts] == ["2.01", "3.99"]  # where the verdict changes
    lines = [line for line in axes.lines if len(line.get_xdata()) > 2]
    assert len(lines) == 3
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["slope differs from 0", "cannot tell"]
    assert sum(len(line.get_xdata()) for line in lines) == len(curve) + 2  # each begins where the one before ends
    plt.close(axes.get_figure())


def test_axes_carry_the_words_readers_know(curve):
    axes = draw(curve)
    assert axes.get_ylabel() == "Slope of Support" and axes.get_xlabel().startswith("Readiness")
    plt.close(axes.get_figure())


def test_people_are_drawn_below_the_slopes(curve):
    axes = draw(curve)
    crowd = axes.collections[-1].get_paths()[0].vertices[:, 1]
    assert crowd.max() <= curve["conf_low"].min()
    plt.close(axes.get_figure())


def test_nothing_to_draw_is_said(curve):
    axes = draw(curve.assign(estimate=np.nan))
    assert "Nothing to draw" in axes.texts[0].get_text()
    plt.close(axes.get_figure())
