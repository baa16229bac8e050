"""Laws of `smstudy.display.path_diagrams`: every path has an arrow and a number, and boxes stand apart."""

from __future__ import annotations

from itertools import combinations

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.patches import FancyArrowPatch, Rectangle

from smstudy.display.path_diagrams import new_axes, paths


def table(*rows):
    frame = pd.DataFrame(rows, columns=["outcome", "term", "estimate"])
    return frame.assign(conf_low=frame["estimate"] - 0.2, conf_high=frame["estimate"] + 0.2)


MODELS = {
    "one": table(("m", "x", 0.5), ("y", "x", 0.1), ("y", "m", 0.4)),
    "parallel": table(("m", "x", 0.5), ("k", "x", 0.3), ("y", "x", 0.1), ("y", "m", 0.4), ("y", "k", 0.1)),
    "serial": table(("m", "x", 0.5), ("k", "x", 0.3), ("k", "m", 0.4), ("j", "x", 0.2), ("j", "m", 0.3),
                    ("j", "k", 0.1), ("y", "x", 0.1), ("y", "m", 0.4), ("y", "k", 0.1), ("y", "j", 0.6)),
    "everywhere": table(("m", "x", 0.5), ("m", "w", 0.3), ("m", "x:w", 0.2), ("k", "x", 0.5), ("k", "w", 0.3),
                        ("k", "x:w", 0.2), ("y", "x", 0.1), ("y", "m", 0.4), ("y", "k", 0.4), ("y", "w", 0.4),
                        ("y", "x:w", 0.4), ("y", "m:w", 0.4), ("y", "k:w", 0.4)),
    "moderated": table(("m", "x", 0.5), ("m", "w", 0.3), ("m", "x:w", 0.2), ("y", "x", 0.1), ("y", "m", 0.4)),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_every_path_between_boxes_has_an_arrow_and_boxes_stand_apart(name):
    frame = MODELS[name]
    axes = paths(new_axes(frame), frame, labels={"x": "Support"}, title="Paths")
    boxes = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    drawn = frame[frame["term"] != "w"]
    moderators = {(term.split(":")[0] == "x") + 2 * (outcome == "y") for outcome, term in
                  frame.loc[frame["term"].str.contains(":"), ["outcome", "term"]].to_numpy()}  # fmt: skip
    assert len(arrows) == len(drawn) and len(boxes) == drawn["outcome"].nunique() + 1 + len(moderators)
    assert not any(one.get_bbox().overlaps(other.get_bbox()) for one, other in combinations(boxes, 2))
    assert "Support" in [text.get_text() for text in axes.texts]
    plt.close(axes.get_figure())


def test_a_moderator_points_at_the_path_that_depends_on_it():
    frame = MODELS["moderated"]
    axes = paths(new_axes(frame), frame, labels={"w": "Tenure"}, title="Paths")
    assert [text.get_text() for text in axes.texts].count("Tenure") == 1
    moderated, pointer = (patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)
                          if patch.get_linewidth() == 1.0 or patch is axes.patches[0])  # fmt: skip
    (start, end), target = moderated._posA_posB, pointer._posA_posB[1]
    share = (target[0] - start[0]) / (end[0] - start[0])
    assert 0 < share < 1 and target[1] == pytest.approx(start[1] + share * (end[1] - start[1]))  # on the line
    plt.close(axes.get_figure())


def test_unclear_paths_are_dashed():
    frame = MODELS["one"]
    axes = paths(new_axes(frame), frame, labels={}, title="Paths")
    styles = [patch.get_linestyle() for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    assert styles == ["-", "--", "-"]
    plt.close(axes.get_figure())


def test_nothing_to_draw_is_said():
    empty = MODELS["one"].iloc[:0]
    axes = paths(new_axes(empty), empty, labels={}, title="Paths")
    assert "Nothing to draw" in axes.texts[0].get_text()
    plt.close(axes.get_figure())
