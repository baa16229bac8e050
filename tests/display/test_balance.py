"""Laws of `smstudy.display.balance`."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from smstudy.display import balance, figures

FRAME = pd.DataFrame({"term": ["a", "b"], "balance_before": [0.8, -0.4], "balance_after": [0.1, np.nan]})


def test_variables_stand_in_order_with_their_labels():
    axes = balance.love(
        figures.new_axes(3), FRAME.fillna(0.0), labels={"a": "Size $x$"}, title="Love", yardsticks=(0.1,)
    )
    assert [text.get_text() for text in axes.get_yticklabels()] == ["Size $x$", "b"]
    assert list(axes.lines[0].get_xdata()) == [0.8, -0.4]
    plt.close(axes.figure)


def test_what_is_missing_is_left_out():
    axes = balance.love(figures.new_axes(3), FRAME, labels={}, title="Love")
    assert len(axes.get_yticks()) == 1
    assert (
        "Nothing to draw" in balance.love(figures.new_axes(3), FRAME[1:], labels={}, title="Love").texts[0].get_text()
    )
    plt.close("all")
