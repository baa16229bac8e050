"""Laws of `smstudy.display.confounders`: the effect is drawn over rho, with zero in sight."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from smstudy.display.confounders import sensitivity_curve


def test_the_curve_is_drawn_with_both_zeros():
    rho = np.linspace(-0.9, 0.9, 19)
    frame = pd.DataFrame({"term": "m", "rho": rho, "estimate": 0.2 - rho, "conf_low": -rho, "conf_high": 0.4 - rho})
    axes = sensitivity_curve(plt.subplots()[1], frame, labels={}, title="Confounder")
    assert len(axes.lines) == 3 and "rho" in axes.get_xlabel()
    plt.close(axes.get_figure())


def test_nothing_to_draw_is_said():
    frame = pd.DataFrame({"term": "m", "rho": [0.0], "estimate": [np.nan], "conf_low": [np.nan], "conf_high": [np.nan]})
    axes = sensitivity_curve(plt.subplots()[1], frame, labels={}, title="Confounder")
    assert "Nothing to draw" in axes.texts[0].get_text()
    plt.close(axes.get_figure())
