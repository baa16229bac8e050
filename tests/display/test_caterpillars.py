"""Laws of `smstudy.display.caterpillars`."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from smstudy.display.caterpillars import caterpillar


def groups(n):
    middle = np.random.default_rng(0).normal(size=n)
    names = [f"team {i}" for i in range(n)]
    return pd.DataFrame({"group": names, "estimate": middle, "conf_low": middle - 1, "conf_high": middle + 1})


@pytest.fixture
def ax():
    yield plt.subplots()[1]
    plt.close("all")


def test_few_groups_are_named_from_the_lowest_to_the_highest(ax):
    frame = groups(12)
    caterpillar(ax, frame, labels={}, title="Teams")
    assert [label.get_text() for label in ax.get_yticklabels()] == list(frame.sort_values("estimate")["group"])[::-1]


def test_many_groups_have_no_names(ax):
    caterpillar(ax, groups(60), labels={}, title="Teams")
    assert not ax.get_yticklabels() and "60 groups" in ax.get_ylabel()


def test_nothing_is_said_in_words(ax):
    caterpillar(ax, groups(0), labels={}, title="Teams")
    assert "Nothing to draw" in ax.texts[0].get_text()
