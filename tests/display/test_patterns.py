"""Laws of `smstudy.display.patterns`."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import pytest

from smstudy.display import figures, patterns

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close():
    yield
    matplotlib.pyplot.close("all")


def draw(sets):
    frame = pd.DataFrame({"group": [f"g{i}" for i in range(len(sets))], "missing_terms": sets, "n": 10})
    return patterns.combinations(figures.new_axes(3), frame, labels={"a": "First"}, title="Missing")


def test_one_line_a_combination_and_one_column_a_variable():
    axes = draw(["", "a", "a, b"])
    cells = axes.collections[0].get_array().reshape(3, 2)
    np.testing.assert_array_equal(cells, [[0, 0], [1, 0], [1, 1]])
    assert [text.get_text() for text in axes.get_xticklabels()] == ["First", "b"]
    assert [text.get_text() for text in axes.texts] == ["10", "10", "10"]


def test_nothing_to_show_is_said_in_words():
    for sets in ([], [""]):
        assert "No combination" in draw(sets).texts[0].get_text()


def test_text_is_never_read_as_mathematics():
    axes = patterns.traces(figures.new_axes(3), pd.DataFrame(np.ones((4, 2))), name="$x$ " * 9, title="$y$")
    axes.get_figure().draw_without_rendering()
    assert len(axes.lines) == 3 and not axes.yaxis.label.get_parse_math()
