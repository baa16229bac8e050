"""Laws of path diagrams: every factor, item and number is there, and nothing lies on anything else."""

from __future__ import annotations

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.patches import Ellipse, Rectangle

from smstudy.display import paths

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def rows(factors: int, each: int, *more: tuple[str, str, str, float]) -> pd.DataFrame:
    found = [("loading", f"q{k}{i}", f"f{k}", 0.5 + 0.01 * i) for k in range(factors) for i in range(each)]
    found += [("factor correlation", f"f{j}", f"f{k}", 0.1 * (j + k)) for k in range(factors) for j in range(k)]
    return pd.DataFrame([*found, *more], columns=["parameter", "term", "other_term", "estimate"])


def drawn(frame: pd.DataFrame):
    return paths.factor_model(paths.new_axes(frame), frame, labels={"f0": "Trust"}, title="Model")


def words(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_everything_is_drawn_once() -> None:
    axes = drawn(rows(6, 5))
    assert sum(isinstance(patch, Ellipse) for patch in axes.patches) == 6
    assert sum(isinstance(patch, Rectangle) for patch in axes.patches) == 30
    assert len(words(axes)) == 6 + 30 + 30 + 15 and "Trust" in words(axes)


def test_no_words_or_numbers_lie_on_others() -> None:
    axes = drawn(rows(6, 5))
    figure = axes.get_figure()
    figure.draw_without_rendering()
    boxes = [text.get_window_extent().shrunk(0.9, 0.9) for text in axes.texts]
    pairs = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i]]
    assert not any(a.overlaps(b) for a, b in pairs)


def test_a_factor_that_only_shares_items_stands_on_the_right() -> None:
    axes = drawn(rows(2, 3, *(("loading", item, "wording", 0.3) for item in ("q00", "q11", "q12"))))
    ovals = sorted(patch.center[0] for patch in axes.patches if isinstance(patch, Ellipse))
    boxes = [patch.get_x() for patch in axes.patches if isinstance(patch, Rectangle)]
    assert ovals[1] < min(boxes) and ovals[2] > max(boxes)


def test_second_order_factors_stand_on_the_left_and_errors_are_arcs() -> None:
    upper = [("second-order loading", f"f{k}", "general", 0.7) for k in range(3)]
    frame = rows(3, 3, *upper, ("error correlation", "q00", "q11", 0.2))
    frame = frame[frame["parameter"] != "factor correlation"]
    axes = drawn(frame)
    ovals = sorted(patch.center[0] for patch in axes.patches if isinstance(patch, Ellipse))
    assert ovals[0] < ovals[1] == ovals[3] and ".20" in words(axes)


def test_cross_loadings_have_two_arrows() -> None:
    axes = drawn(rows(2, 3, ("loading", "q00", "f1", -0.25)))
    assert "−.25" in words(axes) and sum(isinstance(patch, Rectangle) for patch in axes.patches) == 6


def test_nothing_to_show_says_so() -> None:
    frame = rows(2, 3).iloc[:0]
    assert drawn(frame).texts or drawn(frame).get_title(loc="left")
